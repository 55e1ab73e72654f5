"""Folds and times: what the commands write, and each rule of the road is seen to fail."""

import re
import shutil

import pytest
import sample_road as at
from derivations import DERIVATIONS, Step
from notebook_rules import RULES
from parsed_notebook import Notebook, chapters
from road_rules import (
    NO_CHANGED_LINE,
    OLD_FORM,
    REFERENCES,
    ROAD_RULES,
    missing_steps,
    times_are_true,
)
from sample_notebook import code
from sample_road import road_notebook, text

from rlbook.book.__main__ import main as book
from rlbook.book.chapters import CHAPTERS
from rlbook.book.publish import road
from rlbook.book.publish.execute import clean
from rlbook.book.publish.launch import read, to_text
from rlbook.book.publish.road import folds, set_folds, set_times, sittings, times

NEW_FORM = [
    pytest.param(notebook, id=notebook.path.stem)
    for notebook in chapters().values()
    if notebook.chapter not in OLD_FORM | REFERENCES
]


# ---------------------------------------------------------------- the book


@pytest.mark.parametrize("rule", ROAD_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("notebook", NEW_FORM)
def test_chapter(notebook, rule):
    problems = rule(notebook)
    assert not problems, "\n".join(problems)


def test_the_old_form_only_shrinks():
    labels = {chapter.label for chapter in CHAPTERS}
    assert OLD_FORM <= labels - REFERENCES
    assert len(OLD_FORM) <= 12, "a chapter that is written anew comes off the list for good"


def test_the_lists_speak_of_chapters():
    labels = {chapter.label for chapter in CHAPTERS} | REFERENCES
    assert set(NO_CHANGED_LINE) <= labels
    assert all(reason.strip() for reason in NO_CHANGED_LINE.values())
    assert {tag.split(".")[0] for tag in DERIVATIONS} <= labels


@pytest.mark.parametrize("notebook", [pytest.param(n, id=n.number) for n in chapters().values()])
def test_the_derivations_stand_where_the_list_says(notebook):
    """In the old form nothing is folded, so it only keeps the list true."""
    assert missing_steps(notebook, DERIVATIONS) == []


# ---------------------------------------------------------------- rules


def problems(node) -> dict[str, list[str]]:
    notebook = Notebook(at_path("07_sample.ipynb"), node)
    found = {rule.__name__: rule(notebook) for rule in ROAD_RULES}
    return {name: said for name, said in found.items() if said}


def at_path(name):
    return chapters()["07"].path.with_name(name)


def replace(cell: int, old: str, new: str):
    def change(cells):
        assert old in cells[cell].source
        cells[cell].source = cells[cell].source.replace(old, new)

    return change


def insert(place: int, *cells):
    def change(all_cells):
        all_cells[place:place] = cells

    return change


def drop(*places: int):
    def change(cells):
        for place in sorted(places, reverse=True):
            cells.pop(place)

    return change


def tag(cell: int, *tags: str):
    return lambda cells: cells[cell].metadata.update(tags=list(tags))


def fold(kind: str) -> list:
    return [text(f"#### ▸ {kind}: a thing (1 min)"), text(at.PROOF), text(f"### Next\n\n{at.WALK}")]


LONG = "A " + "very " * 35 + "long sentence."
STUFF = f"{at.WALK} " * 25
DISPLAY = "$$ V = 1 . $$\n\n"
BROKEN = [
    ("folds_are_in_step", "holds only one line", replace(at.WHY, "later)", "later)\n\nSince")),
    ("folds_are_in_step", "holds only one line", replace(at.WHY, "#### ▸ Why", "### ▸ Why")),
    ("folds_are_in_step", "holds only one line", replace(at.WHY, "▸ Why", "▸ Because")),
    ("folds_are_in_step", "nothing is in this fold", drop(at.WHY_TEXT)),
    ("folds_are_in_step", "vanishes", drop(at.READING)),
    ("folds_are_in_step", "must begin", replace(at.LAB, "### Lab", "So far.\n\n### Lab")),
    (
        "closed_cells_say_what_they_do",
        "comment",
        lambda cells: cells[at.SHOWN].metadata.update(cellView="form"),
    ),
    ("has_few_folds", "9 folds", insert(at.LAB, *[c for _ in range(8) for c in fold("More")])),
    ("has_few_folds", "one ▸ Checked", insert(at.YOUR_TURN, *fold("Checked"))),
    ("checks_lie_off_the_road", "on the road", drop(at.CHECKED)),
    ("checks_lie_off_the_road", "on the road", insert(at.CHECKED, code("assert V == 2"))),
    (
        "checks_lie_off_the_road",
        "3 cells",
        insert(at.CHECKED, *[code("assert V == 2", tags=("surprising",)) for _ in range(3)]),
    ),
    ("checks_lie_off_the_road", "checks nothing", tag(at.SHOWN, "surprising")),
    ("answers_are_folded", "no folded answer", drop(at.ANSWERED)),
    ("answers_are_folded", "no folded answer", replace(at.HEAD, "Answer<", "▸ Answer<")),
    (
        "answers_are_folded",
        "no folded answer",
        replace(at.HEAD, "*You are here", "**Predict.** And then?\n\n*You are here"),
    ),
    ("times_are_true", "found 0", replace(at.HEAD, "**Read 1 · Do 1 · Dig 1**", "Read: long")),
    (
        "times_are_true",
        "minutes to read, at most 60",
        insert(at.LAB, text(f"### More\n\n{at.WALK * 550}")),
    ),
    ("sittings_are_short", "sitting 1 takes", drop(at.STOP)),
    ("shows_something_soon", "words before", replace(at.HEAD, at.WALK, STUFF)),
    ("says_where_you_are", "the head lacks *You", replace(at.HEAD, "*You are here:*", "Here:")),
    ("says_where_you_are", "the head lacks the line", replace(at.HEAD, "```diff", "```python")),
    ("says_where_you_are", "the summary lacks *You", replace(at.SUMMARY, "*You are here:*", "")),
    ("says_where_you_are", "the summary lacks the line", replace(at.SUMMARY, "line that", "one")),
    ("asks_before_and_after", "the box lacks", replace(at.HEAD, "**Warm-up.**", "Questions.")),
    ("asks_before_and_after", "the box lacks", replace(at.HEAD, "(3) What", "What")),
    ("asks_before_and_after", "the warm-up's answers", replace(at.HEAD, "Answers<", "Hints<")),
    ("asks_before_and_after", "lacks **Two", replace(at.SUMMARY, "**Two questions", "**Some")),
    ("asks_before_and_after", "two questions' answers", replace(at.SUMMARY, at.ANSWER, "Two.")),
    ("has_one_lab", "found 0", replace(at.LAB, "### Lab: move it", "### Move it")),
    ("has_one_lab", "found 2", insert(at.MEDIUM, text("### Lab: another\n\nThe goal is two."))),
    ("has_one_lab", "its goal", replace(at.LAB, "**Goal:** find", "Find")),
    ("has_one_lab", "stored frames", lambda cells: cells[at.STRIP].outputs.clear()),
    ("has_one_lab", "stored frames", tag(at.STRIP, "claim")),
    ("has_one_lab", "its widget", drop(at.WIDGET)),
    ("has_one_lab", "what one sees", drop(at.CAPTION)),
    ("exercises_are_spread", "more than half", insert(at.MEDIUM, text("**Exercise 7.9** (code)."))),
    ("exercises_are_spread", "found 0", replace(at.MEDIUM, "(code, medium)", "(code)")),
    ("exercises_are_spread", "begin with an easy", drop(at.EASY)),
    ("code_of_the_road_is_short", "16 lines", insert(at.CHECKED, code("x = 1\n" * 16))),
    ("headings_have_no_tex", "holds TeX", replace(at.PROGRAM, "The program", "The rate $k$")),
    ("english_is_plain", "38 words", insert(at.LAB, text(f"### Next\n\n{LONG}"))),
    ("derivations_stand_on_the_road", "", None),  # below
]


def test_the_sample_obeys_every_rule():
    assert problems(road_notebook()) == {}


@pytest.mark.parametrize(("rule", "fragment", "change"), BROKEN[:-1])
def test_each_break_is_found(rule, fragment, change):
    found = problems(road_notebook(change))
    assert rule in found, f"{rule} did not fire, but {found}"
    assert re.search(re.escape(fragment), "\n".join(found[rule])), found[rule]


def test_every_rule_has_been_broken():
    assert {rule.__name__ for rule in ROAD_RULES} == {rule for rule, _, _ in BROKEN}


@pytest.mark.parametrize(
    "change",
    [
        lambda cells: cells[at.WHY].metadata.clear(),
        tag(at.WHY_TEXT),
        tag(at.SHOWN, "fold"),
        lambda cells: cells[at.IMPORTS].metadata.pop("cellView"),
        lambda cells: cells[at.READING].metadata.update({"jp-MarkdownHeadingCollapsed": True}),
        insert(at.LAB, text("Lost in the fold above.")),
    ],
)
def test_folds_out_of_step(change):
    assert "folds_are_in_step" in problems(road_notebook(change, in_step=False))


def test_times_out_of_step():
    found = problems(road_notebook(insert(at.STOP, text(at.WALK * 10)), in_step=False))
    assert "other minutes" in found["times_are_true"][0]
    found = problems(road_notebook(replace(at.WHY, "(1 min", "(9 min"), in_step=False))
    assert "other minutes" in found["times_are_true"][0]


def test_a_listed_chapter_has_no_changed_line(monkeypatch):
    monkeypatch.setitem(NO_CHANGED_LINE, "7", "for this test")
    assert "take it off" in problems(road_notebook())["says_where_you_are"][0]
    plain = road_notebook(replace(at.HEAD, at.DIFF, ""))
    plain.cells[at.SUMMARY].source = plain.cells[at.SUMMARY].source.replace("line that", "one")
    assert "says_where_you_are" not in problems(plain)


def test_steps_of_a_derivation():
    notebook = Notebook(at_path("07_sample.ipynb"), road_notebook())
    wanted = {"7.1": Step("it"), "8.1": Step("another chapter's")}
    assert missing_steps(notebook, wanted) == []
    assert "wanted 2" in missing_steps(notebook, {"7.1": Step("it", 2)})[0]
    assert "not on the road" in missing_steps(notebook, {"7.2": Step("it")})[0]
    title = text("#### ▸ Why: it holds (1 min)")
    folded = road_notebook(
        lambda cells: cells.__setitem__(
            slice(at.BY_HAND, at.SHOWN), [title, text(cells[at.BY_HAND].source[13:])]
        )
    )
    notebook = Notebook(at_path("07_sample.ipynb"), folded)
    assert "not on the road" in missing_steps(notebook, {"7.1": Step("it")})[0]


def test_the_new_form_obeys_the_old_rules_about_tags(tmp_path):
    path = tmp_path / "07_sample.ipynb"
    path.write_text(to_text(road_notebook()), encoding="utf-8")
    names = {
        "has_only_the_allowed_metadata",
        "is_stored_as_execute_writes",
        "captions_every_figure",
    }
    for rule in RULES:
        assert rule.__name__ not in names or rule(Notebook.read(path)) == []


# ---------------------------------------------------------------- folds


def test_folds_are_found():
    found = folds(road_notebook().cells)
    assert [(f.kind, f.start, f.stop) for f in found] == [
        ("Checked", at.CHECKED, at.YOUR_TURN),
        ("Answer", at.ANSWERED, at.STOP),
        ("Why", at.WHY, at.LAB),
        ("Side roads", at.SIDE_ROADS, at.READING),
    ]


def test_folding_twice_changes_nothing_more():
    notebook = road_notebook()
    before = to_text(notebook)
    assert to_text(set_folds(notebook)) == before
    set_times(notebook)
    assert to_text(notebook) == before
    assert to_text(clean(notebook)) == before


def test_a_heading_in_a_code_block_ends_no_fold():
    change = insert(at.WHY_TEXT, text("```python\n# no heading\n```"))
    assert folds(road_notebook(change).cells)[2].stop == at.LAB + 1


def test_a_fold_keeps_other_tags():
    notebook = road_notebook(tag(at.CHECK, "claim"))
    assert notebook.cells[at.CHECK].metadata["tags"] == ["claim", "fold"]


# ---------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("source", "minutes"),
    [
        ("word " * 240, 2),
        ("# A heading\n\nand four words more", 6 / 120),
        ("a $x + y$ b `c`", 3 / 120),
        ("$$ x = 1 . \\tag{7.1} $$", 0.6),
        ("$$\n\\begin{aligned}\nx &= 1 \\\\\n &= 2\n\\end{aligned}\n$$", 1.2),
        ("![Some words of alternative text](../figures/x.svg)", 0.75),
        ("| a | b |\n| --- | --- |\n| 1 | 2 |\n", 0.75),
        ("[two words](address.ipynb) here", 3 / 120),
        ("[← 1. Before](01_x.ipynb) · [Contents](00_start_here.ipynb)", 0),
        ("```python\nx = 1\n\ny = 2\n```", 0.2),
        ("<!-- not a word --> - * 3", 1 / 120),
    ],
)
def test_reading_minutes(source, minutes):
    assert road.reading_minutes(source) == pytest.approx(minutes)


