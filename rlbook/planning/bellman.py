"""Bellman's backups on a known model, and the linear equations behind them.

Backups are batched, (..., S) -> (..., S), run on the device of the model's tensors, and are
contractions by the discount; a policy is (S,) integers or (S, A) probabilities.
"""

import numpy as np
import torch
from numpy.linalg import norm

from rlbook.ground.require import Numbers, numbers
from rlbook.planning.kernels import EVERY, DenseKernel, blocks
from rlbook.planning.mdp import MDP

MAX_DIRECT_STATES = 5_000  # up to here linear equations are solved by a dense factorisation
MAX_SMALL_STATES = 1_000  # of a model stored by its successors: above, by a sparse method
KRYLOV_ITERATIONS = 200
SOLVED = 1e-14  # the largest error of an equation, beside the largest value


def _check_values(mdp: MDP, values: Numbers) -> torch.Tensor:
    values = numbers(values)
    if values.ndim == 0 or values.shape[-1] != mdp.num_states:
        raise ValueError(f"values must be (..., {mdp.num_states}), got {tuple(values.shape)}")
    return values.to(mdp.reward)


def action_values(mdp: MDP, values: Numbers, states: slice = EVERY) -> torch.Tensor:
    """Q(s, a) = r(s, a) + discount sum_s' P(s'|s, a) V(s'). Eq. (3.4).

    Args:
        values: (..., S), V.
        states: only for these s, all of them by default.

    Returns:
        (..., S, A); -inf where an action is not allowed.

    Source: Sutton & Barto (2018), Eq. 4.6.
    """
    expected = mdp.kernel.expectations(_check_values(mdp, values), states)
    q = torch.add(mdp.reward[states], expected, alpha=mdp.discount)
    return q if mdp.all_allowed else q.masked_fill(~mdp.allowed[states], -torch.inf)


def bellman_expectation_backup(mdp: MDP, values: Numbers, policy: Numbers) -> torch.Tensor:
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


def bellman_optimality_backup(mdp: MDP, values: Numbers) -> torch.Tensor:
    """(T V)(s) = max_a [r(s, a) + discount sum_s' P(s'|s, a) V(s')]. Eq. (3.7).

    Args:
        values: (..., S), V.

    Returns:
        (..., S).

    Source: Sutton & Barto (2018), Eq. 4.10.
    """
    best = [action_values(mdp, values, states).amax(-1) for states in blocks(mdp.num_states)]
    return torch.cat(best, dim=-1)


def greedy_actions(mdp: MDP, values: Numbers) -> torch.Tensor:
    """argmax_a [r(s, a) + discount sum_s' P(s'|s, a) V(s')], (..., S) -> (..., S) integers.

    Of several best actions, the first.
    """
    best = [action_values(mdp, values, states).max(-1) for states in blocks(mdp.num_states)]
    return torch.cat([of_block.indices for of_block in best], dim=-1)


def discounted_visitation(mdp: MDP, policy: Numbers) -> torch.Tensor:
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

    A model stored by its successors is solved by `sparse_values` above 1,000 states, unless a
    gradient is asked for: then, and for a dense model, there may be 5,000 states.

    Raises:
        ValueError: too many states, or equations that `sparse_values` cannot solve.
    """
    live = ~chain.terminal
    values = torch.zeros_like(chain.reward[:, 0])
    dense = isinstance(chain.kernel, DenseKernel) or chain.reward.requires_grad
    if not dense and live.any() and chain.num_states > MAX_SMALL_STATES:
        values[live] = sparse_values(chain).to(values)
        return values
    if chain.num_states > MAX_DIRECT_STATES:
        raise ValueError(
            f"{chain.num_states} states are too many for a dense linear solve "
            f'(at most {MAX_DIRECT_STATES}); evaluate with method="iterative", or build the model '
            "from its successors, MDP.from_successors"
        )
    step = chain.transition[:, 0][live][:, live]
    eye = torch.eye(len(step), dtype=step.dtype, device=step.device)
    values[live] = torch.linalg.solve(eye - chain.discount * step, chain.reward[live, 0])
    return values


def sparse_values(chain: MDP) -> torch.Tensor:
    """V of the chain's states that are not terminal, from the non-zeros of I - discount P.

    BiCGSTAB first, which multiplies by P and stores a few vectors: where all states soon lead
    to all others, thirty multiplications are enough. Where they do not, in corridors, mazes and
    on cycles, a sparse LU has little fill-in. It is therefore tried second. A model that
    has both, a long way beside a large well mixed part, is slow: its factors fill memory.

    Returns:
        (live,), in double precision, on the CPU. No equation is wrong by more than 1e-14 of the
        largest value.

    Raises:
        ValueError: a singular system, or one so near to it that rounding decides.

    Source: van der Vorst (1992) for BiCGSTAB; Li (2005) for SuperLU; both by scipy.
    """
    from scipy.sparse import csr_array, eye_array, linalg  # slow to import

    S, live = chain.num_states, (~chain.terminal).cpu().numpy()
    states = torch.arange(S, device=chain.reward.device)
    successors, chances = chain.kernel.gather(states, torch.zeros_like(states))
    columns, entries = successors.cpu().numpy(), chances.double().cpu().numpy()
    rows = np.broadcast_to(np.arange(S)[:, None], columns.shape)
    step = csr_array((entries.ravel(), (rows.ravel(), columns.ravel())), shape=(S, S))
    system = (eye_array(S, format="csr") - chain.discount * step)[live][:, live]
    reward = chain.reward[:, 0].double().cpu().numpy()[live]
    values = np.zeros_like(reward)

    def solved() -> bool:
        return norm(reward - system @ values, np.inf) <= SOLVED * norm(values, np.inf)

    for _ in range(3):  # what the last round left is solved for
        left = reward - system @ values
        with np.errstate(all="ignore"):  # it may overflow before it gives up
            values += linalg.bicgstab(system, left, rtol=1e-10, maxiter=KRYLOV_ITERATIONS)[0]
            if solved():
                return torch.from_numpy(values)
    try:
        factors = linalg.splu(system.tocsc())
    except RuntimeError as error:
        raise ValueError(f"no values: {error}; is an end almost out of reach?") from error
    values = factors.solve(reward)
    values += factors.solve(reward - system @ values)
    if not solved():
        raise ValueError(
            "no values: rounding decides them, so large are they; lower the discount, or make an "
            "end easier to reach"
        )
    return torch.from_numpy(values)
