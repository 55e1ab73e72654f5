"""Checkers of chapter 9, Q-learning."""

import random

import gymnasium as gym
import torch

from rlbook.book.exercises.expectations import (
    WrongAnswer,
    describe,
    expect_close,
    expect_shape,
)
from rlbook.book.exercises.kiosk import check_kiosk
from rlbook.ground.seeding import generator
from rlbook.tabular.evaluation import greedy_returns
from rlbook.tabular.tasks import tabular_task

# An end whose row holds infinity comes last: whoever multiplies by 0 is told so.
STEPS = (  # in words; s, a, s_next; alpha, discount; terminated, truncated; what is in its row
    ("a step in the middle of an episode", (1, 2, 3), (0.25, 0.9), (False, False), None),
    ("a step whose best next action is a itself", (0, 1, 2), (0.5, 0.7), (False, False), "a"),
    ("a step into a state whose numbers are negative", (2, 0, 1), (0.1, 0.95), (False, False), "-"),
    ("a step that terminates", (1, 2, 3), (0.25, 0.9), (True, False), None),
    ("a step that the time limit cuts (truncated, not terminated)",
     (3, 1, 0), (0.8, 0.5), (False, True), None),
    ("a step with both flags set", (1, 2, 3), (0.4, 0.99), (True, True), None),
    ("a step into an end whose row holds infinity",
     (1, 2, 3), (0.25, 0.9), (True, False), torch.inf),
)  # fmt: skip


def check_q_update(attempt) -> str:
    """q_update(Q, s, a, r, s_next, terminated, truncated, alpha, discount): (S, A) -> (S, A)."""
    rng = generator(902)
    for n, (words, (s, a, s_next), (alpha, discount), flags, row) in enumerate(STEPS):
        q = 2 * torch.randn(4, 3, generator=rng, dtype=torch.float64)
        best = a if row == "a" else 2 if a == 1 else 1  # neither 0 nor a
        q[s_next, best] = q[s_next].max() + 0.5
        if row == "-":
            q[s_next] -= q[s_next].max() + 1.0
        elif row == torch.inf:
            q[s_next] = row
        r, (terminated, truncated) = -1.5 + n, flags

        def after(target, step=alpha, q=q, pair=(s, a)):
            new = q.clone()
            new[pair] = q[pair] + step * (target - q[pair])
            return new

        target = r if terminated else r + discount * q[s_next].max()
        expect_close(
            attempt(q.clone(), s, a, r, s_next, terminated, truncated, alpha, discount),
            after(target),
            on=words,
            hint="Only entry [s, a] changes, by alpha (target - Q[s, a]). Are alpha and discount "
            "those of the call?",
            mistakes=_q_update_slips(
                after, q, (s, a, r, s_next), truncated, target, alpha, discount
            ),
        )
    return "The behaviour does not occur in it: that is what off-policy means."


def _q_update_slips(after, q, step, truncated, target, alpha, discount) -> dict:
    """What usual mistakes make of the table; after(target, step): after a step towards a target."""
    s, a, r, s_next = step
    others = [b for b in range(q.shape[1]) if b != a]
    floor = (
        {}
        if q[s_next].max() >= 0
        else {
            "All numbers may be negative; the maximum may be, too. It has no floor at 0.": after(r)
        }
    )
    return floor | {
        "A termination stops the bootstrap: the target is r alone.": after(
            r + discount * q[s_next].max()
        ),
        "A time limit is no end: `truncated` must not stop the bootstrap."
        if truncated
        else "This step ends nothing: the target is r plus the discounted maximum.": after(r),
        "The reward of a step that terminates is lost: there the target is r, not 0.": (after(0.0)),
        "The end's row was multiplied by 0, and 0 times infinity is not a number: "
        "choose with `if`.": after(torch.nan),
        "The maximum runs over the row of s; it should be the row of s_next.": after(
            r + discount * q[s].max()
        ),
        "The maximum runs over all actions; a itself belongs to them.": after(
            r + discount * q[s_next, others].max()
        ),
        "That is the largest size. The maximum is the largest number, even if all are "
        "negative.": after(r + discount * q[s_next].abs().max()),
        "The discount is missing.": after(r + q[s_next].max()),
        "Nothing was learned: a step is learned from, however it ends.": after(target, 0.0),
        "That is the target itself: alpha is not used.": after(target, 1.0),
        "The weights are exchanged: alpha belongs to the target, 1 - alpha to the old "
        "value.": after(target, 1 - alpha),
        "The sign of the error: it is target - Q[s, a].": after(target, -alpha),
        "- Q[s, a] is missing in the bracket: the old value must shrink.": after(target + q[s, a]),
        "The maximum over the whole table; it should be over the row of s_next.": after(
            r + discount * q.max()
        ),
        "That is the number of the best action (argmax); its value (max) is wanted.": (
            after(r + discount * q[s_next].argmax())
        ),
        "That is the value of the same action, a, in s_next; Q-learning takes the "
        "maximum over all.": after(r + discount * q[s_next, a]),
        "That is the mean over the next actions; Q-learning takes the maximum.": after(
            r + discount * q[s_next].mean()
        ),
    }


