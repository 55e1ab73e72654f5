"""Settings of every test run: the kernels' environment, and what a notebook's cells are.

This file is at the root so that pytest reads it from whichever folder, and for whichever
file, it is started. Most options of nbval are in pyproject.toml.
"""

import os
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

from rlbook.book.publish.execute import ENVIRONMENT, WARNINGS

ROOT = Path(__file__).resolve().parent

# Before any kernel starts: the variables under which the stored outputs were made. A kernel
# chooses the inline backend only where MPLBACKEND is not set.
os.environ.update(ENVIRONMENT)
os.environ.pop("MPLBACKEND", None)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the other cores are for tests/conftest.py


def pytest_configure(config: pytest.Config) -> None:
    """Name the sanitizer by its full path: nbval would look for it in the current folder."""
    for line in WARNINGS:
        config.addinivalue_line("filterwarnings", line)
    if not config.option.nbval_sanitize_with:
        config.option.nbval_sanitize_with = str(ROOT / "tests" / "nbval_sanitize.cfg")
    import matplotlib

    matplotlib.use("Agg")  # for unit tests, in this process only


@pytest.hookimpl(tryfirst=True)  # before -m "not slow" chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every cell of a notebook slow, and run the notebooks after the unit tests."""
    for item in items:
        if isinstance(item, IPyNbCell):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: isinstance(item, IPyNbCell))  # stable
