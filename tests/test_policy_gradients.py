"""The exact policy gradient, and the losses whose gradient it is."""

import math
import re

import pytest
import torch

from rlbook.formulas.policy_gradients import (
    clipped_surrogate_loss,
    entropy_bonus,
    policy_gradient_loss,
    surrogate,
)
from rlbook.ground.seeding import generator
from rlbook.planning.bellman import discounted_visitation, policy_values
from rlbook.planning.exact_gradients import (
    discounted_visits,
    policy_objective,
    softmax_policy_gradient,
)
from rlbook.planning.mdp import MDP

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


@pytest.mark.parametrize(
    "loss", [surrogate, lambda *x: clipped_surrogate_loss(*x, clip_epsilon=0.2)]
)
def test_ratios_and_advantages_that_are_computed_get_no_gradient(loss):
    """Old policies and critics are networks too: what they say is a number here."""
    new, old, advantages = (x.requires_grad_() for x in 0.1 * torch.randn(3, 8, **F64))
    loss(new, 2 * old, advantages**2).sum().backward()
    assert new.grad.abs().sum() > 0 and old.grad is None and advantages.grad is None


def test_entropy_by_hand_and_at_its_limits():
    logits = torch.tensor([[0.0, 0.0, 0.0], [100.0, 0.0, 0.0], [0.0, 0.0, -torch.inf]], **F64)
    expected = torch.tensor([math.log(3), 0.0, math.log(2)], **F64)
    torch.testing.assert_close(entropy_bonus(logits), expected)
    assert entropy_bonus(torch.tensor([[7.0], [-1.0]])).tolist() == [0.0, 0.0]  # one action
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


@pytest.mark.parametrize(("discount", "ends"), CASES)
def test_a_batch_of_policies_is_each_of_them(discount, ends):
    mdp = model(15, discount=discount, ends=ends)
    logits = torch.randn(2, 3, 5, 3, generator=generator(16), **F64)
    policies = softmax(mdp, logits)
    for function, inputs in (
        (policy_objective, policies),
        (discounted_visits, policies),
        (softmax_policy_gradient, logits),
    ):
        together = function(mdp, inputs)
        alone = torch.stack([function(mdp, x) for x in inputs.flatten(0, 1)])
        torch.testing.assert_close(together, alone.view(2, 3, *alone.shape[1:]))


@pytest.mark.parametrize("row", [[1.5, -0.5, 0.0], [math.nan, 1.0, 0.0], [0.5, 0.4, 0.0]])
def test_one_bad_row_of_one_policy_is_named(row):
    """Negative entries too, where the row sums to 1."""
    policy = torch.full((4, 5, 3), 1 / 3, **F64)
    policy[2, 3] = torch.tensor(row, **F64)
    words = re.escape(f"policy[2, 3] is no distribution over the allowed actions: {row}")
    with pytest.raises(ValueError, match=words):
        policy_objective(model(1), policy)


def test_policies_in_float32_and_in_integers_on_a_model_in_float64():
    mdp, policy = model(1), torch.full((5, 3), 1 / 3)
    torch.testing.assert_close(
        policy_objective(mdp, policy), policy_objective(mdp, policy.double()), rtol=1e-6, atol=0
    )
    with pytest.raises(ValueError, match=r"policy must be floating point .* got torch.int64"):
        policy_objective(mdp, torch.tensor([[1, 0, 0]] * 5))


def test_no_gradient_flows_into_the_exact_gradient():
    logits = torch.zeros(5, 3, **F64).requires_grad_()
    assert not softmax_policy_gradient(model(1), logits).requires_grad


def test_an_action_that_is_not_allowed_has_no_probability():
    mdp = model(17, ends=True)
    policy = torch.full((4, 5, 3), 1 / 3, **F64)
    with pytest.raises(ValueError, match=r"policy\[0, 0\] is no distribution"):
        policy_objective(mdp, policy)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: policy_objective(model(1), torch.ones(5, 2, **F64)), r"policy must be .* 5, 3\)"),
        (lambda: policy_objective(model(1), torch.ones(5, 3, **F64)), "no distribution"),
        (lambda: discounted_visits(model(1), torch.zeros(5, dtype=torch.long)), "policy must be"),
        (lambda: softmax_policy_gradient(model(1), torch.zeros(3, 5, **F64)), "logits must be"),
        (lambda: policy_gradient_loss(torch.zeros(3), torch.zeros(3, 1)), "must have one shape"),
        (lambda: entropy_bonus(torch.tensor(1.0)), "logits must be"),
        (lambda: entropy_bonus(torch.zeros(2, 0)), r"A >= 1, got torch.float32 \(2, 0\)"),
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


