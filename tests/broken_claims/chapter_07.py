"""What makes each claim of chapter 07 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("7.1", "testbed[0.1] = testbed[0.0]", "exploring earns no more"),
    Broken("7.1", "testbed[0.0] = testbed[0.1]", "greedy finds the best arm mostly"),
    Broken("7.1", "best_possible = 1.6", "the best possible reward is another one"),
    Broken("7.2", "ucb = testbed[0.1]", "no gain, no spike"),
    Broken("7.2", "testbed[0.1] = ucb", "no difference at all"),
    Broken("7.3", "wrong_V = right_V", "the length of the episode would do as well"),
    Broken("7.3", "right_V = wrong_V", "1/N(s) is as wrong as 1/T"),
    Broken("7.4", "every_V = first_V", "every visit is unbiased, too"),
    Broken("7.4", "first_V = every_V", "first visits are biased"),
    Broken("7.4", "V_customer = 4.5", "the customer is worth something else"),
    Broken("7.6", "error['0.1'] = error['$1/i$']", "a constant step size has no floor"),
    Broken("7.6", "error['$1/i$'] = error['$1/i^{0.6}$']", "the mean is no better than others"),
    Broken("7.6", "error['$1/(i+1)^2$'] = error['$1/i$']", "steps with a finite sum arrive"),
    Broken("7.7", "V_20 = -V_20", "losing is winning"),
    Broken(
        "7.7",
        "dealer = on_table\non_table = lambda values: dealer(values).flip(-1)",
        "the dealer's ten is the darkest",
    ),
    Broken("7.7", "estimates[10_000] = estimates[500_000]", "few episodes are enough"),
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
    Broken("7.9", "right_choice = ~right_choice", "everything is learned wrong"),
    Broken("7.9", "right_choice = right_choice | True", "close cells are no harder"),
    Broken("7.9", "delta = -delta", "the exact policy is another one"),
    Broken("7.10", "learned = learned._replace(q=learned.q + 0.2)", "values are off by 0.2"),
    Broken("7.11", "worth = dict.fromkeys(worth, worth['greedy'])", "exploring does not help"),
    Broken("7.11", "worth['exploring starts'] = worth['greedy']", "exploring starts get stuck"),
    Broken("7.11", "best = -0.1", "learners above the optimum"),
]
