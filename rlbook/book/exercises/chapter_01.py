"""Checkers of chapter 1, RL basics."""

import torch
from gymnasium.envs.toy_text import FrozenLakeEnv

from rlbook.book.exercises.expectations import WrongAnswer, expect_close
from rlbook.ground.seeding import generator

LAKE_STEPS, LAKE_GOAL, LAKE_BAR = 100, 15, 0.5
MOVES = ("left", "down", "right", "up")


def check_discounted_return(attempt) -> str:
    """discounted_return(rewards, discount): the return G_0 of a list of rewards."""
    drawn = torch.randn(6, generator=generator(1), dtype=torch.float64).tolist()
    cases = [
        ([1.0, 6.0, 4.0], 0.5),
        ([5.0], 0.9),
        ([1.0, 2.0, 3.0], 1.0),
        ([3.0, 7.0], 0.0),
        (drawn, 0.9),
    ]
    for rewards, discount in cases:
        x = torch.tensor(rewards, dtype=torch.float64)
        k = torch.arange(len(x), dtype=torch.float64)
        expect_close(
            attempt(list(rewards), discount),
            (discount**k * x).sum(),
            on=f"the rewards {[round(r, 2) for r in rewards]} with discount {discount:g}",
            hint="The reward that is k steps away has the weight discount**k, from k = 0 on.",
            mistakes={
                "That is the plain sum: the discount is not used.": x.sum(),
                "Every weight has one factor too many: the first reward counts in full, since "
                "discount**0 is 1.": (discount ** (k + 1) * x).sum(),
                "That gives the weight discount**0 to the last reward; it belongs to the "
                "first one, the nearest.": (discount ** k.flip(0) * x).sum(),
                "Only one term is there, not the sum: does `return` stand inside the loop, or "
                "`=` in the place of `+=`?": x[0],
                "The last reward is left out.": (discount**k * x)[:-1].sum(),
                "The weights are discount * k; they should be powers, discount**k.": (
                    discount * k * x
                ).sum(),
                "All rewards have the same factor; each step further away multiplies "
                "by one more.": discount * x.sum(),
                "Those are the discounted rewards one by one; add them up.": discount**k * x,
            },
        )
    return "You have computed your first return."


def check_returns_of_record(attempt) -> str:
    """returns_of_record(rewards, terminated, discount): every G_t of several episodes."""
    drawn = torch.randn(12, generator=generator(1), dtype=torch.float64).tolist()
    ends = torch.rand(12, generator=generator(2)) < 0.3
    ends[-1] = True
    cases = [
        ([1.0, 6.0, 4.0], [False, False, True], 0.5),
        ([1.0, 2.0, 3.0, 4.0], [False, True, False, True], 0.5),
        ([5.0, 6.0], [True, True], 0.9),
        (drawn, ends.tolist(), 0.9),
    ]
    for rewards, terminated, discount in cases:
        flags = "".join("T" if flag else "F" for flag in terminated)
        expect_close(
            attempt(list(rewards), list(terminated), discount),
            _returns(rewards, terminated, discount),
            on=f"the rewards {[round(r, 2) for r in rewards]}, terminated {flags} "
            f"(T true, F false), discount {discount:g}",
            hint="Go backwards: G_t = r_t + discount * G_{t+1}, and G_t = r_t where the "
            "episode ended.",
            mistakes={
                "One episode's rewards leak into the one before: put the return to 0 where "
                "`terminated` is set.": _returns(rewards, [False] * len(rewards), discount),
                "That is what comes out without the discount.": _returns(rewards, terminated, 1.0),
                "The list is the wrong way round: G_0 should be its first entry.": _returns(
                    rewards, terminated, discount
                ).flip(0),
                "The reward of the last step is lost: at an end G_t is r_t, not 0.": _returns(
                    _without_ends(rewards, terminated), terminated, discount
                ),
                "The cut is one step off: `terminated[t]` says that nothing follows after step t. "
                "Put the return to 0 before you use it for step t, not after.": _returns(
                    rewards, [*terminated[1:], True], discount
                ),
                "The discount multiplies the reward, too; it belongs to what follows "
                "only.": discount * _returns(rewards, terminated, discount),
                "Those are discounted sums of the past: the return looks ahead.": _returns(
                    rewards[::-1], [*terminated[::-1][1:], True], discount
                ).flip(0),
            },
        )
    return "That is Eq. (1.2), for any number of episodes in one pass."


