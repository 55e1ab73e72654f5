"""Typical wrong answers of chapter 0, and what the checker must say to each."""

RIGHT = """
def learn(step, cells, episodes, gamma):
    Q = [[0.0, 0.0] for _ in range(cells)]
    for _ in range(episodes):
        s, ended = 0, False
        while not ended:
            if random.random() < 0.3 or Q[s][0] == Q[s][1]:
                a = random.choice([0, 1])
            else:
                a = int(Q[s][1] > Q[s][0])
            s_next, r, ended = step(s, a)
            target = r if ended else r + gamma * max(Q[s_next])
            Q[s][a] += 0.5 * (target - Q[s][a])
            s = s_next
    return Q
"""
WRONG_LINES = [  # of it, with what stands there instead, and what the checker must say
    ("gamma * max", "max", "is gamma in the target?"),
    ("+ gamma * max(Q[s_next])", "", "lacks the number of the next cell"),
    ("max(Q[s_next])", "sum(Q[s_next]) / 2", "Some are too low: which number"),
    ("max(Q[s_next])", "random.choice(Q[s_next])", "The larger of its two"),
    ("max(Q[s_next])", "sum(Q[s_next])", "Some are too high"),
    ("0.5 * (", "(", "Move only half of the way"),
    ("Q[s][a] += 0.5 * (target - Q[s][a])", "Q[s_next][a] += 0.5 * target", "it is the end"),
    ("            Q[s][a] +=", "            if ended:\n                break\n"
     "            Q[s][a] +=", "No step has changed it"),
    ("random.random() < 0.3 or ", "", "has never gone left in cell"),
    ("random.random() < 0.3 or Q[s][0] == Q[s][1]", "False", "and still walks"),
    ("while not ended:", "while True:", "from cell 1, which is the end"),
    ("            s = s_next\n", "", "but the mouse is in cell 1"),
    ("range(episodes)", "range(1)", "has ended 1 of them"),
    ("[[0.0, 0.0] for _ in range(cells)]", "[[0.0, 0.0]] * cells", "one list, many times"),
    ("    return Q\n", "", "is `return` missing?"),
    ("random.choice([0, 1])", "random.choice([-1, 1])", "0 for left, 1 for right"),
    ("range(cells)", "range(9)", "One row for each cell"),
]  # fmt: skip

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
    "0.2": [(RIGHT.replace(old, new), said) for old, new, said in WRONG_LINES],
}
