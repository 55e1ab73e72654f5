"""Diagrams of Part III: tile coding, the run axis, what a rollout records, the loop of DQN, GAE."""

from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlbook.book.pictures.drawing import GREY, INK, WIDTH, arrow, box, page, tint, write
from rlbook.ground.plotting import COLORS
from rlbook.planning.features import tile_indices

RUNS = ("blue", "orange", "green", "purple")


def tile_coding() -> Figure:
    """Four shifted grids over a square, one point, and the features that are 1 for it."""
    fig, ax = page(2.3)
    side, tiles, K, bottom = 1.1, 3, 4, 0.68
    width = side / tiles
    share = (0.55, 0.30)  # the point, from the lower left corner
    point = torch.tensor(share, dtype=torch.float64)
    active = tile_indices(point, low=0.0, high=1.0, tiles=tiles, tilings=K).tolist()
    for k, (name, number) in enumerate(zip(RUNS, active, strict=True)):
        left, color = 0.5 + 1.75 * k, COLORS[name]
        corner = (left - width * k / K, bottom - width * (3 * k % K) / K)
        for line in range(tiles + 2):
            style: dict[str, Any] = {"color": color, "linewidth": 1.0, "zorder": 2}
            x, y = corner[0] + width * line, corner[1] + width * line
            ax.plot([x, x], [corner[1], corner[1] + width * (tiles + 1)], **style)
            ax.plot([corner[0], corner[0] + width * (tiles + 1)], [y, y], **style)
        row, column = divmod(number - k * (tiles + 1) ** 2, tiles + 1)
        cell = (corner[0] + column * width, corner[1] + row * width)
        ax.add_patch(plt.Rectangle(cell, width, width, color=tint(color, 0.5), zorder=1))
        ax.add_patch(
            plt.Rectangle(
                (left, bottom), side, side, fill=False, edgecolor=INK, linewidth=1.8, zorder=3
            )
        )
        ax.plot(left + share[0] * side, bottom + share[1] * side, "o", color=INK, ms=5, zorder=4)
        write(ax, left + side / 2, 0.14, f"tiling {k}: feature {number}", size=9.5, color=color)
    return fig


def _sheets(ax: Axes, x: float, y: float, width: float, height: float, depth: int) -> None:
    """A stack of `depth` sheets, the first in front, each in the colour of its run."""
    for k in reversed(range(depth)):
        corner = (x - width / 2 + 0.16 * k, y - height / 2 + 0.16 * k)
        edge = COLORS[RUNS[k]]
        ax.add_patch(
            plt.Rectangle(
                corner, width, height, facecolor=tint(edge, 0.22), edgecolor=edge, linewidth=1.3,
                zorder=3 - 0.1 * k,
            )
        )  # fmt: skip


def run_axis() -> Figure:
    """One layer for R runs: R matrices of observations meet R matrices of weights, run by run."""
    fig, ax = page(3.1)
    parts = (
        (0.85, 0.9, 1.15, "observations", "(R, B, in)"),
        (2.65, 0.9, 1.0, "weights", "(R, in, out)"),
        (4.45, 0.9, 0.22, "biases", "(R, 1, out)"),
        (6.25, 0.9, 1.15, "outputs", "(R, B, out)"),
    )
    for x, width, height, name, shape in parts:
        _sheets(ax, x - 0.1, 1.62, width, height, 3)
        write(ax, x, 2.86, name, size=11)
        write(ax, x, 0.62, shape, size=11, color=GREY)
    for x, symbol in ((1.81, "@"), (3.61, "+"), (5.41, "=")):
        write(ax, x, 1.7, symbol, size=17)
    for k, (name, x) in enumerate(zip(RUNS[:3], (1.2, 3.65, 6.1), strict=True)):
        color = COLORS[name]
        write(ax, x, 0.2, f"run {k}: sheets of this colour only", size=9, color=color)
    return fig


def rollout_fields() -> Figure:
    """One environment, six steps, one end in between: what each field holds, step by step."""
    fig, ax = page(2.75)
    first, pitch = 2.45, 0.88
    names = ("observations", "actions, rewards", "next_observations", "terminated", "truncated")
    here = ["$s_0$", "$s_1$", "$s_2$", "$s_0$", "$s_1$"]
    ahead = ["$s_1$", "$s_2$", "$s_3$", "$s_1$", "$s_2$"]
    rows = (
        here,
        ["$a_0, r_0$", "$a_1, r_1$", "$a_2, r_2$", "$a_0, r_0$", "$a_1, r_1$"],
        ahead,
        ["no", "no", "yes", "no", "no"],
        ["no", "no", "no", "no", "no"],
    )
    for t in range(5):
        write(ax, first + pitch * t, 2.58, f"t = {t}", color=GREY)
    for row, (name, entries) in enumerate(zip(names, rows, strict=True)):
        y = 2.2 - 0.42 * row
        write(ax, 1.75, y, name, ha="right")
        for t, entry in enumerate(entries):
            color = "blue" if t < 3 else "orange"
            if row == 2 and t == 2:
                color = "vermillion"
            box(ax, first + pitch * t, y, 0.78, 0.33, entry, color=color, size=10)
    write(ax, first + pitch * 1, 0.14, "one episode", color=COLORS["blue"])
    write(ax, first + pitch * 3.5, 0.14, "the next one, after a reset", color=COLORS["orange"])
    return fig


