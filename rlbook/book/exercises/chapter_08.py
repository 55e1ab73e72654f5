"""Checkers of chapter 8, temporal difference learning."""

from itertools import pairwise

import torch

from rlbook.book.exercises.expectations import expect_close
from rlbook.ground.seeding import generator

EPISODES = (  # states, the terminal one last; then alpha, gamma and lambda
    ("an episode that visits no state twice", [0, 1, 2, 3, 5], (0.3, 0.8, 0.7)),
    ("an episode that returns to a state", [2, 1, 2, 2, 3, 1, 5], (0.5, 0.95, 0.4)),
    ("an episode of one step", [4, 5], (0.2, 0.6, 0.9)),
    ("an episode that ends in state 0", [3, 4, 3, 2, 1, 0], (0.1, 0.9, 0.6)),
)


def _episode(path: list[int], rng: torch.Generator):
    """V (6,), states, rewards, next states, terminated; junk in V of the terminal state."""
    V = torch.randn(6, generator=rng, dtype=torch.float64)
    V[path[-1]] = 7.0
    rewards = torch.randn(len(path) - 1, generator=rng, dtype=torch.float64).tolist()
    return V, path[:-1], rewards, path[1:], [s == path[-1] for s in path[1:]]


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
    for words, path, (alpha, gamma, _) in EPISODES:
        episode = _episode(path, rng)
        V = episode[0]
        no_last_step = _td_zero((V, *(x[:-1] for x in episode[1:])), alpha, gamma)
        end_erased = _td_zero(episode, alpha, gamma)
        end_erased[path[-1]] = 0.0
        expect_close(
            attempt(*episode, alpha, gamma),
            _td_zero(episode, alpha, gamma),
            on=f"{words}, alpha {alpha}, gamma {gamma}",
            hint="In each step: V(s) + alpha (target - V(s)), with the values of that moment. Are "
            "alpha and gamma those of the call?",
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
    for t, n, gamma in (
        (0, 1, 0.8), (1, 3, 0.8), (0, 5, 0.9), (2, 4, 0.7), (3, 10, 0.95), (5, 1, 0.8), (1, 2, 1.0),
    ):  # fmt: skip
        case = (rewards, values, t, n, gamma)
        got = attempt(*case)
        expect_close(
            torch.as_tensor(got, dtype=torch.float64),
            _n_step(*case),
            on=f"an episode of 6 steps, t = {t}, n = {n}, gamma {gamma}",
            hint="There are n rewards, or fewer if the episode ends, and then perhaps a guess. Is "
            "gamma that of the call?",
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
    for words, path, (_, gamma, lambda_) in EPISODES:
        episode, discounted = _episode(path, rng), (gamma, lambda_)
        expect_close(
            attempt(*episode, gamma, lambda_),
            _changes(episode, *discounted),
            on=f"{words}, gamma {gamma}, lambda {lambda_}",
            hint="In each step: fade the trace, add 1 at s, add the error times the trace. Are "
            "gamma and lambda those of the call?",
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


LOGS = (  # episodes, each its states and how it stops; then n, alpha, gamma
    ("one episode that terminates, n = 2", [([2, 1, 2, 1, 4, 3], "T")], (2, 0.5, 0.9)),
    ("one episode that terminates, n = 1", [([0, 1, 2, 3], "T")], (1, 0.3, 0.8)),
    ("one episode that the time limit cuts, n = 2", [([0, 1, 2, 4, 2], "C")], (2, 0.2, 0.7)),
    ("an episode that terminates, then one that is cut, n = 3",
     [([1, 2, 4, 1, 0, 3], "T"), ([4, 2, 1, 2, 0], "C")], (3, 0.4, 0.95)),
    ("four episodes of both kinds, n = 4",
     [([1, 0, 3], "T"), ([2, 2, 4, 1, 4, 0], "C"), ([4, 3], "T"), ([0, 1, 0, 1], "C")],
     (4, 0.1, 1.0)),
    ("an episode that terminates in the very step of the cut, n = 2",
     [([0, 2, 4, 3], "TC"), ([1, 4], "C")], (2, 0.6, 0.5)),
    ("one episode of eight steps, n = 6", [([0, 1, 2, 4, 0, 2, 1, 4, 0], "C")], (6, 0.2, 0.9)),
    ("n = 50, longer than any episode",
     [([0, 1, 2, 3], "T"), ([4, 2, 0, 1], "C")], (50, 0.3, 0.9)),
)  # fmt: skip
"""State 3 is terminal, and its value is junk."""


def _log(episodes, rng: torch.Generator) -> list[tuple]:
    rows = []
    for states, stop in episodes:
        for s, s_next in pairwise(states):
            r = torch.randn((), generator=rng, dtype=torch.float64).item()
            rows.append((s, r, s_next, False, False))
        rows[-1] = (*rows[-1][:3], "T" in stop, "C" in stop)
    return rows


def _learn_log(log, V, n, alpha, gamma, *, slip=None):
    """n-step TD over a log; `slip` is what goes wrong."""
    old, V = V.clone(), V.clone()
    rows = list(enumerate(log))
    for t, (s, *_) in reversed(rows) if slip == "backwards" else rows:
        read, G, weight = old if slip == "old values" else V, 0.0, 1.0
        for k, (_, r, s_next, terminated, truncated) in enumerate(log[t:], start=1):
            G, weight = G + weight * r, weight * gamma
            last = t + k == len(log)
            stops = last or (truncated and slip not in ("cuts ignored", "runs on"))
            if terminated and (last or slip != "runs on"):
                G += weight * read[s_next] if slip == "end has a value" else 0.0
                break
            if k == n or stops:
                guess = weight / gamma if slip == "gamma^(n-1)" else weight
                known = terminated or (truncated and slip == "cut is an end")
                if slip != "no guess" and not known:
                    G += guess * read[s_next]
                break
        if slip != "full sums only" or k == n:
            V[s] += alpha * (G - read[s])
    return V


def check_learn_from_log(attempt) -> str:
    """learn_from_log(log, V, n, alpha, gamma): n-step TD, (S,) -> (S,)."""
    rng = generator(807)
    for words, episodes, (n, alpha, gamma) in LOGS:
        V = torch.randn(5, generator=rng, dtype=torch.float64)
        V[3] = 7.0
        log = _log(episodes, rng)

        def slip(name, log=log, V=V, n=n, alpha=alpha, gamma=gamma):
            return _learn_log(log, V, n, alpha, gamma, slip=name)

        got = attempt(log, V.clone(), n, alpha, gamma)
        expect_close(
            got,
            _learn_log(log, V, n, alpha, gamma),
            on=f"{words}, alpha {alpha}, gamma {gamma}",
            hint="For each row: up to n rewards, fewer if the episode stops, then perhaps a guess. "
            "Are n, alpha and gamma those of the call?",
            mistakes={
                "Nothing has changed.": V,
                "A termination must stop the bootstrap: nothing follows it, whatever V holds for "
                "that state.": slip("end has a value"),
                "A cut is no end: the sum stops there, but V of the state behind it stands for "
                "the rest.": slip("cut is an end"),
                "A sum runs on behind a cut: those rewards belong to another episode.": (
                    slip("cuts ignored")
                ),
                "A sum runs on from one episode into the next.": slip("runs on"),
                "All targets were computed from the values at the start: each update should use "
                "the values of its moment.": slip("old values"),
                "The rows were learned from the last to the first: begin with the first.": slip(
                    "backwards"
                ),
                "The last steps of an episode learned nothing: there the sum is shorter than "
                "n.": slip("full sums only"),
                "The guess is missing where an episode goes on.": slip("no guess"),
                "The guess lies one step further than the last reward: one more gamma.": slip(
                    "gamma^(n-1)"
                ),
                "That is one reward too many: there are n.": slip(None, n=n + 1),
                "That is TD(0): n is not used.": slip(None, n=1),
                "That is what comes out without the discount.": slip(None, gamma=1.0),
                "The step size is not used.": slip(None, alpha=1.0),
                "The sign is wrong: V moved away from its targets.": slip(None, alpha=-alpha),
            },
        )
    return "One function for every n, and it knows an end from a cut."


CHECKERS = {
    "8.1": check_td_zero_episode,
    "8.2": check_n_step_return,
    "8.5": check_td_lambda_changes,
    "8.3": check_learn_from_log,
}
