"""Typical wrong answers of chapter 12, and what the checker must say to each."""


def _weights(returned="powers * G", start="rewards * valid", recursion="r + discount * G"):
    return f"""
def reinforce_weights(rewards, valid, discount):
    clean = {start}
    E, T = rewards.shape
    G, columns = torch.zeros_like(rewards[:, 0]), []
    for t in reversed(range(T)):
        r = clean[:, t]
        G = {recursion}
        columns.insert(0, G)
    G = torch.stack(columns, dim=1)
    powers = discount ** torch.arange(T, dtype=rewards.dtype)
    return {returned}
"""


def _leave(body: str) -> str:
    return f"""
def leave_one_out(returns):
    E = len(returns)
    return {body}
"""


def _loss(
    advantage="(returns - values).detach()",
    masked="torch.where(valid, -log_probs * advantage, 0.0)",
    mean="terms.sum(1).mean()",
):
    return f"""
def reinforce_loss(log_probs, returns, values, valid):
    advantage = {advantage}
    terms = {masked}
    return {mean}
"""


WRONG = {
    "12.2": [
        (_weights(start="rewards"), "The rewards behind the end of an episode entered"),
        (_weights(returned="G"), "The factor discount^t in front is missing"),
        (_weights(returned="G[:, :1] * valid"), "the return of the whole episode"),
        (_weights(recursion="r + G"), "without a discount inside"),
        (_weights(returned="powers * powers * G"), "The discount was applied twice"),
        (_weights(returned="powers * clean"), "These are the rewards alone"),
        (
            _weights(returned="(powers * clean).cumsum(1) * valid"),
            "Every action gets the rewards *before* it",
        ),
    ],
    "12.3": [
        (_leave("returns - returns.mean()"), "contains the episode's own return"),
        (_leave("returns - (returns.sum() - returns) / E"), "there are only E - 1"),
        (_leave("(returns.sum() - returns) / (E - 1) - returns"), "The sign is wrong"),
        (_leave("(returns.sum() - returns) / (E - 1)"), "subtract it from the return"),
        (_leave("(returns - returns.mean()) / returns.std()"), "standard deviation"),
    ],
    "12.4": [
        (_loss(masked="-log_probs * advantage"), "Steps behind the end of an episode entered"),
        (_loss(masked="-log_probs * advantage * valid"), "0 times NaN is NaN"),
        (_loss(mean="terms.sum() / valid.sum()"), "divided by the number of steps"),
        (_loss(mean="terms.mean()"), "padding counted"),
        (
            _loss(masked="-log_probs * advantage", mean="terms.mean()"),
            "those behind the ends included",
        ),
        (_loss(advantage="returns - values"), "a gradient flows into the values"),
        (_loss(advantage="(values - returns).detach()"), "The sign is wrong"),
        (_loss(advantage="returns"), "The values were not subtracted"),
        (_loss(mean="terms.sum()"), "not divided by their number"),
        (_loss(mean="terms.sum(1).mean().detach()"), "no gradient flows back"),
    ],
}
