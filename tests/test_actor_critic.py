"""A2C: its losses' gradients against enumeration and by hand, and what every learner must do."""

import dataclasses

import agent_checks as checks
import pytest
import torch
from test_critics import perfect_critic, record
from test_trajectories import layered

from rlbook.deep import actor_critic
from rlbook.deep.parts.critics import returns_and_advantages
from rlbook.deep.parts.networks import MLP
from rlbook.deep.parts.policies import CategoricalPolicy
from rlbook.deep.parts.rollouts import Rollout
from rlbook.deep.parts.training import Training
from rlbook.ground.seeding import generator
from rlbook.planning.bellman import policy_values
from rlbook.planning.exact_gradients import discounted_visits, policy_objective
from rlbook.planning.trajectories import all_trajectories

F64 = {"dtype": torch.float64}
SMALL = actor_critic.Config(
    total_steps=320, num_envs=4, rollout_steps=8, hidden_sizes=(8,), num_evals=3,
    evaluation_episodes=3, learning_rate=1e-2, value_learning_rate=1e-2,
)  # fmt: skip


# --- what every learner must do


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_a_run_alone_is_the_run_among_others(monkeypatch, env):
    config = dataclasses.replace(SMALL, evaluation_step_cap=30)
    checks.check_a_run_alone_is_the_run_among_others(actor_critic, config, monkeypatch, env)


def test_the_same_seed_gives_the_same_bits():
    checks.check_the_same_seed_gives_the_same_bits(actor_critic, SMALL)


@pytest.mark.parametrize("names", [("rewards",), checks.SEEN])
def test_a_nan_freezes_its_run_only(monkeypatch, names):
    poison = checks.poisoned(num_envs=4, after=30, names=names)
    checks.check_a_nan_freezes_its_run_only(actor_critic, SMALL, "CartPole-v1", poison, monkeypatch)


def test_an_interruption_or_an_error_keeps_what_was_learned(monkeypatch, tmp_path):
    checks.check_an_interruption_loses_at_most_an_update(actor_critic, SMALL, monkeypatch, tmp_path)
    checks.check_an_error_keeps_what_was_learned(actor_critic, SMALL)


def test_the_step_size_falls_where_it_is_wanted(monkeypatch):
    checks.check_the_step_size_falls_where_it_is_wanted(actor_critic, SMALL, monkeypatch)


def test_a_saved_result_goes_on(tmp_path):
    checks.check_a_saved_result_goes_on(actor_critic, SMALL, tmp_path)


def test_bad_input():
    wrong = {"total_steps": 0, "rollout_steps": 0, "discount": 1.5, "lambda_": 2.0}
    wrong |= {"entropy_coef": -1.0, "value_learning_rate": 0.0, "max_gradient_norm": 0.0}
    checks.check_bad_input(actor_critic, SMALL, wrong)


# --- the losses


