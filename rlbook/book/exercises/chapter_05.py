"""Checkers of chapter 5, policy iteration."""

import torch

from rlbook.book.exercises.expectations import WrongAnswer, expect_close
from rlbook.ground.seeding import generator
from rlbook.planning.mdp import MDP


def check_evaluate_by_sweeps(attempt) -> str:
    """evaluate_by_sweeps(mdp, policy, sweeps): backups under a stochastic policy, from 0."""
    rng = generator(52)
    for sweeps in (1, 2, 7, 100):
        mdp = MDP.random(5, 3, discount=0.8, generator=rng)
        weights = torch.rand(5, 3, generator=rng, dtype=torch.float64)
        policy = weights / weights.sum(1, keepdim=True)
        modal = torch.nn.functional.one_hot(policy.argmax(1), 3).double()
        uniform = torch.full_like(policy, 1 / 3)
        expect_close(
            attempt(mdp, policy, sweeps),
            _sweep(mdp, policy, sweeps),
            on=f"a random model with 5 states and 3 actions, after {sweeps} sweeps",
            hint="Each sweep is V <- r_pi + gamma P_pi V, for all states at once.",
            mistakes={
                "That is what comes out without the discount.": _sweep(
                    mdp, policy, sweeps, discount=1.0
                ),
                "The discount multiplies the reward as well; it belongs to what comes later.": (
                    mdp.discount * _sweep(mdp, policy, sweeps)
                ),
                "That is the maximum over the actions: value iteration. Here the policy "
                "chooses, so average with its probabilities.": _sweep_best(mdp, sweeps),
                "You updated in place, so that later states saw the new values of earlier "
                "ones. Keep the old values until the sweep is over.": _sweep_in_place(
                    mdp, policy, sweeps
                ),
                "That is one sweep too few.": _sweep(mdp, policy, sweeps - 1),
                "That is one sweep too many; V_0 = 0 is no sweep.": _sweep(mdp, policy, sweeps + 1),
                "That is the policy's most likely action in each state; the policy is "
                "stochastic, so every action counts with its probability.": _sweep(
                    mdp, modal, sweeps
                ),
                "That is the plain mean over the actions; weight them by the policy.": _sweep(
                    mdp, uniform, sweeps
                ),
                "That is V^pi itself, the limit. The values after the given number of sweeps "
                "are asked.": _sweep(mdp, policy, 1000),
            },
        )
    return "After 100 sweeps with gamma = 0.8 the error is at most 0.8^100, about 2e-10."


def _sweep(mdp, policy, sweeps: int, discount: float | None = None) -> torch.Tensor:
    discount = mdp.discount if discount is None else discount
    values = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweeps):
        values = (policy * (mdp.reward + discount * mdp.transition @ values)).sum(1)
    return values


def _sweep_best(mdp, sweeps: int) -> torch.Tensor:
    values = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweeps):
        values = (mdp.reward + mdp.discount * mdp.transition @ values).amax(1)
    return values


def _sweep_in_place(mdp, policy, sweeps: int) -> torch.Tensor:
    values = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweeps):
        for s in range(mdp.num_states):
            values[s] = policy[s] @ (mdp.reward[s] + mdp.discount * mdp.transition[s] @ values)
    return values


def check_improve(attempt) -> str:
    """improve(mdp, values, policy): greedy, but what ties stays, and what is forbidden too."""
    rng = generator(53)
    states, gamma = torch.arange(8), 0.5
    for ties, forbidden in ((False, False), (True, False), (False, True), (True, True)):
        following = torch.randint(8, (8, 4), generator=rng)
        transition = torch.nn.functional.one_hot(following, 8).double()
        reward = torch.randn(8, 4, generator=rng, dtype=torch.float64)
        if ties:  # action 3 does what action 0 does, and earns 1e-12 less
            transition[:, 3], reward[:, 3] = transition[:, 0], reward[:, 0] - 1e-12
        allowed = torch.ones(8, 4, dtype=torch.bool)
        if forbidden:
            allowed[states[::2], reward.argmax(1)[::2]] = False
        mdp = MDP.from_arrays(transition, reward, discount=gamma, allowed=allowed)
        policy = allowed.long().argmax(1) if forbidden else torch.full((8,), 3)
        step = mdp.transition[states, policy]
        system = torch.eye(8, dtype=torch.float64) - gamma * step
        values = torch.linalg.solve(system, mdp.reward[states, policy])
        q = mdp.reward + gamma * mdp.transition @ values
        masked = q.masked_fill(~allowed, -torch.inf)
        undiscounted = (mdp.reward + mdp.transition @ values).masked_fill(~allowed, -torch.inf)
        lowest = q.masked_fill(~allowed, torch.inf)
        words = "a random model with 8 states and 4 actions"
        words += ", the last of which repeats the first but for 1e-12" if ties else ""
        words += ", some of which are not allowed" if forbidden else ""
        expect_close(
            attempt(mdp, values, policy),
            _improved(masked, policy),
            on=words,
            hint="Compare Q(s, a) = r(s, a) + gamma sum_s' P(s'|s, a) V(s') over a.",
            mistakes={
                "That moves to an action that is not better than the present one, up to "
                "rounding: an action that ties must stay.": masked.argmax(1),
                "That is what comes out without the discount.": _improved(undiscounted, policy),
                "That is the worst action: take the maximum.": lowest.argmin(1),
                "That looks at the reward only; add the discounted value of the next state.": (
                    mdp.reward.masked_fill(~allowed, -torch.inf).argmax(1)
                ),
                "That takes actions which mdp.allowed rules out.": _improved(q, policy),
                "Those are the largest Q(s, a); the actions are asked.": masked.amax(1),
                "That is the old policy: nothing has improved.": policy,
            },
        )
    return "By the policy improvement theorem, its values are nowhere lower."


