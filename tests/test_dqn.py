"""Deep Q-learning: targets and loss by hand, run k of R is run k alone, and it learns."""

import math
from dataclasses import replace

import agent_checks as checks
import gymnasium
import numpy as np
import pytest
import torch

from rlbook.deep import dqn
from rlbook.deep.parts.replay import Transitions
from rlbook.deep.parts.results import load_result
from rlbook.ground.seeding import Streams, generator

SMALL = dqn.Config(
    total_steps=640,
    num_envs=4,
    rollout_steps=4,
    gradient_steps=2,
    batch_size=16,
    learning_starts=64,
    replay_capacity=400,
    hidden_sizes=(16,),
    num_evals=2,
    evaluation_episodes=4,
)


class Echo(gymnasium.Env):
    """One step: the observation is one of two corners, and naming it pays 1."""

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.corner = int(self.np_random.integers(2))
        return np.eye(2, dtype=np.float32)[self.corner], {}

    def step(self, action):
        return np.zeros(2, np.float32), float(action == self.corner), True, False, {}


def train(config=SMALL, env="CartPole-v1", **options):
    return dqn.train(env, config, progress=False, **{"num_runs": 2} | options)


def batch_of(runs=3, size=8, *, actions=2):
    rng = generator(1)
    normal = lambda *shape: torch.randn(runs, size, *shape, generator=rng)  # noqa: E731
    ends = torch.rand(runs, size, generator=rng) < 0.4
    chosen = torch.randint(actions, (runs, size), generator=rng)
    discounts = torch.rand(runs, size, generator=rng)
    return Transitions(
        normal(4), chosen, normal(), normal(4), ends, discounts, torch.ones_like(ends)
    )


class FourToTwo:
    observation_size, num_actions = 4, 2


def networks(config=SMALL, runs=3, seed=0):
    return dqn.make_networks(FourToTwo, config, Streams(seed, range(runs)).generators)


# --- targets


REWARDS, ENDS = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([False, True, False])
TARGET_Q = torch.tensor([[5.0, 1.0], [7.0, 9.0], [-2.0, -4.0]])
ONLINE_Q = torch.tensor([[0.0, 1.0], [2.0, 0.0], [3.0, 1.0]])


def test_targets_by_hand():
    got = dqn.q_targets(REWARDS, TARGET_Q, ENDS, discount=0.5)
    assert got.tolist() == [1 + 0.5 * 5, 2.0, 3 - 0.5 * 2]


def test_double_targets_by_hand():
    got = dqn.q_targets(REWARDS, TARGET_Q, ENDS, discount=0.5, online_q=ONLINE_Q)
    assert got.tolist() == [1 + 0.5 * 1, 2.0, 3 - 0.5 * 2]


def test_double_equals_plain_if_both_networks_agree():
    plain = dqn.q_targets(REWARDS, TARGET_Q, ENDS, discount=0.9)
    double = dqn.q_targets(REWARDS, TARGET_Q, ENDS, discount=0.9, online_q=TARGET_Q)
    assert torch.equal(plain, double)


def test_nan_behind_an_end_stays_out():
    values = TARGET_Q.clone()
    values[1] = math.nan
    assert dqn.q_targets(REWARDS, values, ENDS, discount=0.5).isfinite().all()
    assert dqn.q_targets(REWARDS, values, ENDS, discount=0.5, online_q=values).isfinite().all()


def test_no_gradient_flows_through_the_targets():
    values = TARGET_Q.clone().requires_grad_()
    assert not dqn.q_targets(REWARDS, values, ENDS, discount=0.5).requires_grad


# --- loss


def test_loss_by_hand():
    q = torch.tensor([[1.0, 5.0], [2.0, 0.0], [0.0, 3.0]])
    actions, targets = torch.tensor([1, 0, 1]), torch.tensor([4.5, 2.0, 7.0])
    assert dqn.q_loss(q, actions, targets, huber_delta=None).tolist() == [0.125, 0.0, 8.0]
    assert dqn.q_loss(q, actions, targets, huber_delta=2.0).tolist() == [0.125, 0.0, 2 * (4 - 1)]