@pytest.mark.parametrize("lambda_", [0.0, 0.7, 1.0])
def test_with_the_true_values_the_losss_gradient_is_that_of_chapter_14(lambda_):
    """All trajectories as episodes, each with its probability; the end of the table is an end."""
    mdp = layered(7, discount=0.8)
    tau = all_trajectories(mdp, 3)
    rooms = torch.eye(8, **F64)  # the last code is that of the end, whose value is never asked for
    policy = CategoricalPolicy(MLP((8, 5, 2), [generator(3)])).double()
    table = policy(rooms[None, :7])[0].softmax(-1)
    p = tau.probability(table).detach()
    V = policy_values(mdp.induced_chain(table.detach()))
    critic = perfect_critic(torch.cat([V, torch.tensor([50.0], **F64)]))
    later = torch.full_like(tau.states, 7)
    later[:, :-1] = torch.where(tau.valid[:, 1:], tau.states[:, 1:], 7)
    terminated = tau.valid & (later == 7)
    fields = [rooms[tau.states], tau.actions, tau.rewards, rooms[later], terminated]
    fields += [torch.zeros_like(terminated), tau.valid]
    rollout = Rollout(*(x[None] for x in fields), last_observations=rooms[tau.states[:, 0]][None])
    config = dataclasses.replace(SMALL, discount=0.8, lambda_=lambda_)
    _, advantages = returns_and_advantages(critic, rollout, config)
    weights = advantages * p[None, :, None] * 0.8 ** torch.arange(3, **F64) * tau.valid.sum()
    loss = actor_critic.actor_loss(policy, rollout, weights, entropy_coef=0.0)
    found = torch.autograd.grad(-loss.sum(), list(policy.parameters()), retain_graph=True)
    expected = torch.autograd.grad(policy_objective(mdp, table), list(policy.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
    assert discounted_visits(mdp, table.detach()).sum() > 1  # more than one step counts


def test_the_losses_by_hand():
    critic, rollout = record([0, 0, 0], [0, 0, 0], [2.0, 4.0, 6.0, 8.0])
    rollout = dataclasses.replace(rollout, valid=torch.tensor([[[True, True, False]]]))
    policy = CategoricalPolicy(MLP((4, 2), [generator(1)])).double()
    weights = torch.tensor([[[3.0, -1.0, 90.0]]], **F64)
    log_pi = policy(rollout.observations)[0, 0].log_softmax(-1)
    entropy = -(log_pi.exp() * log_pi).sum(-1)
    by_hand = (-3.0 * log_pi[0, 0] + log_pi[1, 1] - 0.2 * (entropy[0] + entropy[1])) / 2
    loss = actor_critic.actor_loss(policy, rollout, weights, entropy_coef=0.2)
    torch.testing.assert_close(loss, by_hand[None])
    returns = torch.tensor([[[3.0, 2.0, 90.0]]], **F64).requires_grad_()
    loss = actor_critic.critic_loss(critic, rollout, returns)
    torch.testing.assert_close(loss, torch.tensor([0.5 * (1 + 4) / 2], **F64), atol=1e-6, rtol=0)
    (slope,) = torch.autograd.grad(loss.sum(), [critic.network.layers[0].bias])
    assert float(slope) == pytest.approx((-1 + 2) / 2, abs=1e-6)
    assert not loss.sum().requires_grad or returns.grad is None
    nothing = actor_critic.critic_loss(critic, rollout, returns).sum()
    assert torch.autograd.grad(nothing, [returns], allow_unused=True) == (None,)


def test_an_update_uses_one_rollout_for_both_networks(monkeypatch):
    """What reaches the losses: standardised advantages for the actor, returns for the critic."""
    seen, loss = [], actor_critic.actor_loss

    def watched(policy, rollout, advantages, entropy_coef):
        seen.append((advantages, entropy_coef))
        return loss(policy, rollout, advantages, entropy_coef)

    monkeypatch.setattr(actor_critic, "actor_loss", watched)
    checks.train(actor_critic, dataclasses.replace(SMALL, entropy_coef=0.3), num_runs=2)
    for advantages, weight in seen:
        assert weight == 0.3
        mean = advantages.mean((1, 2))
        torch.testing.assert_close(mean, torch.zeros(2), atol=1e-5, rtol=0)
    rates, step = [], Training.gradient_step

    def recorded(self, optimizer, *args, **options):
        rates.append(optimizer.param_groups[0]["lr"])
        return step(self, optimizer, *args, **options)

    monkeypatch.setattr(Training, "gradient_step", recorded)
    config = dataclasses.replace(SMALL, learning_rate=0.1, value_learning_rate=0.2)
    result = checks.train(actor_critic, config, num_runs=1)
    actor, critic = rates[::2], rates[1::2]
    assert actor == pytest.approx([0.1 * (1 - k / 10) for k in range(10)])
    assert critic == pytest.approx([0.2 * (1 - k / 10) for k in range(10)])
    assert result.log["squared_advantage"].shape == (1, 10)


def test_statistics_only_where_they_are_wanted():
    plain = dataclasses.replace(SMALL, normalize_observations=False, normalize_values=False)
    state = checks.train(actor_critic, plain, num_runs=1).networks.state_dict()
    assert not any("network.0.mean" in name for name in state)
    assert float(state["critic.returns.count"]) == 0
    state = checks.train(actor_critic, SMALL, num_runs=1).networks.state_dict()
    counts = [float(x) for name, x in state.items() if name.endswith("count")]
    assert counts and all(count == 320 for count in counts)


def test_it_learns_to_balance_longer():
    config = actor_critic.Config(
        total_steps=20_480, num_envs=8, hidden_sizes=(16,), num_evals=2, learning_rate=1e-2
    )
    result = checks.train(actor_critic, config, num_runs=4, seed=0)
    returns = result.evaluation_returns[:, -1]  # some 100; 9 for who always pushes to one side
    assert (returns > 60).all(), returns
