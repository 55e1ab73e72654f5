"""R x E control tasks in torch beside Gymnasium's vector environments, in one run.

    pip install -e ".[test]"
    pytest tests/benchmarks/bench_envs.py

Each steps 80 environments with actions drawn beforehand: ours as 10 runs of 8; Gymnasium's as one
SyncVectorEnv, CartPole's vector entry point too, which draws all its resets from one generator.
`extra_info` of each row (printed at the end) holds microseconds a step and steps per second of the
process's own CPU time, which a busy machine changes less, and of the wall clock. One thread.
Before each is timed, its transitions are compared with those of Gymnasium's single environment
from the same states. Nothing here asserts a time. Plain `pytest` does not collect this file.
"""

import time

import gymnasium as gym
import numpy as np
import pytest
import torch
from test_control_envs import plain_step

from rlbook.deep.parts.envs.make import make_envs
from rlbook.deep.parts.envs.physics import CONTROL_TASKS
from rlbook.ground.seeding import Streams

RUNS, ENVS, STEPS, SYNC_STEPS, ROUNDS = 10, 8, 1_000, 100, 5
NAMES = list(CONTROL_TASKS)
COMPARED = 20
"""Steps of each environment before it is timed: the first poles have fallen."""
EARLY = 5
"""Where the step after an end is a reset: nothing ends so early."""


def check(name: str, states, actions, observations, rewards, terminated) -> None:
    """One step of N environments is that of Gymnasium's own single one, from the same states.

    Args:
        states: (N, n) float64, before the step.
        actions: (N,) or (N, 1).
        observations, rewards, terminated: (N, obs), (N,), (N,), what came of it: float32.
    """
    env = gym.make(name)
    env.reset(seed=0)
    pairs = zip(torch.as_tensor(states), torch.as_tensor(actions), strict=True)
    _, seen, paid, ended = zip(*(plain_step(env, *pair) for pair in pairs), strict=True)
    float32 = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(observations, np.stack(seen), **float32)
    np.testing.assert_allclose(rewards, np.array(paid, dtype=float), **float32)
    np.testing.assert_array_equal(terminated, ended)


def check_native(name: str, envs, actions) -> None:
    """Some eighty of them; how they start and are cut is for tests/test_control_envs.py."""
    every = RUNS * envs.num_envs // 80
    for t in range(COMPARED):
        states = envs.get_state()
        step = envs.step(actions[t % len(actions)])
        fields = states, actions[t % len(actions)], *step[:2], step.next_observations
        states, acted, rewards, terminated, seen = (x.flatten(0, 1)[::every] for x in fields)
        check(name, states, acted, seen, rewards, terminated)


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
    """First compares its transitions with Gymnasium's, then times them."""
    envs, actions = native(name, RUNS, ENVS)
    check_native(name, envs, actions)
    measure(benchmark, envs.step, actions, STEPS)


@pytest.mark.parametrize("name", NAMES)
def bench_native_of_ten_thousand(benchmark, name):
    """First compares the transitions of eighty of them with Gymnasium's."""
    envs, actions = native(name, RUNS, 1_000)
    check_native(name, envs, actions)
    measure(benchmark, envs.step, actions, 50, RUNS * 1_000)


def vector(benchmark, name: str, mode: str, num_steps: int) -> None:
    envs = gym.make_vec(name, num_envs=RUNS * ENVS, vectorization_mode=mode)
    envs.reset(seed=0)
    drawn = [envs.action_space.sample() for _ in range(16)]
    for t in range(EARLY):
        states = states_of(envs.unwrapped)
        seen, rewards, terminated, _, _ = envs.step(drawn[t])
        check(name, states, drawn[t], seen, rewards, terminated)
    measure(benchmark, envs.step, drawn, num_steps)


def states_of(envs) -> np.ndarray:
    """(N, n) of Gymnasium's vector environments."""
    if hasattr(envs, "envs"):
        return np.array([env.unwrapped.state for env in envs.envs])
    return envs.state.T.copy()


@pytest.mark.parametrize("name", NAMES)
def bench_sync_vector_env(benchmark, name):
    """First compares it with the single environment: that both play the same task."""
    vector(benchmark, name, "sync", SYNC_STEPS)


def bench_vector_entry_point(benchmark):
    """First compares it with the single environment."""
    vector(benchmark, "CartPole-v1", "vector_entry_point", STEPS)


def bench_wrapper_of_the_vector_entry_point(benchmark):
    """Ours around it, one for each run; first compared with the single environment.

    What CartPole observes is its state, in float32.
    """
    envs = make_envs("CartPole-v1", num_envs=ENVS, streams=Streams(0, range(RUNS)), native=False)
    states, actions = envs.reset(), torch.randint(0, 2, (16, RUNS, ENVS))
    for t in range(EARLY):
        step = envs.step(actions[t])
        fields = states, actions[t], step.next_observations, step.rewards, step.terminated
        check("CartPole-v1", *(x.flatten(0, 1) for x in fields))
        states = step.observations
    measure(benchmark, envs.step, actions, SYNC_STEPS)
