"""Q-learning of 1,024 learners at once beside the plain loop over one, in one run.

    pip install -e ".[test]"
    pytest tests/benchmarks/bench_tabular.py

`extra_info` of each row (printed at the end) holds million steps per second: of the process's
own CPU time, which a busy machine changes less, and of the wall clock. One thread is used.
Nothing here asserts a time. Plain `pytest` does not collect this file.
"""

import random
import resource
import time

import gymnasium as gym
import pytest
import torch

from rlbook.tabular import q_learning, sarsa
from rlbook.tabular.tasks import tabular_task

DISCOUNT, STEP_SIZE, EPSILON = 0.99, 0.1, 0.1
RUNS, STEPS, PLAIN_STEPS, ROUNDS = 1024, 2_000, 20_000, 5
NAMES = ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"]


def plain_q_learning(env, num_steps: int) -> list[list[float]]:
    """One learner, one step after another, as every introduction writes it."""
    S, A = env.observation_space.n, env.action_space.n
    q = [[0.0] * A for _ in range(S)]
    state, _ = env.reset(seed=0)
    for _ in range(num_steps):
        if random.random() < EPSILON:
            action = random.randrange(A)
        else:
            best = max(q[state])
            action = random.choice([a for a in range(A) if q[state][a] == best])
        following, reward, terminated, truncated, _ = env.step(action)
        target = reward + (0.0 if terminated else DISCOUNT * max(q[following]))
        q[state][action] += STEP_SIZE * (target - q[state][action])
        state = env.reset()[0] if terminated or truncated else following
    return q


def measure(benchmark, run, steps: int) -> None:
    """Time `run` in rounds, and note the best rate of each clock."""
    rates = []

    def timed():
        cpu, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        run()
        after = resource.getrusage(resource.RUSAGE_SELF)
        used = after.ru_utime - cpu.ru_utime + after.ru_stime - cpu.ru_stime
        rates.append((steps / used / 1e6, steps / (time.perf_counter() - wall) / 1e6))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    benchmark.pedantic(timed, rounds=ROUNDS, warmup_rounds=1)
    torch.set_num_threads(threads)
    best = [max(column) for column in zip(*rates, strict=True)]
    benchmark.extra_info["million steps per CPU second"] = round(best[0], 3)
    benchmark.extra_info["million steps per second"] = round(best[1], 3)
    print(f"\n{benchmark.name}: {best[0]:.2f} million steps per CPU second, {best[1]:.2f} by clock")


@pytest.mark.parametrize("name", NAMES)
def bench_many_learners(benchmark, name):
    task = tabular_task(name, discount=DISCOUNT)
    settings = {"step_size": STEP_SIZE, "epsilon": EPSILON, "progress": False}
    measure(
        benchmark,
        lambda: q_learning(task, num_runs=RUNS, num_steps=STEPS, **settings),
        RUNS * STEPS,
    )


@pytest.mark.parametrize("name", NAMES)
def bench_plain_loop(benchmark, name):
    env = gym.make(name)
    measure(benchmark, lambda: plain_q_learning(env, PLAIN_STEPS), PLAIN_STEPS)


def bench_sarsa_of_a_hundred(benchmark):
    task = tabular_task("CliffWalking-v1", discount=1.0)
    settings = {"step_size": 0.5, "epsilon": EPSILON, "progress": False}
    measure(benchmark, lambda: sarsa(task, num_runs=100, num_steps=5_000, **settings), 500_000)
