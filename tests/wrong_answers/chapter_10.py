"""Typical wrong answers of chapter 10, and what the checker must say to each."""

EXPECTED = """
def expected_sarsa_target(rewards, next_q, terminated, epsilon, discount):
    best, mean = next_q.amax(-1), next_q.mean(-1)
    {}
    return rewards + discount * torch.where(terminated, 0.0, value)
"""
RIGHT = "value = (1 - epsilon) * best + epsilon * mean"

DYNA = """
def dyna_q(Q, steps, replays, alpha, discount):
    Q, model = Q.clone(), {}

    def update(s, a, r, s_next, terminated):
        value = 0.0 if terminated else Q[s_next].max()
        Q[s, a] += alpha * (r + discount * value - Q[s, a])

    for (s, a, r, s_next, terminated), pairs in zip(steps, replays):
        update(s, a, r, s_next, terminated)
        model[s, a] = (r, s_next, terminated)
        for pair in pairs:
            update(*pair, *model[pair])
    return Q
"""


def dyna(old: str, new: str) -> str:
    assert old in DYNA
    return DYNA.replace(old, new)


WRONG = {
    "10.2": [
        (
            EXPECTED.format(RIGHT).replace("torch.where(terminated, 0.0, value)", "value"),
            "The terminal mask is missing",
        ),
        (
            EXPECTED.format(RIGHT).replace(
                "torch.where(terminated, 0.0, value)", "value * ~terminated"
            ),
            "0 times NaN is NaN",
        ),
        (EXPECTED.format(RIGHT).replace("discount * torch", "torch"), "discount is missing"),
        (EXPECTED.format("value = best"), "That is Q-learning's target"),
        (EXPECTED.format("value = mean"), "the greedy share is missing"),
        (
            EXPECTED.format("value = epsilon * best + (1 - epsilon) * mean"),
            "The weights are swapped",
        ),
        (
            EXPECTED.format(
                "others = (next_q.sum(-1) - best) / (next_q.shape[-1] - 1)\n"
                "    value = (1 - epsilon) * best + epsilon * others"
            ),
            "may be the greedy one too",
        ),
        (
            EXPECTED.format(
                "ties = (next_q == best[:, None]).sum(-1)\n"
                "    value = (1 - epsilon) * ties * best + epsilon * mean"
            ),
            "they do not get it each",
        ),
        (
            EXPECTED.format(RIGHT).replace("terminated, 0.0, value", "terminated, value, 0.0"),
            "the wrong way round",
        ),
    ],
    "10.3": [
        (dyna("for pair in pairs", "for pair in []"), "Q-learning without planning"),
        (
            dyna(
                "pairs in zip(steps, replays):\n        update(s, a, r, s_next, terminated)",
                "pairs in zip(steps, replays):",
            ),
            "not learned from, only the replays",
        ),
        (dyna("0.0 if terminated else Q[s_next].max()", "Q[s_next].max()"), "mask is missing"),
        (
            dyna("(r, s_next, terminated)\n        for", "(r, s_next, False)\n        for"),
            "forgets that a step ended",
        ),
        (
            dyna(
                "model[s, a] = (r, s_next, terminated)",
                "model.setdefault((s, a), (r, s_next, terminated))",
            ),
            "keeps the first outcome",
        ),
        (dyna("*model[pair])", "r, s_next, terminated)"), "outcome of the last real step"),
        (dyna("r + discount * value", "r + value"), "The discount is missing"),
        (dyna("Q, model = Q.clone(), {}", "model = {}"), "It changed its input"),
    ],
}
