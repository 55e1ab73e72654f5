"""How a step size or an epsilon changes while we learn: functions of a count.

A step size is a function of N(s, a) = 1, 2, ..., the visits of the pair so far, this one
included. An epsilon is a function of how much has been learned, 0, 1, ...: finished episodes
where a learner is given `num_episodes`, steps where it is given `num_steps`.
"""

from collections.abc import Callable

import torch

Schedule = Callable[[torch.Tensor], torch.Tensor]
"""(R,) float counts -> (R,) values."""


def one_over_n(power: float = 1.0) -> Schedule:
    """1 / N^power: the running mean for power 1. Eq. (7.13).

    Robbins and Monro's conditions, sum alpha = infinity and sum alpha^2 < infinity, hold for
    powers in (0.5, 1].

    Raises:
        ValueError: a power outside (0, 1].
    """
    if not 0 < power <= 1:
        raise ValueError(f"power must be in (0, 1], got {power}")
    return lambda count: count.clamp(min=1) ** -power


def one_over_k(scale: float = 1.0) -> Schedule:
    """1 / (1 + k / scale), from 1 at k = 0 towards 0, with an infinite sum: GLIE. Eq. (7.18).

    With scale 1 the values are 1, 1/2, 1/3, ...

    Raises:
        ValueError: a scale that is not positive.
    """
    if not scale > 0:
        raise ValueError(f"scale must be positive, got {scale}")
    return lambda count: 1 / (1 + count / scale)


def linear(start: float, end: float, over: float) -> Schedule:
    """From `start` at count 0 in a straight line to `end` at count `over`, constant after it.

    Raises:
        ValueError: start or end outside [0, 1], or an `over` that is not positive.
    """
    if not (0 <= start <= 1 and 0 <= end <= 1 and over > 0):
        raise ValueError(
            f"start and end must be in [0, 1], over positive; got {start}, {end}, {over}"
        )
    return lambda count: start + (end - start) * (count / over).clamp(max=1)


def as_schedule(
    name: str,
    value: float | torch.Tensor | Schedule,
    num_rows: int,
    like: torch.Tensor | None = None,
) -> float | torch.Tensor | Schedule:
    """A number in [0, 1], a tensor (R,) of them, or a schedule; anything else is a ValueError.

    Args:
        name: of the argument, for the message.
        like: a tensor's type and device become those of this one.
    """
    if callable(value):
        return value
    numbers = torch.as_tensor(value, dtype=torch.float64)
    if numbers.shape not in ((), (num_rows,)):
        raise ValueError(
            f"{name} must be a number, ({num_rows},), or a schedule; got {tuple(numbers.shape)}"
        )
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ValueError(f"{name} must be in [0, 1], got {value}")
    if numbers.ndim == 0:
        return float(numbers)
    return numbers if like is None else numbers.to(like)
