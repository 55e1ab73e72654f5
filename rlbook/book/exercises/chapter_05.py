"""Checkers of chapter 5, policy iteration."""

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from rlbook.book.exercises.expectations import WrongAnswer, expect_close, expect_shape
from rlbook.ground.seeding import generator
from rlbook.planning.mdp import MDP


def check_evaluate_by_sweeps(attempt) -> str:
    """evaluate_by_sweeps(mdp, policy, sweeps): backups under a stochastic policy, from 0."""
    rng = generator(52)
    cases = ((1, 0.8, 5, 3), (2, 0.5, 4, 2), (7, 0.95, 5, 3), (100, 0.99, 3, 4), (0, 0.8, 5, 3))
    for sweeps, discount, states, actions in cases:
        mdp = MDP.random(states, actions, discount=discount, generator=rng)
        weights = torch.rand(states, actions, generator=rng, dtype=torch.float64)
        policy = weights / weights.sum(1, keepdim=True)
        modal = torch.nn.functional.one_hot(policy.argmax(1), actions).double()
        uniform = torch.full_like(policy, 1 / actions)
        expect_close(
            attempt(mdp, policy, sweeps),
            _sweep(mdp, policy, sweeps),
            on=f"a random model with {states} states, {actions} actions and discount "
            f"{discount:g}, after {sweeps} sweeps",
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
                "are asked.": _sweep(mdp, policy, 5000),
            },
        )
    return "With a discount of 0.99, a third of the error is still there after 100 sweeps."


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
    for words, mdp, policy in _improvements():
        states = torch.arange(mdp.num_states)
        step = mdp.transition[states, policy]
        system = torch.eye(mdp.num_states, dtype=torch.float64) - mdp.discount * step
        values = torch.linalg.solve(system, mdp.reward[states, policy])
        q = mdp.reward + mdp.discount * mdp.transition @ values
        masked = q.masked_fill(~mdp.allowed, -torch.inf)
        undiscounted = (mdp.reward + mdp.transition @ values).masked_fill(~mdp.allowed, -torch.inf)
        lowest = q.masked_fill(~mdp.allowed, torch.inf)
        last = masked.shape[1] - 1 - masked.flip(1).argmax(1)
        expect_close(
            _whole(attempt(mdp, values, policy)),
            _improved(masked, policy),
            on=words,
            hint="Compare Q(s, a) = r(s, a) + gamma sum_s' P(s'|s, a) V(s') over a.",
            mistakes={
                "That moves to an action that is not better than the present one, up to "
                "rounding: an action that ties must stay.": masked.argmax(1),
                "That keeps an action although another is better by 1e-6, which is more than "
                "1e-9. (torch.isclose has a relative tolerance of 1e-5, unless told otherwise.)": (
                    _improved(masked, policy, 1e-5)
                ),
                "That takes the last of several best actions; the first is asked.": (
                    torch.where(_improved(masked, policy) == policy, policy, last)
                ),
                "That is what comes out without the discount.": _improved(undiscounted, policy),
                "That is the worst action: take the maximum.": lowest.argmin(1),
                "That looks at the reward only; add the discounted value of the next state.": (
                    mdp.reward.masked_fill(~mdp.allowed, -torch.inf).argmax(1)
                ),
                "That takes actions which mdp.allowed rules out.": _improved(q, policy),
                "Those are the largest Q(s, a); the actions are asked.": masked.amax(1),
                "That is the old policy: nothing has improved.": policy,
            },
        )
    return "By the policy improvement theorem, its values are nowhere lower."


