"""For each cell tagged `claim`, what makes it false: a claim that cannot fail claims nothing.

chapter_NN.py lists in BROKEN entries of a claim cell, the source that breaks the variables it
reads (executed just before it, in its namespace), and why the claim must then fail. The cell is
named by the figure above it, "3.2", or by a fragment of its source.
"""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple


class Broken(NamedTuple):
    claim: str
    source: str
    why: str


BROKEN: dict[str, list[Broken]] = {
    path.stem.removeprefix("chapter_"): import_module(f"broken_claims.{path.stem}").BROKEN
    for path in sorted(Path(__file__).parent.glob("chapter_*.py"))
}
"""chapter "03" -> the entries of chapter_03.py."""
