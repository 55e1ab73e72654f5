"""Diagrams of the book itself: its chapters, and the floors and rooms of its package."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from rlbook.book.pictures.drawing import INK, arrow, box, node, page, tint, write
from rlbook.ground.plotting import COLORS

NAMES = {  # of the chapters, broken into lines
    "00": "Start\nhere", "01": "RL\nbasics", "02": "MDPs", "03": "Bellman's\nequations",
    "04": "Value\niteration", "05": "Policy\niteration", "06": "Q-function",
    "07": "Monte\nCarlo", "08": "Temporal\ndifference", "09": "Q-learning", "10": "SARSA",
    "10b": "Tables to\nfunctions",
    "11": "Policy\ngradient", "12": "REINFORCE", "13": "Deep\nQ-learning",
    "14": "Actor-\ncritic", "15": "TRPO", "16": "PPO", "17": "GAE",
    "18": "Reward\nmodels", "19": "RLHF\nby PPO", "20": "GRPO",
    "A": "Gradient\ntheorem", "B": "Corrections", "C": "Debugging\nRL",
    "E": "Notation", "F": "What you\nneed",
}  # fmt: skip
PARTS = [  # title, its place (x, y, side), colour, (left, bottom, right, top), rows of chapters
    ("Part I. RL basics (a known model)", (0.19, 6.05, "left"), "blue",
     (0.06, 5.08, 7.24, 6.2), {(0, 5.48): "00 01 02 03 04 05 06"}),
    ("Part II. Q-learning (no model, a table)", (5.09, 4.59, "right"), "green",
     (0.06, 3.62, 5.21, 4.74), {(0, 4.02): "07 08 09 10 10b"}),
    ("Part III. Deep RL (networks)", (7.1, 3.25, "right"), "orange",
     (1.13, 1.66, 7.24, 3.4), {(1, 2.06): "11 12 14 15 16 17", (2, 2.96): "13"}),
    ("Part IV. Language models", (4.29, 0.28, "left"), "purple",
     (4.185, 0.13, 7.24, 1.25), {(4, 0.85): "18 19 20"}),
    ("Appendix", (0.19, 0.28, "left"), "sky",
     (0.06, 0.13, 4.125, 1.25), {(0, 0.85): "A B C E"}),
    ("", (0.19, 2.5, "left"), "sky", (0.06, 1.25, 1.07, 2.51), {(0, 2.06): "F"}),
]  # fmt: skip


def book_map() -> Figure:
    """The chapters, and what each one builds on."""
    fig, ax = page(6.3)
    at = {}
    for title, (x, y, side), color, (left, bottom, right, top), rows in PARTS:
        area, face = (right - left, top - bottom), tint(COLORS[color], 0.1)
        ax.add_patch(plt.Rectangle((left, bottom), *area, facecolor=face, linewidth=0))
        write(ax, x, y, title, size=10.5, ha=side, weight="bold")
        for (column, y), keys in rows.items():
            for i, key in enumerate(keys.split()):
                at[key] = x, y = 0.62 + 1.01 * (column + i), y
                box(ax, x, y, 0.86, 0.62, color=color)
                write(ax, x, y + 0.19, key, size=10, weight="bold")
                write(ax, x, y - 0.1, NAMES[key], size=8.6, linespacing=0.95)
                if i and not key.isalpha():
                    arrow(ax, (x - 0.58, y), (x - 0.43, y))
    for a, b in (("08", "11"), ("09", "13"), ("11", "A"), ("16", "19")):
        arrow(ax, (at[a][0], at[a][1] - 0.31), (at[b][0], at[b][1] + 0.31))
    arrow(ax, (at["11"][0] + 0.3, at["11"][1] + 0.31), (at["13"][0] - 0.43, at["13"][1]))
    (x6, y6), (x7, y7) = at["06"], at["07"]
    ax.plot([x6, x6, x7, x7], [y6 - 0.31, 4.91, 4.91, y7 + 0.4], color=INK, linewidth=1.4)
    arrow(ax, (x7, y7 + 0.5), (x7, y7 + 0.31))
    return fig


FLOORS = [  # from the top, one row of rooms each: name, purpose, colour, the main modules
    [("book", "what makes the book", "purple", "exercises  experiments  pictures  publish")],
    [("tabular", "Part II: learning in tables", "green",
      "episodes  monte_carlo  td_prediction\ntd_control  tasks  worlds")],
    [("planning", "Part I: a known model", "blue",
      "mdp  grids  bellman\ndynamic_programming\nexact_gradients"),
     ("deep", "Part III: networks", "orange", "reinforce  dqn\nactor_critic  trpo\nppo  parts"),
     ("language", "Part IV: language models", "vermillion",
      "models  sampling\nreward_model  rlhf\ngrpo  solvable  tasks")],
    [("formulas", "one equation, one function", "sky",
      "returns  exploration  policy_gradients\ndivergences  trust_region  preferences\n"
      "token_rewards  group_advantages")],
    [("ground", "no learning yet", "yellow",
      "checks  seeding  statistics  plotting\nmasking  saving  require  draws")],
]  # fmt: skip


def floors() -> Figure:
    """The floors of the package, and the rooms on each: imports go down, never up."""
    fig, ax = page(5.2)
    top = 5.1
    for rooms in FLOORS:
        alone = len(rooms) == 1
        height, width = (0.8 if alone else 1.32), (6.66 - 0.12 * (len(rooms) - 1)) / len(rooms)
        y = top - height / 2
        for i, (name, purpose, color, modules) in enumerate(rooms):
            left = 0.54 + (width + 0.12) * i
            box(ax, left + width / 2, y, width, height, color=color)
            said = y + 0.12 if alone else top - 0.2
            write(ax, left + 0.12, said, name, size=12, ha="left", weight="bold")
            write(ax, left + 0.12, said - 0.24, purpose, size=9, ha="left", color="#555555")
            lines = modules.split("\n")
            x, middle = (2.95, y) if alone else (left + 0.12, top - 0.88)
            for row, line in enumerate(lines):
                style = {"ha": "left", "family": "monospace", "color": INK}
                at = middle + 0.21 * ((len(lines) - 1) / 2 - row)
                write(ax, x, at, line, size=9, **style)
        top -= height + 0.12
    arrow(ax, (0.33, 5.0), (0.33, 0.25), color=INK, width=2)
    write(ax, 0.16, 2.6, "imports", rotation=90, size=10)
    return fig


STEPS = [  # of a section: name, what happens, colour
    ("Derive", "every step\nwith its reason", "blue"),
    ("Check", "two routes,\none number", "blue"),
    ("Build", "slow code, and\nthe fast function", "green"),
    ("Run", "an experiment,\nten runs", "orange"),
    ("Break", "change one\nthing, predict", "vermillion"),
    ("Exercise", "a checker says\nwhat is wrong", "purple"),
]


def chapter_rhythm() -> Figure:
    """The six steps of a section, from the derivation to the exercise."""
    fig, ax = page(1.2)
    for i, (name, what, color) in enumerate(STEPS):
        x = 0.62 + 1.212 * i
        box(ax, x, 0.6, 1.1, 0.92, color=color)
        write(ax, x, 0.86, name, size=11.5, weight="bold")
        write(ax, x, 0.46, what, size=8.5, linespacing=1.15)
        if i:
            arrow(ax, (x - 0.662, 0.6), (x - 0.55, 0.6))
    return fig


def two_state_chain() -> Figure:
    """The chain of the tour in chapter 00: sunny days pay 1, rainy days nothing."""
    fig, ax = page(1.9)
    y, sunny, rainy = 0.95, 2.75, 4.85
    node(ax, sunny, y, 0.42, "sunny", size=10.5)
    node(ax, rainy, y, 0.42, "rainy", size=10.5)
    arrow(ax, (sunny + 0.36, y + 0.22), (rainy - 0.36, y + 0.22), bend=-0.18)
    arrow(ax, (rainy - 0.36, y - 0.22), (sunny + 0.36, y - 0.22), bend=-0.18)
    arrow(ax, (sunny - 0.3, y + 0.3), (sunny - 0.3, y - 0.3), bend=1.6)
    write(ax, 3.8, y + 0.58, "probability $1-p$, reward 1", size=9.5)
    write(ax, 3.8, y - 0.58, "probability 1, reward 0", size=9.5)
    write(ax, 1.6, y, "probability $p$,\nreward 1", size=9.5, ha="right")
    return fig
