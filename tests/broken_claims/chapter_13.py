"""What makes each claim of chapter 13 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken(
        "more than nine in ten of such runs",
        "low, high = proportion_interval(90, 100)",
        "ten of the hundred fail",
    ),
    Broken(
        "guess.new_tensor([0.5, 0.75, 0.25])",
        "guess = torch.tensor([0.5, 1.0, 0.0], dtype=torch.float64)",
        "the true gradient finds the truth",
    ),
    Broken("13.1", "full, Q_full = semi, Q_semi", "the true gradient reaches Q* too"),
    Broken("13.1", "semi = full", "the semi-gradient rests elsewhere"),
    Broken("13.1", "Q_full = Q_star", "the wrong values order the actions rightly"),
    Broken(
        "growth = {",
        'variants["all three"] = variants["on-policy"]',
        "all three together are harmless",
    ),
    Broken(
        "growth = {",
        'variants["a table"] = variants["all three"]',
        "a table diverges too",
    ),
    Broken(
        "last = {name: size[-1]",
        'sizes["all three"] = sizes["a table"]',
        "all three together shrink",
    ),
    Broken(
        "last = {name: size[-1]",
        'sizes["on-policy"] = sizes["all three"]',
        "on-policy data diverge too",
    ),
    Broken("cured =", "growth_of_a_period = lambda *args: 1.9", "nothing is cured"),
    Broken("cured =", "growth_of_a_period = lambda *args: 0.95", "everything is cured"),
    Broken(
        "exact, biased =",
        "limit = lambda n, epsilon: Q_star + n - 1.0",
        "targets of many rewards praise the behaviour",
    ),
    Broken("at least seven of the ten", "final = final - 400", "no run is solved"),
    Broken(
        "assert difference[name]", 'difference["one reward"] = (-5.0, 5.0)', "one reward is as good"
    ),
    Broken("assert difference[name]", 'difference["neither"] = (-5.0, 5.0)', "nothing is needed"),
    Broken(
        "exploded =",
        'believed["no target network"] = believed["DQN"]',
        "nothing explodes without a target network",
    ),
    Broken("exploded =", 'believed["one reward"] = believed["DQN"]', "no overestimation"),
    Broken("believe less than", "beliefs = beliefs + 50", "the networks believe too much"),
    Broken("assert change", "change = 5.0", "a shift of the A-head moves Q"),
    Broken(
        "assert change",
        "Q_star = Q_star.amax(-1, keepdim=True).expand(-1, -1, 2)",
        "the V-head is the value",
    ),
]
