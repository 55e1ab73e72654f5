"""TRPO: its step against dense matrices, its batch by hand, and what every learner must do."""

import dataclasses
import functools

import agent_checks as checks
import numpy as np
import pytest
import torch

import rlbook.deep.parts.training
from rlbook.deep import trpo
from rlbook.deep.parts.critics import returns_and_advantages
from rlbook.deep.parts.rollouts import Rollout
from rlbook.deep.parts.training import Training
from rlbook.deep.trpo import fisher_of, mean_kl, update_policy

SMALL = trpo.Config(
    total_steps=640, num_envs=4, rollout_steps=16, critic_epochs=2, critic_batch_size=32,
    hidden_sizes=(8,), num_evals=3, evaluation_episodes=3, learning_rate=1e-2,
    evaluation_step_cap=30, fisher_stride=2, damping=0.1, max_kl=0.01, lambda_=0.95,
)  # fmt: skip
R, E, T = 3, 4, 6


@pytest.fixture
def double(monkeypatch):
    """Networks and environments in double precision."""
    make_double = functools.partial(rlbook.deep.parts.training.make_envs, dtype=torch.float64)
    monkeypatch.setattr(rlbook.deep.parts.training, "make_envs", make_double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


# --- what every learner must do


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_a_run_alone_is_the_run_among_others(monkeypatch, double, env):
    """In double precision: conjugate gradients magnify rounding, to some 1e-6 in single."""
    checks.check_a_run_alone_is_the_run_among_others(trpo, SMALL, monkeypatch, env)


def test_the_same_seed_gives_the_same_bits():
    checks.check_the_same_seed_gives_the_same_bits(trpo, SMALL)


@pytest.mark.parametrize("names", [("rewards",), checks.SEEN])
@pytest.mark.parametrize("line_search", [True, False])
def test_a_nan_freezes_its_run_only(monkeypatch, line_search, names):
    config = dataclasses.replace(SMALL, line_search=line_search)
    poison = checks.poisoned(num_envs=4, after=30, names=names)
    checks.check_a_nan_freezes_its_run_only(trpo, config, "CartPole-v1", poison, monkeypatch)


def test_an_interruption_or_an_error_keeps_what_was_learned(monkeypatch, tmp_path):
    checks.check_an_interruption_loses_at_most_an_update(trpo, SMALL, monkeypatch, tmp_path)
    checks.check_an_error_keeps_what_was_learned(trpo, SMALL)


def test_a_saved_result_goes_on(tmp_path):
    checks.check_a_saved_result_goes_on(trpo, SMALL, tmp_path)


def test_bad_input():
    wrong = {"total_steps": 0, "max_kl": 0.0, "damping": -1.0, "lambda_": 2.0, "discount": 1.5}
    wrong |= {"cg_iterations": 0, "fisher_stride": 0, "critic_epochs": 0, "critic_batch_size": 0}
    checks.check_bad_input(trpo, SMALL, wrong)


# --- the step


def prepared(env="CartPole-v1", seed=3, **changes):
    """A training that has collected once, in double precision."""
    config = dataclasses.replace(SMALL, rollout_steps=T, **changes)
    run = Training(env, config, trpo.make_networks, num_runs=R, seed=seed, progress=False)
    with torch.no_grad():
        for p in run.networks["policy"].parameters():  # away from the nearly uniform start
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(seed)))
    rollout = run.collect(T)
    double = {
        f.name: x.double() if (x := getattr(rollout, f.name)).is_floating_point() else x
        for f in dataclasses.fields(rollout)
    }
    return run.networks.double(), Rollout(**double), config


