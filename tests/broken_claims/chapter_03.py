"""What makes each claim of chapter 03 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken(
        "3.4",
        "relative = torch.ones_like(relative)",
        "a backup that brings nothing closer stays above the line",
    ),
    Broken(
        "3.4",
        "relative = 0.5 ** torch.arange(61, dtype=torch.float64).expand_as(relative)",
        "a model whose constant differences shrink by more than gamma",
    ),
    Broken("3.4", "values = values + torch.arange(6)", "differences between states remain"),
    Broken("3.5", "history = history[:, [0, 1, 1]]", "discount 0.98 in place of 1"),
    Broken("nothing lies above", "V_four = V_four.flip(0)", "another corner dominates nothing"),
    Broken(
        "calendar is worth having",
        "best_plan = values_of_plans(machine, V_four[3]).amax(dim=0)",
        "with the infinite tail, a calendar gains nothing",
    ),
    Broken(
        "calendar is worth having",
        "same_every_day = [best_plan]",
        "no gain over policies without a calendar",
    ),
]
