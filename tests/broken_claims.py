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
    "02": [
        Broken(
            "2.2",
            'after_ten["the cart"] = after_ten["position as state"]',
            "the missing direction costs nothing",
        ),
        Broken(
            "2.2",
            'after_ten["position as state"] = after_ten["position as state"].roll(1)',
            "the model of positions drifts",
        ),
        Broken("2.3", "p_t = p_t.flip(0)", "walkers come back from END"),
        Broken("2.3", "p_t = 1.01 * p_t", "the probabilities do not sum to one"),
        Broken(
            "2.3",
            "p_t[:, 5], p_t[:, END] = p_t[:, END].clone(), p_t[:, 5].clone()",
            "walkers stay in a hole",
        ),
        Broken("2.4", "p_t = p_t.roll(1, dims=0)", "the exact distribution is one step late"),
        Broken(
            "2.4",
            "measured[6] = (measured[6][0], *(x * 1.02 for x in measured[6][1:]))",
            "intervals that are off by two percent",
        ),
        Broken("2.5", "nu = nu / (1 - 0.9)", "the visitation lost its 1 - gamma"),
        Broken("2.5", "nu = p_t[:20].mean(0)", "every visit counts alike"),
        Broken(
            "2.6",
            "worths = {name: v.flip(0) for name, v in worths.items()}",
            "less time is worth more",
        ),
        Broken(
            "2.6",
            "worths = {name: v[-1:].expand(len(v)) for name, v in worths.items()}",
            "the clock makes no difference",
        ),
    ],
    "07": [
        Broken("7.1", "testbed[0.1] = testbed[0.0]", "exploring earns no more"),
        Broken("7.1", "testbed[0.0] = testbed[0.1]", "greedy finds the best arm mostly"),
        Broken("7.1", "best_possible = 1.6", "the best possible reward is another one"),
        Broken("7.2", "ucb = testbed[0.1]", "no gain, no spike"),
        Broken("7.2", "testbed[0.1] = ucb", "no difference at all"),
        Broken("7.3", "wrong_V = right_V", "the length of the episode would do as well"),
        Broken("7.3", "right_V = wrong_V", "1/N(s) is as wrong as 1/T"),
        Broken("7.4", "every_V = first_V", "every visit is unbiased, too"),
        Broken("7.4", "first_V = every_V", "first visits are biased"),
        Broken("7.4", "V_customer = 4.5", "the customer is worth something else"),
        Broken("7.6", "error['0.1'] = error['$1/i$']", "a constant step size has no floor"),
        Broken("7.6", "error['$1/i$'] = error['$1/i^{0.6}$']", "the mean is no better than others"),
        Broken("7.6", "error['$1/(i+1)^2$'] = error['$1/i$']", "steps with a finite sum arrive"),
        Broken("7.7", "V_20 = -V_20", "losing is winning"),
        Broken("7.7", "estimates[10_000] = estimates[500_000]", "few episodes are enough"),
        Broken("slopes = ", "curves = curves[:, :1].expand(-1, 5)", "the error does not fall"),
        Broken("slopes = ", "inside = inside - 0.05", "intervals that are too narrow"),
        Broken(
            "math.sqrt(5)",
            "low, high = proportion_interval(int((pay.mean(1) < 1).sum()), 20_000)",
            "who never gives up is seldom below 1",
        ),
        Broken(
            "mean_interval(coverage)", "coverage = coverage - 0.04", "intervals that are too narrow"
        ),
        Broken("7.9", "right_choice = ~right_choice", "everything is learned wrong"),
        Broken("7.9", "right_choice = right_choice | True", "close cells are no harder"),
        Broken("7.9", "delta = -delta", "the exact policy is another one"),
        Broken("7.10", "learned = learned._replace(q=learned.q + 0.2)", "values are off by 0.2"),
        Broken("7.11", "worth = dict.fromkeys(worth, worth['greedy'])", "exploring does not help"),
        Broken("7.11", "worth['exploring starts'] = worth['greedy']", "exploring starts get stuck"),
        Broken("7.11", "best = -0.1", "learners above the optimum"),
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
        Broken("3.3", "values = values + torch.arange(6)", "differences between states remain"),
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
    "04": [
        Broken("4.1", "solution.policy[0] = 2", "the start points to the right"),
        Broken("4.1", "solution.values[:] *= 1.01", "the policy is worth less than the values"),
        Broken(
            "4.2", "errors = errors * 0.5 ** torch.arange(61.0).unsqueeze(1)", "it falls faster"
        ),
        Broken(
            "4.2", "errors = errors * 1.01 ** torch.arange(61.0).unsqueeze(1)", "it falls slower"
        ),
        Broken("4.3", "errors = changes", "the change is the error"),
        Broken("4.3", "changes = changes / 10", "the bound is ten times too small"),
        Broken("4.3", "errors[-1] = errors[0] * 0.99**390", "the error falls like gamma^k"),
        Broken(
            "4.4",
            "losses_by_sweep = losses_by_sweep.cummin(0).values",
            "each policy is at least as good as the one before",
        ),
        Broken("4.4", "losses_by_sweep = losses_by_sweep + 1e-3", "it never is optimal"),
        Broken("4.4", "bounds = losses_by_sweep / 2", "the loss exceeds the bound"),
        Broken("4.4", "losses = 10 * losses", "random models come near the bound"),
        Broken("4.5", "wave = torch.cat([wave[:5], wave])", "five sweeps without progress"),
        Broken("4.5", "d = d - 1 * (d > 3)", "the wave lags behind the steps"),
        Broken("4.6", 'curves["to and fro"] = curves["synchronous"]', "order gains nothing"),
        Broken("4.6", 'curves["reading order"] = curves["reverse order"]', "nor does this one"),
        Broken("4.6", 'curves["reverse order"] = curves["synchronous"]', "nor against the wave"),
        Broken("4.6", 'curves["at random"] = curves["to and fro"]', "random draws gain a lot"),
        Broken(
            "4.7",
            "runs = {n: (h, r) for n, (h, r) in zip(runs, reversed(runs.values()))}",
            "the better guess changes more cells",
        ),
        Broken("4.7", "best = best - 0.1", "not exact on the way"),
        Broken(
            "4.7",
            "from dataclasses import replace\n"
            "runs = {n: (h, replace(r, values=best)) for n, (h, r) in runs.items()}",
            "exact everywhere",
        ),
        Broken("4.8", "V[rooms] += 0.01", "the values are a hundredth too high"),
        Broken("4.8", "V[0, 0] = -1.0", "a wall has a value"),
        Broken(
            "4.8",
            "lowest = V == V.min()\nV[lowest] -= 1e-12 * torch.arange(int(lowest.sum()))",
            "each room has its own lowest value",
        ),
        Broken("4.8", "import dataclasses\nmaze = dataclasses.replace(maze, slip=0.0)", "no slips"),
    ],
    "06": [
        Broken("6.3", "judged[:, 1] = judged[:, 0]", "a wrong model costs nothing"),
        Broken(
            "6.3",
            "judged = np.roll(judged, 30, axis=0)",
            "the flat stretch does not surround the truth",
        ),
        Broken("6.4", "B = B + 1e-3", "the optimal policy has V < max Q"),
        Broken("6.4", "Q_all = Q_all + 1", "no policy is greedy in any state"),
        Broken("6.5", "careful_Q = careless_Q", "exploring does not change the way"),
        Broken("6.5", "careless_Q = careful_Q", "the agent without slips keeps away, too"),
        Broken("6.6", "cost = cost[:, ::-1]", "the best exploring policy is the dearer one"),
        Broken("6.6", "slope = 2 * slope", "the cost is not epsilon times the mean prices"),
        Broken("6.6", "careful_Q = careless_Q", "epsilon-greedy for Q* is no worse"),
        Broken("6.7", "losses = np.where(losses > 1e-9, losses, 1e-3)", "it never stops losing"),
        Broken("6.7", "lake_gap = 2.0", "the guarantee comes before the fact"),
        Broken("leaky_V.min() > 1", "leaky_Q = lake_Q[:16]", "nothing leaks on the ice"),
        Broken(
            "assert steps > 100",
            "leaky_cliff = q_value_iteration(short_cliff).action_values[:48]",
            "nothing leaks on the cliff",
        ),
    ],
    "08": [
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
        Broken("8.2", "td = mc", "TD has the floor of Monte Carlo"),
        Broken("8.2", "td = mc / 9", "a ninth of the variance stays a ninth"),
        Broken("8.2", "td = td / 2", "they do not meet at step 1"),
        Broken("8.3", "by_n[16] = by_n[4] * 0.99", "n = 16 is the best"),
        Broken("8.3", "by_n[8] = by_n[4]", "n = 8 is as good as n = 4"),
        Broken("8.3", "by_n = {n: x + 0.01 for n, x in by_n.items()}", "not the exact start"),
        Broken("8.5", "offline[0.9] = offline[0.8]", "lambda = 0.9 is as good, looking forward"),
        Broken("8.5", "accumulating[0.4] = accumulating[0.8]", "lambda = 0.4 is as good online"),
        Broken(
            "8.5",
            "accumulating[0.9] = torch.minimum(accumulating[0.9], offline[0.9])",
            "large steps do no more harm online",
        ),
        Broken(
            "accumulating above replacing", "replaced = accumulating", "replacing changes nothing"
        ),
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
    ],
    "09": [
        Broken("reaches[3] < 0.1", "reaches = reaches[[0, 0, 0, 0]]", "junk does no harm"),
        Broken("reaches[3] < 0.1", "limits = limits[[0, 0, 0, 0]]", "junk leaves the values alone"),
        Broken("FLOOR, MEAN, POWER", "error = error[[0, 1, 0]]", "decreasing steps gain nothing"),
        Broken("FLOOR, MEAN, POWER", "error = error[[2, 1, 2]]", "a constant step has no floor"),
        Broken("FLOOR, MEAN, POWER", "error = error[[0, 2, 2]]", "1/N is as fast as the others"),
        Broken("FLOOR, MEAN, POWER", "error[0, :, 5] += 0.1", "constant steps keep improving"),
        Broken("FLOOR, MEAN, POWER", "error[2] = error[2, :, -1:]", "the power stands still"),
        Broken("min(gaps)", "gaps = [0.0, 0.0]", "two steps are right without weights"),
        Broken("min(gaps)", "between = 0.0", "two steps do not depend on the behaviour"),
        Broken("nobody ever tried", "found = 900", "most agents look again"),
        Broken(
            "nobody ever tried",
            "content = q_learning(choice, num_runs=1000, num_steps=200, progress=False)",
            "exploring agents try both",
        ),
        Broken("left.visits[:, 0]", "gap = 0 * gap", "the transient state is learned"),
        Broken("left.visits[:, 0]", "gap = gap + 1", "the other states are not learned"),
        Broken("cliff_errors[:, -1]", "walk.evaluations[3, -1] = -17", "one of ten is not optimal"),
        Broken("cliff_errors[:, -1]", "walk.evaluations[20:30, -1] = -1000", "others get stuck"),
        Broken("cliff_errors[:, -1]", "cliff_errors = cliff_errors + 1", "the table is wrong"),
        Broken("optimism survived", "live.q[0, 0, 0] = -1000", "an entry fell below Q*"),
        Broken("optimism survived", "optimum = optimum + 0.01", "not the optimal return"),
        Broken("perfect[0]", "scores[0, :5, -1] = 7.9", "95 of 100"),
        Broken("perfect[0]", "scores[2] = scores[0]", "random exploration is as good"),
        Broken("perfect[0]", "scores[1] = scores[0]", "so is no exploration"),
        Broken("perfect[0]", "v_errors = v_errors + 1", "the values are not exact"),
        Broken(
            "wrong_return)",
            "wrong, wrong_return = right, right_return",
            "a cut may be taken for an end",
        ),
        Broken(
            "wrong_return)",
            "right, right_return = wrong, wrong_return",
            "the right flag moves the table, too",
        ),
        Broken("single_mean >", "double = mu.max()", "the double estimator has no bias"),
        Broken("single_mean >", "single_mean = mu.max()", "the single estimator has no bias"),
        Broken(
            "single_left, double_left",
            "went_left['Q-learning'] = went_left['double Q-learning']",
            "no maximisation bias",
        ),
        Broken(
            "single_left, double_left",
            "went_left = dict(zip(went_left, reversed(list(went_left.values()))))",
            "double Q-learning is the worse one",
        ),
        Broken("wrong_row[away]", "wrong_row = Q_star", "the current row would do"),
        Broken("wrong_row[away]", "wrong_rate = right_rate", "it finds the goal all the same"),
    ],
    "10": [
        Broken("assert low > 15", 'late["Q-learning"] = late["SARSA"]', "both learn the same"),
        Broken(
            "assert low > 15",
            'late = {"SARSA": late["Q-learning"], "Q-learning": late["SARSA"]}',
            "Q-learning earns more while it learns",
        ),
        Broken(
            "interquartile mean of SARSA",
            'exact["edge"] = -40.0',
            "the explorer of the edge earns something else",
        ),
        Broken(
            "interquartile mean of SARSA", 'exact["best"] = -30.0', "SARSA beats the best policy"
        ),
        Broken("10.2", 'learned["SARSA"] = learned["Q-learning"]', "everybody takes the edge"),
        Broken("10.2", 'learned["Q-learning"] = learned["SARSA"]', "nobody takes the edge"),
        Broken("10.2", "best_Q_soft = Q_star", "the best exploring policy takes the edge"),
        Broken("0.7 * gap < low", "errors = errors[[1, 0, 2]]", "a fixed epsilon leads to Q*"),
        Broken("0.7 * gap < low", "errors = errors[[0, 1, 1]]", "fading makes no difference"),
        Broken("0.7 * gap < low", "gap = 2 * gap", "the runs are elsewhere than at Q-circle"),
        Broken("assert low < 0 < high", "low = 0.5", "drawing again gains something"),
        Broken(
            "assert outcome.unfinished.sum() == 20",
            "outcome = outcome._replace(unfinished=torch.zeros(20))",
            "the agents arrive",
        ),
        Broken(
            "assert outcome.unfinished.sum() == 20",
            "leaking.returns[:, 10:] = -25.0",
            "the agents learn",
        ),
        Broken(
            "(outcome.returns == -15).all()",
            "outcome = outcome._replace(returns=outcome.returns - 2)",
            "the top row",
        ),
        Broken("(outcome.returns == -15).all()", 'exact["best"] = -25.0', "another policy"),
        Broken(
            "for other in (0, 2)",
            "early = early[[0, 0, 2]]",
            "expected SARSA is no better than SARSA",
        ),
        Broken(
            "for other in (0, 2)",
            "late_ones = late_ones[[1, 0, 2]]",
            "expected SARSA needs small steps",
        ),
        Broken(
            "SARSA, late:", "late_ones = late_ones[[1, 1, 2]]", "SARSA does not care about the step"
        ),
        Broken("10.6", "bias = 0 * bias", "no weights are needed"),
        Broken("10.6", "std_weighted = std_plain", "the weights cost nothing"),
        Broken("10.7", 'changed["λ = 0.9"] = 1', "traces do not reach back"),
        Broken("10.7", 'changed["one step"] = 5', "one step reaches back"),
        Broken("saves {low:.0f}", 'runs["n = 8"] = runs["one step"]', "long targets gain nothing"),
        Broken(
            "low < walk_length < high",
            "walk_length = 1.5 * walk_length",
            "the first episode is not a uniform walk",
        ),
    ],
    "05": [
        Broken("5.1", "after = [after[-1]] * 4", "one backup tells every cell of the reward"),
        Broken("5.1", "relative = relative * 1.5", "the error exceeds its bound"),
        Broken("5.2", "total = gain", "nothing is gained after the first step"),
        Broken("5.2", "total = 0.9 * total.clamp(max=gain.max())", "points below the diagonal"),
        Broken("ratios = torch.cat", "rounds[100] = 10 * rounds[10]", "rounds grow as states do"),
        Broken(
            "ratios = torch.cat",
            "distance = [gamma ** torch.arange(6.0) for _ in distance]",
            "no faster than value iteration",
        ),
        Broken(
            'endless["keep"]',
            'endless["keep"] = endless["first_by_number"]',
            "keeping the old action does not help",
        ),
        Broken('endless["keep"]', "endless = dict.fromkeys(endless, 0)", "every rule ends"),
        Broken("5.4", "sequence = sequence[:4] + [sequence[0]]", "the last policy is not optimal"),
        Broken("5.4", "sequence = [*sequence[::-1][:4], sequence[4]]", "values fall on the way"),
        Broken("5.4", "sequence = [*sequence, sequence[-1]]", "one improvement more"),
        Broken(
            "5.5",
            "units = {g: np.ones_like(table) for g, table in units.items()}",
            "evaluation makes no difference",
        ),
        Broken(
            "5.5",
            "units = {g: np.sort(table, axis=1) for g, table in units.items()}",
            "value iteration is the cheapest",
        ),
        Broken("5.6", "endless_models = ended", "sweeps do not grow without an end"),
        Broken("5.6", "ended = endless_models", "sweeps grow with an end, too"),
        Broken(
            "no_end[PI, :, -1]",
            "endless_models = ended",
            "policy iteration is the slowest without an end, too",
        ),
        Broken("no_end[PI, :, -1]", "ended = endless_models", "it wins in the mazes, too"),
        Broken("loss.median()", "loss = 0 * loss", "one backup is enough"),
        Broken("greedy_is_optimal <=", "greedy_is_optimal = 40", "one greedy step is optimal"),
        Broken("greedy_is_optimal <=", "gaps = [g * 0 for g in gaps]", "max Q^pi is V*"),
    ],
}
