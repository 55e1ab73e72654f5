"""Checkers of chapter 18, reward modeling."""

import torch
from torch.nn.functional import logsigmoid

from rlbook.book.exercises.expectations import WrongAnswer, expect_close
from rlbook.formulas.preferences import ranking_log_prob
from rlbook.ground.seeding import generator

F64 = torch.float64


def check_ranking_loss(attempt) -> str:
    """ranking_loss(rewards): (B, K) -> (B,)."""
    rng = generator(1802)
    two = torch.tensor([[1.0, 0.0], [0.0, 3.0]], dtype=F64)
    for words, rewards in (
        ("two rankings of two answers", two),
        ("five random rankings of four answers", torch.randn(5, 4, generator=rng, dtype=F64)),
        ("one ranking of five answers", torch.randn(1, 5, generator=rng, dtype=F64)),
    ):
        K = rewards.shape[1]
        better, worse = torch.triu_indices(K, K, offset=1)
        differences = rewards[:, better] - rewards[:, worse]
        losses = -logsigmoid(differences)
        all_pairs = -logsigmoid(rewards[:, :, None] - rewards[:, None, :])
        neighbours = -logsigmoid(rewards[:, :-1] - rewards[:, 1:])
        expect_close(
            attempt(rewards),
            losses.mean(1),
            on=words,
            hint="The mean of -log sigma(R better - R worse) over the K (K - 1) / 2 pairs.",
            mistakes={
                "That is the sum over the pairs; a ranking counts once: take the mean.": (
                    losses.sum(1)
                ),
                "The pairs are the wrong way round: the better answer stands first.": (
                    -logsigmoid(-differences).mean(1)
                ),
                "Those are neighbours only: a ranking of K answers has K (K - 1) / 2 pairs.": (
                    neighbours.mean(1)
                ),
                "All K x K differences enter, also those of an answer with itself and those "
                "with the worse one first.": all_pairs.mean((1, 2)),
                "The differences of an answer with itself, 0 each, enter as well.": (
                    (losses.sum(1) + K * torch.tensor(2.0, dtype=F64).log()) / (K * (K + 1) / 2)
                ),
                "That is the mean over all rankings: return one number for each.": losses.mean(),
                "The logarithm is missing: -sigma is no log-likelihood.": (
                    -differences.sigmoid().mean(1)
                ),
                "That is the loss of Plackett and Luce, a good one, but not asked for here.": (
                    -ranking_log_prob(rewards)
                ),
                "The sign: a loss is minus the log-likelihood.": -losses.mean(1),
            },
        )
    return "Each ranking counts once, whatever its K."


def _reward_loss(hidden, mask, head, where="last", rows="halves", loss="right") -> torch.Tensor:
    """The loss of exercise 18.3, or one of its usual mistakes."""
    index = {"last": mask.sum(1) - 1, "position": torch.full((len(mask),), mask.shape[1] - 1)}
    index |= {
        "first": torch.zeros(len(mask), dtype=torch.long),
        "beyond": index["position"].clone(),
    }
    index["beyond"] = mask.sum(1).clamp(max=mask.shape[1] - 1)
    index["before"] = (mask.sum(1) - 2).clamp(min=0)
    rewards = hidden[torch.arange(len(hidden)), index[where]] @ head
    chosen, rejected = rewards.chunk(2) if rows == "halves" else (rewards[0::2], rewards[1::2])
    if rows == "swapped":
        chosen, rejected = rewards.chunk(2)[::-1]
    d = chosen - rejected
    losses = {"right": -logsigmoid(d), "sigmoid": -d.sigmoid(), "sign": logsigmoid(d)}
    return losses[loss].sum() if loss == "sum" else losses[loss].mean()


