"""What makes each claim of chapter 20 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken(
        "edge > 2 * middle",
        "weight = lambda G, p: 1 - 1 / G + 0 * chances",
        "no prompt is reweighted",
    ),
    Broken(
        "edge > 2 * middle",
        "weight = lambda G, p: torch.as_tensor(1.0)",
        "all weights are the same",
    ),
    Broken(
        "(angles[-8:, 1] > 10).all()", "angles[:, 1] = angles[:, 0]", "the division turns nothing"
    ),
    Broken(
        "(angles[-8:, 1] > 10).all()",
        "angles[:, 0] = angles[:, 1]",
        "the mean alone turns the direction, too",
    ),
    Broken(
        'change["1 / |o|"][0] < -0.1',
        "drift['1 / |o|'] = drift['1 / L']",
        "the length has no effect",
    ),
    Broken(
        'change["1 / |o|"][0] < -0.1',
        "drift['1 / L'] = drift['1 / |o|']",
        "a constant has the same effect",
    ),
    Broken(
        'errors["k2", "answer"] < 1e-9',
        "errors['k2', 'answer'] = errors['k3', 'token']",
        "k2 has another gradient",
    ),
    Broken(
        'errors["k2", "answer"] < 1e-9',
        "errors['k3', 'token'] = 0.0",
        "published GRPO has the right gradient, too",
    ),
    Broken("short > 0", "trained.reward[:, -1] = trained.reward[:, 0]", "nothing was learned"),
    Broken(
        "relative(kl[form], point[0])",
        "below[0] = below[2]",
        "the unbiased form is below the frontier, too",
    ),
    Broken(
        "relative(kl[form], point[0])",
        "kl[2], reward[2] = kl[0], reward[0]",
        "the published form ends at the optimum",
    ),
    Broken(
        "relative(kl[form], point[0])",
        "without[0] = kl[2, 0]",
        "a KL without gradient does its work",
    ),
    Broken(
        "G = 8: outcome before process", "learned = learned[:, ::-1]", "large groups learn faster"
    ),
    Broken(
        "G = 8: outcome before process",
        "learned = learned[::-1]",
        "process supervision learns faster",
    ),
    Broken("first, any_of_8", "correct_before[:] = True", "the model could add before"),
    Broken("first, any_of_8", "correct_before[:] = False", "it has no idea"),
    Broken(
        "(after > 0.95).all()", "correct[2] = correct_before", "one of the runs learned nothing"
    ),
    Broken("shares[0] < 0.5", "correct[0] = correct_before", "carries are still forgotten"),
    Broken("mean of the last ten steps", "right_shares = right_shares * 0.5", "half is learned"),
    Broken(
        "mean of the last ten steps", "right_shares[:, 0] = right_shares[:, 0, :1]", "a run rests"
    ),
]
