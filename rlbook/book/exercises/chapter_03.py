"""Checkers of chapter 3, Bellman's equations."""

import ast
import sys
import time

import torch

from rlbook.book.exercises.expectations import (
    Attempt,
    WrongAnswer,
    expect_close,
    expect_true,
    statements_of,
)
from rlbook.ground.seeding import generator
from rlbook.planning.mdp import MDP


def check_q_expectation_backup(attempt) -> str:
    """q_expectation_backup(mdp, q, policy): the right side of Eq. (3.6)."""
    rng = generator(2)
    for states, actions, discount in ((5, 3, 0.9), (3, 3, 0.5), (4, 1, 0.97)):
        mdp = MDP.random(states, actions, discount=discount, generator=rng)
        q = 10 * torch.randn(states, actions, generator=rng, dtype=torch.float64)
        policy = torch.rand(states, actions, generator=rng, dtype=torch.float64)
        policy = policy / policy.sum(dim=1, keepdim=True)
        P, r, gamma, v = mdp.transition, mdp.reward, mdp.discount, (policy * q).sum(dim=1)
        expect_close(
            attempt(mdp, q, policy),
            r + gamma * P @ v,
            on=f"a random model with {states} states, {actions} actions, discount {discount:g}",
            hint="Compare with r(s, a) + gamma sum_s' P(s'|s, a) sum_a' pi(a'|s') q(s', a').",
            mistakes={
                "That is what comes out without the discount.": r + P @ v,
                "That is the discount 0.9; this model has its own, mdp.discount.": r + 0.9 * P @ v,
                "The discount multiplies the reward as well; it belongs to what comes later "
                "only.": gamma * (r + P @ v),
                "The reward of the first step is missing.": gamma * P @ v,
                "That takes the largest q(s', a'), the optimality equation; here the policy "
                "chooses, so average over a' with the weights pi(a'|s').": (
                    r + gamma * P @ q.amax(dim=1)
                ),
                "The weights pi are missing: that adds up q(s', a') over all actions.": (
                    r + gamma * P @ q.sum(dim=1)
                ),
                "That averages q(s', a') over the actions with equal weights; the weights are "
                "pi(a'|s').": r + gamma * P @ q.mean(dim=1),
                "The average over a' was taken in the state s; the policy acts in the next "
                "state s', so average over a' first and then over s'.": (
                    r + gamma * v.unsqueeze(1).expand_as(r)
                ),
                "The weights are pi(a'|s), those of the state that was left; the action a' is "
                "chosen in s', with pi(a'|s').": (
                    r + gamma * torch.einsum("sat,sb,tb->sa", P, policy, q)
                ),
                "That is averaged over the first action, too: it is V(s), one number for each "
                "state. In Q(s, a) the first action is given.": (
                    (policy * (r + gamma * P @ v)).sum(dim=1)
                ),
            },
        )
    return "Its fixed point is Q of the policy, and it is a contraction with the factor gamma."


def check_soft_backup(attempt) -> str:
    """soft_backup(mdp, values, temperature): the max replaced by a log-sum-exp."""
    rng = generator(3)
    for temperature, discount, states, actions in (
        *((1.0, 0.9, 5, 3), (10.0, 0.5, 4, 2), (0.1, 0.97, 3, 3), (0.001, 0.9, 5, 3)),
    ):
        mdp = MDP.random(states, actions, discount=discount, generator=rng)
        values = 10 * torch.randn(states, generator=rng, dtype=torch.float64)
        q = mdp.reward + mdp.discount * mdp.transition @ values  # (S, A)
        undiscounted = mdp.reward + mdp.transition @ values
        expect_close(
            attempt(mdp, values, temperature),
            _soft_maximum(q, temperature),
            on=f"a random model with {states} states, {actions} actions and discount "
            f"{discount:g}, at temperature {temperature:g}",
            hint="Compare with tau * log(sum over a of exp(q(s, a) / tau)).",
            mistakes={
                "That is what comes out without the discount.": _soft_maximum(
                    undiscounted, temperature
                ),
                "That is the discount 0.9; this model has its own, mdp.discount.": _soft_maximum(
                    mdp.reward + 0.9 * mdp.transition @ values, temperature
                ),
                "That is the hard maximum: the temperature is not used.": q.amax(dim=1),
                "The temperature in front of the logarithm is missing.": torch.logsumexp(
                    q / temperature, dim=1
                ),
                "The division by the temperature inside the exponential is missing.": temperature
                * torch.logsumexp(q, dim=1),
                "The temperature belongs the other way round: divide inside the exponential, "
                "multiply in front of the logarithm.": torch.logsumexp(q * temperature, dim=1)
                / temperature,
                "The exponential is too large for float64: subtract the maximum over a first, "
                "and add it back at the end.": temperature * (q / temperature).exp().sum(1).log(),
                "Subtract each state's own maximum: beside the largest q(s, a) of all, those of "
                "other states underflow to 0.": (
                    temperature * ((q - q.max()) / temperature).exp().sum(1).log() + q.max()
                ),
                "That is the mean over the actions inside the logarithm; the sum is asked.": (
                    _soft_maximum(q, temperature)
                    - temperature * torch.tensor(float(q.shape[1]), dtype=q.dtype).log()
                ),
                "That is the mean of q(s, a) with the weights exp(q(s, a) / tau), normalised. The "
                "soft maximum is the logarithm of the sum; it is at least the largest q(s, a).": (
                    (torch.softmax(q / temperature, dim=1) * q).sum(dim=1)
                ),
                "The sum runs over the states; it should run over the actions.": _soft_maximum(
                    q.T, temperature
                ),
            },
        )
    return "It is a contraction, too, with the same factor gamma, at every temperature."


