"""GRPO's objective: its settings, the advantages, and the loss of a group of answers. Chapter 20.

Shao et al. 2024, "DeepSeekMath: pushing the limits of mathematical reasoning in open language
models". Three policies that must not be confused: pi_theta is trained, pi_old drew the answers,
and pi_ref is the anchor. The solvable language model and the small ones share this loss.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from rlbook.formulas.divergences import answer_kl_estimate, kl_estimate
from rlbook.formulas.group_advantages import (
    aggregate_token_losses,
    leave_one_out_advantages,
    outcome_advantages,
    process_advantages,
)
from rlbook.formulas.policy_gradients import clipped_surrogate_loss
from rlbook.ground import require


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of GRPO."""

    num_steps: int = 100
    """Rounds of drawing answers and learning from them."""
    num_prompts: int = 8
    """Q, new prompts in each step."""
    group_size: int = 8
    """G, answers to each prompt."""
    inner_steps: int = 1
    """Gradient steps on the answers of one step, all of them each time."""
    supervision: str = "outcome"
    """"outcome": one reward an answer; "process": one for each of its steps."""
    advantage: str = "normalized"
    """"normalized": minus the group's mean, divided by its standard deviation; "centred": minus
    the mean; "leave_one_out": minus the mean of the others, which is unbiased."""
    aggregate: str = "answer_mean"
    """"answer_mean", "constant" or "token_mean", see aggregate_token_losses."""
    max_length: int = 24
    """Of "constant": what the sum over an answer's tokens is divided by."""
    clip_epsilon: float = 0.2
    """How far a ratio may go with profit; inf never clips."""
    kl_coef: float = 0.04
    """The price of a unit of KL(pi_theta || pi_ref)."""
    kl_as: str = "loss"
    """"loss": an estimate with its gradient; "reward": subtracted from the answer's reward."""
    kl_kind: str = "k3"
    """Of "loss": "k1", "k2" or "k3"."""
    kl_level: str = "token"
    """Of "loss": "token", the estimate of each token; "answer", one of the whole answer."""
    learning_rate: float = 1e-3
    """Of AdamW."""
    schedule: str = "linear"
    """Of the learning rate: "linear" or "cosine" down to 0, or "constant"."""
    warmup_steps: int = 0
    """Over which the learning rate rises: Adam's first steps are as long as any, and blind."""
    max_gradient_norm: float = 1.0
    """Longer gradients are shortened."""
    temperature: float = 1.0
    """Answers are drawn from softmax(logits / temperature), and learned from as such."""
    max_new_tokens: int | None = None
    """Where an answer is cut; the task's own limit by default."""

    def __post_init__(self):
        require.one_of("supervision", self.supervision, "outcome", "process")
        require.one_of("advantage", self.advantage, "normalized", "centred", "leave_one_out")
        require.one_of("aggregate", self.aggregate, "answer_mean", "constant", "token_mean")
        require.one_of("kl_as", self.kl_as, "loss", "reward")
        require.one_of("kl_kind", self.kl_kind, "k1", "k2", "k3")
        require.one_of("kl_level", self.kl_level, "token", "answer")
        for name in ("num_steps", "num_prompts", "inner_steps"):
            require.at_least(name, getattr(self, name), 1)
        require.at_least("group_size", self.group_size, 2)
        require.at_least("warmup_steps", self.warmup_steps, 0)
        require.at_least("kl_coef", self.kl_coef, 0)
        for name in ("clip_epsilon", "learning_rate", "temperature", "max_length"):
            require.positive(name, getattr(self, name))
        whole = self.advantage == "leave_one_out" or (self.kl_as == "reward" and self.kl_coef > 0)
        if self.supervision == "process" and whole:
            raise ValueError("leave_one_out and a KL as reward are for outcomes, not for processes")


class Steps(NamedTuple):
    """The rewarded steps of each answer, (..., G, K) each; see process_advantages."""

    rewards: torch.Tensor
    ends: torch.Tensor
    mask: torch.Tensor


