"""Checkers of chapter 8, temporal difference learning."""

import torch

from rlbook.book.exercises.expectations import expect_close
from rlbook.ground.seeding import generator

EPISODES = (  # states, the terminal one last: a plain path, one with returns, one of one step
    ("an episode that visits no state twice", [0, 1, 2, 3, 5]),
    ("an episode that returns to a state", [2, 1, 2, 2, 3, 1, 5]),
    ("an episode of one step", [4, 5]),
)


def _episode(path: list[int], rng: torch.Generator):
    """V (6,), states, rewards, next states, terminated; junk in V of the terminal state 5."""
    V = torch.randn(6, generator=rng, dtype=torch.float64)
    V[5] = 7.0
    rewards = torch.randn(len(path) - 1, generator=rng, dtype=torch.float64).tolist()
    return V, path[:-1], rewards, path[1:], [s == 5 for s in path[1:]]


def _td_zero(episode, alpha, gamma, *, mask=True, fixed=False, sign=1.0, last=1.0):
    V, *steps = episode
    old, V = V.clone(), V.clone()
    for s, r, s_next, ended in zip(*steps, strict=True):
        read, r = old if fixed else V, last * r if ended else r
        ahead = 0.0 if ended and mask else read[s_next]
        V[s] += sign * alpha * (r + gamma * ahead - read[s])
    return V


def check_td_zero_episode(attempt) -> str:
    """td_zero_episode(V, states, rewards, next_states, terminated, alpha, gamma) -> (S,)."""
    rng = generator(802)
    for words, path in EPISODES:
        episode, alpha, gamma = _episode(path, rng), 0.3, 0.8
        V = episode[0]
        no_last_step = _td_zero((V, *(x[:-1] for x in episode[1:])), alpha, gamma)
        end_erased = _td_zero(episode, alpha, gamma)
        end_erased[5] = 0.0
        expect_close(
            attempt(*episode, alpha, gamma),
            _td_zero(episode, alpha, gamma),
            on=f"{words}, alpha 0.3, gamma 0.8",
            hint="In each step: V(s) + alpha (target - V(s)), with the values of that moment.",
            mistakes={
                "It read what V holds for the terminal state: where an episode ends, the target "
                "is the reward alone.": _td_zero(episode, alpha, gamma, mask=False),
                "That is what comes out without the discount.": _td_zero(episode, alpha, 1.0),
                "All errors were computed from the values before the episode; TD(0) uses the "
                "values of the moment.": _td_zero(episode, alpha, gamma, fixed=True),
                "The sign is wrong: V moved away from its targets.": _td_zero(
                    episode, alpha, gamma, sign=-1.0
                ),
                "V did not change.": V,
                "The values are right, but V of the terminal state was overwritten: do not read "
                "it, and leave it as it is.": end_erased,
                "The last step is left out: there the target is the reward alone.": no_last_step,
                "The mask took the last reward away, too: only the value behind the end is 0.": (
                    _td_zero(episode, alpha, gamma, last=0.0)
                ),
                "The step size is not used: V jumped all the way to its targets.": _td_zero(
                    episode, 1.0, gamma
                ),
                "The step is twice alpha.": _td_zero(episode, 2 * alpha, gamma),
            },
        )
    return "Each state learned from its successor, and none from the end."


def _n_step(rewards, values, t, n, gamma, *, bootstrap=None, extra=0, power=0):
    T, n = len(rewards), n + extra
    G = sum(gamma**k * rewards[t + k] for k in range(min(n, T - t)))
    if t + n < T and bootstrap != "never":
        G = G + gamma ** (n + power) * values[t + n]
    elif t + n >= T and bootstrap == "at the end":
        G = G + gamma ** (T - t) * values[T]
    return torch.as_tensor(G, dtype=torch.float64)


def check_n_step_return(attempt) -> str:
    """n_step_return(rewards, values, t, n, gamma): G^(n)_t of a terminated episode."""
    rng = generator(803)
    rewards = torch.randn(6, generator=rng, dtype=torch.float64)
    values = torch.randn(7, generator=rng, dtype=torch.float64)
    values[6] = 7.0
    for t, n in ((0, 1), (1, 3), (0, 5), (2, 4), (3, 10), (5, 1)):
        case = (rewards, values, t, n, 0.8)
        got = attempt(*case)
        expect_close(
            torch.as_tensor(got, dtype=torch.float64),
            _n_step(*case),
            on=f"an episode of 6 steps, t = {t}, n = {n}, gamma 0.8",
            hint="There are n rewards, or fewer if the episode ends, and then perhaps a guess.",
            mistakes={
                "It holds n + 1 rewards: the n-step return has n, and for n = 1 it is the TD "
                "target.": _n_step(*case, extra=1),
                "It read the value of the terminal state: where the episode ends within n "
                "steps, there is no guess.": _n_step(*case, bootstrap="at the end"),
                "The guess V(s_{t+n}) is missing: an episode that goes on is worth more than "
                "its next n rewards.": _n_step(*case, bootstrap="never"),
                "The guess has the weight gamma^(n-1); it lies n steps ahead, so gamma^n.": _n_step(
                    *case, power=-1
                ),
                "That is what comes out without the discount.": _n_step(*case[:4], 1.0),
                "The guess is not discounted.": _n_step(*case, power=-n),
            },
        )
    return "With n = 1 this is the TD target, with a large n the return."


def _changes(episode, gamma, lambda_, *, replacing=False, late=False, mask=True):
    V, *steps = episode
    trace, changes = torch.zeros_like(V), torch.zeros_like(V)
    for s, r, s_next, ended in zip(*steps, strict=True):
        error = r + gamma * (0.0 if ended and mask else V[s_next]) - V[s]
        if not late:
            trace = gamma * lambda_ * trace
        trace[s] = 1.0 if replacing else trace[s] + 1
        if late:
            trace = gamma * lambda_ * trace
        changes = changes + error * trace
    return changes


def check_td_lambda_changes(attempt) -> str:
    """td_lambda_changes(V, states, rewards, next_states, terminated, gamma, lambda_) -> (S,)."""
    rng = generator(804)
    for words, path in EPISODES:
        episode, gamma, lambda_ = _episode(path, rng), 0.8, 0.7
        discounted = (gamma, lambda_)
        expect_close(
            attempt(*episode, gamma, lambda_),
            _changes(episode, *discounted),
            on=f"{words}, gamma 0.8, lambda 0.7",
            hint="In each step: fade the trace, add 1 at s, add the error times the trace.",
            mistakes={
                "It read what V holds for the terminal state: the error of the last step is "
                "r - V(s).": _changes(episode, *discounted, mask=False),
                "That is a replacing trace: a visit should add 1, not set it to 1.": _changes(
                    episode, *discounted, replacing=True
                ),
                "The trace faded after the visit was added, so even the current state has less "
                "than its full share.": _changes(episode, *discounted, late=True),
                "The trace fades by lambda alone; it should be gamma times lambda.": _changes(
                    episode, gamma, lambda_ / gamma
                ),
                "The trace fades by gamma alone: lambda is not used.": _changes(
                    episode, gamma, 1.0
                ),
                "These are the changes of TD(0): each error must reach, through the trace, all "
                "states that were visited before.": _changes(episode, gamma, 0.0),
            },
        )
    return "By Eq. (8.22) these are also the sums of the forward view."


CHECKERS = {
    "8.2": check_td_zero_episode,
    "8.3": check_n_step_return,
    "8.4": check_td_lambda_changes,
}
