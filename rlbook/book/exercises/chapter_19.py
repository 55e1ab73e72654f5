"""Checkers of chapter 19, RLHF with PPO."""

import torch

from rlbook.book.exercises.expectations import (
    NotAttempted,
    WrongAnswer,
    expect_close,
    expect_shape,
    expect_true,
)
from rlbook.formulas.divergences import kl_regularized_optimum
from rlbook.formulas.preferences import preference_probability
from rlbook.ground.seeding import generator
from rlbook.language.solvable.model import AnswerTree, SolvableLM, exact_kl

F64 = torch.float64


def _rewards(scores, log_probs, ref_log_probs, mask, beta, mistake: str = "") -> torch.Tensor:
    """Eq. (19.4), or one of its usual mistakes."""
    price = -beta * (log_probs - ref_log_probs).detach()
    if mistake == "sign":
        price = -price
    kept = price if mistake == "padding" else torch.where(mask, price, 0.0)
    rows, ends = torch.arange(len(scores)), mask.sum(1) - 1
    if mistake == "last column":
        ends = torch.full_like(ends, mask.shape[1] - 1)
    given = torch.zeros_like(kept)
    given[rows, ends] = scores
    if mistake == "everywhere":
        given = torch.where(mask, scores.unsqueeze(1), 0.0)
    if mistake == "mean":
        kept = kept / mask.sum(1, keepdim=True)
    return kept + given


MISTAKES = {
    "sign": "The price has the wrong sign: a token that the policy likes more than the reference "
    "does must cost something.",
    "last column": "The score must arrive with the last real token of each answer, not in the "
    "last column of the batch.",
    "padding": "The padding must have reward 0: there, log-probabilities mean nothing.",
    "everywhere": "The score is given once, with the last token, not with every token.",
    "mean": "The price is a sum over tokens, not a mean: it is not divided by the length.",
}


def check_rewards_of_tokens(attempt) -> str:
    """rewards_of_tokens(scores, log_probs, ref_log_probs, completion_mask, beta): (B, T)."""
    rng = generator(1902)
    equal = torch.ones(3, 4, dtype=torch.bool)
    lengths = torch.tensor([4, 2, 1, 3, 4])
    for words, mask, beta in (
        ("three answers of four tokens", equal, 0.5),
        ("five answers of different lengths", torch.arange(4) < lengths[:, None], 0.5),
        ("the same answers without a price", torch.arange(4) < lengths[:, None], 0.0),
    ):
        B = len(mask)
        scores = torch.randn(B, generator=rng, dtype=F64)
        log_probs, refs = -torch.rand(2, B, 4, generator=rng, dtype=F64)
        log_probs.requires_grad_()
        arguments = (scores, log_probs.detach(), refs, mask, beta)
        got = attempt(scores, log_probs, refs, mask, beta)
        expect_close(
            got,
            _rewards(*arguments),
            on=words,
            hint="-beta (log pi - log pi_ref) on the tokens of the answer, plus the score on the "
            "last of them.",
            mistakes={why: _rewards(*arguments, mistake=m) for m, why in MISTAKES.items()},
        )
        expect_true(
            not got.requires_grad,
            on=words,
            what="a gradient flows through the rewards.",
            hint="A reward is a number: use .detach(). Otherwise the advantages, and with them "
            "the loss, pull the policy in directions that are not those of Eq. (19.11).",
        )
    return "Price on the way, score at the end, nothing on the padding, and no gradient."


def _objective(log_pi, ref_log_probs, rewards, beta) -> torch.Tensor:
    return (log_pi.exp() * rewards).sum(-1) - beta * exact_kl(log_pi, ref_log_probs)


