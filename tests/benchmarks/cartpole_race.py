"""CartPole-v1 in a new Python process: the time to the end of a training, imports included, and
how many of its runs are solved. A program trains, and prints when it was done and its returns.

Here, too, is what is compared before: the calls of a training's functions, with slow code.
"""

import copy
import json
import subprocess
import sys
import time
from typing import Any, NamedTuple

import pytest
import torch
from test_scans import plain_gae

EPISODES, ROLLOUT = 100, 1024
"""Of the judgement of each run; and the most environment steps of a rollout, ours or a peer's."""
FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}
"""Sums of some hundred float32 numbers near 1, in another order: 1e-6 apart; a mistake is more."""


class Call(NamedTuple):
    """Of a function: its arguments, as they were before it, and what it returned."""

    args: tuple
    result: Any


def calls_of(train, module, *names: str) -> list[list[Call]]:
    """train() -> for each of these functions of a module, its calls in this training."""
    calls: list[list[Call]] = [[] for _ in names]
    with pytest.MonkeyPatch.context() as patch:
        for name, seen in zip(names, calls, strict=True):
            patch.setattr(module, name, _watched(getattr(module, name), seen))
        train()
    return calls


def _watched(function, seen: list[Call]):
    def watched(*args):
        before = copy.deepcopy(args)
        seen.append(Call(before, function(*args)))
        return seen[-1].result

    return watched


def check_advantages(call: Call, k: int) -> torch.Tensor:
    """What `returns_and_advantages` found for run k is the average of all n-step advantages.

    Returns:
        The advantages (E, T), standardised over the run.
    """
    (critic, rollout, config), (returns, advantages) = call
    values, next_values = critic(rollout.observations), critic(rollout.next_observations)
    fields = rollout.rewards, values, next_values, rollout.terminated, rollout.truncated
    rows = zip(*(x[k].tolist() for x in fields), strict=True)
    slow = [plain_gae(*row, config.discount, config.lambda_) for row in rows]
    slow = torch.stack(slow).float()  # (E, T)
    torch.testing.assert_close(advantages[k], slow, rtol=1e-4, atol=1e-3)  # sums of up to 100
    torch.testing.assert_close(returns[k], slow + values[k], rtol=1e-4, atol=1e-3)
    return (slow - slow.mean()) / slow.std(correction=0)


def ours(agent: str, config: str, steps: int, *, threads: int) -> str:
    """A program that trains ten runs of rlbook.deep.<agent> with this Config."""
    return f"""
import json, time, torch
torch.set_num_threads({threads})
from rlbook.deep import {agent}
config = {agent}.Config(total_steps={steps}, num_evals=2, {config})
result = {agent}.train("CartPole-v1", config, progress=False)
trained = time.time()
returns = result.evaluate(episodes={EPISODES}).returns.mean(1).tolist()
print(json.dumps([trained, int(result.env_steps[-1]), returns]))
"""


def peer(package: str, agent: str, model: str, steps: int, *, threads: int) -> str:
    """A program that trains `model`, an expression, a stable-baselines3 agent: one run."""
    return f"""
import json, time, torch
torch.set_num_threads({threads})
from {package} import {agent}
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
model = {model}
model.learn({steps})
trained = time.time()
env = make_vec_env("CartPole-v1", n_envs=10, seed=1_000_000)
mean, _ = evaluate_policy(model, env, n_eval_episodes={EPISODES}, deterministic=True)
print(json.dumps([trained, model.num_timesteps, [float(mean)]]))
"""


def report(benchmark, program: str, steps: int) -> None:
    """From the start of the process to the end of the training, and how many runs it solved.

    First asserts that the training took as many steps as it should, and was worth it.
    """
    began = time.time()

    def run():
        command = [sys.executable, "-c", program]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        trained, taken, returns = json.loads(output.splitlines()[-1])
        assert abs(taken - steps) <= ROLLOUT, f"{taken} steps, {steps} wanted"
        check_learned(returns)
        return trained, returns

    trained, returns = benchmark.pedantic(run, rounds=1)
    count = sum(x >= 475 for x in returns)
    benchmark.extra_info["seconds"] = round(trained - began, 1)
    benchmark.extra_info["solved"] = f"{count} of {len(returns)}"
    found = ", ".join(f"{x:.0f}" for x in returns)
    print(f"\n{benchmark.name}: {trained - began:.1f} s, {count} of {len(returns)}: {found}")


def check_learned(returns: list[float]) -> None:
    """Random actions balance for 22 steps, ten new networks for 45 in the mean.

    How many runs are solved is the benchmark's result, and depends on the processor.
    """
    mean = sum(returns) / len(returns)
    assert mean > 100, f"a mean return of {mean:.0f} is that of who has learned nothing"
