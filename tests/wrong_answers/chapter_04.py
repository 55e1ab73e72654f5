"""Typical wrong answers of chapter 4, and what the checker must say to each."""


def sweeps(lines: str) -> str:
    """An answer to 4.2 that has the first sweep right."""
    first = "    first = bellman_optimality_backup(mdp, torch.zeros(mdp.num_states))\n"
    return f"def sweeps_needed(mdp, error):\n{first}    size = float(first.abs().max())\n{lines}"


def greedy(lines: str) -> str:
    """An answer to 4.1 with a sum of its own."""
    head = "def greedy_action(P, V, s, gamma):\n    q = [sum("
    return f"{head}{lines}"


def plans(until: str, promise: str = "r + discount * V[t] * (not done)", best: str = "max") -> str:
    """An answer to 4.3, right but for what is given."""
    return f"""
def plan(P, discount, error):
    def q(V, s):
        return [sum(p * ({promise}) for p, t, r, done in P[s][a]) for a in P[s]]

    V, change = [0.0 for s in P], math.inf
    while {until} > error:
        new = [max(q(V, s)) for s in P]
        change = max(abs(x - y) for x, y in zip(new, V, strict=True))
        V = new
    return V, [q(V, s).index({best}(q(V, s))) for s in P]
"""


ENOUGH = "discount / (1 - discount) * change"

