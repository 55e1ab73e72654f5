"""Batch methods: the same episodes presented again and again, until the values stop changing.

The exact answers are given for the first 1, first 2, ..., first N episodes of a record: (R, N, S).
States that these episodes do not visit keep their initial value.
"""

from typing import NamedTuple

import torch

from rlbook.formulas.returns import discounted_returns
from rlbook.ground.require import check_memory
from rlbook.tabular.episodes import Episodes
from rlbook.tabular.tasks import Task, as_task


class Counts(NamedTuple):
    """What the first 1 .. N episodes of each run say about the chain."""

    moves: torch.Tensor
    """(R, N, S, S): how often s was followed by s' without a termination."""
    visits: torch.Tensor
    """(R, N, S): how often s was left."""
    rewards: torch.Tensor
    """(R, N, S): the sum of the rewards on leaving s."""


def count_transitions(task: Task, episodes: Episodes) -> Counts:
    """Count the transitions of all prefixes of a record."""
    mdp = as_task(task).tables
    (R, N, _), S = episodes.states.shape, mdp.num_states
    check_memory("counts (R, N, S, S)", R, N, S, S)
    zeros = mdp.reward.new_zeros
    real = episodes.mask.to(mdp.reward)
    goes_on = real * ~episodes.terminated
    pairs = episodes.states * S + episodes.next_states
    moves = zeros(R, N, S * S).scatter_add_(2, pairs, goes_on)
    visits = zeros(R, N, S).scatter_add_(2, episodes.states, real)
    rewards = zeros(R, N, S).scatter_add_(2, episodes.states, episodes.rewards)
    moves, visits, rewards = (x.cumsum(1) for x in (moves, visits, rewards))
    return Counts(moves.view(R, N, S, S), visits, rewards)


def batch_td(
    task: Task,
    episodes: Episodes,
    *,
    step_size: float = 1.0,
    initial_values: float | torch.Tensor = 0.0,
    tolerance: float = 1e-8,
    max_sweeps: int = 100_000,
) -> torch.Tensor:
    """V(s) <- V(s) + alpha sum_t [r_t + discount V(s_{t+1}) - V(s_t)], over all visits. Eq. (8.25).

    One sweep presents every step of the batch once and then changes V. The sum of the errors at
    s is read off the counts.

    Args:
        step_size: alpha, as a share of one over the most visits of any state, so that it is
            small enough to converge for every share up to 1.
        tolerance: stop when no value changes by more.

    Returns:
        (R, S), for the whole record: certainty_equivalence(...)[:, -1] is the same, exactly.

    Raises:
        RuntimeError: no convergence within max_sweeps.

    Source: Sutton & Barto (2018), section 6.3.
    """
    if not 0 < step_size <= 1:
        raise ValueError(f"step_size must be in (0, 1], got {step_size}")
    discount = as_task(task).tables.discount
    counts = Counts(*(x[:, -1] for x in count_transitions(task, episodes)))
    values = _start(task, counts, initial_values)
    alpha = step_size / counts.visits.amax(-1, keepdim=True)
    for _ in range(max_sweeps):
        ahead = (counts.moves @ values.unsqueeze(-1)).squeeze(-1)
        change = alpha * (counts.rewards + discount * ahead - counts.visits * values)
        values = values + change
        if change.abs().max() < tolerance:
            return values
    raise RuntimeError(f"batch TD has not converged to {tolerance} in {max_sweeps} sweeps")


def certainty_equivalence(
    task: Task, episodes: Episodes, *, initial_values: float | torch.Tensor = 0.0
) -> torch.Tensor:
    """The exact values of the most likely model given the episodes, (R, N, S). Eq. (8.23).

    P(s'|s) and r(s) are the observed frequencies and means, and V = r + discount P V is solved.

    Source: Sutton & Barto (2018), section 6.3.
    """
    discount, counts = as_task(task).tables.discount, count_transitions(task, episodes)
    unseen = counts.visits == 0
    system = torch.diag_embed(torch.where(unseen, 1.0, counts.visits)) - discount * counts.moves
    right = torch.where(unseen, _start(task, counts, initial_values), counts.rewards)
    return torch.linalg.solve(system, right)


def batch_monte_carlo(
    task: Task, episodes: Episodes, *, initial_values: float | torch.Tensor = 0.0
) -> torch.Tensor:
    """The mean of the returns after all visits of a state, (R, N, S). Eq. (8.24).

    It is the value with the smallest squared error on the batch, where batch Monte Carlo stops.

    Raises:
        ValueError: an episode that was cut, so that its return is not known.

    Source: Sutton & Barto (2018), section 6.3.
    """
    mdp, counts = as_task(task).tables, count_transitions(task, episodes)
    flags = (episodes.terminated, episodes.truncated)
    returns = discounted_returns(episodes.rewards, *flags, discount=mdp.discount)
    sums = torch.zeros_like(counts.visits)
    returns = torch.where(episodes.mask, returns, 0.0)
    sums = sums.scatter_add_(2, episodes.states, returns).cumsum(1)
    mean = sums / counts.visits.clamp(min=1)
    return torch.where(counts.visits > 0, mean, _start(task, counts, initial_values))


def _start(task: Task, counts: Counts, initial_values: float | torch.Tensor) -> torch.Tensor:
    start = torch.as_tensor(initial_values, dtype=counts.visits.dtype).to(counts.visits.device)
    terminal = as_task(task).tables.terminal
    return torch.where(terminal, 0.0, start.expand_as(counts.visits)).clone()
