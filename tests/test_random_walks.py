"""The small worked models have their published values."""

import math

import pytest
import torch

from rlbook.formulas.returns import discounted_returns
from rlbook.planning.bellman import policy_values
from rlbook.planning.dynamic_programming import policy_evaluation, q_value_iteration
from rlbook.tabular.episodes import record_episodes
from rlbook.tabular.examples import long_walk, maximisation_bias, predictor, random_walk


def values(mdp):
    return policy_evaluation(mdp, torch.zeros(mdp.num_states, dtype=torch.int64)).values


def test_example_6_2():
    expected = torch.tensor([0, 1, 2, 3, 4, 5, 0], dtype=torch.float64) / 6
    torch.testing.assert_close(values(random_walk()), expected)


def test_example_7_1():
    mdp = random_walk(19, left_reward=-1.0)
    expected = torch.arange(-9, 10, dtype=torch.float64) / 10
    torch.testing.assert_close(values(mdp)[1:-1], expected)
    assert mdp.start.argmax() == 10 and mdp.num_states == 21


def test_each_end_pays_its_own_reward():
    record = record_episodes(
        random_walk(left_reward=-1.0), torch.zeros(7).long(), num_episodes=50, num_runs=1
    )
    ends = record.mask & record.terminated
    last, reward = record.next_states[ends], record.rewards[ends]
    assert set(zip(last.tolist(), reward.tolist(), strict=True)) == {(0, -1.0), (6, 1.0)}
    assert (record.rewards[record.mask & ~record.terminated] == 0).all()


def test_long_walk_in_single_steps_is_the_random_walk():
    walk = random_walk(19, left_reward=-1.0)
    torch.testing.assert_close(values(long_walk(19, reach=1)), values(walk))
    torch.testing.assert_close(long_walk(19, reach=1).start, walk.start)


def test_long_walk_by_hand():
    """Two places and jumps of 1 or 2, each with chance 1/4: V = (-1/5, 1/5)."""
    walk = long_walk(2, reach=2)
    torch.testing.assert_close(
        values(walk), torch.tensor([0, -0.2, 0.2, 0], dtype=torch.float64), atol=1e-9, rtol=0
    )
    assert walk.start.argmax() == 1


def test_example_9_1():
    walk = long_walk()
    assert walk.num_states == 1002 and walk.start.argmax() == 500
    exact = policy_values(walk)
    assert exact[[0, 1001]].tolist() == [0, 0] and 0.92 < exact[1000] < 0.93
    torch.testing.assert_close(exact, -exact.flip(0))


@pytest.mark.parametrize("sizes", [{"num_states": 0}, {"reach": 0}])
def test_long_walk_refuses_nothing(sizes):
    with pytest.raises(ValueError, match="must be at least 1"):
        long_walk(**sizes)


def test_expected_length_of_the_walk():
    """(k + 1)^2 steps from the middle of 2k + 1 states: reward 1 a step through the model."""
    mdp = random_walk(5)
    live = ~mdp.terminal
    step = mdp.transition[live][:, 0][:, live]
    lengths = torch.linalg.solve(torch.eye(5).double() - step, torch.ones(5).double())
    assert math.isclose(float(lengths[2]), 9)


def test_example_6_7():
    task = maximisation_bias()
    solved = q_value_iteration(task.mdp).action_values
    assert solved[0, :2].tolist() == [0.0, -0.1] and (solved[0, 2:] == -torch.inf).all()
    assert task.reward_std[1].tolist() == [1.0] * 10 and task.reward_std[0].sum() == 0
    assert task.mdp.num_states == 3 and maximisation_bias(4).mdp.num_actions == 4


def test_example_6_4():
    mdp, record = predictor()
    assert record.lengths().tolist() == [[2, 1, 1, 1, 1, 1, 1, 1]]
    returns = discounted_returns(
        record.rewards, record.terminated, record.truncated, discount=mdp.discount
    )
    assert returns[0, :, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 0]
    torch.testing.assert_close(values(mdp), torch.tensor([0.75, 0.75, 0]).double())
    assert record.states[record.mask].tolist() == [0, 1] + [1] * 7
    assert record.next_states[record.mask].tolist() == [1, 2] + [2] * 7


@pytest.mark.parametrize("bad", [0, -1, 4])
def test_a_walk_needs_a_middle(bad):
    with pytest.raises(ValueError, match="odd"):
        random_walk(bad)


def test_a_choice_needs_two_actions():
    with pytest.raises(ValueError, match="num_actions"):
        maximisation_bias(1)