@pytest.mark.parametrize(
    ("source", "minutes"),
    [
        ("**Predict.** What? **Your turn.** And now?", 4),
        ("> **Warm-up.** (1) What?", 4),
        ("**Exercise 7.1** (code). Write it.", 8),
        ("**Exercise 7.1** (code, medium: the whole thing). Write it.", 20),
        ("### Exercise 7.1 (pen and paper)", 8),
        ("### Lab: move it", 10),
        ("Predict the rest, after Exercise 7.1.", 0),
    ],
)
def test_doing_minutes(source, minutes):
    assert road.doing_minutes(source) == minutes


def test_minutes_of_cells():
    figure = code("x\ny\n\nz", outputs=(at.FIGURE,))
    assert road.code_minutes(figure) == pytest.approx(0.3 + 0.75)
    assert road.code_minutes(code("# Imports\nimport x\nimport y")) == pytest.approx(0.1)
    words = "four words and more. " * 30  # one minute
    answer = f"<details><summary>Answer</summary>{words}</details>"
    hint = f"<details><summary>Hint 1</summary>{words}</details>"
    both = text(f"{answer}\n\n{hint}\n\n**Predict.**")
    assert road.minutes_of(both) == pytest.approx((1 + 1 / 120, 2, 1))
    assert road.minutes_of(both, folded=True) == pytest.approx((0, 0, 4 + 1 / 120))


