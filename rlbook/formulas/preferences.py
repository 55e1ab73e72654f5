"""Preferences between two answers to one prompt, and the rewards that explain them.

A reward is wanted that is larger for the answer that people prefer. Only differences of rewards
of one prompt enter, so that every function here is unchanged if a prompt's rewards all move by
one constant.
"""

import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch.nn.functional import logsigmoid

from rlbook.ground import require


def preference_probability(
    rewards_a: torch.Tensor, rewards_b: torch.Tensor, *, random_share: float = 0.0
) -> torch.Tensor:
    """Pr[a is preferred to b] = (1 - s) sigma(R_a - R_b) + s / 2. Eq. (18.2), Eq. (18.11).

    The model of Bradley and Terry; s is the share of annotators who choose at random.

    Args:
        rewards_a, rewards_b: (...), of two answers to the same prompt.
        random_share: s, from 0 (everyone reads) to 1 (everyone clicks at random).

    Returns:
        (...), elementwise.

    Raises:
        ValueError: two shapes, or a share that is none.

    Source: Bradley and Terry 1952, "Rank analysis of incomplete block designs".
    """
    require.same_shape(rewards_a=rewards_a, rewards_b=rewards_b)
    require.within("random_share", random_share, 0, 1)
    return (1 - random_share) * (rewards_a - rewards_b).sigmoid() + random_share / 2


def bradley_terry_loss(
    chosen_rewards: torch.Tensor, rejected_rewards: torch.Tensor, *, random_share: float = 0.0
) -> torch.Tensor:
    """-log Pr[the observed preference], to be minimised. Eq. (18.4), Eq. (18.13).

    Without random annotators this is -log sigma(R_chosen - R_rejected); a share s of them
    makes it -log[(1 - s) sigma(R_chosen - R_rejected) + s / 2].

    Args:
        chosen_rewards, rejected_rewards: (...), of the preferred and of the other answer.
        random_share: s of `preference_probability`.

    Returns:
        (...), elementwise; the mean over the data set is another line.

    Raises:
        ValueError: two shapes, or a share that is none.

    Source: Christiano et al. 2017, "Deep reinforcement learning from human preferences",
    section 2.2.3.
    """
    require.same_shape(chosen_rewards=chosen_rewards, rejected_rewards=rejected_rewards)
    require.within("random_share", random_share, 0, 1)
    log_attentive = logsigmoid(chosen_rewards - rejected_rewards)
    if random_share == 0:
        return -log_attentive
    if random_share == 1:
        return 0 * log_attentive + math.log(2)
    log_random = torch.full_like(log_attentive, math.log(random_share) - math.log(2))
    return -torch.logaddexp(math.log1p(-random_share) + log_attentive, log_random)


def outcome_probabilities(
    rewards_a: torch.Tensor, rewards_b: torch.Tensor, *, threshold: float
) -> torch.Tensor:
    """Pr[a preferred], Pr[tie], Pr[b preferred], where small differences go unnoticed. Eq. (18.14).

    sigma(R_a - R_b - tau), the rest, sigma(R_b - R_a - tau): an annotator calls it a tie if the two
    utilities that she felt differ by at most tau.

    Args:
        rewards_a, rewards_b: (...).
        threshold: tau, not negative; 0 means no ties.

    Returns:
        (..., 3), sum 1.

    Raises:
        ValueError: two shapes, or a negative threshold.

    Source: Rao and Kupper 1967, "Ties in paired-comparison experiments".
    """
    require.same_shape(rewards_a=rewards_a, rewards_b=rewards_b)
    require.at_least("threshold", threshold, 0)
    difference = rewards_a - rewards_b
    a, b = (difference - threshold).sigmoid(), (-difference - threshold).sigmoid()
    return torch.stack([a, 1 - a - b, b], dim=-1)


def bayes_accuracy(probability: torch.Tensor) -> torch.Tensor:
    """max(p, 1 - p): how often the best possible guess of a preference is right. Eq. (18.10).

    Args:
        probability: (...), the true Pr[a is preferred to b].

    Returns:
        (...), elementwise; the mean over pairs is what no reward model exceeds.

    Raises:
        ValueError: not probabilities.
    """
    require.within("probability", probability, 0, 1)
    return torch.maximum(probability, 1 - probability)


def ranking_log_prob(rewards: torch.Tensor) -> torch.Tensor:
    """log Pr[order] = sum_k [R_k - log sum_{j >= k} exp R_j], Plackett and Luce. Eq. (18.15).

    Args:
        rewards: (..., K), in the order of the ranking, the best answer first.

    Returns:
        (...).

    Raises:
        ValueError: no answer.

    Source: Plackett 1975, "The analysis of permutations"; Luce 1959.
    """
    require.real("rewards", rewards, "(..., K)")
    remaining = rewards.flip(-1).logcumsumexp(-1).flip(-1)  # over j >= k
    return (rewards - remaining).sum(-1)


def ranking_pairs(num_answers: int) -> torch.Tensor:
    """The C(K, 2) pairs (better, worse) that a ranking of K answers contains, as positions.

    Returns:
        (K (K - 1) / 2, 2) long; position 0 is the best answer.

    Raises:
        ValueError: fewer than two answers.
    """
    if num_answers < 2:
        raise ValueError(f"a ranking needs two answers or more, got {num_answers}")
    return torch.combinations(torch.arange(num_answers))


