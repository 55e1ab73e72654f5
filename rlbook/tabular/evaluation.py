"""Exact evaluation of R policies at once, with a cap on the length of an episode."""

from typing import NamedTuple

import torch

from rlbook.formulas.exploration import greedy_policy
from rlbook.planning.mdp import MDP
from rlbook.tabular.tasks import TabularTask, as_task

DEFAULT_CAP = 1_000


class ExactEvaluation(NamedTuple):
    returns: torch.Tensor
    """(R,), the expected plain sum of rewards of an episode, cut at the cap."""
    unfinished: torch.Tensor
    """(R,), the probability that the cap cuts the episode."""


def evaluate_policies(
    task: MDP | TabularTask, policies: torch.Tensor, *, max_steps: int | None = None
) -> ExactEvaluation:
    """The expected return of an episode, without discount, from the start distribution.

    G_{h+1}(s) = sum_a pi(a|s) [r(s, a) + sum_s' P(s'|s, a) G_h(s')], `max_steps` times from
    G_0 = 0: exact, and no episode is sampled. A policy that never ends is cut like any other.

    Args:
        policies: (R, S, A) probabilities.
        max_steps: the cap; by default the task's time limit, or 1,000.
    """
    task = as_task(task)
    mdp = task.mdp
    if policies.ndim != 3 or policies.shape[1:] != mdp.reward.shape:
        wanted = ("R", *mdp.reward.shape)
        raise ValueError(f"policies must be {wanted}, got {tuple(policies.shape)}")
    cap = max_steps or task.max_episode_steps or DEFAULT_CAP
    weights = policies.to(mdp.reward).permute(2, 0, 1)  # (A, R, S)
    mean_reward = (weights * mdp.reward.T.unsqueeze(1)).sum(0)  # (R, S)
    returns = torch.zeros_like(mean_reward)
    unfinished = (~mdp.terminal).to(mean_reward).expand_as(mean_reward)
    for _ in range(cap):
        both = torch.stack([returns, unfinished])  # (2, R, S)
        expected = torch.zeros_like(both)
        for weight, ahead in zip(weights, mdp.kernel.expectations(both), strict=True):
            expected += weight * ahead
        returns, unfinished = mean_reward + expected[0], expected[1]
        if unfinished.max() < 1e-15:
            break
    return ExactEvaluation(returns @ mdp.start, unfinished @ mdp.start)


def greedy_returns(
    task: MDP | TabularTask, q: torch.Tensor, *, max_steps: int | None = None
) -> torch.Tensor:
    """The expected return (R,) of the greedy policies of Q (R, S, A): see evaluate_policies."""
    return evaluate_policies(task, greedy_policy(q), max_steps=max_steps).returns
