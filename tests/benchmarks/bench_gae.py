"""GAE of 64 environments x 2048 steps, float32, beside stable-baselines3, in one run.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_gae.py            # THREADS=2 for two threads

All are given the same rollout, in the memory layout that each prefers, and their results are
compared; nothing here asserts a time. Plain `pytest` does not collect this file.
"""

import os

import numpy as np
import pytest
import torch

from rlbook.formulas.returns import generalized_advantage_estimate, lambda_returns

E, T, DISCOUNT, LAMBDA = 64, 2048, 0.99, 0.95


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def rollout():
    """Rewards, values, next values and both flags, (E, T); a termination in 1 of 100 steps."""
    rng = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(2, E, T, generator=rng)
    last_values = torch.randn(E, generator=rng)
    next_values = torch.cat([values[:, 1:], last_values[:, None]], dim=1)
    terminated = torch.rand(E, T, generator=rng) < 0.01
    return rewards, values, next_values, terminated, torch.zeros_like(terminated)


def bench_scan(benchmark, rollout):
    arguments = {"discount": DISCOUNT, "lambda_": LAMBDA}
    benchmark(generalized_advantage_estimate, *rollout, **arguments)


def bench_loop_over_time(benchmark, rollout):
    """lambda_returns - values: the same numbers, T steps one after another."""
    rewards, values, *rest = rollout
    arguments = {"discount": DISCOUNT, "lambda_": LAMBDA}
    got = benchmark(lambda: lambda_returns(rewards, *rest, **arguments) - values)
    want = generalized_advantage_estimate(*rollout, **arguments)
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


def bench_stable_baselines3(benchmark, rollout):
    spaces = pytest.importorskip("gymnasium.spaces")
    buffers = pytest.importorskip("stable_baselines3.common.buffers")
    rewards, values, next_values, terminated, _ = rollout
    space = spaces.Box(-1, 1, (1,))
    buffer = buffers.RolloutBuffer(
        T, space, space, "cpu", gae_lambda=LAMBDA, gamma=DISCOUNT, n_envs=E
    )
    buffer.rewards, buffer.values = (x.T.contiguous().numpy() for x in (rewards, values))
    ends = terminated.T.contiguous().numpy().astype(np.float32)
    buffer.episode_starts = np.concatenate([np.zeros((1, E), np.float32), ends[:-1]])
    benchmark(buffer.compute_returns_and_advantage, next_values[:, -1], ends[-1])
    want = generalized_advantage_estimate(*rollout, discount=DISCOUNT, lambda_=LAMBDA)
    got = torch.from_numpy(buffer.advantages).T
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)
