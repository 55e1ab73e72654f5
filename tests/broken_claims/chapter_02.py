"""What makes each claim of chapter 02 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken(
        "2.3",
        'after_ten["the cart"] = after_ten["position as state"]',
        "the missing direction costs nothing",
    ),
    Broken(
        "2.3",
        'after_ten["position as state"] = after_ten["position as state"].roll(1)',
        "the model of positions drifts",
    ),
    Broken("2.4", "p_t = p_t.flip(0)", "walkers come back from END"),
    Broken("2.4", "p_t = 1.01 * p_t", "the probabilities do not sum to one"),
    Broken(
        "2.4",
        "p_t[:, 5], p_t[:, END] = p_t[:, END].clone(), p_t[:, 5].clone()",
        "walkers stay in a hole",
    ),
    Broken("2.5", "p_t = p_t.roll(1, dims=0)", "the exact distribution is one step late"),
    Broken(
        "2.5",
        "measured[6] = (measured[6][0], *(x * 1.02 for x in measured[6][1:]))",
        "intervals that are off by two percent",
    ),
    Broken("2.7", "nu = nu / (1 - 0.9)", "the visitation lost its 1 - gamma"),
    Broken("2.7", "nu = p_t[:20].mean(0)", "every visit counts alike"),
    Broken(
        "2.8",
        "worths = {name: v.flip(0) for name, v in worths.items()}",
        "less time is worth more",
    ),
    Broken(
        "2.8",
        "worths = {name: v[-1:].expand(len(v)) for name, v in worths.items()}",
        "the limit makes no difference",
    ),
]
