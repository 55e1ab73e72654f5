"""Bellman's backups on a known model, and the linear equations behind them.

Backups are batched, (..., S) -> (..., S), run on the device of the model's tensors, and are
contractions by the discount; a policy is (S,) integers or (S, A) probabilities.
"""

from collections.abc import Callable, Iterator
from functools import reduce

import torch

from rlbook.ground.require import numbers
from rlbook.planning.kernels import EVERY
from rlbook.planning.mdp import MDP

STATES_AT_A_TIME = 65_536  # temporaries of this size stay in the cache: 4 times faster at 10^6
MAX_DIRECT_STATES = 5_000  # up to here linear equations are solved by a dense factorisation


def _check_values(mdp: MDP, values) -> torch.Tensor:
    values = numbers(values)
    if values.ndim == 0 or values.shape[-1] != mdp.num_states:
        raise ValueError(f"values must be (..., {mdp.num_states}), got {tuple(values.shape)}")
    return values.to(mdp.reward)


def _in_turn(mdp: MDP, values: torch.Tensor, states: slice = EVERY) -> Iterator[torch.Tensor]:
    """r(s, a) + discount sum_s' P(s'|s, a) V(s') for one action after another, each (..., S)."""
    for a, expected in enumerate(mdp.kernel.expectations(values, states)):
        q = torch.add(mdp.reward[states, a], expected, alpha=mdp.discount)
        yield q if mdp.all_allowed else q.masked_fill(~mdp.allowed[states, a], -torch.inf)


def action_values(mdp: MDP, values: torch.Tensor) -> torch.Tensor:
    """Q(s, a) = r(s, a) + discount sum_s' P(s'|s, a) V(s'). Eq. (3.4).

    Args:
        values: (..., S), V.

    Returns:
        (..., S, A); -inf where an action is not allowed.

    Source: Sutton & Barto (2018), Eq. 4.6.
    """
    return torch.stack(list(_in_turn(mdp, _check_values(mdp, values))), dim=-1)


def bellman_expectation_backup(mdp: MDP, values: torch.Tensor, policy) -> torch.Tensor:
    """(T_pi V)(s) = sum_a pi(a|s) [r(s, a) + discount sum_s' P(s'|s, a) V(s')]. Eq. (3.2).

    Args:
        values: (..., S), V.
        policy: (S,) integers or (S, A) probabilities.

    Returns:
        (..., S).

    Source: Sutton & Barto (2018), Eq. 4.5.
    """
    probabilities = mdp.policy_probabilities(policy)
    q = action_values(mdp, values)
    return (probabilities * q.masked_fill(probabilities == 0, 0.0)).sum(-1)


def bellman_optimality_backup(mdp: MDP, values: torch.Tensor) -> torch.Tensor:
    """(T V)(s) = max_a [r(s, a) + discount sum_s' P(s'|s, a) V(s')]. Eq. (3.7).

    Args:
        values: (..., S), V.

    Returns:
        (..., S).

    Source: Sutton & Barto (2018), Eq. 4.10.
    """
    return _in_blocks(mdp, values, lambda in_turn: reduce(torch.maximum, in_turn))


def greedy_actions(mdp: MDP, values: torch.Tensor) -> torch.Tensor:
    """argmax_a [r(s, a) + discount sum_s' P(s'|s, a) V(s')], (..., S) -> (..., S) integers.

    Of several best actions, the first.
    """
    return _in_blocks(mdp, values, _first_best)


def _first_best(in_turn: Iterator[torch.Tensor]) -> torch.Tensor:
    best = next(in_turn)
    actions = torch.zeros_like(best, dtype=torch.long)
    for a, q in enumerate(in_turn, start=1):
        actions.masked_fill_(q > best, a)
        best = torch.maximum(best, q)
    return actions


def _in_blocks(mdp: MDP, values: torch.Tensor, choose: Callable) -> torch.Tensor:
    """What `choose` makes of the actions' values in turn, a block of states at a time."""
    values = _check_values(mdp, values)
    starts = range(0, mdp.num_states, STATES_AT_A_TIME)
    blocks = [choose(_in_turn(mdp, values, slice(s, s + STATES_AT_A_TIME))) for s in starts]
    return blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=-1)


def discounted_visitation(mdp: MDP, policy) -> torch.Tensor:
    """nu(s) = (1 - discount) sum_t discount^t Pr[s_t = s], (S,), summing to one. Eq. (2.7).

    The exact solution of nu = (1 - discount) start + discount P_pi^T nu, Eq. (2.9). Terminal
    states count as long as the process sits in them.

    Raises:
        ValueError: discount 1, where the sum has no such normalisation.
    """
    if mdp.discount == 1:
        raise ValueError("the visitation distribution is normalised by 1 - discount, which is 0")
    step = mdp.induced_chain(policy).transition[:, 0]  # (S, S)
    eye = torch.eye(mdp.num_states, dtype=step.dtype, device=step.device)
    return torch.linalg.solve(eye - mdp.discount * step.T, (1 - mdp.discount) * mdp.start)


def policy_values(chain: MDP) -> torch.Tensor:
    """V = (I - discount P)^-1 r of a chain, `mdp.induced_chain(policy)`, (S,). Eq. (3.3).

    The system is solved on the states that are not terminal; the values of those that are
    are 0. This is why discount 1 is no special case where every state reaches an end.
    """
    if chain.num_states > MAX_DIRECT_STATES:
        raise ValueError(
            f"{chain.num_states} states are too many for a dense linear solve "
            f'(at most {MAX_DIRECT_STATES}); evaluate with method="iterative"'
        )
    live = ~chain.terminal
    step = chain.transition[:, 0][live][:, live]
    eye = torch.eye(len(step), dtype=step.dtype, device=step.device)
    values = torch.zeros_like(chain.reward[:, 0])
    values[live] = torch.linalg.solve(eye - chain.discount * step, chain.reward[live, 0])
    return values