def _soft_maximum(q: torch.Tensor, temperature: float) -> torch.Tensor:
    highest = q.amax(dim=1)
    inner = ((q - highest.unsqueeze(1)) / temperature).exp().sum(dim=1)
    return highest + temperature * inner.log()


PATIENCE = 60.0  # seconds, for one model of the third exercise
LISTS = {"product", "cartesian_prod", "meshgrid", "ndindex", "deterministic_policies"}
"""What lists all policies. In C, where nothing can stop it."""


def check_count_optimal_policies(attempt: Attempt) -> str:
    """count_optimal_policies(mdp): the product over states of the number of best actions."""
    rng = generator(4)
    expect_close(
        _number(attempt(MDP.random(5, 3, discount=0.9, generator=rng))),
        1,
        on="a random model with 5 states and 3 actions, without ties",
        mistakes={
            "That adds up the best actions of all states; a policy chooses in every state, so "
            "the counts multiply.": 5,
            "That is the number of all deterministic policies.": 3**5,
        },
    )
    machine = _machine()
    expect_close(
        _number(attempt(machine)),
        1,
        on="the machine of the chapter",
        mistakes={
            "That counts the policies that are best from state 0 only; an optimal policy is "
            "best from every state.": 2,
        },
    )
    _check_ties(attempt, machine)
    expect_close(
        _number(attempt(_now_or_later())),
        2,
        on="a model with discount 0.5, where 1 now and 2 a step later are worth the same",
        mistakes={
            "Is it this model's own discount, mdp.discount? With 0.9, waiting would be better.": 1,
        },
    )
    expect_true(
        not _lists_policies(attempt),
        on="the models that follow",
        what="there are up to 4^100 policies; your program would list them for ever.",
        hint="The choices in different states are independent: count in each state.",
    )
    expect_close(
        _number(_patiently(attempt, _corridor(100))),
        1,
        on="a corridor of 100 states, with rewards at its ends only",
        hint="News travels one state a sweep: settle V first.",
    )
    for states, discount in ((3, 0.9), (10, 0.95)):
        mdp = _split_states(MDP.random(states, 3, discount=discount, generator=rng), rng)
        expect_close(
            _number(_patiently(attempt, mdp)),
            2 ** (2 * states),
            on=f"a model with {2 * states} states, each with two equally good best actions",
            hint="Equally good actions may differ by rounding, and by as much as V is not yet "
            "settled: settle V well below the tolerance with which you compare.",
            mistakes={
                "There are ties: several actions may be best in one state.": 1,
                "That adds up the best actions of all states; a policy chooses in every state, "
                "so the counts multiply.": 4 * states,
            },
        )
    _check_sizes(attempt, machine)
    return "Every one of these policies has the same values, V*."


def _check_sizes(attempt: Attempt, machine: MDP) -> None:
    """Discounts near 1, very many optimal policies, small rewards."""
    for discount in (0.99, 0.999):
        expect_close(
            _number(_patiently(attempt, _now_or_for_ever(discount))),
            8,
            on=f"a model with discount {discount:g}, where one reward now and 1 a step from the "
            "next step on, for ever, are worth the same",
            mistakes={
                "V is not settled: the nearer the discount is to 1, the more backups it takes. "
                "(A thousand leave 37% of the error at 0.999.) Let the last step tell when to "
                "stop.": 4,
            },
        )
    corridor = _corridor(100)
    doubled = MDP.from_arrays(
        corridor.transition.repeat(1, 2, 1), corridor.reward.repeat(1, 2), discount=0.95
    )
    expect_close(
        _number(_patiently(attempt, doubled)),
        2.0**100,
        on="a corridor of 100 states with two versions of each action",
        mistakes={
            "That is what is left when 2^100 overflows: integers of 64 bits end at 2^63. Multiply "
            "Python's own integers, with math.prod.": 0,
        },
    )
    mechanics = _mechanics(machine)
    cents = MDP.from_arrays(mechanics.transition, 1e-6 * mechanics.reward, discount=0.9)
    expect_close(
        _number(_patiently(attempt, cents)),
        9,
        on="the machine with four mechanics, all rewards multiplied by 0.000001",
        mistakes={
            "A factor before all rewards changes no policy, but here the fourth mechanic counts "
            "as equally good: let the tolerance grow and shrink with the rewards.": 16,
        },
    )


