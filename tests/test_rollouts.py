"""Rollouts keep what happened, and the true next observations, through the ends of episodes."""

import pytest
import torch

from rlbook.deep.parts.envs.interface import EnvStep
from rlbook.deep.parts.rollouts import collect


class Counters:
    """R x E environments that count to a limit of their own, then begin again at 100."""

    observation_size, num_actions = 1, 2
    action_low = action_high = None

    def __init__(self, limits, *, truncate=False):
        self.limits = torch.tensor(limits, dtype=torch.float32)  # (R, E)
        self.num_runs, self.num_envs = self.limits.shape
        self.truncate = truncate

    def reset(self):
        self.count = torch.zeros_like(self.limits)
        return self.count.unsqueeze(-1)

    def step(self, actions):
        count = self.count + 1
        ended = count >= self.limits
        no = torch.zeros_like(ended)
        self.count = torch.where(ended, 100.0, count)
        flags = (no, ended) if self.truncate else (ended, no)
        following, seen = count.unsqueeze(-1), self.count.unsqueeze(-1)
        return EnvStep(count, *flags, following, seen, torch.ones_like(ended))


def no_action(observations, t):
    return torch.full(observations.shape[:2], t)


@pytest.mark.parametrize("truncate", [False, True])
def test_next_observations_are_the_true_ones_and_the_flags_stay_apart(truncate):
    envs = Counters([[2.0], [3.0]], truncate=truncate)
    rollout = collect(envs, envs.reset(), no_action, 4)
    assert rollout.observations[..., 0].tolist() == [[[0, 1, 100, 100]], [[0, 1, 2, 100]]]
    assert rollout.next_observations[..., 0].tolist() == [[[1, 2, 101, 101]], [[1, 2, 3, 101]]]
    ends = [[[False, True, True, True]], [[False, False, True, True]]]
    none = torch.zeros(2, 1, 4, dtype=torch.bool).tolist()
    flags = [rollout.terminated.tolist(), rollout.truncated.tolist()]
    assert flags == ([none, ends] if truncate else [ends, none])
    assert rollout.actions.tolist() == [[[0, 1, 2, 3]]] * 2
    assert rollout.valid.all()
    assert rollout.last_observations[..., 0].tolist() == [[100.0], [100.0]]
    assert rollout.rewards.shape == (2, 1, 4)


def test_whole_episodes_are_the_first_ones():
    envs = Counters([[2.0, 5.0], [3.0, 1.0]])
    rollout = collect(envs, envs.reset(), no_action, 8, whole_episodes=True)
    assert rollout.valid.sum(-1).tolist() == [[2, 5], [3, 1]]
    assert (rollout.rewards * rollout.valid).amax(-1).tolist() == [[2.0, 5.0], [3.0, 1.0]]


def test_it_stops_when_all_episodes_have_ended():
    envs = Counters([[2.0], [3.0]])
    rollout = collect(envs, envs.reset(), no_action, 500, whole_episodes=True)
    assert rollout.rewards.shape[-1] == 16  # it looks every 16 steps


def test_bad_input():
    envs = Counters([[2.0]])
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        collect(envs, envs.reset(), no_action, 0)
    with pytest.raises(ValueError, match=r"observations must have shape \(1, 1, 1\), got \(1, 1\)"):
        collect(envs, envs.reset()[..., 0], no_action, 2)
