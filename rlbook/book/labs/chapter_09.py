"""The lab of chapter 9: one transition of Q-learning in a corridor; and a taxi while it learns."""

import random
from functools import cache
from typing import NamedTuple

import gymnasium as gym
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rlbook.ground import scenes
from rlbook.ground.plotting import COLORS

CELLS = 4  # and the exit, cell 4
RIGHT = ((-5.0, -4.0), (-5.0, -3.0), (-4.0, -2.0), (-3.0, -1.0))
"""Q* of the corridor `S...G`: for each cell left and right."""
START = 123  # of Taxi-v4: the state in which every stored drive begins
DRIVEN = 0, 1_000, 10_000, 60_000  # steps


class Transition(NamedTuple):
    """The last step in the corridor, and what Eq. (9.2) made of it."""

    cell: int
    action: int
    next_cell: int
    target: float
    old: float
    new: float


def walk(moves: str, alpha: float) -> tuple[list[list[float]], int, Transition | None]:
    """The table, the cell and the last transition after some steps from cell 0 and zeros.

    Args:
        moves: letters L and R; others are skipped. After the exit it begins in cell 0 again.

    Raises:
        ValueError: alpha not in (0, 1].
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha must be in (0, 1], got {alpha}")
    table, cell, last = [[0.0, 0.0] for _ in range(CELLS)], 0, None
    for action in ("LR".index(letter) for letter in moves.upper() if letter in "LR"):
        entered = max(cell - 1, 0) if action == 0 else cell + 1
        target = -1.0 if entered == CELLS else -1.0 + max(table[entered])
        old = table[cell][action]
        table[cell][action] += alpha * (target - old)
        last = Transition(cell, action, entered, target, old, table[cell][action])
        cell = 0 if entered == CELLS else entered
    return table, cell, last


def draw(moves: str = "R", alpha: float = 1.0) -> Figure:
    """The table after these moves; the entry that the last one has changed, and why.

    Raises:
        ValueError: alpha not in (0, 1].
    """
    table, cell, last = walk(moves, alpha)
    done = sum(table[s][a] == RIGHT[s][a] for s in range(CELLS) for a in range(2))
    fig, (ax, words) = plt.subplots(
        1, 2, figsize=(9, 2.1), layout="constrained", width_ratios=(1.25, 1)
    )
    ax.set(xlim=(-0.9, CELLS + 1), ylim=(2.05, -1.05))
    ax.axis("off")
    words.axis("off")
    for s in range(CELLS + 1):
        face = COLORS["green"] if s == CELLS else "white"
        ax.add_patch(Rectangle((s, -1), 1, 0.8, facecolor=face, edgecolor="grey"))
        ax.text(s + 0.06, -0.9, "G" if s == CELLS else str(s), size=9, va="top")
    ax.plot(cell + 0.55, -0.6, "o", markersize=14, color=COLORS["blue"])
    for a, name in enumerate(("left", "right")):
        ax.text(-0.1, a + 0.5, name, size=10, ha="right", va="center")
        for s in range(CELLS):
            lit = last is not None and (s, a) == last[:2]
            edge = Rectangle((s, a), 1, 1, facecolor="none", linewidth=2.6 if lit else 0.8)
            edge.set(edgecolor=COLORS["vermillion"] if lit else "grey", zorder=3 if lit else 1)
            ax.add_patch(edge)
            ax.text(s + 0.5, a + 0.5, f"{table[s][a]:.4g}", size=11, ha="center", va="center")
    pressed = sum(letter in "LR" for letter in moves.upper())
    shown = moves if len(moves) <= 24 else "..." + moves[-24:]
    lines = [f"moves: {shown}", f"{pressed} pressed, {done} of 8 numbers right"]
    if last is not None:
        best = "nothing follows an end"
        if last.next_cell < CELLS:
            best = f"best number in cell {last.next_cell}: {last.target + 1:.4g}"
        lines += [
            f"from cell {last.cell} {('left', 'right')[last.action]}; {best}",
            f"target {last.target:.4g}, old {last.old:.4g}, error {last.target - last.old:.4g}",
            f"new = {last.old:.4g} + {alpha:g} x ({last.target - last.old:.4g}) = {last.new:.4g}",
        ]
    words.text(0, 0.98, "\n".join(lines), size=10, va="top", linespacing=1.7)
    return fig


@cache
def _drivers() -> dict[int, list[list[float]]]:
    """A greedy driver's table from 20, alpha = 1, discount 0.99, after each number in DRIVEN."""
    env, rng = gym.make("Taxi-v4"), random.Random(0)
    table, (s, _), kept = [[20.0] * 6 for _ in range(500)], env.reset(seed=0), {}
    for step in range(max(DRIVEN) + 1):
        if step in DRIVEN:
            kept[step] = [list(row) for row in table]
        a = rng.choice([a for a in range(6) if table[s][a] == max(table[s])])
        s_next, r, terminated, truncated, _ = env.step(a)
        table[s][a] = r if terminated else r + 0.99 * max(table[s_next])
        s = env.reset()[0] if terminated or truncated else s_next
    return kept


def drive(steps: int, most: int = 200) -> tuple[list[int], bool]:
    """The states of one greedy episode from START, and whether it delivers within `most` steps.

    Raises:
        ValueError: steps not in DRIVEN.
    """
    if steps not in DRIVEN:
        raise ValueError(f"steps must be one of {DRIVEN}, got {steps}")
    table, rng = _drivers()[steps], random.Random(steps)
    model, states = vars(gym.make("Taxi-v4").unwrapped)["P"], [START]
    for _ in range(most):
        q = table[states[-1]]
        a = rng.choice([a for a in range(6) if q[a] == max(q)])
        _, entered, _, ended = model[states[-1]][a][0]
        states.append(entered)
        if ended:
            return states, True
    return states, False


def draw_drive(steps: int = 60_000) -> Figure:
    """The way that a driver takes from START, after so many steps of learning.

    Raises:
        ValueError: steps not in DRIVEN.
    """
    states, delivered = drive(steps)
    fig, ax = plt.subplots(figsize=(2.2, 2.5), layout="constrained")
    scenes.taxi(ax, states[0])
    rng = random.Random(2)
    spots = [((s // 20) % 5 + 0.5, s // 100 + 0.5) for s in states]
    spots = [(x + rng.uniform(-0.2, 0.2), y + rng.uniform(-0.2, 0.2)) for x, y in spots]
    ax.plot(*zip(*spots, strict=True), color=COLORS["blue"], linewidth=0.9, alpha=0.7)
    end = f"delivered, {len(states) - 1} steps" if delivered else f"not there in {len(states) - 1}"
    ax.set_title(f"after {steps:,} steps:\n{end}", size=10)
    return fig
