"""Where the book lives: its address, and what each notebook and the README say of it.

The address is said once, in pyproject.toml. `python -m rlbook.book address URL` writes it
there and then rewrites the first code cell of every notebook and the links to Binder and Colab.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from rlbook.book.chapters import notebooks
from rlbook.book.paths import ROOT

if TYPE_CHECKING:  # Jupyter's own packages come with the extra `lab`
    from nbformat import NotebookNode

LAUNCH = re.compile(r"<!-- launch -->.*?<!-- /launch -->", re.DOTALL)

INSTALL_CELL = """\
try:
    import rlbook  # noqa: F401
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "This notebook needs the book's package, rlbook. In a terminal, in the folder"
        " of your clone that holds pyproject.toml, run: pip install -e ."
        " Then restart this kernel."
    ) from None"""
INSTALL_CELL_FROM_ADDRESS = """\
try:
    import rlbook  # noqa: F401
except ModuleNotFoundError:
    %pip install -q "rlbook @ git+{address}\""""


def read(path: Path) -> NotebookNode:
    """Read a notebook of format 4, without the wish of nbformat to repair it silently."""
    import nbformat

    return nbformat.read(path, as_version=4)


def to_text(notebook: NotebookNode) -> str:
    """The bytes of the file: sorted keys, indent 1, a newline at the end."""
    import nbformat

    return nbformat.writes(notebook).rstrip("\n") + "\n"


def address(root: Path = ROOT) -> str:
    """The repository's address in pyproject.toml, or the empty string while there is none."""
    file = root / "pyproject.toml"
    if not file.exists():
        return ""
    return tomllib.loads(file.read_text())["project"].get("urls", {}).get("Repository", "")


def install_cell(url: str) -> str:
    """The first code cell of every notebook: nothing happens where rlbook is installed."""
    return INSTALL_CELL_FROM_ADDRESS.format(address=url) if url else INSTALL_CELL


def launch_links(url: str, notebook: str) -> tuple[str, str]:
    """The addresses that open `notebook` on Binder and on Colab."""
    slug = url.removeprefix("https://github.com/")
    binder = f"https://mybinder.org/v2/gh/{slug}/HEAD?urlpath=lab/tree/notebooks/{notebook}"
    return binder, f"https://colab.research.google.com/github/{slug}/blob/main/notebooks/{notebook}"


def notebook_launch(url: str, notebook: str) -> str:
    """The launch line of a notebook, between its markers; empty while there is no address."""
    if not url:
        return "<!-- launch --><!-- /launch -->"
    binder, colab = launch_links(url, notebook)
    return f"<!-- launch -->[Run on Binder]({binder}) · [Run on Colab]({colab})<!-- /launch -->"


def readme_launch(url: str) -> str:
    """The launch lines of the README; an explanation while there is no address."""
    text = (
        "Once the repository has a public address on GitHub,\n"
        "`python -m rlbook.book address https://github.com/OWNER/NAME` writes the links that\n"
        "open the book on Binder and on Colab here and at the top of every notebook."
    )
    if url:
        binder, colab = launch_links(url, "00_start_here.ipynb")
        text = (
            f"[![Launch on Binder](https://mybinder.org/badge_logo.svg)]({binder})\n"
            "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
            f"({colab})"
        )
    return f"<!-- launch -->\n{text}\n<!-- /launch -->"


def synchronise(notebook: NotebookNode, name: str, url: str) -> None:
    """Write the install cell and the launch line of one notebook; outputs stay as they are."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and "install" in cell.metadata.get("tags", []):
            cell.source = install_cell(url)
            cell.id = "install"  # the same in every draft, whatever the draft's cell said
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown":
        return
    line = notebook_launch(url, name)
    if LAUNCH.search(first.source):
        first.source = LAUNCH.sub(lambda _: line, first.source, count=1)
    elif url:  # below the title
        title, _, rest = first.source.partition("\n")
        first.source = f"{title}\n\n{line}\n{rest}"


def set_address(url: str, root: Path = ROOT) -> None:
    """Write `url` into pyproject.toml, `[project.urls] Repository`."""
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        raise ValueError(f"url must look like https://github.com/OWNER/NAME, got {url!r}")
    file, line = root / "pyproject.toml", f'Repository = "{url.removesuffix(".git")}"\n'
    table = re.compile(r"(\[project\.urls\]\n)(?:Repository = .*\n)?")
    text, count = table.subn(lambda found: found[1] + line, file.read_text())
    if count != 1:
        raise ValueError(f"{file} needs exactly one line [project.urls], found {count}")
    file.write_text(text)


def synchronise_book(root: Path = ROOT) -> list[Path]:
    """Rewrite the README and every notebook from the address; returns the files that changed."""
    url, new = address(root), {}
    readme = root / "README.md"
    new[readme] = LAUNCH.sub(lambda _: readme_launch(url), readme.read_text(encoding="utf-8"))
    for path in notebooks(root / "notebooks"):
        notebook = read(path)
        synchronise(notebook, path.name, url)
        new[path] = to_text(notebook)
    changed = [path for path, text in new.items() if path.read_text(encoding="utf-8") != text]
    for path in changed:
        path.write_text(new[path], encoding="utf-8")
    return changed
