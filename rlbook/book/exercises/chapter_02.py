"""Checkers of chapter 2, Markov decision processes."""

from typing import NoReturn

import torch
from torch.overrides import TorchFunctionMode

from rlbook.book.exercises.expectations import WrongAnswer, expect_close, expect_shape
from rlbook.ground.seeding import generator
from rlbook.planning.mdp import MDP

ALLOWED = "mdp.transition, mdp.start, mdp.discount, mdp.num_states and mdp.num_actions"
MAX_OPERATIONS = 20_000  # of torch, before a sum is called endless


class _Arrays:
    """The arrays of a model, without the package's methods: those are asked for in the exercise."""

    def __init__(self, mdp: MDP):
        self.transition, self.start = mdp.transition.clone(), mdp.start.clone()
        self.discount = mdp.discount
        self.num_states, self.num_actions = mdp.num_states, mdp.num_actions

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"here you may use {ALLOWED}, not mdp.{name}")


class _Endless(BaseException):
    """An attempt does not stop; no Exception, so that it reaches the checker."""


class _Counting(TorchFunctionMode):
    """Counts operations on tensors, and stops at too many."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += 1
        if self.count > MAX_OPERATIONS:
            raise _Endless
        return function(*args, **(kwargs or {}))


def _problem(states: int, actions: int, discount: float, run: int):
    """A random model that starts unevenly, and a policy that prefers some actions."""
    rng = generator(2, run)
    mdp = MDP.random(states, actions, discount=discount, generator=rng)
    start = torch.rand(states, generator=rng, dtype=torch.float64)
    start = start / start.sum()
    mdp = MDP.from_arrays(mdp.transition, mdp.reward, discount=discount, start=start)
    policy = (2 * torch.randn(states, actions, generator=rng, dtype=torch.float64)).softmax(-1)
    return mdp, policy


def _after(chain, start, t: int):
    return start @ torch.linalg.matrix_power(chain, t)


def _chain(mdp: MDP, policy: torch.Tensor) -> torch.Tensor:
    return torch.einsum("sa,sat->st", policy, mdp.transition)


def check_distribution_after(attempt) -> str:
    """distribution_after(mdp, policy, t): p_t, Eq. (2.5)."""
    cases = [(3, 2, 0.9, 1), (5, 3, 0.5, 0), (4, 4, 0.99, 2), (6, 2, 0.7, 7)]
    for run, (states, actions, discount, t) in enumerate(cases):
        mdp, policy = _problem(states, actions, discount, run)
        chain = _chain(mdp, policy)
        uniform = mdp.transition.mean(1)
        everywhere = torch.full((states,), 1 / states, dtype=torch.float64)
        expect_close(
            attempt(_Arrays(mdp), policy, t),
            _after(chain, mdp.start, t),
            on=f"a random model with {states} states and {actions} actions, t = {t}",
            hint="Compare with p @ P_pi, t times, from p = mdp.start.",
            mistakes={
                "Begin each step with new = zeros: the walkers have left their old cells.": (
                    _piled_up(chain, mdp.start, t)
                ),
                "Each step must begin where the last one ended: p = new.": _after(
                    chain, mdp.start, min(t, 1)
                ),
                "That is the matrix on the wrong side: P_pi @ p averages p over the next "
                "states. Use p @ P_pi.": torch.linalg.matrix_power(chain, t) @ mdp.start,
                "That is one step too many: at t = 0 the answer is mdp.start.": _after(
                    chain, mdp.start, t + 1
                ),
                "That is one step too few.": _after(chain, mdp.start, max(t - 1, 0)),
                "P_pi ** t is the power of each entry; multiply by the matrix P_pi, t times.": (
                    mdp.start @ chain**t
                ),
                "That is a walker whose actions are all equally likely: weigh P(s'|s, a) with "
                "the policy.": _after(uniform, mdp.start, t),
                "That walker starts in every state with the same probability: begin with "
                "mdp.start.": _after(chain, everywhere, t),
                "That walker always starts in state 0: begin with mdp.start.": _after(
                    chain, torch.eye(states, dtype=torch.float64)[0], t
                ),
                "That is discounted. Where the agent is does not depend on the discount.": (
                    mdp.discount**t * _after(chain, mdp.start, t)
                ),
                "The policy is missing as a weight: that is the sum over the actions of "
                "P(s'|s, a) alone.": _after(mdp.transition.sum(1), mdp.start, t),
            },
        )
    return "And however large t is, no path was counted."


def _piled_up(chain, start, t: int):
    """Walkers that also stay where they were."""
    return _after(chain + torch.eye(len(start), dtype=chain.dtype), start, t)


def check_where_after(attempt) -> str:
    """where_after(P, first, policy, start, t): p_t of an agent that remembers one state."""
    cases = [(2, 2, 2), (3, 2, 0), (3, 2, 1), (4, 3, 3), (5, 2, 6)]
    for run, (states, actions, t) in enumerate(cases):
        mdp, first = _problem(states, actions, 0.9, 30 + run)
        P, start = mdp.transition, mdp.start
        rng = generator(2, 40 + run)
        policy = torch.randn(states, states, actions, generator=rng, dtype=torch.float64)
        policy = (2 * policy).softmax(-1)  # [q, s, a]
        here = torch.arange(states)
        begin = _chain(mdp, first)
        one = start.unsqueeze(1) * begin  # (s_0, s_1)
        right = _pairs_after(P, policy, one, t - 1).sum(0) if t else start
        later = max(t - 1, 0)  # steps after the first; for t = 0 all mistakes below are p_1
        expect_close(
            attempt(P.clone(), first.clone(), policy.clone(), start.clone(), t),
            right,
            on=f"{states} states, {actions} actions, t = {t}",
            hint="Keep a number for each pair (previous state, state). From (q, s) by action a "
            "the walkers go to the pairs (s, s').",
            mistakes={
                "That is the distribution of the pairs (previous, now): add up over the previous "
                "state.": _pairs_after(P, policy, one, later),
                "That adds up the pairs over the state now; what is left is the previous one.": (
                    _pairs_after(P, policy, one, later).sum(1)
                ),
                "At t = 0 nobody has moved: the answer is start.": _pairs_after(
                    P, policy, one, later
                ).sum(0),
                "That agent acts by first in every step. It holds for the first step only.": (
                    _after(begin, start, t)
                ),
                "That agent forgets: it always acts as if its previous state were the present "
                "one. Put the previous state into the state.": _after(
                    _chain(mdp, policy[here, here]), start @ begin, later
                ),
                "That agent has averaged over its memory: its actions depend on where it really "
                "was. Put the previous state into the state.": _after(
                    _chain(mdp, policy.mean(0)), start @ begin, later
                ),
                "policy[q, s] has the previous state first; yours reads it the other way round.": (
                    _pairs_after(P, policy.transpose(0, 1), one, later).sum(0)
                ),
                "In the first step the agent acts by first[s], not by policy[s, s].": (
                    _pairs_after(P, policy, torch.diag(start), t).sum(0)
                ),
                "In the first step the agent acts by first[s]; yours has drawn a previous "
                "state.": _pairs_after(P, policy, torch.outer(start, start), t).sum(0),
                "That is one step too many: the first step makes the first pair, so t - 1 steps "
                "are left.": _pairs_after(P, policy, one, t).sum(0),
                "Row s of the first pairs is start[s] times the chances of the next state; yours "
                "has lost the start.": _pairs_after(P, policy, begin, later).sum(0),
                "The next pair is (s, s'): the state now becomes the previous one. Yours keeps q "
                "for ever.": _stuck_after(P, policy, one, later).sum(0),
            },
        )
    return "The agent remembers, and the pair is Markov all the same."


def _pairs_after(P, policy, pairs, t: int):
    """The distribution of (previous, now), [q, s], after t more steps."""
    for _ in range(t):
        pairs = torch.einsum("qs,qsa,sat->st", pairs, policy, P)
    return pairs


def _stuck_after(P, policy, pairs, t: int):
    """The same, wrongly: the previous state is never renewed."""
    for _ in range(t):
        pairs = torch.einsum("qs,qsa,sat->qt", pairs, policy, P)
    return pairs


def check_pair_visitation(attempt) -> str:
    """pair_visitation(mdp, policy): nu(s, a), normalised with 1 - discount."""
    cases = [(3, 2, 0.9), (5, 3, 0.5), (4, 4, 0.99), (4, 2, 1 - 1e-6)]
    for run, (states, actions, discount) in enumerate(cases):
        mdp, policy = _problem(states, actions, discount, 10 + run)
        chain = _chain(mdp, policy)
        eye = torch.eye(states, dtype=torch.float64)

        def solve(chain, start=mdp.start, discount=discount, eye=eye):
            return torch.linalg.solve(eye - discount * chain.T, (1 - discount) * start)

        nu = solve(chain)
        everywhere = torch.full_like(mdp.start, 1 / states)
        on = f"a random model with {states} states, {actions} actions and discount {discount:.7g}"
        patience = (
            "A series is never done here: its first million terms hold less than two thirds of the "
            "sum. Solve the linear equations (2.9)."
        )
        try:
            with _Counting():
                got = attempt(_Arrays(mdp), policy)
        except _Endless:
            raise WrongAnswer(f"On {on}: it was still at work. {patience}") from None
        expect_close(
            got,
            nu.unsqueeze(1) * policy,
            on=on,
            hint=patience
            if discount > 0.999
            else "It should sum to one, and its sums over the actions should satisfy Eq. (2.9).",
            mistakes={
                "That sums to 1 / (1 - discount): the factor 1 - discount is missing.": (
                    nu.unsqueeze(1) * policy / (1 - discount)
                ),
                "That is the visitation of the states; multiply with the policy to get pairs, "
                "nu(s) pi(a|s).": nu,
                "That gives every action of a state the same share; its share is pi(a|s).": (
                    nu.unsqueeze(1).expand(states, actions) / actions
                ),
                "That counts nu(s) once for each action; multiply with pi(a|s).": (
                    nu.unsqueeze(1).expand(states, actions)
                ),
                "The matrix is transposed: for column vectors Eq. (2.9) has P_pi.T.": (
                    solve(chain.T).unsqueeze(1) * policy
                ),
                "The start distribution is missing: that walker starts anywhere with the same "
                "probability.": solve(chain, everywhere).unsqueeze(1) * policy,
                "That is the chain of a policy with equally likely actions: weigh P(s'|s, a) "
                "with the policy.": solve(mdp.transition.mean(1)).unsqueeze(1) * policy,
                "That is the distribution of the very first pair, (s_0, a_0) only.": (
                    mdp.start.unsqueeze(1) * policy
                ),
            },
        )
    return "Its mean of r(s, a), divided by 1 - gamma, is J."


def check_extend(attempt) -> str:
    """extend(second_order): the chain of pairs (x_{t-1}, x_t)."""
    for run, S in enumerate((2, 3, 4)):
        weights = torch.rand(S, S, S, generator=generator(2, 20 + run), dtype=torch.float64)
        second = weights / weights.sum(-1, keepdim=True)
        on = f"a random process with {S} values"
        chain = torch.zeros(S, S, S, S, dtype=torch.float64)
        repeated, swapped, forgetful = (torch.zeros_like(chain) for _ in range(3))
        mean = second.mean(0)
        for x in range(S):
            for y in range(S):
                chain[x, y, y] = second[x, y]
                repeated[x, y, x] = second[x, y]
                swapped[x, y, :, y] = second[x, y]
                forgetful[x, y, y] = mean[y]
        backwards = chain.permute(1, 0, 3, 2)
        got = attempt(second)
        expect_shape(
            got,
            (S * S, S * S),
            on=on,
            hint="One row for each pair now, one column for each pair next.",
        )
        expect_close(
            got,
            chain.reshape(S * S, S * S),
            on=on,
            hint="The row of (x, y) holds second_order[x, y, z] in the column of (y, z).",
            mistakes={
                "The next pair is (y, z), not (x, z): the present value becomes the last one.": (
                    repeated.reshape(S * S, S * S)
                ),
                "The next pair is (y, z), not (z, y): the new value comes second.": (
                    swapped.reshape(S * S, S * S)
                ),
                "The states are numbered the other way round: the pair (x, y) is x S + y.": (
                    backwards.reshape(S * S, S * S)
                ),
                "That is transposed: rows are the pair now, columns the pair next.": (
                    chain.reshape(S * S, S * S).T
                ),
                "That forgets x: second_order[x, y, z] depends on it.": (
                    forgetful.reshape(S * S, S * S)
                ),
            },
        )
    return "Every process with a finite memory is Markov in a larger state."


CHECKERS = {
    "2.2": check_distribution_after,
    "2.3": check_where_after,
    "2.4": check_pair_visitation,
    "2.7": check_extend,
}
