"""KL divergences against torch.distributions and by hand; the two controllers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, Normal, kl_divergence

from rlbook.formulas.divergences import (
    adapt_kl_coef,
    answer_kl_estimate,
    kl_categorical,
    kl_estimate,
    kl_gaussian,
    kl_regularized_optimum,
    proportional_kl_coef,
)

F64 = {"dtype": torch.float64}
SEEDS = st.integers(0, 10_000)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **F64)


# --- categorical


def test_categorical_by_hand():
    """p = (3/4, 1/4), q = (1/2, 1/2): 3/4 log 3/2 + 1/4 log 1/2; logits up to a constant."""
    p, q = torch.tensor([[3.0, 1.0], [0.5, 0.5]], **F64).log()
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    torch.testing.assert_close(kl_categorical(p, q + 7), torch.tensor(expected, **F64))


@given(SEEDS)
def test_categorical_is_that_of_torch_and_zero_only_for_equals(seed):
    p, q = 3 * numbers(2, 4, 5, 3, seed=seed)
    got = kl_categorical(p, q)
    expected = kl_divergence(Categorical(logits=p), Categorical(logits=q))
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=1e-10)
    assert got.shape == (4, 5) and (got > 0).all()
    assert (kl_categorical(p, p) == 0).all()


def test_categorical_without_an_action():
    """An action that p excludes adds nothing, and no NaN to a gradient; one of q's, infinity."""
    excluded = torch.tensor([0.0, 0.0, -torch.inf], requires_grad=True)
    full = torch.zeros(3, requires_grad=True)
    kl = kl_categorical(excluded, full)
    kl.backward()
    torch.testing.assert_close(kl, torch.tensor(1.5).log())
    assert excluded.grad.isfinite().all()
    torch.testing.assert_close(full.grad, torch.tensor([-1 / 6, -1 / 6, 1 / 3]))
    assert kl_categorical(full, excluded) == torch.inf
    assert kl_categorical(excluded, excluded) == 0


@pytest.mark.parametrize("bad", [-torch.inf, torch.nan, torch.inf])
def test_categorical_names_a_row_that_is_no_distribution(bad):
    fine, wrong = numbers(2, 3, 4), numbers(2, 3, 4)
    wrong[1, 2] = bad
    with pytest.raises(ValueError, match=rf"logits_p\[1, 2\] is no distribution: \[{bad}, "):
        kl_categorical(wrong, fine)
    with pytest.raises(ValueError, match=r"logits_q\[1, 2\] is no distribution"):
        kl_categorical(fine, wrong)
    with pytest.raises(ValueError, match="logits_p is no distribution"):
        kl_categorical(wrong[1, 2], fine[1, 2])
    found = kl_categorical(wrong, fine, checked=False)  # only there
    assert found.isnan().nonzero().tolist() == [[1, 2]]
    right = kl_categorical(fine, fine.flip(0))
    assert kl_categorical(fine, fine.flip(0), checked=False).equal(right)


def test_categorical_gradients():
    p, q = numbers(2, 3, 4).unbind(0)
    assert torch.autograd.gradcheck(kl_categorical, (p.requires_grad_(), q.requires_grad_()))


# --- Gaussian


def test_gaussian_by_hand():
    """N(0, 1) and N(1, 4): log 2 + (1 + 1) / 8 - 1 / 2; the components add up."""
    zero, log_two = torch.zeros(2, **F64), torch.tensor([math.log(2), 0.0], **F64)
    got = kl_gaussian(zero, zero, torch.tensor([1.0, 3.0], **F64), log_two)
    torch.testing.assert_close(got, torch.tensor(math.log(2) - 0.25 + 4.5, **F64))


@given(SEEDS)
def test_gaussian_is_that_of_torch_and_zero_for_equals(seed):
    mean_p, log_std_p, mean_q, log_std_q = numbers(4, 6, 3, seed=seed)
    p, q = Normal(mean_p, log_std_p.exp()), Normal(mean_q, log_std_q.exp())
    got = kl_gaussian(mean_p, log_std_p, mean_q, log_std_q)
    torch.testing.assert_close(got, kl_divergence(p, q).sum(-1))
    assert (got > 0).all()
    assert (kl_gaussian(mean_p, log_std_p, mean_p, log_std_p) == 0).all()


