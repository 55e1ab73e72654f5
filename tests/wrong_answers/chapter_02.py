"""Typical wrong answers of chapter 2, and what the checker must say to each."""


def nervous(policy: str, begin: str = "first") -> str:
    """An answer to 2.3 that pushes states, not pairs."""
    return f"""
def where_after(P, first, policy, start, t):
    p = start
    for step in range(t):
        acts = {policy} if step else {begin}
        p = sum(p[s] * acts[s][a] * P[s, a] for s in range(len(start)) for a in range(P.shape[1]))
    return p
"""


def pairs(
    step: str = "qs,qsa,sat->st",
    begin: str = 'torch.einsum("s,sa,sat->st", start, first, P)',
    steps: str = "t - 1",
    result: str = "pairs.sum(0)",
    at_0: str = "if t == 0: return start",
) -> str:
    """An answer to 2.3, right but for what is given."""
    return f"""
def where_after(P, first, policy, start, t):
    {at_0}
    pairs = {begin}
    for _ in range({steps}):
        pairs = torch.einsum("{step}", pairs, policy, P)
    return {result}
"""


WRONG = {
    "2.2": [
        (
            """
def distribution_after(mdp, policy, t):
    P_pi = torch.einsum("sa,sat->st", policy, mdp.transition)
    p = mdp.start
    for _ in range(t):
        p = P_pi @ p
    return p
""",
            "the matrix on the wrong side",
        ),
        (
            """
def distribution_after(mdp, policy, t):
    P_pi = torch.einsum("sa,sat->st", policy, mdp.transition)
    p = mdp.start
    for _ in range(t + 1):
        p = p @ P_pi
    return p
""",
            "one step too many",
        ),
        (
            """
def distribution_after(mdp, policy, t):
    P_pi = mdp.transition.mean(dim=1)
    return mdp.start @ torch.linalg.matrix_power(P_pi, t)
""",
            "weigh P(s'|s, a) with the policy",
        ),
        (
            """
def distribution_after(mdp, policy, t):
    P_pi = mdp.transition.sum(dim=1)
    return mdp.start @ torch.linalg.matrix_power(P_pi, t)
""",
            "The policy is missing as a weight",
        ),
        (
            """
def distribution_after(mdp, policy, t):
    P_pi = torch.einsum("sa,sat->st", policy, mdp.transition)
    p = torch.ones(mdp.num_states, dtype=torch.float64) / mdp.num_states
    return p @ torch.linalg.matrix_power(P_pi, t)
""",
            "begin with mdp.start",
        ),
        (
            """
def distribution_after(mdp, policy, t):
    P_pi = mdp.discount * torch.einsum("sa,sat->st", policy, mdp.transition)
    return mdp.start @ torch.linalg.matrix_power(P_pi, t)
""",
            "That is discounted",
        ),
        (
            """
def distribution_after(mdp, policy, t):
    P_pi = torch.einsum("sa,sat->st", policy, mdp.transition)
    return mdp.start @ P_pi**t
""",
            "the power of each entry",
        ),
        (
            """
def distribution_after(mdp, policy, t):
    p = mdp.start
    for _ in range(t):
        new = p.clone()
        for s in range(mdp.num_states):
            for a in range(mdp.num_actions):
                new += p[s] * policy[s, a] * mdp.transition[s, a]
        p = new
    return p
""",
            "the walkers have left their old cells",
        ),
        (
            """
def distribution_after(mdp, policy, t):
    p = mdp.start
    for _ in range(t):
        new = torch.zeros_like(p)
        for s in range(mdp.num_states):
            for a in range(mdp.num_actions):
                new += mdp.start[s] * policy[s, a] * mdp.transition[s, a]
        p = new
    return p
""",
            "Each step must begin where the last one ended",
        ),
        (
            """
def distribution_after(mdp, policy, t):
    return mdp.start @ torch.linalg.matrix_power(mdp.induced_chain(policy).transition[:, 0], t)
""",
            "not mdp.induced_chain",
        ),
    ],
    "2.3": [
        (nervous("[policy[s, s] for s in range(len(start))]"), "That agent forgets"),
        (nervous("policy.mean(0)"), "averaged over its memory"),
        (nervous("first"), "It holds for the first step only"),
        (pairs(result="pairs"), "the distribution of the pairs"),
        (pairs(result="pairs.sum(1)"), "what is left is the previous one"),
        (pairs("qs,sqa,sat->st"), "yours reads it the other way round"),
        (pairs("qs,qsa,sat->qt"), "Yours keeps q for ever"),
        (pairs(begin="torch.diag(start)", steps="t"), "not by policy[s, s]"),
        (pairs(begin="torch.outer(start, start)", steps="t"), "drawn a previous state"),
        (pairs(steps="t"), "one step too many"),
        (pairs(at_0=""), "At t = 0 nobody has moved"),
        (pairs(begin='torch.einsum("sa,sat->st", first, P)'), "yours has lost the start"),
    ],
    "2.4": [
        (
            """
def pair_visitation(mdp, policy):
    P_pi = torch.einsum("sa,sat->st", policy, mdp.transition)
    matrix = torch.eye(mdp.num_states, dtype=P_pi.dtype) - mdp.discount * P_pi.T
    return torch.linalg.solve(matrix, mdp.start).unsqueeze(1) * policy
""",
            "the factor 1 - discount is missing",
        ),
        (
            """
def pair_visitation(mdp, policy):
    P_pi = torch.einsum("sa,sat->st", policy, mdp.transition)
    matrix = torch.eye(mdp.num_states, dtype=P_pi.dtype) - mdp.discount * P_pi
    nu = torch.linalg.solve(matrix, (1 - mdp.discount) * mdp.start)
    return nu.unsqueeze(1) * policy
""",
            "The matrix is transposed",
        ),
        (
            """
def pair_visitation(mdp, policy):
    P_pi = torch.einsum("sa,sat->st", policy, mdp.transition)
    matrix = torch.eye(mdp.num_states, dtype=P_pi.dtype) - mdp.discount * P_pi.T
    return torch.linalg.solve(matrix, (1 - mdp.discount) * mdp.start)
""",
            "That is the visitation of the states",
        ),
        (
            """
def pair_visitation(mdp, policy):
    P_pi = torch.einsum("sa,sat->st", policy, mdp.transition)
    matrix = torch.eye(mdp.num_states, dtype=P_pi.dtype) - mdp.discount * P_pi.T
    nu = torch.linalg.solve(matrix, (1 - mdp.discount) * mdp.start)
    return nu.unsqueeze(1).expand(policy.shape) / mdp.num_actions
""",
            "its share is pi(a|s)",
        ),
        (
            """
def pair_visitation(mdp, policy):
    return mdp.start.unsqueeze(1) * policy
""",
            "the very first pair",
        ),
        (
            """
def pair_visitation(mdp, policy):
    P_pi = torch.einsum("sa,sat->st", policy, mdp.transition)
    p, nu = mdp.start, 0
    for t in range(3000):
        nu = nu + (1 - mdp.discount) * mdp.discount**t * p
        p = p @ P_pi
    return nu.unsqueeze(1) * policy
""",
            "A series is never done here",
        ),
        (
            """
def pair_visitation(mdp, policy):
    P_pi = torch.einsum("sa,sat->st", policy, mdp.transition)
    p, nu, weight = mdp.start, 0, 1 - mdp.discount
    while weight > 1e-12:
        nu = nu + weight * p
        p, weight = p @ P_pi, weight * mdp.discount
    return nu.unsqueeze(1) * policy
""",
            "it was still at work",
        ),
        (
            """
def pair_visitation(mdp, policy):
    P_pi = torch.einsum("sa,sat->st", policy, mdp.transition)
    matrix = torch.eye(mdp.num_states, dtype=P_pi.dtype) - 0.9 * P_pi.T
    return torch.linalg.solve(matrix, 0.1 * mdp.start).unsqueeze(1) * policy
""",
            "discount 0.5",
        ),
        (
            """
def pair_visitation(mdp, policy):
    chain = mdp.induced_chain(policy)
    P_pi = chain.transition[:, 0]
    matrix = torch.eye(mdp.num_states, dtype=P_pi.dtype) - mdp.discount * P_pi.T
    return torch.linalg.solve(matrix, (1 - mdp.discount) * mdp.start).unsqueeze(1) * policy
""",
            "not mdp.induced_chain",
        ),
    ],
    "2.7": [
        (
            """
def extend(second_order):
    S = len(second_order)
    chain = torch.zeros(S, S, S, S, dtype=second_order.dtype)
    for x in range(S):
        for y in range(S):
            chain[x, y, x] = second_order[x, y]
    return chain.reshape(S * S, S * S)
""",
            "not (x, z)",
        ),
        (
            """
def extend(second_order):
    S = len(second_order)
    chain = torch.zeros(S, S, S, S, dtype=second_order.dtype)
    for x in range(S):
        for y in range(S):
            chain[x, y, :, y] = second_order[x, y]
    return chain.reshape(S * S, S * S)
""",
            "not (z, y)",
        ),
        (
            """
def extend(second_order):
    S = len(second_order)
    chain = torch.zeros(S * S, S * S, dtype=second_order.dtype)
    for x in range(S):
        for y in range(S):
            for z in range(S):
                chain[x + S * y, y + S * z] = second_order[x, y, z]
    return chain
""",
            "numbered the other way round",
        ),
        (
            """
def extend(second_order):
    S = len(second_order)
    chain = torch.zeros(S, S, S, S, dtype=second_order.dtype)
    for x in range(S):
        for y in range(S):
            chain[x, y, y] = second_order[x, y]
    return chain
""",
            "should have shape (4, 4), yours has (2, 2, 2, 2)",
        ),
        (
            """
def extend(second_order):
    S = len(second_order)
    chain = torch.zeros(S, S, S, S)
    for x in range(S):
        for y in range(S):
            chain[x, y, y] = second_order[x, y]
    return chain.reshape(S * S, S * S)
""",
            "should be float64, yours is float32",
        ),
        (
            """
def extend(second_order):
    S = len(second_order)
    return second_order.reshape(S * S, S)
""",
            "One row for each pair now, one column for each pair next",
        ),
    ],
}
