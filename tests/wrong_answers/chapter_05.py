"""Typical wrong answers of chapter 5, and what the checker must say to each."""

RIGHT = """
def sail(transition, reward, days, allowed, discount):
    here, eye = torch.arange(len(reward)), torch.eye(len(reward), dtype=torch.float64)
    fade = discount**days
    policy = allowed.long().argmax(dim=1)
    while True:
        chain = fade[here, policy].unsqueeze(1) * transition[here, policy]
        V = torch.linalg.solve(eye - chain, reward[here, policy])
        Q = (reward + fade * (transition @ V)).masked_fill(~allowed, -torch.inf)
        better = Q.amax(dim=1) > Q[here, policy] + 1e-9
        if not better.any():
            return policy, V
        policy = torch.where(better, Q.argmax(dim=1), policy)
"""
WRONG_LINES = [  # of it, with what stands there instead, and what the checker must say
    (
        "fade = discount**days",
        "fade = torch.full_like(days, discount)",
        "Every voyage counts as one day",
    ),
    (
        "chain = fade[here, policy].unsqueeze(1) * transition[here, policy]",
        "chain = discount * transition[here, policy]",
        "the same discounts",
    ),
    (
        "Q = (reward + fade * (transition @ V)).masked_fill(~allowed, -torch.inf)",
        "Q = (reward + discount * (transition @ V)).masked_fill(~allowed, -torch.inf)",
        "missing in the improvement",
    ),
    (
        "fade = discount**days",
        "fade = 1 - (1 - discount) * days",
        "multiplies the discount by the days",
    ),
    (
        "fade = discount**days",
        "fade = discount**days\n    reward = fade * reward",
        "paid when he casts off",
    ),
    (
        "Q = (reward + fade * (transition @ V)).masked_fill(~allowed, -torch.inf)",
        "Q = (reward + fade * (transition @ V))",
        "restricted to the voyages that exist",
    ),
    (
        "if not better.any():",
        "if (policy != allowed.long().argmax(dim=1)).any():",
        "after one improvement",
    ),
    ("fade = discount**days", "fade = 0.9**days", "discount 0.5"),
    ("return policy, V", "return V, policy", "the policy first"),
    ("return policy, V", "return policy", "two things"),
    ("return policy, V", "return allowed.long().argmax(dim=1), V", "is not the best one"),
]

