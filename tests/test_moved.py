"""`moved`, on a made-up book in a made-up repository; only the last test starts a kernel."""

import copy
import json
import subprocess

import numpy as np
import pytest
from nbformat.v4 import new_markdown_cell, new_output
from sample_notebook import PIXEL, code, make_notebook

from rlbook.book.publish.changed import Commit, changes
from rlbook.book.publish.compared import (
    PRINTED,
    Cell,
    compare,
    compare_lines,
    digits,
    old_numbers,
    quotes,
)
from rlbook.book.publish.launch import read, to_text
from rlbook.book.publish.moved import main, run_on

PACKAGE = {
    "rlbook/__init__.py": "",
    "rlbook/formulas/__init__.py": (
        "from rlbook.formulas.sums import alone, double, half\n__all__ = ['alone']\n"
    ),
    "rlbook/formulas/sums.py": (
        '"""Sums."""\nSCALE = 2\n\n\ndef double(x):\n    """Twice x."""\n    return SCALE * x\n\n\n'
        "def half(x):\n    return x / 2\n\n\ndef alone(x):\n    return x\n"
    ),
    "rlbook/deep/__init__.py": "from rlbook.deep import agent\n",
    "rlbook/deep/agent.py": (
        "from rlbook.formulas.sums import double\n\n\ndef train(x):\n    return step(x)\n\n\n"
        "def step(x):\n    return double(x) + 1\n"
    ),
    "README.md": "# The book\n\nIts largest result is 12,500 after 3 steps.\n",
}
SUMS = "rlbook/formulas/sums.py"
CHAPTERS = {
    "01_sums": [
        code("from rlbook.formulas import half\n%matplotlib inline"),
        code("def three(x):\n    return 3 * half(x)\n\n\nassert three(2) == 3"),
        code("print('half of 9 is', half(9))", "half of 9 is 4.5\n"),
    ],
    "02_agents": [
        code("from rlbook.deep import agent"),
        new_markdown_cell("It gives 21, and 21 again. See Figure 21.3, Eq. (21.2), `21`, $21$."),
        code("print('so', agent.train(10), 'and 12500')", "so 21 and 12500\n", ("claim",)),
    ],
    "10b_stored": [
        code("from rlbook.book import load\n\nstored = load('10b_run')"),
        code("print(stored)", "0.25\n"),
    ],
}


def git(root, *command):
    options = "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"
    subprocess.run(["git", *options, *command], cwd=root, check=True, capture_output=True)


@pytest.fixture
def book(tmp_path):
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "notebooks").mkdir()
    for name, cells in CHAPTERS.items():
        notebook = make_notebook(copy.deepcopy(cells))
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text(to_text(notebook), encoding="utf-8")
    (tmp_path / "figures" / "data").mkdir(parents=True)
    np.savez(tmp_path / "figures" / "data" / "10b_run.npz", a=np.arange(3.0), b=np.full(2, np.nan))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "a book")
    return tmp_path


def edit(book, name, old, new):
    text = (book / name).read_text(encoding="utf-8")
    assert old in text
    (book / name).write_text(text.replace(old, new), encoding="utf-8")


def now(book):
    return changes(Commit(book, "HEAD"))


# ---------------------------------------------------------------- what changed, and who reaches it


def test_nothing_changed(book):
    assert now(book) == ({}, {}, {}, [])
    edit(book, SUMS, '"""Twice x."""', '"""Two x."""  # and a comment')
    edit(book, "rlbook/formulas/__init__.py", "'alone'", "'alone', 'half'")
    assert now(book) == ({}, {}, {}, [])


def test_a_change_reaches_through_faces_and_definitions(book):
    edit(book, SUMS, "SCALE = 2", "SCALE = 3")
    found = now(book)
    assert found.definitions == {("rlbook.formulas.sums", "SCALE"): "changed"}
    way = "deep.agent.train > deep.agent.step > formulas.sums.double"
    assert found.reached == {"02_agents": [f"formulas.sums.SCALE through {way}"]}
    git(book, "commit", "-qam", "more")
    assert now(book).reached == {}
    assert changes(Commit(book, "HEAD~")) == found


