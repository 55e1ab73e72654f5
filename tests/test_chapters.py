"""One list of chapters, and the files that it speaks of."""

import re
from pathlib import Path

import pytest

from rlbook.book.chapters import (
    CHAPTERS,
    KINDS,
    NUMBER,
    PLACES,
    label_of,
    neighbours,
    notebooks,
    number_of,
)
from rlbook.book.paths import NOTEBOOKS


def test_the_list_and_the_folder_hold_the_same_notebooks():
    assert [path.name for path in notebooks(NOTEBOOKS)] == [one.file for one in CHAPTERS]


@pytest.mark.parametrize(
    ("number", "label"), [("00", "0"), ("03", "3"), ("10", "10"), ("10b", "10b"), ("A", "A")]
)
def test_numbers_and_labels(number, label):
    assert label_of(number) == label_of(f"{number}_topic.ipynb") == label
    assert number_of(label) == number_of(number) == number


def test_labels_may_have_a_letter():

    for tag in ("3.4", "3.4a", "10b.2", "A.1", "F.12", "22.7"):
        assert re.fullmatch(NUMBER, tag)
    for wrong in ("3", "b.2", "AB.1", "3.b"):
        assert not re.fullmatch(NUMBER, wrong)


def test_chapters_are_listed_once_and_appendices_come_last():
    assert len(PLACES) == len(CHAPTERS) == len({one.file for one in CHAPTERS})
    parts = [one.part for one in CHAPTERS]
    assert list(dict.fromkeys(parts)) == ["I", "II", "III", "IV", "appendix"]
    assert list(KINDS.values()).count("index") == list(KINDS.values()).count("start") == 1


def test_neighbours():
    assert neighbours("0")[0] is None and neighbours("0")[1].label == "1"
    assert [one.label for one in neighbours("A")] == ["20", "B"]
    assert neighbours(CHAPTERS[-1].label)[1] is None


def test_strange_notebooks_come_last(tmp_path):
    for name in ("A_x.ipynb", "10_x.ipynb", "draft.ipynb", "02_x.ipynb"):
        (tmp_path / name).touch()
    found = [path.name for path in notebooks(Path(tmp_path))]
    assert found == ["02_x.ipynb", "10_x.ipynb", "A_x.ipynb", "draft.ipynb"]