def _improvements():
    """Models with one successor for each pair, so that ties are exact: words, model, policy."""
    rng = generator(53)
    for kind, discount in (("", 0.5), ("ties", 0.8), ("forbidden", 0.3), ("both", 0.6),
                           ("small", 0.9), ("two best", 0.7)):  # fmt: skip
        S, states = 8, torch.arange(8)
        following = torch.randint(S, (S, 4), generator=rng)
        transition = torch.nn.functional.one_hot(following, S).double()
        reward = torch.randn(S, 4, generator=rng, dtype=torch.float64)
        allowed, policy = torch.ones(S, 4, dtype=torch.bool), torch.full((S,), 3)
        words = f"a random model with 8 states, 4 actions and discount {discount:g}"
        if kind in {"ties", "both"}:  # action 3 does what action 0 does, and earns 1e-12 less
            transition[:, 3], reward[:, 3] = transition[:, 0], reward[:, 0] - 1e-12
            words += ", the last of which repeats the first but for 1e-12"
        if kind in {"forbidden", "both"}:
            allowed[states[::2], reward.argmax(1)[::2]] = False
            policy = allowed.long().argmax(1)
            words += ", some of which are not allowed"
        if kind == "small":  # action 1 does what action 3 does, and earns 1e-6 more
            transition[:, 1], reward[:, 1] = transition[:, 3], reward[:, 3] + 1e-6
            words += ", the second of which earns 1e-6 more than the last, and else is the same"
        if kind == "two best":  # actions 0 and 2 are the same, and good
            reward[:, 0] += 3
            transition[:, 2], reward[:, 2] = transition[:, 0], reward[:, 0]
            words += ", the third of which repeats the first"
        yield words, MDP.from_arrays(transition, reward, discount=discount, allowed=allowed), policy


def _whole(got):
    """Whole numbers of any type, as torch's own."""
    if isinstance(got, torch.Tensor | np.ndarray):
        tensor = torch.as_tensor(got)
        if not tensor.is_complex() and bool((tensor == tensor.round()).all()):
            return tensor.long()
    return got


def _improved(q: torch.Tensor, policy: torch.Tensor, slack: float = 1e-9) -> torch.Tensor:
    present = q.gather(1, policy.unsqueeze(1)).squeeze(1)
    return torch.where(q.amax(1) > present + slack, q.argmax(1), policy)


# ---------------------------------------------------------------- voyages of several days

Voyages = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, float]
MAX_OPERATIONS = 100_000  # on tensors, in one world, before a planner is called endless


class _Endless(BaseException):
    """A planner does not stop; no Exception, so that it reaches the checker."""


class _Counting(TorchFunctionMode):
    """Counts what is done with tensors, and ends what does not end."""

    def __init__(self):
        super().__init__()
        self.operations = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        if self.operations > MAX_OPERATIONS:
            raise _Endless
        return function(*args, **(kwargs or {}))


def check_sail(attempt) -> str:
    """sail(transition, reward, days, allowed, discount): policy iteration, gamma^days for gamma."""
    for seed, (ports, voyages, discount) in enumerate(
        ((4, 3, 0.9), (6, 2, 0.5), (5, 4, 0.99), (8, 3, 0.98))
    ):
        world = _voyages(seed, ports, voyages, discount)
        on = f"{ports} ports with {voyages} voyages and discount {discount:g}"
        try:
            with _Counting():
                got = attempt(*world)
        except _Endless:
            raise WrongAnswer(
                f"On {on}: after {MAX_OPERATIONS:,} operations it was still not done. Does it stop "
                "when no port changes? Do evaluation and improvement use the same discounts?"
            ) from None
        policy, values = _policy_and_values(got, ports, on)
        transition, reward, days, allowed, _ = world
        fade = discount**days
        best_policy, best = _sail(transition, reward, fade, fade, allowed)
        if bool(((policy < 0) | (policy >= voyages) | (policy != policy.round())).any()):
            raise WrongAnswer(f"On {on}: the policy should hold whole numbers below {voyages}.")
        policy = policy.long()
        expect_close(
            values,
            best,
            on=on,
            hint="Evaluate with the linear system, improve, and repeat until no port changes. "
            "What is a dollar worth that comes `days` days later?",
            mistakes=_voyage_mistakes(world),
            rtol=1e-8,
        )
        here = torch.arange(ports)
        if not bool(allowed[here, policy].all()):
            raise WrongAnswer(f"On {on}: your policy takes a voyage that is not allowed.")
        q = (reward + fade * (transition @ best))[here, policy]
        if bool((q < best - 1e-6).any()):
            worst = int((best - q).argmax())
            raise WrongAnswer(
                f"On {on}: the values are right, but in port {worst} voyage {int(policy[worst])} "
                f"is not the best one, which is {int(best_policy[worst])}."
            )
    return "The discount was a property of the pair all along; here it shows."


