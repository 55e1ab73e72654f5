"""A lint of English: sentences that are too long or too choppy, and habits that cost readers time.

    python -m rlbook.book english NOTEBOOK...

A formula and a piece of code count as one word. Headings, tables, code blocks, hints, solutions and
further reading are left out; the median and the rows of short sentences are asked of the road only.
"""

from __future__ import annotations

import argparse
import re
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from rlbook.book.publish.launch import LAUNCH, read
from rlbook.book.publish.road import (
    BLOCK,
    FENCE,
    FORMULA,
    LINK,
    LINKS_ONLY,
    PICTURE,
    TABLE,
    off_the_road,
    without_details,
)

if TYPE_CHECKING:  # Jupyter's own packages come with the extra `lab`
    from nbformat import NotebookNode

LONGEST, SHORT, ROW = 35, 6, 3  # words; a sentence under SHORT is short; so many in a row may be
MEDIAN = 10, 15
WORD = "§"  # stands for a formula or a piece of code
ABBREVIATIONS = re.compile(r"\b(Eqs?|Figs?|Chs?|Secs?|vs|cf|et al|e\.g|i\.e|resp|St)\.")
LEAD = re.compile(
    r"^(\d+\. +|[*+-] +)?(\*\*[^*]{1,60}\*\*(?: \([^)]*\))?[.:]?|\*[^*]{1,40}[.:]\*) +"
)
"""What announces a paragraph: **Predict.**, *Figure 4.1.*, *Why:*, **Exercise 9.1** (code)."""
ENTRY = re.compile(r"^ *(?:[*+-]|\d+\.) +", re.MULTILINE)
END = re.compile(r"(?<=[.!?])[\"'*)”’]*\s+(?=[\"'*(“‘]*[A-Z0-9§`])")
VERBS = r"(?:know|compute|see|saw|show|prove|check|call|need|leave|learn|take|met|do|did)"
LATE = "the verb comes late"
HABITS = {
    r"\b(?i:whoever)\b": "whoever: say who",
    r"\bthat which\b": "that which: what, or the thing's name",
    r"\bleav(?:e|es|ing) (?:\S+ ){1,4}away\b": "leave away: leave out, or drop",
    r"\bAnd there (?:is|are) such\b": "and there are such: say what can do it",
    r"\bbelong together\b": "belong together: are related",
    r"^Off (?:this|the|that) (?:way|path)\b": "off this way: away from this path",
    r"\bfits into one sentence\b": "fits into one sentence: one sentence tells you",
    r"\bcannot tell the (?:better|worse) one\b": "cannot tell the better one: say which of what",
    r"\bworth (?:\S+ ){1,2}to end\b": "it is worth ... to end: ending is worth ...",
    rf"^(?:What|How|Which|Why|Whether|Where)\b[^?]*, we {VERBS}\b": LATE,
    rf"^(?:This|That|These|Those|All this|The rest) we {VERBS}\b": "the object stands first",
    r"^Between .*\blies?\b": LATE,
    r"[,;:] for (?:it|he|she|they|we|you|I|nothing|nobody|there) (?:is|are|was|were|has|have|had"
    r"|cannot|can|does|do|did|will|would|must|may|knows?|sees?)\b": "for: because",
    r"\b(?:which|who|that)\b"
    + r"(?:(?![,;:]).)*\b(?:which|who)\b" * 2: "relative clauses, stacked",
}
"""Regular expressions for one sentence, each with what is wrong and what to write."""


def paragraphs(text: str) -> list[str]:
    """The prose of a Markdown text, each paragraph and each entry of a list as one string."""
    text = re.sub(r"<!--.*?-->", " ", LAUNCH.sub(" ", text), flags=re.DOTALL)
    text = LINKS_ONLY.sub(" ", FENCE.sub("\n\n", text))
    text = BLOCK.sub(_one_word, text)
    for pattern, by in ((TABLE, "\n\n"), (PICTURE, " "), (FORMULA, WORD), (LINK, r"\1")):
        text = pattern.sub(by, text)
    text = re.sub(r"`[^`\n]+`", WORD, re.sub(r"<[^>]+>", " ", text))
    text = re.sub(r"^(?:#+ |\*You are here|.*\*\*Read \d).*$", "\n", text, flags=re.MULTILINE)
    text = ENTRY.sub(r"\n\n* ", text)
    return [" ".join(piece.split()) for piece in re.split(r"\n\s*\n", text) if piece.strip()]


def _one_word(block: re.Match) -> str:
    """A displayed formula goes on in its sentence, unless it ends with a stop."""
    bare = re.sub(r"\\tag\{[^}]*\}|\\end\{\w+\*?\}", "", block[1]).rstrip().rstrip("}]) \\")
    return f" {WORD}.\n\n" if bare.endswith(".") else f" {WORD} "


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, without what announces it."""
    text = LEAD.sub("", paragraph.removeprefix("* "))
    text = ABBREVIATIONS.sub(lambda found: found[0].replace(".", ""), text)
    return [piece for piece in END.split(text) if re.search(r"\w", piece)]


def length(sentence: str) -> int:
    """Words of a sentence; a formula counts as one."""
    return sum(bool(re.search(rf"[\w{WORD}]", word)) for word in sentence.split())


def prose(notebook: NotebookNode) -> list[tuple[int, bool, str]]:
    """Cell, whether it is on the road, and text, of all Markdown that is to be read as prose."""
    found, folded = [], off_the_road(notebook.cells)
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "markdown" or cell.source.startswith("## Further reading"):
            continue
        text, answers, _ = without_details(_joined(cell.source))
        found.append((index, index not in folded, f"{text}\n\n{answers}"))
    return found


def _joined(text: str) -> str:
    """Blank lines around a displayed formula that its sentence goes on after do not end it."""
    text = re.sub(r"\n\s*\n(?=[ >]*\$\$)", "\n", text)
    return re.sub(r"\$\$\s*\n\s*\n(?=[a-z])", "$$\n", text)


def english(notebook: NotebookNode) -> list[str]:
    """What a reader would stumble over, as sentences that name the cell."""
    found, lengths = [], []
    for index, on_road, text in prose(notebook):
        for paragraph in paragraphs(text):
            said = sentences(paragraph)
            counts = [length(sentence) for sentence in said]
            lengths += counts if on_road else []
            for sentence, count in zip(said, counts, strict=True):
                if count > LONGEST:
                    found.append(f"cell {index}: {count} words, at most {LONGEST}: {sentence!r}")
                found += [
                    f"cell {index}: {cure}: {sentence!r}"
                    for habit, cure in HABITS.items()
                    if re.search(habit, sentence)
                ]
            row = 0
            for place, count in enumerate(counts):
                row = row + 1 if count < SHORT else 0
                if on_road and row == ROW + 1:
                    few = " ".join(said[place - ROW : place + 1])
                    found.append(f"cell {index}: over {ROW} short sentences in a row: {few!r}")
    low, high = MEDIAN
    if lengths and not low <= statistics.median(lengths) <= high:
        median = statistics.median(lengths)
        found.append(f"the median sentence of the road has {median} words, wanted {low} to {high}")
    return found


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rlbook.book english", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("notebooks", nargs="+", type=Path)
    found = 0
    for path in parser.parse_args(arguments).notebooks:
        for line in english(read(path)):
            print(f"{path}: {line}")
            found += 1
    return 1 if found else 0
