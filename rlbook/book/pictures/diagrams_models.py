"""Diagrams of chapter 2: a model as a graph."""

import numpy as np
from matplotlib.figure import Figure

from rlbook.drawing import arrow, node, page, write
from rlbook.plotting import COLORS

BLUE, ORANGE, GREEN = (COLORS[c] for c in ("blue", "orange", "green"))


def can_robot() -> Figure:
    """A small MDP as a graph: states are circles, actions are dots, transitions are arrows."""
    fig, ax = page(3.45)
    high, low = (1.9, 1.75), (5.4, 1.75)
    for (x, y), name in ((high, "high\n(0)"), (low, "low\n(1)")):
        node(ax, x, y, 0.42, name, size=11)

    def action(state, dot, name, where, color, bend=0.0):
        direction = np.array(dot) - np.array(state)
        direction = direction / np.hypot(*direction)
        arrow(ax, tuple(state + 0.42 * direction), tuple(dot - 0.07 * direction), color=color,
              width=1.8, bend=bend)  # fmt: skip
        node(ax, *dot, 0.07, kind="action")
        write(ax, *where, name, size=10.5, weight="bold", color=color)

    def outcome(dot, end, words, where, bend, **style):
        arrow(ax, dot, end, bend=bend)
        write(ax, *where, words, size=10, **style)

    action(high, (3.65, 2.75), "search", (2.62, 2.5), BLUE)
    outcome((3.72, 2.76), (5.13, 2.07), "0.25, pays 2", (4.95, 2.62), -0.12)
    outcome((3.6, 2.81), (1.9, 2.17), "0.75, pays 2", (2.2, 3.05), 0.42)
    action(high, (0.75, 1.75), "wait", (1.1, 1.92), GREEN)
    outcome((0.72, 1.69), (1.6, 1.45), "1, pays 0.5", (0.72, 1.2), 0.62)
    action(low, (3.65, 1.75), "recharge", (4.32, 1.92), ORANGE)
    outcome((3.58, 1.75), (2.32, 1.75), "1, pays 0", (2.9, 1.9), 0.0)
    action(low, (3.65, 0.75), "search", (4.72, 1.08), BLUE)
    outcome((3.58, 0.74), (2.17, 1.43), "0.25, pays -3\n(flat: carried home)", (2.2, 0.72), -0.12)
    outcome((3.72, 0.69), (5.4, 1.33), "0.75, pays 2", (5.1, 0.4), 0.42)
    action(low, (6.55, 1.75), "wait", (6.2, 1.92), GREEN)
    outcome((6.58, 1.69), (5.7, 1.45), "1, pays 0.5", (6.55, 1.2), -0.62)
    return fig
