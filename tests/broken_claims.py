"""For each cell tagged `claim`, what makes it false: a claim that cannot fail claims nothing.

BROKEN[chapter] lists entries of a claim cell, the source that breaks the variables it reads
(executed just before it, in its namespace), and why the claim must then fail. The cell is
named by the figure above it, "3.2", or by a fragment of its source.
"""

from typing import NamedTuple


class Broken(NamedTuple):
    claim: str
    source: str
    why: str


BROKEN: dict[str, list[Broken]] = {}
