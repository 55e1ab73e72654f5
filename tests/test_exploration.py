"""Greedy and epsilon-greedy policies: by hand, at the limits, on random tables, on bad input."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlbook.formulas.exploration import epsilon_greedy_policy, greedy_policy

NONE = -torch.inf  # the entry of an action that is not allowed
CHOICES = [-3.0, -1.0, 0.0, 0.5, 2.0, NONE]  # few numbers, so that ties are frequent


def table(*rows) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@st.composite
def tables(draw, shape=(3, 4)):
    """(3, 4) action values with ties and forbidden actions; each row allows an action."""
    rows = draw(st.lists(st.sampled_from(CHOICES), min_size=12, max_size=12))
    q = table(*rows).view(shape)
    q[:, 1] = torch.where((q == NONE).all(-1), 0.0, q[:, 1])
    return q


# --- greedy


def test_greedy_by_hand():
    q = table([1.0, 3.0, 2.0], [2.0, 2.0, 0.0], [NONE, -5.0, NONE], [0.0, 0.0, 0.0])
    third = 1 / 3
    wanted = table([0, 1, 0], [0.5, 0.5, 0], [0, 1, 0], [third, third, third])
    torch.testing.assert_close(greedy_policy(q), wanted)


def test_greedy_of_one_action_is_certain():
    assert greedy_policy(table([-7.0])).tolist() == [[1.0]]


def test_nearly_equal_is_no_tie():
    assert greedy_policy(table(1.0, 1.0 + 1e-15)).tolist() == [0.0, 1.0]


def test_infinitely_good_actions_share():
    assert greedy_policy(table(torch.inf, 0.0, torch.inf)).tolist() == [0.5, 0.0, 0.5]


@given(tables())
def test_greedy_rows_are_uniform_over_the_maxima(q):
    policy = greedy_policy(q)
    for row, values in zip(policy.tolist(), q.tolist(), strict=True):
        best = [a for a, value in enumerate(values) if value == max(values)]
        assert row == [1 / len(best) if a in best else 0.0 for a in range(4)]


@given(tables())
def test_greedy_ignores_shift_and_positive_scale(q):
    assert torch.equal(greedy_policy(4 * q + 1), greedy_policy(q))


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_leading_shape_and_dtype(shape, dtype):
    q = torch.arange(24.0, dtype=dtype)[: torch.Size(shape).numel()].view(shape)
    for policy in (greedy_policy(q), epsilon_greedy_policy(q, 0.25)):
        assert policy.shape == q.shape and policy.dtype == dtype
        torch.testing.assert_close(policy.sum(-1), torch.ones(shape[:-1], dtype=dtype))


# --- epsilon-greedy


def test_epsilon_greedy_by_hand():
    q = table([2.0, 2.0, 1.0, NONE], [1.0, 4.0, 3.0, 2.0])
    wanted = table([0.45, 0.45, 0.1, 0.0], [0.075, 0.775, 0.075, 0.075])
    torch.testing.assert_close(epsilon_greedy_policy(q, 0.3), wanted)


@given(tables())
def test_epsilon_zero_is_greedy_and_one_is_uniform(q):
    assert torch.equal(epsilon_greedy_policy(q, 0), greedy_policy(q))
    allowed = (q > NONE).to(q.dtype)
    assert torch.equal(epsilon_greedy_policy(q, 1.0), allowed / allowed.sum(-1, keepdim=True))


@given(tables(), st.floats(0, 1))
def test_epsilon_greedy_is_an_epsilon_soft_distribution(q, epsilon):
    policy = epsilon_greedy_policy(q, epsilon)
    torch.testing.assert_close(policy.sum(-1), torch.ones(3, dtype=q.dtype))
    allowed = q > NONE
    assert (policy[~allowed] == 0).all()
    floor = (epsilon / allowed.sum(-1, keepdim=True).to(q.dtype)).expand_as(q)
    assert (policy[allowed] >= floor[allowed] - 1e-15).all()
    others = allowed & (q < q.amax(-1, keepdim=True))
    torch.testing.assert_close(policy[others], floor[others])


def test_epsilon_for_each_run():
    q = torch.arange(24.0, dtype=torch.float64).view(2, 3, 4)  # (R, S, A)
    policy = epsilon_greedy_policy(q, torch.tensor([0.0, 0.4]).view(2, 1, 1))
    torch.testing.assert_close(policy[0], greedy_policy(q[0]))
    torch.testing.assert_close(policy[1, :, 3], torch.full((3,), 0.7, dtype=torch.float64))


def test_the_table_is_left_alone():
    q = table([1.0, NONE, 1.0])
    greedy_policy(q), epsilon_greedy_policy(q, 0.5)
    assert torch.equal(q, table([1.0, NONE, 1.0]))


# --- bad input


@pytest.mark.parametrize("act", [greedy_policy, lambda q: epsilon_greedy_policy(q, 0.1)])
def test_bad_tables_raise(act):
    with pytest.raises(ValueError, match=r"q must be \(..., A\) without NaN, got shape \(1, 2\)"):
        act(table([1.0, torch.nan]))
    with pytest.raises(ValueError, match=r"got shape \(\)"):
        act(torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"q\[1\] allows no action: every entry is -inf"):
        act(table([1.0, NONE], [NONE, NONE]))


@pytest.mark.parametrize("epsilon", [-0.1, 1.1, float("nan"), torch.tensor([[0.5], [2.0]])])
def test_epsilon_outside_of_0_to_1_raises(epsilon):
    with pytest.raises(ValueError, match=r"epsilon must be in \[0, 1\]"):
        epsilon_greedy_policy(table([1.0, 2.0], [0.0, 1.0]), epsilon)
