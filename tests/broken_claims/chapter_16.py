"""What makes each claim of chapter 16 false; see __init__.py."""

from broken_claims import Broken

NO_LESSON = (
    "from types import SimpleNamespace as N\n"
    "{} = N(evaluate=lambda: N(returns=torch.zeros(10, 100)))"
)

BROKEN = [
    Broken(
        'load("16_hundred")',
        "proportion_interval = lambda successes, trials, exact=proportion_interval: exact(80, 100)",
        "two in ten fail",
    ),
    Broken("16.1", 'gain["noisy"] = gain["exact"]', "noise makes no difference"),
    Broken("16.1", 'gain["exact"] = gain["noisy"]', "exact advantages hurt, too"),
    Broken(
        "16.2",
        'distances["doubling"] = distances["proportional, h = 4"]',
        "the doubling rule always rests",
    ),
    Broken(
        "16.2",
        'distances["proportional, h = 4"] = distances["doubling"]',
        "the proportional rule goes round in circles",
    ),
    Broken(
        "zero = gradient == 0",
        "gradient = torch.where((ratio - 1).abs() > epsilon, 0.0, gradient)",
        "without the minimum, there are four dead zones",
    ),
    Broken("zero = gradient == 0", "gradient = ratio * A_sign", "no dead zone"),
    Broken("it cannot tell them apart", "values[1] += 0.01", "it prefers the far one"),
    Broken("it cannot tell them apart", "distances[1] = distances[0]", "both are as near"),
    Broken("16.4", "runs = runs.clamp(max=1.2)", "the ratio stays inside"),
    Broken("16.4", "runs[:, -1] -= 0.1", "it is called back"),
    Broken("16.4", "shared = shared.clamp(max=1.2)", "each state stops for itself"),
    Broken("unseen =", NO_LESSON.format("clip"), "PPO-clip learns nothing"),
    Broken("unseen =", NO_LESSON.format("penalty"), "PPO-penalty learns nothing"),
    Broken(
        "16.6",
        "clip.log['largest_ratio'] = clip.log['largest_ratio'].clip(max=1.2)",
        "the clip holds the ratios inside",
    ),
    Broken("16.6", "penalty.log['kl'] = penalty.log['kl'] / 10", "the target is not reached"),
    Broken("16.6", "clip, penalty = penalty, clip", "the clip scatters more"),
    Broken("16.6", "penalty.log['kl_coef'] += 1", "the coefficient stays"),
    Broken("16.8", "final['Pendulum-v1'] = final['Pendulum-v1'][::-1]", "A2C is the best"),
    Broken("16.8", "final['CartPole-v1'][:] = 400.0", "all are the same"),
    Broken("16.8", "final['Pendulum-v1'][-1] += 500", "PPO-clip beats TRPO, too"),
    Broken("16.7", "kl[-1] = kl[-1, 1]", "the clip makes no difference"),
    Broken("16.7", "returns[0, 3] -= 1", "the clip matters in a single epoch"),
    Broken("16.7", "ablation.arrays['kl'] = ablation.arrays['kl'] / 100", "no update goes far"),
]