def test_minutes_of_a_chapter():
    notebook = road_notebook()
    total, (first, second, third) = times(notebook), sittings(notebook)
    assert first.do == 2 + 4 + 2 + 8  # Predict, warm-up, Your turn, the easy exercise
    assert (second.do, third.do) == (10, 20)  # the lab, the medium exercise
    assert total.do == first.do + second.do + third.do
    assert total.dig == pytest.approx(8 + (13 + 14 + 4 + 6) / 120 + 0.1, abs=0.1)
    assert f"**Read {total.read:.0f} · Do 46 · Dig 8**" in notebook.cells[0].source
    assert notebook.cells[at.SIDE_ROADS].source.endswith("(8 min)")


def test_a_lecture_may_be_long_only_in_folds():
    more = [text("#### ▸ More: a lecture (1 min)"), text(at.WALK * 700), text("### Next")]
    notebook = Notebook(at_path("07_sample.ipynb"), road_notebook(insert(at.LAB, *more)))
    assert times_are_true(notebook) == []


# ---------------------------------------------------------------- commands


@pytest.fixture
def folder(tmp_path):
    """A book of one chapter that nobody has folded, with a row in the README."""
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / "07_monte_carlo.ipynb"
    path.write_text(to_text(at.make_notebook(at.road_cells())), encoding="utf-8")
    row = "| [07 Monte Carlo](notebooks/07_monte_carlo.ipynb) | 40 min | 9 s | 1 of 2 |\n"
    (tmp_path / "README.md").write_text(f"# Book\n\n{row}", encoding="utf-8")
    return tmp_path


def test_the_command_folds(folder, capsys):
    path = folder / "notebooks" / "07_monte_carlo.ipynb"
    assert book(["folds", "--check", str(path)]) == 1
    assert "out of step" in capsys.readouterr().err
    assert book(["folds", str(path)]) == 0
    assert book(["folds", "--check", str(path)]) == 0
    assert read(path).cells[at.WHY].metadata == {"jp-MarkdownHeadingCollapsed": True}


def test_the_command_times(folder, capsys):
    assert not road.time_files(["07"], check=True, root=folder)
    assert "other minutes" in capsys.readouterr().err
    assert road.time_files([], root=folder)
    assert road.time_files(["7"], check=True, root=folder)
    assert re.search(
        r"\| \d · 46 · 8 \| 9 s \| 1 of 2 \|", (folder / "README.md").read_text("utf-8")
    )
    assert not road.time_files(["23"], root=folder)
    shutil.copy(chapters()["04"].path, folder / "notebooks" / "01_rl_basics.ipynb")
    assert not road.time_files(["01"], root=folder) or "4" not in OLD_FORM
