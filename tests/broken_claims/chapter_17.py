"""What makes each claim of chapter 17 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken(
        "17.1",
        "drawn = {N: w / w.sum() for N, w in ((N, 0.95 ** torch.arange(N)) for N in drawn)}",
        "the last sum takes no more than its own weight",
    ),
    Broken("17.1", "drawn = {N: w[:-1] for N, w in drawn.items()}", "the last sum is left out"),
    Broken("17.3", "noisy = noisy.flip(-1)", "the bias ends at lambda = 0"),
    Broken("17.3", "right = ignorant", "the right critic is biased"),
    Broken("17.3", "right = right.flip(-1)", "with the right critic the variance falls"),
    Broken("17.3", "noisy[:, 1] = right[1]", "the variance of noisy critics has no dip"),
    Broken("17.3", "ignorant[0] = 1.0", "knowing nothing, no lambda is just"),
    Broken(
        "17.4",
        "total = dict(zip(total, reversed(total.values()), strict=True))",
        "more samples want a smaller lambda",
    ),
    Broken("17.4", "right = ignorant", "the right critic wants lambda above 0, too"),
    Broken("17.5", "trained[0.95] = trained[0.0]", "lambda makes no difference"),
    Broken(
        "17.5",
        "trained = {0.0: trained[0.95], 0.95: trained[0.0]}",
        "one-step advantages learn faster",
    ),
    Broken(
        "no clear difference",
        'stored["CartPole-v1"][1] = stored["CartPole-v1"][0]',
        "0.5 is as good as 0",
    ),
    Broken(
        "no clear difference",
        'stored["CartPole-v1"][2] = stored["CartPole-v1"][1]',
        "0.9 is as good as 0.5",
    ),
    Broken(
        "no clear difference",
        'stored["Pendulum-v1"][2] = stored["Pendulum-v1"][1]',
        "and on Pendulum",
    ),
    Broken(
        "no clear difference", 'stored["Pendulum-v1"][3] += 200', "lambda = 1 is better than 0.9"
    ),
    Broken(
        "the agent stays at home",
        "learned = {H: [x[0]] * 4 for H, x in learned.items()}",
        "the bug costs nothing",
    ),
    Broken(
        "the agent stays at home",
        "learned = {H: [x[2]] * 4 for H, x in learned.items()}",
        "right flags do not help",
    ),
    Broken("17.7", 'flags["returns"][1] = flags["returns"][0]', "the first bug costs nothing"),
    Broken("17.7", 'flags["returns"][3] = flags["returns"][2]', "nor does the second"),
    Broken("17.7", 'flags["returns"] = flags["returns"][::-1]', "the bugs help"),
]
