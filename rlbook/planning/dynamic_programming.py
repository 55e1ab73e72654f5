"""Planning with a known model: policy evaluation, and value and policy iteration.

Every method runs on the device of the model's tensors. Interrupting one (the stop button)
hands back what it has; `residual` says how far that is from done.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeVar

import torch

from rlbook.ground import require
from rlbook.ground.draws import draw_one
from rlbook.ground.progress import progress
from rlbook.ground.require import Numbers, first_index, numbers, require_shape
from rlbook.planning.bellman import (
    action_values,
    bellman_optimality_backup,
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
        interrupted: whether the stop button ended it.
    """

    values: torch.Tensor
    policy: torch.Tensor
    sweeps: int
    residual: float
    action_values: torch.Tensor | None = None
    interrupted: bool = False


@dataclass(frozen=True, eq=False)
class Iterate:
    """Where a method stands: it yields one after another, from its start on."""

    values: torch.Tensor
    """(S,), V; or (S, A), Q."""
    sweeps: int = 0
    residual: float = torch.inf
    settled: bool = False
    """Nothing is left to be done."""


@dataclass(frozen=True, eq=False)
class PolicyIterate(Iterate):
    policy: torch.Tensor = field(kw_only=True)
    """(S,) or (S, A)."""


AnIterate = TypeVar("AnIterate", bound=Iterate)


def converged(
    what: str, iterates: Iterator[AnIterate], limit: int | None
) -> tuple[AnIterate, bool]:
    """The first iterate that is settled, or the last one before the limit or the stop button.

    Args:
        limit: of sweeps; without one, a million of them are a divergence, which raises.

    Returns:
        The iterate, and whether it was interrupted.
    """
    last = next(iterates)
    most = MAX_SWEEPS if limit is None else limit
    try:
        with progress(total=limit, description=what) as bar:
            while not last.settled and last.sweeps < most:
                before, last = last, next(iterates)
                bar.update(last.sweeps - before.sweeps)
    except KeyboardInterrupt:
        return last, True
    if limit is None and not last.settled:
        raise ValueError(f"{what}: not settled after {MAX_SWEEPS} rounds; do the values diverge?")
    return last, False


def start_values(mdp: MDP, initial_values: Numbers | None) -> torch.Tensor:
    """(S,) values to start from: zero by default, and 0 at terminal states."""
    if initial_values is None:
        return torch.zeros_like(mdp.reward[:, 0])
    values = require_shape("initial_values", numbers(initial_values), (mdp.num_states,))
    values = values.to(mdp.reward).clone()
    if (values[mdp.terminal] != 0).any():
        s = first_index((values != 0) & mdp.terminal)[0]
        raise ValueError(f"initial_values[{s}] is {float(values[s])}, but state {s} is terminal")
    return values


# ---------------------------------------------------------------- all states at once


def policy_evaluation(
    mdp: MDP,
    policy: Numbers,
    *,
    method: str = "exact",
    tolerance: float = 1e-8,
    max_sweeps: int | None = None,
    initial_values: Numbers | None = None,
) -> Solution:
    """The values V^pi of a policy, the solution of V = r_pi + discount P_pi V. Eq. (5.2).

    Args:
        policy: (S,) integers or (S, A) probabilities.
        method: "exact", a linear solve (`policy_values`: up to 5,000 states of a dense model,
            sparse ones of any size), or "iterative", backups until the change is below
            `tolerance`, or `max_sweeps` of them, Eq. (5.3).
        initial_values: (S,), 0 at terminal states; zero by default. Only for "iterative".

    Raises:
        ValueError: at discount 1, a policy under which some state never ends (it is named).

    Source: Sutton & Barto (2018), section 4.1.
    """
    require.one_of("method", method, "exact", "iterative")
    chain, policy = mdp.induced_chain(policy), torch.as_tensor(policy)
    if method == "exact":
        values = policy_values(chain)
        residual = (bellman_optimality_backup(chain, values) - values).abs().max()
        return Solution(values, policy, 1, float(residual))
    evaluated = value_iteration(  # the chain has one action: its maximum is no choice
        chain, tolerance=tolerance, max_sweeps=max_sweeps, initial_values=initial_values
    )
    return replace(evaluated, policy=policy)


