"""The lab of chapter 10b: a feature more, a feature less."""

from collections.abc import Sequence
from functools import cache

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlbook.ground.plotting import COLORS
from rlbook.planning.bellman import policy_values
from rlbook.planning.features import (
    best_linear_fit,
    on_policy_distribution,
    state_aggregation,
    td_fixed_point,
)
from rlbook.planning.mdp import MDP
from rlbook.tabular.examples import long_walk


@cache
def _walk() -> tuple[MDP, torch.Tensor, torch.Tensor]:
    walk = long_walk()
    return walk, policy_values(walk), on_policy_distribution(walk)


def fits(groups: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The walk of a thousand stones in equal groups: true values, best staircase, TD's.

    Args:
        groups: 1 to 1000, one weight for each.

    Returns:
        three times (1000,).
    """
    walk, values, mu = _walk()
    X = torch.nn.functional.pad(state_aggregation(1000, groups), (0, 0, 1, 1))
    best, rest = best_linear_fit(X, values, mu), td_fixed_point(walk, X, mu)
    return values[1:-1], (X @ best)[1:-1], (X @ rest)[1:-1]


def errors(groups: int) -> tuple[float, float]:
    """The root of the mean squared error of the best staircase, and of TD's. Eq. (10b.3)."""
    values, best, rest = fits(groups)
    mu = _walk()[2][1:-1]
    best_error, rest_error = ((mu * (fit - values).square()).sum().sqrt() for fit in (best, rest))
    return best_error.item(), rest_error.item()


def draw(groups: int = 10) -> Figure:
    """The true values of the walk, the best staircase with this many steps, and the one at which
    TD rests, with the error of each.

    Raises:
        ValueError: groups not in 1 .. 1000.
    """
    return strip([groups])


def strip(frames: Sequence[int]) -> Figure:
    """The same picture for several numbers of groups, side by side."""
    size = (5, 3) if len(frames) == 1 else (9, 3)
    fig = plt.figure(figsize=size, layout="constrained")
    for ax, groups in zip(fig.subplots(1, len(frames), squeeze=False)[0], frames, strict=True):
        _draw_one(ax, groups)
    return fig


def _draw_one(ax: Axes, groups: int) -> None:
    values, best, rest = fits(groups)
    best_error, rest_error = errors(groups)
    stone = range(1, 1001)
    ax.plot(stone, values, color=COLORS["black"], linewidth=1.2, label="true")
    ax.plot(stone, best, color=COLORS["sky"], label=f"best: {best_error:.4f}")
    ax.plot(stone, rest, color=COLORS["vermillion"], label=f"TD: {rest_error:.4f}")
    ax.set(xlabel="stone", ylim=(-1, 1.6), title=f"{groups} knob{'s' * (groups > 1)}")
    ax.legend(loc="upper left", title="error")
