"""Checkers of appendix A, the proof of the policy gradient theorem."""

import torch

from rlbook.book.exercises.expectations import WrongAnswer, expect_close, expect_true
from rlbook.ground.seeding import generator

F64 = torch.float64


def _random_chain(rng, states: int) -> torch.Tensor:
    weights = torch.empty(states, states, dtype=F64).exponential_(generator=rng)
    return weights / weights.sum(1, keepdim=True)


def _unrolled(phi, P_pi, last, gamma, terms, remainders, *, factor=1.0, weight=1.0):
    """`terms` terms of Eq. (A.10) and a remainder after `remainders` steps, or a mistake."""
    total, term = torch.zeros_like(phi), phi
    for _ in range(terms):
        total, term = total + term, factor * gamma * P_pi @ term
    for _ in range(remainders):
        last = factor * gamma * P_pi @ last
    return total + weight * last


def check_unrolled(attempt) -> str:
    """unrolled(phi, P_pi, grad_V, gamma, m): (S, K)."""
    rng = generator(6502)
    for states, gamma, m in ((4, 0.8, 5), (3, 0.9, 1), (4, 0.8, 0), (2, 0.5, 2)):
        P_pi = _random_chain(rng, states)
        phi, wrong = torch.randn(2, states, 2, generator=rng, dtype=F64)
        eye = torch.eye(states, dtype=F64)
        true = torch.linalg.solve(eye - gamma * P_pi, phi)
        for words, last in (("the true grad_V", true), ("a wrong grad_V", wrong)):
            case = (phi, P_pi, last, gamma)
            power = torch.linalg.matrix_power(P_pi, m)
            expect_close(
                attempt(phi, P_pi, last, gamma, m),
                _unrolled(*case, m, m),
                on=f"a random chain of {states} states, gamma {gamma}, m = {m}, and {words}",
                hint="m terms gamma^k P_pi^k phi, k = 0 to m - 1, and gamma^m P_pi^m grad_V.",
                mistakes={
                    "The discount is squared in every step: it stands in line 4 once.": (
                        _unrolled(*case, m, m, factor=gamma)
                    ),
                    "The remainder is missing: Eq. (A.10) is exact for every m because of it.": (
                        _unrolled(*case, m, m, weight=0.0)
                    ),
                    "The remainder lost its gamma^m.": (_unrolled(*case, m, m, weight=gamma**-m)),
                    "The remainder lost its P_pi^m: after m steps one is in another state.": (
                        _unrolled(*case, m, 0, weight=gamma**m)
                    ),
                    "One term too many: with m terms the sum ends at k = m - 1.": (
                        _unrolled(*case, m + 1, m)
                    ),
                    "The sum begins at k = 0, with phi itself; yours begins at k = 1.": (
                        _unrolled(gamma * P_pi @ phi, *case[1:], m, m)
                    ),
                    "There are m terms but m + 1 steps in the remainder.": (
                        _unrolled(*case, m, m + 1)
                    ),
                    "That is m + 1 steps, in the sum and in the remainder.": (
                        _unrolled(*case, m + 1, m + 1)
                    ),
                    "P_pi is transposed: p(s -> x, 1) is row s, column x.": (
                        _unrolled(phi, P_pi.T, last, gamma, m, m)
                    ),
                    "The discount is missing.": _unrolled(phi, P_pi, last, 1.0, m, m),
                    "The terms of the sum have no discount.": (
                        _unrolled(phi, P_pi, last, 1.0, m, m, weight=0.0) + gamma**m * power @ last
                    ),
                },
            )
    return "With the true gradient, every m gives the same: nothing is approximated."


def _constant(P_pi, start, terminal, mistake: str = ""):
    """The length and mu, or what a usual mistake makes of them."""
    live = ~terminal
    chain = P_pi[live][:, live]
    eye = torch.eye(len(chain), dtype=F64)
    system = eye - (chain if mistake == "transposed" else chain.T)
    visits = torch.linalg.solve(system, start[live])
    mu, length = torch.zeros_like(start), visits.sum()
    mu[live] = visits
    return length, mu if mistake == "visits" else mu / length


