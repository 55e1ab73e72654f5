"""What makes each claim of chapter 12 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("12.1", "means[0, 1] = 0.1", "a reward praises a later action"),
    Broken("12.1", "means[3, 1] = 0.0", "a later reward says nothing"),
    Broken("12.1", "spreads[0, 3] = 0.0", "old rewards make no noise"),
    Broken("12.2", "returns = returns[[0, 1, 2, 1]]", "the baseline gains nothing"),
    Broken("12.2", "returns = returns[[0, 3, 2, 1]]", "the baseline costs something"),
    Broken("12.3", "paths = dict(zip(paths, list(paths.values())[::-1]))", "the other way round"),
    Broken("12.3", "paths = {k: -x for k, x in paths.items()}", "the gradient goes down, F up"),
    Broken("12.3", "slopes_at = lambda p: (-1.0, 1.0, 1.0)", "one objective agrees with F"),
    Broken("12.4", "cosines[-1, 3, 0] = 0.9", "another direction at 0.99"),
    Broken("12.4", "cosines = cosines.flip(0)", "a larger discount is worse"),
    Broken("12.5", "relative = relative[:, [0, 2, 1, 3, 4]]", "a constant is worse than nothing"),
    Broken("12.5", "steps_down[7, 4] = 2 * steps_down[7, 3]", "luck helps in one world"),
    Broken("12.5", "steps_down[:, 1] = 2 * steps_down[:, 0]", "the past helps"),
    Broken("every one of the ten", "final[3] = result.evaluation_returns[3, 0]", "one run stays"),
    Broken("assert solved >= 99", "solved = 98", "two of a hundred are not solved"),
    Broken("all ten runs are solved", "final[6] = 470.0", "one of the ten is not solved"),
    Broken(
        "12.7", 'misses["minus $V_w$"] = misses["reward-to-go"]', "the baseline removes nothing"
    ),
    Broken("12.7", 'misses["minus $V_w$"] = misses["reward-to-go"] * 0.9', "it removes a tenth"),
    Broken("12.8", 'variants["none"] = variants["value"]', "the baseline gains nothing"),
    Broken("12.8", 'variants["with gamma^t"] = variants["value"] + 1', "gamma^t gains something"),
    Broken("12.8", 'greedy["none"][4, -1] = 400.0', "a run without baseline fails"),
]
