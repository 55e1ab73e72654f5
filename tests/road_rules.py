"""What every chapter's road must satisfy, as functions from a notebook to its problems.

A road that reads alone, in sittings; what only proves or checks lies in folds.
Each rule returns a list of sentences, empty where all is well; ROAD_RULES lists them. They hold for
the chapters that are neither in OLD_FORM nor in REFERENCES.
"""

import ast
import copy
import re
from collections.abc import Callable, Iterator

from derivations import DERIVATIONS, Step
from parsed_notebook import Notebook, first_arguments, number_of, only_imports, parse, tags_of

from rlbook.book.publish import road
from rlbook.book.publish.english import english
from rlbook.book.publish.road import EXERCISE, PICTURE, TABLE, folds, headings, off_the_road

OLD_FORM = {
    *("11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "A", "C"),
}
"""Chapters not yet rewritten. It may only shrink: a test compares its size with a number."""
REFERENCES = {"B", "D", "E", "F"}
"""To look things up in, not to read through: they have no road."""
NO_CHANGED_LINE = {
    "0": "no method stands before it",
    "1": "it says what the words mean, and has no method yet",
    "2": "it says what a model is, and has no method yet",
    "3": "it has equations; the first program is the next chapter's",
    "A": "it proves a theorem of Chapter 11",
    "C": "it is about the mistakes of all methods",
}
"""Chapters without a line of code that differs from the method before, each with the reason."""
MAX_READ, MAX_SITTING = 60, 30  # minutes
MAX_CODE, MAX_FOLDS, MAX_SURPRISES = 15, 8, 2
WORDS_BEFORE_A_PICTURE = 250
HERE = re.compile(r"^\*You are here:\*.*→.*\*\*.+\*\*", re.MULTILINE)
DIFF = re.compile(r"^```diff\n(.*?)^```", re.MULTILINE | re.DOTALL)
CHANGED = re.compile(r"line that change[sd].*?`[^`]+`.*?`[^`]+`", re.DOTALL)
ANSWER = re.compile(r"<details>\s*<summary>\s*Answers?\b.*?</details>", re.DOTALL)
OTHER = re.compile(r"\*\*(?:Predict|Your turn|Warm-up|Two questions)\b|^#+ ", re.MULTILINE)
"""What has an answer of its own, or begins something else."""
Rule = Callable[[Notebook], list[str]]
ROAD_RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    ROAD_RULES.append(function)
    return function


# ---------------------------------------------------------------- what the rules look at


def on_road(notebook: Notebook) -> Iterator[tuple[int, "object"]]:
    """The cells of the road with their places; answers stand on it."""
    folded = off_the_road(notebook.cells)
    return ((index, cell) for index, cell in enumerate(notebook.cells) if index not in folded)


def road_text(notebook: Notebook) -> str:
    """The road's Markdown, folds' titles and <details> taken out."""
    texts = [road.without_details(c.source)[0] for _, c in on_road(notebook) if _is_text(c)]
    return "\n\n".join(text for text in texts if not road.TITLE.fullmatch(text.strip()))


def _is_text(cell) -> bool:
    return cell.cell_type == "markdown"


def level_of(cell) -> int:
    """Of the heading that a cell begins with; 9 if it begins otherwise."""
    begins = re.match(r"(#{1,6}) ", cell.source) if _is_text(cell) else None
    return len(begins[1]) if begins else 9


def sections(notebook: Notebook) -> list[list[tuple[int, "object"]]]:
    """The cells between two headings `##`, with their places; the opening first."""
    found = [[]]
    for index, cell in enumerate(notebook.cells):
        if level_of(cell) == 2:
            found.append([])
        found[-1].append((index, cell))
    return found


def section(notebook: Notebook, title: str) -> list[tuple[int, "object"]]:
    """The cells of the section whose heading begins so; [] if there is none."""
    for cells in sections(notebook):
        if cells and cells[0][1].source.startswith(title):
            return cells
    return []


def opening(notebook: Notebook) -> str:
    return "\n\n".join(cell.source for _, cell in sections(notebook)[0] if _is_text(cell))


def summary(notebook: Notebook) -> str:
    """Up to the first fold under it."""
    cells = [cell for _, cell in section(notebook, "## Summary") if _is_text(cell)]
    places = [place for place, cell in enumerate(cells) if level_of(cell) == 4]
    return "\n\n".join(cell.source for cell in cells[: places[0] if places else None])


def shows_figure(cell) -> bool:
    data = [output.get("data", {}) for output in cell.get("outputs", [])]
    return any(kind.startswith("image/") for one in data for kind in one)


# ---------------------------------------------------------------- folds


@rule
def folds_are_in_step(notebook: Notebook) -> list[str]:
    """Metadata and tags are those that follow from the names; each fold ends at a heading."""
    node = road.set_folds(copy.deepcopy(notebook.node))
    return road.fold_problems(notebook.cells) + road.out_of_step(notebook.node, node)


@rule
def closed_cells_say_what_they_do(notebook: Notebook) -> list[str]:
    return [
        f"{number_of(index, cell)} is closed: its first line must be a comment"
        for index, cell in enumerate(notebook.cells)
        if road.is_closed(cell) and not only_imports(cell) and not cell.source.startswith("# ")
    ]


@rule
def has_few_folds(notebook: Notebook) -> list[str]:
    found = []
    end = min((index for index, _ in section(notebook, "## Summary")), default=10**6)
    before = [f for f in folds(notebook.cells) if f.start < end and f.kind in {"Why", "More"}]
    if len(before) > MAX_FOLDS:
        found.append(f"{len(before)} folds ▸ Why and ▸ More before the summary, at most 8")
    for cells in sections(notebook):
        places = {index for index, _ in cells}
        checked = [f for f in folds(notebook.cells) if f.kind == "Checked" and f.start in places]
        if len(checked) > 1:
            found.append(f"one ▸ Checked for a section, not {[f.title for f in checked]}")
    return found


@rule
def checks_lie_off_the_road(notebook: Notebook) -> list[str]:
    """But for at most two that surprise."""
    found, surprising = [], []
    for index, cell in on_road(notebook):
        if cell.cell_type != "code" or not only_checks(cell.source):
            continue
        surprising.append(index)
        if "surprising" not in tags_of(cell):
            found.append(
                f"{number_of(index, cell)} checks something on the road: into a fold with it, or"
                " tag it surprising"
            )
    if len(surprising) > MAX_SURPRISES:
        found.append(f"{len(surprising)} cells on the road check something, at most 2")
    tagged = {i for i, cell in enumerate(notebook.cells) if "surprising" in tags_of(cell)}
    lost = sorted(tagged - set(surprising))
    return found + [f"cell {i} is tagged surprising, but checks nothing on the road" for i in lost]


def only_checks(source: str) -> bool:
    """Whether a cell checks an equation, or asserts and shows nothing else."""
    if first_arguments(source, "check"):
        return True
    body = parse(source).body
    shows = {"print", "display", "plt.show", "check_exercise"}
    calls = {ast.unparse(n.func) for n in ast.walk(parse(source)) if isinstance(n, ast.Call)}
    return any(isinstance(node, ast.Assert) for node in body) and not calls & shows


@rule
def answers_are_folded(notebook: Notebook) -> list[str]:
    """After each Predict and each Your turn on the road."""
    found, cells = [], notebook.cells
    titles = {fold.start for fold in folds(cells) if fold.kind == "Answer"}
    for index, cell in on_road(notebook):
        if not _is_text(cell):
            continue
        text = ANSWER.sub("§", road.unquoted(cell.source))
        for match in road.ASKED.finditer(text):
            begin, end = match.start(), OTHER.search(text, match.end())
            after = text[begin : end.start() if end else None]
            following = cells[index + 1] if not end and index + 1 < len(cells) else None
            answered = "§" in after or (
                following is not None
                and (index + 1 in titles or bool(ANSWER.match(following.source.strip())))
            )
            if not answered:
                found.append(
                    f"{number_of(index, cell)}: no folded answer follows {after[:40].strip()!r}"
                )
    return found


# ---------------------------------------------------------------- minutes


@rule
def times_are_true(notebook: Notebook) -> list[str]:
    node = copy.deepcopy(notebook.node)
    try:
        minutes = road.set_times(node)
    except ValueError as error:
        return [str(error)]
    found = [
        f"{number_of(index, old)}: other minutes, run python -m rlbook.book times"
        for index, (old, new) in enumerate(zip(notebook.cells, node.cells, strict=True))
        if old.source != new.source
    ]
    if (read := minutes.rounded()[0]) > MAX_READ:
        found.append(f"the road takes {read} minutes to read, at most {MAX_READ}")
    return found


@rule
def sittings_are_short(notebook: Notebook) -> list[str]:
    found = []
    for place, sitting in enumerate(road.sittings(notebook.node), start=1):
        if (minutes := round(sitting.read + sitting.do)) > MAX_SITTING:
            found.append(
                f"sitting {place} takes {minutes} minutes ({sitting.read:.0f} to read,"
                f" {sitting.do:.0f} to do), at most {MAX_SITTING}: ### {road.STOP}"
            )
    return found


# ---------------------------------------------------------------- the road


@rule
def shows_something_soon(notebook: Notebook) -> list[str]:
    """A picture or a table within the first words."""
    words = 0
    for _, cell in on_road(notebook):
        if not _is_text(cell):
            if shows_figure(cell):
                break
            continue
        text = road.without_details(cell.source)[0]
        pictures = [m.start() for pattern in (PICTURE, TABLE) for m in pattern.finditer(text)]
        words += len(road.words_of(text[: min(pictures)] if pictures else text))
        if pictures:
            break
    else:
        return ["no picture and no table"]
    if words > WORDS_BEFORE_A_PICTURE:
        return [f"{words} words before the first picture or table, at most 250"]
    return []


@rule
def says_where_you_are(notebook: Notebook) -> list[str]:
    """With the line that changes, at the head and in the summary."""
    found, none = [], notebook.chapter in NO_CHANGED_LINE
    for name, text in (("head", opening(notebook)), ("summary", summary(notebook))):
        if not HERE.search(text):
            found.append(f"the {name} lacks *You are here:* A → **this** → B")
        diffs = [block for block in DIFF.findall(text) if re.search(r"^\+", block, re.MULTILINE)]
        changed = diffs or (name == "summary" and CHANGED.search(text))
        if not changed and not none:
            found.append(f"the {name} lacks the line that changes, in ```diff")
        if changed and none:
            found.append("it has a line that changes: take it off NO_CHANGED_LINE in road_rules.py")
    return found


@rule
def asks_before_and_after(notebook: Notebook) -> list[str]:
    """A warm-up in the box, two questions in the summary, answers folded."""
    found = []
    boxes = [c.source for c in notebook.markdown if road.BOX.search(c.source)]
    warm_up = road.unquoted("\n".join(boxes)).partition("**Warm-up")[2]
    if not all(f"({n})" in ANSWER.split(warm_up)[0] for n in (1, 2, 3)):
        found.append("the box lacks **Warm-up.** (1) ... (2) ... (3) ...")
    elif not ANSWER.search(warm_up):
        found.append("the warm-up's answers must follow in <details><summary>Answers</summary>")
    if not (asked := summary(notebook).partition("**Two questions before you go")[2]):
        found.append("the summary lacks **Two questions before you go.**")
    elif not ANSWER.search(asked):
        found.append("the two questions' answers must follow in <details>")
    return found


@rule
def has_one_lab(notebook: Notebook) -> list[str]:
    """A goal, stored frames, what one sees, and the widget. test_labs.py plays it."""
    labs = [(i, c) for i, c in on_road(notebook) if _is_text(c) and road.LAB.match(c.source)]
    if len(labs) != 1:
        return [f"wanted one heading ### Lab: ... on the road, found {len(labs)}"]
    start, head = labs[0]
    cells = [head]
    for cell in notebook.cells[start + 1 :]:
        if level_of(cell) <= level_of(head):
            break
        cells.append(cell)
    found = []
    text = "\n\n".join(cell.source for cell in cells if _is_text(cell))
    if not re.search(r"\bgoal\b", text, re.IGNORECASE):
        found.append("the lab lacks its goal: **Goal:** find ...")
    tagged = [c for c in cells if c.cell_type == "code" and "lab" in tags_of(c)]
    strips = [cell for cell in tagged if "strip(" in cell.source]
    if not any(shows_figure(cell) for cell in strips):
        found.append("the lab lacks its stored frames, strip(...) in a cell tagged lab")
    if not any(re.search(r"\b(play|interact)\(", c.source) and road.is_closed(c) for c in tagged):
        found.append("the lab lacks its widget, play(draw, ...) in a closed cell tagged lab")
    if strips:
        after = cells[cells.index(strips[0]) + 1 :]
        said = [w for c in after if _is_text(c) for w in road.words_of(c.source)]
        if len(said) < 10:
            found.append("the lab must say, under its frames, what one sees there")
    return found


@rule
def exercises_are_spread(notebook: Notebook) -> list[str]:
    """Each where its idea is, an easy one first, and one medium: a whole algorithm."""
    found, folded = [], off_the_road(notebook.cells)
    exercises = [
        (place, (match[2] or ""))
        for place, cells in enumerate(sections(notebook))
        for index, cell in cells
        if _is_text(cell) and index not in folded and (match := EXERCISE.match(cell.source))
    ]
    places = [place for place, _ in exercises]
    crowded = [place for place in set(places) if 2 * places.count(place) > len(places)]
    if crowded:
        head = sections(notebook)[crowded[0]][0][1].source.split("\n")[0]
        found.append(f"more than half of the exercises stand in {head!r}: spread them")
    medium = [place for place, (_, kind) in enumerate(exercises) if "medium" in kind]
    if len(medium) != 1:
        found.append(f"wanted one exercise (code, medium), found {len(medium)}")
    elif medium[0] == 0:
        found.append("the first exercise is the medium one: begin with an easy one")
    return found


@rule
def code_of_the_road_is_short(notebook: Notebook) -> list[str]:
    found = []
    for index, cell in on_road(notebook):
        if cell.cell_type == "code" and not road.is_closed(cell) and "install" not in tags_of(cell):
            lines = sum(bool(line.strip()) for line in cell.source.split("\n"))
            if lines > MAX_CODE:
                found.append(f"{number_of(index, cell)} shows {lines} lines, at most {MAX_CODE}")
    return found


@rule
def headings_have_no_tex(notebook: Notebook) -> list[str]:
    """The contents panel would show it raw."""
    return [
        f"the heading {text!r} holds TeX"
        for cell in notebook.markdown
        for _, text in headings(cell.source)
        if re.search(r"[$\\]", text)
    ]


@rule
def derivations_stand_on_the_road(notebook: Notebook) -> list[str]:
    return missing_steps(notebook, DERIVATIONS)


def missing_steps(notebook: Notebook, derivations: dict[str, Step]) -> list[str]:
    """What of a chapter's derivations is folded or lost."""
    found, folded = [], off_the_road(notebook.cells)
    lines: dict[str, int] = {}  # on the road of its section, for each equation that stands there
    for cells in sections(notebook):
        texts = [c.source for i, c in cells if _is_text(c) and i not in folded]
        blocks = road.BLOCK.findall("\n\n".join(road.without_details(text)[0] for text in texts))
        count = sum(len(road.lines_of(block)) for block in blocks)
        lines |= dict.fromkeys(re.findall(r"\\tag\{([^}]*)\}", "".join(blocks)), count)
    for tag, step in derivations.items():
        if tag.split(".")[0] != notebook.chapter:
            continue
        if tag not in lines:
            found.append(f"Eq. ({tag}) of the derivation of {step.belongs_to} is not on the road")
        elif lines[tag] < step.lines:
            found.append(
                f"Eq. ({tag}), {step.belongs_to}: {lines[tag]} displayed lines on the road of its"
                f" section, wanted {step.lines}"
            )
    return found


@rule
def english_is_plain(notebook: Notebook) -> list[str]:
    return english(notebook.node)
