"""The whole book as one folder of linked web pages, to read on a phone or to print.

    python -m rlbook.book html [FOLDER]

The pages show what is stored in the notebooks: nothing is executed. Formulas are drawn by
MathJax, which the reader's browser loads from the address that nbconvert names, or from --mathjax.
"""

from __future__ import annotations

import argparse
import re
import shutil
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from rlbook.book.chapters import notebooks
from rlbook.book.paths import ROOT
from rlbook.book.publish.launch import LAUNCH, read
from rlbook.book.publish.road import folds, is_closed

if TYPE_CHECKING:  # Jupyter's own packages come with the extra `lab`
    from nbformat import NotebookNode

CAPTION = re.compile(r"\*Figure [\w.]+\.\*\s*(.*?)(?:\n\n|\Z)", re.DOTALL)
RAW = "rlbook-html-"  # where nbconvert would not let HTML pass
OUTPUT_ONLY = "output-only"
UNDESCRIBED = "No description has been provided for this image"  # nbconvert says
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
LINK = re.compile(r'(href=")(?:notebooks/)?(\w+)\.ipynb(#[^"]*)?(")')
STYLE = """
<style>
body.jp-Notebook, main { max-width: 52rem; margin: 0 auto; padding: 0 0.8rem; }
.jp-Cell { padding: 0; }
.jp-InputPrompt, .jp-OutputPrompt, .jp-InputCollapser, .jp-OutputCollapser,
.anchor-link { display: none; }
.jp-RenderedHTMLCommon { font-size: 1rem; line-height: 1.55; overflow-x: auto; }
.jp-RenderedHTMLCommon table { display: block; overflow-x: auto; margin-left: 0; }
.jp-RenderedHTMLCommon img, .jp-OutputArea-output img { max-width: 100%; height: auto; }
.MJXc-display, .MathJax_Display { overflow-x: auto; overflow-y: hidden; }
.jp-CodeMirrorEditor, .highlight pre { overflow-x: auto; }
details { margin: 0.6rem 0; }
details.fold { border-left: 3px solid #ccc; padding-left: 0.8rem; }
summary { cursor: pointer; }
@media print { .jp-Cell { break-inside: avoid-page; } details > * { display: block; } }
</style>
"""


def captions(notebook: NotebookNode) -> list[str]:
    """What the Markdown cell after each drawn figure says of it, in order, as plain text."""
    found = []
    for cell, after in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        said = CAPTION.match(after.source) if after and after.cell_type == "markdown" else None
        text = re.sub(r"[*`]", "", " ".join(said[1].split())) if said else "A figure."
        figures = [out for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]
        found += [text] * len(figures)
    return found


def relink(page: str) -> str:
    """Links to notebooks become links to pages; pictures lie in the same folder."""
    return LINK.sub(r"\1\2.html\3\4", page).replace('src="../figures/', 'src="figures/')


def with_details(notebook: NotebookNode) -> list[str]:
    """Closed headings and closed cells become <details>, in place.

    A closed cell's code goes in, its output stays outside.

    Returns:
        What is to be put into the page, HTML, where RAW0, RAW1, ... stand in it.
    """
    from nbformat.v4 import new_code_cell, new_raw_cell

    pieces: list[str] = []
    cells, done = notebook.cells, []
    heads = {fold.start: fold for fold in folds(cells)}
    stops = {fold.stop for fold in folds(cells)}

    def put(html: str) -> None:
        done.append(new_raw_cell(f"{RAW}{len(pieces)}."))
        pieces.append(html)

    def open_(kind: str, title: str) -> None:
        put(f'<details class="{kind}"><summary>{escape(title)}</summary>')

    for index, cell in enumerate([*cells, None]):
        if index in stops:
            put("</details>")
        if index in heads:
            open_("fold", heads[index].title)
        elif cell is not None and is_closed(cell) and cell.source.startswith("# "):
            open_("code", cell.source.split("\n")[0].removeprefix("# "))
            shown = new_code_cell("", outputs=cell.outputs, metadata={"tags": [OUTPUT_ONLY]})
            cell.outputs = []
            done.append(cell)
            put("</details>")
            done += [shown] if shown.outputs else []
        elif cell is not None:
            done.append(cell)
    notebook.cells = done
    return pieces


def page_of(path: Path, mathjax: str | None = None) -> str:
    """One notebook as a web page.

    Args:
        path: of the notebook.
        mathjax: where the browser finds MathJax 2; by default where nbconvert says.
    """
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    notebook = read(path)
    first = notebook.cells[0]
    first.source = LAUNCH.sub("", first.source)
    title = TITLE.search(first.source)
    notebook.metadata["title"] = title[1] if title else path.stem
    exporter = HTMLExporter(
        template_name="lab",
        theme="light",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        config=Config(
            TagRemovePreprocessor={
                "enabled": True,
                "remove_cell_tags": {"install"},
                "remove_input_tags": {OUTPUT_ONLY},
            }
        ),
        **({"mathjax_url": mathjax} if mathjax else {}),
    )
    said = iter(captions(notebook))
    pieces = with_details(notebook)
    page, _ = exporter.from_notebook_node(notebook)
    page = re.sub(rf"{RAW}(\d+)\.", lambda found: pieces[int(found[1])], page)
    page = re.sub(f'alt="{UNDESCRIBED}"', lambda _: f'alt="{escape(next(said))}"', page)
    return relink(page.replace("</head>", STYLE + "</head>", 1))


def front_page(readme: str) -> str:
    """The README as the first page."""
    from nbconvert.filters import markdown2html

    title = TITLE.search(readme)
    body = markdown2html(LAUNCH.sub("", readme))
    head = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{title[1] if title else 'rlbook'}</title>{STYLE}</head>"
    )
    main = f'<main class="jp-RenderedHTMLCommon">{body}</main>'
    return relink(f'{head}<body style="font-family: sans-serif">{main}</body></html>')


def write_book(folder: Path, root: Path = ROOT, mathjax: str | None = None) -> list[Path]:
    """Write index.html, one page for each notebook, the pictures they show, and the files (the
    licence, for one) that the first page links to.

    Args:
        folder: made if it does not exist; files of the same names are replaced.
        root: of the book, with notebooks, figures and README.md.
        mathjax: see page_of.

    Returns:
        The pages, the first one first.

    Raises:
        FileNotFoundError: no notebooks under root.
    """
    paths = notebooks(root / "notebooks")
    if not paths:
        raise FileNotFoundError(f"no notebooks in {root / 'notebooks'}")
    folder.mkdir(parents=True, exist_ok=True)
    pages = {folder / "index.html": front_page((root / "README.md").read_text("utf-8"))}
    for path in paths:
        pages[folder / f"{path.stem}.html"] = page_of(path, mathjax)
    for path, page in pages.items():
        path.write_text(page, encoding="utf-8")
    (folder / "figures").mkdir(exist_ok=True)
    for name in sorted(set(re.findall(r'src="figures/([^"]+)"', "".join(pages.values())))):
        shutil.copy(root / "figures" / name, folder / "figures" / name)
    for name in set(re.findall(r'href="([\w.]+)"', pages[folder / "index.html"])):
        if (root / name).is_file():
            shutil.copy(root / name, folder / name)
    return list(pages)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rlbook.book html", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", nargs="?", type=Path, default=Path("html"))
    parser.add_argument("--mathjax", help="the address of MathJax 2, for a copy of your own")
    options = parser.parse_args(arguments)
    pages = write_book(options.folder, mathjax=options.mathjax)
    print(f"{len(pages)} pages; begin with {pages[0]}")
    return 0
