"""What makes each claim of chapter 09 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("reaches[3] < 0.1", "reaches = reaches[[0, 0, 0, 0]]", "junk does no harm"),
    Broken("reaches[3] < 0.1", "limits = limits[[0, 0, 0, 0]]", "junk leaves the values alone"),
    Broken("FLOOR, MEAN, POWER", "error = error[[0, 1, 0]]", "decreasing steps gain nothing"),
    Broken("FLOOR, MEAN, POWER", "error = error[[2, 1, 2]]", "a constant step has no floor"),
    Broken("FLOOR, MEAN, POWER", "error = error[[0, 2, 2]]", "1/N is as fast as the others"),
    Broken("FLOOR, MEAN, POWER", "error[0, :, 5] += 0.1", "constant steps keep improving"),
    Broken(
        "FLOOR, MEAN, POWER",
        "error[0, :, 5] = error[0, :, -1] - 0.03; error[2, :, 5] = error[0, :, 5] - 0.02",
        "the constant never leads",
    ),
    Broken(
        "FLOOR, MEAN, POWER", "error[0, :, 1] = error[2, :, 1] - 0.01", "the constant leads at once"
    ),
    Broken("FLOOR, MEAN, POWER", "error[2] = error[2, :, -1:]", "the power stands still"),
    Broken("min(gaps)", "gaps = [0.0, 0.0]", "two steps are right without weights"),
    Broken("min(gaps)", "between = 0.0", "two steps do not depend on the behaviour"),
    Broken("nobody ever tried", "found = 900", "most agents look again"),
    Broken(
        "nobody ever tried",
        "content = q_learning(choice, ControlConfig(num_steps=200), num_runs=1000)",
        "exploring agents try both",
    ),
    Broken("left.visits[:, 0]", "gap = 0 * gap", "the transient state is learned"),
    Broken("left.visits[:, 0]", "gap = gap + 1", "the other states are not learned"),
    Broken("cliff_errors[:, -1]", "sober.evaluations[3, -1] = -17", "one of ten is not optimal"),
    Broken("cliff_errors[:, -1]", "others[20:30, -1] = -1000", "others get stuck"),
    Broken("cliff_errors[:, -1]", "cliff_errors = cliff_errors + 1", "the table is wrong"),
    Broken("cliff_errors[:, -1]", "others[7, 6] = -15", "one needs more than 3,000 steps"),
    Broken("cliff_errors[:, -1]", "at_home[2] = 30", "staggering costs little"),
    Broken("cliff_errors[:, -1]", "at_home[-1] = 80", "it does not arrive"),
    Broken("optimism survived", "live.q[0, 0, 0] = -1000", "an entry fell below Q*"),
    Broken("optimism survived", "optimum = optimum + 0.01", "not the optimal return"),
    Broken("optimism survived", "all_dice = 1", "dice alone do not do it"),
    Broken("fixed_points.values()", "fixed_points[20] = 7.9", "the wrong flag ruins the policy"),
    Broken("below[1.0]", "two_coins = lambda alpha: 0.0", "optimism survives noise"),
    Broken(
        "below[1.0]",
        "noisy = two_coins; two_coins = lambda alpha: 0.1 if alpha == 0.1 else noisy(alpha)",
        "it does with small steps",
    ),
    Broken("never_tried -", "never_tried = never_tried * 0", "every pair is tried"),
    Broken("perfect[0]", "scores[0, :5, -1] = 7.9", "95 of 100"),
    Broken("perfect[0]", "scores[2] = scores[0]", "random exploration is as good"),
    Broken("perfect[0]", "scores[1] = scores[0]", "so is no exploration"),
    Broken("perfect[0]", "v_errors = v_errors + 1", "the values are not exact"),
    Broken(
        "wrong_return)",
        "wrong, wrong_return = right, right_return",
        "a cut may be taken for an end",
    ),
    Broken(
        "wrong_return)",
        "right, right_return = wrong, wrong_return",
        "the right flag moves the table, too",
    ),
    Broken("single_mean >", "double = mu.max()", "the double estimator has no bias"),
    Broken("single_mean >", "single_mean = mu.max()", "the single estimator has no bias"),
    Broken(
        "single_left, double_left",
        "went_left['Q-learning'] = went_left['double Q-learning']",
        "no maximisation bias",
    ),
    Broken(
        "single_left, double_left",
        "went_left = dict(zip(went_left, reversed(list(went_left.values()))))",
        "double Q-learning is the worse one",
    ),
    Broken("wrong_row[away]", "wrong_row = Q_star", "the current row would do"),
    Broken("wrong_row[away]", "wrong_rate = right_rate", "it finds the goal all the same"),
]
