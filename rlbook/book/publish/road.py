"""A chapter's road and its folds: what is closed, and how many minutes it takes.

    python -m rlbook.book folds [--check] NOTEBOOK...    close what its name says is closed
    python -m rlbook.book times [--check] [CHAPTER ...]  write Read, Do and Dig into box and README

A fold is a Markdown cell that holds only a heading like `#### ▸ Why: ... (4 min)`, with all cells
up to the next heading of that level or a higher one. A closed cell is code that shows its first
line, a comment. Sources decide, and `folds` (like `execute` and `clean`) sets the metadata and
tags that follow from them. All that is not in a fold is the road.

Minutes: see `reading_minutes`, `doing_minutes` and `times`.
"""

from __future__ import annotations

import argparse
import copy
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rlbook.book.chapters import CHAPTERS, NUMBER, label_of, number_of
from rlbook.book.paths import ROOT
from rlbook.book.publish.launch import LAUNCH, read, to_text

if TYPE_CHECKING:  # Jupyter's own packages come with the extra `lab`
    from nbformat import NotebookNode

KINDS = "Why", "Checked", "Answer", "More", "How it was computed", "Side roads"
"""What a fold's title begins with."""
TITLE = re.compile(rf"#### ▸ ({'|'.join(KINDS)})\b.*")
CLOSED = re.compile(r"# (Imports|Eqs?\. \(|Figures? \w+\.\d|Lab\b|The checker of|Checked\b)")
"""The first lines that close a code cell; one that is closed already may begin otherwise."""
STOP = "A good place to stop"
FENCE = re.compile(r"^([ ]*)(```|~~~).*?^[ ]*\2[ ]*$", re.DOTALL | re.MULTILINE)
DETAILS = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
BLOCK = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)
FORMULA = re.compile(r"(?<![\\$])\$(?!\$)[^$\n]*(?:\n[^$\n]+)*?\$")
PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)|<img\b[^>]*>")
TABLE = re.compile(r"(?:^[ ]*\|.*(?:\n|\Z)){2,}", re.MULTILINE)
LINKS_ONLY = re.compile(r"^(?: *\[[^\]]*\]\([^)]*\) *·?)+$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\([^)\s]*\)")
BOX = re.compile(r"\*\*Read (\d+) · Do (\d+) · Dig (\d+)\*\*")
MINUTES = re.compile(r"(\()\d+( min\b)")  # in a fold's title
EXERCISE = re.compile(rf"(?:#+ |\*\*)Exercise ({NUMBER})(?:\*\*)?:?\s*(?:\(([^)]*)\))?")
ASKED = re.compile(r"\*\*(?:Predict|Your turn)\b")
WARM_UP = re.compile(r"\*\*Warm-up\b")
LAB = re.compile(r"#{2,4} Lab\b")


# ---------------------------------------------------------------- the road and its folds


class Fold(NamedTuple):
    """A closed heading, cell `start`, and the cells under it, up to `stop` (not included)."""

    kind: str
    title: str
    start: int
    stop: int


