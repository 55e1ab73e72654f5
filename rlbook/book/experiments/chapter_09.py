"""Chapter 9: Q-learning on Taxi-v4 with three ways to explore, a hundred runs each."""

import torch

from rlbook.book.experiments import Experiment
from rlbook.formulas.exploration import greedy_policy
from rlbook.planning.dynamic_programming import q_value_iteration
from rlbook.planning.mdp import MDP
from rlbook.tabular import ControlConfig, greedy_returns, q_learning
from rlbook.tabular.tasks import tabular_task


def reached(mdp: MDP, policy: torch.Tensor) -> torch.Tensor:
    """(S,) bool: the states, ends left out, that a policy (S, A) visits from the start."""
    chain = torch.einsum("sa,sat->st", policy, mdp.transition) > 0
    found = mdp.start > 0
    for _ in range(mdp.num_states):
        found = found | (chain & found.unsqueeze(1)).any(0)
    return found & ~mdp.terminal


def taxi(config: dict, progress) -> dict:
    """Exact mean returns of the greedy policies, and errors of max_a Q, while learning.

    Returns:
        returns: (settings, runs, evaluations), from the start distribution, cut at 200 steps.
        errors: the same shape, the largest |max_a Q(s, a) - V*(s)| over the states that an
            optimal policy visits.
    """
    torch.set_num_threads(1)
    task = tabular_task("Taxi-v4", discount=config["discount"])
    optimal = q_value_iteration(task.mdp, tolerance=1e-12).action_values
    policy = greedy_policy(optimal)
    matter, values = reached(task.mdp, policy), optimal.amax(-1)
    runs, settings, errors = config["runs"], config["settings"], []
    epsilon, start = torch.tensor(settings, dtype=torch.float64).repeat_interleave(runs, 0).T

    def evaluate(q: torch.Tensor) -> torch.Tensor:
        errors.append((q.amax(-1) - values)[:, matter].abs().amax(-1))
        return greedy_returns(task, q)

    run_ids = list(range(config["first_run"], config["first_run"] + runs)) * len(settings)
    method = ControlConfig(
        num_steps=config["steps"],
        step_size=1.0,
        epsilon=epsilon,
        initial_q=start.view(-1, 1, 1).expand(-1, *optimal.shape),
        evaluate_every=config["evaluate_every"],
        evaluate=evaluate,
    )
    result = q_learning(task, method, run_ids=run_ids, seed=config["seed"])
    shape = (len(settings), runs, -1)
    return {
        "returns": result.evaluations.view(shape).numpy(),
        "errors": torch.stack(errors, dim=1).view(shape).numpy(),
    }


EXPERIMENTS = {
    "taxi": Experiment(
        taxi,
        {
            "seed": 90,
            "discount": 0.99,
            "settings": [[0.0, 20.0], [0.0, 0.0], [0.1, 0.0]],  # epsilon, initial Q
            "first_run": 10,  # the notebook learns runs 0 to 9
            "runs": 100,
            "steps": 150_000,
            "evaluate_every": 10_000,
        },
        {"runs": 2, "steps": 10_000},
    )
}
