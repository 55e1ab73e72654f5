"""Runs of a test file and of a chapter, each with its mutants; called by `in_clean_process`."""

import contextlib
import io
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutation import ROOT, Mutant
from parsed_notebook import STUB, Notebook, plain_namespace, run_source, tags_of
from splitting import all_served, is_split_off, no_splits, run_with_splits, split

NEVER_RUN = {"install", "measured"}
WITHOUT_HEAVY = "without heavy cells"


def _prepare() -> None:
    os.environ |= {"RLBOOK_QUIET": "1", "MPLBACKEND": "Agg", "SDL_VIDEODRIVER": "dummy"}
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # what a GPU holds cannot be forked
    import matplotlib
    import torch
    import tqdm.auto

    tqdm.auto.tqdm.get_lock()  # made here, it is tidied up; made in forks, it is not
    matplotlib.use("Agg")
    torch.set_num_threads(1)  # no thread pool, so that the process may fork


# --- a test file


def run_unit_tests(test_file: str, mutants: Sequence[Mutant] = ()):
    """Run tests/<test_file>; the result and each mutant's outcome are pytest's exit code
    (0 passed, 1 failed, else broken) and its output: of a mutant the end, without tracebacks."""
    _prepare()
    return run_with_splits(mutants, _run_pytest, test_file)


class _Tracebacks:
    """Of what fails in the right code's run. A mutant is to fail, and nobody reads how."""

    @staticmethod
    def pytest_runtest_makereport(item) -> None:
        item.config.option.tbstyle = "line" if is_split_off() else "short"


def _run_pytest(test_file: str) -> tuple[int, str]:
    import hypothesis
    import pytest

    hypothesis.settings.register_profile(
        "mutation",
        max_examples=20,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),  # mutants' time counts as the test's
    )
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # nbval and others take a second to load
    plugins = "-p no:cacheprovider -p _hypothesis_pytestplugin --hypothesis-profile=mutation"
    options = f"-x -q -o addopts= --noconftest --tb=short --capture=sys {plugins}"
    arguments = [*options.split(), "-m", "not slow"]
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main([str(ROOT / "tests" / test_file), *arguments], plugins=[_Tracebacks()])
    printed = output.getvalue()
    return int(code), printed[-1500:] if is_split_off() else printed


# --- a chapter


@dataclass(frozen=True)
class Stop:
    """Where a chapter stopped, and by what."""

    cell: int
    exception: str
    message: str
    by_a_check: bool
    traceback: str = ""
    """From the cell on, of the right code's run; empty of what was split off."""

    def __str__(self) -> str:
        return f"cell {self.cell}: {self.exception}: {self.message}"


def run_chapter(
    path: Path,
    mutants: Sequence[Mutant] = (),
    broken: dict[int, list[str]] | None = None,
) -> tuple[Stop | None, dict]:
    """Run a chapter's cells in order, without the stubs of exercises, install and measured cells.

    Mutants meet no heavy cells, and what holds in the chapter must hold without them.

    Args:
        broken: cell index -> sources, each of which must make the claim in this cell fail. None:
            run only what the mutants need, no heavy cells, nothing after the last of them.

    Returns:
        Where the chapter stopped (None: nowhere), and the outcomes: the same for each mutant
        whose function is called and for WITHOUT_HEAVY if there are heavy cells; for (cell
        index, number of the source) what the source did, "AssertionError: ..." being right.
    """
    _prepare()
    return run_with_splits(mutants, _run_cells, Notebook.read(path), broken)


def _run_cells(chapter: Notebook, broken: dict[int, list[str]] | None) -> Stop | str | None:
    namespace = plain_namespace()
    seen_heavy = False
    for index, cell in enumerate(chapter.cells):
        tags = set(tags_of(cell))
        if cell.cell_type != "code" or tags & NEVER_RUN or STUB.search(cell.source):
            continue
        if broken is None and not is_split_off() and all_served():
            return None
        if "heavy" in tags:
            if broken is None or is_split_off() or (not seen_heavy and split(WITHOUT_HEAVY)):
                continue
            seen_heavy = True
        if broken and not is_split_off():
            for number, source in enumerate(broken.get(index, ())):
                if split((index, number)):
                    return _run_broken(chapter, index, source, namespace)
        with no_splits() if "heavy" in tags else contextlib.nullcontext():
            if stop := _run(chapter, index, namespace):
                return stop
    return None


def _run(chapter: Notebook, index: int, namespace: dict) -> Stop | None:
    from matplotlib import pyplot

    cell = chapter.cells[index]
    try:
        run_source(cell.source, namespace, f"chapter {chapter.number}, cell {index}")
    except Exception as error:
        if "raises-exception" in tags_of(cell):
            return None
        message = (str(error).strip().splitlines() or [""])[0][:300]
        by_a_check = isinstance(error, AssertionError | ValueError)
        shown = "" if is_split_off() else _traceback(error)
        return Stop(index, type(error).__name__, message, by_a_check, shown)
    finally:
        pyplot.close("all")
    return None


def _traceback(error: Exception) -> str:
    """Without the frames of this file."""
    frames = error.__traceback__
    while frames is not None and not frames.tb_frame.f_code.co_filename.startswith("<chapter"):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


def _run_broken(chapter: Notebook, index: int, source: str, namespace: dict) -> str:
    """Execute `source`, then the cell: what the cell raised, in words."""
    try:
        run_source(source, namespace, f"broken claim {chapter.number}.{index}")
    except Exception as error:
        return f"the breaking source itself failed: {type(error).__name__}: {error}"
    return str(_run(chapter, index, namespace) or "the claim still holds")
