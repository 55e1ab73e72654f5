"""Diagrams of Part II: n-step returns and their weights in the lambda-return; backups of SARSA; a
random walk along a cliff, and three ways along it."""

import random
from collections import Counter
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlbook.book.pictures.drawing import GREY, WIDTH, arrow, node, page, tint, write
from rlbook.ground.plotting import COLORS


def n_step_backups() -> Figure:
    """The n-step returns of an episode with four steps to go, side by side with their weights."""
    steps, top, gap = 4, 3.5, 0.62
    fig, ax = page(4.45)
    xs = [1.55 + 1.55 * i for i in range(steps)]
    names = ["$n = 1$: TD(0)", "$n = 2$", "$n = 3$", r"$n \geq 4$: Monte Carlo"]
    weights = [
        r"$1-\lambda$",
        r"$(1-\lambda)\,\lambda$",
        r"$(1-\lambda)\,\lambda^2$",
        r"$\lambda^3$",
    ]
    for n, (x, name, weight) in enumerate(zip(xs, names, weights, strict=True), start=1):
        write(ax, x, 4.15, name, size=11)
        for k in range(n):
            y = top - gap * k
            arrow(ax, (x, y), (x, y - gap), width=1.2, head=False)
            node(ax, x, y - gap / 2, 0.055, kind="action")
            write(ax, x + 0.13, y - gap / 2, _name("r", k), color=COLORS["vermillion"], ha="left")
            node(ax, x, y, 0.13)
        bottom = top - gap * n
        node(ax, x, bottom, 0.13, kind="terminal" if n == steps else "state")
        if n < steps:
            guess = f"guess {_name('V(s', n)[:-1]})$"
            write(ax, x, bottom - 0.32, guess, color=COLORS["blue"])
        else:
            write(ax, x, bottom - 0.27, "end", color=GREY)
        write(ax, x, 0.33, weight, size=13)
    write(ax, xs[0] - 0.22, top, "$s_t$", ha="right", size=12)
    write(ax, 0.08, 0.33, "weight", ha="left", color=GREY)
    for left in xs[:-1]:
        write(ax, left + 0.775, 0.33, "+", color=GREY, size=12)
    ax.plot([0.08, WIDTH - 0.1], [0.6, 0.6], color="#D0D0D0", linewidth=1)
    return fig


def _name(letter: str, k: int) -> str:
    """r_t, r_{t+1}, ... as a formula."""
    return f"${letter}_{{t+{k}}}$" if k else f"${letter}_t$"


# ---------------------------------------------------------------- SARSA


def sarsa_backups() -> Figure:
    """SARSA, expected SARSA, Q-learning and n-step SARSA, one tree each."""
    fig, ax = page(3.9)
    top, gap, short = 3.3, 0.52, 0.38  # from a pair to the state, from the state to a pair
    names = ["SARSA", "expected SARSA", "Q-learning", r"$n$-step SARSA, $n = 3$"]
    xs = [0.95, 2.65, 4.4, 6.2]
    for x, name in zip(xs, names, strict=True):
        write(ax, x, 3.68, name, size=11)
        for k in range(3 if x == xs[3] else 1):
            y = top - k * (gap + short)
            reward = f"$r_{{t+{k}}}$" if k else "$r_t$"
            arrow(ax, (x, y), (x, y - gap), width=1.2, head=False)
            write(ax, x + 0.13, y - 0.22, reward, color=COLORS["vermillion"], ha="left")
            node(ax, x, y - gap, 0.12)
            for side in (-0.45, 0.0, 0.45) if x in xs[1:3] else (0.0,):
                end = (x + side, y - gap - short)
                arrow(ax, (x, y - gap - 0.12), end, width=1.2, head=False)
                node(ax, *end, 0.065, kind="action")
        node(ax, x, top, 0.065, kind="action")
    write(ax, xs[0] - 0.16, top, "$s_t, a_t$", ha="right", size=11)
    write(ax, xs[0] - 0.2, top - gap, "$s_{t+1}$", ha="right", size=11)
    blue = COLORS["blue"]
    below = top - gap - short
    write(ax, xs[0], below - 0.28, "$Q(s_{t+1}, a_{t+1})$", color=blue)
    write(ax, xs[3], below - 2 * (gap + short) - 0.28, "$Q(s_{t+3}, a_{t+3})$", color=blue)
    for x, label in zip(xs[1:3], (r"mean, weights $\pi$,", "maximum"), strict=True):
        write(ax, x, below - 0.28, label, color=blue)
        write(ax, x, below - 0.52, "of $Q(s_{t+1}, \\cdot)$", color=blue)
    angles = np.linspace(-2.42, -0.72, 30)
    arc = xs[2] + 0.28 * np.cos(angles), top - gap + 0.28 * np.sin(angles)
    ax.plot(*arc, color=COLORS["orange"], linewidth=2.2, zorder=3)
    write(ax, 2.65, 0.3, "dots: an action in a state; circles: states", color=GREY)
    return fig


