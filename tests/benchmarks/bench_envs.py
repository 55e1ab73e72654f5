"""R x E control tasks in torch beside Gymnasium's vector environments, in one run.

    pip install -e ".[test]"
    pytest tests/benchmarks/bench_envs.py

Each steps 80 environments with actions drawn beforehand: ours as 10 runs of 8; Gymnasium's as one
SyncVectorEnv, CartPole's vector entry point too, which draws all its resets from one generator.
`extra_info` of each row (printed at the end) holds microseconds a step and steps per second of the
process's own CPU time, which a busy machine changes less, and of the wall clock. One thread.
Nothing here asserts a time. Plain `pytest` does not collect this file.
"""

import time

import gymnasium as gym
import pytest
import torch

from rlbook.deep.parts.envs.make import make_envs
from rlbook.deep.parts.envs.physics import CONTROL_TASKS
from rlbook.ground.seeding import Streams

RUNS, ENVS, STEPS, SYNC_STEPS, ROUNDS = 10, 8, 1_000, 100, 5
NAMES = list(CONTROL_TASKS)


def measure(benchmark, step, actions, num_steps: int, num_envs: int = RUNS * ENVS) -> None:
    """Time num_steps steps in rounds, and note the best of each clock."""
    seconds = []

    def timed():
        cpu, wall = time.process_time(), time.perf_counter()
        for t in range(num_steps):
            step(actions[t % len(actions)])
        seconds.append((time.process_time() - cpu, time.perf_counter() - wall))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    benchmark.pedantic(timed, rounds=ROUNDS, warmup_rounds=1)
    torch.set_num_threads(threads)
    for clock, best in zip(("CPU", "wall"), map(min, zip(*seconds, strict=True)), strict=True):
        micro, rate = best / num_steps * 1e6, num_envs * num_steps / best
        benchmark.extra_info[f"{clock}: microseconds a step"] = round(micro, 1)
        benchmark.extra_info[f"{clock}: steps per second"] = round(rate)
        print(f"\n{benchmark.name}, {clock}: {micro:,.0f} us a step, {rate:,.0f} steps/s", end="")


def native(name: str, num_runs: int, num_envs: int):
    envs = make_envs(name, num_envs=num_envs, streams=Streams(0, range(num_runs)))
    envs.reset()
    if envs.num_actions is None:
        return envs, 2 * torch.rand(16, num_runs, num_envs, 1) - 1
    return envs, torch.randint(0, envs.num_actions, (16, num_runs, num_envs))


@pytest.mark.parametrize("name", NAMES)
def bench_native(benchmark, name):
    envs, actions = native(name, RUNS, ENVS)
    measure(benchmark, envs.step, actions, STEPS)


@pytest.mark.parametrize("name", NAMES)
def bench_native_of_ten_thousand(benchmark, name):
    envs, actions = native(name, RUNS, 1_000)
    measure(benchmark, envs.step, actions, 50, RUNS * 1_000)


def vector(benchmark, name: str, mode: str, num_steps: int) -> None:
    envs = gym.make_vec(name, num_envs=RUNS * ENVS, vectorization_mode=mode)
    envs.reset(seed=0)
    measure(benchmark, envs.step, [envs.action_space.sample() for _ in range(16)], num_steps)


@pytest.mark.parametrize("name", NAMES)
def bench_sync_vector_env(benchmark, name):
    vector(benchmark, name, "sync", SYNC_STEPS)


def bench_vector_entry_point(benchmark):
    vector(benchmark, "CartPole-v1", "vector_entry_point", STEPS)


def bench_wrapper_of_the_vector_entry_point(benchmark):
    """Ours around it, one for each run."""
    envs = make_envs("CartPole-v1", num_envs=ENVS, streams=Streams(0, range(RUNS)), native=False)
    envs.reset()
    measure(benchmark, envs.step, torch.randint(0, 2, (16, RUNS, ENVS)), SYNC_STEPS)
