"""REINFORCE: its loss against enumeration, and what every learner must do."""

import dataclasses

import agent_checks as checks
import pytest
import torch
from test_trajectories import layered

from rlbook.deep import reinforce
from rlbook.deep.parts.networks import MLP
from rlbook.deep.parts.policies import CategoricalPolicy
from rlbook.deep.parts.rollouts import Rollout
from rlbook.ground.seeding import generator
from rlbook.planning.bellman import action_values, policy_values
from rlbook.planning.exact_gradients import discounted_visits, policy_objective
from rlbook.planning.trajectories import all_trajectories

F64 = {"dtype": torch.float64}

SMALL = reinforce.Config(
    total_episodes=40, num_envs=4, hidden_sizes=(8,), num_evals=3, evaluation_episodes=3,
    max_steps=60, learning_rate=1e-2,
)  # fmt: skip


def test_a_run_alone_is_the_run_among_others(monkeypatch):
    checks.check_a_run_alone_is_the_run_among_others(reinforce, SMALL, monkeypatch)


def test_the_same_seed_gives_the_same_bits():
    checks.check_the_same_seed_gives_the_same_bits(reinforce, SMALL)


def test_a_nan_freezes_its_run_only(monkeypatch):
    poison = checks.poisoned(num_envs=4, after=100)
    checks.check_a_nan_freezes_its_run_only(reinforce, SMALL, "CartPole-v1", poison, monkeypatch)


def test_an_interruption_or_an_error_keeps_what_was_learned(monkeypatch, tmp_path):
    checks.check_an_interruption_loses_at_most_an_update(reinforce, SMALL, monkeypatch, tmp_path)
    checks.check_an_error_keeps_what_was_learned(reinforce, SMALL)


def test_the_step_size_falls_where_it_is_wanted(monkeypatch):
    checks.check_the_step_size_falls_where_it_is_wanted(reinforce, SMALL, monkeypatch)


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


def test_what_was_recorded_behind_the_end_is_left_out():
    nan = float("nan")
    rollout = rollout_of([1.0, 2.0, nan], [False, True, False], [False] * 3, [True, True, False])
    assert reinforce.rewards_to_go(rollout, 0.5).tolist() == [[[2.0, 2.0, 0.0]]]


class EveryEpisode:
    """All trajectories of a small model as the episodes of one run, and a policy for it."""

    def __init__(self, discount: float = 0.8):
        self.mdp = layered(7, discount=discount)
        self.tau = tau = all_trajectories(self.mdp, 3)
        self.rooms = torch.eye(7, **F64)
        self.policy = CategoricalPolicy(MLP((7, 5, 2), [generator(3)])).double()
        self.table = self.policy(self.rooms[None])[0].softmax(-1)  # (S, A)
        self.p = tau.probability(self.table).detach()
        seen, never = self.rooms[tau.states][None], torch.zeros_like(tau.valid)[None]
        fields = (seen, tau.actions[None], tau.rewards[None], seen, never, never)
        self.rollout = Rollout(*fields, tau.valid[None], last_observations=seen[:, :, 0])

    def loss_gradient(self, weights):
        """Minus the gradient of the loss, averaged with the probabilities of the episodes."""
        shares = len(self.tau) * self.p[:, None]
        loss = reinforce.policy_loss(self.policy, self.rollout, (shares * weights)[None])
        return self.gradient(-loss.sum())

    def gradient(self, scalar):
        slopes = torch.autograd.grad(scalar, self.policy.parameters(), retain_graph=True)
        return torch.cat([x.flatten() for x in slopes])


@pytest.mark.parametrize("discount", [0.0, 0.8, 1.0])
def test_the_losss_gradient_is_the_policy_gradient(discount):
    case = EveryEpisode(discount)
    returns = reinforce.rewards_to_go(case.rollout, discount)[0]
    torch.testing.assert_close(returns, case.tau.rewards_to_go(discount))
    wild = 5 * torch.randn(7, generator=generator(4), **F64)
    for b in (0 * wild, wild):
        weights = discount ** torch.arange(3, **F64) * (returns - b[case.tau.states])
        slopes = case.loss_gradient(weights.masked_fill(~case.tau.valid, 0.0))
        expected = case.gradient(policy_objective(case.mdp, case.table))
        torch.testing.assert_close(slopes, expected)


