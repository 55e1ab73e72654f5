"""What the notebooks must satisfy together: numbers, citations, checks, exercises, links.

Each rule takes one notebook and the whole book and returns a list of problems; BOOK_RULES lists
them. A chapter that is not written yet is no problem: what points to it is left alone.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from parsed_notebook import Notebook, chapters, citations, first_arguments

from rlbook.book.chapters import CHAPTERS, KINDS, LABEL, PLACES, label_of, neighbours
from rlbook.book.publish.road import EXERCISE

MIN_EXERCISES, MIN_CODE_EXERCISES = 4, 2


@dataclass
class Book:
    """All notebooks, the equations listed as definitions, and the package's sources."""

    notebooks: list[Notebook]
    definitions: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)  # file name -> text

    @property
    def chapters(self) -> dict[str, Notebook]:
        return {notebook.chapter: notebook for notebook in self.notebooks}

    @property
    def tags(self) -> list[str]:
        return [tag for notebook in self.notebooks for tag in notebook.tags]

    @classmethod
    def read(cls, root: Path, definitions: dict[str, str]) -> "Book":
        notebooks = list(chapters().values())
        files = sorted((root / "rlbook").rglob("*.py"))
        sources = {str(file.relative_to(root)): file.read_text("utf-8") for file in files}
        return cls(notebooks, definitions, sources)


Rule = Callable[[Notebook, Book], list[str]]
BOOK_RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    BOOK_RULES.append(function)
    return function


# ---------------------------------------------------------------- equations


@rule
def numbers_are_unique(notebook: Notebook, book: Book) -> list[str]:
    return [f"\\tag{{{tag}}} occurs twice" for tag in notebook.tags if book.tags.count(tag) > 1]


@rule
def every_equation_is_checked_or_defined(notebook: Notebook, book: Book) -> list[str]:
    found = []
    for tag in notebook.tags:
        checked, defined = tag in notebook.checked, tag in book.definitions
        if not checked and not defined:
            found.append(f'Eq. ({tag}) has no check("{tag}", ...), nor a line in definitions.py')
        if checked and defined:
            found.append(f"Eq. ({tag}) is checked and listed in definitions.py")
        if defined and not book.definitions[tag].strip():
            found.append(f"Eq. ({tag}) is in definitions.py without a reason")
    found += [f'check("{tag}") checks no equation' for tag in _unknown(notebook.checked, book)]
    listed = [tag for tag in book.definitions if tag.split(".")[0] == notebook.chapter]
    return found + [f"definitions.py lists {tag}, no equation" for tag in _unknown(listed, book)]


@rule
def every_citation_resolves(notebook: Notebook, book: Book) -> list[str]:
    """In Markdown, and in the comments and prints of code."""
    text = "\n".join(cell.source for cell in notebook.cells)
    return [f"Eq. ({tag}) is cited, but there is none" for tag in _unknown(citations(text), book)]


def source_citations_that_do_not_resolve(book: Book) -> list[str]:
    """The same for the package's docstrings and comments."""
    return [
        f"{name}: Eq. ({tag}) is cited, but there is none"
        for name, text in book.sources.items()
        for tag in _unknown(citations(text), book)
    ]


def _unknown(tags: list[str], book: Book) -> list[str]:
    """Those that no notebook has, though their chapter is written."""
    known = set(book.tags)
    return [tag for tag in tags if tag not in known and tag.split(".")[0] in book.chapters]


# ---------------------------------------------------------------- exercises


@rule
def exercises_are_complete(notebook: Notebook, book: Book) -> list[str]:
    found, exercises = [], split_exercises(notebook)
    numbers = [number for number, _, _ in exercises]
    wanted = [f"{notebook.chapter}.{count}" for count in range(1, len(numbers) + 1)]
    if numbers != wanted:
        found.append(f"exercises are numbered {numbers}, wanted {wanted}")
    text = "\n\n".join(cell.source for cell in notebook.markdown)
    inside = re.findall(rf"^(?:\*\*|#+ )Exercise ({LABEL}\.\d+)\b", text, re.MULTILINE)
    hidden = [number for number in inside if number not in numbers]
    found += [f"Exercise {number} does not begin its Markdown cell" for number in hidden]
    if KINDS[notebook.chapter] == "lesson":  # others need none; what they have obeys the rules
        code = sum(kind == "code" for _, kind, _ in exercises)
        if len(exercises) < MIN_EXERCISES or code < MIN_CODE_EXERCISES:
            found.append(f"{len(exercises)} exercises, {code} of them (code): too few")
    for number, kind, cells in exercises:
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        needed = ["<summary>Solution"]
        if kind == "code":
            needed += ["<summary>Hint 1</summary>", "<summary>Hint 2</summary>"]
        elif kind != "pen and paper":
            found.append(f"Exercise {number} is neither (code) nor (pen and paper)")
        found += [f"Exercise {number} lacks {part}" for part in needed if part not in text]
        if text.count("<details>") != text.count("</details>"):
            found.append(f"Exercise {number}: <details> and </details> do not pair")
        calls = [c for cell in cells if cell.cell_type == "code" for c in _attempts(cell.source)]
        if kind == "code" and number not in calls:
            found.append(f'Exercise {number} has no check_exercise("{number}", ...)')
    return found


def _attempts(source: str) -> list[str]:
    return first_arguments(source, "check_exercise")


def split_exercises(notebook: Notebook) -> list[tuple[str, str, list]]:
    """The number, the kind and the cells of each exercise, up to the next one or a heading.

    The kind is what stands first in its brackets: (code, medium), (pen and paper, easy)."""
    exercises, current = [], None
    for cell in notebook.cells:
        start = EXERCISE.match(cell.source) if cell.cell_type == "markdown" else None
        if start:
            current = []
            exercises.append((start[1], re.split("[,:]", start[2] or "")[0], current))
        elif cell.cell_type == "markdown" and re.match(r"#+ ", cell.source):
            current = None
        if current is not None:
            current.append(cell)
    return exercises


# ---------------------------------------------------------------- links


@rule
def links_resolve(notebook: Notebook, book: Book) -> list[str]:
    targets = links(notebook.prose)  # in a formula, [x](y) is no link
    lost = [target for target in targets if not (notebook.path.parent / _file(target)).exists()]
    return [f"the link to {target} leads nowhere" for target in lost if _file(target)]


def _file(target: str) -> str:
    return target.split("#")[0]


def links(text: str) -> list[str]:
    """The targets of Markdown links that stay within the book."""
    targets = re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", text)
    return [target for target in targets if not re.match(r"https?:|mailto:", target)]


@rule
def leads_on(notebook: Notebook, book: Book) -> list[str]:
    """The first and the last Markdown cell link to the previous chapter, contents and next."""
    if notebook.chapter not in PLACES:
        return [f"{notebook.path.name}: no such chapter"]
    if not notebook.markdown:
        return ["no Markdown"]
    before, after = neighbours(notebook.chapter)
    wanted = {after.label} if after else set()
    wanted |= {before.label, CHAPTERS[0].label} if before else set()
    found = []
    for name, cell in (("first", notebook.markdown[0]), ("last", notebook.markdown[-1])):
        linked = {label_of(Path(target).name) for target in links(cell.source)}
        missing = sorted(wanted - linked)
        found += [f"the {name} Markdown cell has no link to chapter {one}" for one in missing]
    return found
