"""What changed between a commit and the working tree, and which notebooks reach it.

Definitions are compared by their syntax: comments, docstrings and layout do not count, and one
that only moved to another module has not changed. A notebook reaches what its code cells name,
what that mentions, and so on; and the stored experiments whose names stand in its code.
"""

import ast
import functools
import io
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np

from rlbook.book.chapters import notebooks
from rlbook.ground.sources import WHOLE, Modules, Source, Target, reach

MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)
How = Literal["changed", "new", "gone"]
Route = list[Target]
"""From what a notebook's cells name to the definition that changed."""


class Definition(NamedTuple):
    """One definition: its syntax, and what its names stand for."""

    words: str
    mentions: list[Target]


Table = dict[Target, Definition]


class Commit:
    """The files of one commit beside those of the working tree in `root`."""

    def __init__(self, root: Path, revision: str):
        self.root, self.revision = root, revision
        self.paths = set(self._lines("ls-tree", "-r", "--name-only", "-z", revision))
        self.differ = set(self._lines("diff", "--name-only", "--relative", "-z", revision))

    def read(self, path: str) -> bytes | None:
        """A file's content in the commit, by its path from `root`; None if it was not there."""
        if path not in self.paths:
            return None
        if path not in self.differ:
            return (self.root / path).read_bytes()
        return self._git("show", f"{self.revision}:./{path}")

    def _lines(self, *command: str) -> list[str]:
        return [line for line in self._git(*command).decode().split("\0") if line]

    def _git(self, *command: str) -> bytes:
        run = subprocess.run(["git", "-C", str(self.root), *command], capture_output=True)
        if run.returncode:
            raise ValueError(f"git {command[0]}: {run.stderr.decode().strip()}")
        return run.stdout


class Tree(Modules):
    """The package and the notebooks at one time; a notebook is a module called by its file."""

    def __init__(self, texts: Mapping[str, str]):
        """From the text of each file, by its path."""
        self.texts = {_module(path): text for path, text in texts.items()}
        self.notebooks = {_module(path) for path in texts if path.endswith(".ipynb")}

    def exists(self, name: str) -> bool:
        return name in self.texts

    def read(self, name: str) -> Source:
        return _source(self.texts.get(name, ""), name in self.notebooks)

    def table(self) -> Table:
        """Every definition of the package, and every notebook as one."""
        start = [(name, WHOLE) for name in self.notebooks]
        for name in sorted(self.texts.keys() - self.notebooks):
            start += [(name, definition) for definition in self.read(name).definitions]
        found = reach(start, self.notebooks, modules=self)
        targets = list(found)
        return {
            target: Definition(one.words, [targets[number] for number in one.mentions])
            for target, one in found.items()
        }

    def strings(self, notebook: str) -> set[str]:
        """The literal strings in a notebook's code: `load("05_mazes")` holds one."""
        walked = ast.walk(_code_of(self.texts[notebook]))
        return {
            node.value
            for node in walked
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }


def _module(path: str) -> str:
    """rlbook/deep/ppo.py gives rlbook.deep.ppo; a notebook's path gives its name."""
    pure = PurePosixPath(path)
    if pure.suffix == ".ipynb":
        return pure.stem
    return ".".join(pure.parent.parts if pure.stem == "__init__" else pure.with_suffix("").parts)


@functools.cache
def _source(text: str, is_notebook: bool) -> Source:
    if not is_notebook:
        return Source(ast.parse(text))
    source = Source(_code_of(text))
    source.loose, source.definitions = source.nodes(WHOLE), {}  # it counts whole
    return source


@functools.cache
def _code_of(notebook: str) -> ast.Module:
    """The code cells as one module; lines that begin with % or ! count as `pass`."""
    cells = json.loads(notebook)["cells"] if notebook else []
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return ast.parse(MAGIC.sub(r"\1pass", "\n\n".join(code)))


def trees(commit: Commit) -> tuple[Tree, Tree]:
    """The book in the commit, and in the working tree."""
    root = commit.root
    now = [path.relative_to(root).as_posix() for path in (root / "rlbook").rglob("*.py")]
    now += [path.relative_to(root).as_posix() for path in notebooks(root / "notebooks")]
    before = [path for path in commit.paths if re.fullmatch(r"rlbook/.*\.py", path)]
    before += [path for path in commit.paths if re.fullmatch(r"notebooks/[^/]*\.ipynb", path)]
    old = {path: (commit.read(path) or b"").decode() for path in sorted(before)}
    return Tree(old), Tree({path: (root / path).read_text("utf-8") for path in now})


