"""The diagram of chapter 17: sums along time by doubling, with an end in between."""

from matplotlib.figure import Figure

from rlbook.drawing import GREY, WIDTH, arrow, box, page, write
from rlbook.plotting import COLORS

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
