"""Typical wrong answers of chapter 3, and what the checker must say to each."""

WRONG = {
    "3.2": [
        (
            """
def q_expectation_backup(mdp, q, policy):
    return mdp.reward + 0.9 * mdp.transition @ (policy * q).sum(dim=1)
""",
            "this model has its own, mdp.discount",
        ),
        (
            """
def q_expectation_backup(mdp, q, policy):
    return mdp.reward + mdp.transition @ (policy * q).sum(dim=1)
""",
            "without the discount",
        ),
        (
            """
def q_expectation_backup(mdp, q, policy):
    return mdp.discount * (mdp.reward + mdp.transition @ (policy * q).sum(dim=1))
""",
            "it belongs to what comes later",
        ),
        (
            """
def q_expectation_backup(mdp, q, policy):
    return mdp.reward + mdp.discount * mdp.transition @ q.amax(dim=1)
""",
            "here the policy chooses",
        ),
        (
            """
def q_expectation_backup(mdp, q, policy):
    return mdp.reward + mdp.discount * mdp.transition @ q.sum(dim=1)
""",
            "The weights pi are missing",
        ),
        (
            """
def q_expectation_backup(mdp, q, policy):
    return mdp.reward + mdp.discount * (policy * q).sum(dim=1, keepdim=True)
""",
            "the policy acts in the next state",
        ),
        (
            """
def q_expectation_backup(mdp, q, policy):
    expected = torch.einsum("sat,sb,tb->sa", mdp.transition, policy, q)
    return mdp.reward + mdp.discount * expected
""",
            "those of the state that was left",
        ),
        (
            """
def q_expectation_backup(mdp, q, policy):
    new = mdp.reward + mdp.discount * mdp.transition @ (policy * q).sum(dim=1)
    return (policy * new).sum(dim=1)
""",
            "it is V(s), one number for each state",
        ),
        (
            """
def q_expectation_backup(mdp, q, policy):
    return mdp.reward + mdp.discount * mdp.transition @ (policy * q).sum(dim=0)
""",
            "It raised RuntimeError",
        ),
    ],
    "3.3": [
        (
            """
def soft_backup(mdp, values, temperature):
    q = mdp.reward + 0.9 * mdp.transition @ values
    return temperature * torch.logsumexp(q / temperature, dim=1)
""",
            "this model has its own, mdp.discount",
        ),
        (
            """
def soft_backup(mdp, values, temperature):
    q = mdp.reward + mdp.discount * mdp.transition @ values
    return temperature * ((q - q.max()) / temperature).exp().sum(1).log() + q.max()
""",
            "each state's own maximum",
        ),
        (
            """
def soft_backup(mdp, values, temperature):
    q = mdp.reward + mdp.discount * mdp.transition @ values
    return (torch.softmax(q / temperature, dim=1) * q).sum(dim=1)
""",
            "normalised",
        ),
        (
            """
def soft_backup(mdp, values, temperature):
    q = mdp.reward + mdp.transition @ values
    return temperature * torch.logsumexp(q / temperature, dim=1)
""",
            "without the discount",
        ),
        (
            """
def soft_backup(mdp, values, temperature):
    q = mdp.reward + mdp.discount * mdp.transition @ values
    return q.amax(dim=1)
""",
            "the temperature is not used",
        ),
        (
            """
def soft_backup(mdp, values, temperature):
    q = mdp.reward + mdp.discount * mdp.transition @ values
    return torch.logsumexp(q / temperature, dim=1)
""",
            "in front of the logarithm is missing",
        ),
        (
            """
def soft_backup(mdp, values, temperature):
    q = mdp.reward + mdp.discount * mdp.transition @ values
    return temperature * torch.log(torch.exp(q / temperature).sum(dim=1))
""",
            "subtract the maximum",
        ),
        (
            """
def soft_backup(mdp, values, temperature):
    q = mdp.reward + mdp.discount * mdp.transition @ values
    return temperature * torch.logsumexp(q / temperature, dim=0)
""",
            "it should run over the actions",
        ),
        (
            """
def soft_backup(mdp, values, temperature):
    values *= mdp.discount
    q = mdp.reward + mdp.transition @ values
    return temperature * torch.logsumexp(q / temperature, dim=1)
""",
            "It changed its input `values`",
        ),
    ],
    "3.4": [
        (
            """
def count_optimal_policies(mdp):
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(1000):
        V = (mdp.reward + 0.9 * mdp.transition @ V).amax(dim=1)
    q = mdp.reward + 0.9 * mdp.transition @ V
    return int((q >= q.amax(dim=1, keepdim=True) - 1e-8).sum(dim=1).prod())
""",
            "this model's own discount",
        ),
        (
            """
def count_optimal_policies(mdp):
    from itertools import product
    policies = list(product(range(mdp.num_actions), repeat=mdp.num_states))
    V = torch.stack([policy_values(mdp.induced_chain(torch.tensor(p))) for p in policies])
    return int((V >= V.amax(dim=0) - 1e-8).all(dim=1).sum())
""",
            "would list them for ever",
        ),
        (
            """
def count_optimal_policies(mdp):
    return 1
""",
            "There are ties",
        ),
        (
            """
def count_optimal_policies(mdp):
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(1000):
        V = bellman_optimality_backup(mdp, V)
    q = action_values(mdp, V)
    return int((q >= q.amax(dim=1, keepdim=True) - 1e-8).sum())
""",
            "so the counts multiply",
        ),
        (
            """
def count_optimal_policies(mdp):
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(1000):
        V = bellman_optimality_backup(mdp, V)
    q = action_values(mdp, V)
    return int((q == q.amax(dim=1, keepdim=True)).sum(dim=1).prod())
""",
            "may differ by rounding",
        ),
        (
            """
def count_optimal_policies(mdp):
    choices = [torch.arange(mdp.num_actions)] * mdp.num_states
    policies = torch.cartesian_prod(*choices)
    V = torch.stack([policy_values(mdp.induced_chain(p)) for p in policies])
    return int((V[:, 0] >= V[:, 0].max() - 1e-8).sum())
""",
            "best from state 0 only",
        ),
        (
            """
def count_optimal_policies(mdp):
    return mdp.num_actions ** mdp.num_states
""",
            "all deterministic policies",
        ),
        (
            """
def count_optimal_policies(mdp):
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(20):
        V = bellman_optimality_backup(mdp, V)
    q = action_values(mdp, V)
    return int((q >= q.amax(dim=1, keepdim=True) - 1e-8).sum(dim=1).prod())
""",
            "settle V first",
        ),
        (
            """
def count_optimal_policies(mdp):
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(1000):
        V = bellman_optimality_backup(mdp, V)
    q = action_values(mdp, V)
    return int(torch.isclose(q, q.amax(dim=1, keepdim=True)).sum(dim=1).prod())
""",
            "worse by 0.00001 is not optimal",
        ),
        (
            """
def count_optimal_policies(mdp):
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(1000):
        V = bellman_optimality_backup(mdp, V)
    q = action_values(mdp, V)
    best = q >= q.amax(dim=1, keepdim=True) - 1e-8
    return 2 ** int((best.sum(dim=1) > 1).sum())
""",
            "there may be more",
        ),
        (
            """
def count_optimal_policies(mdp):
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(1000):
        V = bellman_optimality_backup(mdp, V)
    q = action_values(mdp, V)
    return int((q >= q.amax(dim=1, keepdim=True) - 1e-8).sum(dim=1).prod())
""",
            "Let the last step tell when to stop",
        ),
        (
            """
def count_optimal_policies(mdp):
    V = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(5000):
        V = bellman_optimality_backup(mdp, V)
    q = action_values(mdp, V)
    return int((q >= q.amax(dim=1, keepdim=True) - 1e-8).sum(dim=1).prod())
""",
            "with discount 0.999",
        ),
        (
            """
def count_optimal_policies(mdp):
    V, step = torch.zeros(mdp.num_states, dtype=torch.float64), 1.0
    while step > 1e-12:
        before, V = V, bellman_optimality_backup(mdp, V)
        step = float((V - before).abs().max())
    q = action_values(mdp, V)
    return int((q >= q.amax(dim=1, keepdim=True) - 1e-8).sum(dim=1).prod())
""",
            "integers of 64 bits end at 2^63",
        ),
        (
            """
def count_optimal_policies(mdp):
    import math
    V, step = torch.zeros(mdp.num_states, dtype=torch.float64), 1.0
    while step > 1e-12:
        before, V = V, bellman_optimality_backup(mdp, V)
        step = float((V - before).abs().max())
    q = action_values(mdp, V)
    return math.prod((q >= q.amax(dim=1, keepdim=True) - 1e-8).sum(dim=1).tolist())
""",
            "let the tolerance grow and shrink with the rewards",
        ),
    ],
}
