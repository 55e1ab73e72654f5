"""Checkers of chapter 10, SARSA."""

import random

import gymnasium as gym
import torch

from rlbook.book.exercises.expectations import (
    WrongAnswer,
    describe,
    expect_close,
    expect_shape,
)
from rlbook.formulas.exploration import epsilon_greedy_policy
from rlbook.ground.seeding import generator
from rlbook.tabular.evaluation import evaluate_policies
from rlbook.tabular.tasks import tabular_task


def check_expected_sarsa_target(attempt) -> str:
    """expected_sarsa_target(rewards, next_q, terminated, epsilon, discount): (B,)."""
    rng, nothing = generator(1002), torch.tensor([False] * 6)
    some = torch.tensor([False, True, False, True, True, False])
    for words, epsilon, discount, terminated, dead, num_actions in (
        ("six transitions, none terminal, epsilon 0.2", 0.2, 0.9, nothing, 0.0, 4),
        ("transitions of which three are terminal", 0.2, 0.9, some, 5.0, 4),
        ("five transitions with three actions each, epsilon 0.4", 0.4, 0.7, some[:5], 5.0, 3),
        ("transitions with NaN behind the terminations", 0.2, 0.9, some, torch.nan, 4),
        ("epsilon 0, the greedy policy", 0.0, 0.8, some, 5.0, 4),
        ("epsilon 1, the uniform policy", 1.0, 0.8, some, 5.0, 4),
        ("numbers that are all negative", 0.3, 0.95, some, 5.0, 5),
    ):
        rewards = torch.randn(len(terminated), generator=rng, dtype=torch.float64)
        q = torch.randn(len(terminated), num_actions, generator=rng, dtype=torch.float64)
        q[0, :3] = torch.tensor([2.0, 2.0, -1.0])  # two best actions
        q -= 9.0 * ("negative" in words)
        q[terminated] = dead
        value = (1 - epsilon) * q.amax(1) + epsilon * q.mean(1)

        def target(value, discount=discount, rewards=rewards, terminated=terminated):
            return rewards + discount * torch.where(terminated, 0.0, value)

        expect_close(
            attempt(rewards, q, terminated, epsilon, discount),
            target(value),
            on=words,
            hint="r + discount [(1 - epsilon) max Q + epsilon mean Q]; at a termination r alone. "
            "Are epsilon, the discount and the number of actions those of the call?",
            mistakes=_expected_sarsa_slips(target, rewards, q, terminated, epsilon, discount),
        )
    return "The same mean as SARSA's target, without the noise of the next action."


def _expected_sarsa_slips(target, rewards, q, terminated, epsilon, discount) -> dict:
    """What usual mistakes give; target(value): the right one for a value of the next state."""
    best, mean = q.amax(1), q.mean(1)
    value = (1 - epsilon) * best + epsilon * mean
    others = (q.sum(1) - best) / (q.shape[1] - 1)
    return {
        "The mask is a product, and 0 times NaN is NaN: choose with torch.where.": (
            rewards + discount * value * ~terminated
        ),
        "The terminal mask is missing: behind a termination nothing follows, whatever "
        "next_q holds.": rewards + discount * value,
        "The discount is missing.": target(value, discount=1.0),
        "That is Q-learning's target: the maximum, without the share of the random action.": target(
            best
        ),
        "That is the target of the uniform policy: the greedy share is missing.": (target(mean)),
        "The weights are swapped: epsilon belongs to the mean, 1 - epsilon to the maximum.": target(
            epsilon * best + (1 - epsilon) * mean
        ),
        "The random action may be the greedy one too: the mean runs over all actions, "
        "not over the others only.": target((1 - epsilon) * best + epsilon * others),
        "Two best actions share 1 - epsilon; they do not get it each.": target(
            (1 - epsilon) * best * (q == best[:, None]).sum(1) + epsilon * mean
        ),
        "The mask is the wrong way round.": (
            rewards + discount * torch.where(terminated, value, 0.0)
        ),
        "The random action's share is a sum; divide it by the number of actions.": (
            target((1 - epsilon) * best + epsilon * q.sum(1))
        ),
        "The reward of a terminal step is lost: there the target is r, not 0.": (
            target(value) * ~terminated
        ),
    }


