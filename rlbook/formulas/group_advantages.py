"""Advantages without a critic: each answer is compared with the others of its group.

A group is G answers to one prompt, drawn by one policy. Groups are rows: (..., G) rewards,
(..., G, T) tokens. Nothing here samples, and no gradient flows into an advantage.
"""

import torch

from rlbook.ground import require


def outcome_advantages(rewards: torch.Tensor, *, normalize_std: bool = True) -> torch.Tensor:
    """(r_i - mean) / std over the group; r_i - mean without the division. Eqs. (20.5) and (20.7).

    The standard deviation is that of the G rewards, divided by G. A group whose rewards are all
    equal says nothing: its advantages are exact zeros, in every dtype.

    Args:
        rewards: (..., G), one reward an answer.

    Returns:
        (..., G), in the dtype of the rewards.

    Raises:
        ValueError: G < 2, no floating point, or a reward that is NaN or infinite.

    Source: Shao et al. 2024, "DeepSeekMath", section 4.1.2; without the division: Liu et al.
    2025, "Understanding R1-Zero-like training: a critical perspective".
    """
    _check_rewards(rewards)
    everywhere = torch.ones_like(rewards, dtype=torch.bool)
    return _normalized(rewards, everywhere, normalize_std).to(rewards.dtype)


def leave_one_out_advantages(rewards: torch.Tensor) -> torch.Tensor:
    """r_i minus the mean of the G - 1 other rewards, G / (G - 1) times r_i - mean. Eq. (20.4).

    With them the mean of advantage_i grad log pi(answer_i) is the policy gradient, unbiased.

    Args:
        rewards: (..., G).

    Returns:
        (..., G), in the dtype of the rewards; exact zeros where all are equal.

    Raises:
        ValueError: as outcome_advantages.

    Source: Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!"; Ahmadian et
    al. 2024, "Back to basics" (RLOO).
    """
    G = rewards.shape[-1] if rewards.ndim else 0
    centred = outcome_advantages(_wide(rewards), normalize_std=False)
    return (centred * (G / (G - 1))).to(rewards.dtype)


def process_advantages(
    step_rewards: torch.Tensor,
    step_ends: torch.Tensor,
    step_mask: torch.Tensor,
    completion_mask: torch.Tensor,
    *,
    normalize_std: bool = True,
) -> torch.Tensor:
    """A_t = sum of the normalised rewards of all steps that end at or after t. Eq. (20.24).

    Step rewards are normalised over all real steps of all answers of the group, Eq. (20.23). A
    group in which they are all equal gets exact zeros, as does a token behind the last step.

    Args:
        step_rewards: (..., G, K), the rewards of up to K steps an answer.
        step_ends: (..., G, K) long, the index of each step's last token.
        step_mask: (..., G, K) bool, which steps are real.
        completion_mask: (..., G, T) bool, which tokens are real.

    Returns:
        (..., G, T), 0 off the completion mask.

    Raises:
        ValueError: shapes that do not fit, G < 2, a real step that ends off the completion mask,
            or whose reward is NaN or infinite.

    Source: Shao et al. 2024, "DeepSeekMath", section 4.1.3.
    """
    _check_steps(step_rewards, step_ends, step_mask, completion_mask)
    _check_rewards(torch.where(step_mask, step_rewards, 0.0), groups_at=-2)
    steps = step_rewards.flatten(-2), step_mask.flatten(-2)
    normal = _normalized(*steps, normalize_std).unflatten(-1, step_rewards.shape[-2:])
    at_end = normal.new_zeros(completion_mask.shape)
    at_end.scatter_add_(-1, torch.where(step_mask, step_ends, 0), normal)
    to_go = at_end.flip(-1).cumsum(-1).flip(-1)  # (..., G, T)
    return torch.where(completion_mask, to_go, 0.0).to(step_rewards.dtype)


