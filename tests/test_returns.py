"""Returns of recorded rewards: values by hand, ends and cuts in every position, bad input."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlbook.formulas.returns import discounted_returns

NAN = float("nan")


def numbers(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def flags(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool)


def one_episode(rewards, discount, tail) -> list[float]:
    """The returns of a single episode from their definition; `tail` is what follows its end."""
    rewards = [float(reward) for reward in rewards]
    T = len(rewards)
    return [
        sum(discount**k * rewards[t + k] for k in range(T - t)) + discount ** (T - t) * tail
        for t in range(T)
    ]


def episode_by_episode(rewards, terminated, truncated, next_values, discount) -> torch.Tensor:
    """The returns of a record (T,): cut it into episodes, then treat each alone."""
    returns, first, T = [], 0, len(rewards)
    for t in range(T):
        if terminated[t] or truncated[t] or t == T - 1:
            tail = 0.0 if terminated[t] else float(next_values[t])
            returns += one_episode(rewards[first : t + 1], discount, tail)
            first = t + 1
    return torch.tensor(returns, dtype=torch.float64)


def random_record(seed: int, shape: tuple[int, ...]):
    stream = torch.Generator().manual_seed(seed)
    rewards, next_values = torch.randn(2, *shape, generator=stream, dtype=torch.float64)
    terminated, truncated = torch.rand(2, *shape, generator=stream) < 0.25
    return rewards, terminated, truncated, next_values


# --- by hand


def test_one_terminated_episode_by_hand():
    got = discounted_returns(
        numbers(2, 0, 4), flags(0, 0, 1), flags(0, 0, 0), discount=0.5
    )  # 2 + 0/2 + 4/4; 0 + 4/2; 4
    assert got.tolist() == [3.0, 2.0, 4.0]


def test_a_cut_is_continued_by_the_next_value():
    got = discounted_returns(
        numbers(2, 0, 4), flags(0, 0, 0), flags(0, 0, 1), numbers(NAN, NAN, 8), discount=0.5
    )  # the last: 4 + 8/2
    assert got.tolist() == [4.0, 4.0, 8.0]


def test_an_open_end_counts_as_a_cut():
    got = discounted_returns(
        numbers(2, 0, 4), flags(0, 0, 0), flags(0, 0, 0), numbers(NAN, NAN, 8), discount=0.5
    )
    assert got.tolist() == [4.0, 4.0, 8.0]


def test_three_episodes_in_one_record_by_hand():
    got = discounted_returns(
        numbers(1, 2, 3, 4, 5, 6),
        flags(0, 1, 0, 0, 0, 0),
        flags(0, 0, 0, 1, 0, 0),
        numbers(NAN, NAN, NAN, 10, NAN, 20),
        discount=0.5,
    )  # [1 + 2/2, 2], [3 + 9/2, 4 + 10/2], [5 + 16/2, 6 + 20/2]
    assert got.tolist() == [2.0, 2.0, 7.5, 9.0, 13.0, 16.0]


# --- limits


def test_discount_zero_is_the_next_reward_alone():
    rewards, terminated, truncated, next_values = random_record(0, (4, 9))
    got = discounted_returns(rewards, terminated, truncated, next_values, discount=0.0)
    torch.testing.assert_close(got, rewards, rtol=0, atol=0)


def test_discount_one_is_the_plain_sum():
    rewards = torch.randn(3, 7, dtype=torch.float64)
    ends = torch.zeros(3, 7, dtype=torch.bool)
    ends[:, -1] = True
    got = discounted_returns(rewards, ends, torch.zeros_like(ends), discount=1.0)
    torch.testing.assert_close(got, rewards.flip(-1).cumsum(-1).flip(-1))


def test_a_long_constant_episode_comes_near_the_bound():
    ends = torch.zeros(2000, dtype=torch.bool)
    ends[-1] = True
    ones = torch.ones(2000, dtype=torch.float64)
    got = discounted_returns(ones, ends, torch.zeros_like(ends), discount=0.9)
    assert got[0].item() == pytest.approx(10.0)
    assert (got <= 10.0 + 1e-12).all()


def test_one_step():
    for terminated, truncated, want in ((1, 0, 3.0), (1, 1, 3.0), (0, 1, 7.5), (0, 0, 7.5)):
        got = discounted_returns(
            numbers(3), flags(terminated), flags(truncated), numbers(5), discount=0.9
        )
        assert got.tolist() == [want]


# --- termination against truncation


@pytest.mark.parametrize("kinds", list(itertools.product(range(4), repeat=4)))
def test_every_pattern_of_ends(kinds):
    """Each step goes on, terminates, is truncated, or both: all 4^4 records of four steps."""
    terminated = flags(*(kind in (1, 3) for kind in kinds))
    truncated = flags(*(kind in (2, 3) for kind in kinds))
    rewards, next_values = numbers(1, -2, 3, 5), numbers(7, 11, -13, 17)
    got = discounted_returns(rewards, terminated, truncated, next_values, discount=0.5)
    want = episode_by_episode(rewards, terminated, truncated, next_values, 0.5)
    torch.testing.assert_close(got, want, rtol=0, atol=0)


@pytest.mark.parametrize("t", range(4))
def test_terminated_wins_where_both_are_set(t):
    rewards, next_values = numbers(1, -2, 3, 5), numbers(7, 11, 13, 17)
    here, nowhere = flags(0, 0, 0, 0), flags(0, 0, 0, 0)
    here[t] = True
    both = discounted_returns(rewards, here, here, next_values, discount=0.9)
    alone = discounted_returns(rewards, here, nowhere, next_values, discount=0.9)
    cut = discounted_returns(rewards, nowhere, here, next_values, discount=0.9)
    assert both[t] == rewards[t]
    assert torch.equal(both, alone)
    assert both[t] != cut[t]


def test_termination_at_every_step_needs_no_next_values():
    ends = torch.ones(2, 3, dtype=torch.bool)
    rewards = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(discounted_returns(rewards, ends, ends, discount=0.9), rewards)


# --- what must not be read


def test_nan_behind_a_termination_stays_out():
    got = discounted_returns(
        numbers(1, 2, NAN, NAN), flags(0, 1, 1, 1), flags(0, 0, 0, 0), discount=0.5
    )
    assert got[:2].tolist() == [2.0, 2.0]
    got = discounted_returns(
        numbers(1, 2, NAN, 4), flags(0, 1, 0, 0), flags(0, 0, 0, 0), numbers(0, NAN, 0, NAN),
        discount=0.5,
    )  # fmt: skip
    assert got[:2].tolist() == [2.0, 2.0]


def test_nan_behind_a_cut_stays_out():
    got = discounted_returns(
        numbers(1, 2, NAN, NAN), flags(0, 0, 0, 0), flags(0, 1, 0, 0), numbers(NAN, 6, NAN, NAN),
        discount=0.5,
    )  # fmt: skip
    assert got[:2].tolist() == [3.5, 5.0]


@given(st.integers(0, 10_000))
def test_next_values_are_read_only_at_cuts(seed):
    rewards, terminated, truncated, next_values = random_record(seed, (3, 6))
    needed = truncated.clone()
    needed[:, -1] = True
    needed &= ~terminated
    sparse = torch.where(needed, next_values, NAN)
    full = discounted_returns(rewards, terminated, truncated, next_values, discount=0.9)
    got = discounted_returns(rewards, terminated, truncated, sparse, discount=0.9)
    assert torch.equal(got, full)


def test_inputs_are_left_alone():
    record = random_record(1, (2, 5))
    before = [x.clone() for x in record]
    discounted_returns(*record, discount=0.9)
    assert all(torch.equal(old, new) for old, new in zip(before, record, strict=True))


# --- against a plain loop over single episodes


@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0, 1))
def test_batches_are_records_one_by_one(seed, length, discount):
    record = random_record(seed, (2, 3, length))
    got = discounted_returns(*record, discount=discount)
    for index in itertools.product(range(2), range(3)):
        want = episode_by_episode(*(x[index] for x in record), discount)
        torch.testing.assert_close(got[index], want)


@given(st.integers(0, 10_000))
def test_recursion_holds_inside_episodes(seed):
    rewards, terminated, truncated, next_values = random_record(seed, (20,))
    got = discounted_returns(rewards, terminated, truncated, next_values, discount=0.8)
    inside = ~(terminated | truncated)[:-1]
    torch.testing.assert_close(got[:-1][inside], (rewards[:-1] + 0.8 * got[1:])[inside])


@given(st.integers(0, 10_000))
def test_the_return_is_linear_in_rewards_and_next_values(seed):
    rewards, terminated, truncated, next_values = random_record(seed, (8,))
    once = discounted_returns(rewards, terminated, truncated, next_values, discount=0.9)
    twice = discounted_returns(2 * rewards, terminated, truncated, 2 * next_values, discount=0.9)
    torch.testing.assert_close(twice, 2 * once)


def test_dtype_is_kept():
    record = random_record(2, (4,))
    single = [x.float() if x.is_floating_point() else x for x in record]
    got = discounted_returns(*single, discount=0.9)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, discounted_returns(*record, discount=0.9).float())


def test_gradient_with_respect_to_next_values_is_a_power_of_the_discount():
    next_values = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    got = discounted_returns(
        numbers(1, 1, 1, 1), flags(0, 0, 0, 0), flags(0, 0, 1, 0), next_values, discount=0.5
    )
    got[0].backward()
    assert next_values.grad.tolist() == [0.0, 0.0, 0.125, 0.0]


# --- bad input


def test_a_cut_without_next_values_is_refused():
    cut_inside = (numbers(1, 2, 3), flags(0, 0, 1), flags(0, 1, 0))
    with pytest.raises(ValueError, match=r"cut, not terminated, at index \[1\]"):
        discounted_returns(*cut_inside, discount=0.9)
    open_end = (torch.zeros(2, 3), torch.zeros(2, 3).bool(), torch.zeros(2, 3).bool())
    with pytest.raises(ValueError, match=r"at index \[0, 2\].*needs next_values"):
        discounted_returns(*open_end, discount=0.9)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"rewards": torch.tensor([1, 2, 3])}, "rewards must be floating point"),
        ({"rewards": torch.tensor(1.0)}, r"rewards .* got torch.float32 \(\)"),
        ({"rewards": torch.zeros(2, 0)}, r"T >= 1, got torch.float32 \(2, 0\)"),
        ({"terminated": numbers(0, 0, 1)}, r"terminated must be bool \(3,\), got torch.float64"),
        ({"terminated": flags(0, 1)}, r"terminated must be bool \(3,\), got torch.bool \(2,\)"),
        ({"truncated": flags(0, 0, 1, 0)}, r"truncated must be bool \(3,\)"),
        ({"truncated": torch.tensor([0, 0, 1])}, "truncated must be bool"),
        ({"next_values": numbers(1)}, r"next_values must have shape \(3,\), got \(1,\)"),
        ({"discount": 1.1}, r"discount must be in \[0, 1\], got 1.1"),
        ({"discount": -0.1}, "discount must be"),
        ({"discount": NAN}, "discount must be"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {
        "rewards": numbers(1, 2, 3),
        "terminated": flags(0, 0, 1),
        "truncated": flags(0, 0, 0),
        "next_values": numbers(1, 2, 3),
        "discount": 0.9,
    }
    discounted_returns(**good)
    with pytest.raises(ValueError, match=message):
        discounted_returns(**(good | change))
