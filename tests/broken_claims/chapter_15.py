"""What makes each claim of chapter 15 false; see __init__.py."""

from broken_claims import Broken

SOLVES_NOTHING = """
from types import SimpleNamespace
falls_over = SimpleNamespace(returns=torch.full((10, 100), 400.0))
cart = SimpleNamespace(log=cart.log, config=cart.config, evaluate=lambda episodes: falls_over)
"""

BROKEN = [
    Broken("0.05 < peak < 0.06", "L_grid = L_grid.flip(0)", "the surrogate falls"),
    Broken("0.05 < peak < 0.06", "J_some = J_some.flip(0)", "the objective peaks elsewhere"),
    Broken("L_after > J_before", "J_after = J_before + 0.01", "the step helps"),
    Broken("L_after > J_before", "L_after = J_before - 0.01", "the surrogate falls"),
    Broken("L_after > J_before", "after = grid[-1]", "the step leaves the trust region"),
    Broken("15.2", "J_bold = J_safe", "the fixed radius creeps, too"),
    Broken("15.2", "J_safe = J_bold", "the bound falls, too"),
    Broken("15.3", "B = torch.eye(2, **F64)", "the ordinary gradient does not care either"),
    Broken("15.4", "left[0.1] = left[0.001]", "ten products are not enough"),
    Broken("cart.evaluate(episodes=100)", SOLVES_NOTHING, "no run balances"),
    Broken(
        "cart.evaluate(episodes=100)",
        'cart.log["kl"] = cart.log["kl"] + 0.05',
        "steps leave the region",
    ),
    Broken(
        "cart.evaluate(episodes=100)",
        'cart.log["kl"] = 0.1 * cart.log["kl"]',
        "the radius does not matter",
    ),
    Broken(
        "others >= 475",
        "import types\nhalf = np.repeat([500.0, 400.0], 50)\n"
        "experiments = types.SimpleNamespace("
        "load=lambda name: types.SimpleNamespace(arrays={'returns': half}))",
        "half of the runs fail",
    ),
    Broken("15.6", "curves = curves[:, ::-1]", "they unlearn"),
    Broken("15.6", "curves = curves - 300.0", "half a swing"),
    Broken("15.6", 'pendulum.log["kl"] = pendulum.log["kl"] + 0.05', "steps leave the region"),
    Broken("left_region = (", "relative = 0.9 * relative / relative.max()", "no step leaves"),
    Broken("left_region = (", "relative = relative[:, ::-1]", "the search does not hold"),
    Broken(
        "radius 0.01 in place of 0.1",
        'stored = {"returns": stored["returns"][[1, 1, 1]]}',
        "the radius does not matter",
    ),
]
