"""Checkers of chapter 11, policy gradient."""

import torch

from rlbook.book.exercises.expectations import expect_close, expect_shape, expect_true
from rlbook.ground.seeding import generator
from rlbook.planning.exact_gradients import softmax_policy_gradient
from rlbook.planning.mdp import MDP

F64 = torch.float64
EPISODES = (  # states, the terminal one last: a plain path, one with returns, one of one step
    ("an episode that visits no state twice", [0, 1, 2, 3, 5]),
    ("an episode that returns to a state", [2, 1, 2, 2, 3, 1, 5]),
    ("an episode of one step", [4, 5]),
)


def _semi_gradient(w, X, steps, alpha, gamma, *, mask=True, full=False, fixed=False, sign=1.0):
    old = w
    for s, r, s_next, ended in zip(*steps, strict=True):
        read = old if fixed else w
        ahead = 0.0 if ended and mask else X[s_next] @ read
        delta = r + gamma * ahead - X[s] @ read
        gradient = X[s]
        if full:
            gradient = X[s] - (0.0 if ended else gamma * X[s_next])
        w = w + sign * alpha * delta * gradient
    return w


def check_semi_gradient_episode(attempt) -> str:
    """semi_gradient_episode(w, X, states, rewards, next_states, terminated, alpha, gamma)."""
    rng, alpha, gamma = generator(1102), 0.3, 0.8
    for words, path in EPISODES:
        X, w = torch.randn(6, 3, generator=rng, dtype=F64), torch.randn(3, generator=rng, dtype=F64)
        rewards = torch.randn(len(path) - 1, generator=rng, dtype=F64).tolist()
        steps = (path[:-1], rewards, path[1:], [s == 5 for s in path[1:]])
        case = (w, X, steps)
        expect_close(
            attempt(w, X, *steps, alpha, gamma),
            _semi_gradient(*case, alpha, gamma),
            on=f"{words}, 3 features, alpha 0.3, gamma 0.8",
            hint="In each step: w + alpha delta x(s), with the weights of that moment.",
            mistakes={
                "It used the features of the terminal state: where an episode ends, the target "
                "is the reward alone.": _semi_gradient(*case, alpha, gamma, mask=False),
                "The target was differentiated as well: that is the gradient of the squared TD "
                "error, not semi-gradient TD.": _semi_gradient(*case, alpha, gamma, full=True),
                "That is what comes out without the discount.": _semi_gradient(*case, alpha, 1.0),
                "All errors were computed from the weights before the episode; TD(0) uses those "
                "of the moment.": _semi_gradient(*case, alpha, gamma, fixed=True),
                "The sign is wrong: the values moved away from their targets.": _semi_gradient(
                    *case, alpha, gamma, sign=-1.0
                ),
                "The step size is not used.": _semi_gradient(*case, 1.0, gamma),
                "w did not change.": w,
            },
        )
    return "With one feature a state, this is TD(0) in a table."


def check_softmax_score(attempt) -> str:
    """softmax_score(theta, X, a) -> (F,), the gradient of log pi(a)."""
    rng = generator(1103)
    for scale, words in ((1.0, "random features"), (400.0, "features so large that exp overflows")):
        theta = torch.randn(5, generator=rng, dtype=F64)
        X = scale * torch.randn(4, 5, generator=rng, dtype=F64)
        pi = (X @ theta).softmax(-1)
        for a in range(4):
            score = X[a] - pi @ X
            expect_close(
                attempt(theta, X, a),
                score,
                on=f"{words}, 4 actions, action {a}",
                hint="The score is x(a) minus the mean of x under the policy.",
                mistakes={
                    "That is the gradient of pi(a), not of log pi(a): divide by pi(a).": pi[a]
                    * score,
                    "The mean of the features under the policy is missing: log pi is the logit "
                    "minus the log of the sum.": X[a],
                    "The mean of the features must be taken with the probabilities of the "
                    "policy, not with equal weights.": X[a] - X.mean(0),
                    "The sign is wrong: that makes the action less likely.": -score,
                    "That is the derivative with respect to the logits; theta is behind them: "
                    "multiply by the features.": torch.eye(4, dtype=F64)[a] - pi,
                },
            )
    return "The features of what you did, minus those of what you usually do."


def _gradient(P, r, start, gamma, logits, *, visits="discounted", scale=1.0, use="advantage"):
    """Eq. (11.20), or one of its wrong versions."""
    pi = logits.softmax(-1)
    P_pi = torch.einsum("sa,sat->st", pi, P)
    eye = torch.eye(len(r), dtype=r.dtype)
    V = torch.linalg.solve(eye - gamma * P_pi, (pi * r).sum(1))
    Q = r + gamma * P @ V
    if visits == "discounted":
        eta = torch.linalg.solve(eye - gamma * P_pi.T, start)
    elif visits == "transposed":
        eta = torch.linalg.solve(eye - gamma * P_pi, start)
    elif visits == "start":
        eta = start
    else:  # the stationary distribution, over 1 - gamma
        ones = torch.ones_like(P_pi)
        eta = torch.linalg.solve(eye - P_pi.T + ones, ones[0]) / (1 - gamma)
    weight = {"advantage": Q - V[:, None], "q": Q, "reward": r - (pi * r).sum(1, keepdim=True)}
    return scale * eta[:, None] * pi * weight[use]


