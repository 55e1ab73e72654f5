"""Which source an experiment's numbers depend on: the definitions that it reaches, by name.

Starting from the experiment's function, every name that a definition mentions is followed to
the top-level definition behind it, in the same module or imported from another of rlbook, and
so on. A class counts whole, and so do a module's statements that define nothing. An edit of
a function that an experiment never reaches leaves its numbers valid.
"""

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
from pathlib import Path

NO_NUMBERS = {
    "rlbook.book.experiments",
    "rlbook.ground.progress",
    "rlbook.ground.checks",
    "rlbook.ground.plotting",
}
"""Modules that draw, wait or compare: no stored number depends on them."""
WHOLE = ""
"""Stands for all that a module defines."""


def source_hash(experiment) -> str:
    """One hash of every definition that the numbers of an experiment depend on; comments,
    docstrings and layout do not enter."""
    digest = hashlib.sha256()
    for (module, name), words in sorted(reached(experiment).items()):
        digest.update(f"{module} {name}\n{words}\n".encode())
    return digest.hexdigest()


def reached(experiment) -> dict[tuple[str, str], str]:
    """(module, definition) -> its syntax in words, for everything the experiment depends on."""
    own = inspect.getmodule(experiment.run)
    waiting = [(own.__name__, experiment.run.__name__), *((m, WHOLE) for m in experiment.depends)]
    follow = {own.__name__, *experiment.depends}
    found: dict[tuple[str, str], str] = {}
    while waiting:
        module, name = waiting.pop()
        if (module, name) in found or module in NO_NUMBERS:
            continue
        if module not in follow and not module.startswith("rlbook."):
            continue
        source = Source.read(module)
        if name in source.aliases and name not in source.definitions:  # a name handed on
            waiting.append(source.aliases[name])
            continue
        nodes = source.nodes(name)
        found[module, name] = " ".join(words(node) for node in nodes)
        waiting += [target for node in nodes for target in source.mentions(module, node)]
    return found


class Source:
    """One module: its top-level definitions, and what its imported names stand for."""

    def __init__(self, tree: ast.Module):
        self.definitions: dict[str, list[ast.AST]] = {}
        self.loose: list[ast.AST] = []
        for node in tree.body:
            for name in _defined(node):
                self.definitions.setdefault(name, []).append(node)
            if not _defined(node) and not _is_docstring(node) and not _is_import(node):
                self.loose.append(node)
        self.aliases = dict(_aliases(tree))

    @classmethod
    def read(cls, module: str) -> "Source":
        path = module_path(module)
        return _read(path, path.stat().st_mtime_ns)

    def nodes(self, name: str) -> list[ast.AST]:
        """The syntax of one definition, with the module's loose statements; all, if WHOLE or if
        the name is not one that is defined at the top level."""
        if name in self.definitions:
            return [*self.definitions[name], *self.loose]
        whole = {id(node): node for nodes in self.definitions.values() for node in nodes}
        return [*whole.values(), *self.loose]

    def mentions(self, module: str, node: ast.AST) -> list[tuple[str, str]]:
        """The definitions that a piece of syntax names."""
        found, inside = [], set()
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                target = self.aliases.get(part.value.id)
                if target is not None and target[1] == WHOLE:  # a module: module.name
                    inside.add(id(part.value))
                    found.append((target[0], part.attr))
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and id(part) not in inside:
                if part.id in self.definitions:
                    found.append((module, part.id))
                elif part.id in self.aliases:
                    found.append(self.aliases[part.id])
        return found


@functools.cache
def _read(path: Path, changed: int) -> Source:
    return Source(ast.parse(path.read_text(encoding="utf-8")))


def module_path(name: str) -> Path:
    """The file of a module; ValueError if there is none."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ValueError(f"an experiment depends on {name}, which does not exist")
    return Path(spec.origin)


def words(node) -> str:
    """Syntax in words that do not depend on layout or on Python's version."""
    if isinstance(node, ast.AST):
        fields = dict(ast.iter_fields(node))
        if isinstance(fields.get("body"), list):
            fields["body"] = [part for part in fields["body"] if not _is_docstring(part)]
        inner = [f"{k}={words(v)}" for k, v in fields.items() if v is not None and v != []]
        return f"{type(node).__name__}({', '.join(inner)})"
    if isinstance(node, list):
        return f"[{', '.join(words(part) for part in node)}]"
    return repr(node)


def _defined(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        targets = [name for target in node.targets for name in ast.walk(target)]
        return [name.id for name in targets if isinstance(name, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _aliases(tree: ast.Module):
    """Imported name -> (module, definition), or (module, WHOLE) where it names a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0], (alias.name, WHOLE)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_module = inner.startswith("rlbook.") and _exists(inner)
                target = (inner, WHOLE) if is_module else (node.module, alias.name)
                yield alias.asname or alias.name, target


def _exists(name: str) -> bool:
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent is a module, not a package
        return False


def _is_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _is_docstring(node: ast.AST) -> bool:
    """A string that stands alone: a docstring, or the line under a field of a dataclass."""
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant and isinstance(node.value.value, str)