@pytest.mark.parametrize("delta", [None, 0.7])
def test_gradient_of_the_loss(delta):
    rng = generator(2)
    q = torch.randn(6, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    actions = torch.randint(3, (6,), generator=rng)
    targets = 2 * torch.randn(6, generator=rng, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda q: dqn.q_loss(q, actions, targets, huber_delta=delta), (q,)
    )


@pytest.mark.parametrize("double", [False, True])
def test_batch_loss_transition_by_transition(double):
    config = replace(SMALL, double=double, huber_delta=0.5, reward_scale=0.1)
    online, target, batch = networks()["policy"].network, networks(seed=1)["target"], batch_of()
    got = dqn.batch_loss(online, target, batch, config)
    q, later = online(batch.observations), target(batch.next_observations)
    chooser = online(batch.next_observations) if double else later
    for k in range(3):
        total = 0.0
        for i in range(8):
            best = later[k, i, chooser[k, i].argmax()]
            value = 0.0 if batch.terminated[k, i] else batch.discounts[k, i] * best
            error = abs(q[k, i, batch.actions[k, i]] - 0.1 * batch.rewards[k, i] - value)
            total += error**2 / 2 if error <= 0.5 else 0.5 * (error - 0.25)
        torch.testing.assert_close(got[k], total / 8)


def test_dummy_steps_stay_out_of_the_loss():
    online, target, batch = networks()["policy"].network, networks(seed=1)["target"], batch_of()
    valid = torch.arange(8).expand(3, 8) < 5
    junk = batch.rewards.masked_fill(~valid, math.nan)
    got = dqn.batch_loss(online, target, batch._replace(rewards=junk, valid=valid), SMALL)
    want = dqn.batch_loss(online, target, Transitions(*(x[:, :5] for x in batch)), SMALL)
    torch.testing.assert_close(got, want)


def test_the_target_network_gets_no_gradient():
    nets = networks()
    online, target = nets["policy"].network, nets["target"]
    dqn.batch_loss(online, target, batch_of(), SMALL).sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in target.parameters())
    assert all(p.grad is not None for p in online.parameters())


# --- behaviour


def test_epsilon_greedy():
    policy = networks(runs=1)["policy"]
    seen = torch.randn(1, 1, 4, generator=generator(3)).expand(1, 50_000, 4)
    noise = policy.draw_noise(Streams(0, [0]), 50_000)
    best = policy.greedy(seen)[0, 0]
    for epsilon in (0.0, 0.4, 1.0):
        policy.epsilon = epsilon
        share = (policy.sample(seen, noise) == best).float().mean()
        assert share == pytest.approx(1 - epsilon / 2, abs=5 * 0.5 / math.sqrt(50_000))
    policy.epsilon = 0.0
    assert torch.equal(policy.sample(seen, noise), policy.greedy(seen))


def test_the_share_of_random_actions_falls_in_a_straight_line():
    config = dqn.Config(epsilon_start=0.9, epsilon_end=0.1, exploration_fraction=0.5)
    assert [config.epsilon(x) for x in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.9, 0.5, 0.1, 0.1])


# --- training


def parameters(result, name="policy"):
    return [p.detach() for p in result.networks[name].parameters()]


@pytest.mark.parametrize("options", [{}, {"double": True, "dueling": True}])
def test_run_3_alone_is_run_3_of_ten(monkeypatch, options):
    monkeypatch.setattr(torch.optim, "Adam", lambda p, lr: torch.optim.SGD(p, lr=lr))
    config = replace(SMALL, total_steps=640, learning_rate=0.1, **options)
    ten, one = train(config, num_runs=10, seed=5), train(config, run_ids=[3], seed=5)
    for name in ("policy", "target"):
        for all_runs, alone in zip(parameters(ten, name), parameters(one, name), strict=True):
            torch.testing.assert_close(all_runs[3:4], alone, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ten.evaluation_returns[3:4], one.evaluation_returns)
    start = dqn.make_networks(FourToTwo, config, Streams(5, [3]).spawn(0).generators)["policy"]
    moved = [(x - y).abs().max() for x, y in zip(parameters(one), start.parameters(), strict=True)]
    assert max(moved) > 1e-2  # it has learned something meanwhile


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, again, other = train(), train(), train(seed=1)
    assert all(map(torch.equal, parameters(first), parameters(again)))
    assert not torch.equal(parameters(first)[0], parameters(other)[0])


def test_the_target_network_follows():
    none = train(replace(SMALL, tau=1.0, target_period=1))
    assert all(map(torch.equal, parameters(none), parameters(none, "target")))
    late = train(replace(SMALL, tau=1.0, target_period=10**6))
    begun = train(replace(SMALL, tau=1.0, learning_starts=70, total_steps=70))
    assert all(map(torch.equal, parameters(late, "target"), parameters(begun)))
    slow = train(replace(SMALL, tau=0.01))
    gap = (parameters(slow)[0] - parameters(slow, "target")[0]).abs().max()
    assert 0 < gap < (parameters(slow)[0] - parameters(begun)[0]).abs().max()


@pytest.mark.parametrize("options", [{}, {"double": True, "dueling": True, "huber_delta": None}])
def test_it_learns_the_smallest_problem(options):
    config = replace(SMALL, learning_rate=0.02, reward_scale=1.0, **options)
    result = train(config, Echo, num_runs=3)
    assert (result.evaluate(episodes=50).returns == 1).all()
    corners = torch.eye(2).unsqueeze(0).expand(3, 2, 2)
    torch.testing.assert_close(
        result.networks["policy"](corners).detach(), corners.clone(), atol=0.1, rtol=0
    )


