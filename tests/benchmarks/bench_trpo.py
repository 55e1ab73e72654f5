"""TRPO on CartPole-v1: ten runs of ours beside one run of sb3-contrib.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_trpo.py -s

Each is a new Python process, and its imports count. The peer trains with the settings of its
"zoo", 100,000 steps; ours with the defaults of `trpo.Config`. Both are judged alike: greedy, 100
new episodes for each run, not timed. Two threads. Before ours is timed, its first update is
compared with dense matrices; both must then learn. Nothing here asserts a time, and plain `pytest`
does not collect this file.
"""

from dataclasses import fields, replace

import pytest
import torch
from cartpole_race import FLOAT32, ROLLOUT, calls_of, check_advantages, ours, peer, report
from test_trpo import dense_step

from rlbook.deep import trpo
from rlbook.deep.parts.rollouts import Rollout

THREADS = 2
PEER = """TRPO(
    "MlpPolicy", make_vec_env("CartPole-v1", n_envs=2, seed=0), n_steps=512, batch_size=512,
    cg_damping=1e-3, gae_lambda=0.98, gamma=0.99, learning_rate=1e-3, n_critic_updates=20,
    seed=0, device="cpu",
)"""


def first_update(config: trpo.Config, k: int):
    """The call of update_policy for the first rollout, once run k's advantages are compared."""
    config = replace(config, total_steps=ROLLOUT)
    train = lambda: trpo.train("CartPole-v1", config, progress=False)  # noqa: E731
    advantages, updates = calls_of(train, trpo, "returns_and_advantages", "update_policy")
    slow = check_advantages(advantages[0], k)
    torch.testing.assert_close(updates[0].args[2][k], slow, **FLOAT32)
    return updates[0]


def check_what_a_step_says(k: int = 9) -> None:
    """Of run k of ten: the KL and the gain of its step, from its networks before and after."""
    (policy, rollout, advantages, config, _), (search, _) = first_update(trpo.Config(), k)
    states, actions = rollout.observations[k], rollout.actions[k]
    old = torch.distributions.Categorical(logits=policy.run(k)(states))
    new = trpo.named_parameters(policy, search.parameters)
    policy.load_state_dict(new, strict=False)
    new = torch.distributions.Categorical(logits=policy.run(k)(states))
    kl = torch.distributions.kl_divergence(old, new).mean()
    ratio = (new.log_prob(actions) - old.log_prob(actions)).exp()
    gain = ((ratio - 1) * advantages[k]).mean()
    torch.testing.assert_close(search.kl[k], kl, rtol=1e-2, atol=1e-5)  # a difference of logs
    torch.testing.assert_close(search.improvement[k], gain, rtol=1e-3, atol=1e-5)
    assert 0 < kl <= config.max_kl and gain > 0


def check_against_dense_matrices(k: int = 9) -> None:
    """The same step, of a network of four units whose Hessian can be written down and solved."""
    small = trpo.Config(hidden_sizes=(4,), cg_iterations=100)
    policy, rollout, advantages, config, _ = first_update(small, k).args
    policy, rollout, advantages = policy.double(), in_double(rollout), advantages.double()
    wanted, kl, fraction = dense_step(policy, rollout, advantages, config, k)
    search, _ = trpo.update_policy(policy, rollout, advantages, config)
    found = policy.log_prob(rollout.observations, rollout.actions)[k].flatten()
    wanted = wanted.log_prob(rollout.actions[k].flatten())
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert float(search.kl[k]) == pytest.approx(float(kl), rel=1e-4)
    assert float(search.fraction[k]) == pytest.approx(fraction)


def in_double(rollout: Rollout) -> Rollout:
    """Conjugate gradients magnify rounding."""
    found = {field.name: getattr(rollout, field.name) for field in fields(rollout)}
    found = {name: x.double() if x.is_floating_point() else x for name, x in found.items()}
    return Rollout(**found)


def bench_ten_runs(benchmark, quick):
    """First compares one update with dense matrices and with its own networks; then trains."""
    check_what_a_step_says()
    check_against_dense_matrices()
    steps, threads = (8_192, 1) if quick else (trpo.Config().total_steps, THREADS)
    report(benchmark, ours("trpo", "", steps, threads=threads), steps)


def bench_one_run_of_sb3_contrib(benchmark, quick):
    pytest.importorskip("sb3_contrib")
    steps, threads = (20_000, 1) if quick else (100_000, THREADS)
    report(benchmark, peer("sb3_contrib", "TRPO", PEER, steps, threads=threads), steps)
