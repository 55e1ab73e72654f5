"""Checkers of chapter 12, REINFORCE."""

import torch

from rlbook.book.exercises.expectations import expect_close, expect_shape, expect_true
from rlbook.ground.seeding import generator

F64 = torch.float64
LENGTHS = torch.tensor([4, 2, 1])


def _returns(rewards, discount: float) -> torch.Tensor:
    """(E, T), G_t, rewards behind the end being 0."""
    T = rewards.shape[1]
    powers = torch.tensor(
        [[discount ** (k - t) if k >= t else 0.0 for t in range(T)] for k in range(T)], dtype=F64
    )
    return rewards @ powers


def check_reinforce_weights(attempt) -> str:
    """reinforce_weights(rewards, valid, discount) -> (E, T), discount^t G_t."""
    rng = generator(1202)
    valid = torch.arange(4) < LENGTHS[:, None]
    for discount, words in ((0.5, "discount 0.5"), (1.0, "discount 1"), (0.0, "discount 0")):
        clean = torch.randn(3, 4, generator=rng, dtype=F64).masked_fill(~valid, 0.0)
        dirty = clean.masked_fill(~valid, 7.0)
        powers = discount ** torch.arange(4, dtype=F64)
        G, all_G = _returns(clean, discount), _returns(dirty, discount)
        expected = powers * G
        expect_close(
            attempt(dirty, valid, discount),
            expected,
            on=f"three episodes of 4, 2 and 1 steps, {words}",
            hint="discount^t G_t, with G_t = r_t + discount G_{t+1}, and 0 behind the end.",
            mistakes={
                "The rewards behind the end of an episode entered: they are padding.": powers
                * all_G,
                "Behind the end of an episode the weights should be 0.": powers
                * torch.where(valid, G, all_G),
                "The factor discount^t in front is missing: that is F, the direction without "
                "it.": G,
                "Every action gets the return of the whole episode; rewards from before the "
                "action are noise.": G[:, :1] * valid,
                "Every action gets the rewards *before* it: the sum runs from t to the end.": (
                    powers * clean
                ).cumsum(1)
                * valid,
                "The rewards are summed without a discount inside G_t.": powers
                * _returns(clean, 1.0),
                "The discount was applied twice: sum over k of discount^k r_k is already "
                "discount^t G_t.": powers * powers * G,
                "These are the rewards alone; an action also answers for what follows.": powers
                * clean,
            },
        )
    return "With a baseline subtracted inside, it is what the agent uses."


def check_leave_one_out(attempt) -> str:
    """leave_one_out(returns) -> (E,), each return minus the mean of the others."""
    rng = generator(1203)
    for E in (2, 5, 8):
        G = 10 + 3 * torch.randn(E, generator=rng, dtype=F64)
        own = G - G.mean()
        expected = own * E / (E - 1)
        expect_close(
            attempt(G),
            expected,
            on=f"{E} returns",
            hint="The mean of the others is (sum of all - own) / (E - 1).",
            mistakes={
                "The mean contains the episode's own return: with two episodes half of the "
                "gradient is lost, Eq. (12.13).": own,
                "The sum of the others was divided by E; there are only E - 1 of them.": G
                - (G.sum() - G) / E,
                "The sign is wrong: a return above the others should be positive.": -expected,
                "That is the mean of the others; subtract it from the return.": (G.sum() - G)
                / (E - 1),
                "The differences were divided by their standard deviation; that is another "
                "estimate, and its mean is not the gradient.": own / G.std(),
            },
        )
    same = torch.full((4,), 3.0, dtype=F64)
    expect_close(
        attempt(same), torch.zeros(4, dtype=F64), on="four equal returns", hint="Nobody was better."
    )
    return (
        "It is E / (E - 1) times the version with the own return: exactly what Eq. (12.13) lacks."
    )


def _slope(attempt, inputs, targets, valid, on: str) -> torch.Tensor:
    """The gradient of the attempt's loss with respect to log_probs, the first of the inputs."""
    loss = attempt(inputs[0], targets, inputs[1], valid)
    expect_shape(loss, (), on=on, hint="One number: a sum over steps, a mean over episodes.")
    expect_true(
        isinstance(loss, torch.Tensor) and loss.requires_grad,
        on=on,
        what="no gradient flows back to log_probs.",
        hint="Keep to tensors: .item(), float() and .detach() cut the way back.",
    )
    expect_true(
        bool(loss.isfinite()),
        on=on,
        what="the loss is not finite.",
        hint="0 times NaN is NaN: a mask by a product lets it in, torch.where does not.",
    )
    slope, value_slope = torch.autograd.grad(loss, inputs, allow_unused=True)
    expect_true(slope is not None, on=on, what="the loss does not depend on log_probs.")
    expect_true(
        value_slope is None or (value_slope == 0).all(),
        on=on,
        what="a gradient flows into the values: the loss of the policy would move the "
        "baseline, in a direction that has nothing to do with predicting returns.",
        hint="Detach the advantage.",
    )
    return slope


def check_reinforce_loss(attempt) -> str:
    """reinforce_loss(log_probs, returns, values, valid) -> a number."""
    rng = generator(1204)
    valid = torch.arange(4) < LENGTHS[:, None]
    on = "three episodes of 4, 2 and 1 steps"
    leaves = [torch.randn(3, 4, generator=rng, dtype=F64) for _ in range(3)]
    log_probs, returns, values = leaves
    log_probs = -log_probs.abs()
    expected = -((returns - values) * valid).detach() / 3
    for padding, unlikely, words in (
        (0.0, 0.0, on),
        (5.0, 5.0, f"{on}, with numbers behind their ends"),
        (5.0, torch.nan, f"{on}, with NaN in log_probs behind their ends"),
    ):
        paddings = (log_probs, unlikely), (values, padding)
        inputs = [x.masked_fill(~valid, p).requires_grad_() for x, p in paddings]
        targets = returns.masked_fill(~valid, padding + 1.0)
        slope = _slope(attempt, inputs, targets, valid, words)
        advantages = targets - inputs[1].detach()
        flat = -advantages / 3
        expect_close(
            slope,
            expected,
            on=f"{words}, the gradient with respect to log_probs",
            hint="-(1/E) (G_t - V(s_t)) for the steps that were taken, 0 for the others.",
            mistakes={
                "Steps behind the end of an episode entered: use valid.": flat,
                "The loss was divided by the number of steps. Episodes are averaged, steps are "
                "summed; lengths are random and depend on the actions.": expected * 3 / 7,
                "It is a mean over all steps, those behind the ends included.": flat * 3 / 12,
                "It is a mean over all places, padding counted: divide by the number of "
                "episodes.": expected * 3 / 12,
                "The sign is wrong: a step down this loss makes good actions less likely.": (
                    -expected
                ),
                "The values were not subtracted.": -(targets * valid) / 3,
                "The sum over the episodes is not divided by their number.": expected * 3,
            },
        )
    return "None of the three bugs raises an error: this is what silent bugs look like."


CHECKERS = {
    "12.2": check_reinforce_weights,
    "12.3": check_leave_one_out,
    "12.4": check_reinforce_loss,
}
