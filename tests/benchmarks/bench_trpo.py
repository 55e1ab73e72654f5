"""TRPO on CartPole-v1: ten runs of ours beside one run of sb3-contrib.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_trpo.py -s

Each is a new Python process, and its imports count. The peer trains with the settings of its
"zoo", 100,000 steps; ours with the defaults of `trpo.Config`. Both are judged alike: greedy, 100
new episodes for each run, not timed. Two threads. Nothing here asserts a time, and plain `pytest`
does not collect this file.
"""

import pytest
from cartpole_race import ours, peer, report

THREADS = 2
PEER = """TRPO(
    "MlpPolicy", make_vec_env("CartPole-v1", n_envs=2, seed=0), n_steps=512, batch_size=512,
    cg_damping=1e-3, gae_lambda=0.98, gamma=0.99, learning_rate=1e-3, n_critic_updates=20,
    seed=0, device="cpu",
).learn(100_000)"""


def bench_ten_runs(benchmark):
    report(benchmark, ours("trpo", "num_evals=2", threads=THREADS))


def bench_one_run_of_sb3_contrib(benchmark):
    pytest.importorskip("sb3_contrib")
    report(benchmark, peer("sb3_contrib", "TRPO", PEER, threads=THREADS))
