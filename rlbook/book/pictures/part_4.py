"""The diagram of Part IV: an answer as an episode, and who has a part in it."""

from matplotlib.figure import Figure

from rlbook.book.pictures.drawing import GREY, WIDTH, arrow, box, page, write
from rlbook.ground.plotting import COLORS

WORDS = ("the", "plot", "is", "dark", "END")
LEFT, GAP = 2.35, 0.98
TOKENS, PRICES, VALUES = 2.95, 2.05, 1.15


def rlhf_episode() -> Figure:
    """Five tokens with their rewards and the critic's values; frozen and trained models."""
    fig, ax = page(3.65)
    box(ax, 0.78, TOKENS, 1.25, 0.5, "review of\nthe novel", color="black", size=9)
    write(ax, 0.78, TOKENS + 0.48, "prompt $q$", size=10)
    xs = [LEFT + GAP * t for t in range(len(WORDS))]
    for t, (x, word) in enumerate(zip(xs, WORDS, strict=True)):
        box(ax, x, TOKENS, 0.68, 0.42, word, color="blue", size=10)
        write(ax, x, TOKENS + 0.42, f"$o_{t}$", size=11)
        before = 1.41 if t == 0 else xs[t - 1] + 0.35
        arrow(ax, (before, TOKENS), (x - 0.36, TOKENS), width=1.2)
        last = t == len(WORDS) - 1
        price = r"$-\beta\,\log\frac{\pi}{\pi_{ref}}$"
        box(ax, x, PRICES, 0.86, 0.44, price, color="orange", size=9)
        arrow(ax, (x, TOKENS - 0.22), (x, PRICES + 0.24), width=1.0, color="#999999")
        if last:
            write(ax, x, PRICES - 0.36, "$+\\ R(q, o)$", size=11, color=COLORS["vermillion"])
        context = (before + x - 0.36) / 2
        write(ax, context, VALUES - 0.02, f"$V(c_{t})$", size=10, color=COLORS["green"])
        ax.plot([context] * 2, [VALUES + 0.18, TOKENS - 0.06], color=COLORS["green"], lw=0.9,
                ls=(0, (2, 2)), zorder=1)  # fmt: skip
    rows = ((TOKENS - 0.42, ""), (PRICES, "rewards $r_t$"), (VALUES, "critic"))
    for y, name in rows[1:]:
        write(ax, 0.2, y, name, ha="left", size=10, color=GREY)
    trained = r"trained: $\pi_\theta$ and $V$.   recorded: $\pi_{old}$, which wrote the answer."
    write(ax, WIDTH / 2, 0.55, trained, size=10)
    write(ax, WIDTH / 2, 0.25, r"frozen: the reference $\pi_{ref}$ and the reward $R$.", size=10)
    return fig
