"""Checkers of appendix F, what you need."""

import torch

from rlbook.book.exercises.expectations import WrongAnswer, expect_close
from rlbook.ground.seeding import generator

F64 = torch.float64


def _random(*shape: int, seed: int) -> torch.Tensor:
    return torch.rand(*shape, generator=generator(seed), dtype=F64)


def check_expectation(attempt) -> str:
    """expectation(values, probabilities)."""
    drawn = _random(6, seed=0)
    cases = [
        (torch.tensor([9.0, 0.0, -3.0], dtype=F64), torch.full((3,), 1 / 3, dtype=F64)),
        (torch.tensor([10.0, -2.0], dtype=F64), torch.tensor([0.25, 0.75], dtype=F64)),
        (_random(6, seed=1), drawn / drawn.sum()),
    ]
    for values, probabilities in cases:
        expect_close(
            attempt(values, probabilities),
            (probabilities * values).sum(),
            on=f"{len(values)} values",
            hint="Each value times its probability, all added up.",
            mistakes={
                "That is the plain mean: the probabilities are not used.": values.mean(),
                "Those are the products one by one; add them up.": probabilities * values,
                "That is the mean of the products; the probabilities have divided already.": (
                    probabilities * values
                ).mean(),
                "That is the likeliest value, not the average.": values[probabilities.argmax()],
            },
        )
    return "An expectation is a sum with weights, and the weights add up to 1."


def check_conditional_means(attempt) -> str:
    """conditional_means(joint, values)."""
    drawn = _random(3, 4, seed=2)
    cases = [
        (torch.tensor([[0.30, 0.10], [0.15, 0.45]], dtype=F64), torch.tensor([1.0, 0.0]).double()),
        (drawn / drawn.sum(), _random(4, seed=3)),
    ]
    for joint, values in cases:
        given = joint / joint.sum(1, keepdim=True)
        expect_close(
            attempt(joint, values),
            given @ values,
            on=f"a table of shape {tuple(joint.shape)}",
            hint="p(x | b) is joint[b, x] over the sum of row b; then average the values with it.",
            mistakes={
                "Divide by the probability of b: what is given has happened for sure.": joint
                @ values,
                "That divides by the columns' sums: it is given b, not given x.": (
                    joint / joint.sum(0)
                )
                @ values,
                "That is one number for all b, the expectation without a condition.": (
                    joint @ values
                ).sum(),
                "Those are the conditional probabilities; average the values with them.": given,
            },
        )
    return "Weigh them by p(b) and add them up, and you have the average of all."


def _hill(x: torch.Tensor) -> torch.Tensor:
    return 4 - x[0] ** 2 - 2 * x[1] ** 2


def _wave(x: torch.Tensor) -> torch.Tensor:
    return (x[0] * x[1]).sin() + x[2].exp()


def _gradient(f, x: torch.Tensor) -> torch.Tensor:
    leaf = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(leaf), leaf)
    return gradient


def check_measured_gradient(attempt) -> str:
    """measured_gradient(f, x)."""
    cases = [
        ("the hill 4 - x^2 - 2 y^2 at (1, 0.5)", _hill, torch.tensor([1.0, 0.5], dtype=F64)),
        ("sin(x y) + e^z", _wave, torch.tensor([0.3, -1.2, 0.7], dtype=F64)),
    ]
    for words, f, x in cases:
        right, h = _gradient(f, x), 1e-5
        moved = x + h * torch.eye(len(x), dtype=F64)
        forward = torch.stack([(f(place) - f(x)) / h for place in moved])
        expect_close(
            attempt(f, x),
            right,
            on=words,
            hint="For each entry: f a step forward, minus f a step back, over 2 h.",
            atol=1e-7,
            mistakes={
                "That divides by h; between the two places lie 2 h.": 2 * right,
                "That divides by 2 h, but goes to one side only.": forward / 2,
                "Those are differences in height; divide by the way between.": 2 * h * right,
                "The sign is turned round: forward minus back.": -right,
                "That moves all entries at once; a slope moves one.": right.sum().expand(len(x)),
                "That goes to one side only, and is a little off: its error is of the size of h, "
                "with both sides it is of the size of h * h.": forward,
            },
        )
    return "With this function you can check every gradient of the book."


