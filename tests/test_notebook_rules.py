"""Each rule about notebooks is seen to fail: a sound notebook is broken in one way at a time."""

import re

import pytest
from book_rules import BOOK_RULES, Book, source_citations_that_do_not_resolve
from nbformat.v4 import new_output
from notebook_rules import RULES
from parsed_notebook import Notebook, citations
from sample_notebook import (
    DEFINITIONS,
    PIXEL,
    appendix_cells,
    code,
    make_notebook,
    sample_cells,
    write,
)

from rlbook.book.publish.execute import FOLDS


def problems(notebook: Notebook, definitions=DEFINITIONS) -> dict[str, list[str]]:
    """What each rule says about a book of this one notebook; rules content with it left out."""
    book = Book([notebook], dict(definitions))
    found = {rule.__name__: rule(notebook) for rule in RULES}
    found |= {rule.__name__: rule(notebook, book) for rule in BOOK_RULES}
    return {name: said for name, said in found.items() if said}


def replace(cell: int, old: str, new: str):
    """A break: other words in one cell."""

    def change(cells):
        assert old in cells[cell].source
        cells[cell].source = cells[cell].source.replace(old, new)

    return change


def append(cell: int, text: str):
    def change(cells):
        cells[cell].source += "\n\n" + text

    return change


def insert(cell: int, *args, **kwargs):
    return lambda cells: cells.insert(cell, code(*args, **kwargs))


def drop(cell: int):
    return lambda cells: cells.pop(cell)


def output(cell: int, *args, **kwargs):
    return lambda cells: cells[cell].outputs.append(new_output(*args, **kwargs))


def soften(cell: int):
    return lambda cells: cells[cell].outputs[0].metadata.clear()


def clear(cell: int):
    return lambda cells: cells[cell].outputs.clear()


def clear_all(cells):
    for cell in cells:
        cell.get("outputs", []).clear()


def metadata(cell: int, **entries):
    return lambda cells: cells[cell].metadata.update(entries)


LONG = "\n".join(f"x{i} = {i}" for i in range(26))
TEN = "\n".join(f"x{i} = {i}" for i in range(10))
ROOMS = "planning", "formulas", "ground", "deep", "deep.parts", "language", "language.tasks"
IMPORTS = "\n".join(f"from rlbook.{room} import x" for room in ROOMS)
WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}