def test_without_the_discount_of_the_state_it_is_a_semi_gradient():
    case = EveryEpisode()
    free = layered(7, discount=1.0)
    visits = discounted_visits(free, case.table).detach()
    Q = action_values(case.mdp, policy_values(case.mdp.induced_chain(case.table.detach())))
    expected = case.gradient((visits[:, None] * Q * case.table).sum())
    returns = reinforce.rewards_to_go(case.rollout, 0.8)[0]
    torch.testing.assert_close(case.loss_gradient(returns), expected)
    assert not torch.allclose(expected, case.gradient(policy_objective(case.mdp, case.table)))


def test_the_loss_by_hand():
    """Two episodes, of two steps and of one: a sum over steps, a mean over episodes."""
    policy = CategoricalPolicy(MLP((1, 2), [generator(0)]))  # the observations are 0: log 2
    flags = torch.zeros(1, 2, 2, dtype=torch.bool)
    nothing = torch.zeros(1, 2, 2, 1)
    actions = torch.zeros(1, 2, 2, dtype=torch.long)
    rollout = Rollout(nothing, actions, nothing[..., 0], nothing, flags, flags, flags, nothing)
    loss = reinforce.policy_loss(policy, rollout, torch.tensor([[[3.0, 2.0], [5.0, 0.0]]]))
    torch.testing.assert_close(loss, torch.tensor([5.0]) * torch.tensor(2.0).log())


def test_the_baselines_and_the_value_loss_by_hand():
    rollout = rollout_of([1.0, 2.0, 9.0], [False, True, False], [False] * 3, [True, True, False])
    critic = MLP((1, 1), [generator(0)])
    with torch.no_grad():
        critic.layers[0].bias.fill_(4.0)
    returns = torch.tensor([[[3.0, 2.0, 70.0]]])
    means = {"none": 0.0, "mean": 2.5, "value": 4.0}
    for kind, expected in means.items():
        b = reinforce.baseline(kind, critic, rollout, returns)
        assert b.shape == returns.shape and not b.requires_grad
        torch.testing.assert_close(b, torch.full_like(returns, expected))
    loss = reinforce.value_loss(critic, rollout, returns)
    assert loss.tolist() == [pytest.approx(0.5 * (1 + 4) / 2)] and loss.requires_grad


@pytest.mark.parametrize("discount_the_state", [False, True])
@pytest.mark.parametrize("kind", ["none", "mean", "value"])
def test_the_weights_of_an_update(kind, discount_the_state, monkeypatch):
    """gamma^t (G_t - b(s_t)), b being the baseline before this update."""
    seen, loss = [], reinforce.policy_loss

    def watched(policy, rollout, weights):
        seen.append((rollout, weights))
        return loss(policy, rollout, weights)

    monkeypatch.setattr(reinforce, "policy_loss", watched)
    config = dataclasses.replace(
        SMALL, total_episodes=8, baseline=kind, discount=0.9, discount_the_state=discount_the_state,
        value_learning_rate=1e-12,
    )  # fmt: skip
    result = checks.train(reinforce, config, num_runs=2)
    critic = result.networks["critic"]
    for rollout, weights in seen:
        b = torch.zeros_like(weights)
        G = torch.zeros_like(weights)
        for r in range(2):
            for e in range(4):
                T = int(rollout.valid[r, e].sum())
                for t in reversed(range(T)):
                    G[r, e, t] = 1.0 + (0.9 * G[r, e, t + 1] if t + 1 < T else 0.0)
            if kind == "mean":
                b[r] = G[r][rollout.valid[r]].mean()
        if kind == "value":
            b = critic(rollout.observations).squeeze(-1).detach()
        powers = 0.9 ** torch.arange(weights.shape[-1]) if discount_the_state else 1.0
        torch.testing.assert_close(weights, powers * (G - b) * rollout.valid, atol=1e-4, rtol=1e-4)
    assert len(seen) == 2


def test_only_the_value_baseline_is_learned():
    for kind, moves in (("none", False), ("mean", False), ("value", True)):
        config = dataclasses.replace(SMALL, total_episodes=8, baseline=kind)
        rates = [dataclasses.replace(config, value_learning_rate=rate) for rate in (1e-2, 1e-3)]
        results = [checks.train(reinforce, x, num_runs=1) for x in rates]
        weights = [x.networks["critic"].layers[0].weight for x in results]
        assert torch.equal(*weights) != moves


def test_it_learns_to_balance_longer():
    config = reinforce.Config(
        total_episodes=480, learning_rate=1e-2, hidden_sizes=(16,), value_steps=5, num_evals=2
    )
    result = checks.train(reinforce, config, num_runs=4, seed=0)
    returns = result.log["episode_return"]  # (R, updates), while exploring
    assert (returns[:, -5:].mean(1) > 1.5 * returns[:, :5].mean(1)).all(), returns
