"""The lab of chapter 3: two guesses at the machine's values, and one backup of each as a sum."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from rlbook.ground.plotting import COLORS
from rlbook.planning.bellman import bellman_optimality_backup
from rlbook.planning.mdp import MDP

STATES = "fine", "worn"
ACTIONS = "run", "service"
FIRST = (20.0, 0.0)  # the first guess, which stays: V(fine), V(worn)
HIGHEST = 60  # of the second guess
MAX_SWEEPS = 20


def machine() -> MDP:
    """The machine of Figure 3.1, with discount 0.9."""
    transition = torch.tensor([[[0.5, 0.5], [1, 0]], [[0, 1], [1, 0]]], dtype=torch.float64)
    return MDP.from_arrays(transition, [[5.0, 4.0], [3.0, 0.0]], discount=0.9)


def paths(fine: float, worn: float, sweeps: int) -> torch.Tensor:
    """Both guesses and what `sweeps` backups make of them, (sweeps + 1, 2 guesses, 2 states).

    Raises:
        ValueError: a guess not in 0 .. HIGHEST, or sweeps not in 0 .. MAX_SWEEPS.
    """
    for name, value, most in (
        ("fine", fine, HIGHEST),
        ("worn", worn, HIGHEST),
        ("sweeps", sweeps, MAX_SWEEPS),
    ):
        if not 0 <= value <= most:
            raise ValueError(f"{name} must be in 0 .. {most}, got {value}")
    mdp = machine()
    values = [torch.tensor([FIRST, (fine, worn)], dtype=torch.float64)]
    for _ in range(sweeps):
        values.append(bellman_optimality_backup(mdp, values[-1]))
    return torch.stack(values)


def draw(sweeps: int = 0, fine: float = 50.0, worn: float = 20.0, state: str = "fine") -> Figure:
    """Two guesses meet under T. Left: both as points. Right: the next backup of one state.

    Each bar on the right is one action's promise for the second guess: the reward of today, and
    the discounted value of each state that may come tomorrow, weighted with its probability. The
    longest bar is the state's next number, Eq. (3.7).

    Args:
        sweeps: backups already done.
        fine, worn: the second guess; the first one is FIRST.
        state: whose backup is shown, "fine" or "worn".

    Raises:
        ValueError: see `paths`, and a state that is neither.
    """
    if state not in STATES:
        raise ValueError(f"state must be one of {STATES}, got {state!r}")
    both = paths(fine, worn, sweeps)
    gaps = (both[:, 0] - both[:, 1]).abs().amax(dim=-1)
    fig, (plane, sums) = plt.subplots(1, 2, figsize=(9, 3.1), layout="constrained")
    names = "first", "second"
    for guess, (name, color) in enumerate(zip(names, ("blue", "orange"), strict=True)):
        plane.plot(*both[:, guess].T, marker=".", color=COLORS[color], linewidth=0.8)
        plane.plot(*both[-1, guess], marker="o", markersize=9, color=COLORS[color], label=name)
    plane.plot(40, 36, "*", markersize=11, color=COLORS["black"], label="$V^*$")
    plane.set(xlim=(-2, 62), ylim=(-3, 62), xlabel="$V$(fine)", ylabel="$V$(worn)")
    after = f"after {sweeps} backup{'s' * (sweeps != 1)}"
    shrunk = "" if sweeps == 0 or gaps[-2] < 1e-9 else f", {gaps[-1] / gaps[-2]:.3f} of the last"
    plane.set_title(f"{after}: gap {gaps[-1]:.2f}{shrunk}")
    plane.legend(loc="upper left", title="guess")
    _lookahead(sums, both[-1, 1], state)
    return fig


def _lookahead(ax, values: torch.Tensor, state: str) -> None:
    """The sums r + 0.9 P(fine) V(fine) + 0.9 P(worn) V(worn), one bar for each action."""
    mdp, s = machine(), STATES.index(state)
    colors = COLORS["green"], COLORS["sky"], COLORS["purple"]
    labels = "reward today", "0.9 x chance x V(fine)", "0.9 x chance x V(worn)"
    parts = torch.cat(
        [mdp.reward[s].unsqueeze(1), mdp.discount * mdp.transition[s] * values], dim=1
    )  # (A, 3)
    left = torch.zeros(len(ACTIONS), dtype=torch.float64)
    for part, color, label in zip(parts.T, colors, labels, strict=True):
        ax.barh(ACTIONS, part.tolist(), left=left.tolist(), color=color, label=label)
        left = left + part
    for action, total in enumerate(left.tolist()):
        best = total >= left.max() - 1e-9
        said = " + ".join(f"{x:.2f}" for x in parts[action].tolist()) + f"\n= {total:.2f}"
        ax.text(total + 1, action, said, va="center", weight="bold" if best else None, fontsize=9)
    ax.invert_yaxis()
    ax.grid(False)
    ax.set(xlim=(0, 95), xlabel="promise")
    ax.set_title(f"second guess: the next backup of {state}")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, fontsize=8)
