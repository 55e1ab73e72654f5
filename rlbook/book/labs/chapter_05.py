"""The lab of chapter 5: policy iteration on Jack's car rental, round by round; who needs how much.

All days begin in the morning, after the move: what follows depends on the cars of the morning only.
So the 441 x 441 chances from a morning to the next evening do for all eleven actions, and every
control is answered at once.
"""

from functools import cache

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from rlbook.ground.plotting import COLORS
from rlbook.planning.car_rental import MAX_CARS, MAX_MOVES, location

N, STATES = MAX_CARS + 1, (MAX_CARS + 1) ** 2
CENT = 0.01
MAX_ROUND = 6
DISCOUNTS = 0.0, 0.5, 0.8, 0.9, 0.95, 0.99
COUNTED = "evaluations", "sweeps, with bounds", "sweeps"


@cache
def mornings() -> tuple[torch.Tensor, torch.Tensor]:
    """For each morning the chances of the next evening, (S, S), and the dollars earned, (S,)."""
    (first, rented_1), (second, rented_2) = location(MAX_CARS, 3.0, 3.0), location(MAX_CARS, 4, 2)
    chances = torch.einsum("ij,kl->ikjl", first, second).reshape(STATES, STATES)
    return chances, 10 * (rented_1.unsqueeze(1) + rented_2).flatten()


@cache
def moves() -> tuple[torch.Tensor, torch.Tensor]:
    """For each evening and action: the morning that it leads to, and whether it is allowed."""
    first, second = torch.meshgrid(torch.arange(N), torch.arange(N), indexing="ij")
    moved = torch.arange(-MAX_MOVES, MAX_MOVES + 1).view(-1, 1, 1)
    allowed = (moved <= first) & (-moved <= second)
    morning = (first - moved).clamp(0, MAX_CARS) * N + (second + moved).clamp(0, MAX_CARS)
    return morning.flatten(1).T, allowed.flatten(1).T  # (S, A)


def action_values(values: torch.Tensor, discount: float, cost: float) -> torch.Tensor:
    """Q(s, a) = r(s, a) + discount sum_s' P(s'|s, a) V(s'), (S, A); -inf where not allowed."""
    chances, earned = mornings()
    morning, allowed = moves()
    paid = cost * torch.arange(-MAX_MOVES, MAX_MOVES + 1).abs()
    return ((earned + discount * chances @ values)[morning] - paid).masked_fill(
        ~allowed, -torch.inf
    )


@cache
def rounds(discount: float, cost: float) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Policy iteration from never moving a car: each policy as cars moved, (S,), and its values."""
    chances, earned = mornings()
    states, eye = torch.arange(STATES), torch.eye(STATES, dtype=torch.float64)
    action, history = torch.full((STATES,), MAX_MOVES), []
    while True:
        moved, morning = action - MAX_MOVES, moves()[0][states, action]
        reward = earned[morning] - cost * moved.abs()
        values = torch.linalg.solve(eye - discount * chances[morning], reward)
        history.append((moved, values))
        q = action_values(values, discount, cost)
        better = q.amax(1) > q[states, action] + 1e-9
        if not better.any():
            return history
        action = torch.where(better, q.argmax(1), action)


@cache
def sweeps(discount: float, cost: float) -> tuple[int, int]:
    """Of value iteration from zeros, until every value is right to a cent for certain: by the
    bounds of Exercise 4.5 (the middle between them), and by the largest change, Eq. (4.6)."""
    values, factor, count = torch.zeros(STATES, dtype=torch.float64), discount / (1 - discount), 0
    bounded = 0
    while True:
        new, count = action_values(values, discount, cost).amax(1), count + 1
        change, values = new - values, new
        if not bounded and factor * float(change.max() - change.min()) / 2 <= CENT:
            bounded = count
        if factor * float(change.abs().max()) <= CENT:
            return bounded, count


def draw(round: int = 1, discount: float = 0.9, cost: float = 2.0) -> Figure:
    """Policy `round` of policy iteration, what it has gained, and what each method needs.

    Left: cars moved overnight from the first to the second location. Middle: how much more the
    policy is worth than the one before it. Right: evaluations, or sweeps, until all values are
    right to a cent. A round after the last repeats the last policy.

    Args:
        cost: dollars for each car moved.

    Raises:
        ValueError: round not in 0 .. MAX_ROUND, discount not in [0, 1), or a cost below 0.
    """
    if not 0 <= round <= MAX_ROUND:
        raise ValueError(f"round must be in 0 .. {MAX_ROUND}, got {round}")
    if not 0 <= discount < 1:
        raise ValueError(f"discount must be in [0, 1), got {discount}")
    if cost < 0:
        raise ValueError(f"cost must be at least 0, got {cost}")
    history = rounds(discount, float(cost))
    last = len(history) - 1
    moved, values = history[min(round, last)]
    before = history[min(round, last + 1) - 1][1] if round else values
    gain = values - before
    fig, axes = plt.subplots(1, 3, figsize=(9, 2.9), layout="constrained")
    draw_moves(axes[0], moved)
    note = ", the last" if round == last else (f": as {last}" if round > last else "")
    axes[0].set_title(f"policy {round}{note}: {int(moved.abs().sum())} cars")
    shown = gain.view(N, N).numpy()
    image = axes[1].imshow(shown, origin="lower", vmin=0, vmax=max(float(gain.max()), CENT))
    fig.colorbar(image, ax=axes[1], shrink=0.9)
    axes[1].set_title("gain of this round, dollars" if round else "no round yet")
    axes[1].grid(False)
    for ax in axes[:2]:
        ax.set(xlabel="cars at the second", ylabel="cars at the first")
        ax.set(xticks=(0, 10, 20), yticks=(0, 10, 20))
    counts = (len(history), *sweeps(discount, float(cost)))
    colors = [COLORS["green"], COLORS["orange"], COLORS["blue"]]
    bars = axes[2].barh(COUNTED, counts, color=colors)
    axes[2].bar_label(bars, padding=3)
    axes[2].invert_yaxis()
    axes[2].set(xscale="log", xlim=(1, 8000), title=f"right to a cent, $\\gamma = {discount:g}$")
    axes[2].grid(False)
    return fig


def draw_moves(ax, moved: torch.Tensor) -> None:
    """Cars moved from the first to the second location, (S,), as a map of the evenings."""
    table = moved.view(N, N)
    ax.imshow(table.numpy(), origin="lower", cmap=plt.get_cmap("PuOr", 11), vmin=-5.5, vmax=5.5)
    for number in range(-MAX_MOVES, MAX_MOVES + 1):
        places = (table == number).nonzero()
        if len(places) > 2:
            row, column = places[places.sum(1).argsort(stable=True)[len(places) // 2]].tolist()
            ink = "white" if abs(number) > 3 else "black"
            ax.text(column, row, str(number), ha="center", va="center", fontsize=9, color=ink)
    ax.grid(False)
