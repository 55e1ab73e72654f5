"""TRPO on CartPole-v1: ten runs of ours beside one run of sb3-contrib.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_trpo.py -s

Each is a new Python process, and its imports count. The peer trains with the settings of its
"zoo", 100,000 steps; ours with the defaults of `trpo.Config`. Both are judged alike: greedy, 100
new episodes for each run, not timed. Two threads. Nothing here asserts a time, and plain `pytest`
does not collect this file.
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
from rlbook.agents import trpo
result = trpo.train("CartPole-v1", trpo.Config(num_evals=2), progress=False)
trained = time.time()
returns = result.evaluate(episodes={EPISODES}).returns.mean(1).tolist()
print(json.dumps([trained, returns]))
"""

PEER = f"""
import json, time, torch
torch.set_num_threads({THREADS})
from sb3_contrib import TRPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
model = TRPO(
    "MlpPolicy", make_vec_env("CartPole-v1", n_envs=2, seed=0), n_steps=512, batch_size=512,
    cg_damping=1e-3, gae_lambda=0.98, gamma=0.99, learning_rate=1e-3, n_critic_updates=20,
    seed=0, device="cpu",
).learn(100_000)
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


def bench_one_run_of_sb3_contrib(benchmark):
    pytest.importorskip("sb3_contrib")
    report(benchmark, PEER)
