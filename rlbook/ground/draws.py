"""Drawing an index from probabilities."""

import torch


def inverse_cdf(probabilities: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The first action whose cumulative probability exceeds the uniform number.

    Rounding does no harm: an action of probability zero is never taken, not even by uniforms of
    exactly 0 or 1, nor one beyond the last.

    Args:
        probabilities: (..., A), at least one positive; they need not sum to 1.
        uniforms: (...), in [0, 1]; the actions have this shape, long.
    """
    # Masked, since a GPU adds in an order of its own: where p = 0 its sum may still grow a little.
    cumulative = probabilities.cumsum(-1).masked_fill(probabilities == 0, 0.0)
    # The largest float below 1, times the total, rounds to less than the total.
    below_one = 1 - torch.finfo(probabilities.dtype).eps / 2
    threshold = uniforms.to(probabilities.dtype).clamp(max=below_one) * cumulative.amax(-1)
    return (cumulative > threshold.unsqueeze(-1)).byte().argmax(-1)


def draw(probabilities: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """An index k with probability probabilities[..., k], one for each row.

    Args:
        probabilities: (..., K); a row need not sum to one exactly, its total is used.
        generator: on the device of the probabilities.

    Returns:
        (...) int64.
    """
    cumulative = probabilities.to(torch.float64).cumsum(-1)
    shape = (*probabilities.shape[:-1], 1)
    uniform = torch.rand(shape, dtype=torch.float64, device=generator.device, generator=generator)
    target = uniform * cumulative[..., -1:]  # below the total: the last index is K - 1
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1)


def thresholds(probabilities: torch.Tensor) -> torch.Tensor:
    """Cumulative sums without the last, (..., K) -> (..., K - 1) float32, for numbers in [0, 1).

    Where nothing can follow, the threshold is infinite: rounding never draws the impossible.
    """
    cumulative = probabilities.cumsum(-1)
    left = probabilities.flip(-1).cumsum(-1).flip(-1)[..., 1:]
    cumulative = (cumulative / cumulative[..., -1:])[..., :-1]
    return cumulative.masked_fill(left <= 0, torch.inf).float()
