"""Typical wrong answers of chapter 0, and what the checker must say to each."""

WRONG = {
    "0.1": [
        (
            "def first_return(rewards, discount):\n    return rewards.sum()",
            "without the discount",
        ),
        (
            """
def first_return(rewards, discount):
    return sum(discount ** (t + 1) * r for t, r in enumerate(rewards))
""",
            "one gamma too many",
        ),
        (
            """
def first_return(rewards, discount):
    total = 0.0
    for r in rewards:
        total = r + discount * total
    return total
""",
            "The weights run the wrong way",
        ),
        (
            """
def first_return(rewards, discount):
    return sum(discount**t * rewards[t] for t in range(len(rewards) - 1))
""",
            "The last reward is missing",
        ),
        (
            """
def first_return(rewards, discount):
    return sum(discount**t * rewards[t] for t in range(1, len(rewards)))
""",
            "The first reward is missing",
        ),
        (
            """
def first_return(rewards, discount):
    for t, r in enumerate(rewards):
        return discount**t * r
""",
            "does `return` stand inside the loop?",
        ),
        (
            """
def first_return(rewards, discount):
    for t, r in enumerate(rewards):
        total = discount**t * r
    return total
""",
            "a sum needs `+=`",
        ),
        (
            """
def first_return(rewards, discount):
    return discount * sum(rewards)
""",
            "one power of gamma stands in front of every reward",
        ),
        (
            """
def first_return(rewards, discount):
    return torch.stack([discount**t * r for t, r in enumerate(rewards)]).mean()
""",
            "the return is the sum",
        ),
        (
            """
def first_return(rewards, discount):
    return [discount**t * r for t, r in enumerate(rewards)]
""",
            "add them up",
        ),
        (
            """
def first_return(rewards, discount):
    return sum(discount * t * r for t, r in enumerate(rewards))
""",
            "not gamma times k",
        ),
        (
            """
def first_return(rewards, discount):
    return rewards[0] + discount * rewards[1:].sum()
""",
            "All later rewards have the same gamma",
        ),
        (
            """
def first_return(rewards, discount):
    rewards[-1] *= discount
    return rewards.sum()
""",
            "It changed its input `rewards`",
        ),
    ],
}
