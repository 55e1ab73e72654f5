"""Checkers of chapter 15, TRPO."""

import math

import torch

from rlbook.book.exercises.expectations import expect_close, expect_true
from rlbook.ground.seeding import generator

F64 = torch.float64


def check_guaranteed_gain(attempt) -> str:
    """guaranteed_gain(old, new, advantages, visits, discount): the right side of (15.11) - J."""
    rng = generator(1503)
    for words, scale, discount in (
        ("two policies that are close", 0.1, 0.9),
        ("two policies that are far apart", 2.0, 0.9),
        ("a short horizon, discount 0.5", 0.5, 0.5),
    ):
        logits, change = torch.randn(2, 6, 3, generator=rng, dtype=F64)
        old, new = logits.softmax(-1), (logits + scale * change).softmax(-1)
        q = torch.randn(6, 3, generator=rng, dtype=F64)
        advantages = q - (old * q).sum(-1, keepdim=True)
        visits = torch.rand(6, generator=rng, dtype=F64)
        visits = visits / visits.sum()
        inputs = (old, new, advantages, visits, discount)
        expect_close(
            attempt(*(x.clone() if torch.is_tensor(x) else x for x in inputs)),
            _gain(*inputs),
            on=words,
            hint="L - J is the first part, with 1 / (1 - discount); the second is subtracted.",
            mistakes={why: _gain(*inputs, slip) for why, slip in GAIN_SLIPS.items()},
        )
    same = attempt(old.clone(), old.clone(), advantages, visits, 0.9)
    expect_true(
        abs(float(same)) < 1e-8,
        on="the same policy twice",
        what=f"nothing moves, so the guaranteed gain is 0; yours is {float(same):.6g}.",
    )
    return "Try it with the two policies of the ledge: the guarantee is far below zero."


def _gain(old, new, advantages, visits, discount, slip: str = "") -> torch.Tensor:
    averaging = old if slip == "old gain" else new
    gain = (averaging * advantages).sum(-1)
    kl = (old * (old / new).log()).sum(-1)
    if slip == "reversed":
        kl = (new * (new / old).log()).sum(-1)
    mean_kl = {"max": kl.max(), "unweighted": kl.mean()}.get(slip, visits @ kl)
    largest = advantages.abs().max() if slip == "epsilon" else gain.abs().max()
    if slip == "no absolute value":
        largest = gain.max()
    root = (
        mean_kl / 2 if slip == "no root" else torch.sqrt(mean_kl if slip == "half" else mean_kl / 2)
    )
    first = visits @ gain / (1 if slip == "lost 1 - gamma" else 1 - discount)
    second = 2 * discount / (1 - discount) ** (1 if slip == "power" else 2) * largest * root
    return first + second if slip == "sign" else first - second


GAIN_SLIPS = {
    "The KL has its arguments exchanged: it averages log(old / new) over the OLD policy.": (
        "reversed"
    ),
    "The square root of the mean KL / 2 is missing.": "no root",
    "The factor 1/2 under the root is missing (Pinsker).": "half",
    "That is the largest KL; this bound has the average over the visits.": "max",
    "The average over states needs the weights `visits`.": "unweighted",
    "The first factor is the largest |sum_a new A| over states, not the largest |A|.": "epsilon",
    "The largest ABSOLUTE value of the expected advantage is wanted.": "no absolute value",
    "The expected advantage is an average over the NEW policy; over the old one it is 0.": (
        "old gain"
    ),
    "The surrogate's gain has a factor 1 / (1 - discount).": "lost 1 - gamma",
    "The penalty has (1 - discount) squared: one for the visits, one for the sum.": "power",
    "A lower bound: the penalty is subtracted.": "sign",
}


def check_conjugate_gradient(attempt) -> str:
    """solve(matvec, b, iterations): conjugate gradients from x = 0, a finished one stays put."""
    rng = generator(1504)
    half = torch.randn(5, 5, generator=rng, dtype=F64)
    matrix = half @ half.T + torch.eye(5, dtype=F64)
    b = torch.randn(5, generator=rng, dtype=F64)
    for iterations in (1, 2, 3, 5):
        expect_close(
            attempt(lambda v: matrix @ v, b.clone(), iterations),
            _conjugate(matrix, b, iterations),
            on=f"a random 5 x 5 matrix, {iterations} iteration{'s' if iterations > 1 else ''}",
            hint="Follow Eq. (15.19) line by line; alpha and beta use the OLD r . r.",
            mistakes={
                why: _conjugate(matrix, b, iterations, slip) for why, slip in CG_SLIPS.items()
            },
        )
    for words, H, rhs in (
        ("b = 0, from the first step on", matrix, torch.zeros(5, dtype=F64)),
        ("2 I, solved after one step, and nine steps more", 2 * torch.eye(5, dtype=F64), b),
    ):
        got = attempt(lambda v, H=H: H @ v, rhs.clone(), 10)
        expect_true(
            torch.as_tensor(got).isfinite(),
            on=words,
            what="the result has NaN.",
            hint="Nothing is left to do, r . r = 0, and 0 / 0 is NaN: stop before dividing.",
        )
        expect_close(got, torch.linalg.solve(H, rhs), on=words)
    return "Ten lines, and no matrix anywhere: only products."


