"""Two runs of one notebook, compared: numbers, words, pictures; and who quotes an old number."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rlbook.book.chapters import NUMBER
from rlbook.book.publish.renumber import CAPTION, CODE_OR_FORMULA

if TYPE_CHECKING:  # Jupyter's own packages come with the extra `lab`
    from nbformat import NotebookNode

PRINTED = re.compile(
    r"(?<![\w.])[-+−]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?(?:[eE][-+]?\d+)?"
    r"|(?<![\w.])[-+−]?\.\d+(?:[eE][-+]?\d+)?|(?<![\w.])[-+−]?\b(?:nan|inf)\b"
)
"""A number; the digits of `k3` and of `float64` are none."""
NOT_QUOTED = re.compile(
    rf"\b(?:Eqs?\.|Figures?|Sections?|Exercises?|Chapters?|chapters?|Part)\s+\(?{NUMBER}"
    rf"|\({NUMBER}\)|\\tag\{{[^}}]*\}}|\]\([^)]*\)|^#+ [\w.]+|^\s*\d+\. ",
    re.MULTILINE,
)
"""What only looks like a quoted number."""
SHORT = 2
"""Numbers of so few digits are looked for in the chapter only, outside of code and formulas."""


@dataclass
class Number:
    """One number that moved, and the line around it, old and new."""

    old: str
    new: str
    old_line: str
    new_line: str
    place: int
    """Of the new line among those of the cell, from 0."""


@dataclass
class Cell:
    """What moved in one cell; the index counts all cells, from 0."""

    index: int
    id: str
    ignored: bool
    """Tagged nbval-ignore-output: it may differ from processor to processor."""
    numbers: list[Number] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    """Lines whose words changed, with - or + in front."""
    figure: str | None = None
    """The picture that changed, by the number in its caption."""


@dataclass
class Quote:
    """A sentence that holds the old value of a number that moved."""

    number: str
    where: str
    line: str


def compare(old: NotebookNode, new: NotebookNode) -> list[Cell]:
    """What differs between the outputs of two runs, cell by cell; cells belong together by id."""
    before = {cell.id: cell for cell in old.cells if _counts(cell)}
    moved = []
    for index, cell in enumerate(new.cells):
        if not _counts(cell):
            continue
        stored = before.get(cell.id)
        found = Cell(index, cell.id, "nbval-ignore-output" in cell.metadata.get("tags", []))
        found.numbers, found.text = compare_lines(lines_of(stored), lines_of(cell))
        if _pictures(stored) != _pictures(cell):
            found.figure = _figure(new.cells, index)
        moved.append(found)
    left = before.keys() - {cell.id for cell in new.cells}
    for index, cell in enumerate(old.cells):
        if cell.id in left and lines_of(cell):
            moved.append(Cell(index, cell.id, False, text=[f"- {x}" for x in lines_of(cell)]))
    return [cell for cell in moved if cell.numbers or cell.text or cell.figure]


def compare_lines(old: list[str], new: list[str]) -> tuple[list[Number], list[str]]:
    """The numbers that moved in lines of the same words, and a diff of the other lines."""
    numbers, text = [], []
    words = [list(map(_words, lines)) for lines in (old, new)]
    both = difflib.SequenceMatcher(None, words[0], words[1], autojunk=False)
    for kind, i, i_end, j, j_end in both.get_opcodes():
        if kind != "equal":
            text += [f"- {line}" for line in old[i:i_end]] + [f"+ {line}" for line in new[j:j_end]]
            continue
        for place, before, after in zip(range(j, j_end), old[i:i_end], new[j:j_end], strict=True):
            pairs = zip(PRINTED.findall(before), PRINTED.findall(after), strict=True)
            numbers += [Number(a, b, before, after, place) for a, b in pairs if a != b]
    return numbers, text


def _words(line: str) -> str:
    """A line without its numbers and its spaces, which give way to longer numbers."""
    return re.sub(r"\s+", "", PRINTED.sub("#", line))


def _counts(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and "measured" not in cell.metadata.get("tags", [])


def lines_of(cell: NotebookNode | None) -> list[str]:
    """What a cell printed, and its values as text; an exception is its name and message."""
    said = []
    for output in cell.outputs if cell else []:
        data = output.get("data", {})
        if output.output_type == "error":
            said.append(f"{output.ename}: {output.evalue}")
        elif "text" in output:
            said.append(output.text)
        elif "text/markdown" in data or "text/html" in data:
            html = re.sub(r"</(?:tr|p|div|li)>|<br/?>", "\n", data.get("text/html", ""))
            said.append(data.get("text/markdown") or re.sub(r"<[^>]+>", " ", html))
        elif not any(kind.startswith("image/") for kind in data):
            said.append(data.get("text/plain", ""))
    return [line.rstrip() for text in said for line in text.splitlines() if line.strip()]


def _pictures(cell: NotebookNode | None) -> list[Any]:
    shown = [output.get("data", {}) for output in (cell.outputs if cell else [])]
    return [v for data in shown for kind, v in data.items() if kind.startswith("image/")]


def _figure(cells: list[NotebookNode], index: int) -> str:
    """The first caption below the cell names its picture."""
    below = "\n".join(c.source for c in cells[index + 1 :] if c.cell_type == "markdown")
    caption = CAPTION.search(below)
    return f"Figure {caption[1]}" if caption else "a picture without a caption"


def digits(number: str) -> str:
    """A number as a sentence may quote it: no sign, no commas; 12,500. gives 12500."""
    return number.lstrip("+-−").replace(",", "").rstrip("." if "e" not in number else "")


def old_numbers(cells: list[Cell]) -> set[str]:
    """The digits of what moved, and of what stands in lines whose words changed."""
    found = {digits(number.old) for cell in cells for number in cell.numbers}
    for cell in cells:
        gone, come = (
            {digits(x) for line in cell.text if line[0] == sign for x in PRINTED.findall(line[2:])}
            for sign in "-+"
        )
        found |= gone - come
    return found


def quotes(numbers: set[str], markdown: str, where: str, *, own: bool) -> Iterator[Quote]:
    """The lines of a text that hold one of these numbers, digit by digit."""
    short = {x for x in numbers if len(re.sub(r"\D", "", x).lstrip("0")) <= SHORT}
    text = NOT_QUOTED.sub("", markdown.replace("{,}", ","))
    prose = CODE_OR_FORMULA.sub(lambda hidden: "\n" * hidden[0].count("\n"), text)
    for line, said, asked in zip(
        markdown.splitlines(), text.splitlines(), prose.splitlines(), strict=False
    ):
        held = {digits(x) for x in PRINTED.findall(said)} & (numbers - short)
        held |= {digits(x) for x in PRINTED.findall(asked)} & short if own else set()
        yield from (Quote(number, where, line.strip()) for number in sorted(held))
