"""What makes each claim of chapter 11 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("11.1", "shared[8] = shared[1]", "eight tilings generalise like one"),
    Broken("11.1", "shared[1] = shared[8]", "one tiling has nine levels, too"),
    Broken("11.1", "shared[8] = 1 - shared[8]", "far points gain more"),
    Broken(
        "to_rest < to_best",
        "to_rest, to_best = to_best, to_rest",
        "TD finds the best approximation",
    ),
    Broken(
        "to_rest < to_best", "to_best[3] = to_rest[3] / 2", "one run ends at the best approximation"
    ),
    Broken(
        "to_rest < to_best",
        'rests["50 tilings"] = 0 * rests["50 tilings"]',
        "tilings are no better",
    ),
    Broken("the same features and rewards", 'paths["off-policy"] = 0.0', "off-policy converges"),
    Broken("the same features and rewards", 'paths["on-policy"] = 2000.0', "both diverge"),
    Broken("11.3", "climb[-1] = climb[0]", "nothing was learned"),
    Broken("11.3", "climb[-1] = (0.59, -11.6577)", "the published, rounded p"),
    Broken("11.3", "climb[10] = climb[5]", "one step goes downhill"),
    Broken("11.4", "paths[4, -1, 0] = 0.0", "one run does not find the mean"),
    Broken("11.4", "paths[..., 1] = 0.0", "sigma stays"),
    Broken("11.4", "returns[7, -1] = -1.0", "one run is left behind"),
    Broken("11.5", "cosines[-1, 5] = 0.9", "different directions at 0.99 as well"),
    Broken("11.5", "cosines = torch.ones_like(cosines)", "never a difference"),
    Broken("11.6", "curves = curves.flip(0)", "opinions help"),
    Broken("11.6", "curves[1] = curves[0]", "opinions do no harm"),
    Broken("11.6", "curves[0, 2, -1] = 0.0", "one open-minded run is behind its pair"),
    Broken("11.6", "curves[1] = curves[1].clamp(min=0.2)", "all opinionated runs have begun"),
    Broken("V is no theorem", "with_best = with_V * 1.01", "the best baseline is worse than V"),
    Broken("V is no theorem", "with_V = with_best", "V never does harm"),
    Broken("V is no theorem", "with_V = none * 1.01", "V always does harm"),
    Broken(
        "with_it > -0.25",
        'curves["baseline, c = 20"] = curves["no baseline, c = 20"]',
        "the baseline does not help",
    ),
    Broken(
        "with_it > -0.25",
        'curves["no baseline, c = 20"] = curves["no baseline, c = 0"]',
        "c is harmless",
    ),
    Broken("with_it > -0.25", 'curves["baseline, c = 20"][2] = -1.0', "one run does not learn"),
    Broken("sums and clipping per run", 'gaps["sum_over_runs", "SGD"] = 1e-3', "sums couple runs"),
    Broken(
        "sums and clipping per run",
        'gaps["one_norm_each", "Adam"] = 1e-3',
        "norms of their own couple runs",
    ),
    Broken("sums and clipping per run", 'gaps["one_norm_for_all", "SGD"] = 0.0', "no coupling"),
    Broken("sums and clipping per run", 'gaps["mean_over_runs", "SGD"] = 0.0', "a mean is fine"),
    Broken("sums and clipping per run", 'gaps["mean_over_runs", "Adam"] = 0.01', "not hidden"),
    Broken(
        "episodes terminated",
        'rollouts["Pendulum-v1"] = rollouts["CartPole-v1"]',
        "Pendulum terminates",
    ),
    Broken(
        "episodes terminated",
        'rollouts["CartPole-v1"] = rollouts["Pendulum-v1"]',
        "CartPole is truncated",
    ),
    Broken("two shards of two runs", "alone = shards[0]", "run 3 is run 0 if it is alone"),
    Broken(
        "two shards of two runs",
        "next(shards[1].networks.parameters()).data.mul_(1 + 1e-6)",
        "shards are equal to rounding only",
    ),
]
