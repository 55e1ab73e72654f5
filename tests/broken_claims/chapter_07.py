"""What makes each claim of chapter 07 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("late[0.1] - late[0.0]", "testbed[0.1] = testbed[0.0]", "exploring earns no more"),
    Broken(
        "late[0.1] - late[0.0]", "testbed[0.0] = testbed[0.1]", "greedy finds the best arm mostly"
    ),
    Broken(
        "late[0.1] - late[0.0]", "best_possible = 1.6", "the best possible reward is another one"
    ),
    Broken("spike - after", "ucb = testbed[0.1]", "no gain, no spike"),
    Broken("spike - after", "testbed[0.1] = ucb", "no difference at all"),
    Broken("wrong_limit < high", "wrong_V = right_V", "the length of the episode would do as well"),
    Broken("wrong_limit < high", "right_V = wrong_V", "1/N(s) is as wrong as 1/T"),
    Broken("mean_interval(squared)", "every_V = first_V", "every visit is unbiased, too"),
    Broken("mean_interval(squared)", "first_V = every_V", "first visits are biased"),
    Broken("mean_interval(squared)", "V_customer = 4.5", "the customer is worth something else"),
    Broken("mean_interval(squared)", "p = 0.5", "customers leave sooner, in the 200,000 runs"),
    Broken("flatter", "error['0.1'] = error['$1/i$']", "a constant step size has no floor"),
    Broken("flatter", "error['$1/i$'] = error['$1/i^{0.6}$']", "the mean is no better than others"),
    Broken("flatter", "error['$1/(i+1)^2$'] = error['$1/i$']", "steps with a finite sum arrive"),
    Broken("gap[10_000]", "V_20 = -V_20", "losing is winning"),
    Broken(
        "gap[10_000]",
        "dealer = on_table\non_table = lambda values: dealer(values).flip(-1)",
        "the dealer's ten is the darkest",
    ),
    Broken("gap[10_000]", "estimates[10_000] = estimates[500_000]", "few episodes are enough"),
    Broken("slopes = ", "curves = curves[:, :1].expand(-1, 5)", "the error does not fall"),
    Broken("slopes = ", "inside = inside - 0.05", "intervals that are too narrow"),
    Broken(
        "math.sqrt(5)",
        "low, high = proportion_interval(int((pay.mean(1) < 1).sum()), 20_000)",
        "who never gives up is seldom below 1",
    ),
    Broken(
        "mean_interval(coverage)", "coverage = coverage - 0.04", "intervals that are too narrow"
    ),
    Broken(
        "wrong_undecided - wrong_decided",
        "right_choice = ~right_choice",
        "everything is learned wrong",
    ),
    Broken(
        "wrong_undecided - wrong_decided",
        "right_choice = right_choice | True",
        "close cells are no harder",
    ),
    Broken("wrong_undecided - wrong_decided", "delta = -delta", "the exact policy is another one"),
    Broken("error_runs", "learned = learned._replace(q=learned.q + 0.2)", "values are off by 0.2"),
    Broken(
        "gain[name]", "worth = dict.fromkeys(worth, worth['greedy'])", "exploring does not help"
    ),
    Broken(
        "gain[name]", "worth['exploring starts'] = worth['greedy']", "exploring starts get stuck"
    ),
    Broken("cost.max()", "cost = cost + 0.001", "mistakes in close calls are dear"),
    Broken("cost.max()", "right_choice = ~right_choice", "they err in clear cells, too"),
    Broken("cost.max()", "wrong = wrong * 0", "they make no mistakes"),
    Broken(
        "gain[name]",
        "worth[r'$\\varepsilon_k \\to 0$'] = worth[r'$\\varepsilon$ = 0.1']",
        "a falling epsilon is as good",
    ),
    Broken(
        "mean_interval(squared)",
        "first_V = first_V.clone(); first_V[:, 7] = every_V[:, 7] + 0.5",
        "first visits are behind at N = 8",
    ),
    Broken("gain[name]", "best = -0.1", "learners above the optimum"),
]
