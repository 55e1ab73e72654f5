"""List every printed number that a change moves, the old one beside the new one.

    python -m rlbook.book moved                         what is not committed yet, against HEAD
    python -m rlbook.book moved --since REV             all since a commit
    python -m rlbook.book moved --list                  which notebooks reach what changed, and how
    python -m rlbook.book moved --notebooks 13 14       these, whether they reach it or not

The notebooks that reach a changed definition or a changed stored array are executed; no file is
written. Old are the outputs stored in the commit, new are those of this run: what another
processor rounds in another way has moved, too. Cells tagged `measured` are left out. Sentences
that quote an old number are listed: in the chapter itself, and, from three digits on, in the
README and in other chapters.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlbook.book.chapters import label_of, notebooks, number_of
from rlbook.book.paths import ROOT
from rlbook.book.publish.changed import Changes, Commit, called, changes
from rlbook.book.publish.compared import PRINTED, Cell, Number, Quote, compare, old_numbers, quotes
from rlbook.book.publish.execute import clean, execute
from rlbook.book.publish.launch import read

if TYPE_CHECKING:  # Jupyter's own packages come with the extra `lab`
    from nbformat import NotebookNode

Execute = Callable[["NotebookNode", Path], Any]
"""Runs a notebook in a folder; its outputs are stored in place."""


@dataclass
class Report:
    """What a change moves in one notebook."""

    notebook: str
    reached: list[str]
    cells: list[Cell] = field(default_factory=list)
    quoted: list[Quote] = field(default_factory=list)
    failed: str | None = None
    """Why its execution ended early; the cells before that are compared."""


def quoted(report: Report, root: Path) -> list[Quote]:
    """Where the notebooks' Markdown and the README hold an old number of this report."""
    numbers = old_numbers(report.cells)
    found: list[Quote] = []
    if not numbers:
        return []
    for path in notebooks(root / "notebooks"):
        for index, cell in enumerate(read(path).cells):
            if cell.cell_type == "markdown":
                where, own = f"{path.stem}, cell {index}", path.stem == report.notebook
                found += quotes(numbers, cell.source, where, own=own)
    if (readme := root / "README.md").exists():
        found += quotes(numbers, readme.read_text(encoding="utf-8"), "README.md", own=False)
    return found


def examine(path: Path, commit: Commit, reached: list[str], run: Execute) -> Report:
    """Execute one notebook, and compare with its outputs in the commit."""
    import nbformat

    report = Report(path.stem, reached)
    stored = commit.read(path.relative_to(commit.root).as_posix())
    if stored is None:
        report.failed = f"not executed: it is not in {commit.revision}"
        return report
    new = read(path)
    for cell in new.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    try:
        run(new, path.parent)
    except Exception as error:  # a cell that takes too long, or a kernel that died
        report.failed = f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
        done = [c.cell_type != "code" or c.execution_count is not None for c in new.cells]
        stop = done.index(False) if False in done else len(done)
        ended = {cell.id for cell in new.cells[stop:]}
    else:
        ended = set()
    old = nbformat.reads(stored.decode(), as_version=4)
    old.cells = [cell for cell in old.cells if cell.id not in ended]
    report.cells = compare(clean(old), clean(new))
    report.quoted = quoted(report, commit.root)
    return report


def told(report: Report) -> Iterator[str]:
    """A report in lines."""
    yield f"{report.notebook}: {_counted(_totals([report]))}"
    yield from (f"  reaches {line}" for line in report.reached)
    for cell in report.cells:
        mark = ": not compared by nbval, since processors differ" if cell.ignored else ""
        yield f"  cell {cell.index} ({cell.id}){mark}"
        yield from (f"    {line}" for line in _side_by_side(cell.numbers))
        yield from (f"    {line}" for line in cell.text)
        if cell.figure:
            yield f"    {cell.figure} changed"
    yield from (f"  quoted in {one.where}: {one.number} in {one.line!r}" for one in report.quoted)
    if report.failed:
        yield f"  ended early: {report.failed}"


def _side_by_side(numbers: list[Number]) -> list[str]:
    """Each line once, with [old -> new] where a number moved."""
    lines = dict.fromkeys((number.place, number.old_line, number.new_line) for number in numbers)
    found = []
    for _, old, new in lines:
        before = iter(PRINTED.findall(old))

        def both(match: re.Match, before: Iterator[str] = before) -> str:
            was = next(before)
            return match[0] if was == match[0] else f"[{was} -> {match[0]}]"

        found.append(PRINTED.sub(both, new).strip())
    return found


