"""What makes each claim of chapter 08 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken(
        "assert_close(with_mask, truth)",
        "without = with_mask",
        "the mask makes no difference",
    ),
    Broken(
        "assert_close(with_mask, truth)",
        "with_mask = without",
        "the mask does not help, either",
    ),
    Broken("8.1", "td_curves, mc_curves = mc_curves, td_curves", "Monte Carlo is better"),
    Broken(
        "8.1",
        "td_curves = td_curves - td_curves.mean() + mc_curves.mean()",
        "no difference on average",
    ),
    Broken("8.1", "td_curves = td_curves + 0.05", "the curves cross"),
    Broken("8.1", "td_curves = td_curves.flip(0)", "the smallest step is the fastest"),
    Broken("8.2", "td = mc", "TD has the floor of Monte Carlo"),
    Broken("8.2", "td = mc / 9", "a ninth of the variance stays a ninth"),
    Broken("8.2", "td = td / 2", "they do not meet at step 1"),
    Broken("8.2", "mc = mc * 1.1", "exact values next door give something else than a ninth"),
    Broken("above n = 4", "by_n[16] = by_n[4] * 0.99", "n = 16 is the best"),
    Broken("above n = 4", "by_n[8] = by_n[4]", "n = 8 is as good as n = 4"),
    Broken("above n = 4", "by_n = {n: x + 0.01 for n, x in by_n.items()}", "another start"),
    Broken("less n = 4:", "near[3] = lowest[4] - 0.004", "n = 3 is clearly better than n = 4"),
    Broken("less n = 4:", "near[5] = lowest[4] + 0.004", "n = 5 is clearly worse than n = 4"),
    Broken("less lambda = 0.7", "online = best(accumulating[0.8])", "0.7 is no better than 0.8"),
    Broken("less lambda = 0.7", "online = near[3]", "0.7 is no better than three steps"),
    Broken(
        "lowest error {",
        "offline[0.9] = offline[0.8]",
        "lambda = 0.9 is as good, looking forward",
    ),
    Broken(
        "lowest error {",
        "accumulating[0.4] = accumulating[0.8]",
        "lambda = 0.4 is as good online",
    ),
    Broken(
        "lowest error {",
        "accumulating[0.9] = torch.minimum(accumulating[0.9], offline[0.9])",
        "large steps do no more harm online",
    ),
    Broken("accumulating above replacing", "replaced = accumulating", "replacing changes nothing"),
    Broken(
        "accumulating above replacing",
        "replaced[0.0] = replaced[0.4]",
        "they differ at lambda = 0",
    ),
    Broken(
        "accumulating above replacing",
        "replaced[0.8] = accumulating[0.8] * 1.01",
        "replacing is worse at lambda = 0.8",
    ),
    Broken("A: 0 by Monte Carlo", "V_td = V_mc", "both methods give the same answer"),
    Broken("A: 0 by Monte Carlo", "V_mc = V_td", "both give the answer of TD"),
    Broken(
        "MC is worse by",
        'batch["batch TD"] = batch["batch Monte Carlo"]',
        "at rest, the methods do not differ",
    ),
    Broken(
        "MC is worse by",
        'batch["batch TD"][:, 50] = batch["batch Monte Carlo"][:, 50]',
        "no difference after 51 episodes",
    ),
    Broken("the time limit must not", "wrong = right", "the limit costs nothing"),
    Broken("the time limit must not", "right = wrong", "the right treatment is wrong, too"),
]
