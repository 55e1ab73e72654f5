"""Checkers of chapter 20, GRPO."""

import torch

from rlbook.book.exercises.expectations import expect_close, expect_true
from rlbook.formulas.group_advantages import outcome_advantages, process_advantages
from rlbook.ground.seeding import generator
from rlbook.language.grpo_loss import Config, grpo_loss

F64 = torch.float64
LARGE = 123456789.1
"""Three of it have a mean that differs from it, by rounding."""


def check_group_advantages(attempt) -> str:
    """group_advantages(rewards): (Q, G) -> (Q, G)."""
    rng = generator(2002)
    random = torch.randn(5, 6, generator=rng, dtype=F64)
    right_or_wrong = (random > 0.5).double()
    right_or_wrong[1] = 1.0
    for words, r in (
        ("five groups of six random rewards", random),
        ("rewards 0 and 1, one group all right", right_or_wrong),
        ("a group whose rewards are all 0.1", torch.full((2, 3), 0.1, dtype=F64)),
        ("equal rewards of a hundred million", torch.full((2, 3), LARGE, dtype=F64)),
    ):
        centred = r - r.mean(1, keepdim=True)
        deviation = r.std(1, correction=0, keepdim=True)
        sample_deviation = r.std(1, keepdim=True)
        expect_close(
            attempt(r),
            outcome_advantages(r),
            on=words,
            hint="(r - mean) / std in each row; 0 in a row whose rewards are all equal.",
            mistakes={
                "A group of equal rewards gives 0/0, or a rounding error divided by another: "
                "ask whether the rewards are equal.": centred / deviation,
                "The same with a small number added to std: a rounding error is still divided "
                "by a small number.": centred / (deviation + 1e-8),
                "That is the mean alone: nothing is divided.": centred,
                "The deviation divides by G, not by G - 1: std(correction=0).": torch.where(
                    deviation > 1e-12, centred / sample_deviation, 0.0
                ),
                "Mean and deviation are those of the whole batch; each group has its own.": (
                    (r - r.mean()) / r.std(correction=0)
                ),
                "The mean is that of the column: the answers of a group stand in a row.": (
                    (r - r.mean(0)) / r.std(0, correction=0)
                ),
            },
        )
    return "And where nothing can be learned, exactly nothing is."


def _process(r, ends, num_tokens: int, mistake: str = "") -> torch.Tensor:
    flat = r.mean(1, keepdim=True) if mistake == "own mean" else r.mean()
    deviation = r.std(1, correction=0, keepdim=True) if mistake == "own mean" else None
    normal = (r - flat) / (r.std(correction=0) if deviation is None else deviation)
    if mistake == "not normalised":
        normal = r
    t = torch.arange(num_tokens)[:, None]
    later = {"past": ends[:, None] <= t, "strict": ends[:, None] > t, "all": (t >= 0)[None]}
    counts = later.get(mistake, ends[:, None] >= t)
    return (normal[:, None] * counts).sum(-1)


def check_step_advantages(attempt) -> str:
    """step_advantages(step_rewards, step_ends, num_tokens): (G, K), (G, K) -> (G, T)."""
    rng = generator(2003)
    hand = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=F64), torch.tensor([[1, 3], [0, 3]])
    ends = torch.rand(5, 8, generator=rng).argsort(1)[:, :3].sort(1).values
    random = torch.randn(5, 3, generator=rng, dtype=F64), ends
    for words, (r, ends), T in (
        ("two answers of four tokens and two steps", hand, 4),
        ("five random answers of eight tokens and three steps", random, 8),
    ):
        real, tokens = torch.ones_like(ends).bool(), torch.ones(len(r), T).bool()
        expect_close(
            attempt(r, ends, T),
            process_advantages(r, ends, real, tokens),
            on=words,
            hint="Normalise over all steps of the group; each token gets the sum over the steps "
            "that end at it or after it.",
            mistakes={
                "Those are the steps that are over: a token is judged by what is still to come.": (
                    _process(r, ends, T, "past")
                ),
                "The last token of a step belongs to the step: the end counts, ends >= t.": (
                    _process(r, ends, T, "strict")
                ),
                "Every token gets the sum of the whole answer: that is an outcome.": (
                    _process(r, ends, T, "all").expand(len(r), T)
                ),
                "Each answer is normalised by itself; the steps of the whole group belong "
                "together.": _process(r, ends, T, "own mean"),
                "The step rewards are not normalised.": _process(r, ends, T, "not normalised"),
            },
        )
    return "A reward-to-go of normalised step rewards."


def check_mended_loss(attempt) -> str:
    """mended_loss(log_probs, old_log_probs, ref_log_probs, advantages, mask, beta): a number."""
    rng = generator(2004)
    lengths = torch.tensor([5, 2, 3, 1])[:, None]
    mask = torch.arange(5) < lengths
    rows = [
        torch.where(mask, x, 0.0) for x in torch.randn(4, 4, 5, generator=rng, dtype=F64).tanh()
    ]
    beta = 0.3
    config = Config(kl_coef=beta)
    for words, pad in (("four answers of 1 to 5 tokens", 0), ("the same with more padding", 4)):
        log_probs, old, ref, A = (torch.nn.functional.pad(x, (0, pad)) for x in rows)
        real = torch.nn.functional.pad(mask, (0, pad))
        log_probs = log_probs.clone().requires_grad_()
        loss = attempt(log_probs, old, ref, A, real, beta)
        want = grpo_loss(
            log_probs,
            old_log_probs=old,
            ref_log_probs=ref,
            advantages=A,
            completion_mask=real,
            config=config,
        )
        losses = -torch.minimum(
            (log_probs - old).exp() * A, (log_probs - old).exp().clamp(0.8, 1.2) * A
        ) + beta * ((ref - log_probs).exp() - (ref - log_probs) - 1)
        losses = torch.where(real, losses, 0.0)
        expect_close(
            loss,
            want.detach(),
            on=words,
            hint="The mean over answers of the mean over the answer's own tokens.",
            mistakes={
                "Each answer's sum is divided by the number of columns, padding included: then "
                "the longest answer of the batch changes the weight of all others. Divide by the "
                "answer's own length.": losses.mean(1).mean().detach(),
                "That is a mean over all tokens of the batch: long answers weigh more.": (
                    (losses.sum() / real.sum()).detach()
                ),
                "The sum over the tokens is not divided by anything.": (
                    losses.sum(1).mean().detach()
                ),
                "The answers are added up, not averaged.": (
                    (losses.sum(1) / real.sum(1)).sum().detach()
                ),
            },
        )
        moves = isinstance(loss, torch.Tensor) and loss.requires_grad
        expect_true(moves, on=words, what="the loss must have a gradient.",
                    hint="Detach neither log_probs nor the KL.")  # fmt: skip
        got, right = (torch.autograd.grad(x, log_probs)[0] for x in (loss, want))
        expect_close(got, right, on=f"{words}, the gradient",
                     hint="Is something detached that should not be?")  # fmt: skip
    return "Now an answer's weight no longer depends on its neighbours."


CHECKERS = {
    "20.2": check_group_advantages,
    "20.3": check_step_advantages,
    "20.4": check_mended_loss,
}
