"""The lab of chapter 2: a crowd of walkers on the frozen lake, pushed forward step by step."""

from functools import cache

import gymnasium as gym
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from rlbook.ground.plotting import COLORS, plot_grid_policy, plot_grid_values
from rlbook.planning.mdp import MDP

PLANS = {
    "careful": "LUUU LLLL UDLL LRDL",
    "straight to the goal": "DRDL DLDL RDDL LRRL",
}
"""One letter for each of the 16 cells, row by row: left, down, right, up."""
LETTERS = "LDRU"
HOLES, GOAL, END = (5, 7, 11, 12), 15, 16
LAST_STEP = 100


@cache
def _lake() -> MDP:
    return MDP.from_gymnasium(gym.make("FrozenLake-v1"), discount=0.99)


def policy_of(plan: str, attention: float) -> torch.Tensor:
    """The plan is followed with probability `attention`; otherwise all actions are equally likely.

    Args:
        plan: a name from PLANS, or 16 letters out of LDRU, one for each cell (spaces are ignored).
        attention: in [0, 1].

    Returns:
        (17, 4), the last row for END.

    Raises:
        ValueError: another plan, or attention outside [0, 1].
    """
    letters = PLANS.get(plan, plan).replace(" ", "")
    if len(letters) != 16 or set(letters) - set(LETTERS):
        raise ValueError(f"plan must be one of {list(PLANS)}, or 16 letters of LDRU, got {plan!r}")
    if not 0 <= attention <= 1:
        raise ValueError(f"attention must be in [0, 1], got {attention}")
    actions = torch.tensor([LETTERS.index(letter) for letter in letters + "L"])
    planned = torch.nn.functional.one_hot(actions, 4).double()
    return attention * planned + (1 - attention) / 4


def crowd(plan: str, attention: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the walkers are after 0, 1, ..., LAST_STEP steps. Eq. (2.5).

    Returns:
        the distributions p_t, (LAST_STEP + 1, 17), the last column for END; and the share that
        has reached the goal by then, (LAST_STEP + 1,).
    """
    chain = _lake().induced_chain(policy_of(plan, attention))
    step, into_goal = chain.transition[:, 0], chain.reward[:, 0]  # entering the goal pays 1
    p, arrived = [_lake().start], [torch.zeros((), dtype=torch.float64)]
    for _ in range(LAST_STEP):
        arrived.append(arrived[-1] + p[-1] @ into_goal)
        p.append(p[-1] @ step)
    return torch.stack(p), torch.stack(arrived)


def draw(plan: str = "careful", attention: float = 1.0, steps: int = 0) -> Figure:
    """Left: how many of 100 walkers stand on each cell after so many steps, and the plan. Right:
    the shares that are on the ice, in a hole and at the goal, step by step.

    Raises:
        ValueError: steps not in 0 .. LAST_STEP; or as `policy_of`.
    """
    if not 0 <= steps <= LAST_STEP:
        raise ValueError(f"steps must be in 0 .. {LAST_STEP}, got {steps}")
    p, arrived = crowd(plan, attention)
    now = p[steps, :16]
    marks = dict.fromkeys(HOLES, "hole") | {GOAL: "goal"}
    fig, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained", width_ratios=(1, 1, 1.4))
    arrows, cloud, shares = axes
    plot_grid_values(arrows, torch.zeros(16), (4, 4), text=False, limits=(0, 50), terminal=marks)
    plot_grid_policy(arrows, policy_of(plan, 1.0)[:16], (4, 4), terminal=marks)
    arrows.set_title(f"plan, kept {attention:.0%}")
    shown = torch.where(now > 0, 100 * now, torch.nan)
    plot_grid_values(cloud, shown, (4, 4), terminal=marks, digits=1, limits=(0, 50))
    cloud.set_title(f"after {steps} steps")
    for name, share, color in (
        ("in a hole", p[:, END] - arrived, "vermillion"),
        ("at the goal", arrived, "green"),
        ("on the ice", 1 - p[:, END], "blue"),
    ):
        label = f"{name}: {100 * float(share[steps]):.1f}"
        shares.plot(range(LAST_STEP + 1), 100 * share, color=COLORS[color], label=label)
    shares.axvline(steps, color=COLORS["black"], linewidth=0.8)
    shares.axhline(50, color=COLORS["black"], linewidth=0.8, linestyle=":")
    shares.set(xlabel="steps", ylabel="walkers of 100", ylim=(0, 101), xlim=(0, LAST_STEP))
    shares.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return fig