def _totals(reports: list[Report]) -> dict[str, int]:
    cells = [cell for report in reports for cell in report.cells]
    return {
        "number": sum(len(cell.numbers) for cell in cells),
        "line of other words": sum(len(cell.text) for cell in cells),
        "figure": sum(cell.figure is not None for cell in cells),
        "quoted number": sum(len(report.quoted) for report in reports),
    }


def _counted(totals: dict[str, int]) -> str:
    parts = [_number_of(count, what) for what, count in totals.items() if count]
    return ", ".join(parts) or "nothing moved"


def _number_of(count: int, what: str) -> str:
    if count == 1:
        return f"1 {what}"
    return f"{count} {what.replace('line', 'lines') if ' of ' in what else what + 's'}"


def header(found: Changes, revision: str) -> str:
    """What changed, in one line."""
    hows = list(found.definitions.values())
    counts = ", ".join(f"{hows.count(how)} {how}" for how in ("changed", "new", "gone"))
    arrays = [f"{name} ({', '.join(names)})" for name, names in found.arrays.items()]
    return (
        f"Since {revision}: definitions {counts}, {len(found.unread)} of them reached by no"
        f" notebook; stored experiments changed: {'; '.join(arrays) or 'none'}"
    )


def listing(found: Changes, chosen: list[Path]) -> Iterator[str]:
    """How each notebook reaches what changed."""
    for path in chosen:
        lines = found.reached.get(path.stem, [])
        yield path.stem if lines else f"{path.stem}: reaches nothing that changed"
        yield from (f"  reaches {line}" for line in lines)


def choose(root: Path, found: Changes, numbers: list[str] | None) -> list[Path]:
    """The notebooks of these numbers; without, those that reach a change. In reading order.

    Raises:
        ValueError: no notebook has this number.
    """
    paths = notebooks(root / "notebooks")
    if numbers is None:
        return [path for path in paths if path.stem in found.reached]
    asked = {label_of(number_of(number)) for number in numbers}
    if missing := asked - {label_of(path.name) for path in paths}:
        raise ValueError(f"there is no chapter {', '.join(sorted(missing))}")
    return [path for path in paths if label_of(path.name) in asked]


def run_on(notebook: NotebookNode, folder: Path) -> float:
    """Execute; a claim that no longer holds is something that the cell says."""
    return execute(notebook, folder, allow_errors=True)


def _summary(reports: list[Report]) -> str:
    early = sum(report.failed is not None for report in reports)
    end = f"; {early} ended early" if early else ""
    return f"{_number_of(len(reports), 'notebook')} run: {_counted(_totals(reports))}{end}"


def to_json(found: Changes, reports: list[Report], revision: str) -> str:
    """The same as the text, for a machine."""
    data = {
        "since": revision,
        "definitions": {called(target): how for target, how in found.definitions.items()},
        "arrays": found.arrays,
        "reached": found.reached,
        "unread": [called(target) for target in found.unread],
        "notebooks": [asdict(report) for report in reports],
        "totals": _totals(reports),
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str], root: Path = ROOT, run: Execute = run_on) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rlbook.book moved", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--since", metavar="REV", default="HEAD", help="a commit; by default HEAD")
    parser.add_argument("--notebooks", nargs="+", metavar="NN", help="only these, and all of them")
    parser.add_argument("--list", action="store_true", help="say what is reached, and stop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there, too")
    options = parser.parse_args(arguments)
    try:
        commit = Commit(root, options.since)
        found = changes(commit)
        chosen = choose(root, found, options.notebooks)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(header(found, options.since))
    reports: list[Report] = []
    for line in listing(found, chosen) if options.list else []:
        print(line)
    for path in [] if options.list else chosen:
        start = time.monotonic()
        reports.append(examine(path, commit, found.reached.get(path.stem, []), run))
        print(*told(reports[-1]), sep="\n")
        print(f"{path.name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    if options.json:
        options.json.write_text(to_json(found, reports, options.since), encoding="utf-8")
    print(
        f"Notebooks that reach a change: {len(found.reached)}"
        if options.list
        else _summary(reports)
    )
    return 0
