"""REINFORCE on CartPole-v1: ten runs at once beside one run in plain PyTorch and Gymnasium.

    pytest tests/benchmarks/bench_reinforce.py -s

The usual peer, stable-baselines3, has no REINFORCE. The plain loop is what tutorials show: one
environment, one action at a time, an update after 16 episodes, without a learned baseline; it
stops after as many episodes as each of ours. Before each is timed, its first loss is compared with
slow code; then its episodes must become longer. Nothing here asserts a time. Plain `pytest` does
not collect this file.
"""

import time

import gymnasium
import pytest
import torch
from cartpole_race import FLOAT32, calls_of
from torch import nn

from rlbook.deep import reinforce
from rlbook.deep.parts.networks import run_module

THREADS, EPISODES = 2, 320


@pytest.fixture(autouse=True)
def threads(quick):
    before = torch.get_num_threads()
    torch.set_num_threads(1 if quick else THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def episodes(quick) -> int:
    """Multiples of 16."""
    return EPISODES // 2 if quick else EPISODES


def report(benchmark, train) -> None:
    """`train` returns how long its episodes were, and how many runs share an episode's mean.

    First asserts that they became longer: 22 steps are what random actions get.
    """
    began = time.perf_counter()

    def run():
        lengths, runs = train()
        seconds = time.perf_counter() - began
        first, last = (sum(x) / len(x) for x in (lengths[:16], lengths[-48:]))
        assert last > 1.5 * first, f"episodes of {first:.0f} steps have become ones of {last:.0f}"
        return round(runs * sum(lengths)), seconds

    steps, seconds = benchmark.pedantic(run, rounds=1)
    benchmark.extra_info["steps_per_second"] = round(steps / seconds)
    print(f"\n{benchmark.name}: {steps:,} steps, {seconds:.1f} s, {steps / seconds:,.0f} steps/s")


def returns_of(rewards: list[float], discount: float = 0.99) -> list[float]:
    """G_t = sum_k discount^k r_{t+k} of one episode."""
    T = len(rewards)
    return [sum(discount**k * rewards[t + k] for k in range(T - t)) for t in range(T)]


def check_first_update(config: reinforce.Config, k: int = 9) -> None:
    """The loss of the first 16 episodes of run k of ten, as one agent's, one after another."""
    train = lambda: reinforce.train("CartPole-v1", config, progress=False)  # noqa: E731
    (based,), (update,) = calls_of(train, reinforce, "baseline", "policy_loss")
    policy, rollout, weights = update.args
    kind, critic, *_ = based.args
    network, critic, loss = policy.run(k), run_module(critic, k), 0.0
    for e in range(config.num_envs):
        T = int(rollout.valid[k, e].sum())
        seen, actions = rollout.observations[k, e, :T], rollout.actions[k, e, :T]
        ended = rollout.terminated[k, e, :T] | rollout.truncated[k, e, :T]
        assert ended.tolist() == [False] * (T - 1) + [True]
        A = torch.tensor(returns_of([1.0] * T))
        A = A - critic(seen)[:, 0].detach() if kind == "value" else A
        torch.testing.assert_close(weights[k, e, :T], A, **FLOAT32)
        log_pi = network(seen).log_softmax(-1)[range(T), actions]
        loss = loss - (A * log_pi).sum() / config.num_envs
    torch.testing.assert_close(update.result[k], loss, **FLOAT32)


@pytest.mark.parametrize("kind", ["none", "value"])
def bench_ten_runs(benchmark, episodes, kind):
    """First compares one loss with the equation, episode by episode; then trains."""
    settings = {"baseline": kind, "num_evals": 2}
    check_first_update(reinforce.Config(total_episodes=16, **settings))

    def train():
        config = reinforce.Config(total_episodes=episodes, **settings)
        result = reinforce.train("CartPole-v1", config, num_runs=10, progress=False)
        lengths = result.log["episode_return"].mean(0).repeat(16)  # each step pays 1
        assert abs(sum(lengths) - result.env_steps[-1]) <= len(lengths)
        return lengths.tolist(), 10

    report(benchmark, train)


def bench_one_run_in_a_plain_loop(benchmark, episodes):
    """First compares one loss with the equation, step by step; then trains."""
    env = gymnasium.make("CartPole-v1")
    check_plain_loss(env)

    def train():
        torch.manual_seed(0)
        env.reset(seed=0)
        lengths, policy = [], plain_policy()
        optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
        for _ in range(episodes // 16):
            loss = 0.0
            for _ in range(16):
                log_probs = play(env, policy)
                lengths.append(len(log_probs))
                loss = loss + plain_loss(log_probs) / 16
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return lengths, 1

    report(benchmark, train)


def plain_policy() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))


def plain_loss(log_probs: torch.Tensor) -> torch.Tensor:
    returns = (1 - 0.99 ** torch.arange(len(log_probs), 0, -1)) / 0.01  # all rewards are 1
    return -(returns * log_probs).sum()


def check_plain_loss(env) -> None:
    log_probs = play(env, plain_policy()).detach()
    returns = torch.tensor(returns_of([1.0] * len(log_probs)))
    slow = -sum(G * log_pi for G, log_pi in zip(returns, log_probs, strict=True))
    torch.testing.assert_close(plain_loss(log_probs), slow, **FLOAT32)


def play(env, policy) -> torch.Tensor:
    """log pi of each action of an episode."""
    observation, _ = env.reset()
    log_probs, over = [], False
    while not over:
        logits = policy(torch.as_tensor(observation))
        distribution = torch.distributions.Categorical(logits=logits)
        action = distribution.sample()
        log_probs.append(distribution.log_prob(action))
        observation, _, terminated, truncated, _ = env.step(int(action))
        over = terminated or truncated
    return torch.stack(log_probs)
