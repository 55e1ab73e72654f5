"""The exact policy gradient, and the losses whose gradient it is."""

import math

import pytest
import torch

from rlbook.bellman import discounted_visitation, policy_values
from rlbook.mdp import MDP
from rlbook.policy_gradients import (
    discounted_visits,
    entropy_bonus,
    policy_gradient_loss,
    policy_objective,
    softmax_policy_gradient,
)
from rlbook.seeding import generator

F64 = {"dtype": torch.float64}


def model(seed, *, discount=0.9, ends=False):
    """A random model; with `ends`, state 4 is terminal and action 2 of state 0 not allowed."""
    rng = generator(seed)
    plain = MDP.random(5, 3, discount=0.9, generator=rng)
    start = torch.rand(5, generator=rng, **F64)
    if not ends:
        arrays = plain.transition, plain.reward
        return MDP.from_arrays(*arrays, discount=discount, start=start / start.sum())
    P, r = plain.transition.clone(), plain.reward.clone()
    P[4], r[4], start[4] = 0, 0, 0
    allowed = torch.ones(5, 3, dtype=torch.bool)
    allowed[0, 2] = False
    return MDP.from_arrays(
        P,
        r,
        discount=discount,
        start=start / start.sum(),
        terminal=torch.arange(5) == 4,
        allowed=allowed,
    )


def softmax(mdp, logits):
    return logits.masked_fill(~mdp.allowed, -torch.inf).softmax(-1)


CASES = [(0.9, False), (0.9, True), (1.0, True), (0.0, False)]


@pytest.mark.parametrize(("discount", "ends"), CASES)
def test_objective_is_the_mean_value_of_the_start(discount, ends):
    mdp = model(1, discount=discount, ends=ends)
    policy = softmax(mdp, torch.randn(5, 3, generator=generator(2), **F64))
    expected = mdp.start @ policy_values(mdp.induced_chain(policy))
    torch.testing.assert_close(policy_objective(mdp, policy), expected)


def test_objective_and_gradient_by_hand():
    """One state, two actions with rewards 1 and 0, discount 1/2: J = 2 pi(0)."""
    P = torch.ones(1, 2, 1, **F64)
    mdp = MDP.from_arrays(P, torch.tensor([[1.0, 0.0]], **F64), discount=0.5)
    logits = torch.tensor([[math.log(3.0), 0.0]], **F64)
    assert float(policy_objective(mdp, logits.softmax(-1))) == pytest.approx(1.5)
    expected = torch.tensor([[2 * 0.75 * 0.25, -2 * 0.75 * 0.25]], **F64)
    torch.testing.assert_close(softmax_policy_gradient(mdp, logits), expected)


@pytest.mark.parametrize(("discount", "ends"), CASES)
def test_gradient_equals_autograd_and_finite_differences(discount, ends):
    mdp = model(3, discount=discount, ends=ends)
    logits = torch.randn(5, 3, generator=generator(4), **F64).requires_grad_()
    (by_autograd,) = torch.autograd.grad(policy_objective(mdp, softmax(mdp, logits)), logits)
    gradient = softmax_policy_gradient(mdp, logits)
    torch.testing.assert_close(gradient, by_autograd, atol=1e-12, rtol=1e-10)
    for s, a in ((0, 0), (2, 1), (3, 2), (0, 2)):
        nudge = torch.zeros(5, 3, **F64)
        nudge[s, a] = 1e-5
        ends_of = [
            policy_objective(mdp, softmax(mdp, logits.detach() + sign * nudge)) for sign in (1, -1)
        ]
        difference = (ends_of[0] - ends_of[1]) / 2e-5
        torch.testing.assert_close(gradient[s, a], difference, atol=1e-8, rtol=1e-6)


def test_gradient_of_each_state_sums_to_zero():
    mdp = model(5)
    gradient = softmax_policy_gradient(mdp, torch.randn(5, 3, generator=generator(6), **F64))
    torch.testing.assert_close(gradient.sum(1), torch.zeros(5, **F64))
    assert gradient.abs().max() > 0.01


