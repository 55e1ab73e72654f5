"""Running unit tests and chapters with a module made wrong on purpose.

What runs them is called by `in_clean_process`: nothing of rlbook is imported there before the
mutated source is, so that everything sees the mutant.
"""

import ast
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chapters import Cell, Chapter, plain_namespace, run_source

ROOT = Path(__file__).parents[1]
NEVER_RUN = {"install", "measured"}


@dataclass(frozen=True)
class Mutant:
    """A classic mistake, as a replacement in the source of one module of rlbook."""

    module: str
    """Under rlbook, "dynamic_programming"."""
    old: str
    """Occurs exactly once in the module, or in the function that `within` names."""
    new: str
    why: str
    """The mistake in a few words, "lost gamma"."""
    chapters: tuple[str, ...] = ()
    """The chapters whose own checks must catch it, ("03",)."""
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

    def functions(self, source: str) -> set[str]:
        """The functions that this mutant makes wrong."""
        at = self.position(source)
        spans = function_spans(source).items()
        return {name for name, (start, end) in spans if start <= at < end} | set(self.stands_for)


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


# --- a module made wrong, for everything that is imported from now on


class _MutatedLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, mutant: Mutant):
        super().__init__(f"rlbook.{mutant.module}", str(mutant.path))
        self._source = mutant.apply(mutant.path.read_text(encoding="utf-8"))

    def get_code(self, fullname):
        return compile(self._source, self.path, "exec")


class _MutantFinder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant):
        self._loader = _MutatedLoader(mutant)

    def find_spec(self, fullname, path, target=None):
        if fullname != self._loader.name:
            return None
        return importlib.util.spec_from_file_location(
            fullname, self._loader.path, loader=self._loader
        )


def _prepare(mutant: Mutant | None) -> None:
    loaded = [name for name in sys.modules if name.split(".")[0] == "rlbook"]
    if loaded:
        raise RuntimeError(f"not a clean process: {loaded} are imported already")
    os.environ |= {"RLBOOK_QUIET": "1", "MPLBACKEND": "Agg", "SDL_VIDEODRIVER": "dummy"}
    import matplotlib
    import torch

    matplotlib.use("Agg")
    torch.set_num_threads(1)  # no thread pool, so that the process may fork later
    if mutant is not None:
        sys.meta_path.insert(0, _MutantFinder(mutant))


# --- what runs in them


def run_unit_tests(test_file: str, mutant: Mutant | None = None) -> tuple[int, str]:
    """pytest's exit code (0 passed, 1 failed, else broken) on tests/<test_file>, and its end."""
    _prepare(mutant)
    import hypothesis
    import pytest

    hypothesis.settings.register_profile(
        "mutation", deadline=None, database=None, phases=[hypothesis.Phase.generate]
    )
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # nbval and others take a second to load
    plugins = "-p no:cacheprovider -p _hypothesis_pytestplugin --hypothesis-profile=mutation"
    options = f"-x -q -o addopts= --noconftest --tb=line {plugins}"  # conftest.py is for nbval
    arguments = [*options.split(), "-m", "not slow"]
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main([str(ROOT / "tests" / test_file), *arguments])
    return int(code), output.getvalue()[-1500:]


@dataclass(frozen=True)
class Stop:
    """Where a chapter stopped, and by what."""

    cell: int
    exception: str
    message: str
    by_a_check: bool

    def __str__(self) -> str:
        return f"cell {self.cell}: {self.exception}: {self.message}"


def run_mutated_chapter(chapter: Chapter, mutant: Mutant | None) -> Stop | None:
    """Run a chapter's cells in order; where it stops, None if it reaches its end.

    Left out: cells tagged install, measured or heavy, and the stubs of exercises.
    """
    _prepare(mutant)
    namespace = plain_namespace()
    for cell in _cells(chapter, heavy=False):
        if stop := _run(chapter, cell, namespace):
            return stop
    return None


def run_claims(
    chapter: Chapter, broken: dict[int, list[str]]
) -> tuple[Stop | None, dict[int, list[str]]]:
    """Run a chapter once; at each claim cell, break its variables in a fork and run it there.

    What a heavy cell defines is seen by heavy cells only: every other cell must do without,
    since the mutants' runs leave heavy cells out.

    Args:
        broken: cell index -> sources, each of which must make the claim in this cell fail.

    Returns:
        Where the unbroken chapter stopped (None: nowhere), and for each claim cell reached
        what each broken variant did, "AssertionError: ..." being the right thing.
    """
    _prepare(None)
    namespace, heavy_names, outcomes = plain_namespace(), {}, {}
    for cell in _cells(chapter, heavy=True):
        heavy = "heavy" in cell.tags
        scope = namespace | heavy_names if heavy else namespace
        if "claim" in cell.tags:
            outcomes[cell.index] = [
                _in_fork(chapter, cell, source, scope) for source in broken.get(cell.index, ())
            ]
        if stop := _run(chapter, cell, scope):
            return stop, outcomes
        if heavy:
            heavy_names = {k: v for k, v in scope.items() if k not in namespace} | {
                k: v for k, v in scope.items() if k in namespace and namespace[k] is not v
            }
    return None, outcomes


def _cells(chapter: Chapter, *, heavy: bool) -> list[Cell]:
    left_out = NEVER_RUN if heavy else NEVER_RUN | {"heavy"}
    return [c for c in chapter.cells if c.code and not c.stub and not c.tags & left_out]


def _run(chapter: Chapter, cell: Cell, namespace: dict) -> Stop | None:
    from matplotlib import pyplot

    try:
        run_source(cell.source, namespace, f"chapter {chapter.number}, cell {cell.index}")
    except Exception as error:
        if "raises-exception" in cell.tags:
            return None
        message = (str(error).strip().splitlines() or [""])[0][:300]
        by_a_check = isinstance(error, AssertionError | ValueError)
        return Stop(cell.index, type(error).__name__, message, by_a_check)
    finally:
        pyplot.close("all")
    return None


def _in_fork(chapter: Chapter, cell: Cell, source: str, namespace: dict) -> str:
    """Execute `source`, then the cell, in a child process: what the cell raised, in words."""
    with tempfile.TemporaryFile("w+") as report:
        child = os.fork()
        if child == 0:
            outcome = "the breaking source itself failed"
            try:
                run_source(source, namespace, f"broken claim {chapter.number}.{cell.index}")
                outcome = str(_run(chapter, cell, namespace) or "the claim still holds")
            except BaseException as error:
                outcome = f"{outcome}: {type(error).__name__}: {error}"
            finally:
                json.dump(outcome, report)
                report.flush()
                os._exit(0)
        os.waitpid(child, 0)
        report.seek(0)
        return json.load(report)