WRONG = {
    "5.2": [
        (
            """
def evaluate_by_sweeps(mdp, policy, sweeps):
    P = torch.einsum("sa,sat->st", policy, mdp.transition)
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweeps):
        V = (policy * mdp.reward).sum(1) + P @ V
    return V
""",
            "without the discount",
        ),
        (
            """
def evaluate_by_sweeps(mdp, policy, sweeps):
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweeps):
        V = (mdp.reward + mdp.discount * mdp.transition @ V).amax(dim=1)
    return V
""",
            "the maximum over the actions",
        ),
        (
            """
def evaluate_by_sweeps(mdp, policy, sweeps):
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweeps):
        for s in range(mdp.num_states):
            q = mdp.reward[s] + mdp.discount * mdp.transition[s] @ V
            V[s] = policy[s] @ q
    return V
""",
            "updated in place",
        ),
        (
            """
def evaluate_by_sweeps(mdp, policy, sweeps):
    V = (policy * mdp.reward).sum(1)
    for _ in range(sweeps):
        V = (policy * (mdp.reward + mdp.discount * mdp.transition @ V)).sum(1)
    return V
""",
            "one sweep too many",
        ),
        (
            """
def evaluate_by_sweeps(mdp, policy, sweeps):
    s, a = torch.arange(mdp.num_states), policy.argmax(dim=1)
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweeps):
        V = mdp.reward[s, a] + mdp.discount * mdp.transition[s, a] @ V
    return V
""",
            "most likely action",
        ),
        (
            """
def evaluate_by_sweeps(mdp, policy, sweeps):
    P = torch.einsum("sa,sat->st", policy, mdp.transition)
    r = (policy * mdp.reward).sum(1)
    return torch.linalg.solve(torch.eye(mdp.num_states) - mdp.discount * P, r)
""",
            "the limit",
        ),
        (
            """
def evaluate_by_sweeps(mdp, policy, sweeps):
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweeps):
        V = (policy * mdp.discount * (mdp.reward + mdp.transition @ V)).sum(1)
    return V
""",
            "The discount multiplies the reward as well",
        ),
        (
            """
def evaluate_by_sweeps(mdp, policy, sweeps):  # a discount that is written into the code
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweeps):
        V = (policy * (mdp.reward + 0.8 * mdp.transition @ V)).sum(1)
    return V
""",
            "discount 0.5",
        ),
        (
            """
def evaluate_by_sweeps(mdp, policy, sweeps):
    V = (policy * mdp.reward).sum(1)
    for _ in range(sweeps - 1):
        V = (policy * (mdp.reward + mdp.discount * mdp.transition @ V)).sum(1)
    return V
""",
            "after 0 sweeps",
        ),
        (
            """
def evaluate_by_sweeps(mdp, policy, sweeps):  # never fewer than a thousand
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweeps if sweeps < 50 else 5000):
        V = (policy * (mdp.reward + mdp.discount * mdp.transition @ V)).sum(1)
    return V
""",
            "the limit",
        ),
    ],
    "5.3": [
        (
            """
def improve(mdp, values, policy):
    Q = mdp.reward + mdp.discount * mdp.transition @ values
    return Q.masked_fill(~mdp.allowed, -torch.inf).argmax(dim=1)
""",
            "an action that ties must stay",
        ),
        (
            """
def improve(mdp, values, policy):
    Q = mdp.reward + mdp.discount * mdp.transition @ values
    Q = Q.masked_fill(~mdp.allowed, -torch.inf)
    present = Q.gather(1, policy.unsqueeze(1)).squeeze(1)
    return torch.where(Q.amax(dim=1) > present, Q.argmax(dim=1), policy)
""",
            "up to rounding",
        ),
        (
            """
def improve(mdp, values, policy):
    Q = mdp.reward + mdp.transition @ values
    Q = Q.masked_fill(~mdp.allowed, -torch.inf)
    present = Q.gather(1, policy.unsqueeze(1)).squeeze(1)
    return torch.where(Q.amax(dim=1) > present + 1e-9, Q.argmax(dim=1), policy)
""",
            "without the discount",
        ),
        (
            """
def improve(mdp, values, policy):
    Q = mdp.reward + mdp.discount * mdp.transition @ values
    present = Q.gather(1, policy.unsqueeze(1)).squeeze(1)
    return torch.where(Q.amax(dim=1) > present + 1e-9, Q.argmax(dim=1), policy)
""",
            "mdp.allowed rules out",
        ),
        (
            """
def improve(mdp, values, policy):
    return mdp.reward.masked_fill(~mdp.allowed, -torch.inf).argmax(dim=1)
""",
            "looks at the reward only",
        ),
        (
            """
def improve(mdp, values, policy):  # a discount that is written into the code
    Q = mdp.reward + 0.5 * mdp.transition @ values
    Q = Q.masked_fill(~mdp.allowed, -torch.inf)
    present = Q.gather(1, policy.unsqueeze(1)).squeeze(1)
    return torch.where(Q.amax(dim=1) > present + 1e-9, Q.argmax(dim=1), policy)
""",
            "random model",
        ),
        (
            """
def improve(mdp, values, policy):
    Q = mdp.reward + mdp.discount * mdp.transition @ values
    Q = Q.masked_fill(~mdp.allowed, -torch.inf)
    present = Q.gather(1, policy.unsqueeze(1)).squeeze(1)
    stays = torch.isclose(present, Q.amax(dim=1))
    return torch.where(stays, policy, Q.argmax(dim=1))
""",
            "better by 1e-6",
        ),
        (
            """
def improve(mdp, values, policy):
    Q = mdp.reward + mdp.discount * mdp.transition @ values
    Q = Q.masked_fill(~mdp.allowed, -torch.inf)
    present = Q.gather(1, policy.unsqueeze(1)).squeeze(1)
    last = Q.shape[1] - 1 - Q.flip(1).argmax(dim=1)
    return torch.where(Q.amax(dim=1) > present + 1e-9, last, policy)
""",
            "the last of several best actions",
        ),
    ],
    "5.6": [
        (
            """
def overnight_cost(first, second, moved):
    lots = (first - moved > 10) + (second + moved > 10)
    return 2 * abs(moved) + 4 * lots
""",
            "for free",
        ),
        (
            """
def overnight_cost(first, second, moved):
    lots = (first - moved > 10) + (second + moved > 10)
    return 2 * max(abs(moved) - 1, 0) + 4 * lots
""",
            "one way only",
        ),
        (
            """
def overnight_cost(first, second, moved):
    lots = (first - moved > 10) + (second + moved > 10)
    return 2 * (moved - 1 if moved >= 0 else -moved) + 4 * lots
""",
            "nothing is paid for moving",
        ),
        (
            """
def overnight_cost(first, second, moved):
    paid = moved - 1 if moved > 0 else -moved
    return 2 * paid + 4 * ((first > 10) + (second > 10))
""",
            "after the move",
        ),
        (
            """
def overnight_cost(first, second, moved):
    paid = moved - 1 if moved > 0 else -moved
    return 2 * paid + 4 * ((first - moved >= 10) + (second + moved >= 10))
""",
            "Ten cars still fit",
        ),
        (
            """
def overnight_cost(first, second, moved):
    paid = moved - 1 if moved > 0 else -moved
    return 2 * paid + (4 if first - moved > 10 or second + moved > 10 else 0)
""",
            "at each",
        ),
    ],
    "5.4": [(RIGHT.replace(old, new), said) for old, new, said in WRONG_LINES],
}
