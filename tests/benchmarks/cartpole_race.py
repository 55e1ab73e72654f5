"""CartPole-v1 in a new Python process: the time to the end of a training, imports included, and
how many of its runs are solved. A program trains, and prints when it was done and its returns.
"""

import json
import subprocess
import sys
import time

EPISODES = 100


def ours(agent: str, config: str, *, threads: int) -> str:
    """A program that trains ten runs of rlbook.deep.<agent> with this Config."""
    return f"""
import json, time, torch
torch.set_num_threads({threads})
from rlbook.deep import {agent}
result = {agent}.train("CartPole-v1", {agent}.Config({config}), progress=False)
trained = time.time()
returns = result.evaluate(episodes={EPISODES}).returns.mean(1).tolist()
print(json.dumps([trained, returns]))
"""


def peer(package: str, agent: str, model: str, *, threads: int) -> str:
    """A program that trains `model`, an expression, of a stable-baselines3 agent: one run."""
    return f"""
import json, time, torch
torch.set_num_threads({threads})
from {package} import {agent}
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
model = {model}
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
