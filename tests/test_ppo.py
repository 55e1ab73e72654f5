"""PPO: both losses against formulas and finite differences, and what every learner must do."""

import dataclasses
import math

import agent_checks as checks
import gymnasium
import numpy as np
import pytest
import torch

from rlbook.deep import ppo
from rlbook.deep.parts.critics import ScaledCritic
from rlbook.deep.parts.rollouts import Rollout
from rlbook.deep.parts.training import Training
from rlbook.deep.ppo import RolloutBatch, make_batch, measure, ppo_loss
from rlbook.formulas.divergences import adapt_kl_coef

SMALL = ppo.Config(
    total_steps=320, num_envs=4, rollout_steps=16, num_epochs=2, num_minibatches=2,
    hidden_sizes=(8,), num_evals=3, evaluation_episodes=3, learning_rate=1e-2,
    anneal_learning_rate=False,
)  # fmt: skip
PENALTY = dataclasses.replace(SMALL, surrogate="penalty", kl_target=1e-3)


# --- what every learner must do


@pytest.mark.parametrize(
    "config",
    [SMALL, PENALTY, dataclasses.replace(SMALL, stop_kl=1e-5, num_epochs=4)],
    ids=["clip", "penalty", "early stop"],
)
@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_a_run_alone_is_the_run_among_others(monkeypatch, config, env):
    config = dataclasses.replace(config, evaluation_step_cap=30)
    checks.check_a_run_alone_is_the_run_among_others(ppo, config, monkeypatch, env)


def test_the_same_seed_gives_the_same_bits():
    checks.check_the_same_seed_gives_the_same_bits(ppo, SMALL)


@pytest.mark.parametrize("names", [("rewards",), checks.SEEN])
@pytest.mark.parametrize("config", [SMALL, PENALTY], ids=["clip", "penalty"])
def test_a_nan_freezes_its_run_only(monkeypatch, config, names):
    poison = checks.poisoned(num_envs=4, after=30, names=names)
    checks.check_a_nan_freezes_its_run_only(ppo, config, "CartPole-v1", poison, monkeypatch)


def test_an_interruption_or_an_error_keeps_what_was_learned(monkeypatch, tmp_path):
    checks.check_an_interruption_loses_at_most_an_update(ppo, SMALL, monkeypatch, tmp_path)
    checks.check_an_error_keeps_what_was_learned(ppo, SMALL)


def test_the_step_size_falls_where_it_is_wanted(monkeypatch):
    checks.check_the_step_size_falls_where_it_is_wanted(ppo, SMALL, monkeypatch)


def test_a_saved_result_goes_on(tmp_path):
    checks.check_a_saved_result_goes_on(ppo, PENALTY, tmp_path)


def test_bad_input():
    wrong = {"total_steps": 0, "surrogate": "both", "discount": 1.5, "clip_epsilon": 0.0}
    wrong |= {"kl_target": -1.0, "stop_kl": 0.0, "lambda_": 2.0, "num_minibatches": 65}
    checks.check_bad_input(ppo, SMALL, wrong | {"entropy_coef": -1.0, "kl_coef": -1.0})


# --- the loss


def networks(discrete: bool, seed=0, R=2, **fields):
    """Policy and critic in float64, with weights large enough to matter."""
    envs = type("Spaces", (), {"num_runs": R, "observation_size": 3, "device": "cpu"})()
    envs.num_actions, envs.action_size = (4, None) if discrete else (None, 2)
    config = ppo.Config(hidden_sizes=(5,), normalize_observations=False, **fields)
    streams = [torch.Generator().manual_seed(seed + k) for k in range(R)]
    made = ppo.make_networks(envs, config, streams)
    for parameter in (p for module in made.values() for p in module.parameters()):
        parameter.data = parameter.data.double() + 0.3 * numbers(*parameter.shape, seed=seed)
    return made["policy"], made["critic"], config


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_batch(policy, discrete: bool, R=2, B=40) -> RolloutBatch:
    """Actions of an old policy that is near the present one."""
    observations = numbers(R, B, 3, seed=1)
    near = lambda x: x.detach() + 0.3 * numbers(*x.shape, seed=2)  # noqa: E731
    if discrete:
        old = near(policy.parameters_of(observations))
        actions = torch.distributions.Categorical(logits=old).sample()
    else:
        old = tuple(map(near, policy.parameters_of(observations)))
        actions = old[0] + old[1].exp() * numbers(R, B, 2, seed=3)
    log_probs, _ = policy.log_prob_and_entropy_of(old, actions)
    advantages, returns = numbers(2, R, B, seed=4)
    valid = numbers(R, B, seed=5) > -1
    return RolloutBatch(observations, actions, valid, advantages, returns, log_probs, old)


