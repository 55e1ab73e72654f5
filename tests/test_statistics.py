"""Aggregates and intervals over runs: values by hand, scipy as the peer, coverage by simulation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from rlbook.ground.statistics import (
    bootstrap_interval,
    interquartile_mean,
    mean_interval,
    paired_difference_interval,
    proportion_interval,
)

RUNS = arrays(np.float64, st.integers(2, 30), elements=st.floats(-1e6, 1e6))
INTERVALS = [bootstrap_interval, mean_interval]


def test_interquartile_mean_by_hand():
    assert interquartile_mean([1, 2, 3, 100]) == 2.5
    # 10 runs: two are cut at either end, (3 + 4 + 5 + 6 + 7 + 8) / 6
    assert interquartile_mean([10, 9, 1, 2, 8, 7, 3, 4, 6, 5]) == 5.5
    assert interquartile_mean([0, 0, 0, 0, 0, 0, 6, 6, 6, -99]) == 1.0


def test_interquartile_mean_of_two_or_three_runs_is_their_mean():
    assert interquartile_mean([1.0, 4.0]) == 2.5
    assert interquartile_mean([1.0, 4.0, 10.0]) == 5.0


def test_statistics_are_computed_in_float64():
    few = np.float32([0.1, 0.2, 0.3, 0.7])
    for runs in (few, few.tolist(), torch.tensor(few), [1, 2, 3, 4]):
        assert interquartile_mean(runs).dtype == np.float64
        assert all(end.dtype == np.float64 for end in mean_interval(runs))
    assert interquartile_mean(few) == np.float64(few[1:3]).mean()


def test_interquartile_mean_forgives_infinite_tails():
    assert interquartile_mean([1.0, 2.0, 3.0, np.inf]) == 2.5


@given(RUNS)
def test_interquartile_mean_is_scipys_trimmed_mean(x):
    np.testing.assert_allclose(interquartile_mean(x), stats.trim_mean(x, 0.25), atol=1e-9)


@given(RUNS, st.floats(-10, 10), st.floats(0.1, 10))
def test_interquartile_mean_moves_with_shift_and_scale(x, shift, scale):
    moved = interquartile_mean(scale * x + shift)
    np.testing.assert_allclose(moved, scale * interquartile_mean(x) + shift, rtol=1e-9, atol=1e-6)


@given(RUNS)
def test_interquartile_mean_lies_in_the_middle_half(x):
    ordered = np.sort(x)
    cut = len(x) // 4
    tolerance = 1e-9 * (1 + np.abs(x).max())
    assert ordered[cut] - tolerance <= interquartile_mean(x) <= ordered[-1 - cut] + tolerance


def test_interquartile_mean_reduces_the_named_axis():
    x = np.random.default_rng(0).normal(size=(3, 8, 5))
    assert interquartile_mean(x, axis=1).shape == (3, 5)
    assert interquartile_mean(x, axis=-1).shape == (3, 8)
    np.testing.assert_allclose(interquartile_mean(x, axis=1)[2, 4], interquartile_mean(x[2, :, 4]))


def test_tensors_are_taken_and_numpy_comes_back():
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_array_equal(interquartile_mean(x), [2.0, 3.5])
    low, high = bootstrap_interval(x)
    assert isinstance(low, np.ndarray) and low.dtype == high.dtype == np.float64


def test_bootstrap_interval_of_two_runs_by_hand():
    # The resampled mean is 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4.
    low, high = bootstrap_interval([0.0, 1.0], np.mean, confidence=0.95)
    assert (low, high) == (0.0, 1.0)
    low, high = bootstrap_interval([0.0, 1.0], np.mean, confidence=0.4)
    assert (low, high) == (0.5, 0.5)


def test_bootstrap_interval_agrees_with_all_resamples_enumerated():
    x = np.array([0.0, 1.0, 5.0, 2.0, 7.0])
    every = np.stack(np.meshgrid(*[x] * 5), axis=-1).reshape(-1, 5).mean(axis=1)  # 5^5 resamples
    low, high = bootstrap_interval(x, np.mean, num_resamples=50_000)
    np.testing.assert_allclose([low, high], np.quantile(every, [0.025, 0.975]), atol=0.21)


def test_bootstrap_interval_points_are_independent_of_their_neighbours():
    x = np.random.default_rng(0).normal(size=(10, 7))
    low, high = bootstrap_interval(x)
    assert low.shape == high.shape == (7,)
    alone = bootstrap_interval(x[:, 3])
    np.testing.assert_allclose([low[3], high[3]], alone, rtol=1e-12)


def test_bootstrap_interval_resamples_whole_runs():
    # Two points that are equal in every run keep equal intervals.
    x = np.random.default_rng(0).normal(size=10)
    low, high = bootstrap_interval(np.stack([x, x], axis=1))
    assert low[0] == low[1] and high[0] == high[1]


def test_bootstrap_interval_draws_as_often_as_it_is_told_and_no_more_than_32_mb_at_a_time():
    sizes = []

    def mean(x, axis):
        sizes.append(x.size)
        return x.mean(axis=axis)

    x = np.random.default_rng(0).normal(size=(10, 1000))
    bootstrap_interval(x, mean, num_resamples=600)
    assert max(sizes) <= 4_000_000 and sum(size for size in sizes if size > x.size) == 600 * x.size


def test_bootstrap_interval_depends_on_the_seed_only():
    x = np.random.default_rng(0).normal(size=(10, 4))
    np.testing.assert_array_equal(bootstrap_interval(x), bootstrap_interval(x))
    assert (bootstrap_interval(x)[0] != bootstrap_interval(x, seed=1)[0]).any()


@pytest.mark.filterwarnings("error")
def test_equal_runs_give_an_interval_of_width_zero():
    for interval in INTERVALS:
        low, high = interval(np.full((10, 3), 500.0))
        np.testing.assert_allclose(low, 500.0, rtol=1e-12)
        np.testing.assert_allclose(high, 500.0, rtol=1e-12)


@given(RUNS)
def test_a_larger_confidence_gives_a_larger_interval(x):
    for interval in INTERVALS:
        (low, high), (lower, higher) = interval(x, confidence=0.5), interval(x, confidence=0.99)
        tolerance = 1e-9 * (1 + np.abs(x).max())  # equal runs: rounding decides
        assert (np.diff([lower, low, high, higher]) >= -tolerance).all()


def test_coverage_for_ten_normal_runs():
    x = np.random.default_rng(0).normal(size=(10, 4000))

    def coverage(low, high):
        return ((low <= 0) & (0 <= high)).mean()

    assert 0.94 < coverage(*mean_interval(x)) < 0.96
    assert 0.88 < coverage(*bootstrap_interval(x, np.mean)) < 0.92  # too narrow, as documented
    assert 0.92 < coverage(*bootstrap_interval(x)) < 0.96


def test_paired_difference_cancels_what_the_pair_shares():
    rng = np.random.default_rng(0)
    common = 100 * rng.normal(size=20)
    a = common + 1 + 0.1 * rng.normal(size=20)
    low, high = paired_difference_interval(a, common)
    assert 0.9 < low < high < 1.1
    low, high = paired_difference_interval(a, common[::-1])  # the pairing is lost
    assert low < 0 < high


def test_paired_difference_is_antisymmetric_for_the_mean():
    a, b = np.random.default_rng(0).normal(size=(2, 10, 3))
    low, high = paired_difference_interval(a, b, np.mean)
    swapped = paired_difference_interval(b, a, np.mean)
    np.testing.assert_allclose((low, high), (-swapped[1], -swapped[0]), atol=1e-12)


def test_mean_interval_by_hand():
    # mean 2, s = 1, R = 3: half width 4.302653 / sqrt(3)
    low, high = mean_interval([1.0, 2.0, 3.0])
    np.testing.assert_allclose([low, high], [2 - 2.484138, 2 + 2.484138], atol=1e-6)


def test_mean_interval_is_scipys():
    x = np.random.default_rng(0).normal(size=(12, 5))
    peer = stats.ttest_1samp(x, 0).confidence_interval(0.9)
    np.testing.assert_allclose(mean_interval(x, 0.9), (peer.low, peer.high))


def test_proportion_interval_by_hand():
    # No failure in n trials: low solves low^n = 0.025.
    low, high = proportion_interval(10, 10)
    np.testing.assert_allclose(low, 0.025**0.1)
    assert high == 1.0
    assert proportion_interval(0, 10) == (0.0, pytest.approx(1 - 0.025**0.1))
    assert all(isinstance(end, float) for end in proportion_interval(np.int64(3), 10))


def test_proportion_interval_covers_at_least_nominally():
    n = 20
    ends = np.array([proportion_interval(k, n) for k in range(n + 1)])
    for p in np.linspace(0.01, 0.99, 37):
        covered = (ends[:, 0] <= p) & (p <= ends[:, 1])
        assert stats.binom.pmf(np.arange(n + 1), n, p)[covered].sum() >= 0.95


@pytest.mark.parametrize("function", [interquartile_mean, bootstrap_interval, mean_interval])
def test_too_few_runs_and_nan_are_refused(function):
    for x in (3.0, [3.0], np.zeros((1, 5)), np.zeros((0, 5))):
        with pytest.raises(ValueError, match=r"x needs at least 2 runs .* got shape"):
            function(x)
    with pytest.raises(ValueError, match=r"x contains NaN at index \[1, 0\]"):
        function([[1.0, 2.0], [np.nan, 2.0]])


@pytest.mark.parametrize("interval", INTERVALS)
def test_infinities_and_bad_confidence_are_refused_by_intervals(interval):
    with pytest.raises(ValueError, match=r"infinite at index \[1\]"):
        interval([1.0, np.inf])
    for confidence in (0, 1, 95, np.nan):
        with pytest.raises(ValueError, match="confidence"):
            interval([1.0, 2.0], confidence=confidence)


def test_bad_pairs_and_counts_are_refused():
    with pytest.raises(ValueError, match=r"same shape, got \(3,\) and \(4,\)"):
        paired_difference_interval(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="b contains NaN"):
        paired_difference_interval([1.0, 2.0], [1.0, np.nan])
    for successes, trials in ((-1, 3), (4, 3), (0, 0)):
        with pytest.raises(ValueError, match="successes must lie in"):
            proportion_interval(successes, trials)
    with pytest.raises(ValueError, match="successes must be a whole number"):
        proportion_interval(0.5, 3)
    with pytest.raises(ValueError, match="confidence"):
        proportion_interval(1, 3, 2.0)


def test_axes_that_are_none():
    x = np.arange(6.0)
    for axis in (0, -1):
        assert interquartile_mean(x, axis=axis) == 2.5
    for axis in (1, -2):
        with pytest.raises(ValueError, match=f"2 runs along axis {axis}, got shape"):
            interquartile_mean(x, axis=axis)


def test_proportion_of_one_trial_and_confidence_that_is_none():
    assert proportion_interval(1, 1) == pytest.approx((0.025, 1.0))
    assert proportion_interval(0, 1) == pytest.approx((0.0, 0.975))
    for confidence in (0.0, 1.0, -0.5, np.nan):
        with pytest.raises(ValueError, match="confidence must lie strictly between"):
            proportion_interval(1, 2, confidence)
