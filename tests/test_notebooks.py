"""Every notebook obeys every rule. The outputs themselves are compared by nbval."""

from pathlib import Path

import pytest
from book_rules import BOOK_RULES, Book, source_citations_that_do_not_resolve
from definitions import DEFINITIONS
from notebook_rules import RULES

from rlbook.book.chapters import PLACES

ROOT = Path(__file__).resolve().parents[1]
BOOK = Book.read(ROOT, DEFINITIONS)
NOTEBOOKS = [pytest.param(notebook, id=notebook.path.stem) for notebook in BOOK.notebooks]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebook(notebook, rule):
    problems = rule(notebook)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("rule", BOOK_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebook_in_the_book(notebook, rule):
    problems = rule(notebook, BOOK)
    assert not problems, "\n".join(problems)


def test_the_package_cites_equations_that_exist():
    problems = source_citations_that_do_not_resolve(BOOK)
    assert not problems, "\n".join(problems)


def test_definitions_belong_to_chapters():
    assert {tag.split(".")[0] for tag in DEFINITIONS} <= set(PLACES)
