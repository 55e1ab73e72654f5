"""Where GRPO comes to rest: its expected update on the solvable language model, exactly.

GRPO compares an answer with the G - 1 others of its group. What the others earn is enumerated by
the multiset of their rewards, of which there are few when rewards have few values; the rest
of the expectation is a sum over all answers. Where this expected update is zero, learning with
ever smaller steps ends: on the frontier for some choices, below it for others. Chapter 20.
"""

import warnings
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb

import torch

from rlbook.formulas.divergences import answer_kl_estimate, kl_regularized_optimum
from rlbook.formulas.group_advantages import outcome_advantages
from rlbook.ground import require
from rlbook.language.solvable.model import SolvableLM, World, exact_kl, expected_reward

MOST = 100_000


def expected_normalized_advantages(
    probabilities: torch.Tensor, values: torch.Tensor, group_size: int
) -> torch.Tensor:
    """E[(r_1 - mean) / std | r_1 = values[k]] over the G - 1 other rewards of the group.

    The others are independent; a multiset of them with counts n has the probability
    (G - 1)! prod over k of p_k^n_k / n_k!. A group of equal rewards counts 0.

    Args:
        probabilities: (..., K), of the K values a reward can have.
        values: (K,).
        group_size: G, 2 or more.

    Returns:
        (..., K).

    Raises:
        ValueError: G < 2, shapes that do not fit, or more than 100,000 multisets.
    """
    if values.ndim != 1 or probabilities.shape[-1:] != values.shape:
        shapes = f"{tuple(probabilities.shape)} and {tuple(values.shape)}"
        raise ValueError(f"probabilities and values must be (..., K) and (K,), got {shapes}")
    return _expectation(probabilities, *_groups(values, group_size))


