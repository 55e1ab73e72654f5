"""The lab of chapter 7: the values of a policy in Blackjack, estimated from hands, and exact."""

from functools import cache

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from rlbook.ground.plotting import COLORS
from rlbook.planning import MDP, blackjack, on_table, policy_values
from rlbook.tabular import Recorder, monte_carlo_sums

HANDS = 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000
AT_A_TIME = 100_000
SEED = 51


@cache
def _game() -> MDP:
    return blackjack.blackjack_mdp()


@cache
def _exact(stick_from: int) -> torch.Tensor:
    game = _game()
    return policy_values(game.induced_chain(blackjack.stick_from(stick_from)))


@cache
def estimate(hands: int, stick_from: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Means of the returns (S,), and how many each is the mean of. The same player goes on: the
    first 100 hands of 1,000 are those that `hands` = 100 gives."""
    game = _game()
    player = Recorder(game, num_runs=1, seed=SEED)
    policy = blackjack.stick_from(stick_from)
    sums, counts = torch.zeros(2, 1, game.num_states, dtype=torch.float64)
    played = 0
    for target in (target for target in HANDS if target <= hands):
        while played < target:
            size = min(AT_A_TIME, target - played)
            new = monte_carlo_sums(game, player.record(policy, size))
            sums, counts, played = sums + new[0], counts + new[1], played + size
    return (sums / counts.clamp(min=1))[0], counts[0]


def draw(hands: int = 1_000, usable_ace: bool = False, stick_from: int = 20) -> Figure:
    """The estimated surface, the exact one beside it, and how far apart they are.

    Args:
        hands: how many were played, one of HANDS.
        usable_ace: which half of the states, those with an ace that counts 11 or those without.
        stick_from: the policy sticks on this sum or more.

    Raises:
        ValueError: hands not in HANDS, or stick_from not in 12 .. 21.
    """
    if hands not in HANDS:
        raise ValueError(f"hands must be one of {HANDS}, got {hands}")
    if not 12 <= stick_from <= 21:
        raise ValueError(f"stick_from must be in 12 .. 21, got {stick_from}")
    half = int(usable_ace)
    values, counts = (on_table(x)[half] for x in estimate(hands, stick_from))
    exact = on_table(_exact(stick_from))[half]
    off, never = (values - exact).abs(), int((counts == 0).sum())
    fig, axes = plt.subplots(
        1,
        2,
        figsize=(4.5, 2.6),
        layout=ConstrainedLayoutEngine(rect=(0, 0.09, 1, 0.87)),
        subplot_kw={"projection": "3d"},
    )
    dealer, total = torch.meshgrid(torch.arange(1, 11), torch.arange(12, 22), indexing="xy")
    for ax, table, title in (
        (axes[0], values, f"after {hands:,} hands"),
        (axes[1], exact, "exact"),
    ):
        shown = {"cmap": "viridis", "vmin": -1, "vmax": 1, "rstride": 1, "cstride": 1}
        ax.plot_surface(dealer, total, table, edgecolor="white", linewidth=0.3, **shown)
        ax.set_xlabel("dealer shows", size=7, labelpad=-7)
        ax.set_ylabel("your sum", size=7, labelpad=-7)
        ax.set(zlim=(-1, 1))
        ax.set_title(title, size=9)
        ax.set_xticks([1, 4, 7, 10], ["A", "4", "7", "10"])
        ax.set_yticks([12, 15, 18, 21])
        ax.set_zticks([-1, 0, 1])
        ax.tick_params(labelsize=7, pad=-2)
        ax.view_init(elev=28, azim=-125)
    words = f"largest error of a cell {off.max():.2f}; never seen: {never} of 100 cells"
    fig.text(0.5, 0.02, words, size=9, color=COLORS["vermillion"], ha="center")
    return fig
