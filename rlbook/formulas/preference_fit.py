"""A table of rewards, one for each answer, that fits best what was preferred to what.

wins (..., A, A) holds the data: wins[a, b] = how often answer a was preferred to answer b. The
loss is the sum of `bradley_terry_loss` over all comparisons; it is convex in the rewards.
"""

import torch
from torch.nn.functional import logsigmoid


def preference_information(wins: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
    """The second derivatives of the loss, summed over the comparisons: a Laplacian. Eq. (18.7).

    H = sum over comparisons of p (1 - p) (e_a - e_b)(e_a - e_b)^T with p = sigma(R_a - R_b):
    positive semidefinite, and zero along a shift of all rewards.

    Args:
        wins: (..., A, A), wins[a, b] = how often a was preferred to b.
        rewards: (..., A).

    Returns:
        (..., A, A).
    """
    p = (rewards.unsqueeze(-1) - rewards.unsqueeze(-2)).sigmoid()
    weight = (wins + wins.mT) * p * (1 - p)
    return torch.diag_embed(weight.sum(-1)) - weight


def fit_bradley_terry(wins: torch.Tensor, *, max_steps: int = 100) -> torch.Tensor:
    """The rewards of mean 0 that make the observed preferences most likely, by Newton's method.

    At the solution each answer wins as often as it is expected to, Eq. (18.8). Each step goes
    to the minimum of a parabola, or half of the way as often as it takes to come lower.

    Args:
        wins: (..., A, A) floating point, wins[a, b] = how often a was preferred to b.

    Returns:
        (..., A).

    Raises:
        ValueError: a wrong shape; negative or NaN counts; or there is no solution, since some
            answers never lost to the others, or were never compared with them.

    Source: Ford 1957, "Solution of a ranking problem from binary comparisons", on when it exists.
    """
    _check_wins(wins)
    rewards = wins.new_zeros(wins.shape[:-1])
    ones = torch.ones_like(wins) / wins.shape[-1]  # makes the shift harmless: it moves along it
    for _ in range(max_steps):
        loss, gradient = _loss_of_table(wins, rewards)
        information = preference_information(wins, rewards)
        step = torch.linalg.solve(information + ones, gradient)
        for _ in range(30):
            worse = _loss_of_table(wins, rewards - step)[0] > loss + 1e-12 * loss.abs()
            if not worse.any():
                break
            step = torch.where(worse.unsqueeze(-1), step / 2, step)
        rewards = rewards - step
        if step.abs().max() < 1e-10:
            break
    return rewards - rewards.mean(-1, keepdim=True)


def _loss_of_table(wins: torch.Tensor, rewards: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    difference = rewards.unsqueeze(-1) - rewards.unsqueeze(-2)
    surprise = wins * (-difference).sigmoid()  # each win pulls by the chance that it failed
    return -(wins * logsigmoid(difference)).sum((-2, -1)), surprise.sum(-2) - surprise.sum(-1)


def _check_wins(wins: torch.Tensor) -> None:
    square = wins.ndim >= 2 and wins.shape[-1] == wins.shape[-2] and wins.shape[-1] > 1
    if not square or not wins.is_floating_point():
        got = f"{wins.dtype} {tuple(wins.shape)}"
        raise ValueError(f"wins must be floating point (..., A, A) with A > 1, got {got}")
    if not (wins >= 0).all() or (wins.diagonal(dim1=-2, dim2=-1) != 0).any():
        raise ValueError("wins must not be negative or NaN, and no answer is compared with itself")
    reach = (wins > 0) | torch.eye(wins.shape[-1], dtype=torch.bool, device=wins.device)
    for _ in range(wins.shape[-1].bit_length()):
        reach = (reach.double() @ reach.double()) > 0
    if not reach.all():
        *_, a, b = reach.logical_not().nonzero()[0].tolist()
        raise ValueError(
            f"no finite rewards fit best: no chain of wins leads from answer {a} to answer {b}, "
            f"so that making {b} and all that beat it still better never hurts"
        )
