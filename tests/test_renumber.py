"""Renumbering, tried on a made-up book of two chapters.

Its texts say <a>, <b>, <c> for the equations of chapter 3, <f>, <g> for its figures, and <x>, <y>,
<z> for its exercises; whatever else looks like a number of chapter 3 must stay.
"""

import re

import pytest
from nbformat.v4 import new_markdown_cell
from sample_notebook import code, make_notebook

from rlbook.book.publish.launch import to_text
from rlbook.book.publish.renumber import main, renumber

BEFORE = {
    "a": "3.1",
    "b": "3.1a",
    "c": "3.4",
    "f": "3.2",
    "g": "3.5",
    "x": "3.3",
    "y": "3.1",
    "z": "3.1a",
}
AFTER = {
    "a": "3.1",
    "b": "3.2",
    "c": "3.3",
    "f": "3.1",
    "g": "3.2",
    "x": "3.1",
    "y": "3.2",
    "z": "3.3",
}
NOTEBOOKS = {
    "notebooks/03_bellman.ipynb": [
        ("# 3. Values\n\n$$ a \\tag{<a>} $$\n\n$$ b \\tag{<b>} $$\n\nBy Eq. (<b>), so.", None),
        ('check("<b>", x, y)  # Eq. (<b>)', "Eq. (<b>) holds: 1 = 1\n"),
        ("*Figure <f>.* With $$ c \\tag{<c>} $$ The chain (<c>), not $(3.4)$ or `(3.4)`.", None),
        ("check('<c>', x, at_most=y)\nprint(3.4, '3.4', (3.4))", "Eq. (<c>) holds, 3.4\n"),
        ("**Exercise <x>** (pen and paper). See Exercises <y> and <z>.", None),
        ("### Exercise <y> (code, medium)", None),
        ('check_exercise("<y>", f)', "Exercise <y>: not attempted yet.\n"),
        ("**Exercise <z>** (code).\n\nSolution to Exercise <z>, not of 3.1.", None),
        ('*Figure <g>.* As Figures <f> and <g> show, and `check("<c>", x)`.', None),
    ],
    "notebooks/04_more.ipynb": [
        ("Eqs. (<a>), (<b>) and (<c>); Eq. (4.4). Section 3.4; Exercise <x>; 3.4 times.", None),
        ("$$ d \\tag{4.4} $$ See Figure <g>, Figure 4.9, and Eqs. (<a>) to (<c>).", None),
    ],
}
FILES = {
    "README.md": 'A cell such as `check("<c>", left)` prints `Eq. (<c>) holds`.\n',
    "rlbook/sums.py": '"""Solves Eqs. (<b>) and (<c>). Returns 3.4 times x."""\n',
    "rlbook/lists/index_entries.py": "T = '''\na | V | b | <c>\nb | <b> | f\nc | 4.4 | g\n'''\n",
    "tests/definitions.py": 'D = {\n    "<b>": "see Eq. (<c>), 3.4",\n    "4.4": "no",\n}\n',
    "tests/derivations.py": 'D = {\n    "<b>": Step("sums"),\n    "4.4": Step("no"),\n}\n',
    "rlbook/book/exercises/chapter_03.py": 'C = {"<y>": f, "<z>": g}  # 3.1, "3.1" of Eq. (<c>)\n',
    "rlbook/book/exercises/chapter_04.py": 'C = {"4.1": f, "3.3": g}  # as in Exercise <y>\n',
    "tests/wrong_answers/chapter_03.py": 'WRONG = {\n    "<y>": [("3.3", "")],\n}\n',
    "tests/mutants.py": "# the sign of Eq. (<c>)\n",
    "tests/broken_claims/chapter_03.py": 'B = [Broken("<g>", "x = 3.5"), Broken("3.4 < x", "")]\n',
    "tests/broken_claims/chapter_04.py": 'B = [Broken("3.5", "x")]  # Figure <g>\n',
    "tests/sample_notebook.py": "# Eq. (3.9) of a made-up chapter\n",
}
UNTOUCHED = {"tests/sample_notebook.py"}


def said(text: str, numbers: dict[str, str]) -> str:
    return re.sub("<([abcfgxyz])>", lambda match: numbers[match[1]], text)