def check_walkers(attempt) -> str:
    """walkers(p, P, steps)."""
    drawn = _random(4, 4, seed=4)
    coin = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]], dtype=F64)
    others = drawn / drawn.sum(1, keepdim=True), torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=F64)
    start = torch.tensor([1.0, 0.0, 0.0], dtype=F64)
    for matrix, p, steps in [(coin, start, 3), (coin, start, 0), (*others, 1), (*others, 5)]:
        power = torch.linalg.matrix_power(matrix, steps)
        if steps == 0:
            on, stay = "steps = 0", {"With no step nobody has moved.": p @ matrix}
            expect_close(attempt(p, matrix, 0), p, on=on, mistakes=stay)
            continue
        fewer = torch.linalg.matrix_power(matrix, steps - 1)
        expect_close(
            attempt(p, matrix, steps),
            p @ power,
            on=f"{len(p)} cells and steps = {steps}",
            hint="One step is p @ P; repeat it.",
            mistakes={
                "That is P @ p, which pulls values back. Walkers stand on the left: p @ P.": power
                @ p,
                "That is one step, however many are asked.": p @ matrix,
                "That is one step too many.": p @ power @ matrix,
                "That is one step too few.": p @ fewer,
                "P ** steps takes powers entry by entry; multiply matrices with @.": p
                @ matrix**steps,
            },
        )
    return "You have pushed a distribution forward; Chapter 2 does it on the ice."


def check_chosen(attempt) -> str:
    """chosen(q, actions)."""
    cases = [
        (torch.tensor([[1.0, 2.0], [5.0, 4.0], [0.0, 7.0]]), torch.tensor([1, 1, 0])),
        (torch.randn(5, 3, generator=generator(5)), torch.tensor([2, 0, 1, 0, 2])),
    ]
    for q, actions in cases:
        expect_close(
            attempt(q, actions),
            torch.stack([row[a] for row, a in zip(q, actions.tolist(), strict=True)]),
            on=f"q of shape {tuple(q.shape)} and the actions {actions.tolist()}",
            hint="Two lists of indices: the rows, and for each row its column.",
            mistakes={
                "That takes all these columns from every row: name the rows, too, with "
                "torch.arange.": q[:, actions],
                "That is each row's largest value, not the chosen one.": q.amax(1),
                "That has a side of length 1 left over: squeeze it away.": q.gather(
                    1, actions[:, None]
                ),
            },
        )
    return "Every learner of the book looks up its table in this way."


def check_climb(attempt) -> str:
    """climb(f, x, alpha, steps)."""
    cases = [
        ("the hill 4 - x^2 - 2 y^2", _hill, torch.tensor([1.0, 0.5], dtype=F64), 0.1, 3),
        ("the hill 4 - x^2 - 2 y^2", _hill, torch.tensor([1.0, 0.5], dtype=F64), 0.05, 1),
        ("sin(x y) + e^z", _wave, torch.tensor([0.3, -1.2, 0.7], dtype=F64), 0.2, 4),
    ]
    for words, f, x, alpha, steps in cases:
        result = attempt(f, x, alpha, steps)
        if isinstance(result, torch.Tensor):
            result = result.detach()
        expect_close(
            result,
            _climb(f, x, alpha, steps),
            on=f"{words}, alpha = {alpha:g}, steps = {steps}",
            hint="In each step: the gradient at the place where you are, times alpha, added.",
            mistakes={
                "That goes downhill: add alpha times the gradient.": _climb(f, x, -alpha, steps),
                "The gradients of the steps have added up: begin each step with a fresh tensor, or "
                "put its grad to None.": _climb(f, x, alpha, steps, adds=True),
                "That is one step, however many are asked.": _climb(f, x, alpha, 1),
                "That is one step too many.": _climb(f, x, alpha, steps + 1),
                "That is one step too few.": _climb(f, x, alpha, steps - 1),
                "The size of the steps is not used.": _climb(f, x, 1.0, steps),
                "That is the gradient, not the place where the walk ends.": _gradient(f, x),
            },
        )
        if x.requires_grad:
            raise WrongAnswer("It made `x` itself require gradients: work on a copy.")
    return "This loop, with a network in place of the hill, is how Part III learns."


def _climb(f, x, alpha: float, steps: int, *, adds: bool = False) -> torch.Tensor:
    total = torch.zeros_like(x)
    for _ in range(steps):
        total = _gradient(f, x) + (total if adds else 0)
        x = x + alpha * total
    return x


CHECKERS = {
    "F.1": check_expectation,
    "F.2": check_conditional_means,
    "F.3": check_measured_gradient,
    "F.4": check_walkers,
    "F.5": check_chosen,
    "F.6": check_climb,
}
