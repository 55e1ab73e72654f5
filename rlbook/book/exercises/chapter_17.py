"""Checkers of chapter 17, generalized advantage estimation."""

import torch

from rlbook.book.exercises.expectations import WrongAnswer, expect_close, expect_true
from rlbook.formulas.returns import generalized_advantage_estimate
from rlbook.ground.seeding import generator

GAMMA, LAMBDA = 0.9, 0.7


def _record(terminated=(), truncated=(), T=8, seed=1702):
    """One record of T steps, next_values[t] = values[t + 1] but for the ends named; junk in
    next_values behind a termination."""
    rng = generator(seed)
    rewards, values, elsewhere = torch.randn(3, T, generator=rng, dtype=torch.float64)
    flags = torch.zeros(2, T, dtype=torch.bool)
    flags[0, list(terminated)] = True
    flags[1, list(truncated)] = True
    next_values = torch.cat([values[1:], elsewhere[-1:]])
    next_values = torch.where(flags.any(0), 5 + elsewhere, next_values)
    return rewards, values, next_values, *flags


RECORDS = (
    ("a record without an end", _record()),
    ("a record with a termination after step 3", _record(terminated=[3])),
    ("a record with a time limit after step 4", _record(truncated=[4])),
    ("a record in which step 2 terminates and step 5 is truncated", _record([2], [5])),
    ("a record whose step 3 is both terminated and truncated", _record([3], [3])),
)


def _gae(record, gamma=GAMMA, lambda_=LAMBDA, *, guess="right", trace="right"):
    """GAE with a mistake in its masks: which flags stop the guess, and which the sum."""
    r, v, v_next, terminated, truncated = record
    none, both = torch.zeros_like(terminated), terminated | truncated
    no_guess = {"right": terminated, "never": none, "always": both}[guess]
    stops = {"right": both, "never": none, "terminated": terminated}[trace]
    A, following = torch.zeros_like(r), 0.0
    for t in reversed(range(len(r))):
        delta = r[t] + (0.0 if no_guess[t] else gamma * v_next[t]) - v[t]
        following = delta + (0.0 if stops[t] else gamma * lambda_ * following)
        A[t] = following
    return A


def check_gae(attempt) -> str:
    """gae(rewards, values, next_values, terminated, truncated, gamma, lambda_) -> (T,)."""
    for words, record in RECORDS:
        expect_close(
            attempt(*record, GAMMA, LAMBDA),
            generalized_advantage_estimate(*record, discount=GAMMA, lambda_=LAMBDA),
            on=f"{words}, gamma {GAMMA}, lambda {LAMBDA}",
            hint="Go backwards: A_t = delta_t + gamma lambda A_{t+1}, with two masks that differ.",
            mistakes={
                "It read the value behind a termination: there the error is r - V(s).": _gae(
                    record, guess="never"
                ),
                "A time limit cut the guess: where an episode is only truncated, V of the true "
                "next state stays.": _gae(record, guess="always"),
                "The sum runs on behind a time limit, into another episode.": _gae(
                    record, trace="terminated"
                ),
                "The sum runs on behind every end, into another episode.": _gae(
                    record, trace="never"
                ),
                "It has neither mask: values behind a termination are read, and the sums run "
                "on.": _gae(record, guess="never", trace="never"),
                "The sum fades by lambda alone; it should be gamma times lambda.": _gae(
                    record, lambda_=LAMBDA / GAMMA
                ),
                "The sum fades by gamma alone: lambda is not used.": _gae(record, lambda_=1.0),
                "These are the TD errors alone, as for lambda = 0.": _gae(record, lambda_=0.0),
                "These are lambda-returns: V(s_t) was not subtracted.": _gae(record) + record[1],
            },
        )
    padded = [x.clone() for x in _record(terminated=[3])]
    for x in padded[:3]:
        x[4:] = torch.nan
    padded[2][3] = torch.nan
    got = torch.as_tensor(attempt(*padded, GAMMA, LAMBDA))
    expect_true(
        got[:4].isfinite(),
        on="a record whose steps behind its termination are NaN, as in a padded batch",
        what="the advantages before the end should be numbers, some of yours are NaN.",
        hint="0 * NaN is NaN: choose with `if` or torch.where, do not multiply by a mask.",
    )
    return "Both masks are right, and nothing leaks through an end."