WRONG = {
    "4.1": [
        (
            greedy(
                "p * (r + gamma * V[t]) for p, t, r, done in P[s][a]) for a in P[s]]\n"
                "    return q.index(max(q))"
            ),
            "nothing follows an outcome that is done",
        ),
        (
            greedy(
                "p * (r + V[t] * (not done)) for p, t, r, done in P[s][a]) for a in P[s]]\n"
                "    return q.index(max(q))"
            ),
            "without the discount",
        ),
        (
            greedy(
                "p * r for p, t, r, done in P[s][a]) for a in P[s]]\n    return q.index(max(q))"
            ),
            "the reward alone",
        ),
        (
            greedy(
                "p * (r + gamma * V[t] * (not done)) for p, t, r, done in P[s][a]) for a in P[s]]\n"
                "    return max(q)"
            ),
            "looks like the promise itself",
        ),
        (
            greedy(
                "p * (r + gamma * V[t] * (not done)) for p, t, r, done in P[s][a]) for a in P[s]]\n"
                "    return q.index(min(q))"
            ),
            "look worst",
        ),
        (
            greedy(
                "p * (r + gamma * V[t] * (not done)) for p, t, r, done in P[s][a]) for a in P[s]]\n"
                "    return max(P[s], key=lambda a: (q[a], a))"
            ),
            "yours is a later one",
        ),
    ],
    "4.3": [
        (plans("change"), "It stopped as soon as the change was below the error"),
        (plans(ENOUGH, promise="r + discount * V[t]"), "Nothing follows an outcome that is done"),
        (plans(ENOUGH, promise="r + V[t] * (not done)"), "without the discount"),
        (plans(ENOUGH, best="min"), "Take the action with the largest promise"),
        (plans("1 + change"), "after 300,000 looks into the table it was still not done"),
        (plans("10 * change"), "guaranteed when discount / (1 - discount) times"),
        (
            plans(ENOUGH).replace("return V, [q(V, s).index(max(q(V, s))) for s in P]", "return V"),
            "return two lists",
        ),
    ],
    "4.2": [
        (
            sweeps(
                "    return max(0, math.ceil(math.log(size / error) / -math.log(mdp.discount)))"
            ),
            "The horizon is missing",
        ),
        (
            sweeps(
                "    k = math.log(size / (1 - mdp.discount) / error) / -math.log(mdp.discount)\n"
                "    return max(0, int(k))"
            ),
            "one sweep too few",
        ),
        (
            sweeps(
                "    return math.log(size / (1 - mdp.discount) / error) / -math.log(mdp.discount)"
            ),
            "Sweeps are whole",
        ),
        (
            sweeps(
                "    k = math.log(size / (1 - mdp.discount) / error) / -math.log(mdp.discount)\n"
                "    return math.ceil(k)"
            ),
            "cannot be negative",
        ),
        (
            sweeps(
                "    k = math.log(size / (1 - mdp.discount) / error) / -math.log(mdp.discount)\n"
                "    return max(0, int(k) + 1)"
            ),
            "should be 0, yours is 1",
        ),
        (
            """
def sweeps_needed(mdp, error):
    k = math.log(error) / math.log(mdp.discount)
    return max(0, math.ceil(k))
""",
            "You ask for discount^k <= error",
        ),
        (
            """
def sweeps_needed(mdp, error):
    k = math.log(error * (1 - mdp.discount)) / math.log(mdp.discount)
    return max(0, math.ceil(k))
""",
            "The size of the rewards is missing",
        ),
        (
            """
def sweeps_needed(mdp, error):
    largest = float(mdp.reward.abs().max())
    k = math.log(error * (1 - mdp.discount) / largest) / math.log(mdp.discount)
    return max(0, math.ceil(k))
""",
            "the largest |r(s, a)| of all",
        ),
        (
            """
def sweeps_needed(mdp, error):
    return value_iteration(mdp, tolerance=error).sweeps
""",
            "Compare with the smallest k",
        ),
        (
            """
def sweeps_needed(mdp, error):
    size = float(bellman_optimality_backup(mdp, torch.zeros(mdp.num_states)).max())
    k = math.log(size / (1 - mdp.discount) / error) / -math.log(mdp.discount)
    return max(0, math.ceil(k))
""",
            "take the largest absolute value",
        ),
        (
            sweeps(
                "    size *= mdp.discount / (1 - mdp.discount)\n"
                "    return max(0, math.ceil(math.log(size / error) / -math.log(mdp.discount)))"
            ),
            "a factor discount too much",
        ),
    ],
    "4.4": [
        (
            """
def in_place_sweep(mdp, values, order):
    new = values.clone()
    for s in order:
        new[s] = (mdp.reward[s] + mdp.discount * mdp.transition[s] @ values).max()
    return new
""",
            "That is the synchronous form",
        ),
        (
            """
def in_place_sweep(mdp, values, order):
    for s in order:
        values[s] = (mdp.reward[s] + mdp.discount * mdp.transition[s] @ values).max()
    return values
""",
            "It changed its input `values`",
        ),
        (
            """
def in_place_sweep(mdp, values, order):
    values = values.clone()
    for s in order:
        values[s] = (mdp.reward[s] + mdp.transition[s] @ values).max()
    return values
""",
            "without the discount",
        ),
        (
            """
def in_place_sweep(mdp, values, order):
    values = values.clone()
    for s in order:
        values[s] = (mdp.reward[s] + 0.9 * mdp.transition[s] @ values).max()
    return values
""",
            "discount 0.5",
        ),
        (
            """
def in_place_sweep(mdp, values, order):
    values = values.clone()
    for s in range(mdp.num_states):
        values[s] = (mdp.reward[s] + mdp.discount * mdp.transition[s] @ values).max()
    return values
""",
            "The order is ignored",
        ),
        (
            """
def in_place_sweep(mdp, values, order):
    values = values.clone()
    for s in order:
        values[s] = (mdp.reward[s] + mdp.discount * mdp.transition[s] @ values).mean()
    return values
""",
            "the mean over the actions",
        ),
        (
            """
def in_place_sweep(mdp, values, order):
    for s in order:
        new = values.clone()
        new[s] = (mdp.reward[s] + mdp.discount * mdp.transition[s] @ values).max()
    return new
""",
            "Only the last state",
        ),
        (
            """
def in_place_sweep(mdp, values, order):
    new = torch.zeros_like(values)
    for s in order:
        new[s] = (mdp.reward[s] + mdp.discount * mdp.transition[s] @ new).max()
    return new
""",
            "That starts from zeros",
        ),
    ],
    "4.5": [
        (
            """
def value_bounds(mdp, values):
    backed_up = bellman_optimality_backup(mdp, values)
    margin = mdp.discount / (1 - mdp.discount) * (backed_up - values).abs().max()
    return torch.stack([backed_up - margin, backed_up + margin])
""",
            "wider: keep the sign of the changes",
        ),
        (
            """
def value_bounds(mdp, values):
    change = bellman_optimality_backup(mdp, values) - values
    factor = mdp.discount / (1 - mdp.discount)
    return torch.stack([values + factor * change.min(), values + factor * change.max()])
""",
            "they belong around T V",
        ),
        (
            """
def value_bounds(mdp, values):
    backed_up = bellman_optimality_backup(mdp, values)
    change, factor = backed_up - values, 1 / (1 - mdp.discount)
    return torch.stack([backed_up + factor * change.min(), backed_up + factor * change.max()])
""",
            "yours lacks the gamma",
        ),
        (
            """
def value_bounds(mdp, values):
    backed_up = bellman_optimality_backup(mdp, values)
    change, factor = backed_up - values, mdp.discount / (1 - mdp.discount)
    return torch.stack([backed_up + factor * change.max(), backed_up + factor * change.min()])
""",
            "Upper and lower bound are exchanged",
        ),
        (
            """
def value_bounds(mdp, values):
    backed_up = bellman_optimality_backup(mdp, values)
    change, factor = values - backed_up, mdp.discount / (1 - mdp.discount)
    return torch.stack([backed_up + factor * change.min(), backed_up + factor * change.max()])
""",
            "it is T V - V",
        ),
        (
            """
def value_bounds(mdp, values):
    backed_up = bellman_optimality_backup(mdp, values)
    change = backed_up - values
    return torch.stack([backed_up + change.min(), backed_up + change.max()])
""",
            "later sweeps go on changing",
        ),
        (
            """
def value_bounds(mdp, values):
    backed_up = bellman_optimality_backup(mdp, values)
    change, factor = backed_up - values, mdp.discount / (1 - mdp.discount)
    low, high = change.min().clamp(max=0), change.max().clamp(min=0)
    return torch.stack([backed_up + factor * low, backed_up + factor * high])
""",
            "do not bring in 0",
        ),
    ],
}
