"""The lab of chapter 10: the best way along the cliff for a hand that trembles, and SARSA's."""

import random
from collections import Counter
from functools import cache

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlbook.formulas.exploration import epsilon_greedy_policy
from rlbook.ground.plotting import COLORS, plot_grid_values
from rlbook.planning.bellman import action_values
from rlbook.planning.dynamic_programming import (
    policy_evaluation,
    policy_iteration,
    value_iteration,
)
from rlbook.planning.epsilon_soft import epsilon_soft_model
from rlbook.tabular.tasks import tabular_task

EPSILONS = (
    *(0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009, 0.01, 0.02, 0.03, 0.05),
    *(0.07, 0.1, 0.13, 0.15, 0.16, 0.18, 0.2, 0.25, 0.3),
)
"""What the lab offers."""
START, END, GOAL, WIDTH = 36, 48, 47, 12
RUNS, EPISODES, LAST = 10, 500, 100
CAP = 60  # steps of a greedy path: who needs more goes round in circles


@cache
def _world() -> tuple[list[list[int]], list[list[float]]]:
    """Next state and reward of each pair; nothing is random here."""
    mdp = tabular_task("CliffWalking-v1", discount=1.0).mdp
    return mdp.transition.argmax(-1).tolist(), mdp.reward.tolist()


def path_of(table: list[list[float]]) -> list[int]:
    """The states of the greedy walk from the start, at most CAP steps of it."""
    next_states, _ = _world()
    path = [START]
    while path[-1] != END and len(path) <= CAP:
        row = table[path[-1]]
        path.append(next_states[path[-1]][row.index(max(row))])
    return path


@cache
def best(epsilon: float) -> tuple[list[int], float, float]:
    """Exactly: the best way for this epsilon, what it earns, and what the edge earns.

    The way is that of the best epsilon-soft policy. "The edge" is the epsilon-greedy policy of Q*.

    Raises:
        ValueError: epsilon not in (0, 1).
    """
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon must be in (0, 1), got {epsilon}")
    mdp = tabular_task("CliffWalking-v1", discount=1.0).mdp
    values = policy_iteration(epsilon_soft_model(mdp, epsilon)).values
    # Rounded, since values that are equal differ in their last digits: the first of them counts.
    way = path_of(action_values(mdp, values).round(decimals=9).tolist())
    edge = policy_evaluation(mdp, epsilon_greedy_policy(_optimal(), epsilon)).values
    return way, float(values[START]), float(edge[START])


@cache
def _optimal() -> torch.Tensor:
    mdp = tabular_task("CliffWalking-v1", discount=1.0).mdp
    return action_values(mdp, value_iteration(mdp).values).round(decimals=9)


def sarsa(run: int, epsilon: float, alpha: float) -> tuple[list[list[float]], float]:
    """One run of SARSA: its table, and the mean return of its last 100 of 500 episodes."""
    next_states, rewards = _world()
    rng, table, total = random.Random(run), [[0.0] * 4 for _ in range(END + 1)], 0.0

    def choose(row: list[float]) -> int:
        explores, most = rng.random() < epsilon, max(row)
        return rng.choice([a for a in range(4) if explores or row[a] == most])

    for episode in range(EPISODES):
        s, a = START, choose(table[START])
        while s != END:
            entered, reward = next_states[s][a], rewards[s][a]
            next_a = choose(table[entered])
            ahead = 0.0 if entered == END else table[entered][next_a]
            table[s][a] += alpha * (reward + ahead - table[s][a])
            total += reward if episode >= EPISODES - LAST else 0.0
            s, a = entered, next_a
    return table, total / LAST


@cache
def learned(epsilon: float, alpha: float) -> tuple[list[list[int]], float]:
    """Ten runs of SARSA: their greedy ways, and what they earn on average at the end."""
    runs = [sarsa(run, epsilon, alpha) for run in range(RUNS)]
    return [path_of(table) for table, _ in runs], sum(earned for _, earned in runs) / RUNS


def draw(epsilon: float = 0.1, alpha: float = 0.5) -> Figure:
    """Left: the best way for this epsilon, exact, and ten of SARSA's. Right: what ways earn.

    Raises:
        ValueError: epsilon not in (0, 1), alpha not in (0, 1].
    """
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha must be in (0, 1], got {alpha}")
    way, _, _ = best(epsilon)
    ways, earned = learned(epsilon, alpha)
    fig, (grid, curves) = plt.subplots(
        1, 2, figsize=(9, 2.5), layout="constrained", width_ratios=(1.75, 1)
    )
    _draw_ways(grid, way, ways)
    lengths = Counter(len(path) - 1 if path[-1] == END else 0 for path in ways)
    parts = [f"{n} x {steps}" for steps, n in sorted(lengths.items()) if steps]
    parts += [f"{lengths[0]} never arrive"] * (lengths[0] > 0)
    title = rf"$\varepsilon = {epsilon:g}$: best way {len(way) - 1} steps; "
    title += rf"SARSA, $\alpha = {alpha:g}$: " + ", ".join(parts)
    grid.set_title(title, size=9, loc="left")
    exact = [best(one)[1:] for one in EPSILONS]
    for k, (name, color) in enumerate((("best way", "green"), ("along the edge", "vermillion"))):
        curves.plot(EPSILONS, [one[k] for one in exact], color=COLORS[color], label=name)
    curves.plot([epsilon], [max(earned, -89.0)], "o", color=COLORS["blue"], label="SARSA")
    curves.axvline(epsilon, color="0.5", lw=0.8)
    curves.set(xscale="log", ylim=(-90, -10), xlabel=r"$\varepsilon$", ylabel="earned, trembling")
    curves.legend(fontsize=8, loc="lower left")
    return fig


def _draw_ways(ax: Axes, way: list[int], ways: list[list[int]]) -> None:
    ground = torch.tensor([0.0] * 37 + [-1.0] * 10 + [0.0])
    plot_grid_values(ax, ground, (4, WIDTH), text=False, limits=(-1.5, 0.0)).set_cmap("Greys_r")
    for k, path in enumerate([*ways, way]):
        shift = 0.7 * (k / (RUNS - 1) - 0.5) if k < RUNS else 0.0
        cells = [divmod(min(s, GOAL), WIDTH) for s in path]
        (line,) = ax.plot([c + shift for _, c in cells], [r - shift for r, _ in cells])
        name = "green" if k == RUNS else "blue" if path[-1] == END else "vermillion"
        line.set(
            color=COLORS[name], linewidth=0.7 if k < RUNS else 2.5, zorder=5 if k == RUNS else 2
        )
    for column, mark in ((0, "S"), (11, "G")):
        ax.text(column, 3, mark, ha="center", va="center", weight="bold")