# --- PPO's clipped surrogate


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [  # epsilon 0.2; the slope is d loss / d log pi = -ratio A, or 0 in the dead zones
        (1.0, 2.0, -2.0, -2.0),
        (1.1, 2.0, -2.2, -2.2),
        (1.5, 2.0, -2.4, 0.0),  # far enough
        (0.5, 2.0, -1.0, -1.0),  # too low: pushed up again
        (1.0, -2.0, 2.0, 2.0),
        (0.9, -2.0, 1.8, 1.8),
        (0.5, -2.0, 1.6, 0.0),  # far enough
        (1.5, -2.0, 3.0, 3.0),  # too high: pushed down again
        (3.0, 0.0, 0.0, 0.0),
    ],
)
def test_clipped_surrogate_by_hand(ratio, advantage, loss, slope):
    old = torch.tensor([-1.0], **F64)
    log_probs = (old + math.log(ratio)).requires_grad_()
    got = clipped_surrogate_loss(log_probs, old, torch.tensor([advantage], **F64), clip_epsilon=0.2)
    got.sum().backward()
    torch.testing.assert_close(got.detach(), torch.tensor([loss], **F64))
    torch.testing.assert_close(log_probs.grad, torch.tensor([slope], **F64))


def test_clipped_surrogate_is_elementwise_and_at_most_the_surrogate():
    rng = generator(31)
    new, old, advantages = torch.randn(3, 4, 5, generator=rng, **F64)
    surrogate = (new - old).exp() * advantages
    got = -clipped_surrogate_loss(new, old, advantages, clip_epsilon=0.3)
    assert got.shape == (4, 5) and (got <= surrogate).all() and (got < surrogate).any()
    torch.testing.assert_close(
        -clipped_surrogate_loss(new, old, advantages, clip_epsilon=torch.inf), surrogate
    )
    near = old + 0.01 * new.tanh()
    torch.testing.assert_close(
        -clipped_surrogate_loss(near, old, advantages, clip_epsilon=0.3),
        (near - old).exp() * advantages,
    )


def test_clipped_surrogate_gradient_and_what_it_does_not_reach():
    rng = generator(32)
    new, old, advantages = (x.requires_grad_() for x in torch.randn(3, 40, generator=rng, **F64))
    loss = lambda x: clipped_surrogate_loss(x, old, advantages, clip_epsilon=0.2)  # noqa: E731
    assert torch.autograd.gradcheck(loss, (new,))
    loss(new).sum().backward()
    assert new.grad.abs().sum() > 0 and old.grad is None and advantages.grad is None


def test_clipped_surrogate_begins_as_the_policy_gradient():
    rng = generator(33)
    new, advantages = torch.randn(2, 6, generator=rng, **F64)
    new.requires_grad_()
    clipped_surrogate_loss(new, new, advantages, clip_epsilon=0.2).sum().backward()
    torch.testing.assert_close(new.grad, -advantages)


def test_clipped_surrogate_refuses():
    x = torch.zeros(3)
    with pytest.raises(ValueError, match="must have one shape"):
        clipped_surrogate_loss(x, x, torch.zeros(3, 1), clip_epsilon=0.2)
    with pytest.raises(ValueError, match="must have one shape"):  # both would broadcast
        clipped_surrogate_loss(x, torch.zeros(1), x, clip_epsilon=0.2)
    with pytest.raises(ValueError, match="must have one shape"):
        clipped_surrogate_loss(torch.zeros(1), x, x, clip_epsilon=0.2)
    one = torch.zeros(1)
    for wrong in ((x, one, x), (one, x, x), (x, x, one)):
        with pytest.raises(ValueError, match="must have one shape"):
            surrogate(*wrong)
    for epsilon in (0.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="clip_epsilon must be positive"):
            clipped_surrogate_loss(x, x, x, clip_epsilon=epsilon)
