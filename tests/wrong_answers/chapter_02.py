"""Typical wrong answers of chapter 2, and what the checker must say to each."""

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
    ],
    "2.3": [
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
    ],
    "2.4": [
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