def tags_of(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def headings(source: str) -> list[tuple[int, str]]:
    """Level and text of each heading in a Markdown cell."""
    found = re.findall(r"^(#{1,6}) +(.+?) *$", FENCE.sub("", source), re.MULTILINE)
    return [(len(marks), text) for marks, text in found]


def folds(cells: list[NotebookNode]) -> list[Fold]:
    """The folds of a notebook, in order. As in JupyterLab, a fold ends before the first Markdown
    cell that has a heading of its level, 4, or of a higher one."""
    levels = [
        min([level for level, _ in headings(c.source)] or [9]) if c.cell_type == "markdown" else 9
        for c in cells
    ]
    found = []
    for start, cell in enumerate(cells):
        title = cell.source.strip()
        if cell.cell_type == "markdown" and (match := TITLE.fullmatch(title)):
            stop = next((i for i in range(start + 1, len(cells)) if levels[i] <= 4), len(cells))
            found.append(Fold(match[1], title.removeprefix("#### "), start, stop))
    return found


def set_folds(notebook: NotebookNode) -> NotebookNode:
    """Set what closes headings and cells, and the tag `fold` of the cells inside, in place."""
    found = folds(notebook.cells)
    heads = {fold.start for fold in found}
    inside = {index for fold in found for index in range(fold.start + 1, fold.stop)}
    for index, cell in enumerate(notebook.cells):
        cell.metadata.pop("jp-MarkdownHeadingCollapsed", None)
        if index in heads:
            cell.metadata["jp-MarkdownHeadingCollapsed"] = True
        tags = [tag for tag in tags_of(cell) if tag != "fold"]
        tags += ["fold"] if index in inside else []
        cell.metadata.pop("tags", None)
        if tags:
            cell.metadata["tags"] = tags
        if is_closed(cell):
            cell.metadata["jupyter"] = {"source_hidden": True}
            cell.metadata["cellView"] = "form"
    return notebook


def is_closed(cell: NotebookNode) -> bool:
    """Whether a code cell shows only its first line: by that line, or since it is marked so."""
    hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
    marked = hidden or cell.metadata.get("cellView") == "form"
    return cell.cell_type == "code" and bool(marked or CLOSED.match(cell.source))


def out_of_step(before: NotebookNode, after: NotebookNode) -> list[str]:
    """The cells whose metadata `set_folds` has changed."""
    return [
        f"cell {index} ({old.source.strip().split(chr(10))[0][:60]!r}): out of step, run python -m"
        f" rlbook.book folds: {dict(old.metadata)} should be {dict(new.metadata)}"
        for index, (old, new) in enumerate(zip(before.cells, after.cells, strict=True))
        if old.metadata != new.metadata
    ]


def fold_problems(cells: list[NotebookNode]) -> list[str]:
    """What is wrong with a notebook's folds that no metadata can mend."""
    found = []
    for index, cell in enumerate(cells):
        title = cell.source.strip().split("\n")[0][:60]
        named = cell.cell_type == "markdown" and re.search(r"^#+ .*▸", cell.source, re.MULTILINE)
        if named and not TITLE.fullmatch(cell.source.strip()):
            found.append(
                f"cell {index} ({title!r}): a fold is a cell that holds only one line,"
                f" #### ▸ and one of {', '.join(KINDS)}"
            )
    for fold in folds(cells):
        name = f"cell {fold.start} ({fold.title[:60]!r})"
        if fold.stop == fold.start + 1:
            found.append(f"{name}: nothing is in this fold")
        if fold.stop == len(cells):
            found.append(f"{name}: no heading ends this fold, so the rest vanishes into it")
        elif not re.match(r"#{2,4} ", cells[fold.stop].source):
            found.append(
                f"{name}: the cell that ends this fold, {fold.stop}, must begin with its heading"
            )
    return found


# ---------------------------------------------------------------- minutes


def is_answer(title: str) -> bool:
    """Whether a fold or <details> is the answer to a question: everybody opens it."""
    return bool(re.match(r"(▸ )?Answers?\b", title.strip()))


def unquoted(text: str) -> str:
    """Markdown without the marks of a quotation, such as the box."""
    return re.sub(r"^ *>[ ]?", "", text, flags=re.MULTILINE)


def without_details(text: str) -> tuple[str, str, str]:
    """A Markdown cell in three: what one sees and the answers in <details>, then what else is in
    <details>: hints and solutions. Marks of a quotation are taken off."""
    text = unquoted(text)
    answers = "\n\n".join(m[2] for m in DETAILS.finditer(text) if is_answer(m[1]))
    rest = "\n\n".join(m[2] for m in DETAILS.finditer(text) if not is_answer(m[1]))
    return DETAILS.sub("\n\n", text), answers, rest


def words_of(text: str) -> list[str]:
    """The words of a piece of Markdown: prose, headings and captions, without code blocks,
    formulas, tables, pictures, the addresses of links, and lines of nothing but links."""
    text = re.sub(r"<!--.*?-->", " ", LAUNCH.sub(" ", FENCE.sub(" ", text)), flags=re.DOTALL)
    for pattern in (BLOCK, FORMULA, PICTURE, TABLE):
        text = pattern.sub(" ", text)
    text = re.sub(r"<[^>]+>", " ", LINK.sub(r"\1", LINKS_ONLY.sub(" ", text)))
    return [word for word in text.split() if re.search(r"\w", word)]


def reading_minutes(text: str) -> float:
    """Of a piece of Markdown: words / 120, 0.6 for each line of displayed mathematics, 0.75 for
    each picture and table, and lines of code / 10."""
    code = [line for m in FENCE.finditer(text) for line in m[0].split("\n")[1:-1] if line.strip()]
    text = FENCE.sub(" ", text)
    lines = [line for block in BLOCK.findall(text) for line in lines_of(block)]
    text = BLOCK.sub(" ", text)
    shown = len(PICTURE.findall(text)) + len(TABLE.findall(text))
    return len(words_of(text)) / 120 + 0.6 * len(lines) + 0.75 * shown + len(code) / 10


def lines_of(block: str) -> list[str]:
    """The lines of a displayed formula."""
    bare = re.sub(r"\\(?:begin|end)\{\w+\*?\}|\\tag\{[^}]*\}", "", block)
    return [line for line in re.split(r"\\\\", bare) if line.strip()]


def code_minutes(cell: NotebookNode) -> float:
    """Of a code cell: its lines / 10, one line if it is closed or only installs, and 0.75 for each
    figure and table that it shows."""
    short = is_closed(cell) or "install" in tags_of(cell)
    lines = 1 if short else sum(bool(line.strip()) for line in cell.source.split("\n"))
    shown = sum(
        any(kind.startswith("image/") for kind in data) or "<table" in data.get("text/html", "")
        for data in (output.get("data", {}) for output in cell.get("outputs", []))
    )
    return lines / 10 + 0.75 * shown


def doing_minutes(text: str) -> float:
    """Of a piece of Markdown: 2 for each Predict or Your turn, 4 for a warm-up, 8 for an exercise,
    20 for the medium one, 10 for the lab."""
    exercise, lab = EXERCISE.match(text), LAB.match(text)
    minutes = 2 * len(ASKED.findall(text)) + 4 * len(WARM_UP.findall(text)) + 10 * bool(lab)
    return minutes + (0 if not exercise else 20 if "medium" in (exercise[2] or "") else 8)


class Minutes(NamedTuple):
    """What a cell takes: its text, and what is asked in it, on the road; and off the road."""

    read: float = 0.0
    do: float = 0.0
    dig: float = 0.0

    def plus(self, other: Minutes) -> Minutes:
        return Minutes(self.read + other.read, self.do + other.do, self.dig + other.dig)

    def rounded(self) -> tuple[int, int, int]:
        return round(self.read), round(self.do), round(self.dig)


def minutes_of(cell: NotebookNode, folded: bool = False) -> Minutes:
    """What a cell takes; `folded` if it is off the road: in a fold that is no answer."""
    if cell.cell_type == "code":
        read, do, dig = code_minutes(cell), 0.0, 0.0
    else:
        text, answers, rest = without_details(cell.source)
        read, do = reading_minutes(text) + reading_minutes(answers), doing_minutes(text)
        dig = reading_minutes(rest)
    return Minutes(dig=read + do + dig) if folded else Minutes(read, do, dig)


def times(notebook: NotebookNode) -> Minutes:
    """Read, Do and Dig of a chapter.

    Read is what is on the road, with the answers to its questions; Do is what it asks for; Dig is
    all that is in other folds, with the exercises there, and hints and solutions.
    """
    total = Minutes()
    for sitting in sittings(notebook):
        total = total.plus(sitting)
    return total


def off_the_road(cells: list[NotebookNode]) -> set[int]:
    """The cells inside folds that are no answers."""
    return {
        index
        for fold in folds(cells)
        if not is_answer(fold.title)
        for index in range(fold.start + 1, fold.stop)
    }


def sittings(notebook: NotebookNode) -> list[Minutes]:
    """The same for each stretch of the chapter that ends with "A good place to stop"."""
    found, folded = [Minutes()], off_the_road(notebook.cells)
    for index, cell in enumerate(notebook.cells):
        found[-1] = found[-1].plus(minutes_of(cell, index in folded))
        if cell.cell_type == "markdown" and (STOP in [text for _, text in headings(cell.source)]):
            found.append(Minutes())
    return found


def set_times(notebook: NotebookNode) -> Minutes:
    """Write the three numbers into the box, and a fold's minutes into its title, in place.

    Raises:
        ValueError: no box, or more than one.
    """
    boxes = [c for c in notebook.cells if c.cell_type == "markdown" and BOX.search(c.source)]
    if len(boxes) != 1:
        raise ValueError(f"wanted one box with **Read 1 · Do 2 · Dig 3**, found {len(boxes)}")
    for fold in folds(notebook.cells):
        inside = (minutes_of(cell, True).dig for cell in notebook.cells[fold.start + 1 : fold.stop])
        minutes = max(1, round(sum(inside)))
        head = notebook.cells[fold.start]
        head.source = MINUTES.sub(rf"\g<1>{minutes}\g<2>", head.source)
    total = times(notebook)
    text = "**Read {} · Do {} · Dig {}**".format(*total.rounded())
    boxes[0].source = BOX.sub(text, boxes[0].source)
    return total


def readme_row(number: str) -> re.Pattern[str]:
    """A chapter's row in the contents of the README, up to its times."""
    return re.compile(rf"(\| \[{number} [^|]*\| )[^|]*( \|)")


# ---------------------------------------------------------------- commands


def fold_file(path: Path, *, check: bool = False) -> bool:
    """Set one file's folds, or with `check` say where they are out of step; whether all is well."""
    notebook = read(path)
    before = copy.deepcopy(notebook)
    set_folds(notebook)
    problems = fold_problems(notebook.cells)
    if check:
        problems += out_of_step(before, notebook)
    elif notebook != before:
        path.write_text(to_text(notebook), encoding="utf-8")
        print(f"folded {path}")
    for line in problems:
        print(f"{path}: {line}", file=sys.stderr)
    return not problems


def time_files(chapters: list[str], *, check: bool = False, root: Path = ROOT) -> bool:
    """Write, or with `check` compare, the times of chapters in their boxes and in the README; of
    all that have a box if none is named. Whether all is well."""
    wanted = {label_of(number_of(chapter)) for chapter in chapters}
    unknown = wanted - {chapter.label for chapter in CHAPTERS}
    for label in sorted(unknown):
        print(f"there is no chapter {label}", file=sys.stderr)
    fine, readme = not unknown, root / "README.md"
    contents = before = readme.read_text(encoding="utf-8")
    for chapter in CHAPTERS:
        path = root / "notebooks" / chapter.file
        if not path.exists() or (wanted and chapter.label not in wanted):
            continue
        notebook = read(path)
        old = copy.deepcopy(notebook)
        try:
            total = set_times(notebook)
        except ValueError as error:
            if wanted:
                print(f"{path}: {error}", file=sys.stderr)
                fine = False
            continue
        said = "Read {} · Do {} · Dig {}".format(*total.rounded())
        parts = ", ".join(f"{s.read + s.do:.0f}" for s in sittings(notebook))
        print(f"{chapter.number}: {said}; Read and Do of its sittings: {parts}")
        row = " · ".join(map(str, total.rounded()))
        contents = readme_row(chapter.number).sub(rf"\g<1>{row}\g<2>", contents)
        if notebook == old:
            continue
        if check:
            print(f"{path}: the box or a fold's title gives other minutes", file=sys.stderr)
            fine = False
        else:
            path.write_text(to_text(notebook), encoding="utf-8")
    if contents != before and check:
        print("README.md: the contents give other minutes", file=sys.stderr)
    elif contents != before:
        readme.write_text(contents, encoding="utf-8")
    return fine and not (check and contents != before)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rlbook.book", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    close = commands.add_parser("folds", help="close what its name says is closed")
    close.add_argument("notebooks", nargs="+", type=Path)
    close.add_argument("--check", action="store_true", help="only say what is out of step")
    time = commands.add_parser("times", help="write Read, Do and Dig into boxes and README")
    time.add_argument("chapters", nargs="*", help="their numbers, 04; by default all with a box")
    time.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args(arguments)
    if options.command == "folds":
        results = [fold_file(path, check=options.check) for path in options.notebooks]
        return 0 if all(results) else 1
    return 0 if time_files(options.chapters, check=options.check) else 1
