"""The diagram of chapter 10: what each target looks at, from the pair that is updated down."""

import numpy as np
from matplotlib.figure import Figure

from rlbook.drawing import GREY, arrow, node, page, write
from rlbook.plotting import COLORS


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
    blue = {"color": COLORS["blue"]}
    below = top - gap - short
    write(ax, xs[0], below - 0.28, "$Q(s_{t+1}, a_{t+1})$", **blue)
    write(ax, xs[3], below - 2 * (gap + short) - 0.28, "$Q(s_{t+3}, a_{t+3})$", **blue)
    for x, label in zip(xs[1:3], (r"mean, weights $\pi$,", "maximum"), strict=True):
        write(ax, x, below - 0.28, label, **blue)
        write(ax, x, below - 0.52, "of $Q(s_{t+1}, \\cdot)$", **blue)
    angles = np.linspace(-2.42, -0.72, 30)
    arc = xs[2] + 0.28 * np.cos(angles), top - gap + 0.28 * np.sin(angles)
    ax.plot(*arc, color=COLORS["orange"], linewidth=2.2, zorder=3)
    write(ax, 2.65, 0.3, "dots: an action in a state; circles: states", color=GREY)
    return fig
