"""PPO on CartPole-v1: ten runs of ours beside one run of stable-baselines3.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_ppo.py -s

Each is a new Python process, and its imports count. The peer trains with the settings of its
"zoo", 100,000 steps; ours with those of chapter 16, 80,000. Both are judged alike: greedy, 100 new
episodes for each run, not timed. One thread. Nothing here asserts a time, and plain `pytest`
does not collect this file.
"""

import pytest
from cartpole_race import ours, peer, report

THREADS = 1
OURS = "total_steps=80_000, num_epochs=4, lambda_=0.99, num_evals=2"
PEER = """PPO(
    "MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=0), n_steps=32, batch_size=256,
    gae_lambda=0.8, gamma=0.98, n_epochs=20, ent_coef=0.0, learning_rate=lambda left: 1e-3 * left,
    clip_range=lambda left: 0.2 * left, seed=0, device="cpu",
).learn(100_000)"""


@pytest.mark.parametrize("surrogate", ["clip", "penalty"])
def bench_ten_runs(benchmark, surrogate):
    report(benchmark, ours("ppo", f"surrogate={surrogate!r}, {OURS}", threads=THREADS))


def bench_one_run_of_stable_baselines3(benchmark):
    pytest.importorskip("stable_baselines3")
    report(benchmark, peer("stable_baselines3", "PPO", PEER, threads=THREADS))
