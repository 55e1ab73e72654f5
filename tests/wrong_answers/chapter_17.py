"""Typical wrong answers of chapter 17, and what the checker must say to each."""


def _gae(guess="0.0 if terminated[t] else gamma * next_values[t]", delta="", step="", stop=""):
    delta = delta or "rewards[t] + guess - values[t]"
    step = step or "delta + gamma * lambda_ * following"
    stop = stop or "terminated[t] or truncated[t]"
    return f"""
def gae(rewards, values, next_values, terminated, truncated, gamma, lambda_):
    A, following = torch.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        guess = {guess}
        if {stop}:
            following = 0.0
        delta = {delta}
        following = {step}
        A[t] = following
    return A
"""


BY_PRODUCTS = """
def gae(rewards, values, next_values, terminated, truncated, gamma, lambda_):
    goes_on, not_over = (~(terminated | truncated)).double(), (~terminated).double()
    A, following = torch.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * not_over[t] * next_values[t] - values[t]
        following = delta + gamma * lambda_ * goes_on[t] * following
        A[t] = following
    return A
"""


def _traces(body: str) -> str:
    return f"""
from rlbook.formulas.returns import discounted_sums


def traces(x, first, c):
    {body}
"""


def _pair(body: str) -> str:
    return f"""
from rlbook.formulas.returns import generalized_advantage_estimate


def advantages_and_targets(
    rewards, values, next_values, terminated, truncated, gamma, lambda_
):
    advantages = generalized_advantage_estimate(
        rewards, values, next_values, terminated, truncated, discount=gamma, lambda_=lambda_
    )
    {body}
"""


NORMAL = "(advantages - advantages.mean()) / (advantages.std() + 1e-8)"

WRONG = {
    "17.2": [
        (_gae(guess="gamma * next_values[t]"), "read the value behind a termination"),
        (
            _gae(guess="0.0 if terminated[t] or truncated[t] else gamma * next_values[t]"),
            "A time limit cut the guess",
        ),
        (_gae(stop="terminated[t]"), "behind a time limit, into another episode"),
        (_gae(stop="False"), "behind every end, into another episode"),
        (_gae(guess="gamma * next_values[t]", stop="False"), "It has neither mask"),
        (_gae(step="delta + lambda_ * following"), "fades by lambda alone"),
        (_gae(step="delta + gamma * following"), "lambda is not used"),
        (_gae(step="delta"), "the TD errors alone"),
        (BY_PRODUCTS, "0 * NaN is NaN"),
    ],
    "17.3": [
        (_traces("return discounted_sums(x, first, decay=c)"), "stop at the wrong places"),
        (
            _traces(
                "ended = torch.cat([first[..., 1:], torch.ones_like(first[..., :1])], -1)\n"
                "    return discounted_sums(x, ended, decay=c)"
            ),
            "The sums run forwards",
        ),
        (
            _traces("return discounted_sums(x.flip(-1), first.flip(-1), decay=c)"),
            "still turned around",
        ),
        (
            _traces(
                "none = torch.zeros_like(first)\n"
                "    return discounted_sums(x.flip(-1), none, decay=c).flip(-1)"
            ),
            "`first` is not used",
        ),
        (
            _traces(
                "late = torch.cat([torch.ones_like(first[..., :1]), first[..., :-1]], -1)\n"
                "    return discounted_sums(x.flip(-1), late.flip(-1), decay=c).flip(-1)"
            ),
            "one step too late",
        ),
    ],
    "17.4": [
        (
            _pair(f"advantages = {NORMAL}\n    return advantages, advantages + values"),
            "have lost the scale",
        ),
        (_pair("return advantages, advantages + values"), "They are not normalised"),
        (_pair(f"return {NORMAL}, advantages"), "V(s_t) is missing"),
        (_pair(f"return {NORMAL}, values"), "would learn nothing"),
        (_pair(f"return advantages + values, {NORMAL}"), "seem to be exchanged"),
        (_pair(f"return {NORMAL}"), "return the pair"),
    ],
}
