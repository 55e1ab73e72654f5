"""Typical wrong answers of chapter 20, and what the checker must say to each."""

GROUPS = """
def group_advantages(rewards):
    mean = rewards.mean(1, keepdim=True)
    s = rewards.std(1, correction=0, keepdim=True)
    return {}
"""

STEPS = """
def step_advantages(step_rewards, step_ends, num_tokens):
    normal = step_rewards - step_rewards.mean()
    normal = normal / step_rewards.std(correction=0)
    t = torch.arange(num_tokens)[:, None]
    counts = step_ends[:, None] >= t
    return (normal[:, None] * counts).sum(-1)
"""

LOSS = """
def mended_loss(log_probs, old_log_probs, ref_log_probs, advantages, mask, beta):
    ratio = (log_probs - old_log_probs).exp()
    clipped = ratio.clamp(0.8, 1.2)
    losses = -torch.minimum(ratio * advantages, clipped * advantages)
    x = ref_log_probs - log_probs
    losses = losses + beta * (x.exp() - x - 1)
    losses = torch.where(mask, losses, 0.0)
    return (losses.sum(1) / mask.sum(1)).mean()
"""


def changed(source: str, old: str, new: str) -> str:
    assert old in source
    return source.replace(old, new)


WRONG = {
    "20.2": [
        (GROUPS.format("(rewards - mean) / s"), "gives 0/0"),
        (GROUPS.format("(rewards - mean) / (s + 1e-8)"), "a small number added"),
        (GROUPS.format("rewards - mean"), "nothing is divided"),
        (
            GROUPS.format(
                "torch.where(s > 1e-9, (rewards - mean) / rewards.std(1, True), 0.0)"
            ).replace("rewards.std(1, True)", "rewards.std(1, keepdim=True)"),
            "divides by G, not by G - 1",
        ),
        (
            GROUPS.format("(rewards - rewards.mean()) / rewards.std(correction=0)"),
            "those of the whole batch",
        ),
        (
            GROUPS.format("(rewards - rewards.mean(0)) / rewards.std(0, correction=0)"),
            "that of the column",
        ),
    ],
    "20.3": [
        (changed(STEPS, "step_ends[:, None] >= t", "step_ends[:, None] <= t"), "are over"),
        (changed(STEPS, ">= t", "> t"), "ends >= t"),
        (changed(STEPS, "step_ends[:, None] >= t", "(t >= 0)[None]"), "that is an outcome"),
        (
            STEPS.replace(".mean()", ".mean(1, keepdim=True)").replace(
                ".std(correction=0)", ".std(1, correction=0, keepdim=True)"
            ),
            "normalised by itself",
        ),
        (changed(STEPS, "(normal[:", "(step_rewards[:"), "not normalised"),
    ],
    "20.4": [
        (
            changed(LOSS, "(losses.sum(1) / mask.sum(1)).mean()", "losses.mean(1).mean()"),
            "padding included",
        ),
        (
            changed(LOSS, "(losses.sum(1) / mask.sum(1)).mean()", "losses.sum() / mask.sum()"),
            "long answers weigh more",
        ),
        (
            changed(LOSS, "(losses.sum(1) / mask.sum(1)).mean()", "losses.sum(1).mean()"),
            "not divided by anything",
        ),
        (changed(LOSS, "(1)).mean()", "(1)).sum()"), "not averaged"),
        (
            changed(LOSS, "beta * (x.exp() - x - 1)", "beta * (x.exp() - x - 1).detach()"),
            "the gradient",
        ),
        (
            changed(LOSS, "x.exp() - x - 1", "(-x).exp() + x - 1"),
            "the mean over the answer's own tokens",
        ),
    ],
}