def dense_step(policy, rollout, advantages, config, k):
    """Run k's step with the explicit Hessian and a dense solve: one agent, no run axis."""
    network = policy.run(k).double()
    shapes = {name: p.detach() for name, p in network.named_parameters()}
    start = torch.cat([p.flatten() for p in shapes.values()])
    states, actions = rollout.observations[k].flatten(0, 1), rollout.actions[k].flatten(0, 1)
    advantages = advantages[k].flatten()

    def distribution(theta, states):
        parts = theta.split([p.numel() for p in shapes.values()])
        named = {n: x.view_as(p) for x, (n, p) in zip(parts, shapes.items(), strict=True)}
        out = torch.func.functional_call(network, named, (states,))
        if isinstance(out, tuple):
            normal = torch.distributions.Normal(out[0], out[1].exp())
            return torch.distributions.Independent(normal, 1)
        return torch.distributions.Categorical(logits=out)

    def kl(theta, states):
        pair = distribution(start, states), distribution(theta, states)
        return torch.distributions.kl_divergence(*pair).mean()

    def gain(theta):
        new, old = (distribution(x, states).log_prob(actions) for x in (theta, start))
        return ((new - old).exp() * advantages).mean()

    some = states[:: config.fisher_stride]
    hessian = torch.autograd.functional.hessian(lambda x: kl(x, some), start)
    hessian += config.damping * torch.eye(len(start)).double()
    g = torch.autograd.functional.jacobian(gain, start)
    x = torch.linalg.solve(hessian, g)
    x = x * torch.sqrt(2 * config.max_kl / (x @ hessian @ x))
    for j in range(10 if config.line_search else 1):
        theta = start + 0.8**j * x
        kept = gain(theta) > gain(start) and kl(theta, states) <= config.max_kl
        if kept or not config.line_search:
            return distribution(theta, states), kl(theta, states), 0.8**j
    return distribution(start, states), 0.0, 0.0


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("line_search", [True, False])
@pytest.mark.parametrize("radius", [0.01, 0.3])
def test_the_step_is_that_of_dense_matrices(env, line_search, radius):
    networks, rollout, config = prepared(
        env, line_search=line_search, max_kl=radius, cg_iterations=100, hidden_sizes=(4,)
    )
    _, advantages = returns_and_advantages(networks["critic"], rollout, config)
    policy = networks["policy"]
    want = [dense_step(policy, rollout, advantages, config, k) for k in range(R)]
    search, usable = update_policy(policy, rollout, advantages, config)
    assert usable.all()
    log_probs = policy.log_prob(rollout.observations, rollout.actions).detach()
    for k, (distribution, kl, fraction) in enumerate(want):
        expected = distribution.log_prob(rollout.actions[k].flatten(0, 1))
        torch.testing.assert_close(log_probs[k].flatten(), expected, atol=1e-5, rtol=1e-5)
        assert float(search.kl[k]) == pytest.approx(float(kl), rel=1e-4)
        assert float(search.fraction[k]) == pytest.approx(fraction)


def test_the_kl_stays_in_the_radius_and_the_surrogate_rises():
    fixed = dataclasses.replace(SMALL, max_kl=0.02, anneal_max_kl=False)
    result = checks.train(trpo, fixed, num_runs=5)
    kl, improvement, fraction = (result.log[n] for n in ("kl", "improvement", "fraction"))
    assert kl.shape == (5, 10) and (kl <= 0.02).all() and (fraction > 0).mean() > 0.8
    assert (improvement[fraction > 0] > 0).all() and (improvement[fraction == 0] == 0).all()
    falling = checks.train(trpo, dataclasses.replace(fixed, anneal_max_kl=True), num_runs=5)
    assert (falling.log["kl"] <= 0.02 * np.linspace(1, 0.1, 10)).all()
    assert (falling.log["kl"][:, 8:] > 0).any()
    far = dataclasses.replace(fixed, max_kl=0.5, damping=0.01, line_search=False)
    assert (checks.train(trpo, far, num_runs=5).log["kl"] > 0.5).any()


