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


REHEARSE = """
def rehearse(env, num_steps, behaviour, hand, discount):
    rng, n = random.Random(0), env.action_space.n
    Q = [[0.0] * n for _ in range(env.observation_space.n)]
    s, _ = env.reset(seed=0)
    for _ in range(num_steps):
        explores = rng.random() < behaviour
        a = rng.randrange(n) if explores else Q[s].index(max(Q[s]))
        s_next, r, terminated, truncated, _ = env.step(a)
        mean = (1 - hand) * max(Q[s_next]) + hand * sum(Q[s_next]) / n
        target = r if terminated else r + discount * mean
        Q[s][a] += 0.5 * (target - Q[s][a])
        s = env.reset()[0] if terminated or truncated else s_next
    return Q
"""
MEAN = "(1 - hand) * max(Q[s_next]) + hand * sum(Q[s_next]) / n"

SARSA = """
def rehearse(env, num_steps, behaviour, hand, discount):
    rng, n = random.Random(0), env.action_space.n
    Q = [[0.0] * n for _ in range(env.observation_space.n)]

    def choose(row):
        return rng.randrange(n) if rng.random() < behaviour else row.index(max(row))

    s = env.reset()[0]
    a = choose(Q[s])
    for _ in range(num_steps):
        s_next, r, terminated, truncated, _ = env.step(a)
        a_next = choose(Q[s_next])
        target = r if terminated else r + discount * Q[s_next][a_next]
        Q[s][a] += 0.5 * (target - Q[s][a])
        s, a = s_next, a_next
        if terminated or truncated:
            s = env.reset()[0]
            a = choose(Q[s])
    return Q
"""


def rehearse(old: str, new: str) -> str:
    assert old in REHEARSE
    return REHEARSE.replace(old, new)


WRONG = {
    "10.3": [
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
        (EXPECTED.format(RIGHT).replace("discount * torch", "0.9 * torch"), "those of the call"),
        (
            EXPECTED.format("value = (1 - epsilon) * best + epsilon * next_q.sum(-1) / 4"),
            "those of the call",
        ),
        (EXPECTED.format("value = (1 - 0.2) * best + 0.2 * mean"), "those of the call"),
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
    "10.4": [
        (SARSA, "the hand of the rehearsal"),
        (
            rehearse(MEAN, MEAN.replace("hand", "behaviour")),
            "the hand of the rehearsal",
        ),
        (rehearse(MEAN, "max(Q[s_next])"), "a hand that never trembles"),
        (rehearse(MEAN, "sum(Q[s_next]) / n"), "a hand that always trembles"),
        (
            rehearse(MEAN, "hand * max(Q[s_next]) + (1 - hand) * sum(Q[s_next]) / n"),
            "The weights are swapped",
        ),
        (
            rehearse("sum(Q[s_next]) / n", "(sum(Q[s_next]) - max(Q[s_next])) / (n - 1)"),
            "the best one too",
        ),
        (rehearse("discount * mean", "mean"), "without the discount"),
        (rehearse("discount * mean", "0.95 * mean"), "those of the call"),
        (rehearse("r if terminated else r", "r"), "a target of its own"),
        (rehearse("r if terminated else", "r if terminated or truncated else"), "taken for an end"),
        (rehearse("terminated or truncated else s_next", "terminated else s_next"), "is over"),
        (rehearse("< behaviour", "< hand"), "explore with `behaviour`"),
        (rehearse("range(num_steps)", "range(40_000)"), "num_steps is 30000"),
    ],
    "10.5": [
        (dyna("Q[s_next].max()", "max(Q[s_next].max(), torch.zeros(()))"), "no floor at 0"),
        (dyna("+= alpha *", "+= 0.5 *"), "those of the call"),
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
