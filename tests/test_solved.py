"""The record of solved exercises: whatever happens to its file, checkers go on."""

import json
import re

import pytest

from rlbook.book import check_exercise, solved
from rlbook.book.exercises import checkers, record


def first_return(rewards, discount):
    return sum(discount**t * r for t, r in enumerate(rewards))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder that does not exist yet, outside of the tests' quiet."""
    monkeypatch.delenv("RLBOOK_QUIET", raising=False)
    monkeypatch.setenv("RLBOOK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_right_answer_is_remembered(folder, capsys):
    check_exercise("0.1", first_return)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", solved()["0.1"])
    assert json.loads((folder / "solved.json").read_text("utf-8")) == solved()
    assert [path.name for path in folder.iterdir()] == ["solved.json"], "an unfinished file is left"
    assert "correct" in capsys.readouterr().out


def test_wrong_answers_and_stubs_are_not(folder):
    check_exercise("0.1", lambda rewards, discount: rewards.sum())
    check_exercise("0.1", ...)
    assert solved() == {} and not folder.exists()


def test_the_first_day_stays(folder):
    folder.mkdir()
    (folder / "solved.json").write_text('{"0.1": "2020-01-01"}', encoding="utf-8")
    check_exercise("0.1", first_return)
    record.remember("3.1")
    assert solved()["0.1"] == "2020-01-01" and list(solved()) == ["0.1", "3.1"]


def test_the_table_shows_every_chapter_with_checkers(folder):
    tags = list(checkers("00"))
    assert repr(solved()).startswith(f" 00  {'□' * len(tags)} ")
    record.remember("0.1")
    lines = repr(solved()).split("\n")
    assert lines[0].startswith(f" 00  ■{'□' * (len(tags) - 1)} ") and lines[0].endswith(
        "Start here"
    )
    assert re.fullmatch(r"1 of \d\d+ exercises with a checker are solved", lines[-1])


@pytest.mark.parametrize("damage", ["", "{", "[1]", "null", '{"0.1": 7}', "\udcff"])
def test_a_damaged_file_is_replaced(folder, damage, capsys):
    folder.mkdir()
    (folder / "solved.json").write_bytes(damage.encode("utf-8", "surrogateescape"))
    assert solved() == {}
    check_exercise("0.1", first_return)
    assert list(solved()) == ["0.1"] and "correct" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_stops_nothing(folder, capsys):
    folder.write_text("a file where the folder should be", encoding="utf-8")
    check_exercise("0.1", first_return)
    assert "correct" in capsys.readouterr().out and solved() == {}


def test_a_failed_write_leaves_the_old_file(folder, monkeypatch, capsys):
    record.remember("3.1")

    def full(self, target):
        raise OSError("no space left")

    monkeypatch.setattr("pathlib.Path.replace", full)
    check_exercise("0.1", first_return)
    assert list(solved()) == ["3.1"] and "correct" in capsys.readouterr().out
    assert [path.name for path in folder.iterdir()] == ["solved.json"]


def test_stored_pages_know_nothing_of_their_author(folder, monkeypatch):
    record.remember("3.1")
    monkeypatch.setenv("RLBOOK_QUIET", "1")
    check_exercise("0.1", first_return)
    assert solved() == {}
    monkeypatch.delenv("RLBOOK_QUIET")
    assert list(solved()) == ["3.1"]