def check_double_q_targets(attempt) -> str:
    """double_q_targets(Q1, Q2, rewards, next_states, terminated, discount): (B,)."""
    rng = generator(903)
    for words, discount, shift, junk in (
        ("a batch of 8 steps", 0.9, 0.0, None),
        ("tables whose numbers are all negative, discount 0.6", 0.6, -9.0, None),
        ("ends whose rows hold NaN", 0.9, 0.0, torch.nan),
    ):
        one, two = torch.randn(2, 6, 4, generator=rng, dtype=torch.float64) + shift
        rewards = torch.randn(8, generator=rng, dtype=torch.float64)
        states = torch.tensor([0, 3, 5, 2, 5, 1, 4, 3])
        ends = states == 5
        if junk is not None:
            one[5] = two[5] = junk
        best = one[states].argmax(1)

        def targets(values, ends=ends, rewards=rewards, factor=discount):
            return rewards + factor * torch.where(ends, 0.0, values)

        value = two[states, best]
        never = torch.zeros_like(ends)
        expect_close(
            attempt(one, two, rewards, states, ends, discount),
            targets(value),
            on=words,
            hint="Compare with r + discount * Q2[s', argmax_a Q1[s', a]], and r at an end. Is the "
            "discount that of the call?",
            mistakes={
                "The same table chooses and values: that is the maximum of Q1, the estimator "
                "with the bias.": targets(one[states].amax(1)),
                "That is the maximum of Q2; Q1 should choose the action.": targets(
                    two[states].amax(1)
                ),
                "The roles are exchanged: for the update of Q1, Q1 chooses and Q2 values.": (
                    targets(one[states, two[states].argmax(1)])
                ),
                "Q1 should choose its largest number, not its largest size.": targets(
                    two[states, one[states].abs().argmax(1)]
                ),
                "The value may be negative: it has no floor at 0.": targets(value.clamp(min=0)),
                "The mask multiplies, and 0 times NaN is NaN: use torch.where.": (
                    rewards + discount * value * ~ends
                ),
                "The terminal mask is missing: at an end the target is the reward alone.": (
                    targets(value, never)
                ),
                "The discount is missing.": targets(value, factor=1.0),
                "The mask is the wrong way round.": targets(value, ~ends),
                "That is the smaller of the two maxima. It too errs downwards, but is another "
                "method.": targets(torch.minimum(one[states].amax(1), two[states].amax(1))),
            },
        )
    return "The noise that chooses is not the noise that values."


class Street(gym.Env):
    """A small Taxi: six cells in a row, a passenger to be dropped in the last one, and a time
    limit that is too short to get there from the first.

    Actions: 0 left, 1 right, each for a reward of -1; 2 drop, which pays 20 in the last cell and
    ends the episode, and -10 elsewhere. The end has no state of its own, as in Taxi.
    """

    observation_space, action_space = gym.spaces.Discrete(6), gym.spaces.Discrete(3)
    LIMIT = 4

    def __init__(self):
        self.rng, self.left = random.Random(907), 0

    def reset(self, *, seed=None, options=None):
        self.cell, self.left = self.rng.randrange(6), self.LIMIT
        return self.cell, {}

    def step(self, action):
        if self.left < 1:
            raise RuntimeError("the episode is over, by its end or by the time limit: reset")
        if action not in (0, 1, 2):
            raise ValueError(f"{describe(action)} is no action")
        self.left -= 1
        home = self.cell == 5 and action == 2
        if action < 2:
            self.cell = min(max(self.cell + (-1, 1)[action], 0), 5)
        reward = 20.0 if home else -10.0 if action == 2 else -1.0
        cut = self.left == 0
        self.left = 0 if home else self.left
        return self.cell, reward, home, cut, {}