def _dyna(q, steps, replays, alpha, discount, mistake: str = "") -> torch.Tensor:
    """Dyna-Q, or one of its usual mistakes."""
    q, later = q.clone(), []
    model: dict[tuple[int, int], list] = {}

    def update(s, a, r, s_next, terminated):
        masked = terminated and mistake != "mask"
        value = 0.0 if masked else q[s_next].max()
        value = max(value, torch.zeros(())) if mistake == "floor" else value
        lost = 1.0 if mistake == "discount" else discount
        q[s, a] += alpha * (r + lost * value - q[s, a])

    for step, pairs in zip(steps, replays, strict=True):
        (s, a, *outcome), know = step, mistake == "first"
        if mistake != "planning only":
            update(*step)
        model[s, a] = model.get((s, a), outcome) if know else outcome
        if mistake == "no planning":
            continue
        for pair in pairs:
            remembered = outcome if mistake == "last outcome" else model[pair]
            if mistake == "forgotten end":
                remembered = [*model[pair][:2], False]
            if mistake == "afterwards":
                later.append((*pair, *remembered))
            else:
                update(*pair, *remembered)
    for step in later:
        update(*step)
    return q


DYNA_SLIPS = {
    "The replays do nothing: that is Q-learning without planning.": "no planning",
    "The real step itself is not learned from, only the replays.": "planning only",
    "The terminal mask is missing: behind a termination nothing follows, whatever the row "
    "of the end holds.": "mask",
    "The model forgets that a step ended the episode: store `terminated` too.": ("forgotten end"),
    "The model keeps the first outcome of a pair; the newest should replace it.": "first",
    "The replays use the outcome of the last real step for every pair; each pair has its "
    "own in the model.": "last outcome",
    "The replays come after all real steps; they belong after each of them.": "afterwards",
    "The discount is missing.": "discount",
    "All numbers of a row may be negative; the maximum may be, too. It has no floor at 0.": "floor",
}


def check_dyna_q(attempt) -> str:
    """dyna_q(Q, steps, replays, alpha, discount): the table after learning and planning."""
    way = [(0, 0, -1.0, 1, False), (1, 1, -1.0, 2, False), (2, 0, 5.0, 3, True)]
    changed = [(0, 0, 0.5, 1, False), (0, 0, 2.0, 2, False), (2, 1, 1.0, 3, True)]
    rng = generator(1003)
    noise = torch.randn(4, 2, generator=rng, dtype=torch.float64)
    noise[3] = 7.0  # the end: its row must not enter
    cases: tuple[tuple[str, torch.Tensor, list, list], ...] = (
        ("three steps, no replays", torch.zeros(4, 2, dtype=torch.float64), way, [[], [], []]),
        (
            "a table of zeros, and replays backwards from the goal",
            torch.zeros(4, 2, dtype=torch.float64),
            way,
            [[], [(0, 0)], [(1, 1), (0, 0)]],
        ),
        (
            "a random table, and many replays",
            noise,
            way,
            [[(0, 0)], [(1, 1), (0, 0)], [(2, 0), (1, 1), (0, 0), (2, 0)]],
        ),
        (
            "a world that changes: pair (0, 0) leads elsewhere the second time",
            noise,
            changed,
            [[(0, 0)], [(0, 0)], [(0, 0), (2, 1)]],
        ),
        (
            "a table of negative numbers, and five actions",
            torch.randn(4, 5, generator=rng, dtype=torch.float64) - 9.0,
            way,
            [[(0, 0)], [(0, 0), (1, 1)], [(1, 1), (0, 0)]],
        ),
    )
    for words, q, steps, replays in cases:
        for alpha, discount in ((0.5, 0.9), (0.25, 0.5)):
            arguments = (steps, replays, alpha, discount)
            expect_close(
                attempt(q.clone(), *arguments),
                _dyna(q, *arguments),
                on=f"{words} (alpha {alpha:g}, discount {discount:g})",
                hint="After each real step: update, store, then replay in the order given. Are "
                "alpha and the discount those of the call?",
                mistakes={why: _dyna(q, *arguments, slip) for why, slip in DYNA_SLIPS.items()},
            )
    return "Every step of the world is now used many times."


