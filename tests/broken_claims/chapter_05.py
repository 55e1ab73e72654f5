"""What makes each claim of chapter 05 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken(
        "for values in after",
        "after = [after[-1]] * 4",
        "one backup tells every cell of the reward",
    ),
    Broken("for values in after", "relative = relative * 1.5", "the error exceeds its bound"),
    Broken("total >= gain", "total = gain", "nothing is gained after the first step"),
    Broken("total >= gain", "total = 0.9 * total.clamp(max=gain.max())", "below the diagonal"),
    Broken("changes.sum() == 318", "changes[(~changes).nonzero()[0]] = True", "319 change"),
    Broken("changes.sum() == 318", "gains = gains - 8.5", "one evening gets worse"),
    Broken("changes.sum() == 318", "gains = gains.roll(1)", "another evening gains most"),
    Broken("changes.sum() == 318", "nights[5] = nights[0]", "a night more does harm"),
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
    Broken("steps = list", "sequence = sequence[:4] + [sequence[0]]", "the last is not optimal"),
    Broken("steps = list", "sequence = [*sequence[::-1][:4], sequence[4]]", "values fall"),
    Broken("steps = list", "sequence = [*sequence, sequence[-1]]", "one improvement more"),
    Broken(
        "for table in units.values()",
        "units = {g: np.ones_like(table) for g, table in units.items()}",
        "evaluation makes no difference",
    ),
    Broken(
        "for table in units.values()",
        "units = {g: np.sort(table, axis=1) for g, table in units.items()}",
        "value iteration is the cheapest",
    ),
    Broken("maze_sweeps", "endless_models = ended", "sweeps do not grow without an end"),
    Broken("maze_sweeps", "ended = endless_models", "sweeps grow with an end, too"),
    Broken("spread.max()", "off = [x + 1 for x in off]", "the middle of the bounds is wrong"),
    Broken("spread.max()", "needed = [1000 * k for k in needed]", "the bounds need as many"),
    Broken("spread.max()", "short = [x - x.mean() for x in short]", "no common error"),
    Broken(
        "spread.max()",
        "short = [x + 1000 * torch.arange(100.0) / 100 for x in short]",
        "errors that differ within a model",
    ),
    Broken("spread.max()", "endless_models = ended", "mazes need few sweeps"),
    Broken(
        "no_end[PI, :, -1]",
        "endless_models = ended",
        "policy iteration is the slowest without an end, too",
    ),
    Broken("no_end[PI, :, -1]", "ended = endless_models", "it wins in the mazes, too"),
    Broken("loss.median()", "loss = 0 * loss", "one backup is enough"),
    Broken("greedy_is_optimal <=", "greedy_is_optimal = 40", "one greedy step is optimal"),
    Broken("greedy_is_optimal <=", "gaps = [g * 0 for g in gaps]", "max Q^pi is V*"),
]
