"""Typical wrong answers of chapter 15, and what the checker must say to each."""

GAIN = """
def guaranteed_gain(old, new, advantages, visits, discount):
    gain = (new * advantages).sum(-1)
    kl = (old * (old / new).log()).sum(-1)
    slack = 2 * discount / (1 - discount) ** 2 * gain.abs().max()
    return visits @ gain / (1 - discount) - slack * torch.sqrt(visits @ kl / 2)
"""
SOLVE = """
def solve(matvec, b, iterations):
    x, r, d = torch.zeros_like(b), b, b
    for _ in range(iterations):
        if r @ r == 0:
            break
        Hd = matvec(d)
        alpha = (r @ r) / (d @ Hd)
        x, new = x + alpha * d, r - alpha * Hd
        d, r = new + (new @ new) / (r @ r) * d, new
    return x
"""
SEARCH = """
def line_search(evaluate, theta, step, start_value, max_kl):
    found = torch.zeros_like(start_value)
    for j in range(10):
        fraction = torch.full_like(start_value, 0.5**j)
        value, kl = evaluate(theta + fraction[:, None] * step)
        good = (value > start_value) & (kl <= max_kl) & (found == 0)
        found = torch.where(good, fraction, found)
    return found
"""


def change(source: str, old: str, new: str) -> str:
    assert source.count(old) == 1, old
    return source.replace(old, new)


WRONG = {
    "15.3": [
        (change(GAIN, "old * (old / new)", "new * (new / old)"), "arguments exchanged"),
        (change(GAIN, "torch.sqrt(visits @ kl / 2)", "(visits @ kl / 2)"), "square root"),
        (change(GAIN, "visits @ kl / 2", "visits @ kl"), "factor 1/2"),
        (change(GAIN, "visits @ kl", "kl.max()"), "largest KL"),
        (change(GAIN, "visits @ kl", "kl.mean()"), "weights `visits`"),
        (change(GAIN, "gain.abs().max()", "advantages.abs().max()"), "not the largest |A|"),
        (change(GAIN, "gain.abs().max()", "gain.max()"), "ABSOLUTE"),
        (change(GAIN, "(new * adv", "(old * adv"), "over the NEW policy"),
        (change(GAIN, "gain / (1 - discount)", "gain"), "factor 1 / (1 - discount)"),
        (change(GAIN, "(1 - discount) ** 2", "(1 - discount)"), "squared"),
        (change(GAIN, "- slack", "+ slack"), "subtracted"),
    ],
    "15.4": [
        (change(SOLVE, "new + (new @ new) / (r @ r) * d", "new"), "steepest descent"),
        (change(SOLVE, "(new @ new) / (r @ r) * d", "(r @ r) / (new @ new) * d"), "upside down"),
        (change(SOLVE, "new + (new @ new) / (r @ r) * d", "new + d"), "beta is missing"),
        (change(SOLVE, "r - alpha * Hd", "r + alpha * Hd"), "gets smaller"),
        (change(SOLVE, "alpha = (r @ r)", "alpha = (d @ d)"), "not d . d"),
        (change(SOLVE, "        if r @ r == 0:\n            break\n", ""), "0 / 0"),
    ],
    "15.5": [
        (change(SEARCH, "(found == 0)", "((value > start_value) & (kl <= max_kl)).all()"),
         "One decision"),
        (change(SEARCH, "(value > start_value) & ", ""), "surrogate must have risen"),
        (change(SEARCH, " & (kl <= max_kl)", ""), "within the radius"),
        (change(SEARCH, " & (found == 0)", ""), "FIRST good"),
        (change(SEARCH, "(kl <= max_kl)", "(kl.mean() <= max_kl)"), "over the RUNS"),
        (change(SEARCH, "        found = torch.where(good, fraction, found)\n",
                "        found = torch.where(good, fraction, found)\n"
                "        if good.any():\n            break\n"),
         "stops for all runs"),
    ],
}  # fmt: skip
