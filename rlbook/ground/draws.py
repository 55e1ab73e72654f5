"""Drawing an index from probabilities, in each of the ways whose numbers the book has stored.

- `inverse_cdf`: from uniform numbers that are there, in the dtype of the probabilities. Deep agents
  and language models, whose runs draw their noise in blocks.
- `thresholds`, `from_thresholds`: the same in float32, for tables that are drawn from very often.
- `draws`, `draw`: from a generator, in float64. Samples from a model.
- `draw_one`: from a generator, by torch.multinomial, which uses its numbers in another way.

Each uses up other random numbers or rounds in another way, so that none can stand for another
without a change of what is drawn.
"""

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


def draws(probabilities: torch.Tensor, number: int, generator: torch.Generator) -> torch.Tensor:
    """Indices k with probability probabilities[..., k], so many for each row.

    Args:
        probabilities: (..., K); a row need not sum to one exactly, its total is used.
        generator: on the device of the probabilities.

    Returns:
        (..., number) int64.
    """
    cumulative = probabilities.to(torch.float64).cumsum(-1)
    shape = (*probabilities.shape[:-1], number)
    uniform = torch.rand(shape, dtype=torch.float64, device=generator.device, generator=generator)
    target = uniform * cumulative[..., -1:]  # below the total: the last index is K - 1
    return torch.searchsorted(cumulative, target, right=True)


def draw(probabilities: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """An index k with probability probabilities[..., k], one for each row: (..., K) -> (...)."""
    return draws(probabilities, 1, generator).squeeze(-1)


def draw_one(probabilities: torch.Tensor, generator: torch.Generator | None) -> int:
    """An index k with probability probabilities[k], (K,), by torch.multinomial."""
    return int(torch.multinomial(probabilities, 1, generator=generator))


def thresholds(probabilities: torch.Tensor) -> torch.Tensor:
    """Cumulative sums without the last, (..., K) -> (..., K - 1) float32, for numbers in [0, 1).

    Where nothing can follow, the threshold is infinite: rounding never draws the impossible.
    """
    cumulative = probabilities.cumsum(-1)
    left = probabilities.flip(-1).cumsum(-1).flip(-1)[..., 1:]
    cumulative = (cumulative / cumulative[..., -1:])[..., :-1]
    return cumulative.masked_fill(left <= 0, torch.inf).float()


def from_thresholds(limits: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The index of each uniform number among the thresholds, (K - 1,) and (...) -> (...) int64."""
    return torch.searchsorted(limits, uniforms, right=True)


def random_distributions(*shape: int, generator: torch.Generator) -> torch.Tensor:
    """Distributions (..., K), each uniform on the simplex: exponential numbers by their sum."""
    weights = torch.empty(shape, dtype=torch.float64, device=generator.device)
    weights.exponential_(generator=generator)
    return weights / weights.sum(-1, keepdim=True)
