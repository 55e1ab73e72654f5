"""Means that leave out what is not there, and that keep runs apart."""

import torch

from rlbook.ground import require


def mean_per_run(x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """The mean over everything but the run axis: (R, ...) -> (R,).

    Args:
        x: (R, ...), floating point.
        mask: (R, ...) bool; only entries where it is True enter. All of them by default.

    Returns:
        (R,). NaN for a run whose mask is empty: a training freezes it. To look into the mask here
        would wait for the device in every loss.

    Raises:
        ValueError: no run axis, nothing to average, or a mask of another dtype or shape.
    """
    if x.ndim == 0:
        raise ValueError("x has no run axis: its shape is ()")
    if x.numel() == 0:
        raise ValueError(f"x is empty, and a mean of nothing is NaN: its shape is {tuple(x.shape)}")
    if mask is not None:
        require.mask("mask", mask, x.shape)
        return _mean_where(x, mask, tuple(range(1, x.ndim)))
    return x.flatten(1).mean(dim=1) if x.ndim > 1 else x


def masked_mean(
    x: torch.Tensor, mask: torch.Tensor, dim: int | tuple[int, ...] | None = None
) -> torch.Tensor:
    """The mean of x over the entries where mask is True.

    Entries behind the mask may be NaN or infinite: they do not enter.

    Args:
        x: (...), floating point.
        mask: bool, the shape of x.
        dim: the axes to reduce; all of them by default.

    Raises:
        ValueError: wrong dtype or shape of the mask, or a mean over no entry at all.
    """
    require.mask("mask", mask, x.shape)
    dim = tuple(range(x.ndim)) if dim is None else dim
    if (mask.sum(dim) == 0).any():
        raise ValueError("a mean over no entry: the mask is empty somewhere along dim")
    return _mean_where(x, mask, dim)


def _mean_where(x: torch.Tensor, mask: torch.Tensor, dim: int | tuple[int, ...]) -> torch.Tensor:
    count = mask.sum(dim)
    return torch.where(mask, x, torch.zeros((), dtype=x.dtype, device=x.device)).sum(dim) / count


def standardise_per_run(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(x - mean) / standard deviation, both of each run by itself: (R, ...) -> (R, ...).

    Where all entries of a run are equal, 0: deviation and distances are then rounding errors, and
    their quotients anything.

    Args:
        x: (R, ...), floating point.
        mask: (R, ...) bool; only entries where it is True enter mean and deviation.
    """
    shape = (-1, *[1] * (x.ndim - 1))
    centred = x - mean_per_run(x, mask).view(shape)
    low = x.masked_fill(~mask, torch.inf).flatten(1).amin(1).view(shape)
    high = x.masked_fill(~mask, -torch.inf).flatten(1).amax(1).view(shape)
    standard = centred / (mean_per_run(centred**2, mask).sqrt().view(shape) + 1e-8)
    return torch.where(low == high, 0.0, standard)