def slow_loss(policy, critic, batch, beta, config, run):
    """One run, one sample after the other, from the formulas of the paper."""
    terms = []
    for i in batch.valid[run].nonzero().flatten().tolist():
        new = policy.distribution(batch.observations)
        log_new = new.log_prob(batch.actions)[run, i]
        ratio = (log_new - batch.log_probs[run, i]).exp()
        A = batch.advantages[run, i]
        if config.surrogate == "clip":
            bound = (1 + config.clip_epsilon if A > 0 else 1 - config.clip_epsilon) * A
            gain = torch.minimum(ratio * A, bound)
        else:
            if isinstance(batch.parameters, torch.Tensor):
                old = torch.distributions.Categorical(logits=batch.parameters)
            else:
                mean, log_std = batch.parameters
                normal = torch.distributions.Normal(mean, log_std.exp())
                old = torch.distributions.Independent(normal, 1)
            kl = torch.distributions.kl_divergence(old, new)[run, i]
            gain = ratio * A - beta * kl
        error = (critic(batch.observations)[run, i] - batch.returns[run, i]) ** 2
        entropy = new.entropy()[run, i]
        terms.append(-gain + config.value_coef * error - config.entropy_coef * entropy)
    return torch.stack(terms).mean()


@pytest.mark.parametrize("discrete", [True, False])
@pytest.mark.parametrize("surrogate", ["clip", "penalty"])
def test_loss_and_gradient_are_those_of_the_formulas(discrete, surrogate):
    policy, critic, config = networks(discrete, surrogate=surrogate, entropy_coef=0.1)
    batch, beta = random_batch(policy, discrete), torch.tensor([0.5, 2.0], dtype=torch.float64)
    loss, kl = ppo_loss(policy, critic, batch, beta, config)
    expected = [slow_loss(policy, critic, batch, float(beta[k]), config, k) for k in range(2)]
    torch.testing.assert_close(loss, torch.stack(expected), check_dtype=False, rtol=1e-5, atol=0)
    assert kl.shape == (2,) and (kl > 0).all() and not kl.requires_grad
    parameters = [*policy.parameters(), *critic.parameters()]
    got = torch.autograd.grad(loss.sum(), parameters, retain_graph=True)
    for gradient, parameter in zip(got, parameters, strict=True):  # central differences
        direction = numbers(*parameter.shape, seed=6)
        direction[1] = 0  # of run 0
        values = []
        for sign in (1, -1):
            parameter.data += sign * 1e-6 * direction
            values.append(ppo_loss(policy, critic, batch, beta, config)[0].detach())
            parameter.data -= sign * 1e-6 * direction
        slopes = (values[0] - values[1]) / 2e-6
        torch.testing.assert_close(slopes[0], (gradient * direction).sum(), rtol=1e-4, atol=1e-6)
        assert slopes[1] == 0  # run 1 has nothing to do with run 0's parameters


def test_what_is_not_valid_stays_out():
    policy, critic, config = networks(True)
    batch = random_batch(policy, True)
    beta = torch.ones(2)
    loss, kl = ppo_loss(policy, critic, batch, beta, config)
    wild = batch._replace(advantages=torch.where(batch.valid, batch.advantages, 1e6))
    wild = wild._replace(returns=torch.where(batch.valid, batch.returns, torch.inf))
    torch.testing.assert_close(ppo_loss(policy, critic, wild, beta, config)[0], loss)
    far = torch.where(batch.valid, batch.log_probs, -50.0)
    assert measure(policy, batch._replace(log_probs=far), config)["largest_ratio"].max() < 10


