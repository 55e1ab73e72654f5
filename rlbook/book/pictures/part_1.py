"""Diagrams of Part I: one step, one episode, models, backups, ends, policy iteration, acting."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc

from rlbook.book.pictures.drawing import GREY, INK, WIDTH, arrow, box, node, page, tint, write
from rlbook.ground.plotting import COLORS

BLUE, ORANGE, GREEN, RED = (COLORS[c] for c in ("blue", "orange", "green", "vermillion"))
Point = tuple[float, float]


def agent_environment() -> Figure:
    """One step: the agent sees s_t and chooses a_t; the environment returns r_t and s_{t+1}."""
    fig, ax = page(2.75)
    box(ax, 1.25, 1.45, 1.9, 1.5, color="blue")
    write(ax, 1.25, 1.85, "Agent", size=13, weight="bold")
    write(ax, 1.25, 1.47, "sees $s_t$, chooses", size=10.5)
    write(ax, 1.25, 1.14, r"$a_t \sim \pi(\,\cdot\,|\,s_t)$", size=13)
    box(ax, 5.95, 1.45, 2.2, 1.5, color="green")
    write(ax, 5.95, 1.85, "Environment", size=13, weight="bold")
    write(ax, 5.95, 1.47, "moves to", size=10.5)
    write(ax, 5.95, 1.14, r"$s_{t+1} \sim P(\,\cdot\,|\,s_t, a_t)$", size=13)
    arrow(ax, (2.2, 1.95), (4.85, 1.95), color=BLUE, width=2)
    write(ax, 3.52, 2.15, "action $a_t$", size=12)
    arrow(ax, (4.85, 1.38), (2.2, 1.38), color=RED, width=2)
    write(ax, 3.52, 1.58, "reward $r_t$ (for $a_t$)", size=12)
    arrow(ax, (4.85, 0.92), (2.2, 0.92), color=GREEN, width=2)
    write(ax, 3.52, 1.12, "next state $s_{t+1}$", size=12)
    write(
        ax, WIDTH / 2, 0.33, "then $t$ becomes $t+1$, and the agent sees its new state", color=GREY
    )
    return fig


def time_line() -> Figure:
    """s_0, a_0, r_0, s_1, ..., s_T: each reward sits under the arrow of its own action."""
    fig, ax = page(2.1)
    xs, y = [0.5, 1.85, 3.2, 5.3, 6.65], 1.45
    names = ["$s_0$", "$s_1$", "$s_2$", "$s_{T-1}$", "$s_T$"]
    for i, (x, name) in enumerate(zip(xs, names, strict=True)):
        node(ax, x, y, 0.27, name, kind="terminal" if i == 4 else "state", size=13)
    for i, step in ((0, "0"), (1, "1"), (3, "{T-1}")):
        arrow(ax, (xs[i] + 0.27, y), (xs[i + 1] - 0.27, y), width=1.8)
        middle = (xs[i] + xs[i + 1]) / 2
        write(ax, middle, y + 0.24, f"$a_{step}$", size=14, color=BLUE)
        write(ax, middle, y - 0.25, f"$r_{step}$", size=14, color=RED)
    arrow(ax, (xs[2] + 0.27, y), (xs[2] + 0.72, y), width=1.8, head=False)
    write(ax, 4.25, y, r"$\cdots$", size=18)
    arrow(ax, (xs[3] - 0.72, y), (xs[3] - 0.27, y), width=1.8)
    ax.plot([0.23, 0.23, 2.12, 2.12], [0.95, 0.83, 0.83, 0.95], color=GREY, linewidth=1.2)
    write(ax, 1.175, 0.62, r"transition 0: $(s_0,\, a_0,\, r_0,\, s_1)$", size=11)
    write(ax, 6.65, 0.98, "terminal", color=GREY)
    write(
        ax,
        5.1,
        0.62,
        r"$G_0 = r_0 + \gamma\, r_1 + \gamma^2 r_2 + \cdots + \gamma^{T-1}\, r_{T-1}$",
        size=12,
    )
    write(ax, WIDTH / 2, 0.2, "$r_t$ is the reward for $a_t$, everywhere in this book", color=GREY)
    return fig


def _tree(ax: Axes, x: float, root: str, best: bool) -> None:
    """A backup tree of three levels below (x, 2.3); `best` draws the arcs of a maximum."""
    kinds = ["state", "action", "state"] if root == "state" else ["action", "state", "action"]
    radius = {"state": 0.105, "action": 0.075}
    top, middle, bottom = 2.3, 1.5, 0.75
    children = [-0.54, 0.0, 0.54] if root == "state" else [-0.4, 0.4]
    leaves = [-0.135, 0.135] if root == "state" else [-0.24, 0.0, 0.24]
    for child in children:
        arrow(ax, (x, top), (x + child, middle), head=False)
        node(ax, x + child, middle, radius[kinds[1]], kind=kinds[1])
        for leaf in leaves:
            arrow(ax, (x + child, middle), (x + child + leaf, bottom), head=False)
            node(ax, x + child + leaf, bottom, radius[kinds[2]], kind=kinds[2])
    node(ax, x, top, radius[root], kind=root)
    style: dict[str, Any] = {"color": RED, "linewidth": 2.2, "zorder": 4}
    if best and root == "state":
        ax.add_patch(Arc((x, top), 0.8, 0.8, theta1=238, theta2=302, **style))
    for child in children if best and root == "action" else ():
        ax.add_patch(Arc((x + child, middle), 0.8, 0.8, theta1=252, theta2=288, **style))


def machine() -> Figure:
    """The machine of chapter 3: two states, two actions in each, rewards and probabilities."""
    fig, ax = page(2.5)
    y, fine, worn = 1.25, 2.3, 5.0
    dots = {"run": (3.65, 2.0), "service": (3.65, 0.5), "left": (0.85, y), "right": (6.45, y)}
    for x, name in ((fine, "fine"), (worn, "worn")):
        node(ax, x, y, 0.4, name, size=13)
    for x, dot in dots.values():
        node(ax, x, dot, 0.085, kind="action")
    arrow(ax, (2.58, 1.55), (3.56, 2.0), bend=-0.2, color=BLUE, head=False)
    arrow(ax, (3.74, 2.0), (4.72, 1.55), bend=-0.2)
    arrow(ax, (3.63, 1.9), (2.71, 1.3), bend=-0.25)
    arrow(ax, (4.72, 0.95), (3.74, 0.5), bend=-0.2, color=BLUE, head=False)
    arrow(ax, (3.56, 0.5), (2.58, 0.95), bend=-0.2)
    for side, x, out in (("left", fine, -1), ("right", worn, 1)):
        dot = dots[side][0]
        bend = -0.35 * out
        arrow(ax, (x + 0.3 * out, y + 0.28), (dot, y + 0.09), bend=bend, color=BLUE, head=False)
        arrow(ax, (dot, y - 0.09), (x + 0.3 * out, y - 0.28), bend=bend)
    names = {
        "run": (3.65, 2.27, "run", "+5"),
        "service": (3.65, 0.23, "service", "0"),
        "left": (0.95, 1.78, "service", "+4"),
        "right": (6.3, 1.78, "run", "+3"),
    }
    for x, height, action, pay in names.values():
        write(ax, x - 0.06, height, action, size=11.5, color=BLUE, ha="right")
        write(ax, x + 0.06, height, pay, size=11.5, color=RED, ha="left")
    write(ax, 4.55, 1.97, r"$\frac{1}{2}$", size=13)
    write(ax, 3.3, 1.36, r"$\frac{1}{2}$", size=13)
    return fig


def backup_diagrams() -> Figure:
    """What each Bellman equation averages over, and where it takes a maximum (the arc)."""
    fig, ax = page(3.25)
    panels = [
        (r"$V^\pi(s)$", "state", False),
        (r"$Q^\pi(s,a)$", "action", False),
        (r"$V^*(s)$", "state", True),
        (r"$Q^*(s,a)$", "action", True),
    ]
    for i, (title, root, best) in enumerate(panels):
        x = 1.15 + 1.73 * i
        write(ax, x, 2.85, title, size=15)
        _tree(ax, x, root, best)
        actions = r"max over $a$" if best else r"mean over $a \sim \pi$"
        if root == "action":
            actions = actions.replace("$a", "$a'")
        states = r"mean over $s' \sim P$"
        first, second = (actions, states) if root == "state" else (states, actions)
        for y, words in ((0.42, first), (0.2, "then " + second)):
            write(ax, x, y, words, size=9.5, color=RED if "max" in words else INK)
    return fig


def termination_truncation() -> Figure:
    """The same last step, ended by the task and ended by the clock."""
    fig, ax = page(3.9)
    xs = [0.55, 1.55, 2.55, 3.55]
    names = ["$s_{T-3}$", "$s_{T-2}$", "$s_{T-1}$", "$s_T$"]
    for y, ended in ((2.95, True), (1.0, False)):
        for i, x in enumerate(xs):
            kind = "terminal" if ended and i == 3 else "state"
            node(ax, x, y, 0.26, names[i], kind=kind, size=12)
            if i < 3:
                arrow(ax, (x + 0.26, y), (x + 0.74, y), width=1.8)
                reward = "$r_{T-" + str(3 - i) + "}$"
                write(ax, x + 0.5, y - 0.24, reward, size=12, color=RED)
        title = (
            "Terminated: the task is over" if ended else "Truncated: a time limit cuts the episode"
        )
        write(ax, 0.29, y + 0.62, title, size=11.5, ha="left", weight="bold")
    arrow(ax, (3.81, 1.0), (4.2, 1.0), color=GREY, dashed=True)
    ax.plot([4.0, 4.0], [0.52, 1.42], color=RED, linewidth=2)
    write(ax, 4.0, 0.37, "cut", color=RED)
    write(ax, 3.55, 2.53, "terminal", color=GREY)
    lines = [
        (2.95, r"$r_{T-1} + \gamma \cdot 0$", "The bootstrap stops: $s_T$ has no future."),
        (1.0, r"$r_{T-1} + \gamma\, V(s_T)$", "The bootstrap stays: $s_T$ has a future."),
    ]
    for y, target, words in lines:
        box(ax, 5.75, y, 2.75, 1.5, color="blue" if y > 2 else "green")
        write(ax, 5.75, y + 0.5, "target of the last step", size=9.5, color="#555555")
        write(ax, 5.75, y + 0.2, target, size=14)
        write(ax, 5.75, y - 0.22, words, size=9.5)
        write(ax, 5.75, y - 0.5, "The trace stops: the episode ends.", size=9.5)
    return fig


def policy_iteration_loop() -> Figure:
    """Evaluation and improvement take turns, and stop where both have nothing left to do."""
    fig, ax = page(2.9)
    box(ax, 1.55, 2.3, 1.1, 0.56, "$V$", color="blue", size=17)
    box(ax, 1.55, 0.6, 1.1, 0.56, r"$\pi$", color="orange", size=17)
    arrow(ax, (1.15, 0.88), (1.15, 2.02), color=BLUE, width=2, bend=-0.35)
    arrow(ax, (1.95, 2.02), (1.95, 0.88), color=ORANGE, width=2, bend=-0.35)
    write(ax, 0.46, 1.45, "evaluate\n" + r"$V \leftarrow V^\pi$", size=11)
    write(ax, 2.8, 1.45, "improve\n" + r"$\pi \leftarrow$ greedy$(V)$", size=11)
    meet, left = np.array([6.2, 1.45]), 3.95
    upper, lower = np.array([left, 2.5]), np.array([left, 0.4])
    for end, color in ((upper, BLUE), (lower, ORANGE)):
        ax.plot(*zip(end, meet, strict=True), color=color, linewidth=2.2)
    write(ax, 4.75, 2.5, r"$V = V^\pi$", size=13)
    write(ax, 5.1, 0.42, r"$\pi =$ greedy$(V)$", size=13)
    point = lower + 0.04 * (meet - lower)
    for k, fraction in enumerate((0.24, 0.42, 0.57, 0.7, 0.8, 0.88)):
        base, color = (upper, BLUE) if k % 2 == 0 else (lower, ORANGE)
        target = base + fraction * (meet - base)
        arrow(ax, tuple(point), tuple(target), color=color, width=1.3)
        point = target
    node(ax, meet[0], meet[1], 0.07, kind="action")
    write(ax, 6.36, 1.45, r"$V^*\!, \pi^*$", size=15, ha="left")
    return fig


def generalised_dp_family() -> Figure:
    """Value iteration, modified policy iteration, policy iteration: one family."""
    fig, ax = page(3.1)
    left, size, step, shown = 2.85, 0.17, 0.21, 19
    rows = [("value iteration", "$m = 0$", 0), ("modified policy iteration", "$m = 4$", 4)]
    rows += [("policy iteration", r"$m \to \infty$: until exact", shown)]
    for (name, count, sweeps), y in zip(rows, (2.25, 1.55, 0.85), strict=True):
        write(ax, 0.2, y + 0.11, name, size=11.5, ha="left", weight="bold")
        write(ax, 0.2, y - 0.14, count, size=11, ha="left")
        for k in range(shown):
            color = ORANGE if k % (sweeps + 1) == 0 else BLUE
            corner = (left + step * k, y - size / 2)
            ax.add_patch(plt.Rectangle(corner, size, size, color=color, linewidth=0))
        write(ax, left + step * shown + 0.17, y, r"$\cdots$", size=14)
    write(ax, 0.2, 2.825, "In turn:", size=10, ha="left")
    legend = ((1.0, ORANGE, "greedy backup"), (2.75, BLUE, "$m$ backups under that policy"))
    for x, color, words in legend:
        ax.add_patch(plt.Rectangle((x, 2.74), size, size, color=color, linewidth=0))
        write(ax, x + 0.26, 2.825, words, ha="left")
    arrow(ax, (left, 0.45), (left + step * shown, 0.45), color=GREY)
    write(
        ax,
        left + step * shown / 2,
        0.22,
        "work: each square is one pass over all states",
        color=GREY,
    )
    return fig


# ---------------------------------------------------------------- models


def ball_in_the_air() -> Figure:
    """One photograph: a ball at 50 cm beside a ruler, and no hint of where it is going."""
    fig, ax = page(2.5)
    left, bottom, scale = 2.9, 0.3, 0.028  # inches, and inches for a centimetre
    ax.add_patch(
        plt.Rectangle((left - 0.75, 0.1), 2.7, 2.3, facecolor=tint(BLUE, 0.06), edgecolor=GREY)
    )
    ax.plot([left - 0.75, left + 1.95], [bottom, bottom], color=INK, linewidth=1.6)
    for height in range(0, 71, 10):
        y = bottom + scale * height
        ax.plot([left, left + (0.12 if height % 50 else 0.2)], [y, y], color=INK, linewidth=1.2)
        if height % 50 == 0:
            write(ax, left - 0.32, y + (0.09 if height == 0 else 0), f"{height} cm", size=10)
    ax.plot([left, left], [bottom, bottom + 70 * scale], color=INK, linewidth=1.2)
    ax.add_patch(plt.Circle((left + 1.0, bottom + 50 * scale), 0.12, color=RED))
    return fig


def can_robot() -> Figure:
    """A small MDP as a graph: states are circles, actions are dots, transitions are arrows."""
    fig, ax = page(3.45)
    high, low = (1.9, 1.75), (5.4, 1.75)
    for (x, y), name in ((high, "high\n(0)"), (low, "low\n(1)")):
        node(ax, x, y, 0.42, name, size=11)

    def action(state: Point, dot: Point, name: str, where: Point, color: str):
        direction = np.array(dot) - np.array(state)
        direction = direction / np.hypot(*direction)
        arrow(ax, tuple(state + 0.42 * direction), tuple(dot - 0.07 * direction), color=color,
              width=1.8)  # fmt: skip
        node(ax, *dot, 0.07, kind="action")
        write(ax, *where, name, size=10.5, weight="bold", color=color)

    def outcome(dot: Point, end: Point, words: str, where: Point, bend: float):
        arrow(ax, dot, end, bend=bend)
        write(ax, *where, words, size=10)

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


# ---------------------------------------------------------------- acting from V and from Q


def acting_from_v_and_q() -> Figure:
    """Left: a look-ahead through the model to the values of next states. Right: a row of Q."""
    fig, ax = page(3.2)
    write(ax, 1.95, 2.98, "from $V$: imagine every action", size=11.5, weight="bold")
    box(ax, 1.91, 1.5, 3.62, 1.42, color="orange")
    write(ax, 3.62, 2.03, "the model", size=10, ha="right", color=GREY)
    node(ax, 1.95, 2.58, 0.17, "$s$", size=12)
    for a, x in enumerate((0.75, 1.95, 3.15)):
        arrow(ax, (1.95, 2.41), (x, 1.62), head=False)
        node(ax, x, 1.58, 0.07, kind="action")
        write(ax, x - 0.36, 1.58, f"$r(s,{a})$", size=9.5)
        for side in (-0.3, 0.3):
            arrow(ax, (x, 1.58), (x + side, 1.0), head=False)
            node(ax, x + side, 0.98, 0.11)
            arrow(ax, (x + side, 0.87), (x + side, 0.6))
            corner = (x + side - 0.24, 0.34)
            blue = COLORS["blue"]
            ax.add_patch(plt.Rectangle(corner, 0.48, 0.26, facecolor=tint(blue), edgecolor=blue))
            write(ax, x + side, 0.47, "$V(s')$", size=9.5)
    write(ax, 1.95, 0.14, r"then the largest $r + \gamma \sum P\, V$", size=10)

    write(ax, 5.65, 2.98, "from $Q$: read a row", size=11.5, weight="bold")
    node(ax, 4.55, 1.5, 0.17, "$s$", size=12)
    arrow(ax, (4.74, 1.5), (4.98, 1.5))
    for row in range(5):
        y = 2.3 - 0.4 * row
        for a in range(3):
            here = row == 2
            face = tint(COLORS["blue"], 0.45 if here else 0.1)
            corner = (5.02 + 0.66 * a, y - 0.2)
            ax.add_patch(plt.Rectangle(corner, 0.66, 0.4, facecolor=face, edgecolor="#9AA5B1"))
            if here:
                write(ax, 5.35 + 0.66 * a, y, f"$Q(s,{a})$", size=10, color=INK)
    ax.add_patch(plt.Rectangle((5.68, 1.3), 0.66, 0.4, fill=False, edgecolor=RED, linewidth=2.2))
    write(ax, 6.01, 0.32, "the largest entry", size=10, color=RED)
    return fig