# Cells of the sample: 0 title, 1 install, 2 imports, 3 equations, 4 check, 5 figure, 6 caption,
# 7 claim, 8 "Exercises", 9-10 pen, 11-13 code, 14-16 code, 17-18 pen, 19 the end.
BROKEN = [
    ("stores_its_outputs", "shows something", clear(4)),
    ("stores_its_outputs", "no cell has an output", clear_all),
    ("stores_its_outputs", "shows something", insert(5, "x = 2\nx + 1")),
    ("stores_no_error_and_no_stderr", "stderr", output(4, "stream", name="stderr", text="w")),
    ("stores_no_error_and_no_stderr", "error", output(4, "error", ename="E", evalue="")),
    ("outputs_show_everywhere", "svg", output(4, "display_data", {"image/svg+xml": "<svg/>"})),
    ("outputs_show_everywhere", "widget", output(4, "display_data", WIDGET)),
    ("has_only_the_allowed_metadata", "execution", metadata(4, execution={"iopub": "1"})),
    ("has_only_the_allowed_metadata", "outputs_hidden", metadata(4, jupyter={"outputs_hidden": 1})),
    ("has_only_the_allowed_metadata", "nbval-skip", metadata(4, tags=["nbval-skip"])),
    ("is_small", "bytes", append(3, "x" * 1_600_000)),
    ("begins_with_the_install_cell", "wanted", drop(1)),
    ("begins_with_the_install_cell", "wanted", insert(1, "first = 1")),
    ("code_is_short", "26 lines", insert(5, LONG)),
    ("code_is_short", "89 columns", insert(5, "x = " + "1" * 85)),
    ("code_is_short", "is empty", insert(5, "")),
    ("code_is_short", "median", lambda cells: [cells.insert(5, code(TEN)) for _ in range(9)]),
    ("code_is_short", "26 lines", insert(5, IMPORTS + "\nprint(1)" * 19)),
    ("imports_from_few_rooms", "8 places", insert(5, IMPORTS)),
    ("imports_are_closed", "not closed", lambda cells: cells[2].metadata.pop("jupyter")),
    ("imports_are_closed", "not closed", metadata(2, cellView="code")),
    ("no_cell_ends_with_a_semicolon", "';'", insert(5, "x = 1;")),
    ("leaves_no_output_unchecked", "cannot fail", replace(7, "assert ", "")),
    ("prints_no_rounding", "prints 7e-16", insert(5, "print(1)", "at most 7e-16\n")),
    ("prints_no_rounding", "prints 2.5e-13", insert(5, "print(1)", "x 1e-12, 3 2.5e-13")),
    (
        "measures_in_cells_of_their_own",
        "prints wall_time",
        insert(5, "print(r.wall_time)", "3 s\n"),
    ),
    ("leaves_no_output_unchecked", "measured", metadata(4, tags=["measured"])),
    ("leaves_no_output_unchecked", "must follow", metadata(15, tags=["nbval-ignore-output"])),
    ("leaves_no_output_unchecked", "comment", replace(7, "#", "# NBVAL_IGNORE_OUTPUT")),
    ("numbers_its_equations", "must be 3.1", replace(3, "tag{3.1}", "tag{4.1}")),
    ("numbers_its_equations", "outside", append(3, r"as $x \tag{3.3}$ says")),
    ("numbers_its_equations", "more than one", replace(3, "1 + 1.", r"1 + 1. \tag{3.3}")),
    ("numbers_its_equations", "odd number", replace(3, r"\tag{3.1} $$", r"\tag{3.1}")),
    ("avoids_words_that_discourage", "Clearly", append(3, "Clearly, this holds.")),
    ("speaks_of_no_private_documents", "ledger", append(3, "See the ledger.")),
    ("speaks_of_no_private_documents", "source notes", append(7, "# as the source notes say")),
    ("shows_every_picture", "alternative text", replace(6, "![A pixel]", "![]")),
    ("shows_every_picture", "no file", replace(6, "pixel.svg", "lost.svg")),
    ("shows_every_picture", "alternative text", append(6, '<img src="../figures/pixel.svg">')),
    ("captions_every_figure", "no Markdown cell", replace(6, "*Figure 3.1.*", "A figure.")),
    ("captions_every_figure", "numbered", replace(6, "Figure 3.1", "Figure 3.2")),
    ("captions_every_figure", "2 figures", output(5, "display_data", {"image/png": PIXEL})),
    ("figures_are_sharp", "2 dots in a row for 2", soften(5)),
    ("has_balanced_dollars", "lone", append(3, "It costs $5.")),
    ("has_no_comment_in_a_formula", "% of all", append(3, "$$ x \\text{ in 95% of all} $$")),
    ("has_no_comment_in_a_formula", "% here", append(3, "So $x = 5% here$ and on.")),
    ("has_no_comment_in_a_formula", "% lost", append(3, "$$\nx \\\\% lost\ny\n$$")),
    ("numbers_are_unique", "twice", append(3, r"$$ x = x \tag{3.2} $$")),
    ("every_equation_is_checked_or_defined", "has no check", replace(4, '"3.2"', '"3.1"')),
    ("every_equation_is_checked_or_defined", "has no check", drop(4)),
    ("every_equation_is_checked_or_defined", "no equation", replace(4, '"3.2"', '"3.7"')),
    ("every_citation_resolves", "3.8", append(3, "By Eqs. (3.1) and (3.8), done.")),
    ("every_citation_resolves", "3.9", append(7, "# by Eq. (3.9)")),
    ("exercises_are_complete", "too few", lambda cells: cells.__delitem__(slice(17, 19))),
    ("exercises_are_complete", "too few", replace(14, "(code)", "(pen and paper)")),
    ("exercises_are_complete", "Hint 2", replace(11, "Hint 2", "Hint two")),
    ("exercises_are_complete", "Solution", drop(13)),
    ("exercises_are_complete", "check_exercise", replace(12, '"3.2"', '"3.3"')),
    ("exercises_are_complete", "numbered", replace(17, "3.4", "3.5")),
    ("exercises_are_complete", "do not pair", replace(13, "</details>", "")),
    ("exercises_are_complete", "neither", replace(9, "pen and paper", "hard")),
    ("exercises_are_complete", "does not begin", append(8, "**Exercise 3.9** (code). Add.")),
    ("links_resolve", "nowhere", append(3, "[model](05_lost.ipynb)")),
    ("links_resolve", "nowhere", append(3, "[design](../DESIGN.md)")),
    ("leads_on", "first", replace(0, "02_models", "04_value_iteration")),
    ("leads_on", "last", replace(19, "00_start_here", "04_value_iteration")),
]
BROKEN += [
    ("uses_latex_that_shows_everywhere", word, append(3, text))
    for word, text in [
        ("label", r"$$ x \label{eq} $$"),
        ("ref", r"Equation $\eqref{eq}$"),
        ("newcommand", r"$\newcommand{\E}{E}$"),
        ("bm", r"$\bm{x}$"),
        ("operatorname", r"$\operatorname{max}$"),
        ("mathbb", r"$\mathbb{1}$"),
        ("align", "$$\n\\begin{align*}\nx\n\\end{align*}\n$$"),
        ("NOTE", "> [!NOTE]\n> Beware."),
        ("MyST", ":::{note}\nBeware.\n:::"),
        ("fence", "```{note}\nBeware.\n```"),
        ("mermaid", "```mermaid\ngraph\n```"),
        ("footnote", "A word[^1]."),
        ("dollar", r"It costs \$5."),
    ]
]


