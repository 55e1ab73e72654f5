"""The lab of chapter 0: a room with two prizes, and four numbers in each cell."""

import random
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rlbook.formulas.exploration import greedy_policy
from rlbook.ground import require
from rlbook.ground.plotting import COLORS
from rlbook.planning.dynamic_programming import policy_evaluation, value_iteration
from rlbook.planning.grids import MOVES, GridWorld
from rlbook.planning.mdp import MDP

ROOM = """
S..a
....
....
...b
"""
PRIZES = {"a": 2.0, "b": 10.0}
DISCOUNT, SLIP = 0.9, 0.2
MAX_WALKS = 300
Q = list[list[float]]  # Q[cell][direction], the directions as in MOVES
OUTWARDS = ((-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5))  # the corners of a cell (x, y)


@cache
def room() -> tuple[GridWorld, MDP]:
    """The room of Section 0.2, and its model."""
    grid = GridWorld.from_text(ROOM, rewards=PRIZES, step_reward=0.0, slip=SLIP)
    return grid, grid.mdp(discount=DISCOUNT)


@cache
def walk(walks: int, epsilon: float, alpha: float, luck: int) -> tuple[Q, list[int]]:
    """Q-learning from zeros: the numbers after so many walks, and the cells of the last one."""
    grid, _ = room()
    pays, ends = grid.entry_reward.flatten().tolist(), grid.ends.flatten().tolist()
    height, width = grid.shape
    rng = random.Random(luck)
    q: Q = [[0.0] * len(MOVES) for _ in pays]
    path = [0]
    for _ in range(walks):
        path = [0]
        while not ends[s := path[-1]]:
            best = [a for a, value in enumerate(q[s]) if value == max(q[s])]
            a = rng.randrange(len(MOVES)) if rng.random() < epsilon else rng.choice(best)
            moved = (a + rng.choice((-1, 1))) % len(MOVES) if rng.random() < SLIP else a
            row, column = s // width + MOVES[moved][0], s % width + MOVES[moved][1]
            inside = 0 <= row < height and 0 <= column < width
            path.append(s_next := row * width + column if inside else s)
            target = pays[s_next] + DISCOUNT * max(q[s_next])  # 0 in an end, for ever
            q[s][a] += alpha * (target - q[s][a])
    return q, path


def worth(q: Q) -> float:
    """The exact value, from the start, of taking the largest number in each cell."""
    policy = greedy_policy(torch.tensor(q, dtype=torch.float64))
    return policy_evaluation(room()[1], policy).values[0].item()


def draw(walks: int = 0, epsilon: float = 0.3, alpha: float = 0.5, luck: int = 1) -> Figure:
    """The room after `walks` walks of Q-learning from zeros, and the last of these walks.

    A triangle is the number of one direction; it is empty where that is still 0. The line is the
    last walk, from S to an end. The title says what the numbers are good for: the value, from S,
    of always taking the largest, beside the best value that there is.

    Args:
        walks: 0 .. MAX_WALKS.
        epsilon: the probability of a random direction.
        alpha: the step size, in (0, 1].
        luck: the seed of the random numbers.

    Raises:
        ValueError: walks not in 0 .. MAX_WALKS, epsilon not in [0, 1], alpha not in (0, 1].
    """
    if not 0 <= walks <= MAX_WALKS:
        raise ValueError(f"walks must be in 0 .. {MAX_WALKS}, got {walks}")
    require.within("epsilon", epsilon, 0, 1)
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha must be in (0, 1], got {alpha}")
    grid, mdp = room()
    q, path = walk(walks, epsilon, alpha, luck)
    pays = grid.entry_reward.flatten().tolist()
    fig, ax = plt.subplots(figsize=(4.5, 4.9), layout="constrained")
    norm, colors = Normalize(0, max(PRIZES.values())), plt.get_cmap("viridis")
    width = grid.shape[1]
    for s, numbers in enumerate(q):
        center = s % width, s // width
        if mdp.terminal[s]:
            frame: dict[str, Any] = {"facecolor": "white", "edgecolor": "black", "linewidth": 1.5}
            ax.add_patch(plt.Rectangle((center[0] - 0.48, center[1] - 0.48), 0.96, 0.96, **frame))
            above, mark = (center[0], center[1] - 0.18), f"+{pays[s]:g}"
            ax.text(*above, mark, fontsize=18, weight="bold", ha="center", va="center")
            continue
        for a, number in enumerate(numbers):
            corners = [OUTWARDS[(a + side) % 4] for side in (0, 1)]
            triangle = [center] + [(center[0] + x, center[1] + y) for x, y in corners]
            color = colors(norm(number))
            ax.fill(*zip(*triangle, strict=True), facecolor=color, edgecolor="white", lw=0.8)
            if number == 0:
                continue
            at = center[0] + 0.31 * MOVES[a][1], center[1] + 0.33 * MOVES[a][0]
            ink = "black" if norm(number) > 0.6 else "white"
            ax.text(*at, f"{number:.1f}", ha="center", va="center", fontsize=8.5, color=ink)
    if len(path) > 1:
        rng = random.Random(0)
        near = [(s % width + rng.uniform(-0.1, 0.1), s // width + rng.uniform(-0.1, 0.1))
                for s in path]  # fmt: skip
        ax.plot(*zip(*near, strict=True), color=COLORS["vermillion"], lw=1.6, alpha=0.8, zorder=3)
        ax.plot(*near[-1], "o", color=COLORS["vermillion"], ms=7, zorder=4)
    ax.text(-0.42, -0.42, "S", fontsize=9, weight="bold", color="white", ha="center", va="center")
    ax.set(xlim=(-0.52, width - 0.48), ylim=(grid.shape[0] - 0.48, -0.52), aspect="equal")
    ax.axis("off")
    best = value_iteration(mdp).values[0].item()
    ax.set_title(f"after {walks} walk{'s' * (walks != 1)}: worth {worth(q):.1f} of {best:.1f}")
    return fig