REWARD_MISTAKES = {
    "The reward is read at the last position, which is padding in short rows.": ("position",),
    "That is one position behind the last real token: positions count from 0.": ("beyond",),
    "That is one position before the last real token.": ("before",),
    "That is the first token: it has seen nothing of the answer.": ("first",),
    "The rows do not belong together: the first half is chosen, the second rejected.": (
        ("last", "alternating")
    ),
    "Chosen and rejected are exchanged: the winner stands first in the difference.": (
        ("last", "swapped")
    ),
    "The logarithm is missing: -sigma is no log-likelihood, and hardly moves where the "
    "model is surely wrong.": ("last", "halves", "sigmoid"),
    "The sign: a loss is minus the log-likelihood.": ("last", "halves", "sign"),
    "Two mistakes are left: the position, and which rows belong together.": (
        ("position", "alternating")
    ),
    "Two mistakes are left: the position, and the missing logarithm.": (
        ("position", "halves", "sigmoid")
    ),
    "Two mistakes are left: which rows belong together, and the missing logarithm.": (
        ("last", "alternating", "sigmoid")
    ),
    "That is the function with all of its mistakes.": ("position", "alternating", "sigmoid"),
}


def check_reward_loss(attempt) -> str:
    """reward_loss(hidden, mask, head): (2B, L, d), (2B, L), (d,) -> a number."""
    rng = generator(1803)
    for words, B, L, scale in (
        ("six texts of different lengths", 3, 5, 1.0),
        ("twenty texts of different lengths", 10, 8, 1.0),
        ("rewards that differ by thousands", 10, 8, 1000.0),
    ):
        hidden = torch.randn(2 * B, L, 4, generator=rng, dtype=F64)
        lengths = torch.randint(1, L + 1, (2 * B,), generator=rng)
        lengths[0], lengths[1] = L, L - 2
        mask = torch.arange(L) < lengths[:, None]
        head = (torch.randn(4, generator=rng, dtype=F64) * scale).requires_grad_()
        arguments = hidden, mask, head.detach()
        loss = attempt(hidden, mask, head)
        right = _reward_loss(*arguments)
        tail = "log of sigmoid underflows: use logsigmoid." if scale > 1 else ""
        expect_close(
            loss,
            right,
            on=words,
            hint=tail or "The mean of -log sigma(R chosen - R rejected), read at the last token.",
            mistakes={
                why: _reward_loss(*arguments, *mistake) for why, mistake in REWARD_MISTAKES.items()
            },
        )
        if not (isinstance(loss, torch.Tensor) and loss.requires_grad):
            raise WrongAnswer(f"On {words}: the loss has no gradient. Is something detached?")
    return "The right token, the right rows, the right loss."


def check_zermelo_step(attempt) -> str:
    """zermelo_step(wins, strength): (A, A), (A,) -> (A,)."""
    rng = generator(1804)
    three = torch.tensor([[0, 2, 1], [1, 0, 3], [1, 1, 0]], dtype=F64)
    random = torch.randint(1, 20, (5, 5), generator=rng).double().fill_diagonal_(0)
    for words, wins in (("three answers", three), ("five random answers", random)):
        strength = torch.rand(len(wins), generator=rng, dtype=F64) + 0.2
        strength = strength / strength.sum()
        n, both = wins + wins.T, strength[:, None] + strength
        right = wins.sum(1) / (n / both).sum(1)
        expect_close(
            attempt(wins, strength),
            right / right.sum(),
            on=words,
            hint="W_a / sum_b n_ab / (rho_a + rho_b), then divided by the sum.",
            mistakes={
                "Normalise: the sum should be 1.": right,
                "Those are losses in the numerator: wins of a are in row a.": _normalised(
                    wins.sum(0) / (n / both).sum(1)
                ),
                "n_ab counts the comparisons of both sides: wins + wins.T.": _normalised(
                    wins.sum(1) / (wins / both).sum(1)
                ),
                "That is the share of comparisons won: the strength of the others is missing.": (
                    _normalised(wins.sum(1) / n.sum(1))
                ),
                "Those are R = log rho: return the strengths.": _normalised(right).log(),
                "All answers use the old strengths: you have used new ones in the same step.": (
                    _in_turn(wins, strength)
                ),
            },
        )
    return "Repeat it, and it ends at the rewards of fit_bradley_terry."


def _normalised(x: torch.Tensor) -> torch.Tensor:
    return x / x.sum()


def _in_turn(wins: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    new = strength.clone()
    for a in range(len(new)):
        new[a] = wins[a].sum() / ((wins[a] + wins[:, a]) / (new[a] + new)).sum()
    return _normalised(new)


CHECKERS = {
    "18.2": check_ranking_loss,
    "18.3": check_reward_loss,
    "18.4": check_zermelo_step,
}
