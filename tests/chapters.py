"""The notebooks as the tests see them: chapters made of cells."""

import json
import linecache
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

STUB = re.compile(r"""check_exercise\(\s*["'](?P<tag>\w+\.\d+)["']\s*,\s*(?P<name>\w+)""")
SOLUTION = re.compile(
    r"<details>\s*<summary>\s*Solution to Exercise (?P<tag>\w+\.\d+)\s*</summary>"
    r"(?P<body>.*?)</details>",
    re.DOTALL,
)
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
CAPTION = re.compile(r"^\*Figure (\w+\.\d+)\.\*", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    index: int
    code: bool
    source: str
    tags: frozenset[str]

    @property
    def stub(self) -> re.Match | None:
        """The call of the checker, in a code cell that has one."""
        return STUB.search(self.source) if self.code else None


@dataclass(frozen=True)
class Exercise:
    tag: str
    name: str  # of the function
    stub: str
    solution: str | None


@dataclass(frozen=True)
class Chapter:
    number: str
    cells: tuple[Cell, ...]

    def import_cell(self) -> Cell:
        """The first code cell that is not the installation guard."""
        return next(cell for cell in self.cells if cell.code and "install" not in cell.tags)

    def exercises(self) -> list[Exercise]:
        """The code exercises, in order, each with the solution that follows."""
        text = "\n".join(cell.source for cell in self.cells if not cell.code)
        solutions = {
            found["tag"]: "\n".join(FENCE.findall(found["body"])) or None
            for found in SOLUTION.finditer(text)
        }
        return [
            Exercise(stub["tag"], stub["name"], cell.source, solutions.get(stub["tag"]))
            for cell in self.cells
            if (stub := cell.stub)
        ]

    def figure_above(self, cell: Cell) -> str | None:
        """The number of the last figure whose caption stands above the cell."""
        above = "\n".join(c.source for c in self.cells[: cell.index] if not c.code)
        captions = CAPTION.findall(above)
        return captions[-1] if captions else None


def read_chapter(path: Path) -> Chapter:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return Chapter(
        number=path.name.split("_")[0],
        cells=tuple(
            Cell(
                index=index,
                code=cell["cell_type"] == "code",
                source="".join(cell["source"]),
                tags=frozenset(cell["metadata"].get("tags", ())),
            )
            for index, cell in enumerate(cells)
        ),
    )


@cache
def chapters() -> dict[str, Chapter]:
    """Every notebook by its number: "03" -> Chapter."""
    return {
        path.name.split("_")[0]: read_chapter(path) for path in sorted(NOTEBOOKS.glob("*.ipynb"))
    }


def run_source(source: str, namespace: dict, name: str) -> None:
    """Execute one cell; `name` is what tracebacks and inspect.getsource call it."""
    filename = f"<{name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), namespace)


def plain_namespace() -> dict:
    """Where a notebook's cells run outside IPython: a module, and a mute `display`."""
    return {"__name__": "__main__", "display": lambda *args, **kwargs: None}