class Quay(gym.Env):
    """A small cliff: a start at the lower left, the sea beside it, a ship at the lower right.

    Three rows. Actions: 0 up, 1 right, 2 down, 3 left, each for a reward of -1. A step into the sea
    costs `fall` and leads back to the start. Boarding the ship ends the episode; the ship has no
    number, and what comes with the end is the cell that was left. An episode begins in any dry cell
    and is cut after LIMIT steps.
    """

    LIMIT = 9
    action_space = gym.spaces.Discrete(4)

    def __init__(self, columns: int, fall: float):
        self.columns, self.fall = columns, fall
        self.observation_space = gym.spaces.Discrete(3 * columns - 1)
        self.start, self.ship = 2 * columns, 3 * columns - 1
        self.sea = range(self.start + 1, self.ship)
        self.rng, self.left, self.steps = random.Random(1002), 0, 0

    def reset(self, *, seed=None, options=None):
        self.cell, self.left = self.rng.choice(self.dry()), self.LIMIT
        return self.cell, {}

    def dry(self) -> list[int]:
        return [s for s in range(self.ship) if s not in self.sea]

    def after(self, cell: int, action: int) -> tuple[int, float, bool]:
        """Where a step leads, its reward, and whether it boards the ship."""
        row, column = divmod(cell, self.columns)
        down, right = ((-1, 0), (0, 1), (1, 0), (0, -1))[action]
        row, column = min(max(row + down, 0), 2), min(max(column + right, 0), self.columns - 1)
        entered = row * self.columns + column
        if entered in self.sea:
            return self.start, -self.fall, False
        return (cell, -1.0, True) if entered == self.ship else (entered, -1.0, False)

    def step(self, action):
        if self.left < 1:
            raise RuntimeError("the episode is over, by its end or by the time limit: reset")
        if action not in range(4):
            raise ValueError(f"{describe(action)} is no action")
        self.steps += 1
        self.cell, reward, boards = self.after(self.cell, action)
        self.left = 0 if boards else self.left - 1
        return self.cell, reward, boards, self.left == 0 and not boards, {}


def quay_values(
    columns: int, fall: float, hand: float, discount: float, mask: bool = True
) -> torch.Tensor:
    """Eq. (10.3) on a quay: the table (S, A) for a hand that trembles so often, by sweeps."""
    quay = Quay(columns, fall)
    steps = [[quay.after(s, a) for a in range(4)] for s in range(quay.ship)]
    entered = torch.tensor([[there for there, _, _ in row] for row in steps])
    rewards = torch.tensor([[r for _, r, _ in row] for row in steps], dtype=torch.float64)
    goes_on = torch.tensor([[not (boards and mask) for _, _, boards in row] for row in steps])
    q = torch.zeros_like(rewards)
    for _ in range(1500):
        v = (1 - hand) * q.amax(1) + hand * q.mean(1)
        q = rewards + discount * v[entered] * goes_on
    return q


