"""Checkers of chapter 10, SARSA."""

import torch

from rlbook.book.exercises.expectations import expect_close
from rlbook.ground.seeding import generator


def check_expected_sarsa_target(attempt) -> str:
    """expected_sarsa_target(rewards, next_q, terminated, epsilon, discount): (B,)."""
    rng, nothing = generator(1002), torch.tensor([False] * 6)
    some = torch.tensor([False, True, False, True, True, False])
    for words, epsilon, discount, terminated, dead in (
        ("six transitions, none terminal, epsilon 0.2", 0.2, 0.9, nothing, 0.0),
        ("transitions of which three are terminal", 0.2, 0.9, some, 5.0),
        ("transitions with NaN behind the terminations", 0.2, 0.9, some, torch.nan),
        ("epsilon 0, the greedy policy", 0.0, 0.8, some, 5.0),
        ("epsilon 1, the uniform policy", 1.0, 0.8, some, 5.0),
    ):
        rewards = torch.randn(6, generator=rng, dtype=torch.float64)
        q = torch.randn(6, 4, generator=rng, dtype=torch.float64)
        q[0] = torch.tensor([1.0, 2.0, 2.0, -1.0])  # two best actions
        q[terminated] = dead
        value = (1 - epsilon) * q.amax(1) + epsilon * q.mean(1)

        def target(value, discount=discount, rewards=rewards, terminated=terminated):
            return rewards + discount * torch.where(terminated, 0.0, value)

        expect_close(
            attempt(rewards, q, terminated, epsilon, discount),
            target(value),
            on=words,
            hint="r + discount [(1 - epsilon) max Q + epsilon mean Q]; at a termination r alone.",
            mistakes=_expected_sarsa_slips(target, rewards, q, terminated, epsilon, discount),
        )
    return "The same mean as SARSA's target, without the noise of the next action."


def _expected_sarsa_slips(target, rewards, q, terminated, epsilon, discount) -> dict:
    """What usual mistakes give; target(value): the right one for a value of the next state."""
    best, mean = q.amax(1), q.mean(1)
    value, others = (1 - epsilon) * best + epsilon * mean, (q.sum(1) - best) / 3
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
}


def check_dyna_q(attempt) -> str:
    """dyna_q(Q, steps, replays, alpha, discount): the table after learning and planning."""
    way = [(0, 0, -1.0, 1, False), (1, 1, -1.0, 2, False), (2, 0, 5.0, 3, True)]
    changed = [(0, 0, 0.5, 1, False), (0, 0, 2.0, 2, False), (2, 1, 1.0, 3, True)]
    rng = generator(1003)
    random = torch.randn(4, 2, generator=rng, dtype=torch.float64)
    random[3] = 7.0  # the end: its row must not enter
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
            random,
            way,
            [[(0, 0)], [(1, 1), (0, 0)], [(2, 0), (1, 1), (0, 0), (2, 0)]],
        ),
        (
            "a world that changes: pair (0, 0) leads elsewhere the second time",
            random,
            changed,
            [[(0, 0)], [(0, 0)], [(0, 0), (2, 1)]],
        ),
    )
    for words, q, steps, replays in cases:
        for discount in (0.9, 0.5):
            arguments = (steps, replays, 0.5, discount)
            expect_close(
                attempt(q.clone(), *arguments),
                _dyna(q, *arguments),
                on=f"{words} (discount {discount:g})",
                hint="After each real step: update, store, then replay in the order given.",
                mistakes={why: _dyna(q, *arguments, slip) for why, slip in DYNA_SLIPS.items()},
            )
    return "Every step of the world is now used many times."


CHECKERS = {"10.2": check_expected_sarsa_target, "10.3": check_dyna_q}