def _street_values(discount: float) -> torch.Tensor:
    values = [20.0]
    for _ in range(5):
        values.insert(0, -1 + discount * values[0])
    return torch.tensor(values, dtype=torch.float64)


def check_drive(attempt) -> str:
    """drive(env, num_steps): Q-learning with discount 0.99, the table (S, A) after num_steps."""
    on = "a small town, a street of six cells, cut after 4 steps"
    Q = _table(attempt(Street(), 20_000), (6, 3), on)
    best, values = _street_values(0.99), Q.amax(1)
    wrong = (values - best).abs() > 0.5
    if wrong.any():
        cell = int(wrong.nonzero()[-1])
        said = f"On {on}: the best number in cell {cell} should be {best[cell]:.2f}, yours is "
        raise WrongAnswer(said + f"{values[cell]:.2f}. " + _why_wrong(values, cell, best))
    on = "Taxi-v4, 150,000 steps"
    Q = _table(attempt(gym.make("Taxi-v4"), 150_000), (500, 6), on)
    task = tabular_task("Taxi-v4", discount=0.99)
    with_end = torch.cat([Q, torch.zeros(1, 6, dtype=torch.float64)])
    score = float(greedy_returns(task, with_end.unsqueeze(0)))
    if score < TAXI_OPTIMUM - 1e-4:
        raise WrongAnswer(
            f"On {on}: the update is right, but your table drives for {score:.2f} on average; "
            f"{TAXI_OPTIMUM} is possible. Some pairs were not tried often enough. What makes a "
            "driver try them, and how fast may this town be believed?"
        )
    return f"Your table fetches anybody from anywhere: {score:.2f}, the best there is."


TAXI_OPTIMUM = 7.93  # the mean over 300 starts; the chapter computes it


def _table(got, shape: tuple[int, int], on: str) -> torch.Tensor:
    hint = "One row for each state, one column for each action: env.observation_space.n, "
    return expect_shape(got, shape, on=on, hint=hint + "env.action_space.n.").double()


def _why_wrong(values: torch.Tensor, cell: int, best: torch.Tensor) -> str:
    if values[cell] > 20.5:
        return (
            "Nothing is worth more than the delivery, 20. The step that ends an episode has a "
            "target of its own: r alone, whatever the table says about the next state."
        )
    if (values - _street_values(1.0)).abs().max() < 0.2:
        return "That is what comes out without the discount, 0.99."
    if values[cell] < best[cell]:
        return (
            "Too low. Is a step that only the time limit cuts taken for an end? It needs a reset, "
            "but its target keeps the second term."
        )
    return "Too high. Was this cell ever tried often enough to be believed?"


def check_exploration_rate(attempt) -> str:
    """exploration_rate(step, start, end, over): a geometric fall, then constant, (...)."""
    for words, start, end, over, steps in (
        ("start 1, end 0.01, over 100 steps, at steps 0, 50, 100", 1.0, 0.01, 100.0, [0, 50, 100]),
        ("start 0.8, end 0.05, over 40 steps, within them", 0.8, 0.05, 40.0, [10, 20, 39]),
        ("start 0.8, end 0.05, over 40 steps, after them", 0.8, 0.05, 40.0, [41, 80, 400]),
        ("a table of steps", 0.5, 0.1, 7.0, [[0, 3], [7, 9]]),
    ):
        step = torch.tensor(steps, dtype=torch.float64)
        way = (step / over).clamp(max=1)
        expect_close(
            attempt(step, start, end, over),
            start * (end / start) ** way,
            on=words,
            hint="Compare with start * (end / start) ** (step / over), held after `over`.",
            mistakes={
                "That falls on a straight line; a geometric fall multiplies by the same factor "
                "in each step.": start + (end - start) * way,
                "It goes on falling below `end` after `over` steps.": (
                    start * (end / start) ** (step / over)
                ),
                "It falls to 0 after `over` steps: it should stay at `end`.": torch.where(
                    step > over, 0.0, start * (end / start) ** way
                ),
                "It rises from `end` to `start`: they are exchanged.": (end * (start / end) ** way),
                "That is exp(-step / over): it forgets `end`, and is not there at step `over`.": end
                + (start - end) * torch.exp(-step / over),
            },
        )
    return "Each step keeps the same fraction of what is left of exploration."


CHECKERS = {
    "9.1": check_q_update,
    "9.3": check_drive,
    "9.4": check_double_q_targets,
    "9.5": check_exploration_rate,
    "9.8": check_kiosk,
}
