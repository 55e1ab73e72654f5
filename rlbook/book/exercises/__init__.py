"""The checkers of the exercises: which property of an answer fails, and on which input.

`check_exercise("3.3", attempt)` is what a notebook calls. The checkers of chapter 3 are in
`rlbook.book.exercises.chapter_03`, as `CHECKERS = {"3.3": function}`, those of appendix A in
`chapter_A`; what they are made of is in `rlbook.book.exercises.expectations`.
"""

import ast
import importlib
import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from rlbook.book.chapters import CHAPTERS, number_of
from rlbook.book.exercises import record
from rlbook.book.exercises.expectations import (
    Attempt,
    NotAttempted,
    WrongAnswer,
    describe,
    statements_of,
)

__all__ = ["Diagnosis", "WrongAnswer", "check_exercise", "checkers", "diagnose", "solved"]

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
    match = re.fullmatch(r"(\w+)\.(\d+[a-z]?)", tag)
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
    nodes = [node for statement in statements_of(attempt) for node in ast.walk(statement)]
    indices = [n.slice for n in nodes if isinstance(n, ast.Subscript)]
    no_blanks = {id(node) for index in indices for node in ast.walk(index)}
    no_blanks |= {id(n.value) for n in nodes if isinstance(n, ast.Expr)}  # a missing body
    no_blanks |= {id(n.body) for n in nodes if isinstance(n, ast.Lambda)}
    dots = [n for n in nodes if isinstance(n, ast.Constant) and n.value is ...]
    return sum(id(node) not in no_blanks for node in dots)


def check_exercise(tag: str, attempt) -> None:
    """Print what `diagnose` finds, and remember for `solved` what is correct.

    An attempt, however wrong, never raises.
    """
    diagnosis = diagnose(tag, attempt)
    print(f"Exercise {tag}: {diagnosis.message}")
    if diagnosis.status == "correct":
        record.remember(tag)


class Solved(dict[str, str]):
    """Exercise -> the day on which it was first solved; shown as a table of all chapters."""

    def __repr__(self) -> str:
        rows, found, count = [], 0, 0
        for chapter in CHAPTERS:
            tags = checkers(chapter.number)
            if not tags:
                continue
            boxes = "".join("■" if tag in self else "□" for tag in tags)
            rows.append(f"{chapter.number:>3}  {boxes:9}  {chapter.name}")
            found, count = found + boxes.count("■"), count + len(tags)
        return "\n".join([*rows, f"{found} of {count} exercises with a checker are solved"])


def solved() -> Solved:
    """The exercises that `check_exercise` has found correct on this machine.

    They are kept in `solved.json` in the user's cache folder, or in the folder RLBOOK_CACHE.
    """
    return Solved(record.read())


def _wrong(message: str) -> Diagnosis:
    return Diagnosis("wrong", f"not yet. {message}")
