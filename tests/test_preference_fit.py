"""Rewards fitted to a table of comparisons: gradient, Hessian, known solutions, what has none."""

import math
from itertools import islice

import pytest
import torch

from rlbook.formulas.preferences import (
    _newton_iterates,
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
        ([[0, 1], [math.nan, 0]], "must be finite"),
        ([[0, 1], [math.inf, 0]], "must be finite"),
        ([[1, 1], [1, 0]], "itself"),
        ([[0, 1]], "A, A"),
        ([0, 1], r"A, A\) with A > 1, got torch.float64 \(2,\)"),
        ([[0]], "A > 1"),
    ],
)
def test_fit_refuses(wins, words):
    with pytest.raises(ValueError, match=words):
        fit_bradley_terry(torch.tensor(wins, **F64))


def test_counts_are_floating_point():
    with pytest.raises(ValueError, match="floating point"):
        fit_bradley_terry(torch.zeros(2, 2, dtype=torch.long))


def slow_fit(wins, num_steps):
    """Newton's method on the loss as it is written, halving each step until it lowers the loss."""
    loss, rewards = (lambda r: total_loss(wins, r)), torch.zeros(len(wins), **F64)
    halvings = 0
    for _ in range(num_steps):
        gradient = torch.autograd.functional.jacobian(loss, rewards)
        hessian = torch.autograd.functional.hessian(loss, rewards)
        step = torch.linalg.solve(hessian + 1, gradient)  # the same but for a shift of all
        step = step / max(1.0, float(step.abs().max()) / 10)
        while loss(rewards - step) > loss(rewards) * (1 + 1e-12):
            step, halvings = step / 2, halvings + 1
        rewards = rewards - step
    return rewards - rewards.mean(), halvings


FAR_OUT = torch.tensor(  # full steps leave the minimum for good
    [[0, 1, 1, 0], [1e3, 0, 1e4, 0], [1e9, 1e4, 0, 100], [1e8, 1e7, 1, 0]], **F64
)


def iterate(wins, number):
    """The rewards after so many steps, of mean 0."""
    *_, rewards = islice(_newton_iterates(wins), number + 1)
    return rewards - rewards.mean(-1, keepdim=True)


def test_steps_that_go_too_far_are_halved_until_the_loss_is_lower():
    """Each run by itself: another one, long done, in the same batch does not stop it."""
    easy = torch.ones(4, 4, **F64) - torch.eye(4, **F64)
    assert slow_fit(FAR_OUT, 12)[1] >= 3
    for max_steps in (1, 9, 10, 11, 12, 13):
        want, _ = slow_fit(FAR_OUT, max_steps)
        close(iterate(FAR_OUT, max_steps), want, rtol=1e-4, atol=1e-4)
        together = iterate(torch.stack([easy, FAR_OUT]), max_steps)
        close(together[0], torch.zeros(4, **F64))
        close(together[1], want, rtol=1e-4, atol=1e-4)
    rewards = fit_bradley_terry(FAR_OUT).requires_grad_()
    (gradient,) = torch.autograd.grad(total_loss(FAR_OUT, rewards), rewards)
    assert gradient.abs().max() < 1e-6


def test_batches_of_batches():
    wins, rewards = a_table(runs=6, answers=4)
    fitted, information = fit_bradley_terry(wins), preference_information(wins, rewards)
    for shape in ((6, 1), (1, 6), (2, 3)):
        table = wins.view(*shape, 4, 4)
        close(fit_bradley_terry(table), fitted.view(*shape, 4))
        both = preference_information(table, rewards.view(*shape, 4))
        close(both, information.view(*shape, 4, 4))


def test_a_chain_of_wins_may_be_as_long_as_the_list_of_answers():
    circle = torch.eye(5, **F64).roll(1, 0)
    for table in (circle, circle[None, None]):
        close(fit_bradley_terry(table), torch.zeros(table.shape[:-1], **F64))
        broken = table.clone()
        broken[..., 0, 4] = 0.0
        with pytest.raises(ValueError, match="no chain of wins leads from answer 0 to answer 1"):
            fit_bradley_terry(broken)
        itself = table.clone()
        itself[..., 2, 2] = 1.0
        with pytest.raises(ValueError, match="0 of an answer against itself"):
            fit_bradley_terry(itself)


LARGE = torch.tensor(  # the right rewards by 40 digits: (4.917.., -18.678.., 13.728.., 0.032..)
    [[0, 4905, 149062, 3067], [23, 0, 0, 0], [999393173, 1555371759, 0, 85], [0, 3073315826, 0, 0]],
    **F64,
)


def test_counts_of_billions():
    """A step that no halving makes a lower loss of is not taken."""
    want = numbers(4.917716150044, -18.678251384580, 13.728257370766, 0.032277863770)
    close(fit_bradley_terry(LARGE), want, rtol=0, atol=1e-11)
    easy = torch.ones(4, 4, **F64) - torch.eye(4, **F64)
    together = fit_bradley_terry(torch.stack([easy, LARGE]))
    close(together, torch.stack([torch.zeros(4, **F64), want]), rtol=0, atol=1e-11)
    losses = [total_loss(LARGE, iterate(LARGE, k)) for k in range(1, 60)]
    assert all(b <= a * (1 + 1e-12) for a, b in zip(losses, losses[1:], strict=False))


@pytest.mark.parametrize("seed", range(20))
def test_counts_of_all_sizes_at_once(seed):
    """Each answer wins as often as is expected, whatever the other counts are."""
    rng = generator(seed)
    sizes = 10 ** (11 * torch.rand(5, 5, generator=rng, **F64))
    wins = sizes.floor() * (torch.rand(5, 5, generator=rng) < 0.6)
    wins += torch.eye(5, **F64).roll(1, 0)  # a solution exists
    wins.fill_diagonal_(0.0)
    rewards = fit_bradley_terry(wins)
    failed = wins * (rewards[None] - rewards[:, None]).sigmoid()
    close(failed.sum(0), failed.sum(1), rtol=1e-7, atol=0)


def test_what_has_not_settled_is_not_handed_back():
    wins, _ = a_table()
    with pytest.raises(ValueError, match=r"answer 0 of wins\[0\] does not win as often as is"):
        fit_bradley_terry(wins, max_steps=1)
    with pytest.raises(ValueError, match="answer 0 does not win as often as is expected; give"):
        fit_bradley_terry(wins[0], max_steps=1)
    nine = torch.tensor([[0.0, 9.0], [1.0, 0.0]], **F64)
    near = [float(iterate(nine, k).diff().abs() - math.log(9)) for k in range(1, 8)]
    needed = 1 + sum(abs(x) > 1e-8 for x in near)  # Newton squares the error in each step
    close(fit_bradley_terry(nine, max_steps=needed), fit_bradley_terry(nine))
    with pytest.raises(ValueError, match="does not win as often"):
        fit_bradley_terry(nine, max_steps=needed - 1)
    easy = torch.ones(2, 5, 5, **F64) - torch.eye(5, **F64)
    with pytest.raises(ValueError, match=r"answer 0 of wins\[1, 1\] does not"):
        fit_bradley_terry(torch.stack([easy, torch.stack([easy[0], wins[0]])]), max_steps=1)


def test_in_float32_to_half_of_its_digits():
    wins, _ = a_table()
    close(fit_bradley_terry(wins.float()), fit_bradley_terry(wins).float(), rtol=1e-4, atol=1e-5)
