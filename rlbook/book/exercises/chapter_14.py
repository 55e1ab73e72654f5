"""Checkers of chapter 14, actor-critic."""

import torch

from rlbook.book.exercises.expectations import expect_close, expect_shape, expect_true
from rlbook.ground.seeding import generator

F64 = torch.float64


def check_expected_td_error(attempt) -> str:
    """expected_td_error(P, R, values, terminal, discount) -> (S, A)."""
    rng = generator(1402)
    for S, A, discount in ((4, 2, 0.5), (6, 3, 0.9), (3, 2, 1.0)):
        P = torch.rand(S, A, S, generator=rng, dtype=F64)
        P = P / P.sum(-1, keepdim=True)
        R, values = (
            torch.randn(S, A, S, generator=rng, dtype=F64),
            torch.randn(S, generator=rng, dtype=F64),
        )
        terminal = torch.arange(S) == S - 1
        later = torch.where(terminal, 0.0, values)
        mean = lambda V, P=P, R=R, g=discount: (P * (R + g * V)).sum(-1)  # noqa: E731
        baseline = values[:, None]
        expect_close(
            attempt(P, R, values, terminal, discount),
            mean(later) - baseline,
            on=f"a random model with {S} states, the last terminal, and discount {discount:g}",
            hint="The mean over s' of R + discount V(s'), with 0 for terminal s', minus V(s).",
            mistakes={
                "The table's entry of a terminal state was added for those who enter it: after "
                "the end nothing follows.": mean(values) - baseline,
                "V(s) was not subtracted: that is the mean of the target.": mean(later)
                + 0 * baseline,
                "The discount is missing.": (P * (R + later)).sum(-1) - baseline,
                "The rewards were summed over next states without their probabilities.": (
                    R.sum(-1) + discount * (P * later).sum(-1) - baseline
                ),
                "The sign is wrong: target minus value, so that a pleasant surprise is "
                "positive.": baseline - mean(later),
                "The discount was applied to the reward, too.": discount * (P * (R + later)).sum(-1)
                - baseline,
            },
        )
    return "With the true values it is the advantage, Eq. (14.3)."


WRONG_MASKS = (
    "A time limit was treated as an end: where an episode is only truncated, the value of the "
    "next state still counts.",
    "The value of a terminal state was added: after the end nothing follows.",
    "The sign is wrong: a step down this loss makes actions that went well less likely.",
    "The sign is wrong, and a time limit was treated as an end.",
)


def check_actor_critic_losses(attempt) -> str:
    """actor_critic_losses(log_probs, values, next_values, rewards, ends..., discount)."""
    rng = generator(1403)
    numbers = torch.randn(4, 6, generator=rng, dtype=F64)
    log_probs, values, next_values = (x.clone().requires_grad_() for x in numbers[:3])
    rewards, discount = numbers[3], 0.9
    terminated = torch.tensor([0, 1, 0, 0, 1, 0], dtype=torch.bool)
    truncated = torch.tensor([0, 0, 1, 0, 1, 1], dtype=torch.bool)
    on = "six transitions, two of them terminated and three truncated (one both)"
    ends = terminated, truncated
    losses = attempt(log_probs, values, next_values, rewards, *ends, discount)
    two = isinstance(losses, tuple | list) and len(losses) == 2
    expect_true(two, on=on, what="the result should be two losses, (actor_loss, critic_loss).")
    for name, loss in zip(("the actor's loss", "the critic's loss"), losses, strict=True):
        expect_shape(loss, (), on=f"{on}: {name}", hint="A mean over the batch.")
        tracked = isinstance(loss, torch.Tensor) and loss.requires_grad
        expect_true(tracked, on=on, what=f"no gradient flows back from {name}.")
    leaves = (log_probs, values, next_values)
    slopes = [
        torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True) for loss in losses
    ]
    (actor, *into_critic), (_, critic, through_target) = slopes
    v, follows = values.detach(), next_values.detach()
    advantage = rewards + discount * torch.where(terminated, 0.0, follows) - v
    done = rewards + discount * torch.where(terminated | truncated, 0.0, follows) - v
    endless = rewards + discount * follows - v
    masks = dict(zip(WRONG_MASKS, (-done / 6, -endless / 6, advantage / 6, done / 6), strict=True))
    flows = (x is not None and bool((x != 0).any()) for x in into_critic)
    expect_true(actor is not None, on=on, what="the actor's loss does not depend on log_probs.")
    where = f"{on}, the gradient of the actor's loss with respect to log_probs"
    expect_close(actor, -advantage / 6, on=where, hint="-advantage / B.", mistakes=masks)
    expect_true(
        not any(flows),
        on=on,
        what="a gradient flows from the actor's loss into the critic: it would learn to make the "
        "advantages large, not to predict.",
        hint="Detach the advantage.",
    )
    expect_true(
        through_target is None or (through_target == 0).all(),
        on=on,
        what="a gradient flows from the critic's loss into next_values: the target is pushed "
        "towards the prediction, Eq. (14.9).",
        hint="Detach the target.",
    )
    expect_true(critic is not None, on=on, what="the critic's loss does not depend on values.")
    where = f"{on}, the gradient of the critic's loss with respect to values"
    twice = {"The factor 1/2 is missing.": -2 * advantage / 6}
    expect_close(critic, -advantage / 6, on=where, hint="-advantage / B.", mistakes=twice)
    return "Two networks, two losses, and no gradient from one into the other."


def check_episodes_to_prefer_returns(attempt) -> str:
    """episodes_to_prefer_returns(squared_bias, variance_td, variance_mc) -> float."""
    infinity = float("inf")
    cases = (
        (0.5, 1.0, 3.0, 4.0, "squared bias 0.5, variances 1 and 3"),
        (0.01, 2.0, 2.5, 50.0, "squared bias 0.01, variances 2 and 2.5"),
        (0.5, 3.0, 2.0, 0.0, "a TD error that is noisier than the return"),
        (0.0, 1.0, 2.0, infinity, "a TD error without bias"),
        (0.0, 2.0, 2.0, 0.0, "no bias and equal variances"),
    )
    for b2, td, mc, expected, words in cases:
        got = attempt(b2, td, mc)
        mistakes = {}
        if b2 > 0:
            mistakes = {
                "The bias was squared once more.": (mc - td) / b2**2,
                "It was divided by the bias, not by its square.": (mc - td) / b2**0.5,
                "That is a ratio of variances; the bias must enter.": mc / td,
                "The difference of the variances has the wrong sign.": (td - mc) / b2,
                "The TD error's variance shrinks with E, too: subtract it.": mc / b2,
            }
        expect_close(
            torch.as_tensor(got, dtype=F64),
            torch.tensor(expected, dtype=F64),
            on=words,
            hint="(v_MC - v_TD) / b^2, with its two special cases.",
            mistakes={k: torch.tensor(x, dtype=F64) for k, x in mistakes.items()},
        )
    return "Ten times less error of the critic buys a hundred times more episodes."


CHECKERS = {
    "14.2": check_expected_td_error,
    "14.3": check_actor_critic_losses,
    "14.5": check_episodes_to_prefer_returns,
}
