"""Drawing an index: by hand, at the edges, in the dtypes and shapes that are promised."""

import pytest
import torch

from rlbook.ground.draws import (
    draw,
    draw_one,
    draws,
    from_thresholds,
    inverse_cdf,
    random_distributions,
    thresholds,
)
from rlbook.ground.seeding import generator

F64 = {"dtype": torch.float64}


def test_inverse_cdf_by_hand():
    """p = (1/2, 0, 1/4, 1/4): the cumulative sums are 1/2, 1/2, 3/4, 1."""
    uniforms = torch.tensor([0.0, 0.49, 0.5, 0.74, 0.75, 1.0], **F64)
    for scale in (1.0, 3.0):  # they need not sum to 1
        p = scale * torch.tensor([0.5, 0.0, 0.25, 0.25], **F64)
        got = inverse_cdf(p.expand(6, 4), uniforms)
        assert got.dtype == torch.long and got.tolist() == [0, 0, 2, 2, 3, 3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inverse_cdf_never_takes_what_has_no_probability(dtype):
    p = torch.rand(500, 7, generator=generator(0)).to(dtype)
    p[:, [0, 3, 6]] = 0.0
    for uniform in (0.0, 1e-45, 0.5, 1 - 2**-53, 1.0):
        actions = inverse_cdf(p, torch.full((500,), uniform, **F64))
        assert (p.gather(-1, actions.unsqueeze(-1)) > 0).all()
    assert inverse_cdf(p, torch.ones(500, **F64)).tolist() == [5] * 500
    assert inverse_cdf(p, torch.zeros(500, **F64)).tolist() == [1] * 500


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inverse_cdf_rounds_to_the_dtype_of_the_probabilities_and_to_no_less(dtype):
    """The largest number below 1 reaches what only a rounding error separates from 1."""
    eps = torch.finfo(dtype).eps
    p = torch.tensor([1 - eps, eps], dtype=dtype)
    below_one = torch.tensor(1 - eps / 2, dtype=dtype)
    assert inverse_cdf(p, below_one) == 1 and inverse_cdf(p, torch.ones(())) == 1
    half = torch.tensor([0.5, 0.5])
    assert inverse_cdf(half, torch.tensor(0.5 - 1e-10, **F64)) == 1  # in float32, 0.5


def test_inverse_cdf_of_batches():
    p, u = torch.rand(3, 2, 4, generator=generator(1), **F64), torch.rand(3, 2, **F64)
    got = inverse_cdf(p, u)
    assert got.shape == (3, 2) and got[2, 1] == inverse_cdf(p[2, 1], u[2, 1])


def test_draw_is_the_index_at_which_the_sum_passes_the_uniform_number():
    p = torch.rand(3, 4, 6, generator=generator(2)).masked_fill(torch.arange(6) == 2, 0.0)
    got = draw(5 * p, generator(3))
    uniform = torch.rand(3, 4, 1, generator=generator(3), **F64)
    target = uniform * (5 * p).double().sum(-1, keepdim=True)
    want = ((5 * p).double().cumsum(-1) <= target).sum(-1)
    assert got.dtype == torch.long and got.equal(want) and not (got == 2).any()
    assert draw(torch.tensor([0.0, 1.0, 0.0]), generator(0)).item() == 1


def test_draw_adds_in_float64():
    """In float32 the sums of a million numbers are off by more than a few of them."""
    p, one, other = torch.rand(10**6, generator=generator(6)), generator(7), generator(7)
    for _ in range(100):
        target = torch.rand(1, generator=other, **F64) * p.double().sum()
        assert draw(p, one) == torch.searchsorted(p.double().cumsum(-1), target, right=True)


def test_draw_has_the_frequencies_of_the_probabilities():
    p = torch.tensor([0.1, 0.0, 0.6, 0.3], **F64)
    drawn = draw(p.expand(100_000, 4), generator(4))
    got = drawn.bincount(minlength=4) / 100_000
    torch.testing.assert_close(got, p.float(), atol=5e-3, rtol=0)
    assert got[1] == 0


def test_thresholds_by_hand():
    """Below the first: index 0; and so on. Infinite where nothing can follow."""
    p = torch.tensor([[0.5, 0.25, 0.25], [2.0, 2.0, 0.0], [0.0, 0.0, 3.0], [1.0, 0.0, 0.0]])
    got = thresholds(p)
    assert got.dtype == torch.float32 and thresholds(p.double()).dtype == torch.float32
    inf = torch.inf
    assert got.tolist() == [[0.5, 0.75], [0.5, inf], [0.0, 0.0], [inf, inf]]


def test_thresholds_of_batches():
    p = torch.rand(4, 3, 2, 5, generator=generator(5), **F64)
    assert thresholds(p)[3, 1, 0].equal(thresholds(p[3, 1, 0]))
    assert thresholds(p).shape == (4, 3, 2, 4)


def test_from_thresholds_a_threshold_belongs_to_what_is_above():
    limits = thresholds(torch.tensor([0.5, 0.25, 0.25]))
    uniforms = torch.tensor([[0.0, 0.49, 0.5], [0.74, 0.75, 0.99]])
    assert from_thresholds(limits, uniforms).tolist() == [[0, 0, 1], [1, 2, 2]]
    assert from_thresholds(thresholds(torch.ones(1)), torch.tensor([0.9])).tolist() == [0]


def test_draws_are_those_of_as_many_equal_rows():
    p = torch.rand(3, 6, generator=generator(8))
    many = draws(p, 50, generator(9))
    assert many.shape == (3, 50) and many.dtype == torch.long
    assert many.equal(draw(p.unsqueeze(1).expand(3, 50, 6), generator(9)))


def test_draw_one_takes_the_numbers_that_multinomial_takes():
    p, one, other = torch.tensor([0.1, 0.0, 0.6, 0.3]), generator(10), generator(10)
    drawn = [draw_one(p, one) for _ in range(50)]
    assert drawn == [torch.multinomial(p, 1, generator=other).item() for _ in range(50)]
    assert set(drawn) == {0, 2, 3} and isinstance(drawn[0], int)
    torch.manual_seed(3)
    drawn = [draw_one(p, None) for _ in range(20)]
    torch.manual_seed(3)
    assert drawn == [torch.multinomial(p, 1).item() for _ in range(20)]


def test_random_distributions_are_uniform_on_the_simplex():
    """The share of the first of K is beta(1, K - 1): mean 1 / K, variance (K - 1) / K^2 (K + 1)."""
    p = random_distributions(20_000, 3, generator=generator(11))
    assert p.equal(random_distributions(20_000, 3, generator=generator(11)))
    assert p.dtype == torch.float64 and (p > 0).all()
    torch.testing.assert_close(p.sum(-1), torch.ones(20_000, **F64))
    torch.testing.assert_close(p.mean(0), torch.full((3,), 1 / 3, **F64), atol=5e-3, rtol=0)
    torch.testing.assert_close(p.var(0), torch.full((3,), 2 / 36, **F64), atol=2e-3, rtol=0)