def test_measure_by_hand():
    """Ratios 1.5, 1.1, 1/2, the last not valid, of two actions that were equally probable."""
    policy, _, config = networks(True)
    new = torch.tensor([[0.75, 0.25], [0.55, 0.45], [0.75, 0.25], [0.9, 0.1]]).log()
    policy.parameters_of = lambda observations: new.expand(2, 4, 2)
    half = torch.full((2, 4), 0.5)
    valid = torch.tensor([[True, True, True, False]]).expand(2, 4)
    actions = torch.tensor([[0, 0, 1, 0]]).expand(2, 4)
    old = torch.zeros(2, 4, 2)
    batch = RolloutBatch(torch.zeros(2, 4, 3), actions, valid, half, half, half.log(), old)
    found = measure(policy, batch, config)
    kl = [0.5 * math.log(0.25 / (p * (1 - p))) for p in (0.75, 0.55, 0.75)]
    torch.testing.assert_close(found["kl"], torch.full((2,), sum(kl) / 3))
    torch.testing.assert_close(found["outside"], torch.full((2,), 2 / 3))
    torch.testing.assert_close(found["largest_ratio"], torch.full((2,), 1.5))


# --- advantages


def rollout_of(rewards, terminated, truncated, valid=None) -> Rollout:
    """One environment for each of two runs; the observation at time t is t, its successor t + 1."""
    T = len(rewards)
    flag = lambda x: torch.tensor(x, dtype=torch.bool).expand(2, 1, T)  # noqa: E731
    times = torch.arange(T + 1, dtype=torch.float32).expand(2, 1, T + 1).unsqueeze(-1)
    return Rollout(
        observations=times[:, :, :-1],
        actions=torch.zeros(2, 1, T, dtype=torch.long),
        rewards=torch.tensor(rewards).expand(2, 1, T),
        next_observations=times[:, :, 1:],
        terminated=flag(terminated),
        truncated=flag(truncated),
        valid=flag(valid or [True] * T),
        last_observations=times[:, :, -1],
    )


class Constant(torch.nn.Module):
    def forward(self, observations):
        return torch.zeros_like(observations[..., :1])


class First(torch.nn.Module):
    def forward(self, observations):
        return observations[..., :1]


def advantages_of(rollout, value=10.0, network=Constant, **fields):
    """With V = `value` everywhere by default, discount 1/2 and lambda 1."""
    config = ppo.Config(discount=0.5, lambda_=1.0, **({"normalize_advantages": False} | fields))
    critic = ScaledCritic(network(), 2)
    critic.returns.mean += value
    policy = networks(True)[0].float()
    policy.parameters_of = lambda observations: torch.zeros(*observations.shape[:-1], 4)
    policy.log_prob = lambda observations, actions: torch.zeros(observations.shape[:-1])
    return make_batch(policy, critic, rollout, config)


def test_a_termination_ends_the_return_and_a_time_limit_bootstraps():
    rewards, F, T = [1.0, 2.0, 4.0], [False] * 3, [False, True, False]
    ended = advantages_of(rollout_of(rewards, T, F))
    assert ended.returns[0].tolist() == [2.0, 2.0, 9.0]
    assert ended.advantages[0].tolist() == [-8.0, -8.0, -1.0]
    cut = advantages_of(rollout_of(rewards, F, T))
    assert cut.returns[0].tolist() == [4.5, 7.0, 9.0]
    both = advantages_of(rollout_of(rewards, T, T))
    assert both.returns[0].tolist() == [2.0, 2.0, 9.0]


def test_the_bootstrap_is_the_value_of_the_next_observation():
    F = [False] * 2
    batch = advantages_of(rollout_of([1.0, 2.0], F, F), value=0.0, network=First)  # V(s_t) = t
    torch.testing.assert_close(batch.returns[0], torch.tensor([2.5, 3.0]))
    torch.testing.assert_close(batch.advantages[0], torch.tensor([2.5, 2.0]))


