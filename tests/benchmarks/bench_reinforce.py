"""REINFORCE on CartPole-v1: ten runs at once beside one run in plain PyTorch and Gymnasium.

    pytest tests/benchmarks/bench_reinforce.py -s

The usual peer, stable-baselines3, has no REINFORCE. The plain loop is what tutorials show: one
environment, one action at a time, an update after 16 episodes, without a learned baseline; it
stops after as many episodes as each of ours. Nothing here asserts a time. Plain `pytest` does not
collect this file.
"""

import time

import gymnasium
import pytest
import torch
from torch import nn

from rlbook.deep import reinforce

THREADS, EPISODES = 2, 320


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


def report(benchmark, train) -> None:
    """`train` returns the environment steps that it took."""
    began = time.perf_counter()
    steps = benchmark.pedantic(train, rounds=1)
    seconds = time.perf_counter() - began
    benchmark.extra_info["steps_per_second"] = round(steps / seconds)
    print(f"\n{benchmark.name}: {steps:,} steps, {seconds:.1f} s, {steps / seconds:,.0f} steps/s")


@pytest.mark.parametrize("kind", ["none", "value"])
def bench_ten_runs(benchmark, kind):
    def train():
        config = reinforce.Config(total_episodes=EPISODES, baseline=kind, num_evals=2)
        result = reinforce.train("CartPole-v1", config, num_runs=10, progress=False)
        return 10 * int(result.env_steps[-1])

    report(benchmark, train)


def bench_one_run_in_a_plain_loop(benchmark):
    def train():
        torch.manual_seed(0)
        env, steps = gymnasium.make("CartPole-v1"), 0
        policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
        optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
        for _ in range(EPISODES // 16):
            loss = 0.0
            for _ in range(16):
                log_probs, length = play(env, policy)
                steps += length
                returns = (1 - 0.99 ** torch.arange(length, 0, -1)) / 0.01  # all rewards are 1
                loss = loss - (returns * log_probs).sum() / 16
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return steps

    report(benchmark, train)


def play(env, policy) -> tuple[torch.Tensor, int]:
    observation, _ = env.reset()
    log_probs, over = [], False
    while not over:
        logits = policy(torch.as_tensor(observation))
        distribution = torch.distributions.Categorical(logits=logits)
        action = distribution.sample()
        log_probs.append(distribution.log_prob(action))
        observation, _, terminated, truncated, _ = env.step(int(action))
        over = terminated or truncated
    return torch.stack(log_probs), len(log_probs)
