"""Planning with a known model: policy evaluation, and value and policy iteration.

Every method runs on the device of the model's tensors. Interrupting one (the stop button)
hands back what it has; `residual` says how far that is from done.
"""

from contextlib import suppress

import torch

from rlbook.asynchronous import asynchronous_value_iteration
from rlbook.bellman import (
    action_values,
    bellman_expectation_backup,
    bellman_optimality_backup,
    discounted_visitation,
    greedy_actions,
    policy_values,
)
from rlbook.mdp import MDP
from rlbook.solution import Solution, rounds, start_values

__all__ = [
    "Solution",
    "action_values",
    "asynchronous_value_iteration",
    "bellman_expectation_backup",
    "bellman_optimality_backup",
    "discounted_visitation",
    "greedy_actions",
    "modified_policy_iteration",
    "policy_evaluation",
    "policy_iteration",
    "policy_values",
    "q_value_iteration",
    "value_iteration",
]


def policy_evaluation(
    mdp: MDP,
    policy,
    *,
    method: str = "exact",
    tolerance: float = 1e-8,
    max_sweeps: int | None = None,
    initial_values=None,
) -> Solution:
    """The values V^pi of a policy, the solution of V = r_pi + discount P_pi V. Eq. (5.2).

    Args:
        policy: (S,) integers or (S, A) probabilities.
        method: "exact", a linear solve (up to 5,000 states), or "iterative", backups until
            the change is below `tolerance`, or `max_sweeps` of them, Eq. (5.3).
        initial_values: (S,), 0 at terminal states; zero by default. Only for "iterative".

    Raises:
        ValueError: at discount 1, a policy under which some state never ends (it is named).

    Source: Sutton & Barto (2018), section 4.1.
    """
    chain, policy = mdp.induced_chain(policy), torch.as_tensor(policy)
    if method == "exact":
        values = policy_values(chain)
        residual = (bellman_optimality_backup(chain, values) - values).abs().max()
        return Solution(values, policy, 1, float(residual))
    if method != "iterative":
        raise ValueError(f'method must be "exact" or "iterative", got {method!r}')
    evaluated = value_iteration(  # the chain has one action: its maximum is no choice
        chain, tolerance=tolerance, max_sweeps=max_sweeps, initial_values=initial_values
    )
    return Solution(evaluated.values, policy, evaluated.sweeps, evaluated.residual)


def value_iteration(
    mdp: MDP, *, tolerance: float = 1e-8, max_sweeps: int | None = None, initial_values=None
) -> Solution:
    """V_{k+1} = T V_k in every state, until the change is below `tolerance`. Eq. (4.1).

    Then max |V - V*| <= discount / (1 - discount) * residual, Eq. (4.5).

    Args:
        max_sweeps: hands back what it has after so many sweeps.
        initial_values: (S,), 0 at terminal states; zero by default.

    Source: Sutton & Barto (2018), section 4.4.
    """
    values, sweep, residual = start_values(mdp, initial_values), 0, torch.inf
    with suppress(KeyboardInterrupt):
        for sweep in rounds("value iteration", tolerance, max_sweeps):  # noqa: B007
            backed_up = bellman_optimality_backup(mdp, values)
            residual = float((backed_up - values).abs().max())
            values = backed_up
            if residual < tolerance:
                break
    return Solution(values, greedy_actions(mdp, values), sweep, residual)


def q_value_iteration(
    mdp: MDP, *, tolerance: float = 1e-8, max_sweeps: int | None = None
) -> Solution:
    """Q_{k+1}(s, a) = r(s, a) + discount sum_s' P(s'|s, a) max_a' Q_k(s', a'). Eq. (6.1).

    Starts from Q_0 = r, the action values of V = 0, so that max_a Q_k is the V_{k+1} of
    `value_iteration`, Eq. (6.3). The solution carries `action_values` (S, A), -inf where an
    action is not allowed; its greedy policy needs no model.

    Source: Sutton & Barto (2018), Eq. 4.2 used as an update.
    """
    values, sweep, residual = start_values(mdp, None), 0, torch.inf
    q = action_values(mdp, values)
    with suppress(KeyboardInterrupt):
        for sweep in rounds("Q-value iteration", tolerance, max_sweeps):  # noqa: B007
            backed_up = action_values(mdp, q.amax(dim=-1))
            residual = float((backed_up - q)[mdp.allowed].abs().max())
            q = backed_up
            if residual < tolerance:
                break
    best = q.max(dim=-1)
    return Solution(best.values, best.indices, sweep, residual, q)


def policy_iteration(
    mdp: MDP, *, initial_policy=None, max_iterations: int | None = None
) -> Solution:
    """Evaluate exactly, act greedily, repeat until nothing changes. Eqs. (5.2) and (5.9).

    An action is given up only for a strictly better one, by more than rounding can make: a
    tie keeps the old action, so that the method ends. More than 5,000 states: use
    `modified_policy_iteration`.

    Args:
        initial_policy: (S,) integers or (S, A) probabilities; by default all allowed actions
            are equally likely, which ends from everywhere where anything does.

    Source: Howard (1960); Sutton & Barto (2018), section 4.3.
    """
    policy = initial_policy
    if policy is None:
        policy = mdp.allowed.to(mdp.reward) / mdp.allowed.sum(dim=1, keepdim=True)
    rounding = max(1e-10, 100 * torch.finfo(mdp.reward.dtype).eps)
    values, iteration, residual = start_values(mdp, None), 0, torch.inf
    with suppress(KeyboardInterrupt):
        for iteration in rounds("policy iteration", 1.0, max_iterations):  # noqa: B007
            policy = torch.as_tensor(policy, device=mdp.reward.device)
            values = policy_values(mdp.induced_chain(policy))
            best = bellman_optimality_backup(mdp, values)
            residual = float((best - values).abs().max())
            better = best > values + rounding * values.abs().max().clamp_min(1)
            if policy.ndim == 1 and not better.any():
                break
            greedy = greedy_actions(mdp, values)
            policy = torch.where(better, greedy, policy) if policy.ndim == 1 else greedy
    return Solution(values, policy, iteration, residual)


def modified_policy_iteration(
    mdp: MDP,
    *,
    evaluation_sweeps: int = 20,
    tolerance: float = 1e-8,
    max_sweeps: int | None = None,
    initial_values=None,
) -> Solution:
    """Act greedily, then only `evaluation_sweeps` backups of that policy, repeat. Eq. (5.16).

    0 of them is value iteration; very many, policy iteration. Made for large models: a sweep
    under one policy costs a fraction of a maximum over all actions.

    Source: Puterman & Shin (1978).
    """
    if evaluation_sweeps < 0:
        raise ValueError(f"evaluation_sweeps must be 0 or more, got {evaluation_sweeps}")
    values, sweeps, residual = start_values(mdp, initial_values), 0, torch.inf
    with suppress(KeyboardInterrupt):
        for _ in rounds("modified policy iteration", tolerance, None):
            best, policy = bellman_optimality_backup(mdp, values), None
            residual, sweeps = float((best - values).abs().max()), sweeps + 1
            if residual < tolerance or (max_sweeps is not None and sweeps >= max_sweeps):
                values = best
                break
            policy, values = greedy_actions(mdp, values), best
            chain = mdp.induced_chain(policy, must_end=False)
            left = evaluation_sweeps if max_sweeps is None else max_sweeps - sweeps - 1
            for _ in range(min(evaluation_sweeps, left)):
                values = bellman_optimality_backup(chain, values)
                sweeps += 1
    return Solution(values, greedy_actions(mdp, values), sweeps, residual)
