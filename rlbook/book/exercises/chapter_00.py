"""Checker of chapter 0, Start here: one exercise to get used to exercises."""

import torch

from rlbook.book.exercises.expectations import expect_close

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


CHECKERS = {"0.1": check_first_return}
