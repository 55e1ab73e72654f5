"""Typical wrong answers of chapter 1, and what the checker must say to each."""

WRONG = {
    "1.1": [
        ("def discounted_return(rewards, discount):\n    return sum(rewards)", "the plain sum"),
        (
            """
def discounted_return(rewards, discount):
    return sum(discount**k * r for k, r in enumerate(rewards, start=1))
""",
            "one factor too many",
        ),
        (
            """
def discounted_return(rewards, discount):
    total = 0.0
    for r in rewards:
        total = r + discount * total
    return total
""",
            "discount**0 to the last reward",
        ),
        (
            """
def discounted_return(rewards, discount):
    return sum(discount**k * rewards[k] for k in range(len(rewards) - 1))
""",
            "The last reward is left out",
        ),
        (
            """
def discounted_return(rewards, discount):
    return sum(discount * k * r for k, r in enumerate(rewards))
""",
            "they should be powers",
        ),
        (
            """
def discounted_return(rewards, discount):
    return discount * sum(rewards)
""",
            "the same factor",
        ),
        (
            """
def discounted_return(rewards, discount):
    return [discount**k * r for k, r in enumerate(rewards)]
""",
            "add them up",
        ),
        (
            """
def discounted_return(rewards, discount):
    for k, r in enumerate(rewards):
        return discount**k * r
""",
            "Only one term is there",
        ),
        (
            """
def discounted_return(rewards, discount):
    for k, r in enumerate(rewards):
        total = discount**k * r
    return total
""",
            "Only one term is there",
        ),
        (
            """
def discounted_return(rewards, discount):
    total = 0.0
    for k, r in enumerate(rewards):
        total += discount**k * r
""",
            "is `return` missing?",
        ),
    ],
    "1.3": [
        (
            """
def returns_of_record(rewards, terminated, discount):
    returns, following = [], 0.0
    for reward in reversed(rewards):
        following = reward + discount * following
        returns.append(following)
    return returns[::-1]
""",
            "leak into the one before",
        ),
        (
            """
def returns_of_record(rewards, terminated, discount):
    returns, following = [], 0.0
    for reward, ended in zip(reversed(rewards), reversed(terminated)):
        following = reward + (0.0 if ended else following)
        returns.append(following)
    return returns[::-1]
""",
            "without the discount",
        ),
        (
            """
def returns_of_record(rewards, terminated, discount):
    returns, following = [], 0.0
    for reward, ended in zip(reversed(rewards), reversed(terminated)):
        following = reward + discount * (0.0 if ended else following)
        returns.append(following)
    return returns
""",
            "the wrong way round",
        ),
        (
            """
def returns_of_record(rewards, terminated, discount):
    returns, following = [], 0.0
    for reward, ended in zip(reversed(rewards), reversed(terminated)):
        following = 0.0 if ended else reward + discount * following
        returns.append(following)
    return returns[::-1]
""",
            "The reward of the last step is lost",
        ),
        (
            """
def returns_of_record(rewards, terminated, discount):
    returns, following = [], 0.0
    for reward, ended in zip(reversed(rewards), reversed(terminated)):
        following = reward + discount * following
        returns.append(following)
        if ended:
            following = 0.0
    return returns[::-1]
""",
            "The cut is one step off",
        ),
        (
            """
def returns_of_record(rewards, terminated, discount):
    returns, following = [], 0.0
    for reward, ended in zip(reversed(rewards), reversed(terminated)):
        following = discount * (reward + (0.0 if ended else following))
        returns.append(following)
    return returns[::-1]
""",
            "The discount multiplies the reward, too",
        ),
        (
            """
def returns_of_record(rewards, terminated, discount):
    returns, so_far = [], 0.0
    for reward, ended in zip(rewards, terminated):
        so_far = reward + discount * so_far
        returns.append(so_far)
        so_far = 0.0 if ended else so_far
    return returns
""",
            "sums of the past",
        ),
    ],
    "1.4": [
        (
            """
def lake_policy():
    return [1, 2, 1, 0, 1, 1, 1, 1, 2, 1, 1, 1, 2, 2, 2, 2]
""",
            "Most are lost in hole 5, from state 4 with action 1 (down)",
        ),
        ("def lake_policy():\n    return [2] * 16", "Most are lost in hole"),
        ("def lake_policy():\n    return [3] * 16", "when the clock stops"),
        ("def lake_policy():\n    return [0] * 15", "yours has shape (15,)"),
        ("def lake_policy():\n    return [1, 2, 3, 4] * 4", "0 (left), 1 (down)"),
        ("def lake_policy():\n    return ['left'] * 16", "16 whole numbers"),
    ],
}