def _voyages(seed: int, ports: int, voyages: int, discount: float) -> Voyages:
    """Random voyages; in port 0 the first one is not allowed, and would be the best."""
    rng = generator(57, seed)
    weights = torch.rand(ports, voyages, ports, generator=rng, dtype=torch.float64) ** 3
    transition = weights / weights.sum(-1, keepdim=True)
    reward = 10 * torch.rand(ports, voyages, generator=rng, dtype=torch.float64)
    days = torch.randint(1, 9, (ports, voyages), generator=rng).double()
    reward = reward + 4 * days * torch.rand(ports, voyages, generator=rng, dtype=torch.float64)
    allowed = torch.ones(ports, voyages, dtype=torch.bool)
    allowed[0, 0], reward[0, 0] = False, 100.0
    return transition, reward, days, allowed, discount


def _sail(transition, reward, evaluated, improved, allowed, rounds: int = 200):
    """Policy iteration with a discount for each pair, one to evaluate and one to improve."""
    here, eye = torch.arange(len(reward)), torch.eye(len(reward), dtype=torch.float64)
    policy, values = allowed.long().argmax(1), torch.zeros_like(reward[:, 0])
    for _ in range(rounds):
        chain = evaluated[here, policy].unsqueeze(1) * transition[here, policy]
        values = torch.linalg.solve(eye - chain, reward[here, policy])
        q = (reward + improved * (transition @ values)).masked_fill(~allowed, -torch.inf)
        following = _improved(q, policy)
        if torch.equal(following, policy):
            break
        policy = following
    return policy, values


def _voyage_mistakes(world: Voyages) -> dict[str, torch.Tensor]:
    transition, reward, days, allowed, discount = world
    fade, once = discount**days, torch.full_like(days, discount)
    late = fade * reward

    def solved(rewards=reward, evaluated=fade, improved=fade, allowed=allowed, rounds=200):
        return _sail(transition, rewards, evaluated, improved, allowed, rounds)[1]

    return {
        "Every voyage counts as one day: a voyage of several days is discounted for each.": (
            solved(evaluated=once, improved=once)
        ),
        "The days are missing in the improvement: there, too, what comes after a voyage fades "
        "for each of its days.": solved(improved=once),
        "The days are missing in the evaluation: the linear system needs them, too.": solved(
            evaluated=once
        ),
        "The reward is paid when he casts off, so it is not discounted.": solved(rewards=late),
        "Is the policy restricted to the voyages that exist? This is right if all are allowed.": (
            solved(allowed=torch.ones_like(allowed))
        ),
        "Those are the values after one improvement: repeat until no port changes.": solved(
            rounds=2
        ),
        "Those are the values of the first policy: nothing was improved.": solved(rounds=1),
        "That multiplies the discount by the days; a dollar fades by a factor for each day.": (
            solved(evaluated=1 - (1 - discount) * days, improved=1 - (1 - discount) * days)
        ),
    }


def _policy_and_values(got, ports: int, on: str) -> tuple[torch.Tensor, torch.Tensor]:
    try:
        policy, values = got
    except (TypeError, ValueError):
        raise WrongAnswer(f"On {on}: return two things, the policy and its values.") from None
    policy = expect_shape(policy, (ports,), on=on, hint="This is your policy.")
    values = expect_shape(values, (ports,), on=on, hint="These are your values.")
    if bool((policy != policy.round()).any()) and bool((values == values.round()).all()):
        raise WrongAnswer(f"On {on}: return the policy first, then the values.")
    return policy, values.double()


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
    "5.6": check_overnight_cost,
    "5.4": check_sail,
}