def _conjugate(matrix, b, iterations: int, slip: str = "") -> torch.Tensor:
    x, r, d = torch.zeros_like(b), b, b
    for _ in range(iterations):
        rr, product = r @ r, matrix @ d
        if rr == 0:
            break
        alpha = (d @ d if slip == "alpha" else rr) / (d @ product)
        x = x + alpha * d
        r = r + alpha * product if slip == "residual" else r - alpha * product
        beta = {"steepest": 0.0, "upside down": rr / (r @ r), "one": 1.0}.get(slip, (r @ r) / rr)
        d = d * beta - r if slip == "minus" else r + beta * d
    return x


CG_SLIPS = {
    "Without the term beta d this is steepest descent: the directions are not conjugate.": (
        "steepest"
    ),
    "beta is upside down: the NEW r . r over the old one.": "upside down",
    "beta is missing before the old direction.": "one",
    "The residual gets smaller: r - alpha H d.": "residual",
    "alpha has r . r in the numerator, not d . d.": "alpha",
    "The new direction is r plus beta d.": "minus",
}


def check_line_search(attempt) -> str:
    """line_search(evaluate, theta, step, start_value, max_kl): each run's fraction, (R,)."""
    peaks = torch.tensor([2.0, 0.3, 0.1, -1.0, 9.0, math.nan], dtype=F64)
    start = torch.zeros(6, 1, dtype=F64)

    def evaluate(x):
        return 1 - (x[:, 0] - peaks) ** 2, x[:, 0] ** 2 / 2

    value = 1 - peaks**2
    step = torch.tensor([1.0, 1.0, 1.0, 1.0, 3.0, 1.0], dtype=F64)[:, None]
    arguments = (evaluate, start, step, value, 0.2)
    expect_close(
        attempt(*arguments),
        _fractions(*arguments),
        on="six runs with peaks at 2, 0.3, 0.1, -1, 9 and NaN, steps of 1 and 3, radius 0.2",
        hint="For each run the first of 1, 1/2, 1/4, ... (ten tries); 0 if none is good.",
        mistakes={why: _fractions(*arguments, slip) for why, slip in SEARCH_SLIPS.items()},
    )
    return "A NaN is never larger than anything, so a broken run stays where it is."


def _fractions(evaluate, theta, step, start_value, max_kl, slip: str = "") -> torch.Tensor:
    found = torch.zeros_like(start_value)
    for j in range(1 if slip == "one try" else 10):
        fraction = torch.full_like(start_value, 0.5**j)
        value, kl = evaluate(theta + fraction[:, None] * step)
        better, near = value > start_value, kl <= max_kl
        good = {"no value": near, "no kl": better, "or": better | near}.get(slip, better & near)
        if slip == "together":
            good = good.all().expand_as(good)
        if slip == "mean kl":
            good = better & (kl.mean() <= max_kl)
        found = torch.where(good if slip == "last" else good & (found == 0), fraction, found)
        if slip == "any" and good.any():
            break
    return torch.where(found == 0, 1.0, found) if slip == "full" else found


SEARCH_SLIPS = {
    "One decision for all runs: a run must not wait for the others.": "together",
    "The search stops for all runs when the first has found its step.": "any",
    "The mean KL over the RUNS decides; each run has its own.": "mean kl",
    "The surrogate must have risen, too.": "no value",
    "The KL must be within the radius, too.": "no kl",
    "Both conditions must hold, not one of them.": "or",
    "The FIRST good fraction counts; later ones are shorter.": "last",
    "Only the full step was tried.": "one try",
    "Where nothing is good, the run stays: fraction 0, not 1.": "full",
}


CHECKERS = {
    "15.3": check_guaranteed_gain,
    "15.4": check_conjugate_gradient,
    "15.5": check_line_search,
}
