"""Checkers of chapter 7, Monte Carlo learning."""

import copy
import math
import random
from numbers import Integral

import gymnasium as gym
import torch

from rlbook.book.exercises.expectations import WrongAnswer, describe, expect_close, expect_true
from rlbook.ground.seeding import generator
from rlbook.planning import blackjack, policy_values


def check_update_mean_and_variance(attempt) -> str:
    """update_mean_and_variance(mean, variance, count, sample): Welford's update."""
    for numbers in ([1.0, 3.0, 8.0], [4.0, 4.0, 4.0, 0.0], [-2.0, 5.0]):
        old, sample = torch.tensor(numbers[:-1], dtype=torch.float64), numbers[-1]
        everything = torch.tensor(numbers, dtype=torch.float64)
        n, mean, variance = len(numbers), float(old.mean()), float(old.var(correction=0))
        m, squares = (
            float(everything.mean()),
            float((everything - everything.mean()).square().sum()),
        )
        expect_close(
            _pair(attempt(mean, variance, n - 1, sample)),
            torch.tensor([m, squares / n], dtype=torch.float64),
            on=f"the samples {numbers[:-1]} and the new sample {sample:g}",
            hint="Compare with the mean and the variance of all the samples, computed anew.",
            mistakes=_welford_slips(mean, variance, n, sample, m, squares),
        )
    mean, variance, shift = 0.0, 0.0, 1e9
    for count, sample in enumerate((shift + 1, shift + 2, shift + 3)):
        mean, variance = _pair(attempt(float(mean), float(variance), count, sample))
    expect_close(
        variance,
        torch.tensor(2 / 3, dtype=torch.float64),
        on="the samples 10^9 + 1, 10^9 + 2, 10^9 + 3, one after the other from count = 0",
        hint="The variance is 2/3 wherever the samples lie. A difference of two huge squares "
        "loses all its digits: work with deviations from the mean.",
        rtol=1e-4,
    )
    return "Exact for any number of samples, and safe far away from zero."


def _welford_slips(mean, variance, n, sample, m, squares) -> dict[str, list[float]]:
    """n samples with the new one; m, squares: their mean, and the sum of squares about it."""
    d = sample - mean
    return {
        "`count` is the number of old samples; with the new one there are count + 1.": (
            _updated(mean, variance, n - 1, sample, n - 1)
        ),
        "Both deviations are taken from the old mean; the second belongs to the new mean.": [
            m,
            ((n - 1) * variance + d * d) / n,
        ],
        "Both deviations are taken from the new mean; the first belongs to the old mean.": [
            m,
            ((n - 1) * variance + (sample - m) ** 2) / n,
        ],
        "The variance is asked with count + 1 in the denominator, that is the sum of "
        "squares over all samples; yours divides by count.": [m, squares / (n - 1)],
        "That is the sum of the squared deviations; divide it by the number of samples.": (
            [m, squares]
        ),
        "That averages the old variance with the squared deviation as if the mean had "
        "not moved, with the step 1 / count.": [m, variance + (d * d - variance) / (n - 1)],
        "The old variance must be multiplied by `count` to be the sum of squares again.": [
            m,
            (variance + d * (sample - m)) / n,
        ],
        "The old variance is a mean over `count` samples; among all count + 1 it weighs less.": [
            m,
            variance + d * (sample - m) / n,
        ],
    }


def _updated(mean, variance, count, sample, n) -> list[float]:
    """The right update, with n in place of count + 1."""
    new = mean + (sample - mean) / n
    return [new, (count * variance + (sample - mean) * (sample - new)) / n]


def _pair(result) -> torch.Tensor:
    return torch.tensor([float(x) for x in result], dtype=torch.float64)


