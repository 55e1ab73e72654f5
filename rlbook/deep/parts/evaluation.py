"""Greedy evaluation, on environments of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

STEP_CAP = 10_000
"""Where no time limit is known: some tasks, CliffWalking-v1 for one, have none."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The returns of some episodes of each run."""

    returns: torch.Tensor
    """(R, episodes), plain sums of rewards; of a cut episode, the sum so far."""
    cut: torch.Tensor
    """(R, episodes) bool: still running at the step cap."""


@torch.no_grad()
def evaluate(
    act: Callable[[torch.Tensor], torch.Tensor], envs, *, step_cap: int | None = None
) -> Evaluation:
    """Run the first episode of each environment after a reset.

    The first ones: counting all episodes that end within some time would favour short ones.

    Args:
        act: observations (R, E, obs) -> actions; `policy.greedy`, say.
        envs: R x E environments, E being the number of episodes; not those of the learner.
        step_cap: an episode that lasts so long is cut, and reported. By default the
            environment's own time limit; without one, 10,000.
    """
    step_cap = step_cap or envs.max_episode_steps or STEP_CAP
    observations = envs.reset()
    returns = observations.new_zeros(observations.shape[:2])
    running = torch.ones_like(returns, dtype=torch.bool)
    for t in range(step_cap):
        step = envs.step(act(observations))
        returns += torch.where(running, step.rewards, 0.0)
        running &= ~(step.terminated | step.truncated)
        observations = step.observations
        if t % 16 == 15 and not running.any():  # one look from the host in 16 steps
            break
    return Evaluation(returns, cut=running)