SAILOR_STEPS, SAILOR_SEED = 300, 9


def sailors_walk() -> list[tuple[tuple[int, int], tuple[int, int], bool]]:
    """The first steps of a random walk in CliffWalking: from (row, column), to, and whether the
    step ends in the sea, from where it goes on at the start."""
    rng, here, steps = random.Random(SAILOR_SEED), (3, 0), []
    for _ in range(SAILOR_STEPS):
        down, right = rng.choice([(-1, 0), (0, 1), (1, 0), (0, -1)])
        row, column = min(max(here[0] + down, 0), 3), min(max(here[1] + right, 0), 11)
        fell = row == 3 and 1 <= column <= 10
        steps.append((here, (row, column), fell))
        here = (3, 0) if fell or (row, column) == (3, 11) else (row, column)
    return steps


SIDE, LEFT, TOP = 0.58, 0.17, 2.55  # of a cell of the cliff, and where its grid begins


def _cliff(ax: Axes) -> None:
    """The grid of CliffWalking, the sea coloured."""
    for row in range(4):
        for column in range(12):
            sea = row == 3 and 1 <= column <= 10
            face = tint(COLORS["blue"], 0.3) if sea else "white"
            corner = (LEFT + SIDE * column, TOP - SIDE * (row + 1))
            ax.add_patch(plt.Rectangle(corner, SIDE, SIDE, facecolor=face, edgecolor="#CCCCCC"))


def staggering_sailor() -> Figure:
    """A random walk along the cliff of CliffWalking, with a splash for each fall."""
    fig, ax = page(2.75)
    _cliff(ax)
    side, left, top = SIDE, LEFT, TOP
    rng = random.Random(1)

    def spot(cell: tuple[int, int]) -> tuple[float, float]:
        x, y = (rng.uniform(0.25, 0.75) for _ in range(2))
        return left + side * (cell[1] + x), top - side * (cell[0] + y)

    here, falls = spot((3, 0)), Counter[int]()
    for _, entered, fell in sailors_walk():
        there = spot(entered)
        ax.plot(*zip(here, there, strict=True), color=COLORS["orange"], linewidth=0.8, alpha=0.8)
        falls[entered[1]] += fell
        here = spot((3, 0)) if fell else there
    for column, count in falls.items():
        x = left + side * (column + 0.5)
        if count:
            write(ax, x, top - 3.5 * side, "*", size=22, color=COLORS["vermillion"])
            write(ax, x + 0.21, top - 3.82 * side, str(count), size=8.5)
    for x, y, word in ((0.5, 3.75, "start"), (11.5, 3.5, "ship")):
        box = {"facecolor": "white", "linewidth": 0, "pad": 1}
        write(ax, left + x * side, top - y * side, word, size=10, weight="bold", bbox=box)
    write(ax, left + 6 * side, top - 4.0 * side - 0.12, "the sea", size=9, color=GREY)
    return fig


def three_ways() -> Figure:
    """Three ways along the cliff, from the edge to the row farthest from it."""
    fig, ax = page(2.75)
    _cliff(ax)
    ways = ((2, 0.5, "vermillion", 13), (1, 0.38, "orange", 15), (0, 0.26, "green", 17))
    for row, x, color, steps in ways:
        corners = [(x, 3.3), (x, row + 0.5), (12 - x, row + 0.5), (12 - x, 3.3)]
        for start, end in pairwise(corners):
            ends = [(LEFT + SIDE * a, TOP - SIDE * b) for a, b in (start, end)]
            arrow(ax, *ends, color=COLORS[color], width=2, head=end is corners[-1])
        box = {"facecolor": "white", "linewidth": 0, "pad": 1}
        words = f"{steps} steps"
        write(ax, LEFT + 6 * SIDE, TOP - (row + 0.5) * SIDE, words, color=COLORS[color], bbox=box)
    for x, word in ((0.5, "start"), (11.5, "goal")):
        write(ax, LEFT + x * SIDE, TOP - 3.72 * SIDE, word, size=10, weight="bold")
    write(ax, LEFT + 6 * SIDE, TOP - 3.5 * SIDE, "the sea", size=9, color=GREY)
    return fig
