"""Rewards of tokens: a score for the whole answer, and on the way a price for leaving pi_ref.

An answer is an episode: state = prompt and the tokens so far, action = the next token, discount
1. `completion_mask` (..., T) is True on the tokens of the answer, the one that ends it included.
"""

import torch

from rlbook.formulas.returns import generalized_advantage_estimate
from rlbook.ground import require


def last_tokens(completion_mask: torch.Tensor) -> torch.Tensor:
    """True on the last real token of each answer, (..., T) -> (..., T): there the episode ends.

    Also where an answer was cut at the maximum length: nothing is expected to follow.

    Raises:
        ValueError: no bool mask (..., T), or an answer without a token; the message says which.
    """
    if completion_mask.dtype != torch.bool or completion_mask.ndim == 0:
        got = f"{completion_mask.dtype} {tuple(completion_mask.shape)}"
        raise ValueError(f"completion_mask must be bool (..., T), got {got}")
    empty = ~completion_mask.any(-1)
    if empty.any():
        row = "".join(f"[{i}]" for i in require.first_index(empty))
        raise ValueError(
            f"completion_mask{row} has no True: an answer needs a token, at least the one that "
            "ends it"
        )
    to_come = completion_mask.flip(-1).cumsum(-1).flip(-1)
    return completion_mask & (to_come == 1)


def token_rewards(
    scores: torch.Tensor,
    log_probs: torch.Tensor,
    ref_log_probs: torch.Tensor,
    completion_mask: torch.Tensor,
    *,
    kl_coef: float | torch.Tensor,
) -> torch.Tensor:
    """r_t = -kl_coef [log pi(o_t) - log pi_ref(o_t)] + score at the last real token. Eq. (19.4).

    For answers drawn from pi the rewards of an answer have the mean E[score] - kl_coef
    KL(pi || pi_ref), of whole answers. No gradient flows: a reward is a number.

    Args:
        scores: (...), one for each answer.
        log_probs: (..., T), log pi of each token in its context, of the pi that drew the answers.
        ref_log_probs: (..., T), log pi_ref of the same tokens.
        completion_mask: (..., T) bool.
        kl_coef: the price of the KL, at least 0; a number, or one that spreads to (..., T).

    Returns:
        (..., T), 0 off the mask.

    Raises:
        ValueError: shapes that do not fit, or an answer without a token.

    Source: Ziegler et al. 2019, "Fine-tuning language models from human preferences",
    section 2; Stiennon et al. 2020, "Learning to summarize from human feedback", section 3.4.
    """
    require.require_shape("log_probs", log_probs, completion_mask.shape)
    require.require_shape("ref_log_probs", ref_log_probs, completion_mask.shape)
    require.require_shape("scores", scores, completion_mask.shape[:-1])
    last = last_tokens(completion_mask)
    price = -kl_coef * (log_probs - ref_log_probs).detach()  # (..., T)
    rewards = price + torch.where(last, scores.detach().unsqueeze(-1), 0.0)
    return torch.where(completion_mask, rewards, 0.0)


def token_advantages(
    rewards: torch.Tensor,
    values: torch.Tensor,
    completion_mask: torch.Tensor,
    *,
    lambda_: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages of tokens by Eq. (17.13) with discount 1, and the critic's targets. Eq. (19.15).

    The target of V(context of token t) is advantage + value, the lambda-return.

    Args:
        rewards: (..., T), of `token_rewards`.
        values: (..., T), V of the context in which token t was chosen; no gradient flows.
        completion_mask: (..., T) bool.

    Returns:
        advantages, returns: (..., T), 0 off the mask.

    Raises:
        ValueError: shapes that do not fit, or an answer without a token.
    """
    ends = last_tokens(completion_mask)
    values = torch.where(completion_mask, values.detach(), 0.0)
    next_values = torch.cat([values[..., 1:], torch.zeros_like(values[..., :1])], dim=-1)
    advantages = generalized_advantage_estimate(
        rewards, values, next_values, ends, torch.zeros_like(ends), discount=1.0, lambda_=lambda_
    )
    advantages = torch.where(completion_mask, advantages, 0.0)
    return advantages, torch.where(completion_mask, advantages + values, 0.0)
