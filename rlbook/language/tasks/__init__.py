"""Tasks of language: prompts, answers, a verifier."""

from rlbook.language.tasks.arithmetic import Arithmetic
from rlbook.language.tasks.reviews import Reviews
from rlbook.language.tasks.task import TASKS, Task, steps_of_tokens

__all__ = [
    "Arithmetic",
    "Reviews",
    "TASKS",
    "Task",
    "steps_of_tokens",
]
