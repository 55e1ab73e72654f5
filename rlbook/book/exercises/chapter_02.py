"""Checkers of chapter 2, Markov decision processes."""

import torch

from rlbook.book.exercises.expectations import expect_close, expect_shape, expect_true
from rlbook.ground.seeding import generator
from rlbook.planning.mdp import MDP


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


def check_distribution_after(attempt) -> str:
    """distribution_after(mdp, policy, t): p_t, Eq. (2.5)."""
    for run, (states, actions, t) in enumerate([(3, 2, 1), (5, 3, 0), (4, 4, 2), (6, 2, 7)]):
        mdp, policy = _problem(states, actions, 0.9, run)
        chain = torch.einsum("sa,sat->st", policy, mdp.transition)
        uniform = mdp.transition.mean(1)
        everywhere = torch.full((states,), 1 / states, dtype=torch.float64)
        got = attempt(mdp, policy, t)
        expect_close(
            got,
            _after(chain, mdp.start, t),
            on=f"a random model with {states} states and {actions} actions, t = {t}",
            hint="Compare with p @ P_pi, t times, from p = mdp.start.",
            mistakes={
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


def check_pair_visitation(attempt) -> str:
    """pair_visitation(mdp, policy): nu(s, a), normalised with 1 - discount."""
    for run, (states, actions, discount) in enumerate([(3, 2, 0.9), (5, 3, 0.5), (4, 4, 0.99)]):
        mdp, policy = _problem(states, actions, discount, 10 + run)
        chain = torch.einsum("sa,sat->st", policy, mdp.transition)
        eye = torch.eye(states, dtype=torch.float64)

        def solve(chain, start=mdp.start, discount=discount, eye=eye):
            return torch.linalg.solve(eye - discount * chain.T, (1 - discount) * start)

        nu = solve(chain)
        everywhere = torch.full_like(mdp.start, 1 / states)
        on = f"a random model with {states} states, {actions} actions and discount {discount:g}"
        expect_close(
            attempt(mdp, policy),
            nu.unsqueeze(1) * policy,
            on=on,
            hint="It should sum to one, and its sums over the actions should satisfy Eq. (2.9).",
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
        got = expect_shape(
            attempt(second),
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
        expect_true((got >= 0).all(), on=on, what="probabilities should be 0 or more.")
    return "Every process with a finite memory is Markov in a larger state."


CHECKERS = {
    "2.2": check_distribution_after,
    "2.3": check_pair_visitation,
    "2.4": check_extend,
}