# ---------------------------------------------------------------- DQN


def dqn_loop() -> Figure:
    """Environments, memory, online network, target network and loss, with what flows."""
    fig, ax = page(3.3)
    box(ax, 0.95, 2.5, 1.5, 0.62, "environments", color="green", size=11)
    box(ax, 3.4, 2.5, 1.5, 0.62, "replay memory", color="orange", size=11)
    box(ax, 0.95, 0.85, 1.5, 0.75, "online\nnetwork $Q_\\theta$", size=11)
    box(ax, 6.25, 2.5, 1.5, 0.75, "target\nnetwork $Q_{\\bar\\theta}$", color="sky", size=11)
    box(ax, 6.25, 0.85, 1.5, 0.62, "loss", color="vermillion", size=11)
    arrow(ax, (1.7, 2.5), (2.65, 2.5))
    write(ax, 2.17, 2.78, "$s, a, r, s', d$", size=9.5)
    arrow(ax, (0.95, 1.23), (0.95, 2.19))
    write(ax, 1.03, 1.7, "acts, $\\varepsilon$-greedy", ha="left", size=9.5)
    arrow(ax, (4.15, 2.5), (5.5, 2.5))
    write(ax, 4.82, 2.78, "batch: $r, s', d$", size=9.5)
    arrow(ax, (3.4, 2.19), (1.7, 1.05), bend=-0.12)
    write(ax, 2.95, 1.55, "batch: $s, a$", ha="left", size=9.5)
    arrow(ax, (1.7, 0.85), (5.5, 0.85))
    write(ax, 3.6, 1.02, "$Q_\\theta(s, a)$", size=10)
    arrow(ax, (6.25, 2.12), (6.25, 1.16))
    write(ax, 6.17, 1.72, "labels $y$", ha="right", size=9.5)
    red = COLORS["vermillion"]
    arrow(ax, (6.25, 0.54), (0.95, 0.47), color=red, bend=-0.12)
    write(ax, 3.6, 0.36, "gradient: here, and nowhere else", color=red, size=9.5)
    write(ax, 7.0, 3.05, "copied from $\\theta$, now and then", color=GREY, size=9.5, ha="right")
    return fig


# ---------------------------------------------------------------- GAE


STEPS, END = 8, 4  # an episode ends after step 4: the sums of steps 0 .. 4 stop there
LEFT, GAP, TOP, FALL = 1.28, 0.79, 3.62, 0.95


def gae_scan() -> Figure:
    """Three passes over eight steps; each box says which terms its sum holds by then."""
    fig, ax = page(4.75)
    xs = [LEFT + GAP * t for t in range(STEPS)]
    names = [r"$\delta_t$", "1 apart", "2 apart", "4 apart"]
    for row, name in enumerate(names):
        y = TOP - FALL * row
        write(ax, 0.08, y, name, ha="left", size=11, color=GREY if row else "#222222")
        for t, x in enumerate(xs):
            last = _last(t, 2**row)
            done = last == (END if t <= END else STEPS - 1)
            text = f"{t}" if last == t else f"{t}..{last}"
            box(ax, x, y, 0.56, 0.36, text, color="green" if done else "blue", size=10)
            if row:
                above, shift = y + FALL - 0.2, 2 ** (row - 1)
                arrow(ax, (x, above), (x, y + 0.2), width=1.0, color="#999999")
                if t + shift < STEPS and _last(t, shift) == t + shift - 1 != END:
                    start = (xs[t + shift] - 0.05, above)
                    arrow(ax, start, (x + 0.08, y + 0.2), color=COLORS["blue"], width=1.3)
    for t, x in enumerate(xs):
        write(ax, x, 4.12, f"$t = {t}$", size=10)
    middle = (xs[END] + xs[END + 1]) / 2
    ax.plot([middle, middle], [0.42, 4.3], color=COLORS["vermillion"], lw=1.6, ls=(0, (4, 2)))
    write(ax, middle, 4.5, "an episode ends", color=COLORS["vermillion"])
    legend = "each box: which terms its sum holds.  Green: it holds all terms up to its end"
    write(ax, WIDTH / 2, 0.16, legend, color=GREY, size=10)
    return fig


def _last(t: int, span: int) -> int:
    """The last term in the sum at t, once sums of `span` terms are known."""
    return min(t + span - 1, END if t <= END else STEPS - 1)
