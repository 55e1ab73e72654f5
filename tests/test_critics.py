"""The critic and its advantages, at every kind of end; the pair of networks."""

from types import SimpleNamespace

import pytest
import torch

from rlbook.deep.parts.critics import ScaledCritic, make_networks, returns_and_advantages
from rlbook.deep.parts.networks import MLP
from rlbook.deep.parts.rollouts import Rollout
from rlbook.ground.seeding import generator, run_generators

F64 = {"dtype": torch.float64}


# --- the critic


def perfect_critic(values: torch.Tensor) -> ScaledCritic:
    """V(s) = values[s] for observations that are one-hot codes; one run."""
    network = MLP((len(values), 1), [generator(0)]).double()
    with torch.no_grad():
        network.layers[0].weight.copy_(values[None, :, None])
        network.layers[0].bias.zero_()
    return ScaledCritic(network, 1)


def test_the_critic_scales_itself():
    """Returns 10 and 30: mean 20, standard deviation 10; each run has its own, NaN stays out."""
    critic = ScaledCritic(lambda observations: torch.full_like(observations[..., :1], 0.5), 2)
    states = torch.zeros(2, 4, 3)
    returns = torch.tensor([[10.0, 30.0, 1e6, torch.nan], [1000.0, 3000.0, 1e6, torch.nan]])
    assert (critic(states) == 0.5).all()
    critic.rescale(returns, torch.tensor([[True, True, False, True]]).expand(2, 4))
    torch.testing.assert_close(critic(states)[:, 0], torch.tensor([25.0, 2500.0]))
    torch.testing.assert_close(critic(states.unsqueeze(2))[:, 0, 0], torch.tensor([25.0, 2500.0]))
    errors = critic.squared_error(states, returns)
    torch.testing.assert_close(errors[:, :2], torch.tensor([[2.25, 0.25]]).expand(2, 2))


# --- returns and advantages


def record(terminated, truncated, values, rewards=(1.0, 1.0, 1.0)) -> tuple:
    """Three steps of one environment: a critic with these values of s_0 .. s_3, and a rollout."""
    codes = torch.eye(4, **F64)
    flags = [torch.tensor([[x]], dtype=torch.bool) for x in (terminated, truncated, [1, 1, 1])]
    numbers = torch.tensor([[list(rewards)]], **F64)
    seen, later = codes[None, None, :3], codes[None, None, 1:]
    actions = torch.tensor([[[0, 1, 0]]])
    rollout = Rollout(seen, actions, numbers, later, *flags, last_observations=later[:, :, -1])
    return perfect_critic(torch.tensor(values, **F64)), rollout


@pytest.mark.parametrize(
    ("terminated", "truncated", "expected"),
    [
        ([0, 0, 0], [0, 0, 0], [1 + 0.5 * (1 + 0.5 * 5), 1 + 0.5 * 5, 5]),
        ([0, 1, 0], [0, 0, 0], [1 + 0.5 * 1, 1, 5]),
        ([0, 0, 0], [0, 1, 0], [1 + 0.5 * (1 + 0.5 * 6), 1 + 0.5 * 6, 5]),
        ([0, 1, 0], [0, 1, 0], [1 + 0.5 * 1, 1, 5]),
    ],
)
def test_targets_at_the_end_at_a_cut_and_at_the_end_of_the_record(terminated, truncated, expected):
    critic, rollout = record(terminated, truncated, [2.0, 4.0, 6.0, 8.0])
    config = SimpleNamespace(discount=0.5, lambda_=1.0)
    returns, advantages = returns_and_advantages(critic, rollout, config)
    wanted = torch.tensor(expected, **F64)
    torch.testing.assert_close(returns[0, 0], wanted, atol=1e-6, rtol=0)
    values = torch.tensor([2.0, 4.0, 6.0], **F64)
    torch.testing.assert_close(advantages[0, 0], wanted - values, atol=1e-6, rtol=0)
    assert not returns.requires_grad and not advantages.requires_grad


# --- the networks


@pytest.mark.parametrize("normalize", [True, False])
def test_policy_and_critic_share_statistics_and_nothing_else(normalize):
    spaces = SimpleNamespace(num_runs=2, observation_size=3, num_actions=4, action_size=None)
    config = SimpleNamespace(hidden_sizes=(5,), normalize_observations=normalize)
    networks = make_networks(spaces, config, run_generators(0, 2))
    policy, critic = networks["policy"].network, networks["critic"].network
    observations = torch.ones(2, 6, 3)
    assert policy(observations).shape == (2, 6, 4) and critic(observations).shape == (2, 6, 1)
    assert not {*map(id, policy.parameters())} & {*map(id, critic.parameters())}
    shared = {*map(id, policy.buffers())} & {*map(id, critic.buffers())}
    assert len(shared) == (3 if normalize else 0)
