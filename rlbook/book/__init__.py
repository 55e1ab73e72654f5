"""What makes the book: exercises, stored experiments, pictures, the author's commands.

A chapter needs these names.
"""

from rlbook.book.exercises import check_exercise, diagnose, solved
from rlbook.book.experiments import load
from rlbook.ground.checks import check

__all__ = [
    "check",
    "check_exercise",
    "diagnose",
    "load",
    "solved",
]