@torch.no_grad()
def make_advantages(
    rewards: torch.Tensor,
    *,
    old_log_probs: torch.Tensor,
    ref_log_probs: torch.Tensor,
    completion_mask: torch.Tensor,
    config: Config,
    steps: Steps | None = None,
) -> torch.Tensor:
    """The advantage of every token, 0 off the mask. Eqs. (20.4), (20.5), (20.7), (20.24).

    With kl_as "reward", kl_coef times the log-ratio of the whole answer, log pi_old - log pi_ref,
    is subtracted from its reward first: KL(pi_old || pi_ref), estimated by k1, without gradient.

    Args:
        rewards: (..., G).
        old_log_probs, ref_log_probs, completion_mask: (..., G, T).
        steps: of supervision "process", which reads no `rewards`.

    Returns:
        (..., G, T).

    Raises:
        ValueError: supervision "process" without steps.
    """
    normalize = config.advantage == "normalized"
    if config.supervision == "process":
        if steps is None:
            raise ValueError('supervision "process" needs steps, got None')
        return process_advantages(
            steps.rewards, steps.ends, steps.mask, completion_mask, normalize_std=normalize
        )
    if config.kl_as == "reward" and config.kl_coef > 0:
        log_ratio = answer_kl_estimate(old_log_probs, ref_log_probs, completion_mask, "k1")
        rewards = rewards - config.kl_coef * log_ratio
    if config.advantage == "leave_one_out":
        advantages = leave_one_out_advantages(rewards)
    else:
        advantages = outcome_advantages(rewards, normalize_std=normalize)
    return torch.where(completion_mask, advantages[..., None], 0.0)


def grpo_loss(
    log_probs: torch.Tensor,
    *,
    old_log_probs: torch.Tensor,
    ref_log_probs: torch.Tensor,
    advantages: torch.Tensor,
    completion_mask: torch.Tensor,
    config: Config,
) -> torch.Tensor:
    """Minus GRPO's objective, the mean over the group: (..., G, T) -> (...). Eq. (20.8).

    The mean over answers of the aggregate over an answer's tokens of
    -min(ratio A, clip(ratio) A) + kl_coef kl, with ratio = pi_theta / pi_old of the token given
    its own prefix, and kl an estimate of KL(pi_theta || pi_ref). An estimate of the whole
    answer, kl_level "answer", is shared out evenly among its tokens.

    Args:
        log_probs, old_log_probs, ref_log_probs: (..., G, T), of the same tokens under pi_theta,
            pi_old and pi_ref. A gradient flows through the first only.
        advantages: (..., G, T), from make_advantages.
        completion_mask: (..., G, T) bool. What is off the mask does not enter, nor does its
            gradient, NaN included.

    Returns:
        (...), to be minimised: one loss for each group.

    Raises:
        ValueError: different shapes, or a mask that is not bool.

    Source: Shao et al. 2024, Eq. 3.
    """
    require.mask("completion_mask", completion_mask, log_probs.shape)
    log_probs = torch.where(completion_mask, log_probs, 0.0)  # its gradient is 0 where it is off
    losses = clipped_surrogate_loss(
        log_probs, old_log_probs, advantages, clip_epsilon=config.clip_epsilon
    )
    if config.kl_as == "loss" and config.kl_coef > 0:
        anchor = ref_log_probs.detach()
        if config.kl_level == "token":
            kl = kl_estimate(log_probs, anchor, config.kl_kind)
        else:
            lengths = completion_mask.sum(-1, keepdim=True).clamp(min=1)
            kl = answer_kl_estimate(log_probs, anchor, completion_mask, config.kl_kind, "answer")
            kl = kl[..., None] / lengths
        losses = losses + config.kl_coef * kl
    of_answers = aggregate_token_losses(
        losses, completion_mask, config.aggregate, config.max_length
    )
    return of_answers.mean(-1)
