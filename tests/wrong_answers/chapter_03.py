"""Typical wrong answers of chapter 3, and what the checker must say to each."""

WRONG = {
    "3.3": [
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
}
