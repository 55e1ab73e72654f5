"""The book's index: terms, symbols and algorithms, each with a link to where it is explained.

    python -m rlbook.book index        # writes the index into notebooks/D_index.ipynb

What is listed is said here, once; the places are looked up in the notebooks. A term that its
chapter does not contain, or an equation that does not exist, is an error.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from rlbook.book.chapters import CHAPTERS, label_of
from rlbook.book.paths import NOTEBOOKS
from rlbook.book.publish.index_entries import ALGORITHMS, SYMBOLS, TERMS
from rlbook.book.publish.launch import read, to_text

NOTEBOOK = next(chapter.file for chapter in CHAPTERS if chapter.kind == "index")
NO_LESSONS = {chapter.number for chapter in CHAPTERS if chapter.kind != "lesson"}
HEADING = re.compile(r"^#{1,4} (.+)$", re.MULTILINE)
REPEATS = ("## Summary", "## Further reading")  # they explain nothing for the first time
OFTEN, EVERYWHERE = 6, 5  # uses that name a chapter beside a definition; chapters that are too many


@dataclass(frozen=True)
class Section:
    """A piece of a chapter's Markdown under one heading."""

    file: str
    heading: str
    text: str

    @property
    def number(self) -> str:
        """What a link to it shows: 3.4, or Ch. 3 under a heading without a number."""
        numbered = re.match(r"(\w+\.\d+) ", self.heading)
        return numbered[1] if numbered else f"Ch. {label_of(self.file)}"

    @property
    def link(self) -> str:
        """A Markdown link to the heading, as JupyterLab and nbconvert name it.

        To the chapter, where a formula or italics in the heading leave its name uncertain, or where
        it is a fold's, whose minutes change.
        """
        plain = not re.search(r"[$*`▸]", self.heading)
        anchor = "#" + quote(self.heading.replace(" ", "-"), safe="-.,:'?") if plain else ""
        return f"[{self.number}]({self.file}{anchor})"


@cache
def sections() -> dict[str, list[Section]]:
    """The sections of every chapter, by the beginning of its file's name: 03, A."""
    found: dict[str, list[Section]] = {}
    for chapter in CHAPTERS:
        if chapter.kind == "index":
            continue
        path = NOTEBOOKS / chapter.file
        cells = [c.source for c in read(path).cells if c.cell_type == "markdown"]
        pieces = re.split(r"(?m)^(?=#{1,3} |#### ▸ Side roads)", "\n\n".join(cells))
        name, last = chapter.number, ""
        for piece in filter(str.strip, pieces):
            heading = HEADING.match(piece)
            if heading and (re.match(r"\w+\.\d+ |Exercises$|▸ Side roads", heading[1]) or not last):
                last = heading[1]
            found.setdefault(name, []).append(Section(path.name, last, piece))
    return found


def where(chapter: str, phrase: str) -> Section:
    """The section of a chapter in which a phrase stands first, set in bold if it ever is.

    In a section with a number, rather than in a chapter's opening; never in its summary.

    Raises:
        ValueError: the chapter is not there, or does not contain the phrase.
    """
    if chapter not in sections():
        raise ValueError(f"there is no chapter {chapter}, which should explain {phrase!r}")
    words = r"\s+".join(map(re.escape, phrase.split()))
    opening, *others = [s for s in sections()[chapter] if not s.text.startswith(REPEATS)]
    for pattern in (rf"\*\*[^*\n]*?(?<!\w){words}[^*\n]*\*\*", rf"(?<!\w){words}"):
        for section in [*others, opening]:
            if re.search(pattern, section.text, re.IGNORECASE):
                return section
    raise ValueError(f"chapter {chapter} does not contain {phrase!r}")


def equation(tag: str) -> Section:
    """The section that numbers an equation.

    Raises:
        ValueError: no chapter has it.
    """
    for chapter in sections().values():
        for section in chapter:
            if f"\\tag{{{tag}}}" in section.text:
                return section
    raise ValueError(f"no equation is numbered {tag}")


def often(phrase: str, except_in: str) -> list[str]:
    """The other chapters that use a phrase often."""
    phrase = " ".join(phrase.lower().split())
    whole = re.compile(rf"(?<!\w){re.escape(phrase)}")
    count = {
        chapter: text.count(phrase) >= OFTEN and len(whole.findall(text))
        for chapter, text in _texts().items()
    }
    found = [c for c, n in count.items() if n >= OFTEN and c not in {except_in, *NO_LESSONS}]
    return found if len(found) <= EVERYWHERE else []


@cache
def _texts() -> dict[str, str]:
    """All Markdown of every chapter, in small letters."""
    return {
        chapter: "\n".join(s.text for s in found).lower() for chapter, found in sections().items()
    }


def rows(text: str, fields: int) -> list[list[str]]:
    """The lines of a table in index_entries: fields between bars, the last ones optional."""
    lines = [line for line in text.strip().split("\n") if line.strip()]
    cut = [[field.strip() for field in line.split("|")] for line in lines]
    return [row + [""] * (fields - len(row)) for row in cut]


def terms() -> str:
    """The terms in alphabetical order, one paragraph for each letter."""
    letters: dict[str, list[str]] = {}
    for term, chapter, phrase in sorted(rows(TERMS, 3), key=lambda row: row[0].lower()):
        phrase = phrase or term
        more = [f"[{label_of(c)}]({sections()[c][0].file})" for c in often(phrase, chapter)]
        also = f"; also {', '.join(more)}" if more and len(phrase) > 4 else ""
        line = f"{term} {where(chapter, phrase).link}{also}"
        letters.setdefault(term[0].upper(), []).append(line)
    return "\n\n".join(f"**{key}**  \n" + "  \n".join(lines) for key, lines in letters.items())


def symbols() -> str:
    """The symbols in the order of the book, as a table."""
    lines = ["| Symbol | Meaning | In code | Explained |", "| --- | --- | --- | --- |"]
    for symbol, meaning, code, tag in rows(SYMBOLS, 4):
        place = f"{equation(tag).link}, Eq. ({tag})"
        lines.append(f"| ${symbol}$ | {meaning} | {f'`{code}`' if code else ''} | {place} |")
    return "\n".join(lines)


def algorithms() -> str:
    """The algorithms in the order of the book, as a table."""
    lines = ["| Algorithm | Update | Section | In `rlbook` |", "| --- | --- | --- | --- |"]
    for name, tag, code in rows(ALGORITHMS, 3):
        lines.append(f"| {name} | Eq. ({tag}) | {equation(tag).link} | `{code}` |")
    return "\n".join(lines)


@cache
def pages() -> dict[str, str]:
    """The text of the three cells of the index, by the heading that each begins with."""
    return {
        "## Terms": f"## Terms\n\n{terms()}",
        "## Symbols": f"## Symbols\n\n{symbols()}",
        "## Algorithms": f"## Algorithms\n\n{algorithms()}",
    }


def write(path: Path = NOTEBOOKS / NOTEBOOK) -> bool:
    """Write the index into its notebook; returns whether that changed anything."""
    notebook, old = read(path), path.read_text(encoding="utf-8")
    new = pages()
    for cell in notebook.cells:
        heading = cell.source.split("\n")[0]
        cell.source = new.get(heading, cell.source)
    path.write_text(to_text(notebook), encoding="utf-8")
    return to_text(notebook) != old


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    print("the index has changed" if write() else "the index is as it was")
    return 0