def check_policy_gradient(attempt) -> str:
    """policy_gradient(P, r, start, gamma, logits) -> (S, A)."""
    rng = generator(1104)
    for states, actions, gamma in ((2, 2, 0.5), (5, 3, 0.9), (4, 2, 0.0)):
        mdp = MDP.random(states, actions, discount=gamma, generator=rng)
        start = torch.rand(states, generator=rng, dtype=F64)
        start /= start.sum()
        mdp = MDP.from_arrays(mdp.transition, mdp.reward, discount=gamma, start=start)
        logits = torch.randn(states, actions, generator=rng, dtype=F64)
        case = (mdp.transition, mdp.reward, start, gamma, logits)
        expected = softmax_policy_gradient(mdp, logits)
        policy = logits.softmax(-1)
        expect_close(
            attempt(*case),
            expected,
            on=f"a random model, {states} states, {actions} actions, gamma {gamma}",
            hint="eta(s) pi(a|s) (Q(s,a) - V(s)); the visits solve eta = start + gamma P_pi^T eta.",
            mistakes={
                "The factor 1 / (1 - gamma) is missing: the visits are normalised.": (1 - gamma)
                * expected,
                "The visits solve a system with the transpose of P_pi: probability flows from s "
                "to s'.": _gradient(*case, visits="transposed"),
                "States are weighted by the stationary distribution, without the discount.": (
                    _gradient(*case, visits="stationary")
                ),
                "States are weighted by the start distribution only; later ones count, too.": (
                    _gradient(*case, visits="start")
                ),
                "Q stands where the advantage Q - V should: the logits of the other actions "
                "matter, too.": _gradient(*case, use="q"),
                "Only the reward of the moment counts; Q contains what follows.": _gradient(
                    *case, use="reward"
                ),
                "The probability pi(a|s) is missing.": expected / policy,
                "The sign is wrong: that goes downhill.": -expected,
            },
        )
    return "No sample was drawn: this is the direction that all estimates aim at."


def _clipped(gradients, max_norm, *, kind="run"):
    norms = sum(g.flatten(1).square().sum(1) for g in gradients).sqrt()
    if kind == "all":
        norms = norms.square().sum().sqrt().expand(len(norms))
    result = []
    for g in gradients:
        if kind == "tensor":
            norms = g.flatten(1).norm(dim=1)
        factor = max_norm / norms
        if kind != "always":
            factor = factor.clamp(max=1.0)
        result.append(g * factor.view(-1, *[1] * (g.ndim - 1)))
    return result


def check_clip_per_run(attempt) -> str:
    """clip_per_run(gradients, max_norm) -> list of tensors."""
    rng = generator(1105)
    sizes = torch.tensor([0.01, 1.0, 30.0], dtype=F64)  # one run is short, one is wild
    shapes = ((3, 4, 5), (3, 1, 5), (3, 5, 2))
    gradients = [
        sizes.view(-1, 1, 1) * torch.randn(shape, generator=rng, dtype=F64) for shape in shapes
    ]
    got = attempt(list(gradients), 2.0)
    on = "three runs with a short, a middling and a wild gradient, max_norm 2"
    expect_true(
        isinstance(got, list | tuple) and len(got) == 3,
        on=on,
        what="the result should be a list of three tensors, one for each parameter.",
    )
    for i, shape in enumerate(shapes):
        expect_shape(got[i], shape, on=f"{on}, tensor {i}")

    def joined(tensors):
        return torch.cat([torch.as_tensor(x).flatten(1) for x in tensors], dim=1)

    expect_close(
        joined(got),
        joined(_clipped(gradients, 2.0)),
        on=on,
        hint="Each run has a norm of its own, over all its parameters.",
        mistakes={
            "One norm was taken over all runs: the wild run shrinks the gradients of the "
            "others.": joined(_clipped(gradients, 2.0, kind="all")),
            "Each tensor was clipped by itself; the norm of a run is over all its parameters, "
            "or the direction changes.": joined(_clipped(gradients, 2.0, kind="tensor")),
            "Short gradients were made longer: the factor is at most 1.": joined(
                _clipped(gradients, 2.0, kind="always")
            ),
            "Nothing was clipped.": joined(gradients),
        },
    )
    zero = [torch.zeros(2, 3, 1, dtype=F64)]
    expect_close(
        torch.as_tensor(attempt(zero, 1.0)[0]), zero[0], on="a gradient of zero",
        hint="Do not divide by a norm of 0.",
    )  # fmt: skip
    return "A wild run now harms only itself."


CHECKERS = {
    "11.2": check_semi_gradient_episode,
    "11.3": check_softmax_score,
    "11.4": check_policy_gradient,
    "11.5": check_clip_per_run,
}
