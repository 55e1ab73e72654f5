"""PPO and DQN on CartPole-v1 with ten runs and with 1,024, on the CPU and, if there is one, a GPU.

    pip install -e ".[test]"
    pytest tests/benchmarks/bench_many_runs.py -s

An update of a thousand runs takes as many operations as one of ten: on a GPU it should cost little
more. `extra_info` of each row (printed at the end) holds environment steps per second of the wall
clock, all runs together, evaluations included. Before it is timed each has trained once, briefly,
and learned numbers. One thread of the CPU. Nothing here asserts a time. Plain `pytest` does not
collect this file.
"""

import time

import pytest
import torch

from rlbook.deep import dqn, ppo

AGENTS = {
    "ppo": (ppo, {"rollout_steps": 128, "num_envs": 8, "num_epochs": 4}),
    "dqn": (dqn, {"replay_capacity": 2_000}),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("num_runs", [10, 1024])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", AGENTS)
def bench_runs_at_once(benchmark, quick, name, device, num_runs):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU on this machine")
    agent, settings = AGENTS[name]
    steps = 2_048 if quick or device == "cpu" else 20_480
    num_runs = 16 if quick and num_runs > 16 else num_runs

    def train(total_steps):
        config = agent.Config(total_steps=total_steps, num_evals=2, **settings)
        return agent.train("CartPole-v1", config, num_runs=num_runs, device=device, progress=False)

    first = train(2_048)
    assert first.evaluation_returns.shape == (num_runs, 2) and not first.frozen
    started = time.perf_counter()
    benchmark.pedantic(train, args=(steps,))
    seconds = time.perf_counter() - started
    benchmark.extra_info["steps per second"] = round(num_runs * steps / seconds)
    print(f"\n{name}, {num_runs} runs on {device}: {num_runs * steps / seconds:,.0f} steps/s")
