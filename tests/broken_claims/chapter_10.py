"""What makes each claim of chapter 10 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("low < high < 0.0077", "low = 0.001", "the best way leaves the edge earlier"),
    Broken("low < high < 0.0077", "top_row = -60.0", "the top row is worse than the edge"),
    Broken("low < high < 0.0077", "low_top = 0.12", "the best way takes the top row earlier"),
    Broken("steps to the goal:", "learn_on = lambda Q: 1000", "they never arrive"),
    Broken("steps to the goal:", "caught = caught[:3]", "three tables go in circles"),
    Broken("assert low > 15", 'late["Q-learning"] = late["SARSA"]', "both learn the same"),
    Broken(
        "assert low > 15",
        'late = {"SARSA": late["Q-learning"], "Q-learning": late["SARSA"]}',
        "Q-learning earns more while it learns",
    ),
    Broken(
        "interquartile mean of SARSA",
        'exact["edge"] = -40.0',
        "the explorer of the edge earns something else",
    ),
    Broken("interquartile mean of SARSA", 'exact["best"] = -30.0', "SARSA beats the best policy"),
    Broken("sum(n == 17", 'learned["SARSA"] = learned["Q-learning"]', "everybody takes the edge"),
    Broken("sum(n == 17", 'learned["Q-learning"] = learned["SARSA"]', "nobody takes the edge"),
    Broken("sum(n == 17", "best_Q_soft = Q_star", "the best exploring policy takes the edge"),
    Broken("0.7 * gap < low", "errors = errors[[1, 0, 2]]", "a fixed epsilon leads to Q*"),
    Broken("0.7 * gap < low", "errors = errors[[0, 1, 1]]", "fading makes no difference"),
    Broken("0.7 * gap < low", "gap = 2 * gap", "the runs are elsewhere than at Q-circle"),
    Broken(
        "0.7 * gap < low", "errors[:, :, -1] = errors[:, :, 20]", "the tables stand still early"
    ),
    Broken("assert low < 0 < high", "low = 0.5", "drawing again gains something"),
    Broken(
        "assert outcome.unfinished.sum() == 20",
        "outcome = outcome._replace(unfinished=torch.zeros(20))",
        "the agents arrive",
    ),
    Broken(
        "assert outcome.unfinished.sum() == 20",
        "leaking.returns[:, 10:] = -25.0",
        "the agents learn",
    ),
    Broken(
        "(outcome.returns == -15).all()",
        "outcome = outcome._replace(returns=outcome.returns - 2)",
        "the top row",
    ),
    Broken("(outcome.returns == -15).all()", 'exact["best"] = -25.0', "another policy"),
    Broken(
        "runs along the edge:",
        'steady_tables = learned["SARSA"].q[:50]',
        "the average keeps off the edge, too",
    ),
    Broken(
        "for other in (0, 2)",
        "early = early[[0, 0, 2]]",
        "expected SARSA is no better than SARSA",
    ),
    Broken(
        "for other in (0, 2)",
        "late_ones = late_ones[[1, 0, 2]]",
        "expected SARSA needs small steps",
    ),
    Broken(
        "SARSA, late:", "late_ones = late_ones[[1, 1, 2]]", "SARSA does not care about the step"
    ),
    Broken("bias_rho.max()", "bias = 0 * bias", "no weights are needed"),
    Broken("bias_rho.max()", "bias_rho = bias", "the weights do not help"),
    Broken("bias_rho.max()", "std_weighted = std_plain", "the weights cost nothing"),
    Broken('changed["one step"] == 1', 'changed["λ = 0.9"] = 1', "traces do not reach back"),
    Broken('changed["one step"] == 1', 'changed["one step"] = 5', "one step reaches back"),
    Broken('changed["one step"] == 1', 'after_one["λ = 0.9"] = 0 * q', "all changes are tiny"),
    Broken("saves {low:.0f}", 'runs["n = 8"] = runs["one step"]', "long targets gain nothing"),
    Broken(
        "low < walk_length < high",
        "walk_length = 1.5 * walk_length",
        "the first episode is not a uniform walk",
    ),
]
