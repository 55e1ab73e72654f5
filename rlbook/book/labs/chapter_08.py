"""The lab of chapter 8: who hears of a TD error, and how far to look ahead."""

from functools import cache

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlbook.ground.plotting import COLORS
from rlbook.tabular.episodes import Episodes, record_episodes
from rlbook.tabular.examples import random_walk
from rlbook.tabular.td_prediction import n_step_td, td_lambda

WALK = 3, 4, 5, 4, 5, 4, 3, 2, 1, 2, 3, 2, 3, 4, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2, 1
"""The first walk that the chapter prints; its next step ends on the left."""
ALPHAS = torch.arange(1, 21, dtype=torch.float64) / 20
MOST = 0.95  # the largest lambda: above it the bars leave the picture


def traces(step: int, lambda_: float) -> list[float]:
    """z(1) .. z(5) after the walk's steps 0 .. step, discount 1. Eq. (8.20).

    Raises:
        ValueError: step not in 0 .. 24, or lambda_ not in [0, 0.95].
    """
    if not 0 <= step < len(WALK):
        raise ValueError(f"step must be in 0 .. {len(WALK) - 1}, got {step}")
    if not 0 <= lambda_ <= MOST:
        raise ValueError(f"lambda_ must be in [0, {MOST}], got {lambda_}")
    z = [0.0] * 5
    for cell in WALK[: step + 1]:
        z = [lambda_ * x for x in z]
        z[cell - 1] += 1
    return z


@cache
def _record() -> Episodes:
    """A hundred runs of ten walks through nineteen cells, as in the chapter."""
    walk = random_walk(19, left_reward=-1.0)
    policy = torch.zeros(21, dtype=torch.long)
    return record_episodes(walk, policy, num_episodes=10, num_runs=100, seed=8)


@cache
def errors(name: str, number: float) -> list[float]:
    """The mean RMS error over the ten walks at each of ALPHAS, of n-step TD or online TD(lambda).

    Args:
        name: "n" or "lambda"; number: its value.
    """
    walk, alphas = random_walk(19, left_reward=-1.0), ALPHAS.unsqueeze(1)
    if name == "n":
        learned = n_step_td(walk, _record(), n=int(number), step_size=alphas)
    else:
        learned = td_lambda(walk, _record(), lambda_=number, step_size=alphas)
    truth = torch.arange(-9, 10, dtype=torch.float64) / 10
    squares = (learned.history[:, :, 1:, 1:-1] - truth).square()
    return squares.mean(-1).sqrt().mean((1, 2)).nan_to_num(torch.inf).tolist()


def draw(step: int = 12, lambda_: float = 0.8, n: int = 4, alpha: float = 0.5) -> Figure:
    """Left: how loudly each of five cells hears of the TD error of this step. Right: the error of
    TD(lambda) and of n-step TD on the walk of nineteen cells, with a dot at this step size.

    Raises:
        ValueError: step not in 0 .. 24, lambda_ not in [0, 0.95], n < 1, or alpha not in (0, 1].
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha must be in (0, 1], got {alpha}")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    z = traces(step, lambda_)
    fig, (bars, curves) = plt.subplots(1, 2, figsize=(9, 2.3), layout="constrained")
    _draw_traces(bars, z, step)
    bars.set_title(f"$\\lambda$ = {lambda_:g}, step {step}: now in cell {WALK[step]}")
    for name, number, color, label in (
        ("lambda", lambda_, "vermillion", f"$\\lambda$ = {lambda_:g}"),
        ("n", n, "blue", f"n = {n}"),
    ):
        curve = errors(name, number)
        place = min(range(len(curve)), key=lambda k: abs(float(ALPHAS[k]) - alpha))
        said = f"{curve[place]:.3f}" if curve[place] < 1 else "above 1"
        shown = [error if error < 0.7 else float("nan") for error in curve]
        curves.plot(ALPHAS, shown, color=COLORS[color], linewidth=1.2, label=f"{label}: {said}")
        curves.plot(ALPHAS[place], curve[place], "o", markersize=8, color=COLORS[color])
    curves.set(xlim=(0, 1.02), ylim=(0.22, 0.62), xlabel=r"step size $\alpha$")
    curves.set(ylabel="RMS error", title=f"nineteen cells, $\\alpha$ = {alpha:g}")
    curves.legend(loc="upper center", fontsize=9, ncols=2)
    return fig


def _draw_traces(ax: Axes, z: list[float], step: int) -> None:
    """A bar for each cell; the walker's own in another colour."""
    here = [cell == WALK[step] for cell in range(1, 6)]
    drawn = ax.bar(range(1, 6), z, color=[COLORS["orange" if h else "sky"] for h in here])
    ax.bar_label(drawn, fmt="%.2f", padding=2, fontsize=9)
    ax.set(xlabel="cell", ylabel="trace", ylim=(0, max(2.4, 1.2 * max(z))))
