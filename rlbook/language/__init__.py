"""Part IV: reinforcement learning of language models.

Importing transformers takes seconds, so names are looked up when they are first asked for.
"""

from typing import TYPE_CHECKING

from rlbook.ground.faces import lazy

if TYPE_CHECKING:
    from rlbook.language.annotators import Comparisons, Tone, compare
    from rlbook.language.models import LanguageModel, Prompts, encode, load
    from rlbook.language.pretraining import pretrained
    from rlbook.language.reward_model import RewardModel, to_tokens
    from rlbook.language.sampling import Answers, pass_at_k, token_log_probs, write
    from rlbook.language.scoring import each_answer
    from rlbook.language.tasks.arithmetic import Arithmetic
    from rlbook.language.tasks.reviews import Reviews
    from rlbook.language.tasks.task import Task

__all__ = [
    "Answers",
    "Arithmetic",
    "Comparisons",
    "LanguageModel",
    "Prompts",
    "Reviews",
    "RewardModel",
    "Task",
    "Tone",
    "compare",
    "each_answer",
    "encode",
    "load",
    "pass_at_k",
    "pretrained",
    "to_tokens",
    "token_log_probs",
    "write",
]

__getattr__, __dir__ = lazy(__name__)
