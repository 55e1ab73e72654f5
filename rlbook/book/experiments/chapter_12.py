"""Chapter 12: REINFORCE in the corridor, on CartPole-v1 with several baselines, and a hundred
runs of it.

The settings of `reinforce.Config` come from this search, 5 runs each, seed 12345, mean of 100
greedy episodes after the last update (tanh networks, E = 16, 4 steps on the baseline):

    hidden  learning rate  episodes  solved  worst run
    32      0.01           1600      5 of 5  499
    32      0.01            960      5 of 5  498
    32      0.02            960      5 of 5  479

1200 episodes at 0.01 were then fixed for the chapter and for everything below.
"""

import math

import numpy as np
import torch

from rlbook.book.experiments import Experiment
from rlbook.book.experiments.short_runs import in_batches, learning_envs
from rlbook.deep import reinforce
from rlbook.deep.parts.envs.native import ControlEnvs
from rlbook.ground.seeding import Streams

LONGEST = 1000
"""Steps, after which an episode in the corridor is cut."""
RIGHT = np.array([1, 0, 3])
LEFT = np.array([0, 2, 1])
VARIANTS: dict[str, dict] = {
    "value": {},
    "none": {"baseline": "none"},
    "with gamma^t": {"discount_the_state": True},
}


def corridor(config: dict, progress) -> dict:
    """Sutton & Barto (2018), figures 13.1 and 13.2: REINFORCE in the corridor with switched
    doors, discount 1. After each episode there is one update for each of its steps.

    The probability of "right" stays between 0.05, where it begins, and 0.95: a run that has
    become certain would otherwise walk up and down for ever.

    Returns:
        returns: (methods, runs, episodes), while learning.
    """
    runs, alphas = config["runs"], np.array(config["step_sizes"])  # (methods, 2)
    alpha, beta = alphas[:, 0, None], alphas[:, 1, None]
    preference = np.full((len(alphas), runs), math.log(0.05 / 0.95))  # right minus left
    value = np.zeros((len(alphas), runs))
    streams, returns = Streams(config["seed"], range(runs)), []
    for _ in progress(range(config["episodes"])):
        uniforms = streams.uniform(LONGEST, dtype=torch.float64).numpy()
        rights, alive = _play(_chance(preference), uniforms)
        lengths = alive.sum(0)
        for t in range(len(alive)):
            error = -(lengths - t) - value  # G_t minus the baseline
            value = value + np.where(alive[t], beta * error, 0.0)
            # One feature for each direction: the preference moves by both.
            step = 2 * alpha * error * (rights[t] - _chance(preference))
            preference = preference + np.where(alive[t], step, 0.0)
        returns.append(-lengths)
    return {"returns": np.stack(returns, axis=-1).astype(np.int16)}


def _chance(preference: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-preference))).clip(0.05, 0.95)


def _play(chance: np.ndarray, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(methods, runs) -> which steps went right, which were taken, both (T, methods, runs)."""
    rooms, rights, alive = np.zeros(chance.shape, dtype=int), [], []
    for t in range(LONGEST):
        alive.append(rooms < 3)
        rights.append(uniforms[:, t] < chance)
        moved = np.where(rights[-1], RIGHT[rooms.clip(max=2)], LEFT[rooms.clip(max=2)])
        rooms = np.where(alive[-1], moved, rooms)
        if (rooms == 3).all():
            break
    return np.stack(rights), np.stack(alive)


def learn(config: reinforce.Config, run_ids: list[int], seed: int, updates: int | None):
    envs = learning_envs("CartPole-v1", config, run_ids, seed, ControlEnvs, resets=updates)
    return reinforce.train(envs, config, run_ids=run_ids, seed=seed, progress=False)


def hundred(config: dict, progress) -> dict:
    """Returns: (runs, evaluations), each a mean over 100 greedy episodes; the last one counts."""
    settings = reinforce.Config(num_evals=2, evaluation_episodes=100)
    parts = in_batches(config["runs"], config["batch"])
    results = [learn(settings, ids, config["seed"], config["updates"]) for ids in progress(parts)]
    return {
        "returns": np.concatenate([x.evaluation_returns for x in results]),
        "episode_returns": np.concatenate([x.log["episode_return"] for x in results]),
    }


def variants(config: dict, progress) -> dict:
    """Each of VARIANTS, the same runs.

    Returns:
        returns: (variants, runs, evaluations), each a mean over 100 greedy episodes.
        episode_returns: (variants, runs, updates), while learning; on CartPole they are also the
            steps of an episode.
    """
    ids, results = list(range(config["runs"])), []
    for name in progress(config["variants"]):
        settings = reinforce.Config(evaluation_episodes=100, **VARIANTS[name])
        results.append(learn(settings, ids, config["seed"], config["updates"]))
    return {
        "returns": np.stack([x.evaluation_returns for x in results]),
        "episode_returns": np.stack([x.log["episode_return"] for x in results]),
    }


SOON = {"runs": 2, "updates": 2}
EXPERIMENTS = {
    "corridor": Experiment(
        corridor,
        {
            "seed": 12,
            "runs": 100,
            "episodes": 1000,
            "step_sizes": [[2**-12, 0], [2**-13, 0], [2**-14, 0], [2**-9, 2**-6]],
        },
        {"runs": 2, "episodes": 20},
    ),
    "hundred": Experiment(
        hundred, {"seed": 1212, "runs": 100, "batch": 20, "updates": None}, SOON, rtol=1e-3
    ),
    "variants": Experiment(
        variants,
        {"seed": 12, "runs": 10, "variants": list(VARIANTS), "updates": None},
        SOON | {"variants": ["value", "none"]},
        rtol=1e-3,
    ),
}