def _groups(values: torch.Tensor, group_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of all M multisets of G - 1 others: their counts and log multinomial coefficients
    (M, K + 1), and the advantage of each value among them (M, K)."""
    K, G = len(values), group_size
    if G < 2:
        raise ValueError(f"a group needs at least 2 answers to compare, got {G}")
    if comb(K + G - 2, G - 1) > MOST:
        raise ValueError(f"{G - 1} rewards of {K} values: more than {MOST:,} multisets")
    others = torch.tensor(list(combinations_with_replacement(range(K), G - 1)))  # (M, G - 1)
    counts = torch.nn.functional.one_hot(others, K).sum(1).to(values)
    ways = torch.lgamma(values.new_tensor(float(G))) - torch.lgamma(counts + 1).sum(-1)
    mine = torch.arange(K)[None, :, None].expand(len(others), K, 1)
    groups = torch.cat([mine, others[:, None].expand(-1, K, -1)], dim=-1)  # (M, K, G)
    return torch.cat([counts, ways[:, None]], dim=1), outcome_advantages(values[groups])[..., 0]


def _expectation(probabilities, counts_and_ways, advantages) -> torch.Tensor:
    counts, ways = counts_and_ways[:, :-1], counts_and_ways[:, -1]
    log_p = probabilities.clamp_min(1e-300).log()
    return (log_p @ counts.T + ways).exp() @ advantages


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """Where an expected update is zero, for each of R coefficients."""

    lm: SolvableLM
    kl: torch.Tensor
    """(R, Q): KL(pi || pi_ref) of whole answers."""
    reward: torch.Tensor
    """(R, Q): E[R]."""
    residual: torch.Tensor
    """(R, Q): the largest expected update of a logit, per visit of its context."""
    iterations: int


class ExpectedGRPO:
    """The expected update of GRPO with one step for each batch (pi_theta = pi_old).

    Eq. (20.9). The mean over groups and answers of w(o) [A sum over t of grad log pi(o_t) -
    kl_coef grad KL estimate], w = 1/|o| ("answer_mean") or 1 ("constant", up to a factor).

    Args:
        world: whose rewards have few values.
        group_size: G.
        kl_coef: positive; a number, or (R,), one for each run.
        advantage: "normalized" as published, "centred" (r - mean) or "leave_one_out".
        aggregate: "answer_mean" or "constant".
        kl_as: "loss", the estimate with its gradient; "reward", k1 of the whole answer, detached,
            subtracted from the reward (not with "normalized": it has too many values).
        kl_kind, kl_level: of a "loss", as in answer_kl_estimate.

    Raises:
        ValueError: a choice that is not among these.
    """

    def __init__(
        self,
        world: World,
        *,
        group_size: int,
        kl_coef: float | torch.Tensor,
        advantage: str = "normalized",
        aggregate: str = "answer_mean",
        kl_as: str = "loss",
        kl_kind: str = "k3",
        kl_level: str = "token",
    ):
        require.one_of("advantage", advantage, "normalized", "centred", "leave_one_out")
        require.one_of("aggregate", aggregate, "answer_mean", "constant")
        prices = ("loss",) if advantage == "normalized" else ("loss", "reward")
        require.one_of("kl_as", kl_as, *prices)
        self.world, self.advantage, self.kl_as = world, advantage, kl_as
        self.kl_coef = torch.as_tensor(kl_coef, dtype=torch.float64).reshape(-1, 1, 1)
        if not (self.kl_coef > 0).all():
            raise ValueError(f"kl_coef must be positive, got {kl_coef}")
        self.estimate = kl_kind, kl_level
        self.shrinkage = 1 - 1 / group_size if advantage == "centred" else 1.0
        lengths = world.tree.lengths.to(torch.float64)
        self.weight = 1 / lengths if aggregate == "answer_mean" else torch.ones_like(lengths)
        self.ref_log_probs = world.model().token_log_probs().detach()  # (1, Q, O, T)
        values, self.value_of = world.rewards.unique(return_inverse=True)  # (K,), (Q, O)
        self.groups = _groups(values, group_size) if advantage == "normalized" else None

    def advantages(self, log_probs: torch.Tensor) -> torch.Tensor:
        """The expected advantage of each answer, given itself: (R, Q, O) -> (R, Q, O)."""
        pi, rewards = log_probs.exp(), self.world.rewards
        if self.groups is not None:
            value_of = self.value_of.expand(pi.shape)
            K = self.groups[1].shape[1]
            shares = pi.new_zeros(*pi.shape[:2], K).scatter_add(2, value_of, pi)
            return _expectation(shares, *self.groups).gather(2, value_of)
        if self.kl_as == "reward":
            rewards = rewards - self.kl_coef * (log_probs - self.world.reference)
        return self.shrinkage * (rewards - (pi * rewards).sum(-1, keepdim=True))

    def surrogate(self, lm: SolvableLM) -> torch.Tensor:
        """(R, Q): its gradient in lm.logits is the expected update; its value means nothing."""
        tokens = lm.token_log_probs()
        log_probs = tokens.sum(-1)
        law = log_probs.detach().exp() * self.weight  # who drew the answers is not differentiated
        gained = self.advantages(log_probs.detach()) * log_probs
        if self.kl_as == "loss":
            mask = self.world.tree.completion_mask.expand(tokens.shape)
            ref_log_probs = self.ref_log_probs.expand(tokens.shape)
            kl = answer_kl_estimate(tokens, ref_log_probs, mask, *self.estimate)
            gained = gained - self.kl_coef * kl
        return (law * gained).sum(-1)

    def update(self, lm: SolvableLM) -> torch.Tensor:
        """The expected update of the logits, uphill: (R, Q, N, V)."""
        return torch.autograd.grad(self.surrogate(lm).sum(), lm.logits)[0]

    def fixed_point(
        self,
        *,
        init: torch.Tensor | None = None,
        tolerance: float = 1e-9,
        max_iterations: int = 5000,
    ) -> FixedPoint:
        """Follow the expected update, each context at its own pace, until it is zero everywhere.

        Args:
            init: log-probabilities to begin with, (Q, O) or (R, Q, O); the reference by default.
            tolerance: of the residual in every context of every prompt.

        Returns:
            The best point; a warning if its residual is above the tolerance.
        """
        lm = SolvableLM(self.world.tree, len(self.world.prompts), len(self.kl_coef))
        lm.represent(self.world.reference if init is None else init)
        pace = torch.full(lm.logits.shape[:2], 0.5, dtype=torch.float64)
        best = torch.full_like(pace, torch.inf)
        for iteration in range(max_iterations):  # noqa: B007
            per_visit, step = self._step(lm)
            residual = per_visit.abs().amax((2, 3))
            if (residual < tolerance).all():
                break
            if iteration % 50 == 49:  # it circles: go slower
                pace = torch.where(residual > best / 2, pace / 2, pace)
                best = residual
            lm.logits.data += pace[..., None, None] * step
        if not (residual < tolerance).all():
            warnings.warn(f"the residual is still {float(residual.max()):.1e}", stacklevel=2)
        log_probs = lm.answer_log_probs().detach()
        kl = exact_kl(log_probs, self.world.reference)
        reward = expected_reward(log_probs, self.world.rewards)
        return FixedPoint(lm, kl, reward, residual, iteration + 1)

    @torch.no_grad()
    def _step(self, lm: SolvableLM) -> tuple[torch.Tensor, torch.Tensor]:
        """The update per visit of the context, and the same over about the curvature."""
        with torch.enable_grad():
            update = self.update(lm)
        tree, pi = self.world.tree, lm.word_log_probs().exp()
        tokens = lm.token_log_probs()
        visits = tokens.sum(-1, keepdim=True).exp() * self.weight[:, None]
        visits = torch.where(tree.completion_mask, visits, 0.0)  # (R, Q, O, T)
        visited = update.new_zeros(update.shape[:3])
        visited.index_add_(2, tree.contexts.flatten(), visits.flatten(2))
        if self.kl_as == "loss" and self.estimate[0] == "k3":  # exp(-d) is steep where d < 0
            d = tokens - self.ref_log_probs
            d = d.sum(-1, keepdim=True) if self.estimate[1] == "answer" else d
            visits = visits * (-d).clamp_min(0).exp()
        curvature = update.new_zeros(update.shape).flatten(2)
        curvature.index_add_(2, lm.entry.flatten(), visits.flatten(2))
        curvature = curvature.view_as(update) / visited[..., None]
        per_visit = update / visited[..., None]
        return per_visit, per_visit / (self.kl_coef[..., None] * curvature + 0.2 * pi)


def frontier_gap(world: World, kl: torch.Tensor, reward: torch.Tensor) -> torch.Tensor:
    """How much more reward the frontier has at the same KL(pi || pi_ref): zero for pi*.

    Args:
        kl, reward: (n,), means over the prompts.

    Returns:
        (n,), not negative up to rounding. The frontier is found by bisection of kl_coef.
    """
    low, high = torch.full_like(kl, -12.0), torch.full_like(kl, 12.0)  # log kl_coef
    shape = len(kl), *world.rewards.shape
    for _ in range(80):
        middle = (low + high) / 2
        best, _ = kl_regularized_optimum(
            world.reference.expand(shape),
            world.rewards.expand(shape),
            kl_coef=middle.exp()[:, None],
        )
        too_far = exact_kl(best, world.reference).mean(-1) > kl
        low, high = torch.where(too_far, middle, low), torch.where(too_far, high, middle)
    return expected_reward(best, world.rewards).mean(-1) - reward
