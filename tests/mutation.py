"""Mutants: the functions of rlbook made wrong on purpose. mutant_runs.py runs tests with them."""

import ast
import importlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutant:
    """A classic mistake, as a replacement in the source of one module of rlbook."""

    module: str
    """Under rlbook, "planning.mdp"."""
    old: str
    """Occurs exactly once in the module, or in the function that `within` names; in a body."""
    new: str
    why: str
    """The mistake in a few words, "lost gamma"."""
    chapters: tuple[str, ...] = ()
    """The chapter whose own checks must catch it, ("03",): one, as each run costs time."""
    within: str | None = None
    """A function, or "Class.method"."""
    stands_for: tuple[str, ...] = ()
    """Public functions that this mutant also makes wrong, if it sits in a helper."""
    tests: str | None = None
    """The file in tests/ that must catch it; test_<module>.py by default."""

    def __str__(self) -> str:
        return f"{self.module}: {self.why}"

    @property
    def path(self) -> Path:
        return ROOT / "rlbook" / (self.module.replace(".", "/") + ".py")

    @property
    def test_file(self) -> str:
        return self.tests or f"test_{self.module.split('.')[-1]}.py"

    def position(self, source: str) -> int:
        """Where `old` begins; ValueError unless it occurs exactly once."""
        start, end = 0, len(source)
        if self.within is not None:
            if self.within not in (spans := function_spans(source)):
                raise ValueError(f"stale mutant: no function {self.within} in {self.path.name}")
            start, end = spans[self.within]
        count = source.count(self.old, start, end)
        if count != 1:
            place = self.within or self.path.name
            raise ValueError(f"stale mutant: {self.old!r} occurs {count} times in {place}")
        return source.index(self.old, start, end)

    def apply(self, source: str) -> str:
        """The mutated source; ValueError if the mutant is stale or changes nothing."""
        at = self.position(source)
        mutated = source[:at] + self.new + source[at + len(self.old) :]
        if ast.dump(ast.parse(mutated)) == ast.dump(ast.parse(source)):
            raise ValueError(f"the mutant changes nothing: {self.old!r} -> {self.new!r}")
        return mutated

    def function_name(self, source: str) -> str:
        """The function in which it stands; ValueError if in none."""
        at = self.position(source)
        for name, (start, end) in function_spans(source).items():
            if start <= at and at + len(self.old) <= end:
                return name
        raise ValueError(f"not inside a function or method: {self.old!r}")

    def functions(self, source: str) -> set[str]:
        """The functions that this mutant makes wrong."""
        return {self.function_name(source)} | set(self.stands_for)

    def function(self) -> FunctionType:
        """The right function, where the book's code calls it."""
        found = importlib.import_module(f"rlbook.{self.module}")
        for part in self.function_name(self.path.read_text(encoding="utf-8")).split("."):
            found = inspect.getattr_static(found, part)
        found = getattr(found, "fget", getattr(found, "func", found))  # (cached) properties
        return inspect.unwrap(found)

    def code(self, source: str) -> CodeType:
        """The wrong function's code; ValueError unless the mistake is in its body."""
        name, mutated = self.function_name(source), self.apply(source)
        if _signature(source, name) != _signature(mutated, name):
            raise ValueError(f"changes the signature of {name}, not its body: {self.old!r}")
        pending = [compile(mutated, str(self.path), "exec")]
        for code in pending:
            if code.co_qualname == name:
                return code
            pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        raise ValueError(f"no function {name} after the mutation")


def function_spans(source: str) -> dict[str, tuple[int, int]]:
    """Where each function of a module stands: "f" or "Class.method" -> (start, end)."""
    lines = [0]
    for line in source.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))

    def walk(body, prefix):
        for node in body:
            if isinstance(node, ast.FunctionDef):
                yield prefix + node.name, (lines[node.lineno - 1], lines[node.end_lineno])
            elif isinstance(node, ast.ClassDef):
                yield from walk(node.body, f"{prefix}{node.name}.")

    return dict(walk(ast.parse(source).body, ""))


def _signature(source: str, name: str) -> list[str]:
    """The arguments, with their defaults, of the functions of this name."""
    return [
        ast.dump(node.args)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == name.split(".")[-1]
    ]
