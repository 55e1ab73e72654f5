"""Preferences: values by hand, limits, gradients, rankings by enumeration, bad input."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlbook.formulas.preferences import (
    bayes_accuracy,
    bradley_terry_loss,
    outcome_probabilities,
    preference_probability,
    ranking_log_prob,
    ranking_pairs,
)
from rlbook.ground.seeding import generator

F64 = {"dtype": torch.float64}
close = torch.testing.assert_close


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, **F64)


# --- one pair


def test_probabilities_by_hand():
    a, b = numbers(0.0, math.log(3), 0.0), numbers(0.0, 0.0, math.log(3))
    close(preference_probability(a, b), numbers(0.5, 0.75, 0.25))
    close(preference_probability(a, b, random_share=0.2), numbers(0.5, 0.7, 0.3))
    close(preference_probability(a, b, random_share=1.0), numbers(0.5, 0.5, 0.5))


def test_losses_by_hand():
    a, b = numbers(0.0, math.log(3)), numbers(0.0, 0.0)
    close(bradley_terry_loss(a, b), numbers(math.log(2), math.log(4 / 3)))
    close(bradley_terry_loss(b, a), numbers(math.log(2), math.log(4)))
    noisy = bradley_terry_loss(b, a, random_share=0.2)
    close(noisy, numbers(math.log(2), -math.log(0.3)))
    close(bradley_terry_loss(b, a, random_share=1.0), numbers(math.log(2), math.log(2)))


@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(-5, 5), st.floats(0, 1))
def test_complement_shift_and_loss(a, b, shift, share):
    a, b = numbers(a), numbers(b)
    p = preference_probability(a, b, random_share=share)
    close(p + preference_probability(b, a, random_share=share), numbers(1.0))
    close(p, preference_probability(a + shift, b + shift, random_share=share))
    close(bradley_terry_loss(a, b, random_share=share), -p.log())


def test_the_loss_is_finite_far_out_and_keeps_its_gradient():
    chosen = numbers(-2000.0, 2000.0).requires_grad_()
    loss = bradley_terry_loss(chosen, torch.zeros_like(chosen))
    close(loss, numbers(2000.0, 0.0))
    (gradient,) = torch.autograd.grad(loss.sum(), chosen)
    close(gradient, numbers(-1.0, 0.0))
    noisy = bradley_terry_loss(chosen, torch.zeros_like(chosen), random_share=0.1)
    close(noisy, numbers(-math.log(0.05), -math.log(0.95)))
    random = bradley_terry_loss(chosen, torch.zeros_like(chosen), random_share=1.0)
    close(random, numbers(math.log(2), math.log(2)))
    (gradient,) = torch.autograd.grad(noisy.sum(), chosen)
    close(gradient, numbers(0.0, 0.0))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_gradients_by_finite_differences(share):
    chosen, rejected = torch.randn(2, 6, generator=generator(0), **F64).requires_grad_()

    def loss(c, r):
        return bradley_terry_loss(c, r, random_share=share)

    assert torch.autograd.gradcheck(loss, (chosen, rejected))
    gradients = torch.autograd.grad(loss(chosen, rejected).sum(), (chosen, rejected))
    close(gradients[0], -gradients[1])
    if share == 0:
        close(gradients[0], -(rejected - chosen).sigmoid())
    assert (gradients[0] < 0).all() or share == 1


def test_ties():
    a, b = torch.randn(2, 50, generator=generator(1), **F64)
    outcomes = outcome_probabilities(a, b, threshold=0.7)
    close(outcomes.sum(-1), torch.ones(50, **F64))
    close(outcomes.flip(-1), outcome_probabilities(b, a, threshold=0.7))
    in_rows = outcome_probabilities(a.view(5, 2, 5), b.view(5, 2, 5), threshold=0.7)
    close(in_rows, outcomes.view(5, 2, 5, 3))
    assert (outcomes > 0).all()
    none = outcome_probabilities(a, b, threshold=0.0)
    close(none[:, 0], preference_probability(a, b))
    close(none[:, 1], torch.zeros(50, **F64))
    third = outcome_probabilities(numbers(0.0), numbers(0.0), threshold=math.log(2))
    close(third, torch.full((1, 3), 1 / 3, **F64))


def test_bayes_accuracy():
    close(bayes_accuracy(numbers(0.0, 0.2, 0.5, 0.9, 1.0)), numbers(1.0, 0.8, 0.5, 0.9, 1.0))
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="probability"):
            bayes_accuracy(numbers(0.5, wrong))


# --- rankings


def test_rankings_by_enumeration():
    rewards = torch.randn(4, generator=generator(2), **F64)
    orders = torch.tensor(list(itertools.permutations(range(4))))
    chance = ranking_log_prob(rewards[orders]).exp()
    close(chance.sum(), torch.tensor(1.0, **F64))
    position = orders.argsort(1)  # of each answer
    for a, b in itertools.permutations(range(4), 2):
        before = chance[position[:, a] < position[:, b]].sum()
        close(before, preference_probability(rewards[a], rewards[b]))


def test_a_ranking_of_two_is_a_pair_and_of_one_is_certain():
    rewards = torch.randn(5, 2, generator=generator(3), **F64)
    close(ranking_log_prob(rewards), -bradley_terry_loss(*rewards.unbind(1)))
    close(ranking_log_prob(rewards[:, :1]), torch.zeros(5, **F64))
    rewards = torch.randn(2, 3, 4, generator=generator(4), **F64)
    close(ranking_log_prob(rewards)[1, 2], ranking_log_prob(rewards[1, 2]))


def test_pairs_of_a_ranking():
    assert ranking_pairs(2).tolist() == [[0, 1]]
    assert ranking_pairs(3).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert len(ranking_pairs(9)) == 36


# --- bad input


@pytest.mark.parametrize("function", [preference_probability, bradley_terry_loss])
def test_pairs_of_two_shapes_and_shares_that_are_none(function):
    with pytest.raises(ValueError, match=r"one shape, got \(2,\) and \(1,\)"):
        function(torch.zeros(2), torch.zeros(1))
    for share in (-0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match="random_share"):
            function(torch.zeros(2), torch.zeros(2), random_share=share)


def test_other_bad_input():
    with pytest.raises(ValueError, match="one shape"):
        outcome_probabilities(torch.zeros(2), torch.zeros(3), threshold=1.0)
    with pytest.raises(ValueError, match="threshold"):
        outcome_probabilities(torch.zeros(2), torch.zeros(2), threshold=-1.0)
    with pytest.raises(ValueError, match="K >= 1"):
        ranking_log_prob(torch.zeros(3, 0))
    with pytest.raises(ValueError, match=r"K >= 1, got torch.float32 \(\)"):
        ranking_log_prob(torch.tensor(1.0))
    with pytest.raises(ValueError, match="two answers"):
        ranking_pairs(1)


def test_dtype_is_kept():
    a, b = torch.zeros(2, 3, dtype=torch.float32)
    for share in (0.0, 0.5):
        assert preference_probability(a, b, random_share=share).dtype == torch.float32
        assert bradley_terry_loss(a, b, random_share=share).dtype == torch.float32
