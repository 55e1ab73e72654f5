"""What makes each claim of chapter 10b false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("levels with one tiling", "shared[8] = shared[1]", "eight tilings generalise like one"),
    Broken("levels with one tiling", "shared[1] = shared[8]", "one tiling has nine levels, too"),
    Broken("levels with one tiling", "shared[8] = 1 - shared[8]", "far points gain more"),
    Broken("distance to TD's", "rest, best = best, rest", "TD finds the best fit"),
    Broken("distance to TD's", "learned[3] = best", "one run ends at the best fit"),
    Broken("distance to TD's", "V = X @ rest", "TD's staircase is the truth"),
    Broken(
        "stones of a block alike",
        "mu = torch.ones_like(mu) / 1000",
        "the frog sits everywhere alike",
    ),
    Broken("stones of a block alike", "V = -V", "the truth upside down"),
    Broken("the same features and rewards", 'paths["off-policy"] = 0.0', "off-policy converges"),
    Broken("the same features and rewards", 'paths["on-policy"] = 2000.0', "both diverge"),
    Broken(
        "jumps an episode", 'curves["LSTD"] = list(curves.values())[0]', "LSTD is as slow as TD"
    ),
    Broken("jumps an episode", 'knobs["LSTD"] = list(knobs.values())[1]', "LSTD trembles, too"),
    Broken("jumps an episode", "rest = best", "the race ends at the best fit"),
    Broken(
        "jumps an episode",
        'curves["LSTD"] = curves["LSTD"] * torch.linspace(1, 0.5, 7)',
        "LSTD ends at the best fit's error",
    ),
    Broken(
        "jumps an episode",
        'curves[list(curves)[1]] = 2 * curves["LSTD"]',
        "no step size is ahead of LSTD",
    ),
    Broken("the best fit always gains", "lab.errors = lambda n: (1 / n, 2 / n)", "TD never loses"),
    Broken(
        "the best fit always gains",
        "was = lab.errors; lab.errors = lambda n: was(n)[::-1]",
        "the best fit loses, TD never does",
    ),
]
