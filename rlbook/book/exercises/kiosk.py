"""The checker of Exercise 9.8: an environment that the reader writes, a kiosk that sells ice."""

import random
from itertools import product

import gymnasium as gym
import torch

from rlbook.book.exercises.expectations import NotAttempted, WrongAnswer, describe
from rlbook.planning.mdp import MDP
from rlbook.tabular.control_loop import ControlConfig
from rlbook.tabular.evaluation import greedy_returns
from rlbook.tabular.schedules import one_over_n
from rlbook.tabular.tasks import TabularTask, tabular_task
from rlbook.tabular.td_control import q_learning

MONTH, FITS = 30, 6  # days; bags in the freezer
DELIVERY = "The car costs 3, however many bags it brings, and nothing on a day without an order."
REWARDS = {  # what usual mistakes pay for a step, by bags at dawn, ordered, sold, and left at night
    DELIVERY: lambda bags, a, sold, left: 5 * sold - 2 * a - left,
    DELIVERY + " ": lambda bags, a, sold, left: 5 * sold - 2 * a - 3 - left,
    "Each bag left in the evening costs 1.": lambda bags, a, sold, left: (
        5 * sold - 2 * a - 3 * (a > 0)
    ),
    "Only what is left in the evening costs 1, after the day's sales.": (
        lambda bags, a, sold, left: 5 * sold - 2 * a - 3 * (a > 0) - left - sold
    ),
    "What does not fit melts, and is paid all the same: 2 for each bag that was ordered.": (
        lambda bags, a, sold, left: 5 * sold - 2 * (left + sold - bags) - 3 * (a > 0) - left
    ),
    "A bag is bought for 2 and sold for 5: only the sale was paid.": (
        lambda bags, a, sold, left: 5 * sold - 3 * (a > 0) - left
    ),
}


def check_kiosk(attempt) -> str:
    """Kiosk(): the environment of the exercise; if it is right, q_learning learns it by step()."""
    env = attempt()
    if isinstance(env, gym.Env) and type(env).step is gym.Env.step:
        raise NotAttempted
    _expect(isinstance(env, gym.Env), "Kiosk() should be a gym.Env: `class Kiosk(gym.Env):`.")
    for name, n in (("observation_space", FITS + 1), ("action_space", 4)):
        _expect(
            getattr(env, name, None) == gym.spaces.Discrete(n),
            f"`{name}` should be gym.spaces.Discrete({n}).",
        )
    one, again = (_month(attempt(), seed=1) for _ in range(2))
    _expect(
        one == again,
        "The same seed gave two different months. Call super().reset(seed=seed) in `reset`, and "
        "draw the customers' wish from self.np_random.",
    )
    env = attempt()
    steps = [step for month in range(60) for step in _month(env, seed=None if month else 2)]
    _check_days(steps)
    task = tabular_task(attempt.function, discount=0.95, model=False)
    config = ControlConfig(num_steps=10_000, step_size=one_over_n(0.7), epsilon=0.3)
    learned = q_learning(task, config, num_runs=3, progress=False).q
    month = TabularTask(_kiosk_model(), MONTH)
    earned, orders = float(greedy_returns(month, learned).max()), learned[0].argmax(1).tolist()
    return (
        f"Q-learning has seen nothing of it but `step`, and earns {earned:.1f} a month. No table "
        f"earns more than 41.4. It orders {orders} bags if 0, 1, ..., 6 are left."
    )


def _expect(right: bool, otherwise: str) -> None:
    if not right:
        raise WrongAnswer(otherwise)


def _month(env: gym.Env, seed: int | None) -> list[tuple[int, int, int, float]]:
    """A month of orders at random: bags at dawn, ordered, left at night, and the reward."""
    rng, steps = random.Random(908), []
    bags = _answer(lambda: env.reset(seed=seed), "reset(seed=...)", 2)[0]
    _expect(bags == 0, f"A month should begin with an empty freezer, not with {describe(bags)}.")
    for day in range(1, MONTH + 1):
        order = rng.randrange(4)
        left, reward, terminated, truncated, _ = _answer(
            lambda order=order: env.step(order), f"step({order})", 5
        )
        where = f"After {bags} bags at dawn and an order of {order}"
        _expect(left in range(FITS + 1), f"{where}, {describe(left)} were left: 0 to 6 can be.")
        there = min(bags + order, FITS)
        _expect(there >= left, f"{where}, {left} were left: more than there were to sell.")
        _expect(there - left <= 3, f"{where}, {there - left} were sold; nobody asks for over 3.")
        _expect(
            not terminated,
            "`terminated` says that nothing follows. The kiosk opens again tomorrow: the end of "
            "the month is a cut, `truncated`.",
        )
        _expect(
            bool(truncated) == (day == MONTH),
            f"On day {day} since reset, `truncated` was {truncated}: it should be True on day 30, "
            "and on no other. Does the count begin again in `reset`?",
        )
        steps.append((int(bags), order, int(left), reward))
        bags = left
    return steps


def _answer(call, words: str, values: int) -> tuple:
    try:
        answer = call()
    except Exception as error:
        raise WrongAnswer(f"{words} raised {type(error).__name__} ({error}).") from None
    _expect(
        isinstance(answer, tuple) and len(answer) == values,
        f"{words} should return {values} values, as Gymnasium asks, not {describe(answer)}.",
    )
    return answer


def _check_days(steps: list[tuple[int, int, int, float]]) -> None:
    """The rewards, and the customers' wishes, of many days."""
    days = [(bags, a, min(bags + a, FITS) - left, left) for bags, a, left, _ in steps]
    paid = [reward for *_, reward in steps]
    right = [5 * sold - 2 * a - 3 * (a > 0) - left for _, a, sold, left in days]
    for why, rule in REWARDS.items():
        wrong = [rule(*day) for day in days]
        _expect(paid != wrong or paid == right, why.strip())
    for (bags, a, sold, left), got, wanted in zip(days, paid, right, strict=True):
        _expect(
            got == wanted,
            f"With {bags} bags at dawn, {a} ordered, {sold} sold and {left} left, the reward "
            f"should be {wanted}, yours is {describe(got)}.",
        )
    full = [sold for bags, a, sold, _ in days if min(bags + a, FITS) >= 3]
    shares = [full.count(wish) / len(full) for wish in range(4)]
    _expect(
        max(abs(share - 0.25) for share in shares) < 0.07,
        "Customers should want 0, 1, 2 or 3 bags equally often. Where there were enough, yours "
        f"bought so many with frequencies {describe(shares)}.",
    )


def _kiosk_model() -> MDP:
    transition = torch.zeros(FITS + 1, 4, FITS + 1, dtype=torch.float64)
    reward = torch.zeros(FITS + 1, 4, dtype=torch.float64)
    for bags, a, wish in product(range(FITS + 1), range(4), range(4)):
        there = min(bags + a, FITS)
        sold = min(there, wish)
        transition[bags, a, there - sold] += 0.25
        reward[bags, a] += 0.25 * (5 * sold - 2 * a - 3 * (a > 0) - (there - sold))
    start = torch.eye(FITS + 1, dtype=torch.float64)[0]
    return MDP.from_arrays(transition, reward, discount=0.95, start=start)
