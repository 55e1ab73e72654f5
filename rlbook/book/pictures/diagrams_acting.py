"""Diagram of chapter 6: choosing an action from V with a model, and from Q without."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from rlbook.drawing import GREY, INK, arrow, box, node, page, tint, write
from rlbook.plotting import COLORS

RED = COLORS["vermillion"]


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
            style = {"facecolor": tint(COLORS["blue"]), "edgecolor": COLORS["blue"]}
            ax.add_patch(plt.Rectangle(corner, 0.48, 0.26, **style))
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
