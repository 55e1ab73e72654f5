"""What makes each claim of chapter 06 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("by_the_table - ", "by_the_table = by_the_manual", "Q is as lost as V"),
    Broken("by_the_table - ", "by_the_manual = by_the_manual + 0.01", "V* helps without wires"),
    Broken("V_loss[near]", "judged[:, 1] = judged[:, 0]", "a wrong model costs nothing"),
    Broken(
        "V_loss[near]",
        "judged = np.roll(judged, 30, axis=0)",
        "the flat stretch does not surround the truth",
    ),
    Broken("6.6", "B = B + 1e-3", "the optimal policy has V < max Q"),
    Broken("6.6", "Q_all = Q_all + 1", "no policy is greedy in any state"),
    Broken("edge_path, safe_path", "careful_Q = careless_Q", "exploring does not change the way"),
    Broken(
        "edge_path, safe_path", "careless_Q = careful_Q", "the agent without slips keeps away, too"
    ),
    Broken("slope * eps[0]", "cost = cost[:, ::-1]", "the best exploring policy is the dearer one"),
    Broken("slope * eps[0]", "slope = 2 * slope", "the cost is not epsilon times the mean prices"),
    Broken("slope * eps[0]", "careful_Q = careless_Q", "epsilon-greedy for Q* is no worse"),
    Broken("6.9", "losses = np.where(losses > 1e-9, losses, 1e-3)", "it never stops losing"),
    Broken("6.9", "lake_gap = 2.0", "the guarantee comes before the fact"),
    Broken("leaky_V.min() > 1", "leaky_Q = lake_Q[:16]", "nothing leaks on the ice"),
    Broken(
        "assert steps > 100",
        "leaky_cliff = q_value_iteration(short_cliff).action_values[:48]",
        "nothing leaks on the cliff",
    ),
]
