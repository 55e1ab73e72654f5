"""Number a chapter's equations, figures and exercises 1, 2, 3, ... again, and what speaks of them.

    python -m rlbook.book renumber 03

After an equation came in between (call it 3.4a meanwhile) or one went. Tags, checks, citations in
notebooks, package, tests and README, definitions, derivations, the index's entries, figures'
captions, the claims named by figures, and the exercises with their checkers and wrong answers move
together; the outputs that print a number do, too.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rlbook.book.chapters import NUMBER, label_of, notebooks, number_of
from rlbook.book.paths import ROOT
from rlbook.book.publish.launch import read, to_text
from rlbook.book.publish.road import EXERCISE

if TYPE_CHECKING:  # Jupyter's own packages come with the extra `lab`
    from nbformat import NotebookNode

AND = r"(?:(?:,| and| or| to|, and| with| into)?\s+"  # between two of "Eqs. (3.4) and (3.5)"
EQUATIONS = re.compile(rf"Eqs?\.\s+\({NUMBER}\){AND}\({NUMBER}\))*")
FIGURES = re.compile(rf"Figures?\s+{NUMBER}{AND}{NUMBER}(?!\d))*")
EXERCISES = re.compile(rf"Exercises?\s+{NUMBER}{AND}{NUMBER}(?!\d))*")
TAG = re.compile(rf"(\\tag\{{)({NUMBER})(\}})")
CHECK = re.compile(rf"""(\bcheck\(\s*\\?["'])({NUMBER})(\\?["'])""")
ATTEMPT = re.compile(rf"""(\bcheck_exercise\(\s*\\?["'])({NUMBER})(\\?["'])""")
BARE = re.compile(rf"(\()({NUMBER})(\))")  # "the chain (5.6)", in prose
CODE_OR_FORMULA = re.compile(
    r"(```.*?```|`[^`\n]+`|\$\$.*?\$\$|(?<![\\$])\$(?!\$)[^$]+\$)", re.DOTALL
)
CAPTION = re.compile(rf"^\*Figure ({NUMBER})\.\*", re.MULTILINE)
CLAIM = re.compile(rf"""(\bBroken\(\s*["'])({NUMBER})(["'])""")
KEY = re.compile(
    rf"""(^\s*["'])({NUMBER})(["']:)""", re.MULTILINE
)  # of definitions.py, derivations.py
CHECKER = re.compile(rf"""(["'])({NUMBER})(["']:)""")  # of a chapter's checkers and wrong answers
FIELD = re.compile(rf"(\| )({NUMBER})(?=$| \|)()", re.MULTILINE)  # of index_entries.py
MADE_UP = {  # tests whose numbers are those of made-up chapters
    *("sample_notebook.py", "test_notebook_rules.py", "test_checks.py", "test_mutants.py"),
    *("test_renumber.py", "test_chapters.py", "parsed_notebook.py", "book_rules.py"),
    *("notebook_rules.py", "test_launch.py", "test_nbval.py", "test_book_index.py"),
    *(
        "test_moved.py",
        "test_exercises.py",
        "sample_road.py",
        "test_road.py",
        "test_english.py",
        "road_rules.py",
    ),
}
Numbers = dict[str, str]
"""old -> new, of one chapter."""


class Plan(NamedTuple):
    equations: Numbers
    figures: Numbers
    exercises: Numbers


def plan(notebook: NotebookNode, label: str) -> Plan:
    """What a chapter's equations, figures and exercises are to be called, in their order.

    Raises:
        ValueError: a number that occurs twice, or one of another chapter.
    """
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    text, found = "\n\n".join(sources), []
    for what, old in (
        ("equation", [tag[2] for tag in TAG.finditer(text)]),
        ("figure", CAPTION.findall(text)),
        ("exercise", [begins[1] for one in sources if (begins := EXERCISE.match(one))]),
    ):
        for number in old:
            if old.count(number) > 1:
                raise ValueError(f"{what} {number} occurs twice: call the new one {number}a")
            if number.split(".")[0] != label:
                raise ValueError(f"{what} {number} stands in chapter {label}")
        found.append({number: f"{label}.{place}" for place, number in enumerate(old, start=1)})
    return Plan(*found)


class Renumbering:
    """One plan, applied to texts; it remembers who cites what is not there."""

    def __init__(self, label: str, numbers: Plan):
        self.label, self.numbers = label, numbers
        self.lost: list[str] = []
        self.place = ""

    def of(self, numbers: Numbers, what: str, strict: bool = True) -> Callable[[str], str]:
        """A function from an old number to a new one; others than the chapter's stay."""

        def new(number: str) -> str:
            if number not in numbers and number.split(".")[0] == self.label and strict:
                self.lost.append(f"{self.place}: {what} {number}")
            return numbers.get(number, number)

        return new

    def text(self, text: str) -> str:
        """Citations, checks and tags, in any text."""
        equation = self.of(self.numbers.equations, "Eq.")
        figure = self.of(self.numbers.figures, "Figure")
        number = re.compile(rf"(?<![\w.]){NUMBER}(?![\w])")
        text = EQUATIONS.sub(lambda m: number.sub(lambda n: equation(n[0]), m[0]), text)
        text = FIGURES.sub(lambda m: number.sub(lambda n: figure(n[0]), m[0]), text)
        exercise = self.of(self.numbers.exercises, "Exercise")
        text = EXERCISES.sub(lambda m: number.sub(lambda n: exercise(n[0]), m[0]), text)
        text = ATTEMPT.sub(lambda m: m[1] + exercise(m[2]) + m[3], text)
        for pattern in (TAG, CHECK):
            text = pattern.sub(lambda m: m[1] + equation(m[2]) + m[3], text)
        return text

    def markdown(self, text: str) -> str:
        """The same, and numbers that stand alone in brackets outside of code and formulas."""
        citation = self.of(self.numbers.equations, "", strict=False)
        done, end = [], 0
        for kept in [*CODE_OR_FORMULA.finditer(text), None]:
            prose = text[end : kept.start() if kept else None]
            cited = [match.span() for match in EQUATIONS.finditer(prose)]
            bare = partial(self._bare, cited=cited, new=citation)
            done.append(BARE.sub(bare, prose))
            if kept:
                done.append(kept[0])
                end = kept.end()
        return self.text("".join(done))

    @staticmethod
    def _bare(match: re.Match, cited: list[tuple[int, int]], new: Callable[[str], str]) -> str:
        """One number in brackets; those in "Eqs. (3.4) and (3.5)" are left to `text`."""
        if any(start <= match.start() < end for start, end in cited):
            return match[0]
        return match[1] + new(match[2]) + match[3]

    def notebook(self, notebook: NotebookNode) -> None:
        for cell in notebook.cells:
            move = self.markdown if cell.cell_type == "markdown" else self.text
            cell.source = move(cell.source)
            for output in cell.get("outputs", []):
                if "text" in output:
                    output.text = self.text(output.text)
                for kind, said in output.get("data", {}).items():
                    if kind.startswith("text/"):
                        output.data[kind] = self.text(said)

    def source(self, text: str, name: str) -> str:
        """A Python file, by its name."""
        text = self.text(text)
        if name in {"tests/definitions.py", "tests/derivations.py"}:
            key = self.of(self.numbers.equations, "definition")
            text = KEY.sub(lambda m: m[1] + key(m[2]) + m[3], text)
        if name.endswith("index_entries.py"):
            field = self.of(self.numbers.equations, "index")
            text = FIELD.sub(lambda m: m[1] + field(m[2]) + m[3], text)
        if name == f"tests/broken_claims/chapter_{number_of(self.label)}.py":
            figure = self.of(self.numbers.figures, "claim")
            text = CLAIM.sub(lambda m: m[1] + figure(m[2]) + m[3], text)
        folders = ("rlbook/book/exercises", "tests/wrong_answers")
        if name in {f"{folder}/chapter_{number_of(self.label)}.py" for folder in folders}:
            exercise = self.of(self.numbers.exercises, "checker")
            text = CHECKER.sub(lambda m: m[1] + exercise(m[2]) + m[3], text)
        return text


def renumber(chapter: str, root: Path = ROOT) -> list[Path]:
    """Renumber a chapter, "03", in a book; returns the files that changed.

    Raises:
        ValueError: no such chapter; a number twice; or something cites an equation, a figure
            or an exercise of the chapter that is not there. Then nothing is written.
    """
    label = label_of(number_of(chapter))
    paths = [path for path in notebooks(root / "notebooks") if label_of(path.name) == label]
    if len(paths) != 1:
        raise ValueError(f"there is no chapter {chapter}")
    moving = Renumbering(label, plan(read(paths[0]), label))
    new: dict[Path, str] = {}
    for path in notebooks(root / "notebooks"):
        moving.place, notebook = path.name, read(path)
        moving.notebook(notebook)
        new[path] = to_text(notebook)
    sources = [path for folder in ("rlbook", "tests") for path in (root / folder).rglob("*.py")]
    for path in [root / "README.md", *sorted(sources)]:
        if path.name in MADE_UP or not path.exists():
            continue
        moving.place = str(path.relative_to(root).as_posix())
        text = path.read_text(encoding="utf-8")
        new[path] = (
            moving.source(text, moving.place) if path.suffix == ".py" else moving.markdown(text)
        )
    if moving.lost:
        raise ValueError(
            "nothing is written, since these are not there:\n" + "\n".join(moving.lost)
        )
    changed = [path for path, text in new.items() if path.read_text(encoding="utf-8") != text]
    for path in changed:
        path.write_text(new[path], encoding="utf-8")
    return changed


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rlbook.book renumber", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("chapter", help="its number, 03")
    try:
        changed = renumber(parser.parse_args(arguments).chapter)
    except ValueError as error:
        print(error)
        return 1
    for path in changed:
        print(f"rewrote {path.relative_to(ROOT)}")
    return 0