def value_iteration(
    mdp: MDP,
    *,
    tolerance: float = 1e-8,
    max_sweeps: int | None = None,
    initial_values: Numbers | None = None,
) -> Solution:
    """V_{k+1} = T V_k in every state, until the change is below `tolerance`. Eq. (4.1).

    Then max |V - V*| <= discount / (1 - discount) * residual, Eq. (4.6).

    Args:
        max_sweeps: hands back what it has after so many sweeps.
        initial_values: (S,), 0 at terminal states; zero by default.

    Source: Sutton & Barto (2018), section 4.4.
    """
    require.positive("tolerance", tolerance)

    def iterates() -> Iterator[Iterate]:
        values = start_values(mdp, initial_values)
        yield Iterate(values)
        for sweep in count(1):
            backed_up = bellman_optimality_backup(mdp, values)
            residual = float((backed_up - values).abs().max())
            values = backed_up
            yield Iterate(values, sweep, residual, residual < tolerance)

    last, interrupted = converged("value iteration", iterates(), max_sweeps)
    policy = greedy_actions(mdp, last.values)
    return Solution(last.values, policy, last.sweeps, last.residual, interrupted=interrupted)


def q_value_iteration(
    mdp: MDP, *, tolerance: float = 1e-8, max_sweeps: int | None = None
) -> Solution:
    """Q_{k+1}(s, a) = r(s, a) + discount sum_s' P(s'|s, a) max_a' Q_k(s', a'). Eq. (6.1).

    Starts from Q_0 = r, the action values of V = 0, so that max_a Q_k is the V_{k+1} of
    `value_iteration`, Eq. (6.3). The solution carries `action_values` (S, A), -inf where an
    action is not allowed; its greedy policy needs no model.

    Source: Sutton & Barto (2018), Eq. 4.2 used as an update.
    """
    require.positive("tolerance", tolerance)

    def iterates() -> Iterator[Iterate]:
        q = action_values(mdp, start_values(mdp, None))
        yield Iterate(q)
        for sweep in count(1):
            backed_up = action_values(mdp, q.amax(dim=-1))
            residual = float((backed_up - q)[mdp.allowed].abs().max())
            q = backed_up
            yield Iterate(q, sweep, residual, residual < tolerance)

    last, interrupted = converged("Q-value iteration", iterates(), max_sweeps)
    values, policy = last.values.max(dim=-1)
    return Solution(values, policy, last.sweeps, last.residual, last.values, interrupted)


def policy_iteration(
    mdp: MDP, *, initial_policy: Numbers | None = None, max_iterations: int | None = None
) -> Solution:
    """Evaluate exactly, act greedily, repeat until nothing changes. Eqs. (5.2) and (5.9).

    An action is given up only for a strictly better one, by more than rounding can make: a
    tie keeps the old action, so that the method ends. A round over a model stored by its
    successors costs what its non-zeros cost; of a dense one, 5,000 states are the most.

    Args:
        initial_policy: (S,) integers or (S, A) probabilities; by default all allowed actions
            are equally likely, which ends from everywhere where anything does.

    Source: Howard (1960); Sutton & Barto (2018), section 4.3.
    """
    uniform = mdp.allowed.to(mdp.reward) / mdp.allowed.sum(dim=1, keepdim=True)
    first = uniform if initial_policy is None else initial_policy
    rounding = max(1e-10, 100 * torch.finfo(mdp.reward.dtype).eps)

    def iterates() -> Iterator[PolicyIterate]:
        policy = torch.as_tensor(first, device=mdp.reward.device)
        values, residual = start_values(mdp, None), torch.inf
        yield PolicyIterate(values, policy=policy)
        for iteration in count(1):
            values = policy_values(mdp.induced_chain(policy))
            yield PolicyIterate(values, iteration - 1, residual, policy=policy)
            best = bellman_optimality_backup(mdp, values)
            residual = float((best - values).abs().max())
            better = best > values + rounding * values.abs().max().clamp_min(1)
            settled = policy.ndim == 1 and not better.any()
            if not settled:
                greedy = greedy_actions(mdp, values)
                policy = torch.where(better, greedy, policy) if policy.ndim == 1 else greedy
            yield PolicyIterate(values, iteration, residual, settled, policy=policy)

    last, interrupted = converged("policy iteration", iterates(), max_iterations)
    return Solution(last.values, last.policy, last.sweeps, last.residual, interrupted=interrupted)