def check_first_visit_values(attempt) -> str:
    """first_visit_values(episodes, num_states, discount)."""
    rng = generator(7)
    small = [([0, 1, 0, 0], [1.0, 2.0, 4.0, 3.0]), ([1], [10.0])]
    words = "the episodes ([0, 1, 0, 0], [1, 2, 4, 3]) and ([1], [10])"
    cases = [
        (small, 3, 1.0, f"{words} with discount 1"),
        (small, 3, 0.5, f"{words} with discount 0.5"),
        (
            [([0, 1, 0, 2], [0.0, 1.0, 0.0, 1.0])],
            4,
            0.7,
            "the episode ([0, 1, 0, 2], [0, 1, 0, 1]), rewards that repeat, with discount 0.7",
        ),
    ]
    randoms = []
    for length in (1, 4, 9, 6):
        states = torch.randint(4, (length,), generator=rng).tolist()
        randoms.append((states, torch.randn(length, generator=rng, dtype=torch.float64).tolist()))
    cases.append((randoms, 5, 0.9, "four random episodes with discount 0.9"))
    for episodes, num_states, discount, on in cases:
        expect_close(
            attempt(copy.deepcopy(episodes), num_states, discount),
            _values(episodes, num_states, discount),
            on=on,
            hint="Compare, state by state, with the list of the returns after first visits.",
            mistakes={
                "That counts every visit: an episode that visits a state twice gives only the "
                "return after its first visit.": (
                    _values(episodes, num_states, discount, visits="every")
                ),
                "That counts the last visit of each episode; going backwards, the first visit "
                "comes last.": _values(episodes, num_states, discount, visits="last"),
                "That is what comes out without the discount.": _values(episodes, num_states, 1.0),
                "Divide by the number of returns of the state, N(s), not by the number of "
                "episodes.": _values(episodes, num_states, discount, divide="episodes"),
                "N(s) counts every visit, and only first visits enter the sum: both must count "
                "the same returns.": _values(episodes, num_states, discount, divide="visits"),
                "That is the sum of the returns; the mean is asked.": (
                    _values(episodes, num_states, discount, divide="nothing")
                ),
                "That is the mean of the rewards; the return also holds all that comes later.": (
                    _values(episodes, num_states, 0.0)
                ),
                "The return goes on from one episode to the next: G starts at 0 in each.": (
                    _values(episodes, num_states, discount, leak=True)
                ),
                "That discounts from the beginning of the episode, gamma^t with the time t of "
                "the reward; the power counts the steps from the visit on.": (
                    _values(episodes, num_states, discount, clock=True)
                ),
            },
        )
    return "Each of these means is unbiased, Eq. (7.8)."


def _values(
    episodes, num_states, discount, *, visits="first", divide="count", leak=False, clock=False
) -> torch.Tensor:
    """Means of returns, and what comes out of the usual mistakes."""
    sums, counts, visited = torch.zeros(3, num_states, dtype=torch.float64)
    G = 0.0
    for states, rewards in episodes:
        G = G if leak else 0.0
        returns: list[float] = []
        for t in reversed(range(len(states))):
            G = discount**t * rewards[t] + G if clock else rewards[t] + discount * G
            returns.insert(0, G)
        for t, s in enumerate(states):
            visited[s] += 1
            seen_before, comes_again = s in states[:t], s in states[t + 1 :]
            if visits == "every" or not (seen_before if visits == "first" else comes_again):
                sums[s] += returns[t]
                counts[s] += 1
    if divide == "nothing":
        return sums
    if divide == "episodes":
        return sums / len(episodes)
    return sums / (visited if divide == "visits" else counts).clamp(min=1)


def check_samples_needed(attempt) -> str:
    """samples_needed(gap, std_1, std_2, z)."""
    for gap, std_1, std_2, z in (
        (0.1, 1.0, 2.0, 1.96),
        (-0.05, 0.8, 0.8, 2.58),
        (0.5, 0, 1, 1),
        (0.0064747, 0.7844, 0.8176, 1.645),
    ):
        exact = (z / gap) ** 2 * (std_1**2 + std_2**2)
        got = attempt(gap, std_1, std_2, z)
        on = f"gap = {gap:g}, std_1 = {std_1:g}, std_2 = {std_2:g}, z = {z:g}"
        expect_close(
            float(got),
            float(math.ceil(exact)),
            on=on,
            hint="Compare with (z / gap)^2 (std_1^2 + std_2^2), rounded up.",
            mistakes={
                "Round up: with fewer samples the interval is wider than the gap.": float(
                    math.floor(exact)
                ),
                "A whole number of samples is asked: round up.": exact,
                "Variances add, standard deviations do not.": float(
                    math.ceil((z / gap) ** 2 * (std_1 + std_2) ** 2)
                ),
                "Those are the standard deviations; the formula needs their squares.": float(
                    math.ceil((z / gap) ** 2 * (std_1 + std_2))
                ),
                "The error falls with the square root of n, so z / gap enters squared.": float(
                    math.ceil(abs(z / gap) * (std_1**2 + std_2**2))
                ),
                "That is negative: only the size of the gap matters, so square it.": float(
                    math.ceil(z / gap * (std_1**2 + std_2**2))
                ),
                "That is the number for one mean; both means are uncertain, and the variances "
                "of both actions count.": float(math.ceil((z / gap) ** 2 * std_1**2)),
                "z is missing, or not squared.": float(math.ceil((std_1**2 + std_2**2) / gap**2)),
            },
        )
        whole = isinstance(got, Integral) and not isinstance(got, bool)
        expect_true(whole, on=on, what="the result should be an int.")
    return "Half the gap takes four times the samples."