def _traces(x, first, c, *, late=False, ignore=False):
    z, following = torch.zeros_like(x), torch.zeros_like(x[..., 0])
    for t in range(x.shape[-1]):
        resets = torch.zeros_like(first[..., 0]) if ignore else first[..., t]
        if late and not ignore:  # resets one step too late
            resets = first[..., t - 1] if t else torch.ones_like(first[..., 0])
        following = x[..., t] + c * torch.where(resets, 0.0, following)
        z[..., t] = following
    return z


def check_traces(attempt) -> str:
    """traces(x, first, c): z_t = x_t + c z_{t-1}, beginning anew where first[t]; (..., T)."""
    rng = generator(1703)
    cases = (("one step", (1,)), ("13 steps", (13,)), ("a batch (2, 3, 40)", (2, 3, 40)))
    for words, shape in cases:
        x = torch.randn(*shape, generator=rng, dtype=torch.float64)
        first = torch.rand(*shape, generator=rng) < 0.2
        first[..., 0] = True
        if shape == (13,):
            first[4] = True
        backwards = _traces(x.flip(-1), first.flip(-1), 0.8)
        expect_close(
            attempt(x, first, 0.8),
            _traces(x, first, 0.8),
            on=f"{words}, c = 0.8",
            hint="Turn time around, sum, turn it back.",
            mistakes={
                "The sums run forwards, over what comes after t; a trace remembers what came "
                "before.": _traces(x.flip(-1), first.flip(-1), 0.8, late=True).flip(-1),
                "The sums run over what comes after t, and stop at the wrong places; a trace "
                "remembers what came before.": backwards.flip(-1),
                "The result is still turned around in time.": _traces(x, first, 0.8).flip(-1),
                "Every episode inherits the trace of the one before: `first` is not used.": _traces(
                    x, first, 0.8, ignore=True
                ),
                "The trace begins anew one step too late.": _traces(x, first, 0.8, late=True),
            },
        )
    return "A scan runs in both directions; this one gives the traces of Eq. (8.20)."


def check_advantages_and_targets(attempt) -> str:
    """advantages_and_targets(rewards, values, next_values, terminated, truncated, gamma,
    lambda_) -> (advantages (T,), targets (T,))."""
    for words, record in RECORDS:
        raw = generalized_advantage_estimate(*record, discount=GAMMA, lambda_=LAMBDA)
        normal = (raw - raw.mean()) / (raw.std() + 1e-8)
        V, on = record[1], f"{words}, gamma {GAMMA}, lambda {LAMBDA}"
        got = attempt(*record, GAMMA, LAMBDA)
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise WrongAnswer(f"On {on}: return the pair (advantages, targets).")
        expect_close(
            got[0],
            normal,
            on=f"{on}, the advantages",
            hint="They should be the normalised GAE, with mean 0 and standard deviation 1.",
            mistakes={
                "They are not normalised; the policy's loss wants mean 0 and deviation 1.": raw,
                "Their mean is 0, but they were not divided by their standard deviation.": raw
                - raw.mean(),
                "Advantages and targets seem to be exchanged.": raw + V,
            },
        )
        expect_close(
            got[1],
            raw + V,
            on=f"{on}, the targets",
            hint="The critic's target is the lambda-return: GAE + V(s_t), in units of rewards.",
            mistakes={
                "They are normalised advantages plus values: the critic learns numbers that "
                "have lost the scale and the mean of the returns.": normal + V,
                "These are the advantages before they were normalised; V(s_t) is missing.": raw,
                "These are the values themselves: the critic would learn nothing.": V,
            },
        )
    return "The actor gets normalised advantages, the critic honest returns."


CHECKERS = {
    "17.2": check_gae,
    "17.3": check_traces,
    "17.4": check_advantages_and_targets,
}