def test_gaussian_spreads_the_standard_deviation_only():
    mean, log_std = numbers(2, 5, 3), numbers(2, 1, 3, seed=1)
    got = kl_gaussian(mean, log_std, mean + 1, log_std)
    expected = 0.5 * (-2 * log_std).exp().sum(-1).expand(2, 5)
    torch.testing.assert_close(got, expected)
    with pytest.raises(ValueError, match="log_std_q has shape"):
        kl_gaussian(mean, log_std, mean, numbers(4, 2, 5, 3))
    with pytest.raises(ValueError, match="log_std_p has shape"):
        kl_gaussian(mean, numbers(4, 2, 5, 3), mean, log_std)
    with pytest.raises(ValueError, match="mean_p and mean_q must have one shape"):
        kl_gaussian(mean, log_std, mean[:1], log_std)


def test_gaussian_gradients():
    inputs = [x.requires_grad_() for x in numbers(4, 2, 3).unbind(0)]
    assert torch.autograd.gradcheck(kl_gaussian, inputs)


# --- estimates


@pytest.mark.parametrize(("kind", "expected"), [("k1", -1.0), ("k2", 0.5), ("k3", math.e - 2)])
def test_estimates_by_hand(kind, expected):
    """log pi = -3, log pi_ref = -2: d = -1."""
    got = kl_estimate(torch.tensor([-3.0], **F64), torch.tensor([-2.0], **F64), kind)
    torch.testing.assert_close(got, torch.tensor([expected], **F64))


@given(SEEDS)
def test_expectations_of_the_estimates(seed):
    """Exactly, over all actions, under pi: k1 and k3 give KL(pi || pi_ref), k2 nearly."""
    log_pi, log_ref = numbers(2, 7, 4, seed=seed).log_softmax(-1)
    mean = {
        kind: (log_pi.exp() * kl_estimate(log_pi, log_ref, kind)).sum(-1)
        for kind in ("k1", "k2", "k3")
    }
    exact = kl_categorical(log_pi, log_ref)
    torch.testing.assert_close(mean["k1"], exact)
    torch.testing.assert_close(mean["k3"], exact)
    assert not torch.allclose(mean["k2"], exact, rtol=1e-6)
    assert (kl_estimate(log_pi, log_ref, "k3") >= 0).all()
    near = (log_pi + 1e-3 * (log_ref - log_pi)).log_softmax(-1)
    k2 = (log_pi.exp() * kl_estimate(log_pi, near, "k2")).sum(-1)
    torch.testing.assert_close(k2, kl_categorical(log_pi, near), rtol=1e-2, atol=0)


def test_estimates_are_elementwise_precise_and_k3_by_default():
    a, b = numbers(2, 3, 4)
    assert kl_estimate(a, b).shape == (3, 4)
    torch.testing.assert_close(kl_estimate(a, b), kl_estimate(a, b, "k3"))
    small = kl_estimate(torch.tensor([1e-7], **F64), torch.tensor([0.0], **F64), "k3")
    torch.testing.assert_close(small, torch.tensor([5e-15], **F64), rtol=1e-2, atol=0)


def test_estimates_refuse():
    with pytest.raises(ValueError, match="'k1', 'k2' or 'k3', got 'k4'"):
        kl_estimate(numbers(3), numbers(3), "k4")
    with pytest.raises(ValueError, match="must have one shape"):
        kl_estimate(numbers(3), numbers(1))
    with pytest.raises(ValueError, match="must have one shape"):
        kl_categorical(numbers(2, 3), numbers(3))


def test_a_number_has_no_axis_to_sum_over():
    one, true = torch.tensor(0.0, **F64), torch.tensor(True)
    for call in (
        lambda: kl_categorical(one, one),
        lambda: kl_gaussian(one, one, one, one),
        lambda: answer_kl_estimate(one, one, true),
        lambda: kl_regularized_optimum(one, one, kl_coef=1.0),
    ):
        with pytest.raises(ValueError, match="must have one shape"):
            call()


# --- whole answers


ANSWER = torch.tensor([[-1.0, -2.0, -0.5], [-1.0, -2.0, torch.nan]], **F64)
REFERENCE = torch.tensor([[-2.0, -1.0, -1.0], [-2.0, -1.0, torch.nan]], **F64)
MASK = torch.tensor([[True, True, True], [True, True, False]])


@pytest.mark.parametrize(
    ("kind", "level", "expected"),
    [
        ("k1", "token", [0.5, 0.0]),
        ("k1", "answer", [0.5, 0.0]),
        ("k2", "token", [1.125, 1.0]),
        ("k2", "answer", [0.125, 0.0]),
        ("k3", "token", [math.exp(-1) + math.e + math.exp(-0.5) - 2.5, math.exp(-1) + math.e - 2]),
        ("k3", "answer", [math.exp(-0.5) - 0.5, 0.0]),
    ],
)
def test_answer_estimates_by_hand(kind, level, expected):
    """d = (1, -1, 1/2), and (1, -1) with a NaN off the mask."""
    got = answer_kl_estimate(ANSWER, REFERENCE, MASK, kind, level)
    torch.testing.assert_close(got, torch.tensor(expected, **F64))