class Fair(gym.Env):
    """Twelve stands, of which a visit finds one. Action 0 pays 1 there and ends.

    Stands 0 to 5: action 1 pays 4 or 0, and ends. Stands 6 to 8: action 1 leads to the back room,
    where action 1 pays 8 or 0 and action 0 loses 1. Stands 9 to 11: the same, for a ticket of 4.
    """

    observation_space = gym.spaces.MultiDiscrete([12, 2])
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.rng, self.stand, self.room = random.Random(707), None, 0

    def reset(self, *, seed=None, options=None):
        self.stand, self.room = self.rng.randrange(12), 0
        return (self.stand, 0), {}

    def step(self, action):
        if self.stand is None:
            raise RuntimeError("the episode is over: reset")
        if action not in (0, 1):
            raise ValueError(f"{describe(action)} is no action")
        stand, won = self.stand, self.rng.random() < 0.5
        if not self.room and action and stand > 5:
            self.room = 1
            return (stand, 1), -4.0 if stand > 8 else 0.0, False, False, {}
        prize = (8.0 if self.room else 4.0) * won if action else 1.0 - 2.0 * self.room
        self.stand = None
        return (stand, self.room), prize, True, False, {}


def check_learn(attempt) -> str:
    """learn(env, num_episodes, gamma): Monte Carlo control, {observation: action}."""
    for gamma in (0.9, 0.2):
        on = f"the fair, 30,000 visits, gamma = {gamma:g}"
        choice = _choices(attempt(Fair(), 30_000, gamma), on)
        for stand in range(12):
            if (stand, 0) not in choice:
                raise WrongAnswer(f"On {on}: your dictionary lacks the observation {(stand, 0)}.")
            _judge_stand(choice, stand, gamma, on)
    on = "Blackjack-v1, 100,000 hands, gamma = 1"
    env = gym.make("Blackjack-v1").unwrapped
    vars(env)["_np_random"] = random.Random(708)  # ten times as fast as NumPy's, one by one
    choice = _choices(attempt(env, 100_000, 1.0), on)
    hands = [(hand.player_sum, hand.dealer_card, hand.usable_ace) for hand in blackjack.HANDS]
    policy = torch.tensor([*(choice.get(hand, 0) for hand in hands), 0])
    game = blackjack.blackjack_mdp()
    worth = float(game.start @ policy_values(game.induced_chain(policy)))
    if worth < WORTH:
        raise WrongAnswer(
            f"On {on}: your policy is worth {worth:.3f} a hand, wanted {WORTH}; the best is "
            "-0.043. What makes sure that both actions are tried, often enough, in rare hands?"
        )
    return f"Your policy is worth {worth:.3f} a hand; the best is -0.043."


WORTH = -0.09  # epsilon from 0.05 to 0.2 comes to -0.07 to -0.05, greedy to -0.13


def _choices(got, on: str) -> dict[tuple[int, ...], int]:
    """The dictionary with plain numbers."""
    if not isinstance(got, dict):
        raise WrongAnswer(f"On {on}: a dictionary is asked, observation -> action, not "
                          f"{describe(got)}.")  # fmt: skip
    choice = {}
    for key, action in got.items():
        if not isinstance(key, tuple) or not all(isinstance(x, Integral) for x in key):
            raise WrongAnswer(f"On {on}: the keys should be the observations, such as (3, 0), not "
                              f"{describe(key)}.")  # fmt: skip
        try:
            number = int(action)
        except (TypeError, ValueError):
            number = -1
        if number != action or number not in (0, 1):
            raise WrongAnswer(f"On {on}: the action for {key} should be 0 or 1, not "
                              f"{describe(action)}.")  # fmt: skip
        choice[tuple(int(x) for x in key)] = number
    return choice


def _judge_stand(choice, stand: int, gamma: float, on: str) -> None:
    """Raise if the choice at a stand, or in its back room, is the worse one."""
    front, back = choice[stand, 0], choice.get((stand, 1))
    risky = 2.0 if stand < 6 else (4.0 * gamma if stand < 9 else 4.0 * gamma - 4.0)
    goes_on = 5 < stand and risky > 1
    if goes_on and (back == 0 or (front and back is None)):
        said = "nothing" if back is None else "0"
        raise WrongAnswer(
            f"On {on}: in the back room, ({stand}, 1), action 1 pays 4 on average, and action 0 "
            f"loses 1. Your dictionary says {said}. Is every observation learned from in which "
            "you had to act?"
        )
    if front != int(risky > 1):
        raise WrongAnswer(
            f"On {on}: at stand {stand} action 0 pays 1, and action 1 is worth {risky:.1f}, if one "
            f"goes on well. You choose {front}. " + _why_stand(stand, front)
        )


def _why_stand(stand: int, front: int) -> str:
    if not front:
        return (
            "Action 1 sometimes pays nothing at first. Does your agent go on trying it? "
            "A greedy one leaves it for ever."
        )
    if stand > 8:
        return "There is a ticket to pay on the way: a return is the sum of all later rewards."
    return "The prize comes one step later: is it discounted?"


CHECKERS = {
    "7.6": check_update_mean_and_variance,
    "7.2": check_first_visit_values,
    "7.1": check_samples_needed,
    "7.4": check_learn,
}
