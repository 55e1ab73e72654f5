"""Checkers of chapter 0, Start here: one exercise to get used to exercises, and Q-learning."""

import random
from collections.abc import Callable

import torch

from rlbook.book.exercises.expectations import WrongAnswer, expect_close, expect_shape

CASES = (  # rewards, discount
    ((2.0, 3.0, 6.0), 0.5),  # tells all the mistakes below apart
    ((3.0, -1.0, 4.0, 1.0, -5.0), 0.9),
    ((2.0, 7.0), 0.0),
    ((5.0,), 0.9),
)


def check_first_return(attempt) -> str:
    """first_return(rewards, discount): G_0 of one episode."""
    for given, discount in CASES:
        rewards = torch.tensor(given, dtype=torch.float64)
        steps = torch.arange(len(rewards), dtype=torch.float64)
        weights = discount**steps
        right = (weights * rewards).sum()
        last_to_first = torch.flip(rewards, (0,))
        words = ", ".join(f"{r:g}" for r in given)
        expect_close(
            attempt(rewards, discount),
            right,
            on=f"rewards {words} with discount {discount:g}",
            hint="Compare with Eq. (0.1): the reward that is k steps away has the weight gamma^k.",
            mistakes={
                "That is the sum without the discount.": rewards.sum(),
                "Every weight has one gamma too many: r_0 is not discounted.": discount * right,
                "That is what comes out if one power of gamma stands in front of every reward: "
                "the power counts the steps to each reward.": discount * rewards.sum(),
                "The weights run the wrong way: the first reward should count most.": (
                    weights * last_to_first
                ).sum(),
                "That is the average; the return is the sum.": right / len(rewards),
                "The last reward is missing.": (weights * rewards)[:-1].sum(),
                "The first reward is missing.": (weights * rewards)[1:].sum(),
                "Only the first reward is there: does `return` stand inside the loop?": rewards[0],
                "Only the last reward is there: a sum needs `+=` in the place of `=`.": (
                    weights * rewards
                )[-1],
                "A reward k steps away has gamma to the power k, not gamma times k.": (
                    discount * steps * rewards
                ).sum(),
                "All later rewards have the same gamma; each step further away multiplies "
                "by one more.": rewards[0] + discount * rewards[1:].sum(),
                "Those are the discounted rewards one by one; add them up.": weights * rewards,
            },
        )
    return "You are ready for Chapter 1."


EPISODES, PATIENCE = 400, 100_000
ROWS = "One row for each cell, with two numbers: left, right."


class Corridor:
    """Cells in a row, the start at the left end, the prize at the right end: what `learn` walks in.

    A call of `step` that the rules do not allow ends the walk, and `problem` says why.
    """

    def __init__(self, cells: int, prize: float):
        self.end, self.prize = cells - 1, prize
        self.at, self.episodes, self.steps, self.problem = 0, 0, 0, ""
        self.tried: set[tuple[int, int]] = set()

    def step(self, s: int, a: int) -> tuple[int, float, bool]:
        """The next cell, what the step paid, and whether the episode has ended."""
        self.steps += 1
        if s != self.at:
            where = f"{s}, which is the end" if s == self.end else f"{s}"
            self._stop(
                f"You called step from cell {where}, but the mouse is in cell {self.at}. After a"
                " step go on from the cell that it led to, after an end from cell 0."
            )
        if a not in (0, 1):
            self._stop(f"You called step with the action {a!r}; it is 0 for left, 1 for right.")
        if self.steps > PATIENCE:
            self._stop(
                f"After {PATIENCE:,} steps your mouse has ended {self.episodes} episodes, and still"
                " walks. Does it take a random direction three times in ten? And does it stop"
                " after the last episode?"
            )
        self.tried.add((s, a))
        s_next = s + 1 if a == 1 else max(s - 1, 0)
        ended = s_next == self.end
        self.episodes += ended
        self.at = 0 if ended else s_next
        return s_next, self.prize if ended else 0.0, ended

    def _stop(self, problem: str):
        self.problem = problem
        raise RuntimeError(problem)

    def numbers(self, gamma: float) -> torch.Tensor:
        """(cells, 2): the right numbers, 0 in the end."""
        right = [self.prize * gamma ** (self.end - 1 - s) for s in range(self.end)]
        left = [gamma * right[max(s - 1, 0)] for s in range(self.end)]
        return torch.tensor([*zip(left, right, strict=True), (0.0, 0.0)], dtype=torch.float64)


