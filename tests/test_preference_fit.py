"""Rewards fitted to a table of comparisons: gradient, Hessian, known solutions, what has none."""

import math

import pytest
import torch

from rlbook.formulas.preferences import (
    bradley_terry_loss,
    fit_bradley_terry,
    preference_information,
)
from rlbook.ground.seeding import generator

F64 = {"dtype": torch.float64}
close = torch.testing.assert_close


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, **F64)


def a_table(runs=3, answers=5, seed=4):
    rng = generator(seed)
    wins = torch.randint(1, 30, (runs, answers, answers), generator=rng).double()
    return wins * (1 - torch.eye(answers, **F64)), torch.randn(runs, answers, generator=rng, **F64)


def total_loss(wins, rewards):
    loss = bradley_terry_loss(*torch.broadcast_tensors(rewards[:, None], rewards[None]))
    return (wins * loss).sum()


def test_information_is_the_hessian():
    wins, rewards = a_table()
    for w, r, found in zip(wins, rewards, preference_information(wins, rewards), strict=True):
        close(found, torch.autograd.functional.hessian(lambda x, w=w: total_loss(w, x), r))
        close(found.sum(-1), torch.zeros(5, **F64), atol=1e-9, rtol=0)


def test_fit_is_where_the_gradient_is_zero_and_each_run_is_alone():
    wins, _ = a_table()
    rewards = fit_bradley_terry(wins)
    close(rewards.mean(-1), torch.zeros(3, **F64))
    p = (rewards[:, :, None] - rewards[:, None]).sigmoid()
    expected = ((wins + wins.mT) * p).sum(-1)
    close(expected, wins.sum(-1))
    close(fit_bradley_terry(wins[1]), rewards[1])


def test_fit_of_two_answers_is_the_logit_of_the_share_even_far_out():
    wins = torch.tensor([[[0.0, 9.0], [1.0, 0.0]], [[0.0, 1e9], [1.0, 0.0]]], **F64)
    rewards = fit_bradley_terry(wins)
    close(rewards[:, 0] - rewards[:, 1], numbers(math.log(9), math.log(1e9)))


def test_fit_recovers_the_rewards_from_exact_frequencies():
    _, rewards = a_table(runs=2)
    rewards = rewards - rewards.mean(-1, keepdim=True)
    p = (rewards[:, :, None] - rewards[:, None]).sigmoid() * (1 - torch.eye(5, **F64))
    close(fit_bradley_terry(p), rewards)


@pytest.mark.parametrize(
    ("wins", "words"),
    [
        ([[0, 3, 1], [0, 0, 1], [0, 1, 0]], "from answer 1 to answer 0"),  # 0 never lost
        ([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], "from answer 0 to answer 2"),
        ([[0, 1], [-1, 0]], "negative"),
        ([[0, 1], [math.nan, 0]], "NaN"),
        ([[1, 1], [1, 0]], "itself"),
        ([[0, 1]], "A, A"),
    ],
)
def test_fit_refuses(wins, words):
    with pytest.raises(ValueError, match=words):
        fit_bradley_terry(torch.tensor(wins, **F64))


def test_counts_are_floating_point():
    with pytest.raises(ValueError, match="floating point"):
        fit_bradley_terry(torch.zeros(2, 2, dtype=torch.long))
