"""Typical wrong answers of chapter 16, and what the checker must say to each."""

GRADIENT = """
def clipped_gradient(ratio, advantages, epsilon):
    high, low = ratio > 1 + epsilon, ratio < 1 - epsilon
    dead = {}
    return torch.where(dead, 0.0, advantages)
"""
RIGHT = "(advantages > 0) & high | (advantages < 0) & low"

LOSS = """
def ppo_clip_loss(log_probs, old_log_probs, returns, values, epsilon):
    advantages = (returns - values).detach()
    centred = advantages - advantages.mean()
    advantages = centred / (advantages.std(correction=0) + 1e-8)
    ratio = torch.exp(log_probs - old_log_probs)
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
    return -torch.minimum(ratio * advantages, clipped * advantages).mean()
"""


def loss(old: str, new: str) -> str:
    assert old in LOSS
    return LOSS.replace(old, new)


def reverse(body: str) -> str:
    return f"def reverse_optimum(old, advantages, beta):\n    {body}\n"


MINIMUM = "torch.minimum(ratio * advantages, clipped * advantages)"

WRONG = {
    "16.2": [
        (GRADIENT.format("high | low"), "the gradient of the clipped term alone"),
        (GRADIENT.format("high & low"), "Nothing is clipped"),
        (
            GRADIENT.format("(advantages < 0) & high | (advantages > 0) & low"),
            "dead zones are swapped",
        ),
        (GRADIENT.format("(advantages > 0) & high"), "dead zone of bad actions is missing"),
        (GRADIENT.format("(advantages < 0) & low"), "dead zone of good actions is missing"),
        (
            GRADIENT.format(RIGHT).replace("0.0, advantages", "0.0, ratio * advantages"),
            "with respect to log ratio",
        ),
        (GRADIENT.format(RIGHT).replace("0.0, advantages", "0.0, -advantages"), "of the loss"),
        (
            GRADIENT.format(RIGHT).replace(
                "torch.where(dead, 0.0, advantages)",
                "torch.minimum(ratio * advantages,"
                " ratio.clamp(1 - epsilon, 1 + epsilon) * advantages)",
            ),
            "not its derivative",
        ),
    ],
    "16.3": [
        (loss("log_probs - old_log_probs", "old_log_probs - log_probs"), "upside down"),
        (loss(MINIMUM, "(clipped * advantages)"), "The minimum is missing"),
        (loss(MINIMUM, "(ratio * advantages)"), "Nothing is clipped"),
        (loss("minimum", "maximum"), "the optimist's choice"),
        (loss("return -", "return "), "The sign"),
        (loss(".detach()", ""), "Advantages are numbers"),
        (loss("(correction=0)", "()"), "divides by B"),
        (
            loss("    advantages = centred / (advantages.std(correction=0) + 1e-8)\n", ""),
            "not normalised",
        ),
        (loss("log_probs - old", "log_probs.detach() - old"), "has no gradient"),
        (loss(").mean()\n", ").sum()\n"), "not the sum"),
        (loss("return -" + MINIMUM + ".mean()", "pass"), "is `return` missing"),
    ],
    "16.4": [
        (reverse("return old * torch.exp(advantages / beta)"), "is not 1: normalise"),
        (reverse("return (advantages / beta).softmax(-1)"), "The old policy is missing"),
        (reverse("return (old.log() + advantages * beta).softmax(-1)"), "beta is a price"),
        (reverse("return (old.log() - advantages / beta).softmax(-1)"), "turned round"),
        (reverse("return (old + advantages / beta).softmax(-1)"), "softmax takes logarithms"),
        (
            reverse("w = old * torch.exp(advantages / beta); return w / w.sum(-1, keepdim=True)"),
            "The exponential overflows",
        ),
        (
            reverse("w = old.log() + advantages / beta; return w.softmax(0)"),
            "sum 1 in each state",
        ),
    ],
}
