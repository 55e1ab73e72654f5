"""REINFORCE: its loss against enumeration, and what every learner must do."""

import agent_checks as checks
import pytest
import torch

from rlbook.agents import reinforce
from rlbook.rollouts import Rollout

SMALL = reinforce.Config(
    total_episodes=40, num_envs=4, hidden_sizes=(8,), num_evals=3, evaluation_episodes=3,
    max_steps=60, learning_rate=1e-2,
)  # fmt: skip


def test_a_run_alone_is_the_run_among_others(monkeypatch):
    checks.check_a_run_alone_is_the_run_among_others(reinforce, SMALL, monkeypatch)


def test_the_same_seed_gives_the_same_bits():
    checks.check_the_same_seed_gives_the_same_bits(reinforce, SMALL)


def test_a_nan_freezes_its_run_only():
    poison = checks.poisoned(num_envs=4, after=100)
    checks.check_a_nan_freezes_its_run_only(reinforce, SMALL, "CartPole-v1", poison)


def test_an_interruption_keeps_what_was_learned(monkeypatch):
    checks.check_an_interruption_keeps_what_was_learned(reinforce, SMALL, monkeypatch)


def test_a_saved_result_goes_on(tmp_path):
    checks.check_a_saved_result_goes_on(reinforce, SMALL, tmp_path)


def test_bad_input():
    wrong = {"total_episodes": 0, "baseline": "best", "discount": 1.5, "num_envs": 0}
    checks.check_bad_input(reinforce, SMALL, wrong | {"max_gradient_norm": 0.0})


def rollout_of(rewards, terminated, truncated, valid) -> Rollout:
    flags = [torch.tensor([[x]], dtype=torch.bool) for x in (terminated, truncated, valid)]
    rewards = torch.tensor([[rewards]])
    nothing = rewards.new_zeros(*rewards.shape, 1)
    actions = torch.zeros_like(rewards, dtype=torch.long)
    return Rollout(nothing, actions, rewards, nothing, *flags, last_observations=nothing[:, :, 0])


@pytest.mark.parametrize("cut", ["terminated", "truncated"])
def test_rewards_to_go_stop_at_the_end_of_the_first_episode(cut):
    flags = {"terminated": [False] * 4, "truncated": [False] * 4}
    flags[cut] = [False, True, False, False]
    rollout = rollout_of([1.0, 2.0, 8.0, 8.0], **flags, valid=[True, True, False, False])
    returns = reinforce.rewards_to_go(rollout, 0.5)
    assert returns[0, 0, :2].tolist() == [2.0, 2.0]


def test_an_end_that_is_not_marked_is_the_end_of_the_record():
    rollout = rollout_of([1.0, 2.0], [False] * 2, [False] * 2, [True] * 2)
    assert reinforce.rewards_to_go(rollout, 0.5).tolist() == [[[2.0, 2.0]]]


def test_it_learns_to_balance_longer():
    config = reinforce.Config(
        total_episodes=480, learning_rate=1e-2, hidden_sizes=(16,), value_steps=5, num_evals=2
    )
    result = checks.train(reinforce, config, num_runs=4, seed=0)
    returns = result.log["episode_return"]  # (R, updates), while exploring
    assert (returns[:, -5:].mean(1) > 1.5 * returns[:, :5].mean(1)).all(), returns
