"""Policies with parameters: the losses whose gradients improve them.

The losses are elementwise: the mean over what was sampled is a line of its own, `mean_per_run` or
`masked_mean`. The exact objective and its gradient are in `rlbook.planning.exact_gradients`.
"""

import torch

from rlbook.ground import require


def policy_gradient_loss(log_probs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """-log pi(a|s) weight, whose gradient is -weight grad log pi(a|s). Eq. (11.23).

    The weights (returns, advantages, ...) are numbers: no gradient flows into them.

    Args:
        log_probs: (...), log pi(a_t|s_t) of the actions that were taken.
        weights: (...), the same shape.

    Returns:
        (...), to be minimised.

    Raises:
        ValueError: different shapes.

    Source: Williams 1992, "Simple statistical gradient-following algorithms", Eq. 11.
    """
    require.same_shape(log_probs=log_probs, weights=weights)
    return -log_probs * weights.detach()


def entropy_bonus(logits: torch.Tensor) -> torch.Tensor:
    """H = -sum_a pi(a) log pi(a) of pi = softmax(logits), (..., A) -> (...). Eq. (11.24).

    To be maximised: a loss subtracts it. Between 0 (one action) and log A (uniform). An action
    whose logit is -inf counts as 0, and so does its gradient.

    Raises:
        ValueError: no action axis.

    Source: Williams and Peng 1991, "Function optimization using connectionist reinforcement
    learning algorithms".
    """
    require.real("logits", logits, "(..., A)")
    log_probs = logits.log_softmax(-1)
    possible = logits > -torch.inf
    log_probs = torch.where(possible, log_probs, 0.0)
    return -torch.where(possible, log_probs.exp() * log_probs, 0.0).sum(-1)


def clipped_surrogate_loss(
    log_probs: torch.Tensor,
    old_log_probs: torch.Tensor,
    advantages: torch.Tensor,
    *,
    clip_epsilon: float,
) -> torch.Tensor:
    """-min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon) A), PPO-clip's loss. Eq. (16.12).

    ratio = pi(a|s) / pi_old(a|s). The gradient is -ratio A grad log pi(a|s), and zero where the
    ratio has already left the interval on the side to which A pushes it. The old policy and the
    advantages are numbers: no gradient flows into them.

    Args:
        log_probs, old_log_probs: (...), log-probabilities of the actions that pi_old took.
        advantages: (...), the same shape.
        clip_epsilon: positive; torch.inf never clips, which leaves -ratio A.

    Returns:
        (...), to be minimised.

    Raises:
        ValueError: different shapes, or clip_epsilon not positive.

    Source: Schulman et al. 2017, "Proximal policy optimization algorithms", Eq. 7.
    """
    require.same_shape(log_probs=log_probs, old_log_probs=old_log_probs, advantages=advantages)
    require.positive("clip_epsilon", clip_epsilon)
    advantages = advantages.detach()
    ratio = (log_probs - old_log_probs.detach()).exp()
    clipped = ratio.clamp(1 - clip_epsilon, 1 + clip_epsilon)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def surrogate(
    log_probs: torch.Tensor, old_log_probs: torch.Tensor, advantages: torch.Tensor
) -> torch.Tensor:
    """pi(a|s) / pi_old(a|s) times A(s, a), for a drawn from pi_old. Eq. (15.8).

    To be maximised. Its mean under pi_old is the gain of the surrogate objective, but for the
    factor 1 / (1 - discount); where pi = pi_old, its gradient is the policy gradient.

    Args:
        log_probs, old_log_probs, advantages: one shape (...); gradients flow through log_probs.

    Source: Schulman et al. 2015, Eq. 14.
    """
    require.same_shape(log_probs=log_probs, old_log_probs=old_log_probs, advantages=advantages)
    return (log_probs - old_log_probs.detach()).exp() * advantages.detach()
