"""The web pages of the book: whole, linked, with pictures that are there and described."""

import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from parsed_notebook import chapters
from sample_notebook import code
from sample_road import SHOWN, road_notebook

from rlbook.book.publish.html import captions, main, page_of, write_book
from rlbook.book.publish.launch import to_text

ROOT = Path(__file__).resolve().parents[1]
SOME = ["00", "08", "16"]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Three chapters of this book as pages; a page takes about a second."""
    root, folder = tmp_path_factory.mktemp("book"), tmp_path_factory.mktemp("pages") / "new"
    (root / "notebooks").mkdir()
    (root / "figures").symlink_to(ROOT / "figures")
    for name in ("README.md", "CONTRIBUTING.md", "LICENSE"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    for number in SOME:
        path = chapters()[number].path
        (root / "notebooks" / path.name).write_bytes(path.read_bytes())
    return write_book(folder, root)


def test_there_is_a_page_for_each_chapter_and_one_before_them(book):
    names = [chapters()[number].path.stem for number in SOME]
    assert [path.stem for path in book] == ["index", *names]
    for path in book[1:]:
        page = path.read_text("utf-8")
        assert f"<title>{chapters()[path.stem[:2]].node.cells[0].source[2:8]}" in page
        assert "needs the book's package" not in page  # the install cell is for notebooks


def test_links_lead_to_pages_and_to_headings(book):
    names = {notebook.path.stem for notebook in chapters().values()}
    for path in book:
        page = path.read_text("utf-8")
        assert ".ipynb" not in "".join(re.findall(r'href="([^"]*)"', page))
        ids = set(re.findall(r'id="([^"]*)"', page))
        for target in re.findall(r'href="([^":]*)"', page):
            name, _, anchor = target.partition("#")
            is_page = name.removesuffix(".html") in names | {"index"}
            assert not name or is_page or (path.parent / name).is_file(), target
            assert name or unquote(anchor) in ids, target


def test_pictures_are_there_and_described(book):
    for path in book:
        page = path.read_text("utf-8")
        pictures = re.findall(r"<img\b[^>]*>", page)
        assert all(re.search(r'alt="[^"]{20,}"', picture) for picture in pictures), path
        for name in re.findall(r'src="(?!data:)([^"]*)"', "".join(pictures)):
            assert (path.parent / name).is_file(), name


def test_a_caption_describes_the_figures_of_its_cell():
    figure = nbformat.v4.new_output("display_data", {"image/png": "AAAA"})
    cells = [
        nbformat.v4.new_code_cell("draw()", outputs=[figure]),
        nbformat.v4.new_markdown_cell("*Figure 1.1.* A *thin*\nline.\n\nMore text."),
        nbformat.v4.new_code_cell("draw()", outputs=[figure]),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert captions(notebook) == ["A thin line.", "A figure."]


def test_formulas_load_mathjax_from_where_one_says():
    path = chapters()["00"].path
    assert "there/mathjax.js" in page_of(path, "there/mathjax.js")


def test_no_notebooks_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no notebooks"):
        write_book(tmp_path / "pages", tmp_path)


def test_the_command_says_where_to_begin(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "rlbook.book.publish.html.write_book", lambda folder, mathjax: [folder / "index.html"]
    )
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"1 pages; begin with {tmp_path / 'index.html'}\n"


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """The body of a chapter with folds, as a page."""
    path = tmp_path_factory.mktemp("folded") / "07_sample.ipynb"
    closed = code("# Eq. (7.1) & more\nx = 1\nprint(x)", "the output\n")
    notebook = road_notebook(lambda cells: cells.insert(SHOWN, closed))
    path.write_text(to_text(notebook), encoding="utf-8")
    return page_of(path).partition("<main")[2]


def test_closed_headings_are_details(folded):
    opened = re.findall(r'<details class="fold"><summary>▸ (.*?)</summary>', folded)
    assert [title.split(":")[0] for title in opened] == ["Checked", "Answer", "Why", "Side roads"]
    assert folded.count("<details") == folded.count("</details>")
    why = folded.partition("▸ Why")[2]
    assert "Both sides are sums" in why.partition("</details>")[0]
    assert "Lab: move it" in why.partition("</details>")[2]


def test_closed_cells_are_details_and_show_their_outputs(folded):
    inside, _, after = folded.partition(
        '<details class="code"><summary>Eq. (7.1) &amp; more</summary>'
    )[2].partition("</details>")
    assert "print" in inside and "the output" not in inside
    before, found, _ = after.partition("the output")
    assert found and "highlight" not in before
