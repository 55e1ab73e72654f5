"""The source that a result depends on: the definitions that some function reaches, by name.

Every name that a definition mentions is followed to the top-level definition behind it, in the
same module or imported from another of rlbook, also through the faces of its folders, and so
on. A class counts whole, and so do a module's statements that define nothing but change what is
defined. An edit of a function that is never reached leaves a result valid, and so does moving a
definition to another module: no module's name enters the hash, only which definition mentions
which.
"""

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Collection, Iterable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple

WHOLE = ""
"""Stands for all that a module defines."""
Target = tuple[str, str]
"""(module, definition), or (module, WHOLE)."""


class Reached(NamedTuple):
    """One definition that a result depends on."""

    words: str
    """Its syntax."""
    mentions: list[int]
    """What its names stand for: the numbers of other definitions, in the order of `reach`."""


def source_hash(found: dict[Target, Reached]) -> str:
    """One hash of what `reach` found; comments, docstrings, layout and the modules' names do not
    enter."""
    digest = hashlib.sha256()
    for (_, name), (text, mentions) in found.items():
        digest.update(f"{name}\n{text}\n{mentions}\n".encode())
    return digest.hexdigest()


class Modules:
    """Where modules are read from: here, the files that Python would import."""

    def read(self, name: str) -> "Source":
        """Its definitions and imports."""
        return Source.read(name)

    def exists(self, name: str) -> bool:
        """Whether there is a module of this name."""
        return _exists(name)


INSTALLED = Modules()


def reach(
    start: Iterable[Target],
    follow: Collection[str] = (),
    left_out: Collection[str] = (),
    modules: Modules = INSTALLED,
) -> dict[Target, Reached]:
    """Every definition that some definitions lead to, themselves included, in the order in which
    it is first mentioned.

    Args:
        start: where to begin.
        follow: modules outside of rlbook that are followed, too.
        left_out: modules of rlbook that are not.
        modules: where they are read from.
    """
    numbers: dict[Target, int] = {}
    waiting: list[Target] = []

    def number(target: Target) -> int | None:
        """Of a definition; it waits to be read if it is a new one. None if no number depends
        on it, or if it is none of ours."""
        target = resolve(target, follow, modules)
        if target[0] in left_out or not _is_ours(target[0], follow):
            return None
        if target not in numbers:
            numbers[target] = len(numbers)
            waiting.append(target)
        return numbers[target]

    for target in start:
        number(target)
    found: dict[Target, Reached] = {}
    for module, name in waiting:  # which grows
        source = modules.read(module)
        nodes = source.nodes(name)
        targets = [t for node in nodes for t in source.mentions(module, node, follow, modules)]
        mentioned = [number(target) for target in targets]
        text = " ".join(words(node) for node in nodes)
        found[module, name] = Reached(text, [n for n in mentioned if n is not None])
    return found


def resolve(target: Target, follow: Collection[str] = (), modules: Modules = INSTALLED) -> Target:
    """The definition behind a name, or the module, however many modules hand it on."""
    module, name = target
    if name == WHOLE or not _is_ours(module, follow):
        return target
    source = modules.read(module)
    handed_on = source.aliases.get(name)
    if name in source.definitions or (handed_on is None and not modules.exists(f"{module}.{name}")):
        return target
    if handed_on is None or handed_on == target:  # `from rlbook.deep import ppo`, also in its face
        return f"{module}.{name}", WHOLE
    return resolve(handed_on, follow, modules)


class Source:
    """One module: its top-level definitions, and what its imported names stand for."""

    def __init__(self, tree: ast.Module):
        self.definitions: dict[str, list[ast.AST]] = {}
        self.loose: list[ast.AST] = []
        for node in tree.body:
            for name in _defined(node):
                self.definitions.setdefault(name, []).append(node)
            if not (_defined(node) or _is_docstring(node) or _is_import(node) or _is_guard(node)):
                self.loose.append(node)
        self.aliases = dict(_aliases(tree))

    @classmethod
    def read(cls, module: str) -> "Source":
        path = module_path(module)
        return _read(path, path.stat().st_mtime_ns)

    def nodes(self, name: str) -> list[ast.AST]:
        """The syntax of one definition, with the loose statements that bear on it; all of the
        module, if WHOLE or if the name is not one that is defined at the top level."""
        if name in self.definitions:
            return [*self.definitions[name], *(x for x in self.loose if self._bears_on(x, name))]
        whole = {id(node): node for nodes in self.definitions.values() for node in nodes}
        return [*whole.values(), *self.loose]

    def _bears_on(self, statement: ast.AST, name: str) -> bool:
        """Whether a statement names this definition, or none at all, as a global setting does."""
        named = {part.id for part in ast.walk(statement) if isinstance(part, ast.Name)}
        named &= self.definitions.keys()
        return name in named or not named

    def mentions(
        self,
        module: str,
        node: ast.AST,
        follow: Collection[str] = (),
        modules: Modules = INSTALLED,
    ) -> Iterator[Target]:
        """The definitions that a piece of syntax names."""
        inside = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                target = self.aliases.get(part.value.id)
                target = target and resolve(target, follow, modules)
                if target is not None and target[1] == WHOLE:  # a module: module.name
                    inside.add(id(part.value))
                    yield target[0], part.attr
        for part in (part for part in ast.walk(node) if isinstance(part, ast.Name)):
            if isinstance(part.ctx, ast.Load) and id(part) not in inside:
                if part.id in self.definitions:
                    yield module, part.id
                elif part.id in self.aliases:
                    yield self.aliases[part.id]


@functools.cache
def _read(path: Path, changed: int) -> Source:
    return Source(ast.parse(path.read_text(encoding="utf-8")))


def module_path(name: str) -> Path:
    """The file of a module, or of a script that runs; ValueError if there is none."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None and (spec := _spec(name)) is not None:
        file = spec.origin
    if file is None or not Path(file).is_file():  # `<stdin>`, or built in
        raise ValueError(f"the source of module {name} is in no file")
    return Path(file)


def words(node) -> str:
    """Syntax in words that do not depend on layout or on Python's version."""
    if isinstance(node, ast.AST):
        fields = dict(ast.iter_fields(node))
        if isinstance(fields.get("body"), list):
            fields["body"] = [part for part in fields["body"] if not _is_docstring(part)]
        inner = [f"{k}={words(v)}" for k, v in fields.items() if v is not None and v != []]
        return f"{type(node).__name__}({', '.join(inner)})"
    if isinstance(node, list):
        return f"[{', '.join(words(part) for part in node if not _is_import(part))}]"
    return repr(node)


def _defined(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        parts = [part for target in node.targets for part in ast.walk(target)]
        return [part.id for part in parts if isinstance(part, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _aliases(tree: ast.Module) -> Iterator[tuple[str, Target]]:
    """Imported name -> (module, definition), or (module, WHOLE) where it names a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0], (alias.name, WHOLE)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, (node.module, alias.name)


def _is_ours(module: str, follow: Collection[str]) -> bool:
    return module in follow or module.split(".")[0] == "rlbook"


@functools.cache
def _exists(name: str) -> bool:
    return _spec(name) is not None


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):  # in a module that is no package; or a notebook
        return None


def _is_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _is_guard(node: ast.AST) -> bool:
    """What runs for a type checker, or as a command."""
    guards = "TYPE_CHECKING", "__name__ == '__main__'"
    return isinstance(node, ast.If) and ast.unparse(node.test) in guards


def _is_docstring(node: ast.AST) -> bool:
    """A string that stands alone: a docstring, or the line under a field of a dataclass."""
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
