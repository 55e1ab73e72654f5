"""Typical wrong answers of chapter 14, and what the checker must say to each."""


def _expected(later="torch.where(terminal, 0.0, values)", result=None):
    result = result or "(P * (R + discount * later)).sum(-1) - values[:, None]"
    return f"""
def expected_td_error(P, R, values, terminal, discount):
    later = {later}
    return {result}
"""


def _losses(
    mask="terminated",
    detach_target=".detach()",
    advantage="advantage.detach()",
    actor="-(log_probs * weight).mean()",
    critic="0.5 * (advantage**2).mean()",
    result="actor_loss, critic_loss",
):
    return f"""
def actor_critic_losses(log_probs, values, next_values, rewards, terminated, truncated, discount):
    follows = torch.where({mask}, 0.0, next_values)
    target = (rewards + discount * follows){detach_target}
    advantage = target - values
    weight = {advantage}
    actor_loss = {actor}
    critic_loss = {critic}
    return {result}
"""


def _episodes(quotient="(variance_mc - variance_td) / squared_bias", noisy="0.0", special=True):
    middle = 'if squared_bias == 0:\n        return float("inf")' if special else "pass"
    return f"""
def episodes_to_prefer_returns(squared_bias, variance_td, variance_mc):
    if variance_td >= variance_mc:
        return {noisy}
    {middle}
    return {quotient}
"""


WRONG = {
    "14.2": [
        (_expected(later="values"), "entry of a terminal state"),
        (_expected(result="(P * (R + discount * later)).sum(-1)"), "V(s) was not subtracted"),
        (_expected(result="(P * (R + later)).sum(-1) - values[:, None]"), "discount is missing"),
        (
            _expected(result="R.sum(-1) + discount * (P * later).sum(-1) - values[:, None]"),
            "without their probabilities",
        ),
        (
            _expected(result="values[:, None] - (P * (R + discount * later)).sum(-1)"),
            "The sign is wrong",
        ),
    ],
    "14.3": [
        (_losses(mask="terminated | truncated"), "A time limit was treated as an end"),
        (_losses(mask="terminated & False"), "The value of a terminal state was added"),
        (_losses(actor="(log_probs * weight).mean()"), "The sign is wrong"),
        (_losses(advantage="advantage"), "from the actor's loss into the critic"),
        (_losses(detach_target=""), "the target is pushed"),
        (_losses(critic="(advantage**2).mean()"), "The factor 1/2 is missing"),
        (_losses(result="actor_loss + critic_loss"), "two losses"),
        (_losses(critic="0.5 * advantage**2"), "should have shape ()"),
        (_losses(actor="-(log_probs.detach() * weight).mean()"), "no gradient flows back"),
    ],
    "14.5": [
        (_episodes("(variance_mc - variance_td) / squared_bias**2"), "squared once more"),
        (_episodes("(variance_mc - variance_td) / squared_bias**0.5"), "not by its square"),
        (_episodes("variance_mc / variance_td"), "ratio of variances"),
        (_episodes("(variance_td - variance_mc) / squared_bias"), "the wrong sign"),
        (_episodes("variance_mc / squared_bias"), "shrinks with E, too"),
        (_episodes(noisy="float('inf')"), "noisier than the return"),
        (_episodes(special=False), "ZeroDivisionError"),
    ],
}