AGENT, FACE = "rlbook/deep/agent.py", "rlbook/deep/__init__.py"
NAMESAKE = """

def half(x):
    from rlbook.formulas.sums import half

    return 4 * half(x)
"""


@pytest.mark.parametrize(
    ("module", "more", "imported", "edited", "old", "found"),
    [
        (SUMS, "", "from rlbook.formulas import sums as half", SUMS, "x / 2", "formulas.sums.half"),
        (AGENT, NAMESAKE, "from rlbook.deep.agent import half", AGENT, "4 *", "deep.agent.half"),
        (
            *(FACE, "from rlbook.formulas import half\n", "from rlbook.deep import half"),
            *(SUMS, "x / 2", "formulas.sums.half"),
        ),
        (
            *(SUMS, "\n\nif SCALE > 1:\n    third = SCALE / 4\n"),
            *("from rlbook.formulas.sums import third as half", SUMS, "SCALE / 4"),
            "formulas.sums.third",
        ),
    ],
    ids=["a module", "defined, and imported inside", "handed on twice", "not at the top level"],
)
def test_what_an_imported_name_stands_for(book, module, more, imported, edited, old, found):
    (book / module).write_text((book / module).read_text("utf-8") + more, encoding="utf-8")
    edit(book, "notebooks/01_sums.ipynb", "from rlbook.formulas import half", imported)
    if "sums as" in imported:
        edit(book, "notebooks/01_sums.ipynb", "half(", "half.half(")
    git(book, "commit", "-qam", "more")
    edit(book, edited, old, f"5 + {old}")
    assert found in now(book).reached["01_sums"]


def test_a_definition_that_no_notebook_names_reaches_none(book):
    edit(book, SUMS, "return x\n", "return x + 1\n")
    found = now(book)
    assert found.reached == {} and found.unread == [("rlbook.formulas.sums", "alone")]


def test_new_and_gone_definitions(book):
    edit(book, SUMS, "return x / 2", "return halve(x)\n\n\ndef halve(x):\n    return x / 2")
    edit(book, AGENT, "return step(x)\n\n\ndef step(x):\n    return", "return")
    found = now(book)
    assert found.definitions == {
        ("rlbook.formulas.sums", "half"): "changed",
        ("rlbook.formulas.sums", "halve"): "new",
        ("rlbook.deep.agent", "train"): "changed",
        ("rlbook.deep.agent", "step"): "gone",
    }
    assert found.reached == {
        "01_sums": [
            "formulas.sums.half",
            "formulas.sums.halve (new) through formulas.sums.half",
        ],
        "02_agents": ["deep.agent.train", "deep.agent.step (gone) through deep.agent.train"],
    }


def test_a_definition_that_moves_has_not_changed(book):
    half = "def half(x):\n    return x / 2\n\n\n"
    edit(book, SUMS, half, "")
    (book / "rlbook/formulas/halves.py").write_text(half)
    face = "rlbook/formulas/__init__.py"
    edit(book, face, "double, half\n", "double\nfrom rlbook.formulas.halves import half\n")
    assert now(book) == ({}, {}, {}, [])


def test_a_name_that_stands_for_another_definition_has_changed(book):
    edit(book, AGENT, "import double", "import half as double")
    assert now(book).definitions == {("rlbook.deep.agent", "step"): "changed"}


def test_stored_arrays_and_their_chapter(book):
    path = book / "figures" / "data" / "10b_run.npz"
    with np.load(path) as stored:
        np.savez_compressed(path, **stored)  # other bytes, the same arrays
    assert now(book).arrays == {}
    np.savez(path, a=np.arange(3.0) + 1e-16, b=np.zeros(2))
    found = now(book)
    assert found.arrays == {"10b_run": ["a", "b"]}
    assert found.reached == {"10b_stored": ["load '10b_run'"]}


def test_a_notebook_reaches_its_own_code(book):
    edit(book, "notebooks/01_sums.ipynb", "3 * half", "4 * half")
    edit(book, "notebooks/02_agents.ipynb", "It gives", "This gives")
    assert now(book).reached == {"01_sums": ["its own code cells"]}


