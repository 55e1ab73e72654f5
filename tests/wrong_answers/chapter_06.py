"""Typical wrong answers of chapter 6, and what the checker must say to each."""

_SWEEP = """
def q_sweep(P, Q, gamma):
    def promise(s, a):
        return sum(p * (r + gamma * {}) for p, t, r, done in P[s][a])

    return [[promise(s, a) for a in P[s]] for s in P]
"""
_AUDIT = """
def audit(mdp, policy, start):
    P, r, gamma = mdp.transition, mdp.reward, mdp.discount
    rounds = int(40 / (1 - gamma)) + 1
    Q = torch.zeros_like(r)
    for _ in range(rounds):
        Q = r + gamma * P @ Q.amax(1)
    price = Q.amax(1, keepdim=True) - Q
    here, visits = torch.zeros_like(r[:, 0]), torch.zeros_like(r[:, 0])
    here[start] = 1.0
    for t in range(rounds):
        visits = visits + gamma**t * here
        here = torch.einsum("s,sa,sat->t", here, policy, P)
    return {}
"""

WRONG = {
    "6.1": [
        (_SWEEP.format("max(Q[t])"), "Nothing follows an outcome that is done"),
        (_SWEEP.format("max(Q[t]) * done"), "the wrong way round"),
        (_SWEEP.format("max(Q[s]) * (not done)"), "the row one leaves"),
        (_SWEEP.format("Q[t][a] * (not done)"), "the same action again"),
        (_SWEEP.replace("gamma * {}", "max(Q[t]) * (not done)"), "without the discount"),
        (_SWEEP.replace("gamma * {}", "0.9 * max(Q[t]) * (not done)"), "gamma 0.5: entry"),
    ],
    "6.3": [
        (_AUDIT.format("-visits.unsqueeze(1) * policy * price"), "The sign"),
        (_AUDIT.format("visits.unsqueeze(1) * price"), "how often the policy chooses"),
        (_AUDIT.format("policy * price"), "charges every state once"),
        (_AUDIT.format("visits.unsqueeze(1) * policy * r"), "shares of the reward"),
        (
            _AUDIT.format("(1 - gamma) * visits.unsqueeze(1) * policy * price"),
            "add up to 1 / (1 - gamma)",
        ),
        (
            _AUDIT.replace("s,sa,sat->t", "t,sa,sat->s").format(
                "visits.unsqueeze(1) * policy * price"
            ),
            "walked backwards",
        ),
        (
            _AUDIT.replace("int(40 / (1 - gamma)) + 1", "2000").format(
                "visits.unsqueeze(1) * policy * price"
            ),
            "that is too early",
        ),
        (
            _AUDIT.replace(
                "gamma = mdp.transition, mdp.reward, mdp.discount",
                "gamma = mdp.transition, mdp.reward, 0.9",
            ).format("visits.unsqueeze(1) * policy * price"),
            "discount 0.5",
        ),
    ],
    "6.5": [
        (
            """
def action_gaps(Q):
    best = Q.topk(2, dim=1).values
    return best[:, 0] - best[:, 1]
""",
            "difference of the two largest entries",
        ),
        (
            """
def action_gaps(Q):
    return (Q.amax(1, keepdim=True) - Q).amin(1)
""",
            "always the 0 of an optimal action",
        ),
        (
            """
def action_gaps(Q):
    price = Q.amax(1, keepdim=True) - Q
    return price.masked_fill(price == 0, torch.inf).amin(1)
""",
            "within 1e-9 of the best counts as optimal",
        ),
        (
            """
def action_gaps(Q):
    return Q.amax(1) - Q.amin(1)
""",
            "That is the largest price",
        ),
        (
            """
def action_gaps(Q):
    price = Q.amax(1, keepdim=True) - Q
    gaps = price.masked_fill(price < 1e-9, torch.inf).amin(1)
    return gaps.masked_fill(gaps == torch.inf, 0.0)
""",
            "has the gap inf, not 0",
        ),
        (
            """
def action_gaps(Q):
    best = Q.amax(1, keepdim=True)
    return (best - Q).masked_fill(Q.isclose(best), torch.inf).amin(1)
""",
            "a tolerance of its own",
        ),
        (
            """
def action_gaps(Q):
    price = (Q.amax(1, keepdim=True) - Q).round(decimals=2)
    return price.masked_fill(price < 1e-9, torch.inf).amin(1)
""",
            "Take the smallest of the prices",
        ),
        (
            """
def action_gaps(Q):
    price = Q - Q.amax(1, keepdim=True)
    return price.masked_fill(price > -1e-9, -torch.inf).amax(1)
""",
            "That is minus the gap",
        ),
    ],
    "6.4": [
        (
            """
def soft_backup(mdp, V, epsilon):
    Q = mdp.reward + mdp.discount * mdp.transition @ V
    return Q.amax(1)
""",
            "epsilon is not used",
        ),
        (
            """
def soft_backup(mdp, V, epsilon):
    Q = mdp.reward + mdp.transition @ V
    return (1 - epsilon) * Q.amax(1) + epsilon * Q.mean(1)
""",
            "without the discount",
        ),
        (
            """
def soft_backup(mdp, V, epsilon):
    Q = mdp.reward + 0.9 * mdp.transition @ V
    return (1 - epsilon) * Q.amax(1) + epsilon * Q.mean(1)
""",
            "discount 0.5",
        ),
        (
            """
def soft_backup(mdp, V, epsilon):
    Q = mdp.reward + mdp.discount * mdp.transition @ V
    return epsilon * Q.amax(1) + (1 - epsilon) * Q.mean(1)
""",
            "The weights are swapped",
        ),
        (
            """
def soft_backup(mdp, V, epsilon):
    Q = mdp.reward + mdp.discount * mdp.transition @ V
    best = Q.amax(1)
    others = (Q.sum(1) - best) / (Q.shape[1] - 1)
    return (1 - epsilon) * best + epsilon * others
""",
            "may be the greedy one too",
        ),
        (
            """
def soft_backup(mdp, V, epsilon):
    Q = mdp.reward + mdp.discount * mdp.transition @ V
    return (1 - epsilon) * Q.amax(1) + epsilon * Q.sum(1)
""",
            "divided by their number",
        ),
        (
            """
def soft_backup(mdp, V, epsilon):
    Q = mdp.reward + mdp.discount * mdp.transition @ V
    return (1 - epsilon) * Q.amax(1)
""",
            "The part of the random action is missing",
        ),
    ],
    "6.7": [
        (
            """
def bill(mdp, Q_star, policy):
    return (policy * (Q_star.amax(1, keepdim=True) - Q_star)).sum(1)
""",
            "the prices of all later steps are missing",
        ),
        (
            """
def bill(mdp, Q_star, policy):
    price = (policy * (Q_star - Q_star.amax(1, keepdim=True))).sum(1)
    P = torch.einsum("sa,sat->st", policy, mdp.transition)
    return torch.linalg.solve(torch.eye(len(P)).to(P) - mdp.discount * P, price)
""",
            "The sign: prices are max Q - Q",
        ),
        (
            """
def bill(mdp, Q_star, policy):
    price = (policy * (Q_star.amax(1, keepdim=True) - Q_star)).sum(1)
    P = torch.einsum("sa,sat->st", policy, mdp.transition)
    return torch.linalg.solve(torch.eye(len(P)).to(P) - mdp.discount * P.T, price)
""",
            "The chain is transposed",
        ),
        (
            """
def bill(mdp, Q_star, policy):
    price = (Q_star.amax(1, keepdim=True) - Q_star).mean(1)
    P = torch.einsum("sa,sat->st", policy, mdp.transition)
    return torch.linalg.solve(torch.eye(len(P)).to(P) - mdp.discount * P, price)
""",
            "mean prices of the uniform policy",
        ),
        (
            """
def bill(mdp, Q_star, policy):
    reward = (policy * mdp.reward).sum(1)
    P = torch.einsum("sa,sat->st", policy, mdp.transition)
    return torch.linalg.solve(torch.eye(len(P)).to(P) - mdp.discount * P, reward)
""",
            "add up its prices",
        ),
        (
            """
def bill(mdp, Q_star, policy):
    reward = (policy * mdp.reward).sum(1)
    P = torch.einsum("sa,sat->st", policy, mdp.transition)
    V = torch.linalg.solve(torch.eye(len(P)).to(P) - mdp.discount * P, reward)
    return Q_star.amax(1) - V
""",
            "evaluates the policy's rewards",
        ),
    ],
}