def changed_definitions(old: Table, new: Table) -> dict[Target, How]:
    """What is another definition now, is new, or is gone."""
    gone = {(target[1], old[target].words): target for target in old.keys() - new.keys()}
    moved = {
        target: gone[target[1], new[target].words]
        for target in new.keys() - old.keys()
        if (target[1], new[target].words) in gone
    }
    found: dict[Target, How] = {}
    for target, now in new.items():
        before = old.get(moved.get(target, target))
        mentions = [moved.get(one, one) for one in now.mentions]
        if before is None:
            found[target] = "new"
        elif before != Definition(now.words, mentions):
            found[target] = "changed"
    left = old.keys() - new.keys() - set(moved.values())
    found |= dict.fromkeys(sorted(left), "gone")
    return {target: how for target, how in found.items() if target[1] != "__all__"}


def routes(table: Table, notebook: str) -> dict[Target, Route]:
    """All that a notebook reaches, each by a shortest way."""
    start = (notebook, WHOLE)
    ways: dict[Target, Route] = {start: []} if start in table else {}
    waiting = list(ways)
    for target in waiting:  # which grows
        for mentioned in table[target].mentions:
            if mentioned not in ways:
                ways[mentioned] = [*ways[target], mentioned]
                waiting.append(mentioned)
    return ways


def changed_arrays(commit: Commit, folder: str = "figures/data") -> dict[str, list[str]]:
    """The stored experiments whose arrays differ, "05_mazes", with the names of the arrays."""
    now = {path.relative_to(commit.root).as_posix() for path in (commit.root / folder).glob("*")}
    before = {path for path in commit.paths if PurePosixPath(path).parent.as_posix() == folder}
    found = {}
    for path in sorted(path for path in now | before if path.endswith(".npz")):
        if path in commit.paths and path not in commit.differ:
            continue
        old = _arrays(commit.read(path))
        new = _arrays((commit.root / path).read_bytes() if path in now else None)
        names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
        if names:
            found[PurePosixPath(path).stem] = names
    return found


def _arrays(content: bytes | None) -> dict[str, tuple]:
    """The arrays of a file, in a form that == compares bit for bit."""
    if content is None:
        return {}
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return {name: (str(x.dtype), x.shape, x.tobytes()) for name, x in arrays.items()}


class Changes(NamedTuple):
    """All that changed, and who reaches it."""

    definitions: dict[Target, How]
    arrays: dict[str, list[str]]
    reached: dict[str, list[str]]
    """Notebook, in reading order -> what it reaches, in words."""
    unread: list[Target]
    """What changed and no notebook reaches."""


def changes(commit: Commit) -> Changes:
    """Compare a commit with the working tree."""
    trees_ = trees(commit)
    old, new = (tree.table() for tree in trees_)
    definitions, arrays = changed_definitions(old, new), changed_arrays(commit)
    now, reached = trees_[1], {}
    used: set[Target] = set()
    for path in notebooks(commit.root / "notebooks"):
        name = path.stem
        ways = routes(old, name) | routes(new, name)
        used |= ways.keys()
        lines = [_told(ways[one], how) for one, how in definitions.items() if one in ways]
        lines += [f"load {key!r}" for key in arrays if key in now.strings(name)]
        if lines:
            reached[name] = _unique(lines)
    package = {one: how for one, how in definitions.items() if one[0] not in now.notebooks}
    return Changes(package, arrays, reached, [one for one in package if one not in used])


def _told(route: Route, how: How) -> str:
    if not route:
        return "its own code cells" if how == "changed" else f"it is {how}"
    *through, last = (called(target) for target in route)
    way = f" through {' > '.join(through)}" if through else ""
    return f"{last}{'' if how == 'changed' else f' ({how})'}{way}"


def called(target: Target) -> str:
    """A definition's full name; a module's, where all of it counts."""
    module, name = target
    return f"{module}.{name}".rstrip(".").removeprefix("rlbook.")


def _unique(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))
