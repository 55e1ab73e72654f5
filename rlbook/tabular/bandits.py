"""The ten-armed testbed: learning the value of actions where there is only one state.

R runs at once; run k's task and its noise depend on (seed, k) only.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from rlbook.ground import require
from rlbook.ground.progress import Interruptible
from rlbook.ground.progress import progress as progress_bar
from rlbook.ground.require import check_memory
from rlbook.ground.seeding import run_generators
from rlbook.tabular.control_loop import epsilon_greedy_actions
from rlbook.tabular.schedules import Schedule, as_schedule


class BanditResult(NamedTuple):
    rewards: torch.Tensor
    """(R, num_steps); NaN after an interruption."""
    optimal: torch.Tensor
    """(R, num_steps) bool: the arm with the largest true value was pulled."""
    estimates: torch.Tensor
    """(R, A), at the end."""
    counts: torch.Tensor
    """(R, A), how often each arm was pulled."""
    true_values: torch.Tensor
    """(R, A), q*(a) of each run's own bandit."""
    interrupted: bool
    """Ended by Ctrl-C."""


def incremental_mean(mean: torch.Tensor, sample: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """The mean of N samples from the mean of N - 1: mean + (sample - mean) / N. Eq. (7.1).

    Args:
        mean, sample: the same shape (...).
        count: N, (...), at least 1.

    Source: Sutton & Barto (2018), Eq. 2.3.
    """
    if not (count >= 1).all():
        raise ValueError(f"count must be at least 1, got {count.min()}")
    return mean + (sample - mean) / count


def epsilon_greedy_bandit(
    *,
    num_steps: int,
    epsilon: float | torch.Tensor | Schedule = 0.1,
    step_size: float | torch.Tensor | Schedule | None = None,
    initial_value: float = 0.0,
    num_arms: int = 10,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> BanditResult:
    """Pull the arm that looks best, and with probability epsilon any arm.

    Args:
        epsilon: a number, (R,), or a schedule of the steps so far.
        step_size: None for the mean, 1 / N(a); else a number, (R,), or a schedule of N(a).
        initial_value: of every estimate; 5 with a constant step is optimism.
        num_arms: A, each with a true value from N(0, 1), and rewards from N(q*(a), 1).

    Source: Sutton & Barto (2018), sections 2.3 to 2.6.
    """
    arms = Arms(num_runs, run_ids, num_arms, num_steps, seed, initial_value)
    epsilon = as_schedule("epsilon", epsilon, arms.num_runs)
    alpha = None if step_size is None else as_schedule("step_size", step_size, arms.num_runs)
    with arms:
        for step in progress_bar(range(num_steps), description="steps", show=progress):
            count = torch.full((arms.num_runs,), float(step))
            share = epsilon(count) if callable(epsilon) else epsilon
            pulled = epsilon_greedy_actions(arms.estimates.T, share, *arms.uniform[:, :, step])
            arms.pull(step, pulled, alpha)
    return arms.result()


def ucb_bandit(
    *,
    num_steps: int,
    exploration: float = 2.0,
    num_arms: int = 10,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> BanditResult:
    """Pull argmax_a [Q(a) + c sqrt(ln t / N(a))], untried arms first. Eq. (7.4).

    Args:
        exploration: c.

    Source: Sutton & Barto (2018), Eq. 2.10.
    """
    require.at_least("exploration", exploration, 0)
    arms = Arms(num_runs, run_ids, num_arms, num_steps, seed, 0.0)
    with arms:
        for step in progress_bar(range(num_steps), description="steps", show=progress):
            bounds = upper_confidence_bounds(arms.estimates, arms.counts, step + 1, exploration)
            pulled = epsilon_greedy_actions(bounds.T, 0.0, *arms.uniform[:, :, step])
            arms.pull(step, pulled, None)
    return arms.result()


def upper_confidence_bounds(
    estimates: torch.Tensor, counts: torch.Tensor, step: int, exploration: float
) -> torch.Tensor:
    """Q(a) + c sqrt(ln t / N(a)), and infinity where N(a) = 0. Eq. (7.4).

    Args:
        estimates, counts: (..., A).
        step: t = 1, 2, ...
    """
    width = (math.log(step) / counts).sqrt()
    return torch.where(counts > 0, estimates + exploration * width, torch.inf)


class Arms(Interruptible):
    """R bandits, their noise, what was pulled, and the estimates."""

    def __init__(
        self,
        num_runs: int | None,
        run_ids: Sequence[int] | None,
        num_arms: int,
        num_steps: int,
        seed: int,
        initial: float,
    ):
        require.positive_integer("num_arms", num_arms)
        require.positive_integer("num_steps", num_steps)
        generators = run_generators(seed, num_runs, run_ids)
        R = self.num_runs = len(generators)
        check_memory("noise (R, num_steps, 3)", R, num_steps, 3)
        float64 = torch.float64
        draws = [torch.randn(num_arms + num_steps, generator=g, dtype=float64) for g in generators]
        self.true_values, self.noise = torch.stack(draws).split([num_arms, num_steps], dim=1)
        self.uniform = torch.stack([torch.rand(2, num_steps, generator=g) for g in generators], 1)
        self.rows = torch.arange(R)
        self.estimates = torch.full((R, num_arms), float(initial), dtype=float64)
        self.counts = torch.zeros(R, num_arms, dtype=float64)
        self.rewards = torch.full((R, num_steps), torch.nan, dtype=float64)
        self.pulled = torch.full((R, num_steps), -1)

    def pull(
        self, step: int, arms: torch.Tensor, alpha: float | torch.Tensor | Schedule | None
    ) -> None:
        """Pull one arm in every run, and move its estimate."""
        rewards = self.true_values[self.rows, arms] + self.noise[:, step]
        self.counts[self.rows, arms] += 1
        old, count = self.estimates[self.rows, arms], self.counts[self.rows, arms]
        if alpha is None:
            new = incremental_mean(old, rewards, count)
        else:
            new = old + (alpha(count) if callable(alpha) else alpha) * (rewards - old)
        self.estimates[self.rows, arms] = new
        self.rewards[:, step], self.pulled[:, step] = rewards, arms

    def result(self) -> BanditResult:
        best = self.true_values.argmax(1, keepdim=True)
        optimal = self.pulled == best
        return BanditResult(
            rewards=self.rewards,
            optimal=optimal,
            estimates=self.estimates,
            counts=self.counts,
            true_values=self.true_values,
            interrupted=self.interrupted,
        )
