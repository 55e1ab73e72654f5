"""The index: everything it lists is explained where it says, and the notebook holds it."""

import importlib
import re
from urllib.parse import unquote

import pytest
from nbformat.v4 import new_markdown_cell
from parsed_notebook import chapters
from sample_notebook import make_notebook

from rlbook.book.chapters import CHAPTERS
from rlbook.book.publish import index
from rlbook.book.publish.index import equation, often, pages, rows, sections, where, write
from rlbook.book.publish.index_entries import ALGORITHMS, SYMBOLS, TERMS
from rlbook.book.publish.launch import to_text


@pytest.mark.parametrize("heading", pages())
def test_the_notebook_holds_the_index(heading):
    cells = [cell.source for cell in chapters()["D"].markdown]
    found = [cell for cell in cells if cell.startswith(heading)]
    assert found == [pages()[heading]], "python -m rlbook.book index"


def test_links_lead_to_headings():
    headings = {
        (notebook.path.name, line.lstrip("# ").replace(" ", "-"))
        for notebook in chapters().values()
        for cell in notebook.markdown
        for line in cell.source.split("\n")
        if line.startswith("#")
    }
    links = re.findall(r"\]\((\w+\.ipynb)#([^)]+)\)", "".join(pages().values()))
    assert len(links) > 100
    assert [x for x in links if (x[0], unquote(x[1])) not in headings] == []


@pytest.mark.parametrize("name", [row[2] for row in rows(ALGORITHMS, 3)])
def test_algorithms_are_in_the_package(name):
    module, _, attribute = f"rlbook.{name}".rpartition(".")
    try:
        importlib.import_module(f"rlbook.{name}")
    except ModuleNotFoundError:
        assert hasattr(importlib.import_module(module), attribute)


def test_entries_are_listed_once_and_whole():
    for text, fields in ((TERMS, 3), (SYMBOLS, 4), (ALGORITHMS, 3)):
        found = rows(text, fields)
        assert len({row[0].lower() for row in found}) == len(found)
        assert all(len(row) == fields and row[0] and row[1] for row in found)


def test_bold_words_come_first():
    chapter = sections()["08"]
    place = where("08", "TD error")
    assert "**TD error**" in place.text and place in chapter


def test_what_is_missing_is_an_error():
    with pytest.raises(ValueError, match="08 does not contain 'policy iteration on ice'"):
        where("08", "policy iteration on ice")
    with pytest.raises(ValueError, match="no chapter 77"):
        where("77", "value")
    with pytest.raises(ValueError, match="no equation is numbered 8.99"):
        equation("8.99")


def test_chapters_that_use_a_word_often_are_named_unless_all_do():
    assert "09" in often("maximisation bias", "13") or often("maximisation bias", "13") == []
    assert "15" in often("surrogate", "16")
    assert often("action", "00") == []


def test_writing_twice_changes_nothing(tmp_path):
    path = tmp_path / "D_index.ipynb"
    text = chapters()["D"].path.read_text("utf-8")
    path.write_text(text, encoding="utf-8")
    assert not write(path) and path.read_text("utf-8") == text
    path.write_text(text.replace("## Symbols", "## Symbols (old)"), encoding="utf-8")
    index.write(path)
    assert "(old)" in path.read_text("utf-8")  # another heading is another cell


def test_a_summary_explains_nothing_and_an_opening_only_what_no_section_does():
    assert where("16", "PPO-clip").number == "16.3"  # the summary has it in bold
    assert where("17", "GAE").number == "17.2"  # the opening has it first
    assert where("10", "Dyna-Q").link == "[Ch. 10](10_sarsa.ipynb)"


def test_side_roads_explain_and_are_linked_as_a_chapter(monkeypatch, tmp_path):
    """They stand below the summary, which explains nothing; their title holds minutes."""
    cells = [
        new_markdown_cell("# 3. Sums\n\nOne."),
        new_markdown_cell("## 3.1 Two\n\nA sum."),
        new_markdown_cell("## Summary\n\nA bus."),
    ]
    cells += [
        new_markdown_cell("#### ▸ Side roads: a bus (4 min)"),
        new_markdown_cell("The **bus** is late."),
    ]
    path = tmp_path / "03_bellman_equations.ipynb"
    path.write_text(to_text(make_notebook(cells)), encoding="utf-8")
    monkeypatch.setattr(index, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(index, "CHAPTERS", [one for one in CHAPTERS if one.number == "03"])
    monkeypatch.setattr(index, "sections", index.sections.__wrapped__)
    assert index.where("03", "bus").link == "[Ch. 3](03_bellman_equations.ipynb)"
