"""n-step returns, lambda-returns, TD errors and GAE against plain loops over one episode."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbook.formulas.returns import (
    discounted_returns,
    generalized_advantage_estimate,
    lambda_returns,
    n_step_returns,
    td_errors,
    td_targets,
)


def record(seed, shape=(3, 9), end_probability=0.25):
    """Rewards, values, next values and flags; next_values[t] = values[t + 1] within an episode,
    NaN behind every termination, something else at every other cut."""
    generator = torch.Generator().manual_seed(seed)
    rewards, values, other = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    terminated, truncated = torch.rand(2, *shape, generator=generator) < end_probability
    next_values = torch.cat([values[..., 1:], other[..., -1:]], dim=-1)
    next_values = torch.where(truncated, other, next_values)
    next_values = torch.where(terminated, torch.nan, next_values)
    return rewards, values, next_values, terminated, truncated


def plain_n_step(r, next_v, terminated, truncated, discount, n):
    """G_t of one record, for every t, by the definition: add rewards until something stops."""
    returns = []
    for t in range(len(r)):
        total, k = 0.0, 0
        while True:
            total += discount**k * float(r[t + k])
            if terminated[t + k]:
                break
            if k + 1 == n or truncated[t + k] or t + k == len(r) - 1:
                total += discount ** (k + 1) * float(next_v[t + k])
                break
            k += 1
        returns.append(total)
    return returns


def plain_lambda(r, next_v, terminated, truncated, discount, lambda_):
    """The weighted average of all n-step returns; the last one takes the rest of the weight."""
    T = len(r)
    table = [plain_n_step(r, next_v, terminated, truncated, discount, n) for n in range(1, T + 1)]
    returns = []
    for t in range(T):
        stop = next(k for k in range(t, T) if terminated[k] or truncated[k] or k == T - 1)
        length = stop - t + 1
        weights = [(1 - lambda_) * lambda_ ** (n - 1) for n in range(1, length)]
        weights.append(lambda_ ** (length - 1))
        assert math.isclose(sum(weights), 1)
        returns.append(sum(w * table[n][t] for n, w in enumerate(weights)))
    return returns


def plain_gae(r, v, next_v, terminated, truncated, discount, lambda_):
    """sum_l (discount lambda)^l delta_{t+l}, up to the first end."""
    advantages = []
    for t in range(len(r)):
        total, k = 0.0, t
        while k < len(r):
            bootstrap = 0.0 if terminated[k] else discount * float(next_v[k])
            total += (discount * lambda_) ** (k - t) * (float(r[k]) + bootstrap - float(v[k]))
            if terminated[k] or truncated[k]:
                break
            k += 1
        advantages.append(total)
    return advantages


def by_rows(plain, *rows, **settings):
    """A plain function on every row of (B, T) tensors."""
    return torch.tensor(
        [plain(*(x[b] for x in rows), **settings) for b in range(len(rows[0]))], dtype=torch.float64
    )


CASES = [(seed, probability) for seed in range(6) for probability in (0.0, 0.2, 0.6)]


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 50])
@pytest.mark.parametrize(("seed", "probability"), CASES)
def test_n_step_returns_are_the_plain_sum(seed, probability, n):
    r, _, next_v, terminated, truncated = record(seed, end_probability=probability)
    ours = n_step_returns(r, next_v, terminated, truncated, discount=0.9, n=n)
    plain = by_rows(plain_n_step, r, next_v, terminated, truncated, discount=0.9, n=n)
    torch.testing.assert_close(ours, plain, atol=1e-12, rtol=0)


@pytest.mark.parametrize("lambda_", [0.0, 0.3, 0.95, 1.0])
@pytest.mark.parametrize(("seed", "probability"), CASES)
def test_lambda_returns_are_the_weighted_average(seed, probability, lambda_):
    r, _, next_v, terminated, truncated = record(seed, end_probability=probability)
    ours = lambda_returns(r, next_v, terminated, truncated, discount=0.9, lambda_=lambda_)
    plain = by_rows(plain_lambda, r, next_v, terminated, truncated, discount=0.9, lambda_=lambda_)
    torch.testing.assert_close(ours, plain, atol=1e-12, rtol=0)


@pytest.mark.parametrize("lambda_", [0.0, 0.3, 0.95, 1.0])
@pytest.mark.parametrize(("seed", "probability"), CASES)
def test_gae_is_the_sum_of_errors_and_lambda_returns_less_values(seed, probability, lambda_):
    r, v, next_v, terminated, truncated = record(seed, end_probability=probability)
    settings = {"discount": 0.9, "lambda_": lambda_}
    ours = generalized_advantage_estimate(r, v, next_v, terminated, truncated, **settings)
    plain = by_rows(plain_gae, r, v, next_v, terminated, truncated, **settings)
    torch.testing.assert_close(ours, plain, atol=1e-12, rtol=0)
    returns = lambda_returns(r, next_v, terminated, truncated, **settings)
    torch.testing.assert_close(ours, returns - v, atol=1e-12, rtol=0)


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("kind", ["terminated", "truncated", "both"])
def test_an_end_in_every_position(position, kind):
    r, v, next_v, _, _ = record(0, (1, 5), 0.0)
    terminated, truncated = torch.zeros(2, 1, 5, dtype=torch.bool)
    terminated[0, position] = kind != "truncated"
    truncated[0, position] = kind != "terminated"
    next_v[0, position] = torch.nan if kind != "truncated" else 7.0
    for n in (1, 2, 5):
        ours = n_step_returns(r, next_v, terminated, truncated, discount=0.5, n=n)
        plain = by_rows(plain_n_step, r, next_v, terminated, truncated, discount=0.5, n=n)
        torch.testing.assert_close(ours, plain)
    ours = lambda_returns(r, next_v, terminated, truncated, discount=0.5, lambda_=0.5)
    plain = by_rows(plain_lambda, r, next_v, terminated, truncated, discount=0.5, lambda_=0.5)
    torch.testing.assert_close(ours, plain)
    arguments = (r, v, next_v, terminated, truncated)
    ours = generalized_advantage_estimate(*arguments, discount=0.5, lambda_=0.5)
    torch.testing.assert_close(ours, by_rows(plain_gae, *arguments, discount=0.5, lambda_=0.5))


def test_worked_by_hand():
    r = torch.tensor([1.0, 2.0, 4.0])
    next_v = torch.tensor([10.0, 20.0, torch.nan])
    v = torch.tensor([5.0, 10.0, 20.0])
    terminated, truncated = torch.tensor([False, False, True]), torch.zeros(3, dtype=torch.bool)
    arguments = {"discount": 0.5}
    assert td_targets(r, next_v, terminated, discount=0.5).tolist() == [6.0, 12.0, 4.0]
    assert td_errors(r, v, next_v, terminated, discount=0.5).tolist() == [1.0, 2.0, -16.0]
    two = n_step_returns(r, next_v, terminated, truncated, **arguments, n=2)
    assert two.tolist() == [1 + 0.5 * 2 + 0.25 * 20, 2 + 0.5 * 4, 4.0]
    half = lambda_returns(r, next_v, terminated, truncated, **arguments, lambda_=0.5)
    assert half.tolist() == [1 + 0.5 * (5 + 0.5 * 8), 2 + 0.5 * (10 + 2), 4.0]


@given(seed=st.integers(0, 10**6), discount=st.floats(0, 1), n=st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_limits(seed, discount, n):
    r, _, next_v, terminated, truncated = record(seed, (2, 3, 6))
    flags = (terminated, truncated)
    one = n_step_returns(r, next_v, *flags, discount=discount, n=1)
    torch.testing.assert_close(lambda_returns(r, next_v, *flags, discount=discount, lambda_=0), one)
    whole = discounted_returns(r, *flags, next_v, discount=discount)
    long = n_step_returns(r, next_v, *flags, discount=discount, n=6 + n)
    torch.testing.assert_close(long, whole)
    monte_carlo = lambda_returns(r, next_v, *flags, discount=discount, lambda_=1)
    torch.testing.assert_close(monte_carlo, whole)


@pytest.mark.parametrize("function", [n_step_returns, lambda_returns])
def test_nothing_after_a_cut_enters(function):
    r, _, next_v, _, _ = record(1, (1, 6), 0.0)
    terminated, truncated = torch.zeros(2, 1, 6, dtype=torch.bool)
    truncated[0, 2] = True
    key = {"n": 6} if function is n_step_returns else {"lambda_": 0.9}
    before = function(r, next_v, terminated, truncated, discount=0.9, **key)[0, :3].clone()
    r[0, 3:], next_v[0, 3:] = 1e6, -1e6
    after = function(r, next_v, terminated, truncated, discount=0.9, **key)[0, :3]
    assert torch.equal(before, after)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"discount": 1.1}, "discount"),
        ({"next_values": torch.zeros(2)}, "next_values"),
        ({"terminated": torch.zeros(4)}, "terminated must be bool"),
        ({"rewards": torch.zeros(4, dtype=torch.int64)}, "rewards must be floating"),
    ],
)
def test_bad_input_of_n_step_returns(change, message):
    flag = torch.zeros(4, dtype=torch.bool)
    good = {"rewards": torch.zeros(4), "next_values": torch.zeros(4), "terminated": flag}
    with pytest.raises(ValueError, match=message):
        n_step_returns(**{**good, "truncated": flag, "discount": 0.9, "n": 1, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discount": 1.1}, r"discount must be in \[0, 1\], got 1.1"),
        ({"discount": math.nan}, "discount must be in"),
        ({"next_values": torch.zeros(1)}, "next_values must have shape"),
        ({"terminated": torch.zeros(1) > 0}, "terminated must be bool"),
        ({"truncated": torch.zeros(1) > 0}, "truncated must be bool"),
        ({"rewards": torch.zeros(4, dtype=torch.int64)}, "rewards must be floating"),
        ({"values": torch.zeros(1)}, "values must have shape"),
    ],
)
@pytest.mark.parametrize(
    ("function", "names"),
    [
        (td_errors, {"values"}),
        (lambda_returns, {"truncated", "lambda_"}),
        (generalized_advantage_estimate, {"values", "truncated", "lambda_"}),
    ],
)
def test_what_would_broadcast_is_refused(function, names, change, message):
    r, flag = torch.zeros(4), torch.zeros(4, dtype=torch.bool)
    good = {"rewards": r, "next_values": r, "terminated": flag, "discount": 0.9}
    more = {"values": r, "truncated": flag, "lambda_": 0.5}
    good |= {name: more[name] for name in names}
    function(**good)
    if change.keys() <= good.keys():
        with pytest.raises(ValueError, match=message):
            function(**good | change)


@pytest.mark.parametrize("lambda_", [-0.1, 1.5, math.nan])
def test_lambda_out_of_range(lambda_):
    flag, r = torch.zeros(4, dtype=torch.bool), torch.zeros(4)
    with pytest.raises(ValueError, match="lambda_ must be in"):
        lambda_returns(r, r, flag, flag, discount=0.9, lambda_=lambda_)
    with pytest.raises(ValueError, match="lambda_ must be in"):
        generalized_advantage_estimate(r, r, r, flag, flag, discount=0.9, lambda_=lambda_)


def test_values_of_another_shape():
    flag, r = torch.zeros(4, dtype=torch.bool), torch.zeros(4)
    with pytest.raises(ValueError, match="values must have shape"):
        td_errors(r, torch.zeros(5), r, flag, discount=0.9)
    for wrong in ((r, r[:1], flag), (r[:1], r, flag), (r, r, flag[:1])):
        with pytest.raises(ValueError, match="must have one shape"):
            td_targets(*wrong, discount=0.9)
