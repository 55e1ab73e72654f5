"""Checkers of chapter 9, Q-learning."""

import torch

from rlbook.book.exercises.expectations import expect_close
from rlbook.ground.seeding import generator


def check_q_update(attempt) -> str:
    """q_update(Q, s, a, r, s_next, terminated, truncated, alpha, discount): (S, A) -> (S, A)."""
    rng = generator(902)
    s, a, r, s_next, alpha, discount = 1, 2, -1.5, 3, 0.25, 0.9
    for words, terminated, truncated, junk in (
        ("a step in the middle of an episode", False, False, None),
        ("a step that terminates", True, False, None),
        ("a step that the time limit cuts (truncated, not terminated)", False, True, None),
        ("a step with both flags set", True, True, None),
        ("a step into an end whose row holds infinity", True, False, torch.inf),
    ):
        q = 2 * torch.randn(4, 3, generator=rng, dtype=torch.float64)
        q[s_next, 1] = q[s_next].max() + 0.5  # the best action is neither 0 nor a
        if junk is not None:
            q[s_next] = junk

        def after(target, step=alpha, q=q):
            new = q.clone()
            new[s, a] = q[s, a] + step * (target - q[s, a])
            return new

        target = r if terminated else r + discount * q[s_next].max()
        expect_close(
            attempt(q.clone(), s, a, r, s_next, terminated, truncated, alpha, discount),
            after(target),
            on=words,
            hint="Only entry [s, a] changes, by alpha (target - Q[s, a]).",
            mistakes=_q_update_slips(
                after, q, (s, a, r, s_next), truncated, target, alpha, discount
            ),
        )
    return "The behaviour does not occur in it: that is what off-policy means."


def _q_update_slips(after, q, step, truncated, target, alpha, discount) -> dict:
    """What usual mistakes make of the table; after(target, step): after a step towards a target."""
    s, a, r, s_next = step
    return {
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
    for words, junk in (("a batch of 8 steps", None), ("ends whose rows hold NaN", torch.nan)):
        one, two = torch.randn(2, 6, 4, generator=rng, dtype=torch.float64)
        rewards = torch.randn(8, generator=rng, dtype=torch.float64)
        states = torch.tensor([0, 3, 5, 2, 5, 1, 4, 3])
        ends, discount = states == 5, 0.9
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
            hint="Compare with r + discount * Q2[s', argmax_a Q1[s', a]], and r at an end.",
            mistakes={
                "The same table chooses and values: that is the maximum of Q1, the estimator "
                "with the bias.": targets(one[states].amax(1)),
                "That is the maximum of Q2; Q1 should choose the action.": targets(
                    two[states].amax(1)
                ),
                "The roles are exchanged: for the update of Q1, Q1 chooses and Q2 values.": (
                    targets(one[states, two[states].argmax(1)])
                ),
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


CHECKERS = {"9.2": check_q_update, "9.3": check_double_q_targets, "9.4": check_exploration_rate}