def test_learning_begins_when_enough_is_remembered():
    result = train(replace(SMALL, learning_starts=330, total_steps=335))  # 20 rollouts: 320
    assert result.log == {}
    result = train(replace(SMALL, learning_starts=160, total_steps=320))
    assert result.log["loss"].shape == result.log["value"].shape == (2, 11)


def test_a_nan_freezes_its_run_only(monkeypatch):
    poison = checks.poisoned(num_envs=4, after=100)
    checks.check_a_nan_freezes_its_run_only(dqn, SMALL, "CartPole-v1", poison, monkeypatch)


def test_an_interruption_or_an_error_keeps_what_was_learned(monkeypatch, tmp_path):
    """After 30 updates the memory of 400 has been overwritten from its beginning."""
    checks.check_an_interruption_loses_at_most_an_update(
        dqn, SMALL, monkeypatch, tmp_path, after=30
    )
    checks.check_an_error_keeps_what_was_learned(dqn, SMALL)


def test_a_run_without_a_finite_loss_is_frozen_and_named(monkeypatch):
    whole = dqn.batch_loss

    def poisoned(*args):
        return whole(*args) * torch.tensor([1.0, math.nan])

    monkeypatch.setattr(dqn, "batch_loss", poisoned)
    with pytest.warns(UserWarning, match="run 7 is frozen"):
        result = train(run_ids=[4, 7])
    assert list(result.frozen) == [7]
    monkeypatch.undo()
    alone = train(run_ids=[4])
    for both, one in zip(parameters(result), parameters(alone), strict=True):
        torch.testing.assert_close(both[:1], one)
    assert all(x.isfinite().all() for x in parameters(result))


def test_interrupting_returns_what_was_learned(monkeypatch):
    whole, calls = dqn.batch_loss, []

    def interrupted(*args):
        calls.append(0)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return whole(*args)

    monkeypatch.setattr(dqn, "batch_loss", interrupted)
    result = train()
    assert result.interrupted and result.log["loss"].shape == (2, 9)


def test_the_step_size_falls_where_it_is_wanted(monkeypatch):
    checks.check_the_step_size_falls_where_it_is_wanted(dqn, SMALL, monkeypatch)


def test_saved_and_continued(tmp_path):
    first = train()
    first.save(tmp_path / "dqn.safetensors")
    loaded = load_result(tmp_path / "dqn.safetensors", dqn)
    assert all(map(torch.equal, parameters(first), parameters(loaded)))
    saved = tmp_path / "dqn.safetensors"
    in_memory, *further = [train(resume=result) for result in (first, loaded, saved)]
    for other in further:
        assert all(map(torch.equal, parameters(in_memory), parameters(other)))
    assert further[0].env_steps[-1] == 2 * first.env_steps[-1]
    assert not torch.equal(parameters(further[0])[0], parameters(first)[0])


def test_one_run_is_an_ordinary_module():
    result = train()
    seen = torch.randn(2, 5, 4, generator=generator(4))
    torch.testing.assert_close(result.run(1)(seen[1]), result.networks["policy"](seen)[1])


# --- bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"total_steps": 0}, "total_steps"),
        ({"n_step": 0}, "n_step"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"tau": 1.5}, "tau"),
        ({"epsilon_end": -0.1}, "epsilon_end"),
        ({"exploration_fraction": 0.0}, "exploration_fraction"),
        ({"discount": 1.2}, "discount"),
        ({"huber_delta": 0.0}, "huber_delta"),
        ({"reward_scale": -1.0}, "reward_scale"),
        ({"learning_starts": 641}, "learning_starts"),
        ({"replay_capacity": 8, "learning_starts": 8}, "must hold a rollout of 16"),
        ({"activation": "softplus"}, "activation"),
    ],
)
def test_a_config_out_of_range(changes, message):
    with pytest.raises(ValueError, match=message):
        train(replace(SMALL, **changes))


@pytest.mark.parametrize(
    ("env", "options", "message"),
    [
        ("NoSuchTask-v0", {}, "NoSuchTask"),
        ("Pendulum-v1", {}, "finite number"),
        ("CartPole-v1", {"device": "cuda:99"}, "cuda:99"),
        ("CartPole-v1", {"run_ids": []}, "run"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(env, options, message):
    with pytest.raises(ValueError, match=message):
        train(env=env, **options)


def test_images_are_refused():
    class Picture(Echo):
        observation_space = gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)

    with pytest.raises(ValueError, match="8, 8, 3"):
        train(env=Picture)