def check_train_dpo(attempt) -> str:
    """train_dpo(model, ref_log_probs, prefers, beta) changes the model in place."""
    rng = generator(1903)
    tree = AnswerTree(("yes", "no", "stop"), max_length=3)
    for words, beta in (("a small model, beta 0.5", 0.5), ("a small model, beta 2", 2.0)):
        model = SolvableLM(tree, num_prompts=2)
        model.logits.data += torch.randn(model.logits.shape, generator=rng, dtype=F64) / 2
        ref = model.answer_log_probs().detach()[0]
        rewards = torch.randn(ref.shape, generator=rng, dtype=F64)
        prefers = preference_probability(
            *torch.broadcast_tensors(rewards.unsqueeze(2), rewards.unsqueeze(1))
        )
        attempt.in_place(model, ref.clone(), prefers.clone(), beta)
        found = model.answer_log_probs().detach()[0]
        if torch.equal(found, ref):
            if attempt.last_result is None or attempt.last_result is ...:
                raise NotAttempted
            raise WrongAnswer(f"On {words}: the model has not changed. Train it in place.")
        if not found.isfinite().all():
            raise WrongAnswer(f"On {words}: the model's log-probabilities are not finite.")
        best, value = kl_regularized_optimum(ref, rewards, kl_coef=beta)
        gap = (value - _objective(found, ref, rewards, beta)).max()
        if gap >= 1e-4:
            why = _explain_dpo(found, ref, rewards, beta)
            raise WrongAnswer(f"On {words}: the objective is {gap:.2g} short of the optimum. {why}")
    return "The optimum of RLHF, without a reward, a critic or a sample."


def _explain_dpo(found, ref, rewards, beta) -> str:
    """The optimum of a usual mistake that `found` is nearest to, if it is near."""
    candidates = {
        "It is where the other answer is preferred: is the sign of the margin, or of the loss, "
        "turned round?": ref - rewards / beta,
        "The reference is missing from the margin.": rewards / beta,
        "beta is missing from the margin: this is the optimum for beta = 1.": ref + rewards,
        "beta divides the margin; it multiplies it.": ref + rewards * beta,
    }
    gained, better = found - ref, rewards - rewards.mean(-1, keepdim=True)
    if ((gained * better).sum(-1) < 0).all():
        return next(iter(candidates))
    for why, logits in candidates.items():
        if exact_kl(found, logits.log_softmax(-1)).max() < 1e-2:
            return why
    return "Is the optimiser given enough steps? Then compare the margin with Eq. (19.21)."


def _kl_at(ref_log_probs, rewards, beta, of=torch.mean) -> torch.Tensor:
    log_pi = (ref_log_probs + rewards / beta).log_softmax(-1)
    return of(exact_kl(log_pi, ref_log_probs))


def _bisect(function, target) -> float:
    low, high = 1e-4, 1e4
    for _ in range(100):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if function(middle) > target else (low, middle)
    return (low * high) ** 0.5


def check_price_for(attempt) -> str:
    """price_for(ref_log_probs, rewards, target): beta."""
    rng = generator(1904)
    logits, rewards = torch.randn(2, 3, 8, generator=rng, dtype=F64)
    ref = logits.log_softmax(-1)
    for words, R, target in (
        ("three prompts with eight answers, 0.3 nats", rewards, 0.3),
        ("the same, 0.01 nats", rewards, 0.01),
        ("rewards a hundred times as large, 0.3 nats", 100 * rewards, 0.3),
    ):
        expected = _bisect(lambda b, R=R: _kl_at(ref, R, b), target)
        total = _bisect(lambda b, R=R: _kl_at(ref, R, b, torch.sum), target)
        swapped = _bisect(lambda b, R=R: _swapped_kl(ref, R, b), target)
        got = attempt(ref, R, target)
        expect_shape(got, (), on=words)
        expect_close(
            torch.as_tensor(float(got), dtype=F64),
            torch.as_tensor(expected, dtype=F64),
            on=words,
            rtol=1e-6,
            hint="The KL of the optimum at your price is "
            f"{float(_kl_at(ref, R, max(float(got), 1e-6))):.4g}.",
            mistakes={
                "That is 1 / beta.": torch.as_tensor(1 / expected, dtype=F64),
                "That is for the sum of the KLs over the prompts, not their mean.": (
                    torch.as_tensor(total, dtype=F64)
                ),
                "That is for KL(reference || policy): the policy comes first.": (
                    torch.as_tensor(swapped, dtype=F64)
                ),
            },
        )
    return "One price for each KL: the slope of the frontier at this place."


def _swapped_kl(ref_log_probs, rewards, beta) -> torch.Tensor:
    log_pi = (ref_log_probs + rewards / beta).log_softmax(-1)
    return (ref_log_probs.exp() * (ref_log_probs - log_pi)).sum(-1).mean()


CHECKERS = {
    "19.2": check_rewards_of_tokens,
    "19.3": check_train_dpo,
    "19.4": check_price_for,
}