def modified_policy_iteration(
    mdp: MDP,
    *,
    evaluation_sweeps: int = 20,
    tolerance: float = 1e-8,
    max_sweeps: int | None = None,
    initial_values: Numbers | None = None,
) -> Solution:
    """Act greedily, then only `evaluation_sweeps` backups of that policy, repeat. Eq. (5.16).

    0 of them is value iteration; very many, policy iteration. Made for large models: a sweep
    under one policy costs a fraction of a maximum over all actions.

    Source: Puterman & Shin (1978).
    """
    require.at_least("evaluation_sweeps", evaluation_sweeps, 0)
    require.positive("tolerance", tolerance)

    def iterates() -> Iterator[Iterate]:
        values, sweeps = start_values(mdp, initial_values), 0
        yield Iterate(values)
        while True:
            best, sweeps = bellman_optimality_backup(mdp, values), sweeps + 1
            residual = float((best - values).abs().max())
            yield Iterate(best, sweeps, residual, residual < tolerance)
            policy, values = greedy_actions(mdp, values), best
            chain = mdp.induced_chain(policy, must_end=False)
            left = evaluation_sweeps if max_sweeps is None else max_sweeps - sweeps - 1
            for _ in range(min(evaluation_sweeps, left)):
                values, sweeps = bellman_optimality_backup(chain, values), sweeps + 1
                yield Iterate(values, sweeps, residual)

    last, interrupted = converged("modified policy iteration", iterates(), max_sweeps)
    policy = greedy_actions(mdp, last.values)
    return Solution(last.values, policy, last.sweeps, last.residual, interrupted=interrupted)


# ---------------------------------------------------------------- one state at a time, in any order


def asynchronous_value_iteration(
    mdp: MDP,
    *,
    order: str = "in_place",
    num_updates: int,
    horizon: int | None = None,
    generator: torch.Generator | None = None,
    initial_values: Numbers | None = None,
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
    require.one_of("order", order, "in_place", "random", "trajectory")
    if order != "in_place" and generator is None:
        raise ValueError(f'order="{order}" draws random states: give a generator')
    values = start_values(mdp, initial_values)

    def iterates() -> Iterator[Iterate]:
        s, age = 0, 0
        actions = torch.arange(mdp.num_actions, device=values.device)
        yield Iterate(values)
        for update in count(1):
            if order == "in_place":
                s = (update - 1) % mdp.num_states
            elif order == "random":
                s = int(
                    torch.randint(mdp.num_states, (), generator=generator, device=values.device)
                )
            elif update == 1 or bool(mdp.terminal[s]) or age == horizon:
                s, age = draw_one(mdp.start, generator), 0
            successors, probabilities = mdp.kernel.gather(torch.full_like(actions, s), actions)
            q = mdp.reward[s] + mdp.discount * (probabilities * values[successors]).sum(-1)
            a = int(q.masked_fill(~mdp.allowed[s], -torch.inf).argmax())
            values[s] = q[a]
            if order == "trajectory":
                k = draw_one(probabilities[a], generator)
                s, age = int(successors[a, k]), age + 1
            yield Iterate(values, update)

    last, interrupted = converged("asynchronous value iteration", iterates(), num_updates)
    residual = float((bellman_optimality_backup(mdp, values) - values).abs().max())
    sweeps = -(-last.sweeps // mdp.num_states)
    policy = greedy_actions(mdp, values)
    return Solution(values, policy, sweeps, residual, interrupted=interrupted)