def _lists_policies(attempt: Attempt) -> bool:
    """Whether the learner's source calls one of LISTS."""
    nodes = [n for part in statements_of(attempt.function) for n in ast.walk(part)]
    names = {n.id for n in nodes if isinstance(n, ast.Name)}
    return bool(LISTS & (names | {n.attr for n in nodes if isinstance(n, ast.Attribute)}))


class _TooSlow(BaseException):
    """No Exception, so that it reaches the checker."""


def _patiently(attempt: Attempt, mdp: MDP):
    """attempt(mdp), stopped after PATIENCE seconds at its next line of Python."""
    end, before = time.monotonic() + PATIENCE, sys.gettrace()

    def watch(frame, event, value):
        if time.monotonic() > end:
            raise _TooSlow
        return watch

    sys.settrace(watch)
    try:
        return attempt(mdp)
    except _TooSlow:
        raise WrongAnswer(
            f"On a model with {mdp.num_states} states it had no answer after {PATIENCE:g} seconds. "
            f"There are {mdp.num_actions}^{mdp.num_states} policies, too many to list: count in "
            "each state. And if it waits for a step of exactly 0: rounding may never let it come."
        ) from None
    finally:
        sys.settrace(before)


def _check_ties(attempt, machine: MDP) -> None:
    twins = MDP.from_arrays(
        machine.transition[:, [0, 1, 1]], machine.reward[:, [0, 1, 1]], discount=0.9
    )
    expect_close(
        _number(attempt(twins)),
        4,
        on="the machine with two mechanics, each the same as the other",
        mistakes={
            "There are ties: several actions may be best in one state.": 1,
            "That counts the policies that are best from state 0 only; an optimal policy is "
            "best from every state.": 6,
        },
    )
    expect_close(
        _number(attempt(_mechanics(machine))),
        9,
        on="the machine with three equal mechanics, and a fourth who earns 0.00001 less",
        mistakes={
            "That counts 2 for each state with a tie; there may be more equally good actions.": 4,
            "An action that is worse by 0.00001 is not optimal: count what is within 1e-8 of "
            "the maximum (torch.isclose also allows 1e-5 of the size).": 16,
        },
    )


def _number(count) -> float:
    return float(count if isinstance(count, int) else torch.as_tensor(count))


def _machine() -> MDP:
    transition = [[[0.5, 0.5], [1, 0]], [[0, 1], [1, 0]]]
    return MDP.from_arrays(torch.tensor(transition).double(), [[5, 4], [3, 0]], discount=0.9)


def _now_or_later() -> MDP:
    """One reward now, or two a step later: level at the discount of this model, 0.5."""
    transition = torch.zeros(3, 2, 3, dtype=torch.float64)
    transition[0, 0, 2] = transition[0, 1, 1] = 1
    transition[1, :, 2] = transition[2, :, 2] = 1
    return MDP.from_arrays(transition, [[1.0, 0.0], [2.0, 0.0], [0.0, -1.0]], discount=0.5)


def _now_or_for_ever(discount: float) -> MDP:
    """One reward now, or 1 a step from the next step on: level; and two states without a choice."""
    transition = torch.zeros(3, 2, 3, dtype=torch.float64)
    transition[0, 0, 1] = transition[0, 1, 2] = 1
    transition[1, :, 1] = transition[2, :, 2] = 1
    now = discount / (1 - discount)
    return MDP.from_arrays(transition, [[0.0, now], [1.0, 1.0], [0.0, 0.0]], discount=discount)


def _mechanics(machine: MDP) -> MDP:
    """The machine with four mechanics; the last one is worse by 1e-5."""
    columns = [0, 1, 1, 1, 1]
    less = torch.tensor([0, 0, 0, 0, 1e-5], dtype=torch.float64)
    reward = machine.reward[:, columns] - less
    return MDP.from_arrays(machine.transition[:, columns], reward, discount=machine.discount)


def _corridor(length: int) -> MDP:
    """Left or right; stepping against the left end pays 0.1, against the right end 1."""
    cells = torch.arange(length)
    ends = torch.stack([(cells - 1).clamp(min=0), (cells + 1).clamp(max=length - 1)], dim=1)
    reward = torch.zeros(length, 2, dtype=torch.float64)
    reward[0, 0], reward[-1, 1] = 0.1, 1.0
    transition = torch.nn.functional.one_hot(ends, length).double()
    return MDP.from_arrays(transition, reward, discount=0.95)


def _split_states(mdp: MDP, rng: torch.Generator) -> MDP:
    """Two copies of each state, and two versions of each action that split between them.

    A version reaches a copy of s' with P(s'|s, a) times its share, so that the versions are
    equally good, but only up to rounding.
    """
    P, r = mdp.transition, mdp.reward
    share = torch.rand(2, *P.shape, generator=rng, dtype=P.dtype)  # (version, S, A, S)
    versions = torch.cat([P * share, P * (1 - share)], dim=-1)  # (version, S, A, 2 S)
    transition = torch.cat(list(versions), dim=1).repeat(2, 1, 1)
    return MDP.from_arrays(transition, r.repeat(2, 2), discount=mdp.discount)


CHECKERS = {
    "3.2": check_q_expectation_backup,
    "3.3": check_soft_backup,
    "3.4": check_count_optimal_policies,
}