def _improved(q: torch.Tensor, policy: torch.Tensor) -> torch.Tensor:
    present = q.gather(1, policy.unsqueeze(1)).squeeze(1)
    return torch.where(q.amax(1) > present + 1e-9, q.argmax(1), policy)


def check_overnight_cost(attempt) -> str:
    """overnight_cost(first, second, moved): Sutton & Barto's exercise 4.7."""
    cases = [
        (first, second, moved)
        for first in range(21)
        for second in range(21)
        for moved in range(-5, 6)
        if -second <= moved <= first
    ]

    def table(cost) -> torch.Tensor:
        return torch.tensor([float(cost(*case)) for case in cases], dtype=torch.float64)

    got, want = table(attempt), table(lambda f, s, m: 2 * _cars(m) + 4 * _lots(f, s, m))
    if torch.equal(got, want):
        return "Now put it into the model, and look at the policy."
    worst = int((got != want).double().argmax())
    first, second, moved = cases[worst]
    why = next((why for why, cost in PARKING.items() if torch.equal(got, table(cost))), None)
    raise WrongAnswer(
        f"With {first} and {second} cars and moved = {moved} it should be {want[worst]:g}, yours "
        f"is {got[worst]:g} ({int((got != want).sum())} of {len(cases)} cases differ). "
        + (why or "Count the cars that are paid for, then the locations with more than 10 cars.")
    )


def _cars(moved: int) -> int:
    return moved - 1 if moved > 0 else -moved


def _lots(first: int, second: int, moved: int, limit: int = 10) -> int:
    return (first - moved > limit) + (second + moved > limit)


PARKING = {
    "The employee takes one car from the first to the second location for free.": (
        lambda f, s, m: 2 * abs(m) + 4 * _lots(f, s, m)
    ),
    "The shuttle runs one way only: a car moved to the first location is never free.": (
        lambda f, s, m: 2 * max(abs(m) - 1, 0) + 4 * _lots(f, s, m)
    ),
    "When no car is moved, nothing is paid for moving, and nothing is earned.": (
        lambda f, s, m: 2 * (abs(m - 1) if m >= 0 else -m) + 4 * _lots(f, s, m)
    ),
    "When no car is moved, nothing is paid for moving; a free ride earns nothing.": (
        lambda f, s, m: 2 * (m - 1 if m >= 0 else -m) + 4 * _lots(f, s, m)
    ),
    "Count the parked cars after the move, not before it.": (
        lambda f, s, m: 2 * _cars(m) + 4 * ((f > 10) + (s > 10))
    ),
    "Ten cars still fit; the second lot is for the eleventh.": (
        lambda f, s, m: 2 * _cars(m) + 4 * _lots(f, s, m, 9)
    ),
    "Each location needs its own second lot: 4 dollars at each.": (
        lambda f, s, m: 2 * _cars(m) + 4 * (_lots(f, s, m) > 0)
    ),
    "The second lot costs 4 dollars, however many cars stand in it.": (
        lambda f, s, m: 2 * _cars(m) + 4 * (max(f - m - 10, 0) + max(s + m - 10, 0))
    ),
    "The cost is asked, as a positive number of dollars.": (
        lambda f, s, m: -2 * _cars(m) - 4 * _lots(f, s, m)
    ),
    "The second lots are missing: 4 dollars for each location with more than 10 cars.": (
        lambda f, s, m: 2 * _cars(m)
    ),
}
"""What each mistake means, and the cost that it gives."""

CHECKERS = {
    "5.2": check_evaluate_by_sweeps,
    "5.3": check_improve,
    "5.5": check_overnight_cost,
}
