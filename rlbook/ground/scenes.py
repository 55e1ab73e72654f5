"""Pictures of single states: a cart, an arm, a grid with somebody in it; for animations."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from rlbook.ground.plotting import COLORS

INK, GROUND = "#222222", "#888888"


def blank(ax: Axes, left: float, right: float, bottom: float, top: float) -> None:
    """An empty stage of this size, in the task's own units, without axes."""
    ax.clear()
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)


def cart_pole(ax: Axes, observation: Sequence[float]) -> None:
    """A cart at x on its track of 2.4 to each side, and the pole, drawn at its full length, 1."""
    x, _, theta, _ = observation
    blank(ax, -2.8, 2.8, -0.6, 1.6)
    ax.plot([-2.4, 2.4], [0, 0], color=GROUND, linewidth=2)
    for end in (-2.4, 2.4):
        ax.plot([end, end], [-0.1, 0.1], color=GROUND, linewidth=2)
    ax.add_patch(Rectangle((x - 0.25, -0.13), 0.5, 0.26, color=INK))
    tip = x + math.sin(theta), math.cos(theta)
    ax.plot([x, tip[0]], [0.05, tip[1]], color=COLORS["orange"], linewidth=5)


def acrobot(ax: Axes, observation: Sequence[float]) -> None:
    """Two links of length 1 that hang from a point; the goal is to lift the tip above the line."""
    cos_1, sin_1, cos_2, sin_2 = observation[:4]
    elbow = sin_1, -cos_1
    cos_12, sin_12 = cos_1 * cos_2 - sin_1 * sin_2, sin_1 * cos_2 + cos_1 * sin_2
    tip = elbow[0] + sin_12, elbow[1] - cos_12
    blank(ax, -2.6, 2.6, -2.2, 2.2)
    ax.axhline(1, color=GROUND, linewidth=1, linestyle="--")
    ax.plot([0, elbow[0]], [0, elbow[1]], color=COLORS["blue"], linewidth=5)
    ax.plot([elbow[0], tip[0]], [elbow[1], tip[1]], color=COLORS["orange"], linewidth=5)
    for x, y in ((0, 0), elbow):
        ax.add_patch(Circle((x, y), 0.09, color=INK, zorder=3))


def pendulum(ax: Axes, observation: Sequence[float]) -> None:
    """A rod of length 1 on an axle; upright is the goal."""
    cos, sin = observation[:2]
    blank(ax, -1.6, 1.6, -1.25, 1.25)
    ax.plot([0, -sin], [0, cos], color=COLORS["orange"], linewidth=7, solid_capstyle="round")
    ax.add_patch(Circle((0, 0), 0.06, color=INK, zorder=3))


def grid(ax: Axes, colors: np.ndarray, path: Sequence[tuple[int, int]], marks=()) -> None:
    """Cells of these colours, the way so far, and the agent at its end.

    Args:
        colors: (rows, columns) of colour names.
        path: cells (row, column), the agent's last one last.
        marks: (row, column, text), written into cells.
    """
    rows, columns = colors.shape
    blank(ax, -0.05, columns + 0.05, rows + 0.05, -0.05)
    for row, column in np.ndindex(rows, columns):
        face = colors[row, column]
        ax.add_patch(
            Rectangle((column, row), 1, 1, facecolor=face, edgecolor="#CCCCCC", linewidth=0.5)
        )
    for row, column, text in marks:
        ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8)
    x, y = [column + 0.5 for _, column in path], [row + 0.5 for row, _ in path]
    ax.plot(x, y, color=COLORS["blue"], linewidth=1.5, alpha=0.6)
    ax.add_patch(Circle((x[-1], y[-1]), 0.3, color=COLORS["blue"], zorder=3))


TAXI_STOPS = {"R": (0, 0), "G": (0, 4), "Y": (4, 0), "B": (4, 3)}
TAXI_WALLS = [(0, 2), (1, 2), (3, 1), (4, 1), (3, 3), (4, 3)]  # (row, the column at its right)


def taxi(ax: Axes, state: int) -> None:
    """Gymnasium's Taxi: the passenger (P) waits at a stop or rides; the star is where to."""
    state, goal = divmod(int(state), 4)
    state, passenger = divmod(state, 5)
    row, column = divmod(state, 5)
    colors = np.full((5, 5), "#FFFFFF", dtype=object)
    stops = list(TAXI_STOPS.values())
    colors[stops[goal]] = COLORS["green"]
    grid(ax, colors, [(row, column)])
    for name, (r, c) in TAXI_STOPS.items():
        ax.text(c + 0.12, r + 0.3, name, fontsize=7, color=GROUND)
    for r, c in TAXI_WALLS:
        ax.plot([c, c], [r, r + 1], color=INK, linewidth=3)
    r, c = (row, column) if passenger == 4 else stops[passenger]
    color = "white" if passenger == 4 or (r, c) == (row, column) else INK
    ax.text(c + 0.5, r + 0.52, "P", ha="center", va="center", fontsize=9, color=color, zorder=4)
