"""Q-learning of 1,024 learners at once beside the plain loop over one, in one run.

    pip install -e ".[test]"
    pytest tests/benchmarks/bench_tabular.py

`extra_info` of each row (printed at the end) holds million steps per second: of the process's
own CPU time, which a busy machine changes less, and of the wall clock. One thread is used.
Before each is timed, its transitions are compared with Gymnasium's tables and its values with one
update after another in plain Python. Nothing here asserts a time. Plain `pytest` does not collect
this file.
"""

import random
import resource
import time
from dataclasses import replace
from functools import partial

import gymnasium as gym
import pytest
import torch
from test_tabular_control import plain_update

from rlbook.tabular import ControlConfig, q_learning, sarsa
from rlbook.tabular.control_loop import ControlLoop
from rlbook.tabular.tasks import tabular_task

DISCOUNT, STEP_SIZE, EPSILON = 0.99, 0.1, 0.1
RUNS, STEPS, PLAIN_STEPS, ROUNDS = 1024, 2_000, 20_000, 5
NAMES = ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"]
COMPARED, SOME_RUNS = 1_500, (0, 1, 511, 1023)
"""Steps, and the runs of which they are compared."""


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


class Recorder(gym.Wrapper):
    """Keeps (s, a, r, s', terminated, truncated, 0) of each step."""

    def reset(self, **options):
        self.state, info = self.env.reset(**options)
        self.steps = getattr(self, "steps", [])
        return self.state, info

    def step(self, action):
        following, reward, *flags, info = self.env.step(action)
        self.steps.append((self.state, action, float(reward), following, *flags, 0))
        self.state = following
        return following, reward, *flags, info


def record(learner, task, num_runs: int, runs, config):
    """Train so many runs for COMPARED steps: the result, and the steps of each of `runs`."""
    steps, real = {k: [] for k in runs}, ControlLoop.steps

    def recording(self, q, **options):
        for step in real(self, q, **options):
            no_action = torch.zeros_like(step.actions)
            a2 = step.next_actions if len(step.next_actions) else no_action
            for k in runs:
                steps[k].append(tuple(x[k].item() for x in (*step[:6], a2)))
            yield step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ControlLoop, "steps", recording)
        config = replace(config, num_steps=COMPARED)
        result = learner(task, config, num_runs=num_runs, progress=False)
    return result, steps


def check(learner, name: str, task, num_runs: int, runs, config) -> None:
    """Each step is one that Gymnasium knows; each table is that of its steps, one after another."""
    result, steps = record(learner, task, num_runs, runs, config)
    table, end = gym.make(name).unwrapped.P, task.mdp.num_states - 1
    learned = False
    for k in runs:
        for s, a, r, following, terminated, *_ in steps[k]:
            known = [(end if done else s2, paid, done) for p, s2, paid, done in table[s][a] if p]
            assert (following, r, terminated) in known, (name, s, a, following, r)
        for (*_, s2, ended, cut, a2), (s, a, *_) in zip(steps[k], steps[k][1:], strict=False):
            assert ended or cut or s2 == s and (learner is not sarsa or a2 == a)
        alpha, epsilon = config.step_size, config.epsilon
        slow = plain_update(learner.__name__, task.mdp, steps[k], alpha, epsilon, 0.0)
        torch.testing.assert_close(result.q[k], slow, rtol=0, atol=1e-12)
        learned |= bool(slow.any())
    assert learned, "no goal was found: the tables compared are empty"
    assert len({str(steps[k]) for k in runs}) == len(runs), "runs that should differ are the same"


def check_plain(env, name: str) -> None:
    """The plain loop's table is that of its steps, too."""
    recorder = Recorder(env)
    q = plain_q_learning(recorder, COMPARED)
    task = tabular_task(name, discount=DISCOUNT)
    slow = plain_update("q_learning", task.mdp, recorder.steps, STEP_SIZE, EPSILON, 0.0)
    torch.testing.assert_close(torch.tensor(q, dtype=slow.dtype), slow[:-1], rtol=0, atol=1e-12)


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


@pytest.fixture(scope="module")
def shorter(quick) -> int:
    return 20 if quick else 1


@pytest.mark.parametrize("name", NAMES)
def bench_many_learners(benchmark, name, shorter):
    """First compares four of the learners with plain updates."""
    task, steps = tabular_task(name, discount=DISCOUNT), STEPS // shorter
    config = ControlConfig(num_steps=steps, step_size=STEP_SIZE, epsilon=EPSILON)
    check(q_learning, name, task, RUNS, SOME_RUNS, config)
    run = partial(q_learning, task, config, num_runs=RUNS, progress=False)
    measure(benchmark, run, RUNS * steps)


@pytest.mark.parametrize("name", NAMES)
def bench_plain_loop(benchmark, name, shorter):
    """First compares it with plain updates along its steps."""
    env, steps = gym.make(name), PLAIN_STEPS // shorter
    check_plain(env, name)
    measure(benchmark, lambda: plain_q_learning(env, steps), steps)


def bench_sarsa_of_a_hundred(benchmark, shorter):
    """First compares three of the learners with plain updates."""
    name, steps = "CliffWalking-v1", 5_000 // shorter
    task = tabular_task(name, discount=1.0)
    config = ControlConfig(num_steps=steps, step_size=0.5, epsilon=EPSILON)
    check(sarsa, name, task, 100, (0, 1, 99), config)
    run = partial(sarsa, task, config, num_runs=100, progress=False)
    measure(benchmark, run, 100 * steps)
