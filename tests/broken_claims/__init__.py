"""For each cell tagged `claim`, what makes it false: a claim that cannot fail claims nothing.

chapter_NN.py (chapter_A.py for an appendix) lists in BROKEN entries of a claim cell, the source
that breaks the variables it reads (executed just before it, in its namespace), and why the claim
must then fail. The cell is named by the figure above it, "3.2", or by a fragment of its source.
"""

from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from parsed_notebook import Notebook, chapters, tags_of


class Broken(NamedTuple):
    claim: str
    source: str
    why: str


CACHE_LOST = "from rlbook.language.reader import Reader; Reader.read = lambda self, tokens: None"
"""A model that has forgotten what it read before draws every token, and writes word salad."""

BROKEN: dict[str, list[Broken]] = {
    path.stem.removeprefix("chapter_"): import_module(f"broken_claims.{path.stem}").BROKEN
    for path in sorted(Path(__file__).parent.glob("chapter_*.py"))
}
"""chapter "03" -> the entries of chapter_03.py."""


def claims(chapter: Notebook) -> list[int]:
    """The indices of its claim cells."""
    return [index for index, cell in enumerate(chapter.cells) if "claim" in tags_of(cell)]


def matches(broken: Broken, chapter: Notebook) -> list[int]:
    """The claim cells that an entry of BROKEN may mean; it should be exactly one."""
    return [
        index
        for index in claims(chapter)
        if broken.claim == chapter.figure_above(index)
        or broken.claim in chapter.cells[index].source
    ]


def breaking_sources(number: str) -> dict[int, list[str]]:
    """Cell index -> the sources that break the claim in this cell."""
    sources = defaultdict(list)
    for broken in BROKEN.get(number, ()):
        for index in matches(broken, chapters()[number]):
            sources[index].append(broken.source)
    return dict(sources)