def check_hidden_constant(attempt) -> str:
    """hidden_constant(P_pi, start, terminal): the pair (length, mu)."""
    rng = generator(6503)
    for words, states, ends in (
        ("a random chain of 4 states, the last one terminal", 4, [3]),
        ("a random chain of 5 states, 0 and 4 terminal", 5, [0, 4]),
    ):
        P_pi, terminal = _random_chain(rng, states), torch.zeros(states, dtype=torch.bool)
        terminal[ends] = True
        P_pi[terminal] = torch.eye(states, dtype=F64)[terminal]
        start = torch.rand(states, generator=rng, dtype=F64).masked_fill(terminal, 0.0)
        case = (P_pi, start / start.sum(), terminal)
        answer = attempt(*case)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise WrongAnswer(f"On {words}: return the pair length, mu.")
        length, mu = _constant(*case)
        swapped = _constant(*case, mistake="transposed")
        stretched = 1 / torch.linalg.solve(torch.eye(states, dtype=F64) - 0.5 * P_pi, case[1]).sum()
        expect_close(
            answer[0],
            length,
            on=f"{words}, the length",
            hint="The sum of the visits of the states that are not terminal, Eq. (A.18).",
            mistakes={
                "P_pi is transposed: a state is entered from those in its column.": swapped[0],
                "The terminal state was counted as a step.": length + 1,
                "That is one step too few: a state counts when an action is taken in it, the "
                "start as well.": length - 1,
                "That is 1 / length.": 1 / length,
                "There is no discount here.": stretched,
            },
        )
        expect_close(
            answer[1],
            mu,
            on=f"{words}, mu",
            hint="The visits divided by their sum, and zero in terminal states.",
            mistakes={
                "Those are the visits: divide by their sum.": _constant(*case, "visits")[1],
                "P_pi is transposed.": swapped[1],
                "That is the start distribution: later states count, too.": case[1],
                "All states weigh the same: mu counts the steps spent in each.": (
                    (~terminal).double() / (~terminal).sum()
                ),
                "Only the states that are not terminal are returned: put them into (S,), with "
                "zeros for the others.": mu[~terminal],
            },
        )
    return "This is the number that `proportional to` hides, and it moves with the policy."


def _average_reward_gradient(P, r, logits, mistake: str = ""):
    pi = logits.softmax(-1)
    P_pi, r_pi = torch.einsum("sa,sat->st", pi, P), (pi * r).sum(-1)
    eye, ones = torch.eye(len(r_pi), dtype=F64), torch.ones_like(r_pi)
    mu = torch.linalg.solve(eye - P_pi.T + torch.outer(ones, ones), ones)
    if mistake == "uniform":
        mu = ones / len(ones)
    mean = mu @ r_pi
    h = torch.linalg.solve(eye - P_pi + torch.outer(ones, mu), r_pi - mean)
    q = r - mean + P @ h
    if mistake == "discounted":
        h = torch.linalg.solve(eye - 0.9 * P_pi, r_pi)
        q = r + 0.9 * P @ h
    if mistake == "reward":
        q, h = r, r_pi
    gradient = mu[:, None] * pi * (q - h[:, None])
    if mistake == "no mu":
        return pi * (q - h[:, None])
    if mistake == "q":
        gradient = mu[:, None] * pi * q
    return gradient / pi if mistake == "no pi" else gradient


def check_average_reward_gradient(attempt) -> str:
    """average_reward_gradient(P, r, logits): (S, A)."""
    rng = generator(6505)
    for states, actions in ((2, 2), (4, 3)):
        P = torch.empty(states, actions, states, dtype=F64).exponential_(generator=rng)
        P = P / P.sum(-1, keepdim=True)
        r, logits = torch.randn(2, states, actions, generator=rng, dtype=F64)
        case, wrong = (P, r, logits), _average_reward_gradient
        answer = attempt(*case)
        words = f"a random world, {states} states, {actions} actions"
        expect_close(
            answer,
            wrong(*case),
            on=words,
            hint="mu(s) pi(a|s) (q(s,a) - h(s)), with the stationary mu.",
            mistakes={
                "h(s) is not subtracted: for a softmax the weight is q - h.": wrong(*case, "q"),
                "Only the reward of the moment counts here; q contains P h, what follows.": (
                    wrong(*case, "reward")
                ),
                "States are weighted equally: the weight is the stationary mu, P_pi^T mu = mu. "
                "(With P_pi in the place of P_pi^T the solution is uniform.)": (
                    wrong(*case, "uniform")
                ),
                "Discounted values (0.9) are used; here there is no discount.": (
                    wrong(*case, "discounted")
                ),
                "The weight mu(s) is missing: a state counts as often as it is visited.": (
                    wrong(*case, "no mu")
                ),
                "The probability pi(a|s) is missing.": wrong(*case, "no pi"),
                "The sign is wrong: that goes downhill.": -wrong(*case),
            },
        )
        expect_true(
            torch.as_tensor(answer).sum(-1).abs() < 1e-8,
            on=words,
            what="each row must sum to zero: equal logits added to a state change nothing.",
        )
    return "No discount, no end, and no constant: what is followed is the gradient."


CHECKERS = {
    "A.2": check_unrolled,
    "A.3": check_hidden_constant,
    "A.5": check_average_reward_gradient,
}
