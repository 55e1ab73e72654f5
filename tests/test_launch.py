"""The address is said once; writing it out touches nothing else."""

import json
from pathlib import Path

import nbformat
import pytest
from sample_notebook import make_notebook, sample_cells, write

from rlbook.book.publish.execute import main
from rlbook.book.publish.launch import address, install_cell, set_address, synchronise_book

ROOT = Path(__file__).resolve().parents[1]
URL = "https://github.com/someone/a-book"


@pytest.fixture
def book(tmp_path):
    """A tiny book without an address."""
    write(make_notebook(sample_cells()), tmp_path)
    for empty in tmp_path.glob("notebooks/0[024]_*.ipynb"):
        empty.unlink()
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("Repository = ")]
    (tmp_path / "pyproject.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    readme = "# Title\n\n<!-- launch -->\n<!-- /launch -->\n\nText\n"
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    synchronise_book(tmp_path)
    return tmp_path


def test_without_an_address(book):
    assert address(book) == ""
    assert "OWNER/NAME" in (book / "README.md").read_text(encoding="utf-8")
    assert "pip install -e ." in install_cell("") and "%pip" not in install_cell("")
    assert synchronise_book(book) == []


def test_the_address_is_written_everywhere_and_nothing_else_changes(book):
    path = book / "notebooks" / "03_sample.ipynb"
    before = json.loads(path.read_text(encoding="utf-8"))
    set_address(URL, book)
    assert address(book) == URL
    assert [file.name for file in synchronise_book(book)] == ["README.md", "03_sample.ipynb"]
    assert synchronise_book(book) == []
    after = json.loads(path.read_text(encoding="utf-8"))
    changed = [
        i
        for i, pair in enumerate(zip(before["cells"], after["cells"], strict=True))
        if pair[0] != pair[1]
    ]
    assert changed == [0, 1] and before["metadata"] == after["metadata"]
    assert before["cells"][1]["id"] == after["cells"][1]["id"]
    first, install = ("".join(cell["source"]) for cell in after["cells"][:2])
    assert f"{URL.removeprefix('https://')}" in install and "%pip install -q" in install
    assert "urlpath=lab/tree/notebooks/03_sample.ipynb" in first
    assert "colab.research.google.com/github/someone/a-book/blob/main/notebooks/03" in first
    readme = (book / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# Title\n\n<!-- launch -->\n[![") and readme.endswith("\n\nText\n")
    nbformat.validate(nbformat.read(path, as_version=4))


def test_another_address_replaces_the_first(book):
    set_address(URL, book)
    synchronise_book(book)
    set_address("https://github.com/else/where", book)
    synchronise_book(book)
    for file in ("pyproject.toml", "README.md", "notebooks/03_sample.ipynb"):
        text = (book / file).read_text(encoding="utf-8")
        assert "someone" not in text and "else/where" in text


@pytest.mark.parametrize("url", ["", "rlbook", "https://example.org/a/b", URL + "/tree/main"])
def test_a_bad_address_is_refused(book, url):
    before = (book / "pyproject.toml").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="url must look like https://github.com/OWNER/NAME"):
        set_address(url, book)
    assert (book / "pyproject.toml").read_text(encoding="utf-8") == before


def test_a_project_file_without_the_table_is_refused(book):
    (book / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"\[project.urls\], found 0"):
        set_address(URL, book)


def test_the_command_prints_the_present_install_cell(capsys):
    assert main(["install-cell"]) == 0
    assert capsys.readouterr().out == install_cell(address()) + "\n"


@pytest.mark.parametrize("url", ["", URL])
def test_the_install_cell_is_valid_python_of_a_notebook(url):
    transform = pytest.importorskip("IPython.core.inputtransformer2").TransformerManager()
    compile(transform.transform_cell(install_cell(url)), "cell", "exec")
    assert max(map(len, install_cell(url).split("\n"))) <= 88
