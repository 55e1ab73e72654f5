"""What makes each claim of chapter 05 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
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
]
