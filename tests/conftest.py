"""The runs of test files and chapters with their mutants, beside all other tests.

Each is one process (mutant_runs.py). They start with the first test, and what asks for them
comes last, so that the notebooks' kernel and they share the cores.
"""

import logging
import multiprocessing
import os
import re
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import hypothesis
import pytest
from broken_claims import breaking_sources
from clean_process import HAS_FORKSERVER, in_clean_process, skip_without_forkserver
from mutant_runs import run_chapter, run_unit_tests
from parsed_notebook import chapters
from permitted_skips import unlisted

from rlbook.book.chapters import CHAPTERS

RUN_SECONDS = 1500
hypothesis.settings.register_profile("book", deadline=None)  # no test depends on the time it takes
hypothesis.settings.load_profile("book")
_NUMBERS = "|".join(chapter.number for chapter in CHAPTERS if chapter.part == "IV")
PART_4 = re.compile(rf"[/\[](?:{_NUMBERS})[_\]-]")
SMALL_MODELS = """
from rlbook.language.pretraining import pretrained
from rlbook.language.tasks import Arithmetic, Reviews

pretrained(Arithmetic()), pretrained(Reviews())
"""
os.environ.setdefault(
    "RLBOOK_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "rlbook_models")
)


class Deprecations(logging.Handler):
    """transformers announces by its log, not by a warning, what it will break."""

    def emit(self, record: logging.LogRecord) -> None:
        if "deprecated" in record.getMessage():
            raise DeprecationWarning(record.getMessage())


logging.getLogger("transformers").addHandler(Deprecations())
_pool = pytest.StashKey[ThreadPoolExecutor]()
_runs = pytest.StashKey[dict[str, Future]]()
_skips: list[tuple[str, str]] = []


@pytest.fixture
def run_of(request):
    """run_of(name of a test file, or number of a chapter) -> its result, the outcomes."""
    skip_without_forkserver()

    def result(name: str):
        try:
            return request.config.stash[_runs][name].result()
        except (RuntimeError, TimeoutError) as error:  # of the process: ours would say nothing
            pytest.fail(f"the run of {name} ended early, {error}", pytrace=False)

    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_needs_a_run)  # stable


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Start the runs that the selected tests need; the long ones first."""
    if session.config.option.collectonly:
        return
    if any(PART_4.search(item.nodeid) for item in session.items):
        pretrain()
    items = [item for item in session.items if _needs_a_run(item)]
    if not items or not HAS_FORKSERVER:
        return
    kernel = any(item.path.suffix == ".ipynb" for item in session.items)
    pool = ThreadPoolExecutor(max(1, os.cpu_count() - kernel))
    session.config.stash[_pool] = pool
    session.config.stash[_runs] = {
        name: pool.submit(in_clean_process, *work, timeout=RUN_SECONDS)
        for name, work in sorted(_work(items).items(), key=_length, reverse=True)
    }


def pretrain() -> None:
    """Make the small language models of Part IV once, while nothing else runs."""
    environment = os.environ | {"RLBOOK_QUIET": "1"}
    subprocess.run([sys.executable, "-c", SMALL_MODELS], env=environment, check=True)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember where and why something is skipped."""
    if report.skipped and not hasattr(report, "wasxfail"):
        path, _, reason = report.longrepr
        _skips.append((path, reason.removeprefix("Skipped: ")))


pytest_collectreport = pytest_runtest_logreport  # of a whole file


def pytest_terminal_summary(terminalreporter) -> None:
    for skip in unlisted(_skips):
        terminalreporter.write_line(f"FAILED: no permitted skip (tests/permitted_skips.py): {skip}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skip that is not permitted fails the run. Should tests end early, wait for nothing."""
    if unlisted(_skips) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if pool := session.config.stash.get(_pool, None):
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.kill()


def _needs_a_run(item: pytest.Item) -> bool:
    return "run_of" in getattr(item, "fixturenames", ())


def _length(entry: tuple[str, tuple]) -> str:
    """Later chapters train more; test files are short."""
    name, _ = entry
    return name if name in chapters() else ""


def _work(items: list[pytest.Item]) -> dict[str, tuple]:
    """For each name that the tests may ask for, what to call."""
    mutants = defaultdict(list)
    whole = set()  # chapters of which more than what the mutants need is run
    for item in items:
        params = item.callspec.params
        mutant = params.get("mutant")
        name = params.get("number") or params.get("test_file") or mutant.test_file
        mutants[name] += [mutant] if mutant else []
        if mutant is None:
            whole.add(name)
    work = {}
    for name, selected in mutants.items():
        if name in chapters():
            broken = breaking_sources(name) if name in whole else None
            work[name] = run_chapter, chapters()[name].path, selected, broken
        elif name.startswith("test_"):
            work[name] = run_unit_tests, name, selected
    return work
