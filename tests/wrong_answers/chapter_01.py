"""Typical wrong answers of chapter 1, and what the checker must say to each."""


def _first_steps(
    first_action="first",
    weight="gamma**t",
    divisor="walks",
    stop="ended or cut",
    then="rng.choice(A, p=policy[s])",
    walks="walks",
    result="values",
):
    """A solution of Exercise 1.4 in which one thing may be wrong."""
    return f"""
def first_step_values(env, policy, walks, gamma, rng):
    values, A = [], policy.shape[1]
    for first in range(A):
        total = 0.0
        for _ in range({walks}):
            s, _ = env.reset()
            a = {first_action}
            over, t = False, 0
            while not over:
                s, reward, ended, cut, _ = env.step(a)
                total += {weight} * reward
                over = {stop}
                a = {then}
                t += 1
        values.append(total / {divisor})
    return {result}
"""


WRONG = {
    "1.5": [
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
        (
            """
def discounted_return(rewards, discount):
    return sum(discount ** rewards.index(r) * r for r in rewards)
""",
            "take the place from `enumerate`",
        ),
        (
            """
def discounted_return(rewards, discount):
    return sum(0.5**k * r for k, r in enumerate(rewards))
""",
            "with discount 1",
        ),
    ],
    "1.1": [
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
        (
            """
def returns_of_record(rewards, terminated, discount):
    returns, following = [], 0.0
    for reward, ended in zip(reversed(rewards), reversed(terminated)):
        following = reward + 0.5 * (0.0 if ended else following)
        returns.append(following)
    return returns[::-1]
""",
            "discount 0.8",
        ),
    ],
    "1.2": [
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
        ("def lake_policy():\n    return [0.5] * 16", "0 (left), 1 (down)"),
    ],
    "1.4": [
        (
            _first_steps(first_action="rng.choice(A, p=policy[s])"),
            "its first action must be the given one",
        ),
        (_first_steps(weight="1.0"), "The discount is not used"),
        (_first_steps(weight="gamma ** (t + 1)"), "one factor too many"),
        (_first_steps(weight="gamma ** max(t - 1, 0)"), "The first two steps have the same weight"),
        (_first_steps(weight="0.9**t"), "with discount 0.5"),
        (_first_steps(weight="gamma**t * (t > 0)"), "reward of the first step is missing."),
        (_first_steps(divisor="1"), "divide it by their number"),
        (_first_steps(divisor="3"), "cut after 4 steps"),
        (_first_steps(stop="True"), "Only the reward of the first step is there"),
        (_first_steps(stop="ended"), "terminated, or truncated"),
        (_first_steps(then="a"), "first step only"),
        (_first_steps(then="policy[s].argmax()"), "further off than chance explains"),
        (_first_steps(then="rng.choice(A)"), "then follow the policy"),
        (_first_steps(walks="1", divisor="1"), "You began"),
        (_first_steps(result="max(values)"), "one number is asked for each first action"),
    ],
}
