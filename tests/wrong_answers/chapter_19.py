"""Typical wrong answers of chapter 19, and what the checker must say to each."""

REWARDS = """
def rewards_of_tokens(scores, log_probs, ref_log_probs, completion_mask, beta):
    price = -beta * (log_probs - ref_log_probs).detach()
    rewards = torch.where(completion_mask, price, 0.0)
    rows = torch.arange(len(scores))
    rewards[rows, completion_mask.sum(1) - 1] += scores
    return rewards
"""

PRINTED = """
def rewards_of_tokens(scores, log_probs, ref_log_probs, completion_mask, beta):
    rewards = -beta * (ref_log_probs - log_probs)
    rewards[:, -1] += scores
    return rewards
"""

DPO = """
def train_dpo(model, ref_log_probs, prefers, beta):
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=200, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        h = beta * (model.answer_log_probs()[0] - ref_log_probs)
        margin = h.unsqueeze(2) - h.unsqueeze(1)
        loss = -(prefers * torch.nn.functional.logsigmoid(margin)).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return model
"""

PRICE = """
def price_for(ref_log_probs, rewards, target):
    low, high = 1e-4, 1e4
    for _ in range(60):
        middle = (low * high) ** 0.5
        log_pi = (ref_log_probs + rewards / middle).log_softmax(-1)
        kl = (log_pi.exp() * (log_pi - ref_log_probs)).sum(-1).mean()
        low, high = (middle, high) if kl > target else (low, middle)
    return (low * high) ** 0.5
"""


def change(source: str, old: str, new: str) -> str:
    assert source.count(old) == 1, old
    return source.replace(old, new)


WRONG = {
    "19.2": [
        (PRINTED, "wrong sign"),
        (change(REWARDS, "-beta", "beta"), "wrong sign"),
        (change(REWARDS, "completion_mask.sum(1) - 1", "-1"), "last real token"),
        (change(REWARDS, "torch.where(completion_mask, price, 0.0)", "price"), "padding"),
        (change(REWARDS, ".detach()", ""), "A reward is a number"),
        (
            change(
                REWARDS,
                "rewards[rows, completion_mask.sum(1) - 1] += scores",
                "rewards = rewards + torch.where(completion_mask, scores[:, None], 0.0)",
            ),
            "not with every token",
        ),
        (
            change(REWARDS, "    rows", "    rewards /= completion_mask.sum(1)[:, None]\n    rows"),
            "not a mean",
        ),
    ],
    "19.3": [
        (change(DPO, "h.unsqueeze(2) - h.unsqueeze(1)", "h.unsqueeze(1) - h.unsqueeze(2)"), "sign"),
        (change(DPO, "loss = -", "loss = "), "sign"),
        (change(DPO, " - ref_log_probs)", ")"), "reference is missing"),
        (change(DPO, "beta * ", "1.0 * "), "beta is missing"),
        (change(DPO, "beta * ", "1 / beta * "), "beta divides the margin"),
        (change(DPO, "max_iter=200", "max_iter=2"), "enough steps"),
        (change(DPO, "    optimizer.step(closure)\n", ""), "has not changed"),
    ],
    "19.4": [
        (change(PRICE, "rewards / middle", "rewards * middle"), "The KL of the optimum"),
        (
            change(PRICE, "(log_pi.exp() * (log_pi - ref_log_probs))",
                   "(ref_log_probs.exp() * (ref_log_probs - log_pi))"),
            "the policy comes first",
        ),
        (change(PRICE, ".sum(-1).mean()", ".sum()"), "not their mean"),
        (change(PRICE, "return (low * high) ** 0.5", "return 1 / (low * high) ** 0.5"), "1 / beta"),
        (change(PRICE, "range(60)", "range(5)"), "The KL of the optimum"),
    ],
}  # fmt: skip
