"""The lab of chapter 6: Q, V and A in one cell of the frozen lake, and the policy that acts."""

from functools import cache

import gymnasium as gym
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from rlbook.formulas.exploration import greedy_policy
from rlbook.ground.plotting import COLORS, plot_grid_policy, plot_grid_values
from rlbook.planning.bellman import action_values
from rlbook.planning.dynamic_programming import policy_evaluation, q_value_iteration
from rlbook.planning.mdp import MDP

MOVES = "left", "down", "right", "up"
ENDS = {5: "H", 7: "H", 11: "H", 12: "H", 15: "G"}
POLICIES = "best moves", "always right", "always down"


@cache
def _lake() -> tuple[MDP, torch.Tensor]:
    lake = MDP.from_gymnasium(gym.make("FrozenLake-v1"), discount=0.99)
    q = q_value_iteration(lake, tolerance=1e-13).action_values
    assert q is not None
    return lake, greedy_policy(q.round(decimals=9))


def tables(policy: str, epsilon: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The policy with `epsilon` of its moves random: its probabilities, Q and V.

    Returns:
        Probabilities (S, A), action values (S, A), values (S,).

    Raises:
        ValueError: policy not in POLICIES, or epsilon not in [0, 1].
    """
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {POLICIES}, got {policy!r}")
    if not 0 <= epsilon <= 1:
        raise ValueError(f"epsilon must be in [0, 1], got {epsilon}")
    lake, plan = _lake()
    if policy != POLICIES[0]:
        plan = torch.zeros_like(plan)
        plan[:, MOVES.index(policy.removeprefix("always "))] = 1
    chances = (1 - epsilon) * plan + epsilon / len(MOVES)
    values = policy_evaluation(lake, chances).values
    return chances, action_values(lake, values), values


def draw(policy: str = "best moves", epsilon: float = 0.0, row: int = 3, column: int = 2) -> Figure:
    """The policy on the lake; and in one cell Q with its mean V, and A = Q - V.

    Raises:
        ValueError: policy not in POLICIES, epsilon not in [0, 1], or a cell outside the lake.
    """
    if not (0 <= row < 4 and 0 <= column < 4):
        raise ValueError(f"row and column must be in 0 .. 3, got {row} and {column}")
    chances, q, values = tables(policy, epsilon)
    cell = 4 * row + column
    fig, (lake, bars, prices) = plt.subplots(
        1, 3, figsize=(9, 2.6), layout="constrained", width_ratios=(0.8, 1, 1)
    )
    plot_grid_values(lake, values[:16], (4, 4), terminal=ENDS, limits=(0, 0.9), text=False)
    plot_grid_policy(lake, chances[:16], (4, 4), terminal=ENDS)
    frame = plt.Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, linewidth=2.4)
    frame.set(edgecolor=COLORS["vermillion"], zorder=5)
    lake.add_patch(frame)
    lake.set_title(f"{policy}, {epsilon:.0%} random", size=11)
    if cell in ENDS:
        for ax in (bars, prices):
            ax.text(0.5, 0.5, "an end: no action", ha="center", transform=ax.transAxes)
            ax.set_axis_off()
        return fig
    mean = float(values[cell])
    names = [f"{name}\n{p:.0%}" for name, p in zip(MOVES, chances[cell].tolist(), strict=True)]
    drawn = bars.bar(names, q[cell].tolist(), color=COLORS["sky"])
    bars.bar_label(drawn, fmt="%.3f", label_type="center", size=9)
    bars.axhline(mean, color=COLORS["vermillion"], linestyle="--")
    bars.set(ylim=(0, 1.05), title=f"bars: Q; dashed: V = {mean:.3f}")
    advantage = (q[cell] - mean).tolist()
    advantage = [0.0 if abs(x) < 1e-9 else x for x in advantage]
    colors = [COLORS["green"] if x > 0 else COLORS["orange"] for x in advantage]
    drawn = prices.bar(names, advantage, color=colors)
    labels = [f"{x:+.3f}" if x else "0" for x in advantage]
    prices.bar_label(drawn, labels, padding=2, size=9)
    prices.axhline(0, color=COLORS["vermillion"], linestyle="--")
    prices.set(ylim=(-0.32, 0.32), title="A = Q - V")
    for ax in (bars, prices):
        ax.grid(False)
        ax.title.set_size(11)
    return fig
