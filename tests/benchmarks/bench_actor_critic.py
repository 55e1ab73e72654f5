"""A2C on CartPole-v1: ten runs of ours beside one run of stable-baselines3.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_actor_critic.py -s

Each is a new Python process, and its imports count. The peer trains with the settings of its
"zoo", 500,000 steps; ours with the defaults of `actor_critic.Config`. Both are judged alike:
greedy, 100 new episodes for each run, not timed. Two threads. Before ours is timed, its first
update is compared with slow code; both must then learn. Nothing here asserts a time, and plain
`pytest` does not collect this file.
"""

from dataclasses import replace

import pytest
import torch
from cartpole_race import FLOAT32, calls_of, check_advantages, ours, peer, report

from rlbook.deep import actor_critic

THREADS = 2
PEER = """A2C(
    "MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=0), ent_coef=0.0, seed=0, device="cpu"
)"""


def check_first_update(config: actor_critic.Config, k: int = 9) -> None:
    """The advantages and both losses of the first rollout, of run k of ten, as one agent's."""
    config = replace(config, total_steps=config.num_envs * config.rollout_steps)
    train = lambda: actor_critic.train("CartPole-v1", config, progress=False)  # noqa: E731
    names = "returns_and_advantages", "actor_loss", "critic_loss"
    (advantages,), (actor,), (critic,) = calls_of(train, actor_critic, *names)
    policy, rollout, weights, entropy_coef = actor.args
    slow_weights = check_advantages(advantages, k)
    torch.testing.assert_close(weights[k], slow_weights, **FLOAT32)

    pi = torch.distributions.Categorical(logits=policy.run(k)(rollout.observations[k]))
    losses = -slow_weights * pi.log_prob(rollout.actions[k]) - entropy_coef * pi.entropy()
    torch.testing.assert_close(actor.result[k], losses.mean(), **FLOAT32)

    model, rollout, returns = critic.args
    errors = (model(rollout.observations)[k] - returns[k]) / returns[k].std(correction=0)
    torch.testing.assert_close(critic.result[k], errors.square().mean() / 2, **FLOAT32)


def bench_ten_runs(benchmark, quick):
    """First compares one update with the formulas, for one agent; then trains."""
    config = actor_critic.Config()
    check_first_update(config)
    steps, threads = (20_480, 1) if quick else (config.total_steps, THREADS)
    report(benchmark, ours("actor_critic", "", steps, threads=threads), steps)


def bench_one_run_of_stable_baselines3(benchmark, quick):
    pytest.importorskip("stable_baselines3")
    steps, threads = (50_000, 1) if quick else (500_000, THREADS)
    report(benchmark, peer("stable_baselines3", "A2C", PEER, steps, threads=threads), steps)
