"""Typical wrong answers of chapter 6, and what the checker must say to each."""

WRONG = {
    "6.2": [
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
    price = Q - Q.amax(1, keepdim=True)
    return price.masked_fill(price > -1e-9, -torch.inf).amax(1)
""",
            "That is minus the gap",
        ),
    ],
    "6.3": [
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
    "6.4": [
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
    return torch.linalg.solve(torch.eye(6).to(P) - mdp.discount * P, price)
""",
            "The sign: prices are max Q - Q",
        ),
        (
            """
def bill(mdp, Q_star, policy):
    price = (policy * (Q_star.amax(1, keepdim=True) - Q_star)).sum(1)
    P = torch.einsum("sa,sat->st", policy, mdp.transition)
    return torch.linalg.solve(torch.eye(6).to(P) - mdp.discount * P.T, price)
""",
            "The chain is transposed",
        ),
        (
            """
def bill(mdp, Q_star, policy):
    price = (Q_star.amax(1, keepdim=True) - Q_star).mean(1)
    P = torch.einsum("sa,sat->st", policy, mdp.transition)
    return torch.linalg.solve(torch.eye(6).to(P) - mdp.discount * P, price)
""",
            "mean prices of the uniform policy",
        ),
        (
            """
def bill(mdp, Q_star, policy):
    reward = (policy * mdp.reward).sum(1)
    P = torch.einsum("sa,sat->st", policy, mdp.transition)
    return torch.linalg.solve(torch.eye(6).to(P) - mdp.discount * P, reward)
""",
            "the loss is V* minus that",
        ),
    ],
}
