"""A notebook taken apart: for the rules about it, and for running its cells without a kernel."""

import ast
import linecache
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from rlbook.book.chapters import CHAPTERS, NUMBER, label_of
from rlbook.book.paths import NOTEBOOKS

FENCE = re.compile(r"^([ >]*)(```|~~~).*?^[ >]*\2[ ]*$", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)
INLINE_MATH = re.compile(r"(?<![\\$])\$(?!\$)[^$\n]*(?:\n[^$\n]+)*?\$")
STUB = re.compile(r"""check_exercise\(\s*["'](?P<tag>\w+\.\d+)["']\s*,\s*(?P<name>\w+)""")
SOLUTION = re.compile(
    r"<details>\s*<summary>\s*Solution to Exercise (?P<tag>\w+\.\d+)\s*</summary>"
    r"(?P<body>.*?)</details>",
    re.DOTALL,
)
SOLUTION_CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
CAPTION = re.compile(r"^\*Figure (\w+\.\d+)\.\*", re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    """A code exercise."""

    tag: str
    name: str  # of the function
    stub: str
    solution: str | None


@dataclass
class Notebook:
    """One notebook file: its path, its name's number, its cells."""

    path: Path
    node: NotebookNode

    @classmethod
    def read(cls, path: Path) -> "Notebook":
        return cls(path, nbformat.from_dict(nbformat.reader.reads(path.read_text("utf-8"))))

    @property
    def chapter(self) -> str:
        """What its equations' numbers begin with: 3 for 03_bellman.ipynb, A for A_proof.ipynb."""
        return label_of(self.path.name)

    @property
    def number(self) -> str:
        """What the file's name begins with: 03 for 03_bellman.ipynb, A for A_proof.ipynb."""
        return self.path.name.split("_")[0]

    @property
    def cells(self) -> list[NotebookNode]:
        return self.node.cells

    @property
    def code(self) -> list[NotebookNode]:
        return [cell for cell in self.node.cells if cell.cell_type == "code"]

    @property
    def markdown(self) -> list[NotebookNode]:
        return [cell for cell in self.node.cells if cell.cell_type == "markdown"]

    @cached_property
    def text(self) -> str:
        """All Markdown, code fences and inline code taken out."""
        return without_code("\n\n".join(cell.source for cell in self.markdown))

    @cached_property
    def prose(self) -> str:
        """All Markdown, code and formulas taken out."""
        return INLINE_MATH.sub(" ", BLOCK.sub(" ", self.text))

    @property
    def tags(self) -> list[str]:
        """The numbers of the equations, in order."""
        return re.findall(r"\\tag\{([^}]*)\}", self.text)

    @cached_property
    def checked(self) -> list[str]:
        """The numbers of the equations that a code cell checks."""
        return [tag for cell in self.code for tag in first_arguments(cell.source, "check")]

    def import_cell(self) -> NotebookNode:
        """The first code cell that is not the installation guard."""
        return next(cell for cell in self.code if "install" not in tags_of(cell))

    def exercises(self) -> list[Exercise]:
        """The code exercises, in order, each with the solution that follows."""
        text = "\n".join(cell.source for cell in self.markdown)
        solutions = {
            found["tag"]: "\n".join(SOLUTION_CODE.findall(found["body"])) or None
            for found in SOLUTION.finditer(text)
        }
        return [
            Exercise(stub["tag"], stub["name"], cell.source, solutions.get(stub["tag"]))
            for cell in self.code
            if (stub := STUB.search(cell.source))
        ]

    def figure_above(self, index: int) -> str | None:
        """The number of the last figure whose caption stands above the cell of this index."""
        above = [cell.source for cell in self.cells[:index] if cell.cell_type == "markdown"]
        captions = CAPTION.findall("\n".join(above))
        return captions[-1] if captions else None


@cache
def chapters() -> dict[str, Notebook]:
    """Every notebook of the book by its number, in order."""
    return {chapter.number: Notebook.read(NOTEBOOKS / chapter.file) for chapter in CHAPTERS}


def number_of(cell_index: int, cell: NotebookNode) -> str:
    """How a message names a cell."""
    first = cell.source.strip().split("\n")[0][:40]
    return f"cell {cell_index} ({first!r})"


def tags_of(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def texts_of(cell: NotebookNode) -> list[str]:
    """What a code cell printed, and its values as text: what nbval compares."""
    found = []
    for output in cell.outputs:
        data = output.get("data", {})
        found += [output.get("text"), data.get("text/plain"), data.get("text/html")]
    return [text for text in found if text]


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]+`", " ", FENCE.sub(" ", text))


def parse(source: str) -> ast.Module:
    """The syntax tree of a cell; lines that begin with % or ! count as `pass`."""
    return ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE))


def rooms_of(cell: NotebookNode) -> set[str]:
    """What a cell imports from in rlbook: rlbook.planning, rlbook.deep.parts."""
    if "install" in tags_of(cell):
        return set()
    found = set()
    for node in ast.walk(parse(cell.source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "rlbook":
            found |= {f"rlbook.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name for name in found if name.split(".")[0] == "rlbook"}


def only_imports(cell: NotebookNode) -> bool:
    """Whether a cell imports from rlbook, and else only names a constant or sets the style."""
    allowed = ast.Import | ast.ImportFrom | ast.Assign
    rest = [node for node in parse(cell.source).body if not isinstance(node, allowed)]
    return bool(rooms_of(cell)) and {ast.unparse(node) for node in rest} <= {"use_style()"}


def first_arguments(source: str, function: str) -> list[str]:
    """The literal first arguments of all calls of `function` in a cell."""
    return [
        call.args[0].value
        for call in ast.walk(parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == function
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    ]


def citations(text: str) -> list[str]:
    """The numbers cited in a text: "Eq. (3.4)", "Eqs. (3.4) and (3.5)"."""
    more = rf"(?:(?:,| and| or| to|, and| with| into)?\s+\({NUMBER}\))*"
    cited = re.findall(rf"Eqs?\.\s+\({NUMBER}\){more}", text)
    return [number for group in cited for number in re.findall(rf"\(({NUMBER})\)", group)]


# ---------------------------------------------------------------- running cells


def run_source(source: str, namespace: dict, name: str) -> None:
    """Execute one cell; `name` is what tracebacks and inspect.getsource call it."""
    filename = f"<{name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), namespace)


def plain_namespace() -> dict:
    """Where a notebook's cells run outside IPython: a module, and a mute `display`."""
    return {"__name__": "__main__", "display": lambda *args, **kwargs: None}
