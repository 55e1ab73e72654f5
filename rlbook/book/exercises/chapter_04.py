"""Checkers of chapter 4, value iteration."""

import math
from collections.abc import Iterator

import torch

from rlbook.book.exercises.expectations import (
    WrongAnswer,
    expect_close,
    expect_shape,
    expect_true,
)
from rlbook.ground.seeding import generator
from rlbook.planning.mdp import MDP


def _backup(mdp: MDP, values: torch.Tensor, discount: float | None = None) -> torch.Tensor:
    discount = mdp.discount if discount is None else discount
    return (mdp.reward + discount * mdp.transition @ values).amax(dim=1)


# ---------------------------------------------------------------- on a table like Gymnasium's

Table = dict[int, dict[int, list[tuple[float, int, float, bool]]]]
MAX_READINGS = 300_000  # of an outcome list, before a planner is called endless


class _Endless(BaseException):
    """A planner does not stop; no Exception, so that it reaches the checker."""


class _Outcomes(list):
    """The outcomes of one action, which count how often they are read."""

    readings = 0

    def __iter__(self) -> Iterator:
        _Outcomes.readings += 1
        if _Outcomes.readings > MAX_READINGS:
            raise _Endless
        return super().__iter__()


def _table(seed: int, states: int, actions: int, offset: float) -> Table:
    """A random table. Some outcomes end the episode, and name a state all the same."""
    rng = generator(seed)
    table: Table = {}
    for s in range(states):
        table[s] = {}
        for a in range(actions):
            weights = torch.rand(3, generator=rng, dtype=torch.float64) + 0.1
            chances = (weights / weights.sum()).tolist()
            nexts = torch.randint(states, (3,), generator=rng).tolist()
            rewards = (torch.randn(3, generator=rng, dtype=torch.float64) + offset).tolist()
            ends = (False, False, True)
            table[s][a] = _Outcomes(zip(chances, nexts, rewards, ends, strict=True))
    return table


def _promises(
    table: Table, values: list[float], s: int, discount: float, *, mask: bool = True
) -> list[float]:
    return [
        sum(p * (r + discount * values[t] * (not (done and mask))) for p, t, r, done in outcomes)
        for outcomes in table[s].values()
    ]


def _swept(table: Table, discount: float, *, until: float = 1e-13, **kind) -> list[float]:
    """Synchronous sweeps from zero until the change is below `until`."""
    values, change = [0.0] * len(table), math.inf
    while change >= until:
        new = [max(_promises(table, values, s, discount, **kind)) for s in table]
        change = max(abs(x - y) for x, y in zip(new, values, strict=True))
        values = new
    return values


