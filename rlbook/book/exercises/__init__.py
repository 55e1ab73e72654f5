"""The checkers of the exercises: which property of an answer fails, and on which input.

`check_exercise("3.3", attempt)` is what a notebook calls. The checkers of chapter 3 are in
`rlbook.book.exercises.chapter_03`, as `CHECKERS = {"3.3": function}`, those of appendix A in
`chapter_A`; what they are made of is in `rlbook.book.exercises.expectations`.
"""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Literal, NamedTuple

from rlbook.book.chapters import number_of
from rlbook.book.exercises.expectations import Attempt, NotAttempted, WrongAnswer, describe

__all__ = ["Diagnosis", "WrongAnswer", "check_exercise", "checkers", "diagnose"]

Checker = Callable[[Callable], str | None]


class Diagnosis(NamedTuple):
    """What a checker found, in a word, and in words for the learner."""

    status: Literal["unattempted", "correct", "wrong"]
    message: str


def checkers(chapter: int | str) -> dict[str, Checker]:
    """The checkers of a chapter by tag, {} if it has none; "3" and "03" are the same."""
    module = f"rlbook.book.exercises.chapter_{number_of(chapter)}"
    try:
        return importlib.import_module(module).CHECKERS
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return {}


def diagnose(tag: str, attempt) -> Diagnosis:
    """Run the checker of exercise `tag` on `attempt`.

    Whatever the attempt does, this returns; only a tag that no exercise has, which is the
    author's mistake, raises ValueError.
    """
    match = re.fullmatch(r"(\w+)\.(\d+)", tag)
    checker = checkers(match[1]).get(tag) if match else None
    if checker is None:
        raise ValueError(f"there is no code exercise {tag!r}")
    if attempt is None or attempt is ...:
        return Diagnosis("unattempted", "not attempted yet.")
    if left := blanks_of(attempt):
        return Diagnosis("unattempted", f"{left} {'blank' if left == 1 else 'blanks'} left.")
    if not callable(attempt):
        got = describe(attempt)
        return _wrong(f"Hand over the function itself, by its name without brackets, not {got}.")
    wrapped = Attempt(attempt)
    try:
        closing = checker(wrapped)
    except NotAttempted:
        return Diagnosis("unattempted", "not attempted yet.")
    except WrongAnswer as error:
        return _wrong(str(error))
    except Exception as error:  # the checker stumbled over what the attempt returned
        got = describe(wrapped.last_result)
        return _wrong(f"It returned {got}, which is not what is asked ({type(error).__name__}).")
    return Diagnosis("correct", f"correct. {closing}" if closing else "correct.")


def blanks_of(attempt) -> int:
    """How many `...` are left of those that a function came with, such as `r if ... else ...`.

    0 for a function that is nothing but `...`, and where Python does not know the source. In an
    index, as in x[..., 0], three dots are no blank.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(attempt)))
    except (OSError, TypeError, SyntaxError):
        return 0
    indices = [n.slice for n in ast.walk(tree) if isinstance(n, ast.Subscript)]
    no_blanks = {id(node) for index in indices for node in ast.walk(index)}
    no_blanks |= {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}  # a missing body
    no_blanks |= {id(n.body) for n in ast.walk(tree) if isinstance(n, ast.Lambda)}
    dots = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value is ...]
    return sum(id(node) not in no_blanks for node in dots)


def check_exercise(tag: str, attempt) -> None:
    """Print what `diagnose` finds. An attempt, however wrong, never raises."""
    print(f"Exercise {tag}: {diagnose(tag, attempt).message}")


def _wrong(message: str) -> Diagnosis:
    return Diagnosis("wrong", f"not yet. {message}")
