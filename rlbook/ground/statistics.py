"""Aggregates and intervals over independent runs: (R, ...) in, numpy out.

Every function takes numpy arrays, torch tensors or lists, and computes in float64.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats

from rlbook.ground import require


def _runs(name: str, x: ArrayLike | torch.Tensor, axis: int = 0) -> np.ndarray:
    """x as a float64 array with at least two runs along `axis` and no NaN."""
    if isinstance(x, torch.Tensor):
        x = x.detach().to(device="cpu", dtype=torch.float64).numpy()
    x = np.asarray(x, dtype=np.float64)
    if not -x.ndim <= axis < x.ndim or x.shape[axis] < 2:
        raise ValueError(f"{name} needs at least 2 runs along axis {axis}, got shape {x.shape}")
    if np.isnan(x).any():
        raise ValueError(f"{name} contains NaN at index {np.argwhere(np.isnan(x))[0].tolist()}")
    return x


def _finite_runs(name: str, x: ArrayLike | torch.Tensor) -> np.ndarray:
    x = _runs(name, x)
    if np.isinf(x).any():
        raise ValueError(f"{name} is infinite at index {np.argwhere(np.isinf(x))[0].tolist()}")
    return x


def interquartile_mean(x: ArrayLike | torch.Tensor, axis: int = 0) -> np.ndarray:
    """The mean of the middle half of the runs.

    With the runs sorted, x_(1) <= ... <= x_(R), and k = floor(R / 4),

        IQM(x) = (x_(k+1) + ... + x_(R-k)) / (R - 2k).

    The cut is at whole runs, as in scipy.stats.trim_mean(x, 0.25); of ten runs the middle
    six count. It is harder to move by one lucky run than the mean, and wastes less of the
    data than the median. Up to k infinite entries at either end are allowed.

    Args:
        x: (R, ...), the runs along `axis`.

    Returns:
        (...), x without that axis.

    Raises:
        ValueError: fewer than 2 runs, or NaN.

    Source: Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical
    precipice", section 4.3.
    """
    x = np.moveaxis(np.sort(_runs("x", x, axis), axis=axis), axis, 0)
    cut = len(x) // 4
    return x[cut : len(x) - cut].mean(axis=0)


def bootstrap_interval(
    x: ArrayLike | torch.Tensor,
    statistic: Callable[..., np.ndarray] = interquartile_mean,
    confidence: float = 0.95,
    seed: int = 0,
    *,
    num_resamples: int = 2000,
) -> tuple[np.ndarray, np.ndarray]:
    """A percentile bootstrap interval for a statistic of the runs, at each of N points.

    Whole runs are drawn with replacement, R at a time, the same draws for all points; the
    interval runs between the (1 - confidence) / 2 and (1 + confidence) / 2 quantiles of the
    statistic over the resamples. We take percentiles and not BCa because BCa is undefined
    (NaN) where all runs are equal, which is what a solved task looks like.

    It is somewhat too narrow for few runs. Measured on normal data, 20,000 experiments each:
    a 95% interval contains the truth in 89.9% of the cases for the mean of 10 runs and in
    93.6% for their IQM (BCa: 89.7% and 93.4%); with 5 runs in 83.7% and 90.1%, with 30 in
    93.5% and 94.4%. For a mean of few runs `mean_interval` is the better choice.

    Args:
        x: (R, ...), finite.
        statistic: called as statistic(x, axis=...), for example np.mean or np.median.
        seed: the same seed gives the same interval.

    Returns:
        low, high: each (...).

    Raises:
        ValueError: fewer than 2 runs, NaN or infinity, a confidence outside (0, 1).

    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13;
    Agarwal et al. 2021, section 4.1.
    """
    x = _finite_runs("x", x)
    require.strictly_within("confidence", confidence, 0, 1)
    result = stats.bootstrap(
        (x,),
        statistic,
        axis=0,
        vectorized=True,
        n_resamples=num_resamples,
        batch=max(1, min(num_resamples, 4_000_000 // max(x.size, 1))),  # 32 MB at a time
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    return result.confidence_interval.low, result.confidence_interval.high


def paired_difference_interval(
    a: ArrayLike | torch.Tensor,
    b: ArrayLike | torch.Tensor,
    statistic: Callable[..., np.ndarray] = interquartile_mean,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """A bootstrap interval for the statistic of the differences a_k - b_k, run by run.

    Run k of both methods shares its seed, so that what the pair has in common (the task,
    the start, the noise) cancels. An interval that excludes 0 supports a claim.

    Args:
        a, b: (R, ...) each, of the same shape; row k of both is run k.

    Returns:
        low, high: each (...).

    Raises:
        ValueError: different shapes, and as `bootstrap_interval`.
    """
    a, b = _finite_runs("a", a), _finite_runs("b", b)
    if a.shape != b.shape:
        raise ValueError(f"a and b must have the same shape, got {a.shape} and {b.shape}")
    return bootstrap_interval(a - b, statistic, confidence, seed)


def mean_interval(
    x: ArrayLike | torch.Tensor, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Student's interval for an expectation, from independent samples.

    mean(x) -+ t s / sqrt(R), with s^2 = sum (x_k - mean)^2 / (R - 1) and t the
    (1 + confidence) / 2 quantile of the t distribution with R - 1 degrees of freedom:
    exact for normal samples, right for large R by the central limit theorem.

    Args:
        x: (R, ...), finite.

    Returns:
        low, high: each (...).

    Raises:
        ValueError: fewer than 2 samples, NaN or infinity, a confidence outside (0, 1).
    """
    x = _finite_runs("x", x)
    require.strictly_within("confidence", confidence, 0, 1)
    margin = stats.t.ppf((1 + confidence) / 2, len(x) - 1) * x.std(axis=0, ddof=1)
    margin = margin / np.sqrt(len(x))
    return x.mean(axis=0) - margin, x.mean(axis=0) + margin


def proportion_interval(
    successes: int, trials: int, confidence: float = 0.95
) -> tuple[float, float]:
    """The Clopper-Pearson interval for a probability, from successes among trials.

    It holds every p that the exact binomial test does not reject, so that it covers the
    truth at least as often as `confidence` says, for every number of trials.

    Raises:
        ValueError: no trial, successes outside 0 .. trials, a confidence outside (0, 1).

    Source: Clopper and Pearson 1934, by scipy.stats.binomtest.
    """
    require.strictly_within("confidence", confidence, 0, 1)
    successes, trials = _whole("successes", successes), _whole("trials", trials)
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(
            f"successes must lie in 0 .. trials, trials >= 1; got {successes}, {trials}"
        )
    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def _whole(name: str, number: float) -> int:
    if int(number) != number:
        raise ValueError(f"{name} must be a whole number, got {number}")
    return int(number)
