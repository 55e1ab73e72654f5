"""Advantages from a group of answers, and how the losses of tokens become one number."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlbook.formulas.group_advantages import (
    aggregate_token_losses,
    leave_one_out_advantages,
    outcome_advantages,
    process_advantages,
)

F64 = {"dtype": torch.float64}
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def f64(*numbers):
    return torch.tensor(numbers, **F64)


# --- outcome


def test_by_hand():
    rewards = f64(1, 0, 0, 1, 1, 1, 1, 0)  # mean 5/8, variance 15/64
    right, wrong = 3 / math.sqrt(15), -5 / math.sqrt(15)
    want = torch.where(rewards > 0, f64(right), f64(wrong))
    torch.testing.assert_close(outcome_advantages(rewards), want)
    torch.testing.assert_close(
        outcome_advantages(f64(1, 2, 6), normalize_std=False), f64(-2, -1, 3)
    )
    torch.testing.assert_close(leave_one_out_advantages(f64(1, 2, 6)), f64(-3, -1.5, 4.5))


@given(st.lists(st.integers(-100, 100), min_size=2, max_size=9), st.floats(0.01, 100))
def test_mean_zero_std_one_and_blind_to_shift_and_scale(rewards, factor):
    rewards = f64(*rewards)
    if len(set(rewards.tolist())) == 1:
        return
    advantages = outcome_advantages(rewards)
    torch.testing.assert_close(advantages.mean(), f64(0)[0], atol=1e-9, rtol=0)
    torch.testing.assert_close(advantages.std(correction=0), f64(1)[0])
    moved = outcome_advantages(factor * rewards + 3)
    torch.testing.assert_close(moved, advantages, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reward", [0.0, 0.1, 1.0, 1 / 3, -7.3, 1e-30])
@pytest.mark.parametrize("G", [2, 3, 7])
def test_equal_rewards_give_exact_zeros(dtype, reward, G):
    rewards = torch.full((3, G), reward, dtype=dtype)
    for function in (outcome_advantages, leave_one_out_advantages):
        advantages = function(rewards)
        assert advantages.dtype == dtype and (advantages == 0).all()
    assert (outcome_advantages(rewards, normalize_std=False) == 0).all()


def test_groups_do_not_mix():
    rewards = torch.rand(2, 3, 5, **F64)
    rewards[1, 2] = 0.1
    together = outcome_advantages(rewards)
    for i, j in itertools.product(range(2), range(3)):
        torch.testing.assert_close(together[i, j], outcome_advantages(rewards[i, j]))
    assert (together[1, 2] == 0).all()


def test_tiny_and_huge_rewards():
    for scale in (1e-200, 1e200):
        torch.testing.assert_close(outcome_advantages(scale * f64(0, 1)), f64(-1, 1))


def test_each_group_has_its_own_scale():
    """In float32 the square of 1e-30 is 0, so that it cannot be measured beside 1."""
    rewards = torch.tensor([[0.0, 1e-30], [0.0, 1.0], [1e30, 0.0]])
    want = torch.tensor([[-1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    torch.testing.assert_close(outcome_advantages(rewards), want)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("function", [outcome_advantages, leave_one_out_advantages])
def test_half_precision_is_that_of_float32(function, dtype):
    rewards = torch.randn(50, 5, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert torch.equal(function(rewards), function(rewards.float()).to(dtype))


def test_leave_one_out_is_the_mean_of_the_others():
    rewards = torch.randn(4, 6, **F64)
    for i in range(6):
        others = torch.cat([rewards[:, :i], rewards[:, i + 1 :]], 1).mean(1)
        torch.testing.assert_close(leave_one_out_advantages(rewards)[:, i], rewards[:, i] - others)


def test_means_over_all_groups_give_the_gradient():
    """All 27 groups of 3 answers: r - mean gives 2/3 of the gradient, leave-one-out all of it."""
    logits, rewards = torch.randn(3, **F64).requires_grad_(), f64(0.3, -1, 2)
    p = logits.softmax(0)
    (gradient,) = torch.autograd.grad(p @ rewards, logits)
    groups = torch.tensor(list(itertools.product(range(3), repeat=3)))
    chance = p.detach()[groups].prod(1)
    scores = (torch.eye(3, **F64) - p.detach())[groups]  # (27, G, 3)
    for advantages, factor in (
        (outcome_advantages(rewards[groups], normalize_std=False), 2 / 3),
        (leave_one_out_advantages(rewards[groups]), 1.0),
    ):
        update = (chance[:, None] * (advantages[..., None] * scores).mean(1)).sum(0)
        torch.testing.assert_close(update, factor * gradient)


def test_no_gradient_flows_into_an_advantage():
    rewards = torch.rand(2, 4, **F64).requires_grad_()
    assert not outcome_advantages(rewards).requires_grad
    assert not leave_one_out_advantages(rewards).requires_grad


@pytest.mark.parametrize("function", [outcome_advantages, leave_one_out_advantages])
def test_bad_rewards(function):
    with pytest.raises(ValueError, match="at least 2 answers to compare, got G = 1"):
        function(torch.ones(3, 1))
    with pytest.raises(ValueError, match=r"rewards\[1, 2\] is nan"):
        function(torch.tensor([[0.0, 1, 2], [0, 1, float("nan")]]))
    with pytest.raises(ValueError, match=r"rewards\[0\] is inf"):
        function(torch.tensor([float("inf"), 1]))
    with pytest.raises(ValueError, match="floating point"):
        function(torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="floating point"):
        function(torch.tensor(1.0))


# --- process

MASK = torch.tensor([[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]], dtype=torch.bool)
ENDS = torch.tensor([[1, 3, 0], [0, 1, 2]])
REAL = torch.tensor([[1, 1, 0], [1, 1, 1]], dtype=torch.bool)
STEPS = torch.tensor([[1.0, 0, 99], [1, 1, 0]], **F64)  # the third of the first is padding


def test_process_by_hand():
    """Five real steps, three right: mean 3/5, std sqrt(6)/5; right +2, wrong -3 over sqrt 6."""
    up, down = 2 / math.sqrt(6), -3 / math.sqrt(6)
    want = torch.tensor(
        [
            [up + down, up + down, down, down, 0, 0],
            [2 * up + down, up + down, down, 0, 0, 0],
        ],
        **F64,
    )
    torch.testing.assert_close(process_advantages(STEPS, ENDS, REAL, MASK), want)
    plain = process_advantages(STEPS, ENDS, REAL, MASK, normalize_std=False)
    torch.testing.assert_close(plain, want * math.sqrt(6) / 5)


def test_process_as_the_sum_is_written():
    rng = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 8, (3, 4), generator=rng)
    mask = torch.arange(8) < lengths[..., None]
    ends = torch.randint(0, 8, (3, 4, 5), generator=rng) % lengths[..., None]
    real = torch.rand(3, 4, 5, generator=rng) < 0.6
    rewards = torch.randn(3, 4, 5, generator=rng, **F64)
    got = process_advantages(rewards, ends, real, mask)
    for b in range(3):
        flat = rewards[b][real[b]]
        normal = (rewards[b] - flat.mean()) / flat.std(correction=0)
        for i, t in itertools.product(range(4), range(8)):
            steps = [j for j in range(5) if real[b, i, j] and ends[b, i, j] >= t]
            want = sum(normal[i, j] for j in steps) if mask[b, i, t] else 0.0
            torch.testing.assert_close(got[b, i, t], torch.as_tensor(want, **F64))


def test_one_step_at_the_end_is_the_outcome():
    rewards = torch.rand(2, 4, **F64)
    ends, mask = torch.full((2, 4, 1), 5), torch.ones(2, 4, 6, dtype=torch.bool)
    got = process_advantages(rewards[..., None], ends, torch.ones_like(ends).bool(), mask)
    torch.testing.assert_close(got, outcome_advantages(rewards)[..., None].expand(2, 4, 6))


@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_steps_or_none_give_exact_zeros(dtype):
    same = torch.full((2, 3), 0.1, dtype=dtype)
    same[0, 2] = 5.0  # padding
    advantages = process_advantages(same, ENDS, REAL, MASK)
    assert advantages.dtype == dtype and (advantages == 0).all()
    assert (process_advantages(same, ENDS, torch.zeros_like(REAL), MASK) == 0).all()


def test_padding_of_steps_and_tokens_changes_nothing():
    spoiled = STEPS.clone()
    spoiled[0, 2] = float("nan")
    ends = ENDS.clone()
    ends[0, 2] = 1000
    want = process_advantages(STEPS, ENDS, REAL, MASK)
    assert torch.equal(process_advantages(spoiled, ends, REAL, MASK), want)
    ends[0, 2] = -1
    assert torch.equal(process_advantages(spoiled, ends, REAL, MASK), want)
    longer = torch.nn.functional.pad(MASK, (0, 3))
    assert torch.equal(process_advantages(STEPS, ENDS, REAL, longer)[..., :6], want)


def test_answers_of_one_token():
    """The padding of steps and of tokens has nowhere else to go."""
    steps, real = f64(1, 99, 0, 99).view(2, 2), torch.tensor([[1, 0], [1, 0]], dtype=torch.bool)
    ends, mask = torch.tensor([[0, 5], [0, -1]]), torch.ones(2, 1, dtype=torch.bool)
    assert process_advantages(steps, ends, real, mask).tolist() == [[1.0], [-1.0]]


def test_tiny_step_rewards_beside_padding():
    tiny, one = (process_advantages(x * STEPS.float(), ENDS, REAL, MASK) for x in (1e-30, 1))
    torch.testing.assert_close(tiny, one)


def test_a_token_off_the_mask_gets_nothing():
    """Even where steps are still to come: a mask may begin late."""
    late = MASK.clone()
    late[0, 0] = False
    got = process_advantages(STEPS, ENDS, REAL, late)
    assert got[0, 0] == 0 and got[0, 1] != 0


def test_bad_steps():
    ends = ENDS.clone()
    ends[1, 2] = 3
    with pytest.raises(ValueError, match=r"step_ends\[1, 2\] is 3, where its answer has no token"):
        process_advantages(STEPS, ends, REAL, MASK)
    for end in (6, -1):
        ends[1, 2] = end
        with pytest.raises(ValueError, match=rf"step_ends\[1, 2\] is {end}"):
            process_advantages(STEPS, ends, REAL, torch.ones_like(MASK))
    nan = STEPS.clone()
    nan[1, 0] = float("nan")
    with pytest.raises(ValueError, match=r"rewards\[1, 0\] is nan"):
        process_advantages(nan, ENDS, REAL, MASK)
    with pytest.raises(ValueError, match="G = 1"):
        process_advantages(STEPS[:1], ENDS[:1], REAL[:1], MASK[:1])
    with pytest.raises(ValueError, match="one shape"):
        process_advantages(STEPS[:, :2], ENDS, REAL, MASK)
    with pytest.raises(ValueError, match="must agree in"):
        process_advantages(STEPS, ENDS, REAL, MASK[:1])
    with pytest.raises(ValueError, match="the steps must have one shape"):
        process_advantages(STEPS[0], ENDS[0], REAL[0], MASK[0])
    for wrong in (
        (ENDS.int(), REAL, MASK),
        (ENDS, REAL.long(), MASK),
        (ENDS, REAL, MASK.long()),
        (ENDS, REAL.long(), MASK.long()),
    ):
        with pytest.raises(ValueError, match="step_ends must be long, both masks bool"):
            process_advantages(STEPS, *wrong)


# --- from tokens to answers


def test_three_ways_to_add_up():
    losses = torch.tensor([[1.0, 2, 3, 4, 5, 9], [6, 7, 8, 9, 9, 9]], **F64)  # lengths 5 and 3
    mean = aggregate_token_losses(losses, MASK)
    torch.testing.assert_close(mean, f64(3, 7))
    constant = aggregate_token_losses(losses, MASK, "constant", max_length=10)
    torch.testing.assert_close(constant, f64(1.5, 2.1))
    tokens = aggregate_token_losses(losses, MASK, "token_mean")
    torch.testing.assert_close(tokens, f64(15 / 4, 21 / 4))
    torch.testing.assert_close(tokens.mean(), losses[MASK].mean())


def test_ways_to_add_up_one_token():
    losses, mask = f64(3, 9, 9, 9).view(2, 2), torch.tensor([[True, False], [False, False]])
    assert aggregate_token_losses(losses, mask).tolist() == [3.0, 0.0]
    assert aggregate_token_losses(losses, mask, "constant", max_length=1).tolist() == [3.0, 0.0]
    assert aggregate_token_losses(losses, mask, "token_mean").tolist() == [6.0, 0.0]  # mean 3


@pytest.mark.parametrize("how", ["answer_mean", "constant", "token_mean"])
def test_groups_add_up_by_themselves(how):
    losses, mask = torch.randn(3, 2, 6, **F64), torch.rand(3, 2, 6) < 0.7
    together = aggregate_token_losses(losses, mask, how, max_length=6)
    for group in range(3):
        alone = aggregate_token_losses(losses[group], mask[group], how, max_length=6)
        torch.testing.assert_close(together[group], alone)


def test_as_many_groups_as_answers_keep_their_own_mean_length():
    mask = torch.arange(4) < torch.tensor([[[1], [3]], [[4], [4]]])  # mean lengths 2 and 4
    got = aggregate_token_losses(torch.ones(2, 2, 4, **F64), mask, "token_mean")
    assert got.tolist() == [[0.5, 1.5], [1.0, 1.0]]


@pytest.mark.parametrize("how", ["answer_mean", "constant", "token_mean"])
def test_what_stands_off_the_mask_does_not_matter(how):
    losses = torch.randn(2, 6, **F64)
    want = aggregate_token_losses(losses, MASK, how, max_length=6)
    spoiled = losses.masked_fill(~MASK, float("nan")).requires_grad_()
    got = aggregate_token_losses(spoiled, MASK, how, max_length=6)
    assert torch.equal(got, want)
    got.sum().backward()
    assert spoiled.grad.isfinite().all() and (spoiled.grad[~MASK] == 0).all()


@pytest.mark.parametrize("how", ["answer_mean", "constant", "token_mean"])
def test_an_answer_without_a_token_counts_nothing(how):
    mask = MASK.clone()
    mask[1] = False
    got = aggregate_token_losses(torch.ones(2, 6, **F64), mask, how, max_length=6)
    assert got[1] == 0 and got[0] > 0
    nothing = aggregate_token_losses(torch.ones(2, 6), torch.zeros_like(MASK), how, max_length=6)
    assert (nothing == 0).all()


def test_bad_ways_to_add_up():
    losses = torch.ones(2, 6)
    with pytest.raises(ValueError, match="'answer_mean', 'constant' or 'token_mean', got 'mean'"):
        aggregate_token_losses(losses, MASK, "mean")
    with pytest.raises(ValueError, match="needs a positive max_length, got None"):
        aggregate_token_losses(losses, MASK, "constant")
    for length in (0, -1, math.nan):
        with pytest.raises(ValueError, match="needs a positive max_length"):
            aggregate_token_losses(losses, MASK, "constant", max_length=length)
    with pytest.raises(ValueError, match=r"bool \(2, 6\), got torch.bool \(1, 6\)"):
        aggregate_token_losses(losses, MASK[:1])
    with pytest.raises(ValueError, match=r"must be bool \(2, 6\), got torch.float32"):
        aggregate_token_losses(losses, MASK.float())
