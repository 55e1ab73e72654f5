"""PPO on CartPole-v1: ten runs of ours beside one run of stable-baselines3.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_ppo.py -s

Each is a new Python process, and its imports count. The peer trains with the settings of its
"zoo", 100,000 steps; ours with those of chapter 16, 80,000. Both are judged alike: greedy, 100 new
episodes for each run, not timed. One thread. Nothing here asserts a time, and plain `pytest`
does not collect this file.
"""

import json
import subprocess
import sys
import time

import pytest

THREADS, EPISODES = 1, 100

OURS = f"""
import json, time, torch
torch.set_num_threads({THREADS})
from rlbook.agents import ppo
config = ppo.Config(
    surrogate=SURROGATE, total_steps=80_000, num_epochs=4, lambda_=0.99, num_evals=2
)
result = ppo.train("CartPole-v1", config, progress=False)
trained = time.time()
returns = result.evaluate(episodes={EPISODES}).returns.mean(1).tolist()
print(json.dumps([trained, returns]))
"""

PEER = f"""
import json, time, torch
torch.set_num_threads({THREADS})
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
model = PPO(
    "MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=0), n_steps=32, batch_size=256,
    gae_lambda=0.8, gamma=0.98, n_epochs=20, ent_coef=0.0, learning_rate=lambda left: 1e-3 * left,
    clip_range=lambda left: 0.2 * left, seed=0, device="cpu",
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


@pytest.mark.parametrize("surrogate", ["clip", "penalty"])
def bench_ten_runs(benchmark, surrogate):
    report(benchmark, OURS.replace("SURROGATE", repr(surrogate)))


def bench_one_run_of_stable_baselines3(benchmark):
    pytest.importorskip("stable_baselines3")
    report(benchmark, PEER)
