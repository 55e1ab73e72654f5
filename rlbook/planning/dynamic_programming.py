"""Planning with a known model: policy evaluation, and value and policy iteration.

Every method runs on the device of the model's tensors. Interrupting one (the stop button)
hands back what it has; `residual` says how far that is from done.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import torch

from rlbook.ground.progress import progress
from rlbook.ground.require import first_index, numbers, require_shape
from rlbook.planning.bellman import (
    action_values,
    bellman_expectation_backup,
    bellman_optimality_backup,
    discounted_visitation,
    greedy_actions,
    policy_values,
)
from rlbook.planning.mdp import MDP

MAX_SWEEPS = 1_000_000  # where none is given: reaching it is a divergence, and raises


@dataclass(frozen=True, eq=False)
class Solution:
    """What a planning method returns.

    Attributes:
        values: (S,).
        policy: (S,) integers, greedy for the values; in `policy_evaluation` the given policy.
        sweeps: how many times every state was backed up (policy iteration: its rounds).
        residual: max_s |(T V)(s) - V(s)| at the last backup, the last change of the values.
        action_values: (S, A), from `q_value_iteration` only.
    """

    values: torch.Tensor
    policy: torch.Tensor
    sweeps: int
    residual: float
    action_values: torch.Tensor | None = None


def start_values(mdp: MDP, initial_values) -> torch.Tensor:
    """(S,) values to start from: zero by default, and 0 at terminal states."""
    if initial_values is None:
        return torch.zeros_like(mdp.reward[:, 0])
    values = require_shape("initial_values", numbers(initial_values), (mdp.num_states,))
    values = values.to(mdp.reward).clone()
    if (values[mdp.terminal] != 0).any():
        s = first_index((values != 0) & mdp.terminal)[0]
        raise ValueError(f"initial_values[{s}] is {float(values[s])}, but state {s} is terminal")
    return values


def rounds(what: str, tolerance: float, limit: int | None) -> Iterator[int]:
    """1, 2, ... up to the limit, with a progress bar; without a limit, a divergence raises."""
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    with progress(total=limit, description=what) as bar:
        for number in range(1, (MAX_SWEEPS if limit is None else limit) + 1):
            yield number
            bar.update()
    if limit is None:
        raise ValueError(f"{what}: not settled after {MAX_SWEEPS} rounds; do the values diverge?")


# ---------------------------------------------------------------- all states at once


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

    Then max |V - V*| <= discount / (1 - discount) * residual, Eq. (4.6).

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


# ---------------------------------------------------------------- one state at a time, in any order


def asynchronous_value_iteration(
    mdp: MDP,
    *,
    order: str = "in_place",
    num_updates: int,
    horizon: int | None = None,
    generator: torch.Generator | None = None,
    initial_values=None,
) -> Solution:
    """V(s) <- (T V)(s) for one state at a time, each update using all earlier ones. Eq. (4.10).

    Args:
        order: "in_place" (0, 1, ..., S - 1, and again), "random" (states drawn uniformly), or
            "trajectory": the updates follow the greedy action from a start state, as in
            real-time dynamic programming; states off the trajectory are never updated.
        num_updates: how many single-state updates to make.
        horizon: "trajectory" only: start afresh after so many steps. Without it, only a
            terminal state starts afresh.
        generator: for "random" and "trajectory".

    Returns:
        `sweeps` is the number of updates made / S, rounded up; `residual` is
        max_s |(T V)(s) - V(s)| at the values returned.

    Source: Bertsekas (1982); Barto, Bradtke & Singh (1995) for trajectories.
    """
    if order not in ("in_place", "random", "trajectory"):
        raise ValueError(f'order must be "in_place", "random" or "trajectory", got {order!r}')
    if order != "in_place" and generator is None:
        raise ValueError(f'order="{order}" draws random states: give a generator')
    values, s, age, update = start_values(mdp, initial_values), None, 0, 0
    actions = torch.arange(mdp.num_actions, device=values.device)
    with suppress(KeyboardInterrupt):
        for update in rounds("asynchronous value iteration", 1.0, num_updates):
            if order == "in_place":
                s = (update - 1) % mdp.num_states
            elif order == "random":
                s = int(
                    torch.randint(mdp.num_states, (), generator=generator, device=values.device)
                )
            elif s is None or bool(mdp.terminal[s]) or age == horizon:
                s, age = int(torch.multinomial(mdp.start, 1, generator=generator)), 0
            successors, probabilities = mdp.kernel.gather(torch.full_like(actions, s), actions)
            q = mdp.reward[s] + mdp.discount * (probabilities * values[successors]).sum(-1)
            a = int(q.masked_fill(~mdp.allowed[s], -torch.inf).argmax())
            values[s] = q[a]
            if order == "trajectory":
                k = int(torch.multinomial(probabilities[a], 1, generator=generator))
                s, age = int(successors[a, k]), age + 1
    residual = float((bellman_optimality_backup(mdp, values) - values).abs().max())
    sweeps = -(-update // mdp.num_states)
    return Solution(values, greedy_actions(mdp, values), sweeps, residual)
