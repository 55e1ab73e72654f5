"""A tiny chapter in the form of the road, to be broken by the tests of the rules."""

import copy

import nbformat
from nbformat.v4 import new_markdown_cell, new_output
from sample_notebook import PIXEL, code, make_notebook

from rlbook.book.publish.road import set_folds, set_times

FIGURE = new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"})
DIFF = "```diff\n- target = r\n+ target = r + gamma * V[s_next]\n```"
SAID = "It is worth two, which is one more than in the cell before."
ANSWER = f"<details><summary>Answer</summary>\n\n{SAID}\n\n</details>"
WALK = "The agent walks along the corridor and counts each of its steps with care."
OPENING = f"""# 7. A sample

[← 6. Before](06_before.ipynb) · [Contents](00_start_here.ipynb)

{WALK}

| cell | 0 | 1 |
| --- | --- | --- |
| worth | 1 | 2 |

**Predict.** What is the number in the second cell worth after one more step?

{ANSWER}

*You are here:* planning → **a sample** → control

{DIFF}

> **Read 1 · Do 1 · Dig 1** (minutes)
>
> **Warm-up.** (1) What is a return, said in the words of the first chapter? (2) What is the value
> of a state under a given policy? (3) What does a policy say in each of the states?
>
> <details><summary>Answers</summary>
>
> (1) The discounted sum of all the rewards that are still to come. (2) The mean of the return from
> this state on. (3) How probable each of the actions is there.
>
> </details>"""
CLOSING = f"""*You are here:* planning → **a sample** → control. The line that changed: `r` became
`r + gamma * V[s_next]`.

**Two questions before you go.** What would you call the takeaway of this chapter, in one sentence?
And which of the methods would you take here, and why not the last one?

{ANSWER}"""
HINTS = "\n\n<details><summary>Hint 1</summary> Think of the corridor again. </details>"
PROOF = "Both sides are sums, and the sum of the two means is the mean of the sum."


def text(source: str):
    return new_markdown_cell(source)


def road_cells() -> list:
    """The cells by name would be clearer than by number; see PLACES."""
    return [
        text(OPENING),
        code("x = 1", tags=("install",)),
        code("# Imports\nfrom rlbook.book import check"),
        text(f"## 7.1 By hand\n\n{WALK}\n\n$$ V = 1 + 1 . \\tag{{7.1}} $$"),
        code("V = 1 + 1\nprint(V)", "2\n"),
        text("#### ▸ Checked: Eq. (7.1), in one case (2 min)"),
        code('check("7.1", 1 + 1, 2)', "Eq. (7.1) holds: left = right in 1 case\n"),
        text(f"### Now you\n\n{WALK}\n\n**Your turn.** What is the next number in this table?"),
        text("#### ▸ Answer"),
        code("print(3)", "3\n"),
        text(f"**Exercise 7.1** (pen and paper, easy). {WALK}{HINTS}"),
        text("### A good place to stop\n\nYou have computed your first value by hand, all alone."),
        text(f"## 7.2 The program\n\n{WALK}"),
        text("#### ▸ Why: the sum of two means (4 min, not needed later)"),
        text(PROOF),
        text(
            "### Lab: move it\n\n**Goal:** find the step at which the value is two; guess it first."
        ),
        code('strip(draw, [{"k": 1}, {"k": 2}, {"k": 3}])', tags=("lab",), outputs=(FIGURE,)),
        text("*Figure 7.1.* From left to right the value grows by one with each of the steps."),
        code("# Lab: the slider\nplay(draw, k=(0, 9))", tags=("lab",)),
        text("### A good place to stop\n\nYou have moved the first lab of this book by yourself."),
        text(f"### Your own\n\n{WALK}"),
        text(f"**Exercise 7.2** (code, medium). {WALK}"),
        text(f"## Summary\n\n{CLOSING}"),
        text("#### ▸ Side roads: one exercise more (9 min)"),
        text(f"**Exercise 7.3** (code). {WALK}"),
        text("## Further reading\n\nBellman (1957)."),
    ]


(
    HEAD,
    INSTALL,
    IMPORTS,
    BY_HAND,
    SHOWN,
    CHECKED,
    CHECK,
    YOUR_TURN,
    ANSWERED,
    IN_ANSWER,
    EASY,
    STOP,
    PROGRAM,
    WHY,
    WHY_TEXT,
    LAB,
    STRIP,
    CAPTION,
    WIDGET,
    STOP_2,
    NEXT,
    MEDIUM,
    SUMMARY,
    SIDE_ROADS,
    ASIDE,
    READING,
) = range(26)
"""The places of the cells."""


def road_notebook(change=lambda cells: None, in_step: bool = True) -> nbformat.NotebookNode:
    """The sample after a change, folds and times in step with it again, or as they were."""
    cells = road_cells()
    notebook = make_notebook(cells)
    if not in_step:
        set_times(set_folds(notebook))
    change(notebook.cells)
    if in_step:
        set_folds(notebook)
        try:
            set_times(notebook)
        except ValueError:
            pass  # the box is what was broken
    return copy.deepcopy(notebook)
