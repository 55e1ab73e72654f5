"""A2C on CartPole-v1: ten runs of ours beside one run of stable-baselines3.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_actor_critic.py -s

Each is a new Python process, and its imports count. The peer trains with the settings of its
"zoo", 500,000 steps; ours with the defaults of `actor_critic.Config`. Both are judged alike:
greedy, 100 new episodes for each run, not timed. Two threads. Nothing here asserts a time, and
plain `pytest` does not collect this file.
"""

import json
import subprocess
import sys
import time

import pytest

THREADS, EPISODES = 2, 100

OURS = f"""
import json, time, torch
torch.set_num_threads({THREADS})
from rlbook.agents import actor_critic
result = actor_critic.train("CartPole-v1", actor_critic.Config(num_evals=2), progress=False)
trained = time.time()
returns = result.evaluate(episodes={EPISODES}).returns.mean(1).tolist()
print(json.dumps([trained, returns]))
"""

PEER = f"""
import json, time, torch
torch.set_num_threads({THREADS})
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
env = make_vec_env("CartPole-v1", n_envs=8, seed=0)
model = A2C("MlpPolicy", env, ent_coef=0.0, seed=0, device="cpu").learn(500_000)
trained = time.time()
env = make_vec_env("CartPole-v1", n_envs=10, seed=1_000_000)
mean, _ = evaluate_policy(model, env, n_eval_episodes={EPISODES}, deterministic=True)
print(json.dumps([trained, [float(mean)]]))
"""


def report(benchmark, program: str) -> None:
    """From the start of the process to the end of the training, and how many runs it solved."""
    began = time.time()
    command = [sys.executable, "-c", program]
    run = lambda: subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: E731
    output = benchmark.pedantic(run, rounds=1).stdout
    trained, returns = json.loads(output.splitlines()[-1])
    count = sum(x >= 475 for x in returns)
    benchmark.extra_info["seconds"] = round(trained - began, 1)
    benchmark.extra_info["solved"] = f"{count} of {len(returns)}"
    found = ", ".join(f"{x:.0f}" for x in returns)
    print(f"\n{benchmark.name}: {trained - began:.1f} s, {count} of {len(returns)}: {found}")


def bench_ten_runs(benchmark):
    report(benchmark, OURS)


def bench_one_run_of_stable_baselines3(benchmark):
    pytest.importorskip("stable_baselines3")
    report(benchmark, PEER)
