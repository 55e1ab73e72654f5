"""A tiny notebook that obeys every rule, to be broken by the tests of the rules."""

import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rlbook.book.publish.execute import METADATA
from rlbook.book.publish.launch import INSTALL_CELL, to_text

NAVIGATION = (
    "[← 2. Models](02_models.ipynb) · [Contents](00_start_here.ipynb)"
    " · [4. Value iteration →](04_value_iteration.ipynb)"
)
TITLE = f"# 3. A sample\n\n{NAVIGATION}\n\nWhat does one number tell?"
EQUATIONS = (
    "## 3.1 Two sides\n\nThe return is defined by\n\n$$ G = 1 + 1. \\tag{3.1} $$\n\nBy Eq. (3.1),"
    " with $\\gamma = 1$,\n\n$$\n\\begin{aligned}\nG &= 2 .\n\\end{aligned}\n\\tag{3.2}\n$$"
)
PIXEL = (  # 2 x 2, with a palette, as `clean` stores it
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACAQMAAABIeJ9nAAAAA1BMVEVGgrQW"
    "1EH0AAAADElEQVR42mNgYGAAAAAEAAHI6uv5AAAAAElFTkSuQmCC"
)
DEFINITIONS = {"3.1": "defines the return"}


def code(source: str, printed: str = "", tags: tuple[str, ...] = (), outputs: tuple = ()):
    """A code cell with what it printed."""
    outputs = list(outputs)
    if printed:
        outputs.append(new_output("stream", name="stdout", text=printed))
    return new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)} if tags else {})


def closed(cell):
    """The cell, folded to its first line in JupyterLab and in Colab."""
    cell.metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
    return cell


def exercise(number: str, kind: str) -> list:
    """One exercise in the form that chapters use."""
    hints = "".join(f"\n\n<details><summary>Hint {n}</summary> Think. </details>" for n in (1, 2))
    hints = hints if kind == "code" else ""
    cells = [new_markdown_cell(f"**Exercise {number}** ({kind}). Add two numbers.{hints}")]
    if kind == "code":
        said = f"Exercise {number}: not attempted yet.\n"
        stub = f'def add(a, b):\n    ...\n\n\ncheck_exercise("{number}", add)'
        cells.append(code(stub, said, ("exercise",)))
    solution = f"<details><summary>Solution to Exercise {number}</summary>\n\nTwo.\n\n</details>"
    return [*cells, new_markdown_cell(solution)]


def sample_cells() -> list:
    """The cells of the sample, not yet numbered."""
    data = {"image/png": PIXEL, "text/plain": "<Figure>"}
    figure = new_output("display_data", data, metadata={"image/png": {"width": 1, "height": 1}})
    return [
        new_markdown_cell(TITLE),
        code(INSTALL_CELL, tags=("install",)),
        closed(code("from rlbook.book import check, check_exercise")),
        new_markdown_cell(EQUATIONS),
        code('check("3.2", 1 + 1, 2)', "Eq. (3.2) holds: left = right in 1 case\n"),
        code("print('drawing')", outputs=(figure,), printed="drawing\n"),
        new_markdown_cell("*Figure 3.1.* One pixel.\n\n![A pixel](../figures/pixel.svg)"),
        code("assert 1 + 1 == 2  # the claim of Figure 3.1", tags=("claim",)),
        new_markdown_cell("## Exercises"),
        *exercise("3.1", "pen and paper"),
        *exercise("3.2", "code"),
        *exercise("3.3", "code"),
        *exercise("3.4", "pen and paper"),
        new_markdown_cell(f"## Further reading\n\nBellman (1957).\n\n{NAVIGATION}"),
    ]


def appendix_cells() -> list:
    """The same sample as appendix A: its numbers, its neighbours."""
    cells = sample_cells()
    for cell in cells:
        cell.source = re.sub(r"\b3\.(?= A| T|\d)", "A.", cell.source)
        cell.source = cell.source.replace("02_models", "20_grpo")
        cell.source = cell.source.replace("04_value_iteration", "B_corrections")
    return cells


def make_notebook(cells: list) -> nbformat.NotebookNode:
    """A notebook of `cells`, with counts 1 to n and ids by position."""
    count = 0
    for position, cell in enumerate(cells):
        cell["id"] = f"cell-{position}"
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
    return new_notebook(cells=cells, metadata=METADATA)


def write(notebook: nbformat.NotebookNode, root: Path, name: str = "03_sample.ipynb") -> Path:
    """Write it into a tiny book: with a picture and the chapters that it links to."""
    others = ("20_grpo", "B_corrections") if name[0] == "A" else ("02_models", "04_value_iteration")
    for file in ("00_start_here", *others):
        path = root / "notebooks" / f"{file}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "figures").mkdir(exist_ok=True)
    (root / "figures" / "pixel.svg").touch()
    path = root / "notebooks" / name
    path.write_text(to_text(notebook), encoding="utf-8")
    return path
