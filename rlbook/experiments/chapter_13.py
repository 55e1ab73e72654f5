"""Chapter 13: deep Q-learning on CartPole-v1, forty runs of it, and what each part is for."""

import math
from dataclasses import replace

import numpy as np

from rlbook.agents import dqn
from rlbook.control_envs import ControlEnvs
from rlbook.control_tasks import CONTROL_TASKS
from rlbook.experiments import Experiment
from rlbook.seeding import Streams

NEWEST = dqn.Config().transitions_per_rollout
VARIANTS: dict[str, dict] = {
    "DQN": {},
    "one reward": {"n_step": 1},
    "no replay": {"replay_capacity": NEWEST},
    "no target network": {"tau": 1.0},
    "neither": {"replay_capacity": NEWEST, "tau": 1.0},
    "one reward, double": {"n_step": 1, "double": True},
    "dueling": {"dueling": True},
}


class StoppedEnvs(ControlEnvs):
    """Environments that interrupt the training after some steps, for the short run."""

    steps_left = math.inf

    def step(self, actions):
        self.steps_left -= 1
        if self.steps_left < 0:
            raise KeyboardInterrupt
        return super().step(actions)


def learn(config: dqn.Config, run_ids: list[int], seed: int, stop_after: int | None):
    streams = Streams(seed, run_ids).spawn(9)
    envs = StoppedEnvs(CONTROL_TASKS["CartPole-v1"], num_envs=config.num_envs, streams=streams)
    if stop_after is not None:
        envs.steps_left = stop_after
    return dqn.train(envs, config, run_ids=run_ids, seed=seed, progress=False)


def forty(config: dict, progress) -> dict:
    """Returns: (runs, evaluations), each a mean over 100 greedy episodes; the last one counts."""
    settings = dqn.Config(num_evals=3, evaluation_episodes=100)
    runs, batch = config["runs"], config["batch"]
    parts = [list(range(k, min(k + batch, runs))) for k in range(0, runs, batch)]
    results = [
        learn(settings, ids, config["seed"], config["stop_after"]) for ids in progress(parts)
    ]
    return {"returns": np.concatenate([x.evaluation_returns for x in results])}


def ablation(config: dict, progress) -> dict:
    """Each variant of VARIANTS, the same runs.

    Returns:
        returns: (variants, runs, evaluations), each a mean over 100 greedy episodes.
        env_steps: (evaluations,).
        losses: (variants, runs, 2), the last losses of the first rounds of learning.
        values: (variants, runs, N), the mean of max_a Q over a batch, every fourth round.
    """
    settings, ids = dqn.Config(num_evals=11, evaluation_episodes=100), list(range(config["runs"]))
    results = [
        learn(replace(settings, **VARIANTS[name]), ids, config["seed"], config["stop_after"])
        for name in progress(config["variants"])
    ]
    return {
        "returns": np.stack([x.evaluation_returns for x in results]),
        "env_steps": results[0].env_steps,
        "losses": np.stack([x.log["loss"][:, :2] for x in results]),
        "values": np.stack([x.log["value"][:, ::4] for x in results]),
    }


SOON = {"stop_after": 224}  # steps of each environment: the first rounds of learning
EXPERIMENTS = {
    "hundred": Experiment(
        hundred,
        {"seed": 1313, "runs": 100, "batch": 20, "stop_after": None},
        SOON | {"runs": 20},
        rtol=1e-3,
    ),
    "ablation": Experiment(
        ablation,
        {"seed": 13, "runs": 10, "variants": list(VARIANTS), "stop_after": None},
        SOON | {"variants": ["DQN", "no replay"]},
        rtol=1e-3,
    ),
}