def check_rehearse(attempt) -> str:
    """rehearse(env, num_steps, behaviour, hand, discount): the table for another hand."""
    for columns, fall, behaviour, hand, discount in (
        (5, 20.0, 0.6, 0.1, 0.95),
        (4, 10.0, 0.3, 0.7, 0.8),
        (6, 30.0, 0.5, 0.0, 0.9),
    ):
        on = (
            f"a quay of 3 x {columns} cells, a fall costs {fall:g}, cut after {Quay.LIMIT} steps, "
            f"behaviour {behaviour:g}, hand {hand:g}, discount {discount:g}"
        )
        quay = Quay(columns, fall)
        q = _rows(attempt(quay, 30_000, behaviour, hand, discount), (quay.ship, 4), on)
        if quay.steps != 30_000:
            raise WrongAnswer(f"On {on}: num_steps is 30000, and you took {quay.steps} steps.")
        dry = quay.dry()
        right = quay_values(columns, fall, hand, discount)
        off = (q - right)[dry].abs()
        if off.max() > 0.3:
            cell, action = divmod(int(off.argmax()), 4)
            s = dry[cell]
            why = _why_another_hand(q, right, (columns, fall), (behaviour, hand, discount), dry)
            raise WrongAnswer(
                f"On {on}: entry [{s}, {action}] should be {right[s, action]:.2f}, yours is "
                f"{q[s, action]:.2f}. {why}"
            )
    on = "CliffWalking-v1, 150,000 steps, behaviour 0.5, hand 0.1, discount 1"
    q = _rows(attempt(gym.make("CliffWalking-v1"), 150_000, 0.5, 0.1, 1.0), (48, 4), on)
    cliff = tabular_task("CliffWalking-v1", discount=1.0)
    with_end = torch.cat([q, torch.zeros(1, 4, dtype=torch.float64)])
    policy = epsilon_greedy_policy(with_end, 0.1)
    earned = float(evaluate_policies(cliff, policy.unsqueeze(0)).returns)
    if earned < BEST_ON_THE_CLIFF - 0.05:
        raise WrongAnswer(
            f"On {on}: your table earns {earned:.2f} with the trembling hand; {BEST_ON_THE_CLIFF} "
            "is possible. The small quays were right, so some entries have not arrived yet: "
            "nothing in this target is random. How fast may it be believed?"
        )
    return (
        f"On the cliff your table earns {earned:.2f}: rehearsed with one hand, ready for another."
    )


BEST_ON_THE_CLIFF = -20.71  # for epsilon 0.1; the chapter computes it


def _rows(got, shape: tuple[int, int], on: str) -> torch.Tensor:
    hint = "One row for each state, one column for each action: env.observation_space.n, "
    return expect_shape(got, shape, on=on, hint=hint + "env.action_space.n.").double()


def _why_another_hand(
    q: torch.Tensor,
    right: torch.Tensor,
    world: tuple[int, float],
    settings: tuple[float, float, float],
    dry: list[int],
) -> str:
    """The nearest of what usual mistakes learn, if it is much nearer than what is right."""
    behaviour, hand, discount = settings

    def far(table) -> float:
        return float((q - table)[dry].abs().mean())

    learned = {
        "That is the table for the hand of the rehearsal: your target averages over the "
        "behaviour, or waits for what it does next. On duty another hand acts.": quay_values(
            *world, behaviour, discount
        ),
        "That is Q-learning's table, for a hand that never trembles.": quay_values(
            *world, 0.0, discount
        ),
        "That is what comes out without the discount.": quay_values(*world, hand, 1.0),
        "That is the table for a hand that always trembles: where is the greedy share?": (
            quay_values(*world, 1.0, discount)
        ),
        "A slip takes any action, the best one too: the mean runs over all actions.": quay_values(
            *world, 4 / 3 * hand, discount
        ),
        "The weights are swapped: `hand` belongs to the mean, 1 - hand to the maximum.": (
            quay_values(*world, 1 - hand, discount)
        ),
        "The step that ends an episode has a target of its own: r alone, whatever the table says "
        "about the state that comes with it.": quay_values(*world, hand, discount, mask=False),
    }
    why, table = min(learned.items(), key=lambda item: far(item[1]))
    if far(table) < 0.4 * far(right):
        return why
    if (q - right)[dry].mean() > 0.05:
        return (
            "On average too high. Is a step that only the time limit cuts taken for an end? It "
            "needs a reset, but its target keeps the second term. Or is something drawn that you "
            "could average? And does the robot explore with `behaviour`?"
        )
    return (
        "The world is not random, so nothing in the target need be: is everything averaged that "
        "you know, and alpha large enough? Are behaviour, hand and discount those of the call?"
    )


CHECKERS = {
    "10.3": check_expected_sarsa_target,
    "10.5": check_dyna_q,
    "10.4": check_rehearse,
}