def test_visits_are_the_visitation_over_one_minus_discount():
    mdp = model(7)
    policy = softmax(mdp, torch.randn(5, 3, generator=generator(8), **F64))
    expected = discounted_visitation(mdp, policy) / (1 - mdp.discount)
    torch.testing.assert_close(discounted_visits(mdp, policy), expected)


def test_visits_by_powers_of_the_chain_with_an_end_at_discount_one():
    mdp = model(9, discount=1.0, ends=True)
    policy = softmax(mdp, torch.randn(5, 3, generator=generator(10), **F64))
    step = mdp.induced_chain(policy).transition[:, 0]
    distribution, total = mdp.start.clone(), torch.zeros(5, **F64)
    for _ in range(2000):
        total += torch.where(mdp.terminal, 0.0, distribution)
        distribution = distribution @ step
    torch.testing.assert_close(discounted_visits(mdp, policy), total)


def test_loss_has_the_gradient_of_the_score_and_ignores_what_made_the_weights():
    logits = torch.randn(2, 7, 4, generator=generator(11), **F64).requires_grad_()
    actions = torch.randint(4, (2, 7), generator=generator(12))
    weights = torch.randn(2, 7, generator=generator(13), **F64).requires_grad_()
    log_probs = logits.log_softmax(-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    loss = policy_gradient_loss(log_probs, 2 * weights)
    assert loss.shape == (2, 7)
    torch.testing.assert_close(loss, -log_probs * 2 * weights)
    loss.sum().backward()
    assert weights.grad is None
    score = torch.nn.functional.one_hot(actions, 4) - logits.detach().softmax(-1)
    torch.testing.assert_close(logits.grad, -2 * weights.detach().unsqueeze(-1) * score)


def test_entropy_by_hand_and_at_its_limits():
    logits = torch.tensor([[0.0, 0.0, 0.0], [100.0, 0.0, 0.0], [0.0, 0.0, -torch.inf]], **F64)
    expected = torch.tensor([math.log(3), 0.0, math.log(2)], **F64)
    torch.testing.assert_close(entropy_bonus(logits), expected)
    p = 0.75
    got = entropy_bonus(torch.tensor([math.log(3.0), 0.0], **F64))
    assert float(got) == pytest.approx(-p * math.log(p) - (1 - p) * math.log(1 - p))


def test_entropy_gradient_is_finite_where_an_action_is_impossible():
    logits = torch.tensor([0.3, -0.2, -torch.inf], **F64).requires_grad_()
    entropy_bonus(logits).backward()
    short = torch.tensor([0.3, -0.2], **F64).requires_grad_()
    torch.distributions.Categorical(logits=short).entropy().backward()
    torch.testing.assert_close(logits.grad[:2], short.grad)
    assert logits.grad[2] == 0


def test_entropy_has_the_gradient_of_finite_differences():
    logits = torch.randn(3, 5, generator=generator(14), **F64).requires_grad_()
    assert torch.autograd.gradcheck(entropy_bonus, (logits,))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: policy_objective(model(1), torch.ones(5, 2, **F64)), r"policy must be .*\(5, 3\)"),
        (lambda: policy_objective(model(1), torch.ones(5, 3, **F64)), "no distribution"),
        (lambda: discounted_visits(model(1), torch.zeros(5, dtype=torch.long)), "policy must be"),
        (lambda: softmax_policy_gradient(model(1), torch.zeros(3, 5, **F64)), "logits must be"),
        (lambda: policy_gradient_loss(torch.zeros(3), torch.zeros(3, 1)), "the same shape"),
        (lambda: entropy_bonus(torch.tensor(1.0)), "logits must be"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_policy_that_never_ends_raises_at_discount_one():
    P = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]], **F64)
    mdp = MDP.from_arrays(
        P, torch.zeros(2, 2, **F64), discount=1.0, terminal=torch.tensor([False, True])
    )
    with pytest.raises(ValueError):
        policy_objective(mdp, torch.tensor([[1.0, 0.0], [1.0, 0.0]], **F64))