def check_greedy_action(attempt) -> str:
    """greedy_action(P, V, s, gamma): the first action with the largest promise."""
    for seed, discount in ((1, 0.9), (2, 0.5), (3, 0.99)):
        table = _table(seed, states=5, actions=4, offset=0.0)
        table[4] = {a: table[4][a // 2] for a in range(4)}  # two pairs of equal actions
        values = (4 * torch.randn(5, generator=generator(seed), dtype=torch.float64)).tolist()
        on = f"the {len(table)} states of a random table with discount {discount:g}, one by one"
        got = [attempt(table, values, s, discount) for s in table]
        if any(isinstance(a, float) and not a.is_integer() for a in got):
            raise WrongAnswer(
                f"On {on}: it returned {got[0]:.6g}. That looks like the promise itself; which "
                "action makes it is asked, a whole number."
            )

        best = _greedy(table, values, discount)
        expect_close(
            [int(a) for a in got],
            best,
            on=on,
            hint="Compare the promises: rewards now, plus the discounted values of what follows.",
            mistakes={
                "These are the actions that look worst.": _greedy(
                    table, values, discount, choose=min
                ),
                "Of several best actions, the first is asked; yours is a later one.": [
                    *best[:-1],
                    best[-1] + 1,
                ],
                "That is right if an end counts as much as the state it names: nothing follows an "
                "outcome that is done.": _greedy(table, values, discount, mask=False),
                "That is the best action without the discount.": _greedy(table, values, 1.0),
                "That is the best action for the reward alone: add what is to come.": _greedy(
                    table, values, 0.0
                ),
            },
        )
    return "The arrows follow from the numbers, and from nothing else."


def _greedy(
    table: Table, values: list[float], discount: float, *, mask: bool = True, choose=max
) -> list[int]:
    promises = [_promises(table, values, s, discount, mask=mask) for s in table]
    return [q.index(choose(q)) for q in promises]


def check_plan(attempt) -> str:
    """plan(P, discount, error): values within the error of V*, and their greedy policy."""
    cases = ((4, 0.99, 0.01, -1.0), (5, 0.9, 1e-3, 0.0), (6, 0.5, 1e-6, 3.0), (7, 0.95, 0.1, 1.0))
    for seed, discount, error, offset in cases:
        _Outcomes.readings = 0
        table = _slow_table(seed, offset)
        on = f"a random table, discount {discount:g} and error {error:g}"
        try:
            got = attempt(table, discount, error)
        except _Endless:
            raise WrongAnswer(
                f"On {on}: after {MAX_READINGS:,} looks into the table it was still not done. Does "
                "the loop end when the change is small? Is the discount in it?"
            ) from None
        _Outcomes.readings = 0
        values, policy = _two_lists(got, len(table), on)
        optimal = _swept(table, discount)
        worst = max(abs(v - best) for v, best in zip(values, optimal, strict=True))
        if worst > error * (1 + 1e-9):
            raise WrongAnswer(
                f"On {on}: a value is off by {worst:.3g}. "
                + _why_off(table, discount, error, values)
            )
        for s, a in enumerate(policy):
            q = _promises(table, values, s, discount)
            if not (0 <= a < len(q) and float(a).is_integer()):
                raise WrongAnswer(f"On {on}: the action of state {s} is {a}, which is none.")
            if q[int(a)] < max(q) - 1e-9 - 4 * error:
                raise WrongAnswer(
                    f"On {on}: the values are right. In state {s} your policy takes action "
                    f"{int(a)}, which promises {q[int(a)]:.4g}; the best promises {max(q):.4g}. "
                    "Take the action with the largest promise for the values you return."
                )
    return "A planner with a guarantee, in a dozen lines of your own."


def _slow_table(seed: int, offset: float) -> Table:
    """A random table whose episodes are long: an outcome ends one with probability 0.02."""
    table = _table(seed, states=6, actions=3, offset=offset)
    for actions in table.values():
        for a, ((p, s, r, _), (q, t, u, _), (_, end, prize, _)) in actions.items():
            share = 0.98 / (p + q)
            last = (0.02, end, prize, True)
            actions[a] = _Outcomes([(share * p, s, r, False), (share * q, t, u, False), last])
    return table


def _two_lists(got, states: int, on: str) -> tuple[list[float], list[float]]:
    try:
        values, policy = got
    except (TypeError, ValueError):
        raise WrongAnswer(f"On {on}: return two lists, the values and the policy.") from None
    lists = []
    for name, one in (("values", values), ("policy", policy)):
        if isinstance(one, dict):
            one = [one.get(s) for s in range(states)]
        expect_shape(one, (states,), on=on, hint=f"These are your {name}.")
        lists.append([float(x) for x in one])
    return lists[0], lists[1]


def _why_off(table: Table, discount: float, error: float, values: list[float]) -> str:
    def near(others: list[float]) -> bool:
        pairs = zip(values, others, strict=True)
        return max(abs(v - other) for v, other in pairs) <= max(2 * error, 1e-6)

    if near(_swept(table, discount, mask=False)):
        return "Nothing follows an outcome that is done, whatever state it names: it counts 0."
    if near(_swept(table, 1.0, until=1e-9)):
        return "That is what comes out without the discount."
    early = _swept(table, discount, until=error)
    if max(abs(v - e) for v, e in zip(values, early, strict=True)) < 1e-9:
        return (
            "It stopped as soon as the change was below the error. The error may be discount / "
            "(1 - discount) times the last change."
        )
    return (
        "The error is guaranteed when discount / (1 - discount) times the last change is below it."
    )


def check_sweeps_needed(attempt) -> str:
    """sweeps_needed(mdp, error): the smallest k with gamma^k max |V_1| / (1 - gamma) <= error."""
    rng = generator(42)
    for discount in (0.9, 0.5, 0.99):
        mdp = MDP.random(5, 3, discount=discount, generator=rng)
        if discount == 0.5:  # all best rewards are low, so that V_1 is largest below zero
            cost = mdp.reward.amax() - 0.25
            mdp = MDP.from_arrays(mdp.transition, mdp.reward - cost, discount=discount)
        first = float(_backup(mdp, torch.zeros(5, dtype=torch.float64)).abs().max())
        barely = first / (1 - discount) * discount**-0.5  # zeros are good enough
        for error in (1e-1, 1e-4, 1e-8, 1e3, barely):
            on = f"a random model with discount {discount:g}, for an error of {error:g}"
            got = attempt(mdp, error)
            expected = max(0, math.ceil(_sweeps(first / (1 - discount) / error, discount)))
            if isinstance(got, float) and not float(got).is_integer():
                raise WrongAnswer(
                    f"On {on}: it returned {got:.6g}. Sweeps are whole: round up (math.ceil), "
                    "since with fewer sweeps the bound is not yet small enough."
                )
            expect_close(
                float(got),
                float(expected),
                on=on,
                hint="Compare with the smallest k for which discount^k * max |V_1| / (1 - "
                "discount) <= error.",
                mistakes=_sweep_mistakes(mdp, first, error, expected),
            )
    return "No sweep too few, and all that it took was one look ahead."


def _sweeps(ratio: float, discount: float) -> float:
    return math.log(ratio) / math.log(1 / discount)


def _sweep_mistakes(mdp: MDP, first: float, error: float, expected: int) -> dict:
    discount, largest = mdp.discount, float(mdp.reward.abs().max())
    k = _sweeps(first / (1 - discount) / error, discount)
    without_horizon = max(0, math.ceil(_sweeps(first / error, discount)))
    without_reward = max(0, math.ceil(_sweeps(1 / (1 - discount) / error, discount)))
    only_error = max(0, math.ceil(_sweeps(1 / error, discount)))
    highest = float(_backup(mdp, torch.zeros_like(mdp.reward[:, 0])).max())
    without_sign = max(0, math.ceil(_sweeps(highest / (1 - discount) / error, discount)))
    without_choice = max(0, math.ceil(_sweeps(largest / (1 - discount) / error, discount)))
    return {
        "The number of sweeps cannot be negative: if zeros are good enough, it is 0.": math.ceil(k),
        "The sign is lost: log(discount) is negative.": -float(expected),
        "That is one sweep too few: round up, not down; or there is a factor discount too much "
        "(gamma / (1 - gamma) bounds the error of V_1, not of V_0).": math.floor(k),
        "The horizon is missing: the error of V_0 is not max |V_1 - V_0|, but up to "
        "1 / (1 - discount) times that.": without_horizon,
        "That is the largest V_1(s) with its sign. Values may be negative: take the largest "
        "absolute value.": without_sign,
        "The size of the rewards is missing: the first change, max |V_1 - V_0|, is not 1.": (
            without_reward
        ),
        "You ask for discount^k <= error. The error starts at up to max |V_1 - V_0| / "
        "(1 - discount), not at 1.": only_error,
        "That starts from the largest |r(s, a)| of all. V_1(s) takes the best action: first "
        "the maximum over a, then the absolute value.": without_choice,
    }


def check_in_place_sweep(attempt) -> str:
    """in_place_sweep(mdp, values, order): one state after another, from the newest values."""
    rng = generator(43)
    orders = [0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 2, 2, 4]
    for order, discount in zip(orders, (0.9, 0.5, 0.99), strict=True):
        mdp = MDP.random(5, 3, discount=discount, generator=rng)
        values = 10 * torch.randn(5, generator=rng, dtype=torch.float64)
        synchronous = values.clone()
        synchronous[order] = _backup(mdp, values)[order]
        expect_close(
            attempt(mdp, values, order),
            _in_place(mdp, values, order),
            on=f"a random model with 5 states and discount {discount:g}, in the order {order}",
            hint="Each update uses all earlier ones.",
            mistakes={
                "That is the synchronous form: every update used the values from before the "
                "sweep. Read from the copy that you write to.": synchronous,
                "That is what comes out without the discount.": _in_place(
                    mdp, values, order, discount=1.0
                ),
                "The order is ignored: that is the order 0, 1, 2, ...": _in_place(
                    mdp, values, range(5)
                ),
                "That is the mean over the actions; the best one is asked.": _in_place(
                    mdp, values, order, choose=lambda q: q.mean()
                ),
                "That starts from zeros; start from the given values.": _in_place(
                    mdp, torch.zeros_like(values), order
                ),
                "Only the last state of the order keeps its new value: copy the values once, "
                "before the loop.": _only_last(mdp, values, order),
            },
        )
    return "States that come late profit from those before; states that are left out keep theirs."


def _in_place(mdp, values, order, discount=None, choose=torch.max) -> torch.Tensor:
    values, discount = values.clone(), mdp.discount if discount is None else discount
    for s in order:
        values[s] = choose(mdp.reward[s] + discount * mdp.transition[s] @ values)
    return values


def _only_last(mdp, values, order) -> torch.Tensor:
    result = values.clone()
    result[order[-1]] = _backup(mdp, values)[order[-1]]
    return result


def check_value_bounds(attempt) -> str:
    """value_bounds(mdp, values): MacQueen's lower and upper bounds on V*."""
    rng = generator(44)
    for discount, offset in ((0.9, 0.0), (0.5, 0.0), (0.99, 0.0), (0.5, 40.0), (0.5, -40.0)):
        mdp = MDP.random(5, 3, discount=discount, generator=rng)
        values = offset + 3 * torch.randn(5, generator=rng, dtype=torch.float64)
        on = f"a random model with 5 states and discount {discount:g}"
        on += f", from values near {offset:g}" if offset else ""
        backed_up = _backup(mdp, values)
        change = backed_up - values
        factor = discount / (1 - discount)
        expected = _bounds(backed_up, factor, change)
        largest = torch.stack([-change.abs().max(), change.abs().max()])
        got = attempt(mdp, values)
        expect_close(
            got,
            expected,
            on=on,
            hint="Add gamma / (1 - gamma) times the smallest and the largest change to T V.",
            mistakes={
                "Upper and lower bound are exchanged: the lower one comes first.": expected.flip(0),
                "That is Eq. (4.6), with the largest absolute change on both sides. It is true, "
                "but wider: keep the sign of the changes.": _bounds(backed_up, factor, largest),
                "The bounds are around V; they belong around T V, which is nearer to V*.": _bounds(
                    values, factor, change
                ),
                "The factor is gamma / (1 - gamma); yours lacks the gamma. That belongs to bounds "
                "around V, not around T V.": _bounds(backed_up, 1 / (1 - discount), change),
                "The factor gamma / (1 - gamma) is missing: later sweeps go on changing "
                "the values.": _bounds(backed_up, 1.0, change),
                "The change has the wrong sign: it is T V - V.": _bounds(
                    backed_up, factor, -change
                ),
                "The smallest change may be positive, the largest negative: do not bring in 0.": (
                    _bounds(backed_up, factor, torch.cat([change, torch.zeros_like(change[:1])]))
                ),
                "The changes of each state stand alone; the smallest and largest over all states "
                "are asked, the same for every state.": torch.stack(
                    [backed_up + factor * change, backed_up + factor * change]
                ),
            },
        )
        optimal = values
        for _ in range(math.ceil(40 / (1 - discount))):
            optimal = _backup(mdp, optimal)
        low, high = expect_shape(got, (2, 5), on=on)
        inside = (low <= optimal + 1e-6) & (optimal <= high + 1e-6)
        expect_true(inside, on=on, what="V* should lie between the bounds.")
    return "V* lies between them in every state, and after a few sweeps the corridor is narrow."


def _bounds(center: torch.Tensor, factor: float, change: torch.Tensor) -> torch.Tensor:
    return torch.stack([center + factor * change.min(), center + factor * change.max()])


CHECKERS = {
    "4.1": check_greedy_action,
    "4.2": check_sweeps_needed,
    "4.3": check_plan,
    "4.4": check_in_place_sweep,
    "4.5": check_value_bounds,
}
