"""GAE of 64 environments x 2048 steps, float32, beside stable-baselines3, in one run.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_gae.py            # THREADS=2 for two threads

All are given the same rollout, in the memory layout that each prefers, and before each is timed,
its result is compared with slow code; nothing here asserts a time. Plain `pytest` does not collect
this file.
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


@pytest.fixture(scope="module")
def wanted(rollout) -> torch.Tensor:
    """A_t = delta_t + discount lambda A_{t+1}, and A_t = delta_t at an end: one step after another.

    Eq. (17.13), in Python's own numbers.
    """
    rows = []
    for r, v, after, ends, cuts in zip(*(x.tolist() for x in rollout), strict=True):
        row, A = [0.0] * T, 0.0
        for t in reversed(range(T)):
            delta = r[t] + (0.0 if ends[t] else DISCOUNT * after[t]) - v[t]
            A = row[t] = delta + (0.0 if ends[t] or cuts[t] else DISCOUNT * LAMBDA * A)
        rows.append(row)
    return torch.tensor(rows)


def check(got: torch.Tensor, wanted: torch.Tensor) -> None:
    """Sums of some 17 float32 numbers near 1, and in the loop of values near 10: 1e-5 apart."""
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def bench_scan(benchmark, rollout, wanted):
    """First compares the scan with the slow loop."""
    arguments = {"discount": DISCOUNT, "lambda_": LAMBDA}
    check(generalized_advantage_estimate(*rollout, **arguments), wanted)
    benchmark(generalized_advantage_estimate, *rollout, **arguments)


def bench_loop_over_time(benchmark, rollout, wanted):
    """lambda_returns - values: the same numbers, T steps one after another; first compared."""
    rewards, values, *rest = rollout
    arguments = {"discount": DISCOUNT, "lambda_": LAMBDA}
    loop = lambda: lambda_returns(rewards, *rest, **arguments) - values  # noqa: E731
    check(loop(), wanted)
    benchmark(loop)


def bench_stable_baselines3(benchmark, rollout, wanted):
    """First compares its advantages with the slow loop's."""
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
    arguments = next_values[:, -1], ends[-1]
    buffer.compute_returns_and_advantage(*arguments)
    check(torch.from_numpy(buffer.advantages).T, wanted)
    benchmark(buffer.compute_returns_and_advantage, *arguments)
