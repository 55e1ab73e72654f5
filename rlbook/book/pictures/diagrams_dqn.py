"""The diagram of chapter 13: who acts, who is trained, who only makes labels."""

from matplotlib.figure import Figure

from rlbook.drawing import GREY, arrow, box, page, write
from rlbook.plotting import COLORS


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
