"""Policies made from action values: greedy and epsilon-greedy."""

import torch

from rlbook.ground import require


def greedy_policy(q: torch.Tensor) -> torch.Tensor:
    """The greedy policy, its probability split equally over exact maxima. Eq. (6.4).

    Args:
        q: (..., A); -inf where an action is not allowed.

    Returns:
        (..., A), each row a distribution.

    Raises:
        ValueError: a NaN, or a row of nothing but -inf.
    """
    if q.ndim == 0 or q.isnan().any():
        raise ValueError(f"q must be (..., A) without NaN, got shape {tuple(q.shape)}")
    best = q.amax(dim=-1, keepdim=True)
    if (best == -torch.inf).any():
        row = (best[..., 0] == -torch.inf).nonzero()[0].tolist()
        raise ValueError(f"q{row} allows no action: every entry is -inf")
    maxima = (q == best).to(q.dtype)
    return maxima / maxima.sum(dim=-1, keepdim=True)


def epsilon_greedy_policy(q: torch.Tensor, epsilon: float | torch.Tensor) -> torch.Tensor:
    """(1 - epsilon) greedy + epsilon uniform over the allowed actions. Eq. (6.12).

    The greedy action is among the uniform draw: with A allowed actions and no tie it has
    probability 1 - epsilon + epsilon / A.

    Args:
        q: (..., A); -inf where an action is not allowed.
        epsilon: in [0, 1]; a number, or a tensor that broadcasts against (..., 1).

    Raises:
        ValueError: as greedy_policy; q not floating point; an epsilon out of range.

    Source: Sutton & Barto (2018), section 2.2.
    """
    greedy = greedy_policy(q)
    require.real("q", q, "(..., A)")
    epsilon = torch.as_tensor(epsilon, dtype=q.dtype, device=q.device)
    require.within("epsilon", epsilon, 0, 1)
    allowed = (q > -torch.inf).to(q.dtype)
    uniform = allowed / allowed.sum(dim=-1, keepdim=True)
    return (1 - epsilon) * greedy + epsilon * uniform
