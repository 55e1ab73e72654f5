"""PPO on CartPole-v1: ten runs of ours beside one run of stable-baselines3.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_ppo.py -s

Each is a new Python process, and its imports count. The peer trains with the settings of its
"zoo", 100,000 steps; ours with those of chapter 16, 80,000. Both are judged alike: greedy, 100 new
episodes for each run, not timed. One thread. Before ours is timed, its first update is compared
with slow code; both must then learn. Nothing here asserts a time, and plain `pytest` does not
collect this file.
"""

import pytest
import torch
from cartpole_race import FLOAT32, ROLLOUT, calls_of, check_advantages, ours, peer, report
from test_ppo import slow_loss

from rlbook.deep import ppo

THREADS = 1
OURS = {"num_epochs": 4, "lambda_": 0.99}
PEER = """PPO(
    "MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=0), n_steps=32, batch_size=256,
    gae_lambda=0.8, gamma=0.98, n_epochs=20, ent_coef=0.0, learning_rate=lambda left: 1e-3 * left,
    clip_range=lambda left: 0.2 * left, seed=0, device="cpu",
)"""


def check_first_update(config: ppo.Config, k: int = 9) -> None:
    """The advantages of the first rollout, and the loss of its last minibatch, of run k of ten."""
    train = lambda: ppo.train("CartPole-v1", config, progress=False)  # noqa: E731
    names = "returns_and_advantages", "make_batch", "ppo_loss"
    advantages, batches, losses = calls_of(train, ppo, *names)
    assert len(losses) == config.num_epochs * config.num_minibatches
    slow = check_advantages(advantages[0], k).flatten()
    torch.testing.assert_close(batches[0].result.advantages[k], slow, **FLOAT32)
    policy, critic, batch, kl_coef, _ = losses[-1].args  # ratios are no longer 1
    batch, values = in_their_units(batch, batches[0].result.returns, critic)
    slow = slow_loss(policy, values, batch, float(kl_coef[k]), config, k)
    loss, _ = losses[-1].result
    torch.testing.assert_close(loss[k], slow, **FLOAT32)


def in_their_units(batch: ppo.RolloutBatch, returns: torch.Tensor, critic):
    """Returns in units of their standard deviation in the rollout, and the values in the same."""
    mean, std = returns.mean(1, keepdim=True), returns.std(1, correction=0, keepdim=True)
    scaled = batch._replace(returns=(batch.returns - mean) / std)
    return scaled, lambda observations: critic.network(observations).squeeze(-1)


@pytest.mark.parametrize("surrogate", ["clip", "penalty"])
def bench_ten_runs(benchmark, quick, surrogate):
    """First compares one update with the formulas, sample by sample; then trains."""
    check_first_update(ppo.Config(surrogate=surrogate, total_steps=ROLLOUT, num_evals=2, **OURS))
    steps = 8_192 if quick else 80_000
    program = ours("ppo", f"surrogate={surrogate!r}, **{OURS}", steps, threads=THREADS)
    report(benchmark, program, steps)


def bench_one_run_of_stable_baselines3(benchmark, quick):
    pytest.importorskip("stable_baselines3")
    steps = 10_000 if quick else 100_000
    report(benchmark, peer("stable_baselines3", "PPO", PEER, steps, threads=THREADS), steps)
