"""Checkers of chapter 4, value iteration."""

import math

import torch

from rlbook.book.exercises.expectations import WrongAnswer, expect_close, expect_true
from rlbook.ground.seeding import generator
from rlbook.planning.mdp import MDP


def _backup(mdp: MDP, values: torch.Tensor, discount: float | None = None) -> torch.Tensor:
    discount = mdp.discount if discount is None else discount
    return (mdp.reward + discount * mdp.transition @ values).amax(dim=1)


def check_sweeps_needed(attempt) -> str:
    """sweeps_needed(mdp, error): the smallest k with gamma^k max |V_1| / (1 - gamma) <= error."""
    rng = generator(42)
    for discount in (0.9, 0.5, 0.99):
        mdp = MDP.random(5, 3, discount=discount, generator=rng)
        if discount == 0.5:  # all best rewards are low, so that V_1 is largest below zero
            cost = mdp.reward.amax() - 0.25
            mdp = MDP.from_arrays(mdp.transition, mdp.reward - cost, discount=discount)
        first = float(_backup(mdp, torch.zeros(5, dtype=torch.float64)).abs().max())
        for error in (1e-1, 1e-4, 1e-8, 1e3):
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
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 2, 2, 4]):
        mdp = MDP.random(5, 3, discount=0.9, generator=rng)
        values = 10 * torch.randn(5, generator=rng, dtype=torch.float64)
        synchronous = values.clone()
        synchronous[order] = _backup(mdp, values)[order]
        expect_close(
            attempt(mdp, values, order),
            _in_place(mdp, values, order),
            on=f"a random model with 5 states, in the order {order}",
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
                "That is Eq. (4.5), with the largest absolute change on both sides. It is true, "
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
        inside = (got[0] <= optimal + 1e-6) & (optimal <= got[1] + 1e-6)
        expect_true(inside, on=on, what="V* should lie between the bounds.")
    return "V* lies between them in every state, and after a few sweeps the corridor is narrow."


def _bounds(center: torch.Tensor, factor: float, change: torch.Tensor) -> torch.Tensor:
    return torch.stack([center + factor * change.min(), center + factor * change.max()])


CHECKERS = {
    "4.2": check_sweeps_needed,
    "4.3": check_in_place_sweep,
    "4.4": check_value_bounds,
}
