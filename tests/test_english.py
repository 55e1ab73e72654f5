"""The lint of English: what is a sentence, and what a reader would stumble over."""

import re

import pytest
from sample_road import road_cells, road_notebook, text

from rlbook.book.__main__ import main as book
from rlbook.book.publish.english import HABITS, english, length, paragraphs, prose, sentences
from rlbook.book.publish.launch import to_text


def said(source: str) -> list[str]:
    return [sentence for paragraph in paragraphs(source) for sentence in sentences(paragraph)]


@pytest.mark.parametrize(
    ("source", "lengths"),
    [
        ("One two. Three four five! Six?", [2, 3, 1]),
        ("By Eq. (3.4), as in Fig. 2 of Section 9.2, e.g. Here, it holds.", [14]),
        ("The bracket $r + V$ is `x[1, 2]` too.", [6]),
        ("It is\n$$ V = 1 , \\tag{3.1} $$\nwhere $V$ is one.", [7]),
        ("It is\n$$ V = 1 . \\tag{3.1} $$\nNow go on.", [3, 3]),
        ("| a | b |\n| - | - |\n| 1 | 2 |\n\nA table.", [2]),
        ("## A heading\n\nA [link to it](x.ipynb), and ![a picture](x.svg).", [5]),
        ("- one entry\n- another entry\n\n1. a third", [2, 2, 2]),
        ("**Predict.** What is it? *In words:* it is one.", [3, 5]),
        ("*Figure 4.1.* The error falls.", [3]),
        ("**Exercise 4.1** (code, easy). Write it.", [2]),
        ("```python\nx = 1. Y = 2\n```", []),
        ("[← 1. Before](x.ipynb) · [Contents](y.ipynb)", []),
        ("*You are here:* A → **B** → C", []),
        ("$$ x $$", []),
    ],
)
def test_sentences(source, lengths):
    assert [length(sentence) for sentence in said(source)] == lengths


BAD = [
    "Whoever looks may see.",
    "It is that which counts.",
    "Fix one state and leave s away.",
    "Suppose we leave the minimum away, and use the other alone.",
    "And there are such things.",
    "How do the two belong together?",
    "Off this way many stay too high, and that does no harm.",
    "There is a way to find them all that fits into one sentence.",
    "The sum cannot tell the better one.",
    "Without the mask, it is worth $x$ to end.",
    "What it does to J, we compute exactly.",
    "What to do with a noisy measurement, we know from Chapter 7.",
    "This we show in the fold.",
    "Between TD(0), with an error of 0.347, and Monte Carlo, with 0.490, lies n = 4 with 0.269.",
    "It stays, for it has nowhere to go.",
    "This is the table that the agent which the world that we know and which moves.",
]
GOOD = [
    "Fix one state, and drop s from the notation.",
    "Suppose we leave out the minimum and use only the clipped term.",
    "Two things can do exactly that.",
    "Chapter 7 told us what to do with a noisy measurement.",
    "Without the mask, the agent thinks that ending the episode is worth much.",
    "Both sums are infinite, so they cannot tell us who is better off.",
    "How are V and Q related?",
    "Away from this path many values stay too high, and that does no harm.",
    "One sentence tells you how to find them all.",
    "Looking four steps ahead beats both TD(0) and Monte Carlo.",
    "In general, for the optimal policy, it holds for every state, and for it alone.",
    "What would you do, if we know the model?",
]


@pytest.mark.parametrize("sentence", BAD)
def test_a_habit_is_found(sentence):
    found = english(road_notebook(lambda cells: cells.append(text(f"## Next\n\n{sentence}"))))
    assert len(found) == 1 and "cell 26" in found[0], found


@pytest.mark.parametrize("sentence", GOOD)
def test_plain_english_passes(sentence):
    assert english(road_notebook(lambda cells: cells.append(text(f"## N\n\n{sentence}")))) == []


def test_every_habit_was_seen():
    spoken = [sentence.replace("$x$", "§") for sentence in BAD]
    unseen = [habit for habit in HABITS if not any(re.search(habit, one) for one in spoken)]
    assert unseen == []


def test_long_sentences_and_rows_of_short_ones():
    def found(source):
        return english(road_notebook(lambda cells: cells.append(text(f"## Next\n\n{source}"))))

    words = " ".join(["word"] * 34)
    assert found(f"A {words}.") == []
    assert "36 words" in found(f"A {words} more.")[0]
    assert found("It is. He goes. She stays.") == []
    assert "in a row" in found("It is. He goes. She stays. We look.")[0]
    assert found("It is. He goes. We see the whole of it now. She stays. We look.") == []
    assert found("It is. He goes.\n\nShe stays. We look.") == []


def test_the_median():
    short = [text("## Next\n\nThe agent goes on its way there.")] * 80
    assert "median" in english(road_notebook(lambda cells: cells.extend(short)))[-1]
    folded = [text("#### ▸ More: of it (1 min)"), *short[:1] * 80]

    def fold(cells):
        cells += [folded[0]] + [text("The agent goes on its way.")] * 80 + [text("### Next")]

    assert english(road_notebook(fold)) == []


def test_hints_and_further_reading_are_left_out():
    texts = " ".join(said for _, _, said in prose(road_notebook()))
    assert "Bellman (1957)" not in texts and "Think of the corridor" not in texts
    assert "It is worth two" in texts
    assert [on_road for _, on_road, _ in prose(road_notebook())].count(False) == 2


def test_the_command(tmp_path, capsys):
    path = tmp_path / "07_sample.ipynb"
    path.write_text(to_text(road_notebook()), encoding="utf-8")
    assert book(["english", str(path)]) == 0
    path.write_text(
        to_text(road_notebook(lambda cells: cells.append(text(f"## N\n\n{BAD[0]}")))), "utf-8"
    )
    assert book(["english", str(path)]) == 1
    assert f"cell {len(road_cells())}" in capsys.readouterr().out
