"""Checkers of chapter 16, PPO: penalty and clip."""

import torch

from rlbook.book.exercises.expectations import WrongAnswer, expect_close, expect_true
from rlbook.ground.seeding import generator

F64 = torch.float64


def check_clipped_gradient(attempt) -> str:
    """clipped_gradient(ratio, advantages, epsilon): (B,)."""
    rng = generator(1602)
    random = torch.rand(30, generator=rng, dtype=F64) * 2 + 0.01
    signs = torch.randn(30, generator=rng, dtype=F64)
    corners = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.0, 1.0], dtype=F64)
    both_signs = torch.tensor([2.0, -2, 2, -2, 2, -2], dtype=F64)
    for words, ratio, A, epsilon in (
        ("ratios above, below and at 1", corners, both_signs, 0.2),
        ("thirty random ratios", random, signs, 0.2),
        ("a wider interval, epsilon 0.4", random, signs, 0.4),
    ):
        high, low = ratio > 1 + epsilon, ratio < 1 - epsilon
        dead = (A > 0) & high | (A < 0) & low
        clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
        zero = torch.zeros_like(A)
        expect_close(
            attempt(ratio, A, epsilon),
            torch.where(dead, zero, A),
            on=words,
            hint="A, but 0 where A > 0 and the ratio is above 1 + epsilon, or A < 0 and the ratio "
            "is below 1 - epsilon.",
            mistakes={
                "That is the gradient of the clipped term alone: without the minimum, an action "
                "that has moved to the wrong side is never brought back.": (
                    torch.where(high | low, zero, A)
                ),
                "Nothing is clipped: that is the gradient of the surrogate.": A,
                "The dead zones are swapped: they lie on the side to which the advantage "
                "pushes, above the interval for A > 0.": (
                    torch.where((A < 0) & high | (A > 0) & low, zero, A)
                ),
                "The dead zone of bad actions is missing: for A < 0 it is below 1 - epsilon.": (
                    torch.where((A > 0) & high, zero, A)
                ),
                "The dead zone of good actions is missing: for A > 0 it is above 1 + epsilon.": (
                    torch.where((A < 0) & low, zero, A)
                ),
                "That is the derivative with respect to log ratio, ratio times as large.": (
                    torch.where(dead, zero, ratio * A)
                ),
                "That is the value of the objective, not its derivative.": (
                    torch.minimum(ratio * A, clipped * A)
                ),
                "That is the derivative of the loss: the objective has the other sign.": (
                    torch.where(dead, zero, -A)
                ),
            },
        )
    return "Two dead zones, and outside of them the plain surrogate."


def _ppo_loss(log_probs, old, returns, values, epsilon, mistake: str = "") -> torch.Tensor:
    """The policy's loss, or one of its usual mistakes."""
    advantages = returns - values
    if mistake != "critic":
        advantages = advantages.detach()
    if mistake != "not normalised":
        deviation = advantages.std(correction=1 if mistake == "deviation" else 0)
        advantages = (advantages - advantages.mean()) / (deviation + 1e-8)
    ratio = (old - log_probs if mistake == "ratio" else log_probs - old).exp()
    terms = ratio * advantages, ratio.clamp(1 - epsilon, 1 + epsilon) * advantages
    chosen = {"no minimum": terms[1], "no clip": terms[0], "maximum": torch.maximum(*terms)}
    objective = chosen.get(mistake, torch.minimum(*terms))
    objective = objective.sum() if mistake == "sum" else objective.mean()
    return objective if mistake == "sign" else -objective


MISTAKES = {
    "ratio": "The ratio is upside down: it is new over old, exp(log_probs - old_log_probs).",
    "no minimum": "The minimum is missing: the clipped term alone never brings back an action that "
    "has moved to the wrong side.",
    "no clip": "Nothing is clipped.",
    "maximum": "The maximum is the optimist's choice; PPO takes the minimum of the two terms.",
    "sign": "The sign: a loss is minimised, so it is minus the objective.",
    "sum": "The mean over the batch is asked for, not the sum.",
    "not normalised": "The advantages are not normalised.",
    "deviation": "Take the standard deviation that divides by B, std(correction=0).",
}


def check_ppo_clip_loss(attempt) -> str:
    """ppo_clip_loss(log_probs, old_log_probs, returns, values, epsilon): a number."""
    rng = generator(1603)
    for words, spread in (("a batch in which nothing is clipped", 0.01), ("a random batch", 0.5)):
        old, step, returns, values = torch.randn(4, 50, generator=rng, dtype=F64)
        old = old - 2
        new = (old + spread * step.tanh()).requires_grad_()
        critic = values.clone().requires_grad_()
        arguments = (new.detach(), old, returns, values, 0.2)
        loss = attempt(new, old, returns, critic, 0.2)
        expect_close(
            loss,
            _ppo_loss(*arguments),
            on=words,
            hint="Minus the mean of min(ratio A, clip(ratio) A), with normalised advantages.",
            mistakes={why: _ppo_loss(*arguments, mistake=m) for m, why in MISTAKES.items()},
        )
        if not (isinstance(loss, torch.Tensor) and loss.requires_grad):
            raise WrongAnswer(f"On {words}: the loss has no gradient. Detach the advantages only.")
        found = torch.autograd.grad(loss, (new, critic), allow_unused=True)
        moves_critic = found[1] is not None and (found[1] != 0).any()
        expect_true(
            not moves_critic,
            on=words,
            what="the loss of the policy must not have a gradient with respect to `values`.",
            hint="Advantages are numbers: use .detach().",
        )
        right = torch.autograd.grad(_ppo_loss(new, old, returns, values, 0.2), new)[0]
        got = torch.zeros_like(new) if found[0] is None else found[0]
        expect_close(got, right, on=f"{words}, its gradient",
                     hint="Is something detached that should not be?")  # fmt: skip
    return "Ratio, minimum, and advantages that are numbers: now it is PPO."


def check_reverse_optimum(attempt) -> str:
    """reverse_optimum(old, advantages, beta): (..., A)."""
    rng = generator(1604)
    logits, A = torch.randn(2, 5, 4, generator=rng, dtype=F64)
    old = logits.softmax(-1)
    uniform = torch.full((5, 4), 0.25, dtype=F64)
    for words, policy, beta in (
        ("a uniform old policy, beta 1", uniform, 1.0),
        ("five random states, beta 1", old, 1.0),
        ("five random states, beta 2", old, 2.0),
        ("beta 0.001, where exponentials overflow", old, 0.001),
    ):
        weights = policy * (A / beta).exp()
        expect_close(
            attempt(policy, A, beta),
            (policy.log() + A / beta).softmax(-1),
            on=words,
            hint="Proportional to old exp(A / beta), with sum 1 in each state.",
            mistakes={
                "The sum of a state's probabilities is not 1: normalise.": weights,
                "The old policy is missing: with an infinite price, nothing should change.": (
                    (A / beta).softmax(-1)
                ),
                "beta is a price: large beta, small step. Divide by it.": (
                    (policy.log() + A * beta).softmax(-1)
                ),
                "The sign of the advantage is turned round.": (policy.log() - A / beta).softmax(-1),
                "softmax takes logarithms: log old + A / beta.": (policy + A / beta).softmax(-1),
                "The exponential overflows: let softmax subtract the maximum.": (
                    weights / weights.sum(-1, keepdim=True)
                ),
            },
        )
    return "No search for eta: it only normalises."


CHECKERS = {
    "16.2": check_clipped_gradient,
    "16.3": check_ppo_clip_loss,
    "16.4": check_reverse_optimum,
}
