"""A2C on CartPole-v1: ten runs of ours beside one run of stable-baselines3.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_actor_critic.py -s

Each is a new Python process, and its imports count. The peer trains with the settings of its
"zoo", 500,000 steps; ours with the defaults of `actor_critic.Config`. Both are judged alike:
greedy, 100 new episodes for each run, not timed. Two threads. Nothing here asserts a time, and
plain `pytest` does not collect this file.
"""

import pytest
from cartpole_race import ours, peer, report

THREADS = 2
PEER = """A2C(
    "MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=0), ent_coef=0.0, seed=0, device="cpu"
).learn(500_000)"""


def bench_ten_runs(benchmark):
    report(benchmark, ours("actor_critic", "num_evals=2", threads=THREADS))


def bench_one_run_of_stable_baselines3(benchmark):
    pytest.importorskip("stable_baselines3")
    report(benchmark, peer("stable_baselines3", "A2C", PEER, threads=THREADS))