def texts(numbers: dict[str, str]) -> dict[str, str]:
    """Every file of the book, with these numbers."""
    found = {name: said(text, numbers) for name, text in FILES.items()}
    for name, cells in NOTEBOOKS.items():
        made = [
            new_markdown_cell(said(source, numbers))
            if printed is None
            else code(said(source, numbers), printed=said(printed, numbers))
            for source, printed in cells
        ]
        found[name] = to_text(make_notebook(made))
    return found


@pytest.fixture
def book(tmp_path):
    for name, text in texts(BEFORE).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def files(book) -> dict[str, str]:
    paths = [path for path in book.rglob("*") if path.is_file()]
    return {path.relative_to(book).as_posix(): path.read_text("utf-8") for path in paths}


def edit(book, name: str, old: str, new: str) -> None:
    text = (book / name).read_text("utf-8")
    assert old in text
    (book / name).write_text(text.replace(old, new), encoding="utf-8")


def test_everything_moves_together(book):
    changed = {path.relative_to(book).as_posix() for path in renumber("03", book)}
    assert files(book) == texts(AFTER)
    assert changed == {*FILES, *NOTEBOOKS} - UNTOUCHED
    assert renumber("3", book) == []


def test_what_is_cited_and_gone_is_named_and_nothing_is_written(book):
    edit(book, "notebooks/04_more.ipynb", "(3.1a) and", "(3.7) and")
    before = files(book)
    with pytest.raises(ValueError, match=r"not there:\n04_more.ipynb: Eq. 3.7$"):
        renumber("03", book)
    assert files(book) == before


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("tests/broken_claims/chapter_03.py", '"3.5"', '"3.8"', "chapter_03.py: claim 3.8"),
        ("tests/definitions.py", '"3.1a"', '"3.8"', "definitions.py: definition 3.8"),
        ("rlbook/lists/index_entries.py", "| 3.1a |", "| 3.8 |", "index_entries.py: index 3.8"),
        ("rlbook/sums.py", "(3.4)", "(3.8)", "sums.py: Eq. 3.8"),
        ("notebooks/04_more.ipynb", "Figure 3.5", "Figure 3.8", "04_more.ipynb: Figure 3.8"),
        ("notebooks/04_more.ipynb", "Exercise 3.3", "Exercise 3.8", "04_more.ipynb: Exercise 3.8"),
        ("tests/derivations.py", '"3.1a"', '"3.8"', "derivations.py: definition 3.8"),
        ("tests/wrong_answers/chapter_03.py", '"3.1"', '"3.8"', "chapter_03.py: checker 3.8"),
        (
            "notebooks/03_bellman.ipynb",
            "Exercise 3.1 (code",
            "Exercise 3.3 (code",
            "exercise 3.3 o",
        ),
        ("notebooks/03_bellman.ipynb", "tag{3.1a}", "tag{3.1}", "equation 3.1 occurs twice"),
        ("notebooks/03_bellman.ipynb", "tag{3.1a}", "tag{4.1}", "4.1 stands in chapter 3"),
        ("notebooks/03_bellman.ipynb", "*Figure 3.5.*", "*Figure 3.2.*", "figure 3.2 occurs"),
    ],
)
def test_what_does_not_fit_is_refused(book, name, old, new, message):
    edit(book, name, old, new)
    with pytest.raises(ValueError, match=message):
        renumber("03", book)


def test_an_unknown_chapter_is_refused(book, capsys):
    with pytest.raises(ValueError, match="there is no chapter 77"):
        renumber("77", book)
    assert main(["77"]) == 1 and "no chapter 77" in capsys.readouterr().out


@pytest.mark.parametrize("number", ["10b", "E"])
def test_a_chapter_may_have_a_letter(tmp_path, number):
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / f"{number}_x.ipynb"
    text = f"$$ a \\tag{{{number}.2}} $$ Eqs. ({number}.2) and (10.2)"
    path.write_text(to_text(make_notebook([new_markdown_cell(text)])), encoding="utf-8")
    renumber(number, tmp_path)
    wanted = text.replace(f"{number}.2", f"{number}.1")
    assert path.read_text("utf-8") == to_text(make_notebook([new_markdown_cell(wanted)]))
