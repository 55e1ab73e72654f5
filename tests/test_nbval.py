"""nbval, as pytest is configured here, is strict; and `execute` stores what it then accepts.

Each test makes a project in a temporary folder, with this one's conftest.py and pyproject.toml,
and runs pytest in its notebooks folder, so that nothing depends on the current folder.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sample_notebook import code, make_notebook, sample_cells, write

from rlbook.book.publish.execute import execute_file

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


def run_pytest(root: Path, *options: str) -> tuple[str, dict[int, str]]:
    """The output of pytest in `root`, and what became of each code cell."""
    (root / "tests").mkdir(exist_ok=True)
    for name in ("conftest.py", "pyproject.toml", "tests/nbval_sanitize.cfg"):
        shutil.copy(ROOT / name, root / name)
    for empty in root.glob("notebooks/0[024]_*.ipynb"):
        empty.unlink()
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--color=no"]
    done = subprocess.run(
        [*command, *options], cwd=root / "notebooks", capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    return said, {int(n): word for word, n in re.findall(r"^(\w+) \S+::Cell (\d+)", said, re.M)}


def test_what_execute_stores_is_accepted_and_reproducible(tmp_path, capsys):
    cells = sample_cells()
    draw = (
        "import matplotlib.pyplot as plt\n\nfig, ax = plt.subplots()\nax.plot([1, 2])\nplt.show()"
    )
    cells.insert(2, code(draw))
    cells.insert(3, code("import time\n\nprint(time.time())", "", ("measured",)))
    cells[3].metadata.tags.append("nbval-ignore-output")
    cells = cells[:6]
    path = write(make_notebook(cells), tmp_path)
    assert execute_file(path)
    first = path.read_bytes()
    assert first.count(b'"image/png"') == 1
    assert execute_file(path, check=True)
    assert path.read_bytes() == first
    said, cells = run_pytest(tmp_path)
    assert set(cells.values()) == {"PASSED"} and len(cells) == 4, said
    path.write_bytes(first.replace(b'"<Figure size', b'"<Figure of size'))
    capsys.readouterr()
    assert not execute_file(path, check=True)
    assert "cell 2 (cell-2): outputs changed" in capsys.readouterr().err


def test_an_error_leaves_the_file_as_it_was(tmp_path, capsys):
    path = write(make_notebook([code("1 / 0")]), tmp_path)
    before = path.read_bytes()
    assert not execute_file(path)
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_nbval_is_strict(tmp_path):
    cells = [
        (code("print(0.123456)", "0.123456\n"), "PASSED"),
        (code("print(0.123456)", "0.123457\n"), "FAILED"),  # one digit
        (code("print(0.123456)"), "FAILED"),  # output not stored
        (code("x = 1", "1\n"), "FAILED"),  # output that does not come
        (code("import sys\n\nprint('warned', file=sys.stderr)"), "FAILED"),
        (code("assert False"), "FAILED"),
        (code("print(object())", "<object object at 0x7f0000000000>\n"), "PASSED"),
        (code("print(id(object()))", "1\n", ("nbval-ignore-output",)), "PASSED"),
        (code("assert False", tags=("nbval-ignore-output",)), "FAILED"),
        (code("import os\n\nprint(os.environ['RLBOOK_QUIET'])", "1\n"), "PASSED"),
    ]
    write(make_notebook([cell for cell, _ in cells]), tmp_path)
    said, words = run_pytest(tmp_path)
    assert words == {number: word for number, (_, word) in enumerate(cells)}, said


def test_notebooks_are_slow(tmp_path):
    write(make_notebook([code("print(1)", "1\n")]), tmp_path)
    said, words = run_pytest(tmp_path, "-m", "not slow")
    assert words == {} and "1 deselected" in said, said