def test_the_sample_obeys_every_rule(tmp_path):
    notebook = Notebook.read(write(make_notebook(sample_cells()), tmp_path))
    assert problems(notebook) == {}


def test_closed_cells_obey_every_rule(tmp_path):
    cells = sample_cells()
    for name, value in FOLDS:
        cells[4].metadata[name] = value
    assert problems(Notebook.read(write(make_notebook(cells), tmp_path))) == {}


def test_a_cell_that_only_imports_may_be_long(tmp_path):
    names = "".join(f"    name_{number},\n" for number in range(40))
    cells = sample_cells()
    cells.insert(2, code(f"import math\nfrom rlbook.planning import (\n{names})\n\nuse_style()"))
    found = problems(Notebook.read(write(make_notebook(cells), tmp_path)))
    assert "code_is_short" not in found and "imports_from_few_rooms" not in found


def appendix(tmp_path, change=lambda cells: None) -> dict[str, list[str]]:
    """The problems of the sample as appendix A, after a change."""
    cells = appendix_cells()
    change(cells)
    path = write(make_notebook(cells), tmp_path, "A_sample.ipynb")
    return problems(Notebook.read(path), {"A.1": "defines the return"})


def test_an_appendix_obeys_the_same_rules(tmp_path):
    assert appendix(tmp_path) == {}


@pytest.mark.parametrize(
    ("rule", "fragment", "change"),
    [
        ("numbers_its_equations", "must be A.1", replace(3, "tag{A.1}", "tag{3.1}")),
        ("every_equation_is_checked_or_defined", "no check", drop(4)),
        ("every_citation_resolves", "A.8", append(3, "By Eq. (A.8), done.")),
        ("captions_every_figure", "*Figure A.1.*", replace(6, "*Figure A.1.*", "A figure.")),
        ("exercises_are_complete", "too few", replace(14, "(code)", "(pen and paper)")),
        ("exercises_are_complete", "numbered", replace(17, "A.4", "3.4")),
        ("leads_on", "chapter 20", replace(0, "20_grpo", "B_corrections")),
        ("leads_on", "chapter B", replace(19, "B_corrections", "20_grpo")),
    ],
)
def test_each_break_of_an_appendix_is_found(tmp_path, rule, fragment, change):
    assert fragment in "\n".join(appendix(tmp_path, change).get(rule, []))


@pytest.mark.parametrize(("rule", "fragment", "change"), BROKEN)
def test_each_break_is_found(tmp_path, rule, fragment, change):
    cells = sample_cells()
    change(cells)
    notebook = Notebook.read(write(make_notebook(cells), tmp_path))
    found = problems(notebook)
    assert rule in found, f"{rule} did not fire, but {found}"
    assert re.search(re.escape(fragment), "\n".join(found[rule])), found[rule]