def test_advantages_are_normalised_run_by_run_and_without_what_is_not_valid():
    valid = [True, True, False, True]
    rollout = rollout_of([1.0, 2.0, 1e6, 4.0], [True] * 4, [False] * 4, valid)
    rewards = rollout.rewards.clone()
    rewards[1] *= 100  # run 1's rewards must not matter to run 0
    rollout = dataclasses.replace(rollout, rewards=rewards)
    batch = advantages_of(rollout, normalize_advantages=True)
    kept = batch.advantages[:, [0, 1, 3]]
    torch.testing.assert_close(kept.mean(1), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(kept.std(1, correction=0), torch.ones(2))
    first = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(kept[0], (first - first.mean()) / first.std(), rtol=1e-5)


# --- the update


def test_early_stop_rests_each_run_by_itself(monkeypatch):
    config = dataclasses.replace(SMALL, stop_kl=1e-3, num_epochs=6, learning_rate=3e-3)
    result = checks.train(ppo, config, num_runs=5)
    steps = result.log["steps"]
    assert steps.max() <= 12 and steps.min() < 12 and len(np.unique(steps)) > 2
    never = checks.train(ppo, dataclasses.replace(config, stop_kl=1e9), num_runs=5)
    always = checks.train(ppo, dataclasses.replace(config, stop_kl=None), num_runs=5)
    checks.same_networks(never, always)
    assert (always.log["steps"] == 12).all()


def test_a_run_that_rests_keeps_its_parameters():
    training = Training("CartPole-v1", SMALL, ppo.make_networks, num_runs=3, progress=False)
    policy = training.networks["policy"]
    optimizer = training.optimizer("adam", policy)
    before = [p.detach().clone() for p in policy.parameters()]
    loss = sum(p.square().flatten(1).sum(1) for p in policy.parameters())
    for _ in range(2):  # the second time, Adam has momentum
        active = torch.tensor([True, False, True])
        training.gradient_step(optimizer, loss, active=active)
        loss = sum(p.square().flatten(1).sum(1) for p in policy.parameters())
    for p, old in zip(policy.parameters(), before, strict=True):
        assert torch.equal(p[1], old[1])
    assert any((p[0] != old[0]).any() for p, old in zip(policy.parameters(), before, strict=True))


def test_the_coefficient_adapts_in_each_run():
    config = dataclasses.replace(PENALTY, total_steps=640, kl_target=3e-3)
    log = checks.train(ppo, config, num_runs=5).log
    coefficients, kl = (torch.as_tensor(log[name]) for name in ("kl_coef", "kl"))
    expected = adapt_kl_coef(coefficients[:, :-1], kl[:, :-1], config.kl_target)
    torch.testing.assert_close(coefficients[:, 1:], expected)
    assert len(coefficients[:, -1].unique()) > 1


def test_minibatches_are_all_of_the_rollout_once(monkeypatch):
    seen = []
    take = RolloutBatch.take
    monkeypatch.setattr(
        RolloutBatch, "take", lambda self, rows: seen.append(rows) or take(self, rows)
    )
    checks.train(ppo, dataclasses.replace(SMALL, total_steps=64, num_minibatches=3))
    epoch = torch.cat(seen[:3], dim=1)  # (R, 64)
    assert torch.equal(epoch.sort(1).values, torch.arange(64).expand(3, 64))
    assert not torch.equal(epoch[0], epoch[1])


def test_the_step_size_falls():
    sizes = []
    step = Training.gradient_step
    with pytest.MonkeyPatch.context() as patch:
        note = lambda self, optimizer, *a, **k: sizes.append(optimizer.param_groups[0]["lr"])  # noqa: E731
        patch.setattr(Training, "gradient_step", lambda *a, **k: note(*a, **k) or step(*a, **k))
        checks.train(ppo, dataclasses.replace(SMALL, anneal_learning_rate=True))
    np.testing.assert_allclose(sorted(set(sizes)), np.arange(1, 6) * 2e-3)


# --- learning


class Aim(gymnasium.Env):
    """One step: the reward is highest where the action is the observation."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seen = self.np_random.uniform(-1, 1, 1).astype(np.float32)
        return self.seen, {}

    def step(self, action):
        reward = 100 - 100 * float((action[0] - self.seen[0]) ** 2)
        return self.seen, reward, True, False, {}


@pytest.mark.parametrize("surrogate", ["clip", "penalty"])
def test_it_learns_to_aim_with_continuous_actions(surrogate):
    config = ppo.Config(
        surrogate=surrogate, total_steps=3072, num_envs=16, rollout_steps=16, num_evals=2,
        hidden_sizes=(16,), learning_rate=1e-2, kl_target=0.03,
    )  # fmt: skip
    result = checks.train(ppo, config, Aim, num_runs=2, seed=1)
    first, last = result.evaluation_returns.T
    assert (last > 95).all() and (last > first + 10).all(), result.evaluation_returns


@pytest.mark.parametrize("surrogate", ["clip", "penalty"])
def test_it_learns_to_balance(surrogate):
    config = ppo.Config(surrogate=surrogate, total_steps=8192, num_evals=2, hidden_sizes=(32,))
    result = checks.train(ppo, config, num_runs=4, seed=0)
    assert (result.evaluation_returns[:, -1] > 150).all(), result.evaluation_returns
