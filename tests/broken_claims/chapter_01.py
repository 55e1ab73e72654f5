"""What makes each claim of chapter 01 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("nobody can look forward", "expect[15] = 1.0", "the cell that pays is the best"),
    Broken("nobody can look forward", "expect[14] = expect[0]", "Ben is no better off than Carl"),
    Broken(
        "the two offers are worth",
        "late = 10 * gammas**10",
        "the large reward comes after 10 steps, not 20",
    ),
    Broken("1.1", "hand_written = np.eye(4)[[RIGHT] * 16]", "straight on, into a hole"),
    Broken(
        "do not even touch",
        'sampled["hand-written"] = sampled["random"]',
        "the plan is no better than chance",
    ),
    Broken("1.5", "errors = errors[::-1]", "the error grows with the horizon"),
    Broken("1.5", "errors = errors * 50", "the error exceeds the bound"),
    Broken("1.5", "counts = [6 * h for h in horizons]", "one branch a step"),
    Broken(
        "assert 8 < widths",
        "middle, half = (lows + highs) / 2, (highs - lows) / 4\n"
        "hits = (middle - half <= exact[START]) & (exact[START] <= middle + half)",
        "intervals of half the width",
    ),
    Broken(
        "assert 8 < widths",
        "mean_interval = lambda x: (float(x.mean() - x.std()), float(x.mean() + x.std()))",
        "one standard deviation of a return, without the root of N",
    ),
    Broken(
        "assert low <= value <= high",
        "policies = dict(zip(policies, reversed(policies.values())))",
        "the values of the other policy",
    ),
    Broken(
        "values.argmax() == 14",
        "lake_values = {name: v.flip(0) for name, v in lake_values.items()}",
        "the best state is not the one beside the goal",
    ),
    Broken("1.8", 'bad["length"] = good["length"]', "the broken return levels off, too"),
    Broken("six careful buttons", "careful_worth = lucky_worth", "care is worth no more than luck"),
    Broken("on the ice: down", "q_6[ICE, RIGHT] = 0.5", "right is worse than down"),
    Broken("the shorter the clock", "mistaken[4] = mistaken[5]", "the clock costs nothing"),
    Broken("the shorter the clock", "guessed = mistaken[4]", "a guess does not help"),
    Broken("up, which the coin never plays", "first_steps[UP] = first_steps[DOWN]", "no better"),
    Broken("do not even touch", 'episodes["random"][0] = [0.0], False, True', "one was cut"),
    Broken("no gift in 100", "mean_interval = lambda x, **_: (-1.0, 1.0)", "it reaches the value"),
    Broken("1.8", 'bad["time"] = good["time"]', "the broken value does not depend on time"),
]