# ---------------------------------------------------------------- two runs, compared


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        ("k3 float64 CartPole-v1 x_2 a.5", []),
        ("[-0.5  1. .25 -1e-05]", ["-0.5", "1.", ".25", "-1e-05"]),
        ("12,500 steps, 3-4, (1, 200)", ["12,500", "3", "4", "1", "200"]),
        ("nan, -inf, inference", ["nan", "-inf"]),
    ],
)
def test_what_is_a_number(line, numbers):
    assert PRINTED.findall(line) == numbers


def test_numbers_are_told_from_words():
    old = ["a  1.0 b -2", "same 5", "words 3", "last 7"]
    new = ["a 10.0 b -2", "same 5", "other words 3", "last nan"]
    numbers, text = compare_lines(old, new)
    assert [(x.old, x.new, x.place) for x in numbers] == [("1.0", "10.0", 0), ("7", "nan", 3)]
    assert text == ["- words 3", "+ other words 3"]


def two_runs():
    pixel = new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"})
    cells = [
        code("a", "x = 1\n"),
        code("b", "2 s\n", ("measured",)),
        code("c", "y = 3\n", ("nbval-ignore-output",)),
        code("d", outputs=(pixel,)),
        new_markdown_cell("*Figure 13.4.* A pixel.\n\n*Figure 13.5.* Another."),
        code("e", outputs=(new_output("execute_result", {"text/html": "<p>4</p>"}),)),
    ]
    return make_notebook(cells), make_notebook(copy.deepcopy(cells))


def test_cells_are_compared_and_measured_ones_left_out():
    old, new = two_runs()
    assert compare(old, new) == []
    for index, text in enumerate(("x = 9\n", "9 s\n", "y = 9\n")):
        new.cells[index].outputs[0].text = text
    new.cells[3].outputs[0].data["image/png"] = PIXEL.replace("iVB", "iVC")
    new.cells[5].outputs[0].data["text/html"] = "<p>5</p>"
    found = compare(old, new)
    assert [(cell.index, cell.id, cell.ignored) for cell in found] == [
        (0, "cell-0", False),
        (2, "cell-2", True),
        (3, "cell-3", False),
        (5, "cell-5", False),
    ]
    assert [[(x.old, x.new) for x in cell.numbers] for cell in found] == [
        [("1", "9")],
        [("3", "9")],
        [],
        [("4", "5")],
    ]
    assert [cell.figure for cell in found] == [None, None, "Figure 13.4", None]


def test_cells_belong_together_by_id():
    old, new = two_runs()
    del new.cells[0]
    new.cells.insert(2, code("new", "z = 8\n"))
    found = compare(old, new)
    assert [cell.text for cell in found] == [["+ z = 8"], ["- x = 1"]]


def test_an_exception_is_text():
    old, new = two_runs()
    new.cells[0].outputs = [new_output("error", ename="AssertionError", evalue="Eq. (3.1) fails")]
    assert compare(old, new)[0].text == ["- x = 1", "+ AssertionError: Eq. (3.1) fails"]


# ---------------------------------------------------------------- who quotes an old number


def test_old_numbers_of_lines_whose_words_changed():
    cells = [Cell(0, "a", False, text=["- 3 of 7 runs", "+ 7 runs of 9"])]
    assert old_numbers(cells) == {"3"}


def test_digits():
    assert [digits(x) for x in ("-12,500.", "1.50", "1e-05")] == ["12500", "1.50", "1e-05"]


@pytest.mark.parametrize(
    ("text", "own", "elsewhere"),
    [
        ("a loss of $-0.325$, and `0.325`", ["0.325"], ["0.325"]),
        ("$12{,}500$ steps", ["12500"], ["12500"]),
        ("7 of 10 runs", ["7"], []),
        ("0.3250 or 1.325; $7$; `7`; 70", [], []),
        ("Figure 3.25, Eq. (3.25), Section 3.25, (3.25)\n7. seventh\n## 3.25 Title", [], []),
    ],
)
def test_quotes(text, own, elsewhere):
    numbers = {"0.325", "12500", "7", "3.25"}
    assert [one.number for one in quotes(numbers, text, "here", own=True)] == own
    assert [one.number for one in quotes(numbers, text, "there", own=False)] == elsewhere


# ---------------------------------------------------------------- the command


def made_up_run(printed):
    """An execution: each code cell prints what its source is mapped to, else nothing."""

    def run(notebook, folder):
        for count, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                cell.execution_count = count + 1
                if said := next((y for x, y in printed.items() if x in cell.source), None):
                    cell.outputs = code("", said).outputs
        return 0.0

    return run


