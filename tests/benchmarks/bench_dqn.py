"""Deep Q-learning on CartPole-v1: ten runs of ours beside one run of stable-baselines3.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_dqn.py -s

Both train for the 50,000 environment steps of their settings (the peer's are those of its
"zoo"), and are then judged alike: greedy, 100 new episodes for each run. Two threads. Nothing here
asserts a time. Plain `pytest` does not collect this file.
"""

import time

import pytest
import torch

from rlbook.deep import dqn

THREADS, STEPS, EPISODES = 2, 50_000, 100


def report(benchmark, train, solved) -> None:
    """Time one training, and say how many runs it solved."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    began = time.perf_counter()
    trained = benchmark.pedantic(train, rounds=1)
    seconds = time.perf_counter() - began
    torch.set_num_threads(before)
    returns = solved(trained)
    found = ", ".join(f"{x:.0f}" for x in returns)
    count = sum(x >= 475 for x in returns)
    benchmark.extra_info["seconds"] = round(seconds, 1)
    benchmark.extra_info["solved"] = f"{count} of {len(returns)}"
    print(f"\n{benchmark.name}: {seconds:.1f} s, solved {count} of {len(returns)} runs: {found}")


def bench_ten_runs(benchmark):
    report(
        benchmark,
        lambda: dqn.train("CartPole-v1", dqn.Config(num_evals=2), num_runs=10, progress=False),
        lambda result: result.evaluate(episodes=EPISODES).returns.mean(1).tolist(),
    )


def bench_one_run_of_stable_baselines3(benchmark):
    sb3 = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.evaluation import evaluate_policy

    def train():
        model = sb3.DQN(
            "MlpPolicy", "CartPole-v1", learning_rate=2.3e-3, batch_size=64, buffer_size=100_000,
            learning_starts=1000, gamma=0.99, target_update_interval=10, train_freq=256,
            gradient_steps=128, exploration_fraction=0.16, exploration_final_eps=0.04,
            policy_kwargs={"net_arch": [256, 256]}, seed=0, device="cpu",
        )  # fmt: skip
        return model.learn(STEPS)

    def returns(model):
        env = sb3.common.env_util.make_vec_env("CartPole-v1", n_envs=10, seed=1_000_000)
        mean, _ = evaluate_policy(model, env, n_eval_episodes=EPISODES, deterministic=True)
        return [mean]

    report(benchmark, train, returns)