def _returns(rewards, terminated, discount: float) -> torch.Tensor:
    returns, following = [], 0.0
    for reward, ended in zip(reversed(rewards), reversed(terminated), strict=True):
        following = reward + (0.0 if ended else discount * following)
        returns.append(following)
    return torch.tensor(returns[::-1], dtype=torch.float64)


def _without_ends(rewards, terminated) -> list[float]:
    return [0.0 if ended else reward for reward, ended in zip(rewards, terminated, strict=True)]


def check_lake_policy(attempt) -> str:
    """lake_policy(): 16 actions that find the gift in half of all episodes at least."""
    actions = _lake_actions(attempt())
    found, lost, walking = _lake_outcome(actions)
    if found >= LAKE_BAR:
        return f"Your walker finds the gift in {found:.1%} of all episodes."
    message = (
        f"On the 4 x 4 lake with its clock of {LAKE_STEPS} steps your walker finds the gift in "
        f"{found:.1%} of all episodes; at least {LAKE_BAR:.0%} is asked."
    )
    (state, hole), most = max(lost.items(), key=lambda item: item[1])
    if walking > most:
        raise WrongAnswer(
            f"{message} It is careful, but in {walking:.1%} it still walks about when the clock "
            "stops: somewhere it turns back instead of going on."
        )
    action = actions[state]
    meant, *_ = [s for _, s, *_ in _lake_rules()[state][action]][1:]
    how = "It walks straight into it" if meant == hole else "It slips"
    raise WrongAnswer(
        f"{message} Most are lost in hole {hole}, from state {state} with action {action} "
        f"({MOVES[action]}): {most:.1%} of all episodes end there. {how}: choose an action none "
        "of whose three outcomes is a hole."
    )


def _lake_actions(result) -> list[int]:
    try:
        actions = torch.as_tensor(result)
    except (TypeError, ValueError, RuntimeError):
        raise WrongAnswer("A list of 16 whole numbers is asked, one action a state.") from None
    if tuple(actions.shape) != (16,):
        shape = tuple(actions.shape)
        raise WrongAnswer(f"A list of 16 actions is asked, one a state; yours has shape {shape}.")
    if actions.is_floating_point() or not ((actions >= 0) & (actions <= 3)).all():
        raise WrongAnswer("Every action must be 0 (left), 1 (down), 2 (right) or 3 (up).")
    return [int(action) for action in actions]


def _lake_rules() -> dict:
    return FrozenLakeEnv().P


def _lake_outcome(actions: list[int]) -> tuple[float, dict[tuple[int, int], float], float]:
    """The probabilities of the goal, of each (state, hole), and of walking on, after the clock."""
    rules, found = _lake_rules(), 0.0
    lost: dict[tuple[int, int], float] = {(0, 0): 0.0}
    here = [1.0] + [0.0] * 15
    for _ in range(LAKE_STEPS):
        there = [0.0] * 16
        for state, mass in enumerate(here):
            for p, reached, _, ended in rules[state][actions[state]] if mass > 0 else ():
                if not ended:
                    there[reached] += mass * p
                elif reached == LAKE_GOAL:
                    found += mass * p
                else:
                    lost[state, reached] = lost.get((state, reached), 0.0) + mass * p
        here = there
    return found, lost, sum(here)


CHECKERS = {
    "1.1": check_discounted_return,
    "1.3": check_returns_of_record,
    "1.4": check_lake_policy,
}