def test_the_list_stops_before_anything_is_run(book, capsys):
    edit(book, SUMS, "x / 2", "x / 3")
    assert main(["--list"], book, run=None) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Since HEAD: definitions 1 changed, 0 new, 0 gone, 0 of them reached by no notebook;"
        " stored experiments changed: none",
        "01_sums",
        "  reaches formulas.sums.half",
        "Notebooks that reach a change: 1",
    ]
    assert main(["--list", "--notebooks", "2"], book, run=None) == 0
    assert "02_agents: reaches nothing that changed" in capsys.readouterr().out


def test_the_report(book, tmp_path, capsys):
    edit(book, SUMS, "SCALE = 2", "SCALE = 3")
    before = (book / "notebooks/02_agents.ipynb").read_bytes()
    file = tmp_path / "moved.json"
    run = made_up_run({"train": "so 31 and 13000\n"})
    assert main(["--json", str(file)], book, run) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1:] == [
        "02_agents: 2 numbers, 2 quoted numbers",
        "  reaches formulas.sums.SCALE through"
        " deep.agent.train > deep.agent.step > formulas.sums.double",
        "  cell 2 (cell-2)",
        "    so [21 -> 31] and [12500 -> 13000]",
        "  quoted in 02_agents, cell 1: 21 in"
        " 'It gives 21, and 21 again. See Figure 21.3, Eq. (21.2), `21`, $21$.'",
        "  quoted in README.md: 12500 in 'Its largest result is 12,500 after 3 steps.'",
        "1 notebook run: 2 numbers, 2 quoted numbers",
    ]
    data = json.loads(file.read_text("utf-8"))
    assert data["definitions"] == {"formulas.sums.SCALE": "changed"}
    assert data["totals"]["number"] == 2 and data["notebooks"][0]["notebook"] == "02_agents"
    assert data["notebooks"][0]["cells"][0]["numbers"][1] == {
        "old": "12500",
        "new": "13000",
        "old_line": "so 21 and 12500",
        "new_line": "so 31 and 13000",
        "place": 0,
    }
    assert (book / "notebooks/02_agents.ipynb").read_bytes() == before


def test_an_execution_that_ends_early_says_so(book, capsys):
    def stop(notebook, folder):
        notebook.cells[0].execution_count = 1
        raise TimeoutError("A cell timed out\nafter 600 seconds")

    edit(book, "notebooks/01_sums.ipynb", "is 4.5", "is 4.6")  # stored by another run
    assert main(["--notebooks", "01"], book, stop) == 0
    out = capsys.readouterr().out
    assert "ended early: TimeoutError: after 600 seconds" in out
    assert out.endswith("1 notebook run: nothing moved; 1 ended early\n")


def test_a_new_notebook_has_nothing_to_be_compared_with(book, capsys):
    text = (book / "notebooks/01_sums.ipynb").read_text("utf-8")
    (book / "notebooks/03_new.ipynb").write_text(text, encoding="utf-8")
    assert main([], book, run=None) == 0
    assert "not executed: it is not in HEAD" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--since", "nowhere"], "git ls-tree"), (["--notebooks", "77"], "there is no chapter 77")],
)
def test_nonsense_is_refused(book, arguments, message, capsys):
    assert main(arguments, book, run=None) == 1
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_notebook_is_executed_for_real(book, capsys):
    cells = [
        code("x = 3\nprint('x is', x)", "x is 2\n"),
        code("assert x == 2, 'x is no longer 2'"),
        code("print('after it', x + 1)", "after it 3\n"),
    ]
    path = book / "notebooks" / "01_sums.ipynb"
    path.write_text(to_text(make_notebook(cells)), encoding="utf-8")
    git(book, "commit", "-qam", "real code")
    assert main(["--notebooks", "1"], book, run_on) == 0
    out = capsys.readouterr().out
    for line in (
        "x is [2 -> 3]",
        "+ AssertionError: x is no longer 2",
        "after it [3 -> 4]",
        "run: 2 numbers, 1 line of other words",
    ):
        assert line in out
    assert read(path) == make_notebook(cells)
