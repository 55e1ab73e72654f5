"""The diagram of chapter 8: n-step returns, and their weights in the lambda-return."""

from matplotlib.figure import Figure

from rlbook.drawing import GREY, WIDTH, arrow, node, page, write
from rlbook.plotting import COLORS


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