def check_learn(attempt: Callable) -> str:
    """learn(step, cells, episodes, gamma): Q-learning in a corridor, from a blank page."""
    luck = random.getstate(), torch.get_rng_state()
    try:
        _one_episode(attempt)
        _a_corridor(attempt, cells=5, prize=8.0, gamma=0.5)
        _a_corridor(attempt, cells=4, prize=10.0, gamma=0.9)
    finally:
        random.setstate(luck[0])
        torch.set_rng_state(luck[1])
    return "The numbers flow back from the prize. This is Q-learning, the whole of it."


def _walk(attempt: Callable, cells: int, prize: float, episodes: int, gamma: float):
    """What an attempt learns, (cells, 2), where, and the corridor in words."""
    random.seed(0)
    torch.manual_seed(0)
    world = Corridor(cells, prize)
    many = "1 episode" if episodes == 1 else f"{episodes} episodes"
    on = f"a corridor of {cells} cells, prize {prize:g}, gamma {gamma:g}, {many}"
    try:
        got = attempt(world.step, cells, episodes, gamma)
    except WrongAnswer:
        if world.problem:
            raise WrongAnswer(f"On {on}: {world.problem}") from None
        raise
    return expect_shape(got, (cells, 2), on=on, hint=ROWS).double(), world, on


def _one_episode(attempt: Callable) -> None:
    """Two cells: only the step into the end changes a number, half of the way to the prize."""
    q, world, on = _walk(attempt, 2, 8.0, 1, 0.5)
    if q.any() and torch.equal(q[0], q[1]):
        raise WrongAnswer(
            f"On {on}: both cells have the same numbers. `[[0, 0]] * cells` is one list, many"
            " times; write `[[0, 0] for _ in range(cells)]`."
        )
    if world.steps and q[1].abs().max() > 0:
        raise WrongAnswer(
            f"On {on}: cell 1 has a number, but it is the end. A step changes the number of the"
            " cell that it leaves, in the direction that it took."
        )
    expect_close(
        q[0, 1],
        torch.tensor(4.0, dtype=torch.float64),
        on=f"{on}, the number of cell 0 for right",
        hint="Move the old number, 0, half of the way to the target, 8.",
        mistakes={
            "That is the target. Move only half of the way to it.": torch.tensor(8.0),
            "No step has changed it. Is the update made before the episode is over?": (
                torch.tensor(0.0)
            ),
        },
    )


def _a_corridor(attempt: Callable, cells: int, prize: float, gamma: float) -> None:
    """Many episodes: the numbers must be right, and the mouse must have tried everything."""
    q, world, on = _walk(attempt, cells, prize, EPISODES, gamma)
    if world.episodes != EPISODES:
        raise WrongAnswer(f"On {on}: your mouse has ended {world.episodes} of them.")
    if untried := [s for s in range(world.end) if (s, 0) not in world.tried]:
        raise WrongAnswer(
            f"On {on}: your mouse has never gone left in cell {untried[0]}. Three times in ten it"
            " should take a random direction, whatever the numbers say."
        )
    right = world.numbers(gamma)
    if (q - right).abs().max() < 1e-5:
        return
    inner = q[: world.end - 1]  # without the cell before the end, and the end
    if inner.abs().max() == 0:
        said = "The target lacks the number of the next cell, so nothing flows back."
    elif (q[: world.end] - prize).abs().max() < 1e-5:
        said = "All are alike, near the prize and far from it: is gamma in the target?"
    elif (q > right + 1e-5).any():
        said = "Some are too high: the target is what was paid, plus gamma times one number."
    else:
        said = (
            "Some are too low: which number of the next cell flows back? The larger of its two,"
            " whichever direction the mouse takes next."
        )
    s = int((q - right).abs().amax(-1).argmax())
    (want_left, want_right), (left, its_right) = right[s].tolist(), q[s].tolist()
    raise WrongAnswer(
        f"On {on}: cell {s} should have {want_left:.4g} for left and {want_right:.4g} for right,"
        f" yours has {left:.4g} and {its_right:.4g}. {said}"
    )


CHECKERS = {"0.1": check_first_return, "0.2": check_learn}
