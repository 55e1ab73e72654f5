"""The best epsilon-soft policy, against policy iteration among epsilon-soft policies."""

import math

import pytest
import torch

from rlbook.formulas.exploration import epsilon_greedy_policy
from rlbook.planning.bellman import action_values
from rlbook.planning.dynamic_programming import policy_evaluation, policy_iteration
from rlbook.planning.epsilon_soft import epsilon_soft_model, epsilon_soft_policy
from rlbook.planning.mdp import MDP
from rlbook.tabular.examples import maximisation_bias
from rlbook.tabular.tasks import tabular_task


def some_mdp(seed: int, with_successor_rewards: bool) -> MDP:
    """Random, with an end, and with actions that do not exist."""
    generator = torch.Generator().manual_seed(seed)
    transition = torch.rand(6, 3, 6, generator=generator, dtype=torch.float64)
    transition /= transition.sum(-1, keepdim=True)
    shape = (6, 3, 6) if with_successor_rewards else (6, 3)
    reward = torch.randn(*shape, generator=generator, dtype=torch.float64)
    transition[5], reward[5] = 0, 0
    allowed = torch.ones(6, 3, dtype=torch.bool)
    allowed[1, 2] = allowed[2, 0] = False
    terminal = torch.arange(6) == 5
    return MDP.from_arrays(transition, reward, discount=0.9, terminal=terminal, allowed=allowed)


@pytest.mark.parametrize("epsilon", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("detail", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_optimal_in_the_model_is_best_among_the_soft_policies(seed, detail, epsilon):
    mdp = some_mdp(seed, detail)
    planned = policy_iteration(epsilon_soft_model(mdp, epsilon))
    policy = epsilon_soft_policy(mdp, planned.policy, epsilon)
    torch.testing.assert_close(policy_evaluation(mdp, policy).values, planned.values)
    improved = epsilon_greedy_policy(action_values(mdp, planned.values), epsilon)
    better = policy_evaluation(mdp, improved).values
    torch.testing.assert_close(better, planned.values)  # no soft policy improves on it


def test_the_cliff_of_the_book():
    mdp = tabular_task("CliffWalking-v1", discount=1.0).mdp
    start = int(mdp.start.argmax())
    values = policy_iteration(epsilon_soft_model(mdp, 0.1)).values
    assert round(float(values[start]), 1) == -20.7
    assert math.isclose(float(policy_iteration(epsilon_soft_model(mdp, 0.0)).values[start]), -13)


def test_sampled_rewards_are_kept():
    mdp = maximisation_bias().mdp
    soft = epsilon_soft_model(mdp, 0.5)
    torch.testing.assert_close(soft.reward[1], mdp.reward[1])
    torch.testing.assert_close(
        soft.transition[0, 0], torch.tensor([0.0, 0.25, 0.75], dtype=torch.float64)
    )


@pytest.mark.parametrize("epsilon", [-0.1, 1.1, math.nan])
def test_epsilon_out_of_range(epsilon):
    with pytest.raises(ValueError, match="epsilon must be in"):
        epsilon_soft_model(some_mdp(0, True), epsilon)
