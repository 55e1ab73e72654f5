"""What makes each claim of appendix A false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("the doubled gamma fails", "error[7] = 0.0", "in one world the slip does no harm"),
    Broken("A.1", "remainders = remainders * 1.01", "nothing unrolled, and yet something is known"),
    Broken("A.1", "remainders[-1] = largest", "the remainder stays"),
    Broken("A.2", "ratio = ratio * 2", "the length is right near 1"),
    Broken("A.2", "cosine = cosine.flip(0)", "the direction is wrong near 1"),
    Broken("A.2", "cosine = torch.ones_like(cosine)", "the slip never turns the direction"),
    Broken(
        "mean, discounted =",
        'totals["mean length"] = totals["$1/(1-\\\\gamma)$"]',
        "a true constant",
    ),
    Broken(
        "mean, discounted =",
        'totals["discounted length"] = 2 * totals["mean length"]',
        "not the shortest",
    ),
    Broken("samples.mean(0)", "samples = samples * (1 - discounts[0])", "no 1 / (1 - gamma)"),
    Broken("samples.mean(0)", "samples = samples + 0.1", "a bias of 0.1 in each parameter"),
    Broken("A.4", "cosines = cosines.flip(0)", "worse as gamma goes to 1"),
    Broken("A.4", "cosines = cosines.flip(1)", "the gradient of V(s0) is what is approached"),
    Broken("A.4", "cosines[0] = 1.0", "at gamma = 0 all three agree"),
]
