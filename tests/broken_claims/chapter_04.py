"""What makes each claim of chapter 04 false; see __init__.py."""

from broken_claims import Broken

BROKEN = [
    Broken("4.2", "solution.policy[0] = 2", "the start points to the right"),
    Broken("4.2", "solution.values[:] *= 1.01", "the policy is worth less than the values"),
    Broken("4.3", "errors = errors * 0.5 ** torch.arange(61.0).unsqueeze(1)", "it falls faster"),
    Broken("4.3", "errors = errors * 1.01 ** torch.arange(61.0).unsqueeze(1)", "it falls slower"),
    Broken("4.7", "errors = changes", "the change is the error"),
    Broken("4.7", "changes = changes / 10", "the bound is ten times too small"),
    Broken("4.7", "errors[-1] = errors[0] * 0.99**390", "the error falls like gamma^k"),
    Broken(
        "4.8",
        "losses_by_sweep = losses_by_sweep.cummin(0).values",
        "each policy is at least as good as the one before",
    ),
    Broken("4.8", "losses_by_sweep = losses_by_sweep + 1e-3", "it never is optimal"),
    Broken("4.8", "bounds = losses_by_sweep / 2", "the loss exceeds the bound"),
    Broken("4.8", "losses = 10 * losses", "random models come near the bound"),
    Broken("4.5", "wave = torch.cat([wave[:5], wave])", "five sweeps without progress"),
    Broken("4.5", "d = d - 1 * (d > 3)", "the wave lags behind the steps"),
    Broken("4.9", 'curves["to and fro"] = curves["synchronous"]', "order gains nothing"),
    Broken("4.9", 'curves["reading order"] = curves["reverse order"]', "nor does this one"),
    Broken("4.9", 'curves["reverse order"] = curves["synchronous"]', "nor against the wave"),
    Broken("4.9", 'curves["at random"] = curves["to and fro"]', "random draws gain a lot"),
    Broken("4.9", "tries[3] = 20", "one of the random orders gains a lot"),
    Broken("4.9", "tries = [x + 30 for x in tries]", "random draws always lose"),
    Broken("4.9", "shuffles[7] = 53", "a shuffled order is no better than a drawn one"),
    Broken(
        "4.10",
        "runs = {n: (h, r) for n, (h, r) in zip(runs, reversed(runs.values()))}",
        "the better guess changes more cells",
    ),
    Broken("4.10", "best = best - 0.1", "not exact on the way"),
    Broken(
        "4.10",
        "from dataclasses import replace\n"
        "runs = {n: (h, replace(r, values=best)) for n, (h, r) in runs.items()}",
        "exact everywhere",
    ),
    Broken("4.4", "V[rooms] += 0.01", "the values are a hundredth too high"),
    Broken("4.4", "V[0, 0] = -1.0", "a wall has a value"),
    Broken("4.4", "V[V == V.min()] += 1e-6", "nobody is still counting"),
    Broken(
        "4.4",
        "lowest = V == V.min()\nV[lowest] -= 1e-12 * torch.arange(int(lowest.sum()))",
        "each room has its own lowest value",
    ),
    Broken("4.4", "import dataclasses\nmaze = dataclasses.replace(maze, slip=0.0)", "no slips"),
]