def test_answer_estimates_off_the_mask_and_without_a_token():
    log_probs = ANSWER.clone().requires_grad_()
    answer_kl_estimate(log_probs, REFERENCE, MASK).sum().backward()
    assert log_probs.grad.isfinite().all() and log_probs.grad[1, 2] == 0
    none = torch.zeros_like(MASK)
    for level in ("token", "answer"):
        assert answer_kl_estimate(ANSWER, REFERENCE, none, "k3", level).tolist() == [0.0, 0.0]
    for level in ("token", "answer"):
        batch = [x.expand(4, 2, 3) for x in (ANSWER, REFERENCE, MASK)]
        alone = answer_kl_estimate(ANSWER, REFERENCE, MASK, "k3", level)
        assert torch.equal(answer_kl_estimate(*batch, "k3", level), alone.expand(4, 2))


def test_answer_estimates_refuse():
    with pytest.raises(ValueError, match=r"must be bool \(2, 3\), got torch.bool \(1, 3\)"):
        answer_kl_estimate(ANSWER, REFERENCE, MASK[:1])
    with pytest.raises(ValueError, match=r"bool \(2, 3\), got torch.float64"):
        answer_kl_estimate(ANSWER, REFERENCE, MASK.double())
    for answer, reference, mask in (
        (ANSWER, REFERENCE[:1], MASK),  # both would broadcast
        (ANSWER[:1], REFERENCE, MASK[:1]),
    ):
        with pytest.raises(ValueError, match="log_probs and ref_log_probs must have one shape"):
            answer_kl_estimate(answer, reference, mask, level="token")
    nothing = torch.tensor(0.0)
    with pytest.raises(ValueError, match=r"one shape \(\.\.\., T\), got \(\) and \(\)"):
        answer_kl_estimate(nothing, nothing, nothing > 0)
    with pytest.raises(ValueError, match="'token' or 'answer', got 'sequence'"):
        answer_kl_estimate(ANSWER, REFERENCE, MASK, "k3", "sequence")
    with pytest.raises(ValueError, match="'k1', 'k2' or 'k3'"):
        answer_kl_estimate(ANSWER, REFERENCE, MASK, "kl")


# --- the optimum of a reward with a KL to a reference


def test_optimum_by_hand():
    """pi_ref = (1/4, 3/4), R = (1, 0), kl_coef 1 / log 6: weights 6/4 and 3/4."""
    reference = torch.tensor([0.25, 0.75], **F64).log()
    coef = 1 / math.log(6)
    best, value = kl_regularized_optimum(reference, torch.tensor([1.0, 0.0], **F64), kl_coef=coef)
    exact = {"rtol": 1e-14, "atol": 0}  # the coefficient is no float32
    torch.testing.assert_close(best.exp(), torch.tensor([2 / 3, 1 / 3], **F64), **exact)
    torch.testing.assert_close(value, torch.tensor(coef * math.log(9 / 4), **F64))


@given(SEEDS, st.floats(0.05, 20))
def test_optimum_is_the_maximum_and_beats_every_rival(seed, coef):
    """E[R] - kl_coef KL(pi || pi_ref) is the value at pi*, and less by kl_coef KL(pi || pi*)."""
    reference, rewards, rival = numbers(3, 4, 6, seed=seed)
    reference, rival = reference.log_softmax(-1), rival.log_softmax(-1)
    best, value = kl_regularized_optimum(reference, rewards, kl_coef=coef)

    def objective(log_pi):
        return (log_pi.exp() * rewards).sum(-1) - coef * kl_categorical(log_pi, reference)

    torch.testing.assert_close(best.exp().sum(-1), torch.ones(4, **F64))
    torch.testing.assert_close(objective(best), value)
    torch.testing.assert_close(value - objective(rival), coef * kl_categorical(rival, best))


def test_optimum_at_the_limits():
    """A large coefficient keeps the reference; a small one takes the best answers, as the
    reference weighs them; a shift of the rewards shifts the value only."""
    reference = torch.tensor([0.2, 0.3, 0.5], **F64).log()
    rewards = torch.tensor([1.0, 1.0, 0.0], **F64)
    best, value = kl_regularized_optimum(reference, rewards, kl_coef=1e9)
    torch.testing.assert_close(best, reference)
    torch.testing.assert_close(value, torch.tensor(0.5, **F64))  # the mean reward
    best, value = kl_regularized_optimum(reference, rewards, kl_coef=1e-3)
    torch.testing.assert_close(best.exp(), torch.tensor([0.4, 0.6, 0.0], **F64))
    shifted, more = kl_regularized_optimum(reference, rewards + 7, kl_coef=1e-3)
    torch.testing.assert_close(shifted, best)
    torch.testing.assert_close(more, value + 7)
    coefs = torch.tensor([1e9, 1e-3], **F64)
    both, values = kl_regularized_optimum(
        reference.expand(2, 3), rewards.expand(2, 3), kl_coef=coefs
    )
    torch.testing.assert_close(both[1], best)
    torch.testing.assert_close(values[1], value)


