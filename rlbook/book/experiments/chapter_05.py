"""Chapter 5: value, modified policy and policy iteration as the discount tends to 1."""

import time
from typing import Any

import numpy as np
import torch

from rlbook.book.experiments import Experiment
from rlbook.ground.seeding import generator
from rlbook.planning.dynamic_programming import (
    modified_policy_iteration,
    policy_iteration,
    value_iteration,
)
from rlbook.planning.mazes import random_maze
from rlbook.planning.mdp import MDP

F64 = torch.float64
METHODS = ("value iteration", "modified policy iteration", "policy iteration")


def solve(mdp: MDP, method: str, config: dict):
    """Solve to max |V - V*| <= config["accuracy"]: a residual below (1 - discount) / discount
    times that is enough for the first two; policy iteration is exact."""
    stop = {
        "tolerance": config["accuracy"] * (1 - mdp.discount) / mdp.discount,
        "max_sweeps": config["max_sweeps"],
    }
    if method == "value iteration":
        return value_iteration(mdp, **stop)
    if method == "modified policy iteration":
        return modified_policy_iteration(mdp, evaluation_sweeps=config["evaluation_sweeps"], **stop)
    return policy_iteration(mdp)


def compare(models, config: dict, progress) -> dict:
    """models(run, discount) -> MDP. All arrays are (methods, runs, discounts)."""
    shape = (len(METHODS), config["runs"], len(config["log_horizons"]))
    sweeps, seconds, distance = torch.zeros(3, *shape, dtype=torch.float64)
    torch.set_num_threads(1)
    for run in progress(range(config["runs"]), description="models"):
        for d, log_horizon in enumerate(config["log_horizons"]):
            mdp, solutions = models(run, 1 - 10.0**-log_horizon), []
            for i, method in enumerate(METHODS):
                began = time.process_time()
                solutions.append(solve(mdp, method, config))
                seconds[i, run, d] = time.process_time() - began
                sweeps[i, run, d] = solutions[-1].sweeps
            for i, solution in enumerate(solutions):
                gap = (solution.values - solutions[-1].values).abs().max()
                distance[i, run, d] = gap
    return {
        "sweeps": sweeps.long().numpy(),
        "seconds": seconds.numpy(),
        "within_accuracy": (distance <= config["accuracy"]).numpy(),
    }


def sparse_model(
    states: int, actions: int, successors: int, *, discount: float, generator: torch.Generator
) -> MDP:
    """A random model in which every pair leads to a few states only: a "Garnet".

    The successors of a pair are drawn uniformly without repetition, their probabilities
    uniformly on the simplex, the rewards r(s, a) from a standard normal distribution.

    Source: Archibald, McKinnon & Thomas (1995).
    """
    places = torch.rand(states, actions, states, generator=generator, dtype=F64)
    weights = torch.empty(states, actions, successors, dtype=F64).exponential_(generator=generator)
    chosen = places.argsort(-1)[..., :successors]
    chances = weights / weights.sum(-1, keepdim=True)
    transition = torch.zeros(states, actions, states, dtype=F64).scatter(-1, chosen, chances)
    reward = torch.randn(states, actions, generator=generator, dtype=F64)
    return MDP.from_arrays(transition, reward, discount=discount)


def random_models(config: dict, progress) -> dict:
    """Random models without an end."""

    def model(run: int, discount: float) -> MDP:
        rng = generator(config["seed"], run)
        sizes = (config["states"], config["actions"], config["successors"])
        return sparse_model(*sizes, discount=discount, generator=rng)

    return compare(model, config, progress)


def mazes(config: dict, progress) -> dict:
    """Slippery mazes with one goal in the middle."""

    def model(run: int, discount: float) -> MDP:
        rng, size = generator(config["seed"], run), config["size"]
        middle = size // 2 - 1 + size // 2 % 2
        world = random_maze(
            size,
            size,
            goals=[(middle, middle)],
            openings=config["openings"],
            slip=config["slip"],
            generator=rng,
        )
        return world.mdp(discount=discount)

    return compare(model, config, progress)


def same_cost(stored: dict, recomputed: dict) -> list[str]:
    """A residual just below or above the tolerance, or a tie between actions, is one iteration
    more or less; policy iteration may take other ties, but always a fraction of the sweeps."""
    one_iteration = [1, COMMON["evaluation_sweeps"] + 1]
    found = []
    for i, most in enumerate(one_iteration):
        if np.abs(recomputed["sweeps"][i] - stored["sweeps"][i]).max() > most:
            found.append(f"{METHODS[i]}: more than one iteration off")
    if (recomputed["sweeps"][2] > recomputed["sweeps"][0] / 5).any():
        found.append("policy iteration needs more than a fifth of value iteration's sweeps")
    return found


def without_counts(arrays: dict) -> dict:
    return {"within_accuracy": arrays["within_accuracy"]}


COMMON: dict[str, Any] = {
    "seed": 5,
    "runs": 10,
    "log_horizons": [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0],  # discount 1 - 10^-x
    "accuracy": 1e-4,
    "evaluation_sweeps": 20,
    "max_sweeps": 1_000_000,
}
SHORT = {"runs": 2, "log_horizons": [1.0, 1.5]}
EXPERIMENTS = {
    "random_models": Experiment(
        random_models,
        COMMON | {"states": 100, "actions": 4, "successors": 2},
        SHORT,
        measured=("seconds",),
        determined=without_counts,
        claim=same_cost,
    ),
    "mazes": Experiment(
        mazes,
        COMMON | {"size": 41, "openings": 0.1, "slip": 0.2},
        SHORT,
        measured=("seconds",),
        determined=without_counts,
        claim=same_cost,
    ),
}
