"""Returns of recorded rewards. Time is the last axis; r_t is the reward for a_t.

Termination is not truncation: after `terminated[t]` nothing follows and the return ends; at
`truncated[t]`, and at the end of the record, the episode would have gone on, and
`next_values[t]`, V of the true next observation, stands for what is missing.
"""

import torch


def _check_steps(rewards, terminated, truncated, next_values, discount) -> None:
    if not rewards.is_floating_point() or rewards.ndim == 0 or rewards.shape[-1] == 0:
        got = f"{rewards.dtype} {tuple(rewards.shape)}"
        raise ValueError(f"rewards must be floating point (..., T) with T >= 1, got {got}")
    for name, flag in (("terminated", terminated), ("truncated", truncated)):
        if flag.dtype != torch.bool or flag.shape != rewards.shape:
            got = f"{flag.dtype} {tuple(flag.shape)}"
            raise ValueError(f"{name} must be bool {tuple(rewards.shape)}, got {got}")
    if next_values is not None and next_values.shape != rewards.shape:
        got = tuple(next_values.shape)
        raise ValueError(f"next_values must have shape {tuple(rewards.shape)}, got {got}")
    if not 0 <= discount <= 1:
        raise ValueError(f"discount must be in [0, 1], got {discount}")


def discounted_returns(
    rewards: torch.Tensor,
    terminated: torch.Tensor,
    truncated: torch.Tensor,
    next_values: torch.Tensor | None = None,
    *,
    discount: float,
) -> torch.Tensor:
    """G_t = r_t + discount G_{t+1}, and G_t = r_t where the episode terminates. Eq. (1.2).

    Where it was cut (truncated[t], or t = T - 1), G_t = r_t + discount next_values[t].

    Args:
        rewards: (..., T).
        terminated, truncated: (..., T) bool; where both are set, terminated wins.
        next_values: (..., T), V(s_{t+1}) of the true next observation; read only at cuts.
        discount: in [0, 1].

    Returns:
        (..., T).

    Raises:
        ValueError: wrong shapes; or a cut that would need the next_values not given.

    Source: Sutton & Barto (2018), Eqs. 3.8 and 3.9.
    """
    _check_steps(rewards, terminated, truncated, next_values, discount)
    cut = truncated.clone()
    cut[..., -1] = True
    cut &= ~terminated
    if next_values is None and cut.any():
        index = cut.nonzero()[0].tolist()
        raise ValueError(
            f"the episode is cut, not terminated, at index {index}: its return needs next_values"
        )
    ended = torch.zeros_like(rewards[..., 0])
    returns, following = torch.empty_like(rewards), ended
    for t in reversed(range(rewards.shape[-1])):
        if next_values is not None:
            following = torch.where(cut[..., t], next_values[..., t], following)
        following = torch.where(terminated[..., t], ended, following)
        following = rewards[..., t] + discount * following
        returns[..., t] = following
    return returns
