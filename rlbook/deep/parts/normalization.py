"""Observations brought to mean 0 and variance 1, by running statistics of each run's own data."""

import torch
from torch import nn

from rlbook.ground import require


class RunningNormalizer(nn.Module):
    """(x - mean) / standard deviation of all the data of the run so far, clipped to +-clip.

    Before the first data it leaves x as it is, but for the clip. The statistics are buffers in
    double precision, saved with a module that contains them, and they are not trained.

    Args:
        num_runs, size: R and the size of an observation.
        clip: the largest magnitude that comes out.

    Attributes:
        mean, var: (R, size), equal to numpy's mean and var (that divides by the count).
        count: (R, 1), how many observations the run has seen.
    """

    mean: torch.Tensor
    var: torch.Tensor
    count: torch.Tensor

    def __init__(
        self,
        num_runs: int,
        size: int,
        *,
        clip: float = 10.0,
        device: str | torch.device | None = None,
    ):
        super().__init__()
        if num_runs < 1 or size < 1:
            raise ValueError(f"num_runs and size must be at least 1, got {num_runs} and {size}")
        require.positive("clip", clip)
        F64 = torch.float64
        self.register_buffer("mean", torch.zeros(num_runs, size, dtype=F64, device=device))
        self.register_buffer("var", torch.ones(num_runs, size, dtype=F64, device=device))
        self.register_buffer("count", torch.zeros(num_runs, 1, dtype=F64, device=device))
        self.clip = clip

    @torch.no_grad()
    def update(self, observations: torch.Tensor, valid: torch.Tensor | None = None) -> None:
        """Take in a batch: the mean and the variance of old and new data together.

        With n old and m new data, means a and b, variances v and w, and d = b - a: the mean is
        a + d m / (n + m), the variance (n v + m w + d^2 n m / (n + m)) / (n + m).

        Args:
            observations: (R, ..., size).
            valid: (R, ...) bool; observations where it is False stay out. All count by default.
                What is not finite stays out in any case. A run with none keeps what it has.

        Source: Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance".
        """
        self._check(observations)
        if valid is None:
            valid = torch.ones_like(observations[..., 0], dtype=torch.bool)
        if valid.dtype != torch.bool or valid.shape != observations.shape[:-1]:
            wanted, got = tuple(observations.shape[:-1]), f"{valid.dtype} {tuple(valid.shape)}"
            raise ValueError(f"valid must be bool {wanted}, got {got}")
        x = observations.to(self.mean.dtype).flatten(1, -2)  # (R, N, size)
        keep = (valid.flatten(1) & x.isfinite().all(-1)).unsqueeze(-1)  # (R, N, 1)
        new = keep.sum(1)  # (R, 1)
        new_mean = torch.where(keep, x, 0.0).sum(1) / new.clamp(min=1)
        deviation = torch.where(keep, x - new_mean.unsqueeze(1), 0.0)
        total = self.count + new
        share = new / total.clamp(min=1)
        delta = new_mean - self.mean
        squares = self.count * self.var + deviation.square().sum(1)
        squares += delta.square() * self.count * share
        self.mean += delta * share
        self.var.copy_(torch.where(total > 0, squares / total.clamp(min=1), self.var))
        self.count.copy_(total)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """(R, ..., size) -> the same shape and dtype."""
        self._check(observations)
        shape = (len(self.mean), *[1] * (observations.ndim - 2), -1)
        mean, scale = (x.to(observations.dtype).view(shape) for x in (self.mean, self._scale()))
        return ((observations - mean) * scale).clamp(-self.clip, self.clip)

    def run(self, k: int) -> nn.Module:
        return Normalizer(self.mean[k], self._scale()[k], self.clip)

    def _scale(self) -> torch.Tensor:
        return torch.where(self.count > 0, (self.var + 1e-8).rsqrt(), 1.0)  # (R, size)

    def _check(self, observations: torch.Tensor) -> None:
        runs, size = self.mean.shape
        shape = tuple(observations.shape)
        if len(shape) < 2 or shape[0] != runs or shape[-1] != size:
            raise ValueError(f"observations must have shape ({runs}, ..., {size}), got {shape}")
        if not observations.is_floating_point():
            raise ValueError(f"observations must be floating point, got {observations.dtype}")


def normalizer_of(network: nn.Module) -> RunningNormalizer:
    """The one that a network begins with.

    Raises:
        ValueError: it begins with none; with normalize_observations=False there is none.
    """
    first = network[0] if isinstance(network, nn.Sequential) else network
    if not isinstance(first, RunningNormalizer):
        raise ValueError(f"network must begin with a RunningNormalizer, got {first!r}")
    return first


class Normalizer(nn.Module):
    """One run of a RunningNormalizer, as it stood: (..., size) -> the same shape."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor, clip: float):
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("scale", scale.clone())
        self.clip = clip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, scale = self.mean.to(x.dtype), self.scale.to(x.dtype)
        return ((x - mean) * scale).clamp(-self.clip, self.clip)
