"""Checkers of chapter 1, RL basics."""

import numpy as np
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
        ([2.0, 0.0, 2.0, 0.0, 1.0], 0.8),
        (drawn, 0.9),
    ]
    for rewards, discount in cases:
        x = torch.tensor(rewards, dtype=torch.float64)
        k = torch.arange(len(x), dtype=torch.float64)
        expect_close(
            _widened(attempt(list(rewards), discount)),
            (discount**k * x).sum(),
            atol=1e-5,
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
                "Two rewards are equal here, and `rewards.index` finds the first of them: take "
                "the place from `enumerate`.": sum(
                    discount ** rewards.index(r) * r for r in rewards
                ),
            },
        )
    return "You have computed your first return."


def _widened(result):
    """Torch's and NumPy's numbers in double precision: a list of floats has no dtype to keep."""
    if isinstance(result, torch.Tensor):
        return result.to(torch.float64)
    return result.astype(np.float64) if isinstance(result, np.ndarray) else result


def check_returns_of_record(attempt) -> str:
    """returns_of_record(rewards, terminated, discount): every G_t of several episodes."""
    drawn = torch.randn(12, generator=generator(1), dtype=torch.float64).tolist()
    ends = torch.rand(12, generator=generator(2)) < 0.3
    ends[-1] = True
    cases = [
        ([1.0, 6.0, 4.0], [False, False, True], 0.5),
        ([1.0, 2.0, 3.0, 4.0], [False, True, False, True], 0.5),
        ([5.0, 6.0], [True, True], 0.9),
        ([2.0, 1.0, 2.0, 1.0], [False, False, False, True], 0.8),
        (drawn, ends.tolist(), 0.9),
    ]
    for rewards, terminated, discount in cases:
        flags = "".join("T" if flag else "F" for flag in terminated)
        expect_close(
            _widened(attempt(list(rewards), list(terminated), discount)),
            _returns(rewards, terminated, discount),
            atol=1e-5,
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
    if not torch.isin(actions, torch.arange(4)).all():
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


PATIENCE = 1_000  # steps of one walk


class World:
    """A table of deterministic or random steps, in the form of a Gymnasium environment.

    A call that the loop of Section 1.1 does not make ends the walk, and `problem` says why.
    """

    def __init__(self, table: dict, clock: int | None = None):
        self.table, self.clock = table, clock  # state -> for each action (p, next, reward, ended)
        self.rng = np.random.default_rng(7)
        self.walks, self.t, self.over, self.problem = 0, 0, True, ""
        self.state = 0

    def reset(self, **_) -> tuple[int, dict]:
        self.walks += 1
        self.state, self.t, self.over = 0, 0, False
        return 0, {}

    def step(self, action) -> tuple[int, float, bool, bool, dict]:
        if self.over:
            why = "a walk ends when it is terminated, or truncated" if self.walks else ""
            self._stop(f"You called step when no walk was going on. Call reset first; {why}.")
        if self.t == PATIENCE:
            self._stop(
                f"One walk has gone on for {PATIENCE:,} steps. The first action is given for the "
                "first step only; then the policy chooses, also when the walk is back at the start."
            )
        outcomes = self.table[self.state][int(action)]
        chosen = self.rng.choice(len(outcomes), p=[p for p, *_ in outcomes])
        _, self.state, reward, terminated = outcomes[chosen]
        self.t += 1
        truncated = self.t == self.clock
        self.over = terminated or truncated
        return self.state, reward, terminated, truncated, {}

    def _stop(self, problem: str):
        self.problem = problem
        raise RuntimeError(problem)


FORK = {  # three first actions; the policy comes back to the start, where it chooses the third
    0: [[(1.0, 1, 1.0, False)], [(1.0, 0, 2.0, False)], [(1.0, 2, 4.0, False)]],
    1: [[(1.0, 2, 8.0, False)], [(1.0, 0, 0.5, False)], [(1.0, 3, 16.0, True)]],
    2: [[(1.0, 3, -16.0, True)], [(1.0, 3, 32.0, True)], [(1.0, 1, 64.0, False)]],
}
FORK_POLICY = ((0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 0, 0))
CIRCLE = {  # it never ends, but for the clock
    0: [[(1.0, 0, 1.0, False)], [(1.0, 1, 2.0, False)]],
    1: [[(1.0, 0, 3.0, False)], [(1.0, 1, 5.0, False)]],
}
CIRCLE_POLICY = ((0, 1), (1, 0))
ICE = {  # two actions that slip
    0: [
        [(0.5, 1, 1.0, False), (0.5, 2, 0.0, True)],
        [(0.5, 0, 0.0, False), (0.5, 1, 0.0, False)],
    ],
    1: [[(0.5, 2, 4.0, True), (0.5, 0, 0.0, False)], [(1.0, 2, 1.0, True)]],
}
ICE_POLICY = ((0.5, 0.5), (0.25, 0.75), (0.5, 0.5))
ICE_WALKS, ICE_ERROR = 4_000, 0.12  # more than five standard errors


def check_first_step_values(attempt) -> str:
    """first_step_values(env, policy, walks, gamma, rng): Q of the start, by playing."""
    cases = (
        ("a small world of four states", World(FORK), FORK_POLICY, 3, 0.5),
        ("a world without an end, cut after 4 steps", World(CIRCLE, 4), CIRCLE_POLICY, 2, 0.9),
    )
    for on, env, policy, walks, gamma in cases:
        right = _first_step_returns(env, policy, gamma)
        again = _first_step_returns(env, policy, gamma, forced=False)
        powers = _first_step_returns(env, policy, gamma, late=1)
        expect_close(
            _played(attempt, env, policy, walks, gamma),
            right,
            on=f"{on} (nothing random), with discount {gamma:g}",
            hint="For each first action: reset, take that action once, then follow the policy to "
            "the end of the walk, and average the discounted returns.",
            atol=1e-5,
            mistakes={
                "That is the value of the start for the policy: its first action must be "
                "the given one.": again,
                "The discount is not used.": _first_step_returns(env, policy, 1.0),
                "Every weight has one factor too many: the reward of the first step counts in "
                "full.": gamma * right,
                "The reward of the first step is missing, and the rest counts as if it began "
                "now.": (right - _first_rewards(env)) / gamma,
                "The reward of the first step is missing.": right - _first_rewards(env),
                "The first two steps have the same weight: the second reward is one step "
                "away.": powers,
                "That is the sum over the walks; divide it by their number.": walks * right,
                "Only the reward of the first step is there: walk on, by the "
                "policy.": _first_rewards(env),
                "That is the largest alone: one number is asked for each first "
                "action.": right.max(),
            },
        )
        if env.walks != walks * len(policy[0]):
            raise WrongAnswer(
                f"You began {env.walks} walks. {walks} walks for each of {len(policy[0])} first "
                f"actions are {walks * len(policy[0])}."
            )
    env = World(ICE)
    for gamma in (0.9, 0.6):
        right = _exact_first_step_values(ICE, ICE_POLICY, gamma)
        expect_close(
            _played(attempt, env, ICE_POLICY, ICE_WALKS, gamma),
            right,
            on=f"a slippery world, {ICE_WALKS:,} walks for each action, with discount {gamma:g}",
            hint="That is further off than chance explains. Is the policy's action drawn with the "
            "probabilities of its row, anew in each step?",
            atol=ICE_ERROR,
            rtol=0,
        )
    return "You have compared actions without knowing the rules. Part II is built on that."


def _played(attempt, env: World, policy, walks: int, gamma: float):
    table = np.array(policy, dtype=np.float64)
    try:
        return _widened(attempt(env, table, walks, gamma, np.random.default_rng(5)))
    except WrongAnswer:
        if env.problem:
            raise WrongAnswer(env.problem) from None
        raise


def _first_rewards(env: World) -> torch.Tensor:
    rewards = [outcomes[0][2] for outcomes in env.table[0]]
    return torch.tensor(rewards, dtype=torch.float64)


def _first_step_returns(env: World, policy, gamma: float, *, forced=True, late=0) -> torch.Tensor:
    """The returns of one walk for each first action, in a deterministic world."""
    found = []
    for first in range(len(env.table[0])):
        state, total = 0, 0.0
        for t in range(env.clock or PATIENCE):
            action = first if t == 0 and forced else max(enumerate(policy[state]), key=_second)[0]
            _, state, reward, ended = env.table[state][action][0]
            total += gamma ** max(t - late, 0) * reward
            if ended:
                break
        found.append(total)
    return torch.tensor(found, dtype=torch.float64)


def _second(pair):
    return pair[1]


def _exact_first_step_values(table: dict, policy, gamma: float) -> torch.Tensor:
    """Q of the start, by repeating the recursion for V."""
    values = [0.0] * (len(table) + 1)
    for _ in range(500):
        q = [
            [
                sum(p * (r + gamma * (0.0 if ended else values[s])) for p, s, r, ended in outcomes)
                for outcomes in table[state]
            ]
            for state in table
        ]
        values = [
            *(sum(map(float.__mul__, policy[state], q[state])) for state in table),
            0.0,
        ]
    return torch.tensor(q[0], dtype=torch.float64)


CHECKERS = {
    "1.5": check_discounted_return,
    "1.1": check_returns_of_record,
    "1.2": check_lake_policy,
    "1.4": check_first_step_values,
}