def aggregate_token_losses(
    losses: torch.Tensor,
    completion_mask: torch.Tensor,
    how: str = "answer_mean",
    max_length: int | None = None,
) -> torch.Tensor:
    """Losses of tokens as losses of answers; their plain mean is the loss. Eqs. (20.14), (20.15).

    "answer_mean": the mean over the answer's own tokens, sum / |o_i|: published GRPO.
    "constant": sum / max_length, the same number for all: Dr. GRPO; unbiased up to this factor.
    "token_mean": each token of the group counts the same, sum / (mean length in the group): DAPO.
    An answer without a token counts 0.

    Args:
        losses: (..., G, T); what stands off the mask does not matter, NaN included.
        completion_mask: (..., G, T) bool.
        max_length: of "constant", positive; required there.

    Returns:
        (..., G).

    Raises:
        ValueError: a mask of another dtype or shape, another `how`, or no max_length.

    Source: Shao et al. 2024, Eq. 3; Liu et al. 2025; Yu et al. 2025, "DAPO", Eq. 8.
    """
    require.mask("completion_mask", completion_mask, losses.shape)
    require.one_of("how", how, "answer_mean", "constant", "token_mean")
    total = torch.where(completion_mask, losses, 0.0).sum(-1)
    lengths = completion_mask.sum(-1)
    if how == "answer_mean":
        return total / lengths.clamp(min=1)
    if how == "token_mean":
        return total / lengths.to(total).mean(-1, keepdim=True).clamp(min=1 / losses.shape[-2])
    if max_length is None or not max_length > 0:
        raise ValueError(f"how='constant' needs a positive max_length, got {max_length}")
    return total / max_length


def _wide(x: torch.Tensor) -> torch.Tensor:
    """Half precision is too coarse for sums of squares."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _normalized(x: torch.Tensor, mask: torch.Tensor, normalize_std: bool) -> torch.Tensor:
    """(x - mean) / std over the masked entries of the last axis; exact zeros if all are equal.

    Rounding makes the mean of equal numbers slightly wrong, and the quotient of two rounding
    errors anything: equality is asked of the numbers themselves.
    """
    x = _wide(x.detach())
    count = mask.sum(-1, keepdim=True).clamp(min=1)
    high = x.masked_fill(~mask, -torch.inf).amax(-1, keepdim=True)
    low = x.masked_fill(~mask, torch.inf).amin(-1, keepdim=True)
    differ = mask & (high > low)
    centred = x - torch.where(mask, x, 0.0).sum(-1, keepdim=True) / count
    centred = torch.where(differ, centred, 0.0)
    if normalize_std:
        scale = centred.abs().amax(-1, keepdim=True)  # squares of tiny rewards would be 0
        centred = torch.where(differ, centred / scale, 0.0)
        centred = centred / (centred.square().sum(-1, keepdim=True) / count).sqrt()
    return torch.where(differ, centred, 0.0)


def _check_rewards(rewards: torch.Tensor, groups_at: int = -1) -> None:
    if rewards.ndim < -groups_at or not rewards.is_floating_point():
        got = f"{rewards.dtype} {tuple(rewards.shape)}"
        raise ValueError(f"rewards must be floating point (..., G), got {got}")
    if rewards.shape[groups_at] < 2:
        raise ValueError(
            f"a group needs at least 2 answers to compare, got G = {rewards.shape[groups_at]}"
        )
    require.finite("rewards", rewards)


def _check_steps(
    rewards: torch.Tensor, ends: torch.Tensor, mask: torch.Tensor, completion_mask: torch.Tensor
) -> None:
    if not rewards.shape == ends.shape == mask.shape or rewards.ndim < 2:
        shapes = [tuple(x.shape) for x in (rewards, ends, mask)]
        raise ValueError(f"the steps must have one shape (..., G, K), got {shapes}")
    if completion_mask.shape[:-1] != rewards.shape[:-1]:
        both = f"{tuple(completion_mask.shape)} and {tuple(rewards.shape)}"
        raise ValueError(f"completion_mask and steps must agree in (..., G), got {both}")
    if not mask.dtype == completion_mask.dtype == torch.bool or ends.dtype != torch.long:
        got = f"{ends.dtype}, {mask.dtype} and {completion_mask.dtype}"
        raise ValueError(f"step_ends must be long, both masks bool, got {got}")
    outside = (ends < 0) | (ends >= completion_mask.shape[-1])
    on_token = completion_mask.gather(-1, torch.where(outside, 0, ends)) & ~outside
    if (mask & ~on_token).any():
        index = require.first_index(mask & ~on_token)
        end = int(ends[tuple(index)])
        raise ValueError(f"step_ends{index} is {end}, where its answer has no token")
