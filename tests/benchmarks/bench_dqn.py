"""Deep Q-learning on CartPole-v1: ten runs of ours beside one run of stable-baselines3.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_dqn.py -s

Both train for the 50,000 environment steps of their settings (the peer's are those of its
"zoo"), and are then judged alike: greedy, 100 new episodes for each run. Two threads. Before ours
is timed, one of its losses is compared with slow code; both must then learn. Nothing here asserts
a time. Plain `pytest` does not collect this file.
"""

import time

import pytest
import torch
from cartpole_race import FLOAT32, ROLLOUT, calls_of, check_learned

from rlbook.deep import dqn

THREADS, STEPS, EPISODES = 2, 50_000, 100


@pytest.fixture
def steps(quick) -> int:
    return 10_000 if quick else STEPS


@pytest.fixture(autouse=True)
def threads(quick):
    before = torch.get_num_threads()
    torch.set_num_threads(1 if quick else THREADS)
    yield
    torch.set_num_threads(before)


def report(benchmark, train, judge, steps: int) -> None:
    """Time one training, and say how many runs it solved.

    First asserts that it took as many steps as it should, and was worth it.

    Args:
        judge: what `train` returns -> the environment steps of each run, and its mean returns.
    """
    began = time.perf_counter()

    def run():
        trained, seconds = train(), time.perf_counter() - began
        taken, returns = judge(trained)
        assert abs(taken - steps) <= ROLLOUT, f"{taken} steps, {steps} wanted"
        check_learned(returns)
        return seconds, returns

    seconds, returns = benchmark.pedantic(run, rounds=1)
    found = ", ".join(f"{x:.0f}" for x in returns)
    count = sum(x >= 475 for x in returns)
    benchmark.extra_info["seconds"] = round(seconds, 1)
    benchmark.extra_info["solved"] = f"{count} of {len(returns)}"
    print(f"\n{benchmark.name}: {seconds:.1f} s, solved {count} of {len(returns)} runs: {found}")


def check_a_loss(config: dqn.Config, k: int = 9) -> None:
    """The last loss of the first round of learning, transition by transition, of run k of ten."""
    train = lambda: dqn.train("CartPole-v1", config, progress=False)  # noqa: E731
    (calls,) = calls_of(train, dqn, "batch_loss")
    assert len(calls) == config.gradient_steps
    (online, target, batch, _), loss = calls[-1]
    check_rewards(batch, config)
    with torch.no_grad():
        q, later = online(batch.observations)[k], target(batch.next_observations)[k]
    total = 0.0
    for i in range(config.batch_size):
        best = 0.0 if batch.terminated[k, i] else float(later[i].max())
        y = config.reward_scale * float(batch.rewards[k, i]) + float(batch.discounts[k, i]) * best
        error = abs(float(q[i, batch.actions[k, i]]) - y)
        total += error**2 / 2 if error <= config.huber_delta else error - config.huber_delta / 2
    assert batch.terminated.any() and config.huber_delta == 1.0
    torch.testing.assert_close(loss[k].detach(), torch.tensor(total / config.batch_size), **FLOAT32)


def check_rewards(batch, config: dqn.Config) -> None:
    """A transition is of m <= n steps that paid 1 each: 1 + g + ... + g^(m-1), and g^m is left."""
    g, wanted, steps = config.discount, 0.0, torch.zeros_like(batch.rewards)
    for m in range(1, config.n_step + 1):
        steps[(batch.discounts - g**m).abs() < 1e-6] = m  # powers are 1e-2 apart
    for m in range(config.n_step):
        wanted = wanted + torch.where(m < steps, g**m, 0.0)
    assert (steps > 0).all() and (steps == config.n_step).any()
    torch.testing.assert_close(batch.rewards, wanted, **FLOAT32)


def bench_ten_runs(benchmark, steps):
    """First compares one loss with the equation, transition by transition; then trains."""
    check_a_loss(dqn.Config(total_steps=ROLLOUT, num_evals=2))
    config = dqn.Config(total_steps=steps, num_evals=2)
    report(
        benchmark,
        lambda: dqn.train("CartPole-v1", config, num_runs=10, progress=False),
        lambda result: (
            int(result.env_steps[-1]),
            result.evaluate(episodes=EPISODES).returns.mean(1).tolist(),
        ),
        steps,
    )


def bench_one_run_of_stable_baselines3(benchmark, steps):
    sb3 = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.evaluation import evaluate_policy

    def train():
        model = sb3.DQN(
            "MlpPolicy", "CartPole-v1", learning_rate=2.3e-3, batch_size=64, buffer_size=100_000,
            learning_starts=1000, gamma=0.99, target_update_interval=10, train_freq=256,
            gradient_steps=128, exploration_fraction=0.16, exploration_final_eps=0.04,
            policy_kwargs={"net_arch": [256, 256]}, seed=0, device="cpu",
        )  # fmt: skip
        return model.learn(steps)

    def judge(model):
        env = sb3.common.env_util.make_vec_env("CartPole-v1", n_envs=10, seed=1_000_000)
        mean, _ = evaluate_policy(model, env, n_eval_episodes=EPISODES, deterministic=True)
        return model.num_timesteps, [float(mean)]

    report(benchmark, train, judge, steps)
