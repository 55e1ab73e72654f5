"""Evaluation of R policies at once, with a cap on the length of an episode.

Exact where there is a model, by sampled episodes where there is none.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from rlbook.formulas.exploration import greedy_policy
from rlbook.tabular.env_tasks import EVALUATION
from rlbook.tabular.episodes import Recorder
from rlbook.tabular.tasks import Task, as_task, with_model

DEFAULT_CAP = 1_000


class ExactEvaluation(NamedTuple):
    returns: torch.Tensor
    """(R,), the expected plain sum of rewards of an episode, cut at the cap."""
    unfinished: torch.Tensor
    """(R,), the probability that the cap cuts the episode."""


def evaluate_policies(
    task: Task, policies: torch.Tensor, *, max_steps: int | None = None
) -> ExactEvaluation:
    """The expected return of an episode, without discount, from the start distribution.

    G_{h+1}(s) = sum_a pi(a|s) [r(s, a) + sum_s' P(s'|s, a) G_h(s')], `max_steps` times from
    G_0 = 0: exact, and no episode is sampled. A policy that never ends is cut like any other.

    Args:
        policies: (R, S, A) probabilities.
        max_steps: the cap; by default the task's time limit, or 1,000.
    """
    task = with_model(task, "exact evaluation (sampled_returns does without)")
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
        ahead_of = mdp.kernel.expectations(both).unbind(-1)  # for each action, (2, R, S)
        for weight, ahead in zip(weights, ahead_of, strict=True):
            expected += weight * ahead
        returns, unfinished = mean_reward + expected[0], expected[1]
        if unfinished.max() < 1e-15:
            break
    return ExactEvaluation(returns @ mdp.start, unfinished @ mdp.start)


def greedy_returns(task: Task, q: torch.Tensor, *, max_steps: int | None = None) -> torch.Tensor:
    """The expected return (R,) of the greedy policies of Q (R, S, A): see evaluate_policies."""
    return evaluate_policies(task, greedy_policy(q), max_steps=max_steps).returns


def sampled_returns(
    task: Task,
    q: torch.Tensor,
    *,
    num_episodes: int,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    max_steps: int | None = None,
) -> torch.Tensor:
    """The mean return (R,) of num_episodes episodes of the greedy policy of each run's Q.

    The episodes are played in environments of their own, whose randomness depends on (seed, run)
    only: two tables of one run meet the same.

    Args:
        q: (R, S, A); actions that are equally good are taken equally often.
        max_steps: the cap on an episode; by default the task's time limit, or 1,000. Where an
            episode is cut, what was earned until then counts.
    """
    cap = max_steps or as_task(task).max_episode_steps or DEFAULT_CAP
    family = (EVALUATION,)
    with Recorder(task, num_runs=num_runs, run_ids=run_ids, seed=seed, family=family) as recorder:
        episodes = recorder.record(greedy_policy(q), num_episodes, max_steps=cap)
    return episodes.rewards.sum(-1).mean(-1)
