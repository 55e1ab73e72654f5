"""For each cell tagged `claim`, what makes it false: a claim that cannot fail claims nothing.

BROKEN[chapter] lists entries of a claim cell, the source that breaks the variables it reads
(executed just before it, in its namespace), and why the claim must then fail. The cell is
named by the figure above it, "3.2", or by a fragment of its source.
"""

from typing import NamedTuple


class Broken(NamedTuple):
    claim: str
    source: str
    why: str


BROKEN: dict[str, list[Broken]] = {
    "00": [
        Broken(
            "0.4",
            "world = GridWorld.from_text('S..a ....  .... ...b', rewards={'a': 2.0, 'b': 2.0},"
            " step_reward=0.0, slip=0.2).mdp(discount=0.9)\noptimum = value_iteration(world)",
            "two equal prizes: the near one is best",
        ),
        Broken(
            "0.5",
            "with_exploration = with_exploration[:, :1].expand(-1, 31)",
            "agents that learn nothing",
        ),
        Broken("0.5", "with_exploration = with_exploration + 1", "runs above the optimum"),
        Broken("0.6", "no_exploration = with_exploration", "exploration makes no difference"),
        Broken(
            "0.6",
            "with_exploration, no_exploration = no_exploration, with_exploration",
            "exploration hurts",
        ),
    ],
    "01": [
        Broken("1.1", "late = 10 * gammas**10", "the large reward comes after 10 steps, not 20"),
        Broken("1.2", "hand_written = np.eye(4)[[RIGHT] * 16]", "straight on, into a hole"),
        Broken(
            "1.3",
            'sampled["hand-written"] = sampled["random"]',
            "the plan is no better than chance",
        ),
        Broken("1.4", "errors = errors[::-1]", "the error grows with the horizon"),
        Broken("1.4", "errors = errors * 50", "the error exceeds the bound"),
        Broken("1.4", "counts = [6 * h for h in horizons]", "one branch a step"),
        Broken(
            "assert 8 < widths",
            "middle, half = (lows + highs) / 2, (highs - lows) / 4\n"
            "hits = (middle - half <= exact[START]) & (exact[START] <= middle + half)",
            "intervals of half the width",
        ),
        Broken(
            "assert 8 < widths",
            "mean_interval = lambda x: (x.mean() - x.std(), x.mean() + x.std())",
            "one standard deviation of a return, without the root of N",
        ),
        Broken(
            "assert low <= value <= high",
            "policies = dict(zip(policies, reversed(policies.values())))",
            "the values of the other policy",
        ),
        Broken(
            "1.6",
            "lake_values = {name: v.flip(0) for name, v in lake_values.items()}",
            "the best state is not the one beside the goal",
        ),
        Broken("1.7", 'bad["length"] = good["length"]', "the broken return levels off, too"),
        Broken("1.7", 'bad["time"] = good["time"]', "the broken value does not depend on time"),
    ],
    "03": [
        Broken(
            "3.3",
            "relative = torch.ones_like(relative)",
            "a backup that brings nothing closer stays above the line",
        ),
        Broken(
            "3.3",
            "relative = 0.5 ** torch.arange(61, dtype=torch.float64).expand_as(relative)",
            "a model whose constant differences shrink by more than gamma",
        ),
        Broken("3.4", "history = history[:, [0, 1, 1]]", "discount 0.98 in place of 1"),
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
    ],
    "06": [
        Broken("6.3", "judged[:, 1] = judged[:, 0]", "a wrong model costs nothing"),
        Broken(
            "6.3",
            "judged = np.roll(judged, 30, axis=0)",
            "the flat stretch does not surround the truth",
        ),
        Broken("6.4", "B = B + 1e-3", "the optimal policy has V < max Q"),
        Broken(
            "6.4",
            "Q_all = Q_all + torch.eye(3, dtype=torch.float64)[0]",
            "no bad policy is greedy anywhere: one action looks better by 1 everywhere",
        ),
        Broken("6.5", "careful_Q = careless_Q", "exploring does not change the way"),
        Broken("6.5", "careless_Q = careful_Q", "the agent without slips keeps away, too"),
        Broken("6.6", "cost = cost[:, ::-1]", "the best exploring policy is the dearer one"),
        Broken("6.6", "slope = 2 * slope", "the cost is not epsilon times the mean prices"),
        Broken("6.6", "careful_Q = careless_Q", "epsilon-greedy for Q* is no worse"),
        Broken("6.7", "losses = np.where(losses > 1e-9, losses, 1e-3)", "it never stops losing"),
        Broken("6.7", "lake_gap = 2.0", "the guarantee comes before the fact"),
        Broken("6.8", "leaky_Q = lake_Q[:16]", "nothing leaks on the ice"),
        Broken(
            "6.8",
            "leaky_cliff = q_value_iteration(short_cliff).action_values[:48]",
            "nothing leaks on the cliff",
        ),
    ],
}