def test_every_rule_has_been_broken():
    tested = {rule for rule, _, _ in BROKEN} | {"was_executed_in_order", "has_unique_ids"}
    tested |= {"is_stored_as_execute_writes"}
    assert {rule.__name__ for rule in RULES + BOOK_RULES} == tested


def broken_file(tmp_path, change) -> dict[str, list[str]]:
    """For what the sample's cells cannot say: change the whole notebook."""
    node = make_notebook(sample_cells())
    change(node)
    return problems(Notebook.read(write(node, tmp_path)))


def test_a_notebook_that_was_never_executed(tmp_path):
    def forget(node):
        for cell in node.cells:
            if cell.cell_type == "code":
                cell.execution_count, cell.outputs = None, []

    found = broken_file(tmp_path, forget)
    assert {"was_executed_in_order", "stores_its_outputs"} <= set(found)


def test_cells_run_out_of_order(tmp_path):
    def swap(node):
        node.cells[2].execution_count, node.cells[4].execution_count = 3, 2

    assert "was_executed_in_order" in broken_file(tmp_path, swap)


@pytest.mark.filterwarnings("ignore:Non-unique cell id", "ignore:Cell is missing an id")
def test_ids(tmp_path):
    path = write(make_notebook(sample_cells()), tmp_path)
    sound = path.read_text(encoding="utf-8")
    for old, new in (('"id": "cell-2"', '"id": "cell-1"'), ('   "id": "cell-2",\n', "")):
        assert sound.count(old) == 1
        path.write_text(sound.replace(old, new), encoding="utf-8")
        assert "has_unique_ids" in problems(Notebook.read(path))


def test_widget_state_and_other_kernels(tmp_path):
    def widgets(node):
        node.metadata["widgets"] = {"state": {}}

    def kernel(node):
        node.metadata["kernelspec"]["name"] = "my-venv"

    assert "has_only_the_allowed_metadata" in broken_file(tmp_path, widgets)
    assert "has_only_the_allowed_metadata" in broken_file(tmp_path, kernel)


def test_another_layout_of_the_same_file(tmp_path):
    path = write(make_notebook(sample_cells()), tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("\n ", "\n  "), encoding="utf-8")
    assert list(problems(Notebook.read(path))) == ["is_stored_as_execute_writes"]


@pytest.mark.parametrize(
    ("definitions", "fragment"),
    [
        ({}, "nor a line in definitions.py"),
        ({"3.1": " "}, "without a reason"),
        ({"3.1": "a name", "3.2": "another"}, "is checked and listed"),
        ({"3.1": "a name", "3.5": "another"}, "lists 3.5"),
    ],
)
def test_definitions(tmp_path, definitions, fragment):
    notebook = Notebook.read(write(make_notebook(sample_cells()), tmp_path))
    found = problems(notebook, definitions)
    assert fragment in "\n".join(found["every_equation_is_checked_or_defined"])


def test_the_docstrings_of_the_package(tmp_path):
    notebook = Notebook.read(write(make_notebook(sample_cells()), tmp_path))
    book = Book([notebook], sources={"mdp.py": '"""By Eq. (3.2), Eq. (3.7), and Eq. (18.1)."""'})
    found = source_citations_that_do_not_resolve(book)
    assert found == ["mdp.py: Eq. (3.7) is cited, but there is none"]


def test_citations():
    text = "Eq. (3.4); Eqs. (3.5) and (A.6), f(3.7), Eqs. (3.8), (3.9a). By Eq. (4.1) in (5.2)"
    assert citations(text) == ["3.4", "3.5", "A.6", "3.8", "3.9a", "4.1"]


def test_a_percent_that_is_shown(tmp_path):
    cells = sample_cells()
    cells[3].source += "\n\nIn 95% of all, $x = 5\\%$ and $y$ % of `$z%$`."
    notebook = Notebook.read(write(make_notebook(cells), tmp_path))
    assert problems(notebook) == {}


def test_a_formula_with_brackets_is_no_link(tmp_path):
    cells = sample_cells()
    cells[3].source += "\n\nThe entry $V[s](k)$, and $$ V[s](k) $$"
    notebook = Notebook.read(write(make_notebook(cells), tmp_path))
    assert problems(notebook) == {}
