"""Typical wrong answers of chapter 4, and what the checker must say to each."""


def sweeps(lines: str) -> str:
    """An answer to 4.2 that has the first sweep right."""
    first = "    first = bellman_optimality_backup(mdp, torch.zeros(mdp.num_states))\n"
    return f"def sweeps_needed(mdp, error):\n{first}    size = float(first.abs().max())\n{lines}"


WRONG = {
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
    "4.3": [
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
    "4.4": [
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
