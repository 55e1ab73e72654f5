"""Value iteration one state at a time, in any order."""

from contextlib import suppress

import torch

from rlbook.bellman import bellman_optimality_backup, greedy_actions
from rlbook.mdp import MDP
from rlbook.solution import Solution, rounds, start_values


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