def dpo_loss(
    chosen_log_probs: torch.Tensor,
    rejected_log_probs: torch.Tensor,
    ref_chosen_log_probs: torch.Tensor,
    ref_rejected_log_probs: torch.Tensor,
    *,
    kl_coef: float,
) -> torch.Tensor:
    """-log sigma(kl_coef [log pi/pi_ref (chosen) - log pi/pi_ref (rejected)]). Eq. (19.21).

    The loss of Bradley and Terry for the reward of which pi is the optimum, kl_coef
    log(pi / pi_ref), up to a constant of the prompt: no reward model and no sampling.
    The anchor pi_ref and the direction KL(pi || pi_ref) are those of RLHF.

    Args:
        chosen_log_probs, rejected_log_probs: (...), log pi of whole answers, with gradient.
        ref_chosen_log_probs, ref_rejected_log_probs: (...), log pi_ref of the same answers.
        kl_coef: beta, positive.

    Returns:
        (...), elementwise, to be minimised.

    Raises:
        ValueError: different shapes, or kl_coef not positive.

    Source: Rafailov et al. 2023, "Direct preference optimization: your language model is
    secretly a reward model", Eq. 7.
    """
    require.same_shape(
        chosen_log_probs=chosen_log_probs,
        rejected_log_probs=rejected_log_probs,
        ref_chosen_log_probs=ref_chosen_log_probs,
        ref_rejected_log_probs=ref_rejected_log_probs,
    )
    require.positive("kl_coef", kl_coef)
    chosen_rewards = kl_coef * (chosen_log_probs - ref_chosen_log_probs.detach())
    rejected_rewards = kl_coef * (rejected_log_probs - ref_rejected_log_probs.detach())
    return bradley_terry_loss(chosen_rewards, rejected_rewards)


# ---------------------------------------------------------------- fitting a table of rewards
#
# A table of rewards, one for each answer, that fits best what was preferred to what. wins
# (..., A, A) holds the data: wins[a, b] = how often answer a was preferred to answer b. The loss
# is the sum of `bradley_terry_loss` over all comparisons; it is convex in the rewards.

LONGEST_STEP = 10.0  # in a reward: where all is decided, the parabola is flat, and says nothing


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
        ValueError: a wrong shape; counts that are negative, infinite or NaN; there is no solution,
            since some answers never lost to the others, or were never compared with them; or it is
            not found in `max_steps`, to half of the digits of the dtype.

    Source: Ford 1957, "Solution of a ranking problem from binary comparisons", on when it exists.
    """
    _check_wins(wins)
    *_, rewards = islice(_newton_iterates(wins), max_steps + 1)
    _check_fit(wins, rewards)
    return rewards - rewards.mean(-1, keepdim=True)


def _newton_iterates(wins: torch.Tensor) -> Iterator[torch.Tensor]:
    """Rewards of lower and lower loss, from zeros on, until no step is left to be taken."""
    rewards = wins.new_zeros(wins.shape[:-1])
    ones = torch.ones_like(wins) / wins.shape[-1]  # makes the shift harmless: it moves along it
    step = torch.ones_like(rewards)
    yield rewards
    while step.abs().max() >= 1e-10:
        loss, gradient = _loss_of_table(wins, rewards)
        information = preference_information(wins, rewards)
        step = torch.linalg.solve(information + ones, gradient)
        step = step / (step.abs().amax(-1, keepdim=True) / LONGEST_STEP).clamp(min=1)
        for _ in range(30):
            lower = _loss_of_table(wins, rewards - step)[0] <= loss + 1e-12 * loss.abs()
            if lower.all():
                break
            step = torch.where(lower.unsqueeze(-1), step, step / 2)
        step = torch.where(lower.unsqueeze(-1), step, 0.0)
        rewards = rewards - step
        yield rewards


def _loss_of_table(wins: torch.Tensor, rewards: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    surprise = _surprise(wins, rewards)
    loss = -(wins * logsigmoid(rewards.unsqueeze(-1) - rewards.unsqueeze(-2))).sum((-2, -1))
    return loss, surprise.sum(-2) - surprise.sum(-1)


def _surprise(wins: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
    """Each win pulls by the chance that it failed: (..., A, A)."""
    return wins * (rewards.unsqueeze(-2) - rewards.unsqueeze(-1)).sigmoid()


def _check_fit(wins: torch.Tensor, rewards: torch.Tensor) -> None:
    """Where the gradient is zero, the surprise at an answer's wins is that at its losses."""
    surprise = _surprise(wins, rewards)
    won, lost = surprise.sum(-1), surprise.sum(-2)
    off = ~((won - lost).abs() <= torch.finfo(wins.dtype).eps ** 0.5 * (won + lost))
    if off.any():
        *table, a = require.first_index(off)
        raise ValueError(
            f"not settled: answer {a}{f' of wins{table}' if table else ''} does not win as often "
            "as is expected; give more max_steps"
        )


def _check_wins(wins: torch.Tensor) -> None:
    square = wins.ndim >= 2 and wins.shape[-1] == wins.shape[-2] and wins.shape[-1] > 1
    if not square or not wins.is_floating_point():
        got = f"{wins.dtype} {tuple(wins.shape)}"
        raise ValueError(f"wins must be floating point (..., A, A) with A > 1, got {got}")
    counts = (wins >= 0) & wins.isfinite()
    if not counts.all() or (wins.diagonal(dim1=-2, dim2=-1) != 0).any():
        raise ValueError("wins must be finite, not negative, and 0 of an answer against itself")
    reach = (wins > 0) | torch.eye(wins.shape[-1], dtype=torch.bool, device=wins.device)
    for _ in range(wins.shape[-1].bit_length()):
        reach = (reach.double() @ reach.double()) > 0
    if not reach.all():
        *_, a, b = reach.logical_not().nonzero()[0].tolist()
        raise ValueError(
            f"no finite rewards fit best: no chain of wins leads from answer {a} to answer {b}, "
            f"so that making {b} and all that beat it still better never hurts"
        )
