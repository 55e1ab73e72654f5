"""What every notebook must satisfy by itself, as functions from a notebook to its problems.

Each rule returns a list of sentences, empty where all is well; RULES lists them. The rules about
the book as a whole (numbers of equations, citations, exercises, links) are in book_rules.py.
"""

import ast
import base64
import copy
import re
import statistics
from collections.abc import Callable

import nbformat
from parsed_notebook import (
    BLOCK,
    INLINE_MATH,
    Notebook,
    number_of,
    only_imports,
    parse,
    rooms_of,
    tags_of,
    texts_of,
)

from rlbook.book.chapters import KINDS, LABEL
from rlbook.book.publish.execute import FOLDS, METADATA, same_metadata
from rlbook.book.publish.launch import to_text

MAX_BYTES = 1_500_000
MAX_COLUMNS, MAX_LINES, MAX_MEDIAN_LINES = 88, 25, 8  # the closed import cell is free
MAX_ROOMS = 7  # from which a chapter imports
KNOWN_TAGS = {
    *("install", "claim", "measured", "heavy", "exercise", "nbval-ignore-output"),
    *("fold", "surprising", "lab"),
}
RENDERED = {  # shown in a notebook that is not trusted, as after a clone
    *("text/plain", "text/html", "text/markdown", "text/latex"),
    *("image/png", "image/gif", "image/jpeg"),
}
FORBIDDEN = {  # what some of JupyterLab, GitHub, Colab and VS Code do not show
    r"\\label\b": r"\label",
    r"\\(?:eq)?ref\b": r"\ref and \eqref (cite as plain Eq. (3.4))",
    r"\\(?:re)?newcommand\b": r"\newcommand",
    r"\\bm\b": r"\bm (use \mathbf or \boldsymbol)",
    r"\\operatorname\b": r"\operatorname (use \text or \mathrm)",
    r"\\mathbb\s*\{?1": r"\mathbb{1} (use \mathbf{1})",
    r"\\begin\{(?!aligned|cases|[pbvBV]?matrix|array|gathered)": "an environment like align",
    r"\\\$": r"\$ (write the word dollar)",
    r"\[\^\w+\](?!\()": "a footnote",
    r"^[ >]*\[!\w+\]": "> [!NOTE]",
    r"^[ >]*:::": "a MyST block",
}
Rule = Callable[[Notebook], list[str]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    RULES.append(function)
    return function


# ---------------------------------------------------------------- how it is stored


@rule
def is_stored_as_execute_writes(notebook: Notebook) -> list[str]:
    node = copy.deepcopy(notebook.node)  # nbformat repairs what it looks at
    try:
        nbformat.validate(node)
    except nbformat.ValidationError as error:
        return [f"not a valid notebook: {error.message}"]
    if to_text(node) != notebook.path.read_text(encoding="utf-8"):
        return ["not in the form that `python -m rlbook.book execute` writes"]
    return []


@rule
def was_executed_in_order(notebook: Notebook) -> list[str]:
    counts = [cell.execution_count for cell in notebook.code]
    if counts != list(range(1, len(counts) + 1)):
        return [f"execution counts are {counts}, not 1 to {len(counts)}"]
    return []


@rule
def stores_its_outputs(notebook: Notebook) -> list[str]:
    found = [
        f"{number_of(index, cell)} shows something, but no output is stored"
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and _shows_something(cell.source) and not cell.outputs
    ]
    if not any(cell.outputs for cell in notebook.code):
        found.append("no cell has an output")
    return found


def _shows_something(source: str) -> bool:
    """Whether a cell prints, checks, draws, or ends with a value, as far as its text tells."""
    body = parse(source).body
    for statement in body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            name = ast.unparse(statement.value.func)
            if name in {"print", "check", "check_exercise", "plt.show", "display"}:
                return True
    last = body[-1] if body else None
    quiet = ast.Call | ast.Await | ast.Constant
    return isinstance(last, ast.Expr) and not isinstance(last.value, quiet)


@rule
def stores_no_error_and_no_stderr(notebook: Notebook) -> list[str]:
    return [
        f"{number_of(index, cell)} stores {output.get('name', 'an error')}"
        for index, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


@rule
def outputs_show_everywhere(notebook: Notebook) -> list[str]:
    return [
        f"{number_of(index, cell)} stores {kind}, which an untrusted notebook does not show"
        for index, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
        if kind not in RENDERED
    ]


@rule
def has_only_the_allowed_metadata(notebook: Notebook) -> list[str]:
    """No widget state, no timing, nothing of an editor; what JupyterLab writes when it opens it."""
    found = []
    if not same_metadata(notebook.node.metadata, METADATA):
        found.append(f"metadata is {dict(notebook.node.metadata)}, wanted {METADATA}")
    for index, cell in enumerate(notebook.cells):
        extra = {k: v for k, v in cell.metadata.items() if k != "tags" and (k, v) not in FOLDS}
        unknown = set(tags_of(cell)) - KNOWN_TAGS
        if extra or unknown:
            found.append(f"{number_of(index, cell)} has metadata {extra}, tags {unknown}")
    return found


@rule
def has_unique_ids(notebook: Notebook) -> list[str]:
    ids = [cell.get("id") for cell in notebook.cells]
    found = [f"cell {index} has no id" for index, id_ in enumerate(ids) if not id_]
    return found + [f"id {id_} occurs twice" for id_ in {i for i in ids if i and ids.count(i) > 1}]


@rule
def is_small(notebook: Notebook) -> list[str]:
    size = notebook.path.stat().st_size
    return [f"{size} bytes, the limit is {MAX_BYTES}"] if size > MAX_BYTES else []


# ---------------------------------------------------------------- code


@rule
def begins_with_the_install_cell(notebook: Notebook) -> list[str]:
    """Its text is compared with the address in test_project.py."""
    tagged = [index for index, cell in enumerate(notebook.code) if "install" in tags_of(cell)]
    return [] if tagged == [0] else [f"code cells tagged install: {tagged}, wanted [0]"]


@rule
def code_is_short(notebook: Notebook) -> list[str]:
    found, lengths = [], []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        lines, free = cell.source.split("\n"), only_imports(cell)
        lengths += [] if free else [len(lines)]
        name, widest = number_of(index, cell), max(map(len, lines))
        if not cell.source.strip():
            found.append(f"{name} is empty")
        if len(lines) > MAX_LINES and not free:
            found.append(f"{name} has {len(lines)} lines, the limit is {MAX_LINES}")
        if widest > MAX_COLUMNS:
            found.append(f"{name} has a line of {widest} columns, the limit is {MAX_COLUMNS}")
    if lengths and statistics.median(lengths) > MAX_MEDIAN_LINES:
        found.append(f"the median cell has {statistics.median(lengths)} lines")
    return found


@rule
def imports_from_few_rooms(notebook: Notebook) -> list[str]:
    rooms = {room for cell in notebook.code for room in rooms_of(cell)}
    rooms -= {room for room in rooms if room.startswith("rlbook.book.labs")}
    if len(rooms) > MAX_ROOMS:
        return [f"imports from {len(rooms)} places, the limit is {MAX_ROOMS}: {sorted(rooms)}"]
    return []


@rule
def imports_are_closed(notebook: Notebook) -> list[str]:
    """In JupyterLab and in Colab: nobody reads them."""
    closed = {"jupyter": {"source_hidden": True}, "cellView": "form"}
    return [
        f"{number_of(index, cell)} holds nothing but imports, but is not closed"
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
        and only_imports(cell)
        and not closed.items() <= cell.metadata.items()
    ]


@rule
def no_cell_ends_with_a_semicolon(notebook: Notebook) -> list[str]:
    return [
        f"{number_of(index, cell)} ends with ';', which nbval does not honour"
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.rstrip().endswith(";")
    ]


@rule
def leaves_no_output_unchecked(notebook: Notebook) -> list[str]:
    """What nbval ignores is a measurement, or is followed by a claim that can fail."""
    found = []
    for index, cell in enumerate(notebook.code):
        name, tags = number_of(index, cell), tags_of(cell)
        ignored = "nbval-ignore-output" in tags
        if "nbval_" in cell.source.lower():
            found.append(f"{name}: use the tag nbval-ignore-output, not a comment")
        if "measured" in tags and not ignored:
            found.append(f"{name} is tagged measured, but not nbval-ignore-output")
        if "claim" in tags and (ignored or not re.search(r"assert|check\(", cell.source)):
            found.append(f"{name} is tagged claim, but cannot fail")
        rest = [c for c in notebook.code[index + 1 :] if "measured" not in tags_of(c)]
        followers = rest[:2]
        if ignored and "measured" not in tags and not any("claim" in tags_of(c) for c in followers):
            found.append(f"{name}: a claim must follow a cell whose output is ignored")
    return found


@rule
def measures_in_cells_of_their_own(notebook: Notebook) -> list[str]:
    """Seconds differ from run to run: a cell that prints them is tagged measured."""
    times = re.compile(r"\b(wall_time|perf_counter|process_time|monotonic|seconds)\b|time\.time\(")
    return [
        f"{number_of(index, cell)} prints {found[0]}, but is not tagged measured"
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and "measured" not in tags_of(cell)
        for node in ast.walk(parse(cell.source))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "print"
        and (found := times.search(ast.unparse(node)))
    ]


@rule
def prints_no_rounding(notebook: Notebook) -> list[str]:
    """A number under 1e-12 is rounding, and another processor rounds in another way.

    Say "below 1e-12", and assert it.
    """
    return [
        f"{number_of(index, cell)} prints {found}: say below 1e-12, and assert it"
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and "nbval-ignore-output" not in tags_of(cell)
        for text in texts_of(cell)
        for found in re.findall(r"\d+\.?\d*(?:e[+-]?\d+)?", text)
        if 0 < float(found) < 1e-12
    ]


# ---------------------------------------------------------------- text


@rule
def numbers_its_equations(notebook: Notebook) -> list[str]:
    found = [
        f"\\tag{{{tag}}} must be {notebook.chapter}.1, {notebook.chapter}.2, ..."
        for tag in notebook.tags
        if not re.fullmatch(rf"{notebook.chapter}\.\d+[a-z]?", tag)
    ]
    blocks = [block.count(r"\tag{") for block in BLOCK.findall(notebook.text)]
    if sum(blocks) != notebook.text.count(r"\tag{"):
        found.append(r"a \tag stands outside of $$ ... $$")
    if any(count > 1 for count in blocks):
        found.append(r"a $$ block has more than one \tag")
    for cell in notebook.markdown:
        if cell.source.count("$$") % 2:
            found.append(f"{number_of(0, cell)}: an odd number of $$")
    return found


@rule
def uses_latex_that_shows_everywhere(notebook: Notebook) -> list[str]:
    raw = "\n\n".join(cell.source for cell in notebook.markdown)
    prose_only = {r"\[\^\w+\](?!\()"}  # in a formula this is an exponent
    found = [
        f"{name} ({match.group().strip()})"
        for pattern, name in FORBIDDEN.items()
        for match in re.finditer(
            pattern, notebook.prose if pattern in prose_only else notebook.text, re.MULTILINE
        )
    ]
    fences = re.findall(r"^[ >]*(?:```|~~~)[ ]*(\{.*|mermaid)", raw, re.MULTILINE)
    return found + [f"a fence of kind {kind}" for kind in fences]


@rule
def avoids_words_that_discourage(notebook: Notebook) -> list[str]:
    words = re.findall(r"\b(clearly|simply|obviously)\b", notebook.prose, re.IGNORECASE)
    return [f"the word {word!r}" for word in words]


@rule
def speaks_of_no_private_documents(notebook: Notebook) -> list[str]:
    if KINDS[notebook.chapter] in {"start", "corrections"}:
        return []
    text = "\n".join(cell.source for cell in notebook.cells)
    words = re.findall(r"\bledger\b|source notes", text, re.IGNORECASE)
    return [f"the words {word!r}: readers do not have that" for word in words]


@rule
def shows_every_picture(notebook: Notebook) -> list[str]:
    """Pictures in Markdown are files of the book, and carry alternative text."""
    found, folder = [], notebook.path.parent
    text = "\n\n".join(cell.source for cell in notebook.markdown)
    pictures = [(alt, source) for alt, source in re.findall(r"!\[(.*?)\]\((.*?)\)", text)]
    for tag in re.findall(r"<img\b[^>]*>", text):
        parts = (re.search(rf'{name}="([^"]*)"', tag) for name in ("alt", "src"))
        pictures.append(tuple(part[1] if part else "" for part in parts))
    for alt, source in pictures:
        if not alt.strip():
            found.append(f"the picture {source} has no alternative text")
        if not source.strip() or not (folder / source.split()[0]).is_file():
            found.append(f"the picture {source} is no file")
    return found


@rule
def captions_every_figure(notebook: Notebook) -> list[str]:
    found, cells = [], notebook.cells
    for index, cell in enumerate(cells):
        pictures = sum("image/png" in out.get("data", {}) for out in cell.get("outputs", []))
        after = cells[index + 1].source if index + 1 < len(cells) else ""
        if pictures > 1:
            found.append(
                f"{number_of(index, cell)} draws {pictures} figures; one caption, one figure"
            )
        if pictures and not re.match(rf"\*Figure {notebook.chapter}\.\d+\.\*\s+\S", after):
            want = f"*Figure {notebook.chapter}.1.*"
            found.append(f"{number_of(index, cell)}: no Markdown cell that begins {want} follows")
    text = "\n\n".join(cell.source for cell in notebook.markdown)
    numbers = re.findall(rf"^\*Figure ({LABEL}\.\d+)\.\*", text, re.MULTILINE)
    wanted = [f"{notebook.chapter}.{count}" for count in range(1, len(numbers) + 1)]
    return found + ([f"figures are numbered {numbers}"] if numbers != wanted else [])


@rule
def figures_are_sharp(notebook: Notebook) -> list[str]:
    """Stored with twice the dots that they have on the page, as use_style() draws them."""
    found = []
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                dots = int.from_bytes(base64.b64decode(picture)[16:20], "big")  # PNG's header
                width = output.metadata.get("image/png", {}).get("width", dots)
                if dots < 2 * width - 1:
                    found.append(
                        f"{number_of(index, cell)}: its figure has {dots} dots in a row for"
                        f" {width} on the page; is use_style() called before?"
                    )
    return found


@rule
def has_balanced_dollars(notebook: Notebook) -> list[str]:
    """A lone $ turns the rest of its paragraph into a formula."""
    left = INLINE_MATH.sub(" ", BLOCK.sub(" ", notebook.text))
    return [f"a lone $ near {match!r}" for match in re.findall(r"\$.{0,30}", left)]


@rule
def has_no_comment_in_a_formula(notebook: Notebook) -> list[str]:
    r"""A % that is not written \% begins a comment of LaTeX: the rest of its line is lost."""
    inline = INLINE_MATH.findall(BLOCK.sub(" ", notebook.text))
    found = [
        re.search(r"(?<!\\)(?:\\\\)*%.{0,30}", x) for x in BLOCK.findall(notebook.text) + inline
    ]
    return [f"a % in a formula: {match.group()!r} is not shown" for match in found if match]