def test_optimum_refuses():
    reference, rewards = torch.tensor([0.5, 0.5], **F64).log(), torch.zeros(2, **F64)
    with pytest.raises(ValueError, match="must have one shape"):
        kl_regularized_optimum(reference, torch.zeros(3, **F64), kl_coef=1.0)
    with pytest.raises(ValueError, match="kl_coef must be positive, got 0.0"):
        kl_regularized_optimum(reference, rewards, kl_coef=0.0)
    with pytest.raises(ValueError, match=r"rewards has a NaN at \(1,\)"):
        kl_regularized_optimum(reference, torch.tensor([0.0, torch.nan], **F64), kl_coef=1.0)
    with pytest.raises(ValueError, match="must sum to 1"):
        kl_regularized_optimum(rewards, rewards, kl_coef=1.0)


def test_optimum_refuses_one_bad_row_of_a_batch():
    reference, rewards = torch.full((3, 2), 0.5, **F64).log(), torch.zeros(3, 2, **F64)
    with pytest.raises(ValueError, match="kl_coef must be positive"):
        kl_regularized_optimum(reference, rewards, kl_coef=torch.tensor([1.0, 0.0, 1.0]))
    wrong = torch.ones_like(rewards)
    wrong[1, 0] = torch.nan
    with pytest.raises(ValueError, match=r"rewards has a NaN at \(1, 0\)"):
        kl_regularized_optimum(reference, wrong, kl_coef=1.0)
    for too_much in (1e-3, -1e-3, torch.nan):
        wrong = reference.clone()
        wrong[1] += too_much
        with pytest.raises(ValueError, match="must sum to 1"):
            kl_regularized_optimum(wrong, rewards, kl_coef=1.0)
    kl_regularized_optimum(reference + 1e-5, rewards, kl_coef=1.0)  # rounding of float32


# --- controllers


def test_adaptive_coefficient_by_hand():
    """Target 0.03, so the band is [0.02, 0.045]; each run by itself; the edges are inside."""
    kl = torch.tensor([0.05, 0.019, 0.03, 0.02, 0.045, torch.inf, torch.nan], **F64)
    coefficient = torch.full((7,), 3.0, **F64)
    got = adapt_kl_coef(coefficient, kl, 0.03)
    assert got.tolist() == [6.0, 1.5, 3.0, 3.0, 3.0, 6.0, 3.0]
    assert coefficient.eq(3).all()  # not in place


def test_proportional_coefficient_by_hand():
    """The relative error, cut at 0.2, over the horizon."""
    kl = torch.tensor([1.0, 1.1, 0.9, 5.0, 0.0], **F64)
    got = proportional_kl_coef(torch.full((5,), 2.0, **F64), kl, 1.0, 10)
    expected = torch.tensor([2.0, 2.02, 1.98, 2.04, 1.96], **F64)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(
        proportional_kl_coef(torch.ones(1, **F64), torch.tensor([0.55], **F64), 0.5, 4),
        torch.tensor([1.025], **F64),
    )


def test_controllers_take_plain_numbers():
    assert adapt_kl_coef(1.0, 0.1, 0.01) == 2.0
    assert adapt_kl_coef(1.0, 0.001, 0.01) == 0.5
    assert adapt_kl_coef(1.0, 0.01, 0.01) == 1.0
    assert proportional_kl_coef(1.0, 3.0, 1.0, 2) == pytest.approx(1.1)
    assert proportional_kl_coef(1.0, 3.0, 1.0, 0.5) == pytest.approx(1.4)
    assert proportional_kl_coef(1, 0, 1, 2) == pytest.approx(0.9)


@pytest.mark.parametrize("target", [0.0, -1.0, math.nan])
def test_controllers_refuse(target):
    with pytest.raises(ValueError, match="target must be positive"):
        adapt_kl_coef(1.0, 0.1, target)
    with pytest.raises(ValueError, match="target must be positive"):
        proportional_kl_coef(1.0, 0.1, target, 10)
    with pytest.raises(ValueError, match="horizon must be positive"):
        proportional_kl_coef(1.0, 0.1, 1.0, 0)
