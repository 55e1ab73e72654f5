"""Sums along time by doubling, and GAE on top of them, against their slow definitions."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbook.formulas.returns import discounted_sums, generalized_advantage_estimate, lambda_returns

F64 = torch.float64


def plain_sums(terms, ended, decay):
    """The sums of one row by definition: from every t on, until something ends."""
    sums = []
    for t in range(len(terms)):
        total = 0.0
        for k in range(t, len(terms)):
            total += decay ** (k - t) * float(terms[k])
            if ended[k]:
                break
        sums.append(total)
    return torch.tensor(sums, dtype=F64)


def plain_gae(r, v, next_v, terminated, truncated, discount, lambda_):
    """The weighted average of A^(1), A^(2), ... of one record, each a plain sum of rewards."""
    T, advantages = len(r), []
    for t in range(T):
        stop = next(k for k in range(t, T) if terminated[k] or truncated[k] or k == T - 1)
        N, total = stop - t + 1, 0.0
        for n in range(1, N + 1):
            last = t + n - 1
            guess = 0.0 if terminated[last] else discount**n * float(next_v[last])
            earned = sum(discount**k * float(r[t + k]) for k in range(n))
            weight = lambda_ ** (n - 1) * (1 if n == N else 1 - lambda_)
            total += weight * (earned + guess - float(v[t]))
        advantages.append(total)
    return torch.tensor(advantages, dtype=F64)


def record(kinds, seed=0):
    """A row of steps, each of which goes on (0), terminates (1), is truncated (2), or both (3).

    next_values[t] = values[t + 1] where it goes on, another number at a cut, NaN behind a
    termination."""
    T, rng = len(kinds), torch.Generator().manual_seed(seed)
    r, v, other = torch.randn(3, T, generator=rng, dtype=F64)
    terminated = torch.tensor([kind in (1, 3) for kind in kinds])
    truncated = torch.tensor([kind in (2, 3) for kind in kinds])
    next_v = torch.cat([v[1:], other[-1:]])
    next_v = torch.where(truncated, other, next_v)
    return r, v, torch.where(terminated, torch.nan, next_v), terminated, truncated


def test_by_hand():
    terms = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    ended = torch.tensor([False, True, False, False, False])
    got = discounted_sums(terms, ended, decay=0.5)
    assert got.tolist() == [1 + 2 / 2, 2.0, 4 + 8 / 2 + 16 / 4, 8 + 16 / 2, 16.0]


@pytest.mark.parametrize("length", range(1, 9))
def test_ends_in_every_position(length):
    """All 2^T rows at once."""
    rows = list(itertools.product((False, True), repeat=length))
    rng = torch.Generator().manual_seed(length)
    terms, ended = torch.randn(len(rows), length, generator=rng, dtype=F64), torch.tensor(rows)
    plain = [plain_sums(*row, 0.7) for row in zip(terms, ended, strict=True)]
    got = discounted_sums(terms, ended, decay=0.7)
    torch.testing.assert_close(got, torch.stack(plain), atol=1e-13, rtol=0)


@pytest.mark.parametrize("lambda_", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("length", range(1, 6))
def test_gae_with_ends_of_every_kind_in_every_position(length, lambda_):
    """All 4^T records of T steps: each goes on, terminates, is truncated, or both."""
    kinds = list(itertools.product(range(4), repeat=length))
    rows = [record(kind, seed) for seed, kind in enumerate(kinds)]
    plain = torch.stack([plain_gae(*row, 0.9, lambda_) for row in rows])
    batch = [torch.stack(x) for x in zip(*rows, strict=True)]
    arguments = {"discount": 0.9, "lambda_": lambda_}
    got = generalized_advantage_estimate(*batch, **arguments)
    torch.testing.assert_close(got, plain, atol=1e-13, rtol=0)
    r, v, *rest = batch
    torch.testing.assert_close(got, lambda_returns(r, *rest, **arguments) - v, atol=1e-13, rtol=0)


@given(
    seed=st.integers(0, 10**6),
    length=st.integers(1, 70),
    decay=st.floats(0, 1),
    ends=st.floats(0, 0.3),
)
@settings(max_examples=60, deadline=None)
def test_lengths_that_are_no_powers_of_two(seed, length, decay, ends):
    rng = torch.Generator().manual_seed(seed)
    terms = torch.randn(length, generator=rng, dtype=F64)
    ended = torch.rand(length, generator=rng) < ends
    got = discounted_sums(terms, ended, decay=decay)
    torch.testing.assert_close(got, plain_sums(terms, ended, decay), atol=1e-12, rtol=0)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (2, 1, 3, 33)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_leading_shape_and_either_dtype(shape, dtype):
    rng = torch.Generator().manual_seed(1)
    terms, ended = torch.randn(shape, generator=rng).to(dtype), torch.rand(shape) < 0.1
    got = discounted_sums(terms, ended, decay=0.9)
    assert (got.dtype, got.shape) == (dtype, terms.shape)
    rows = zip(terms.reshape(-1, shape[-1]), ended.reshape(-1, shape[-1]), strict=True)
    plain = torch.stack([plain_sums(*row, 0.9) for row in rows]).reshape(shape)
    torch.testing.assert_close(got.to(F64), plain, atol=1e-5, rtol=0)


def test_a_long_record_in_float32():
    rng = torch.Generator().manual_seed(2)
    terms, ended = torch.randn(2, 5000, generator=rng), torch.rand(2, 5000, generator=rng) < 0.002
    got = discounted_sums(terms, ended, decay=0.99)
    want = discounted_sums(terms.double(), ended, decay=0.99)
    torch.testing.assert_close(got.double(), want, atol=2e-5, rtol=0)


def test_a_layout_that_is_not_contiguous():
    terms, ended = torch.arange(12.0).view(4, 3), torch.zeros(4, 3, dtype=torch.bool)
    ended[2, 1] = True
    got = discounted_sums(terms.T, ended.T, decay=0.5)
    want = discounted_sums(terms.T.contiguous(), ended.T.contiguous(), decay=0.5)
    assert torch.equal(got, want)


def test_inputs_are_left_alone():
    terms, ended = torch.ones(6), torch.tensor([False, True, False, False, False, False])
    discounted_sums(terms, ended, decay=0.5)
    assert terms.tolist() == [1.0] * 6
    assert ended.tolist() == [False, True, False, False, False, False]


@pytest.mark.parametrize("position", range(8))
def test_nan_behind_an_end_stays_out(position):
    terms = torch.full((8,), torch.nan, dtype=F64)
    terms[: position + 1] = 1.0
    ended = torch.arange(8) == position
    got = discounted_sums(terms, ended, decay=0.5)[: position + 1]
    want = [2 - 0.5 ** (position - t) for t in range(position + 1)]
    assert got.tolist() == want


def test_gradient():
    rng = torch.Generator().manual_seed(3)
    terms = torch.randn(2, 7, generator=rng, dtype=F64, requires_grad=True)
    ended = torch.rand(2, 7, generator=rng) < 0.3
    assert ended.any()
    assert torch.autograd.gradcheck(lambda x: discounted_sums(x, ended, decay=0.8), (terms,))


def test_gradient_of_a_nan_behind_an_end_stays_out():
    terms = torch.tensor([1.0, 2.0, torch.nan], requires_grad=True)
    ended = torch.tensor([False, True, False])
    discounted_sums(terms, ended, decay=0.5)[0].backward()
    assert terms.grad.tolist() == [1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("terms", "ended", "message"),
    [
        (torch.zeros(4), torch.zeros(4), "ended must be bool"),
        (torch.zeros(4), torch.zeros(5, dtype=torch.bool), r"ended must be bool \(4,\)"),
        (torch.zeros(4, dtype=torch.int64), torch.zeros(4).bool(), "terms must be floating"),
        (torch.zeros(2, 0), torch.zeros(2, 0).bool(), r"T >= 1"),
        (torch.tensor(1.0), torch.tensor(False), r"terms must be floating point \(\.\.\., T\)"),
    ],
)
def test_bad_input(terms, ended, message):
    with pytest.raises(ValueError, match=message):
        discounted_sums(terms, ended, decay=0.5)