def test_inactive_runs_stay_and_the_others_do_not_notice():
    networks, rollout, config = prepared()
    _, advantages = returns_and_advantages(networks["critic"], rollout, config)
    before = [p.detach().clone() for p in networks["policy"].parameters()]
    active = torch.tensor([True, False, True])
    update_policy(networks["policy"], rollout, advantages, config, active)
    after = [p.detach().clone() for p in networks["policy"].parameters()]
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[1], new[1])
    assert any((old[[0, 2]] != new[[0, 2]]).any() for old, new in zip(before, after, strict=True))
    networks, rollout, config = prepared()
    update_policy(networks["policy"], rollout, advantages, config)
    for new, p in zip(after, networks["policy"].parameters(), strict=True):
        assert torch.equal(new[[0, 2]], p.detach()[[0, 2]])


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_a_candidate_never_enters_the_policy(env, monkeypatch):
    """Whatever stops the search, Ctrl-C for one, finds the old policy."""
    networks, rollout, config = prepared(env)
    _, advantages = returns_and_advantages(networks["critic"], rollout, config)
    policy, tried = networks["policy"], []
    before = [p.detach().clone() for p in policy.parameters()]

    def stopped(evaluate, start, step, **limits):
        for scale in (1.0, 5.0):
            value, kl = evaluate(start + scale * step)
            tried.append(kl)
        raise KeyboardInterrupt

    monkeypatch.setattr(trpo, "backtracking_line_search", stopped)
    with pytest.raises(KeyboardInterrupt):
        update_policy(policy, rollout, advantages, config)
    assert (tried[0] > 0).all() and (tried[1] > tried[0]).all()
    assert all(map(torch.equal, policy.parameters(), before))


def test_kl_is_of_old_from_new():
    networks, rollout, config = prepared("Pendulum-v1")
    policy, states = networks["policy"], rollout.observations.flatten(1, 2)
    valid = rollout.valid.flatten(1)
    with torch.no_grad():
        old = policy.distribution(states)
        parameters = policy.parameters_of(states)
        policy.log_std.add_(0.7)
    want = torch.distributions.kl_divergence(old, policy.distribution(states)).mean(1)
    torch.testing.assert_close(mean_kl(policy, parameters, states, valid), want)


def test_steps_that_are_not_valid_do_not_enter():
    networks, rollout, config = prepared(fisher_stride=1)
    valid = torch.rand(R, E, T, generator=torch.Generator().manual_seed(0)) < 0.6
    vector = torch.ones(R, sum(p[0].numel() for p in networks["policy"].parameters())).double()
    results = []
    for junk in (0.0, 5.0):
        networks, rollout, config = prepared(fisher_stride=1)
        observations = torch.where(valid[..., None], rollout.observations, junk)
        masked = dataclasses.replace(rollout, observations=observations, valid=valid)
        advantages = torch.where(valid, 1.0 + rollout.observations[..., 2], junk)
        product = fisher_of(
            networks["policy"], observations.flatten(1, 2), valid.flatten(1), config
        )(vector)
        update_policy(networks["policy"], masked, advantages, config)
        results.append([product, *networks["policy"].parameters()])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_the_step_is_made_of_advantages_standardised_run_by_run(monkeypatch):
    seen, update = [], trpo.update_policy

    def watched(policy, rollout, advantages, *options):
        seen.append(advantages)
        return update(policy, rollout, advantages, *options)

    monkeypatch.setattr(trpo, "update_policy", watched)
    for wanted in (True, False):
        seen.clear()
        config = dataclasses.replace(SMALL, normalize_advantages=wanted)
        checks.train(trpo, config, num_runs=2)
        for advantages in seen:
            is_zero = advantages.mean((1, 2)).abs() < 1e-5
            assert is_zero.all() if wanted else not is_zero.any()


# --- it learns


@pytest.mark.slow
def test_it_learns_to_balance():
    config = dataclasses.replace(
        SMALL, total_steps=16_384, num_envs=8, rollout_steps=128, hidden_sizes=(32,),
        evaluation_step_cap=None, learning_rate=3e-3, damping=0.01, evaluation_episodes=10,
    )  # fmt: skip
    result = checks.train(trpo, config, num_runs=5, seed=7)
    assert (result.evaluation_returns[:, -1] > 3 * result.evaluation_returns[:, 0]).all()
    assert np.median(result.evaluation_returns[:, -1]) > 150
