"""Chapter 17: PPO with lambda from 0 to 1, and with wrong flags at the ends of episodes.

The settings are cheap ones: of two that were tried on CartPole-v1 (seed 170, lambda 0.95), this one
had the higher final return, 500 after 4 epochs with learning rate 3e-3 and 32 units, 494 after 10
epochs with 1e-3 and 64. The time limit was chosen there too, after trying 25, 50 and 100 steps.
"""

from dataclasses import replace

import numpy as np

from rlbook.book.experiments import Experiment
from rlbook.book.experiments.short_runs import learning_envs, returns_before_learning
from rlbook.deep import ppo
from rlbook.deep.parts.envs.interface import EnvStep
from rlbook.deep.parts.envs.native import ControlEnvs

SETTINGS = ppo.Config(
    num_envs=16,
    num_epochs=4,
    num_minibatches=4,
    learning_rate=3e-3,
    hidden_sizes=(32, 32),
    num_evals=6,
    evaluation_episodes=20,
)
TASKS: dict[str, dict] = {
    "CartPole-v1": {"total_steps": 25_600, "rollout_steps": 64, "discount": 0.99},
    "Pendulum-v1": {"total_steps": 51_200, "rollout_steps": 128, "discount": 0.95},
}


class WrongFlags(ControlEnvs):
    """Environments that say something wrong about how episodes end; evaluations are honest."""

    wrong = "nothing"

    def step(self, actions) -> EnvStep:
        step = super().step(actions)
        ended = step.terminated | step.truncated
        if self.wrong == "terminations":  # a termination is reported as a truncation
            return step._replace(terminated=ended & False, truncated=ended)
        if self.wrong == "truncations":  # a truncation is reported as a termination
            return step._replace(terminated=ended, truncated=ended & False)
        return step


def learn(task: str, config: dict, *, lambda_=0.95, wrong="nothing", limit=None):
    """PPO in `task`, runs 0 .. runs - 1, learning from episodes of at most `limit` steps."""
    seed, run_ids = config["seed"], list(range(config["runs"]))
    settings, stop = replace(SETTINGS, **TASKS[task], lambda_=lambda_), config["stop_after"]
    envs = learning_envs(task, settings, run_ids, seed, WrongFlags, steps=stop)
    envs.wrong, envs.max_episode_steps = wrong, limit or envs.max_episode_steps
    return ppo.train(envs, settings, run_ids=run_ids, seed=seed, progress=False)


def lambdas(config: dict, progress) -> dict:
    """Returns: returns, (lambdas, runs, evaluations), each a mean over 20 greedy episodes;
    steps, (evaluations,), environment steps of each run so far."""
    rows = progress(config["lambdas"])
    results = [learn(config["task"], config, lambda_=lambda_) for lambda_ in rows]
    curves = np.stack([result.evaluation_returns for result in results])
    return {"returns": curves, "steps": results[0].env_steps}


def flags(config: dict, progress) -> dict:
    """CartPole-v1; `variants` are pairs (what is reported wrongly, time limit of the learner).

    Returns: as `lambdas`, with a row for each variant.
    """
    rows = progress(config["variants"])
    results = [learn("CartPole-v1", config, wrong=wrong, limit=limit) for wrong, limit in rows]
    curves = np.stack([result.evaluation_returns for result in results])
    return {"returns": curves, "steps": results[0].env_steps}


def nearly_the_same(stored: dict, recomputed: dict) -> list[str]:
    """Another processor rounds in another way, and the pendulum magnifies it: by 4 of 1,300."""
    gap = np.abs(recomputed["returns"] - stored["returns"]).max()
    return [] if gap < 60 else [f"returns: differs by up to {gap:.3g}"]


LAMBDAS = [0.0, 0.5, 0.9, 0.95, 1.0]
SOON = {"runs": 2, "stop_after": 384}  # steps of each environment: six updates on CartPole-v1
EXPERIMENTS = {
    "cartpole": Experiment(
        lambdas,
        {"seed": 17, "runs": 10, "task": "CartPole-v1", "lambdas": LAMBDAS, "stop_after": None},
        SOON | {"lambdas": LAMBDAS[:1]},
        rtol=1e-3,
    ),
    "pendulum": Experiment(
        lambdas,
        {"seed": 17, "runs": 10, "task": "Pendulum-v1", "lambdas": [0.0, 0.5, 0.9, 1.0],
         "stop_after": None},
        SOON | {"lambdas": LAMBDAS[:1], "stop_after": 768},
        rtol=1e-3,
        determined=returns_before_learning,
        claim=nearly_the_same,
    ),
    "flags": Experiment(
        flags,
        {
            "seed": 17,
            "runs": 10,
            "variants": [["nothing", None], ["terminations", None], ["nothing", 50],
                         ["truncations", 50]],
            "stop_after": None,
        },
        SOON | {"variants": [["nothing", None], ["terminations", None]]},
        rtol=1e-3,
    ),
}  # fmt: skip
