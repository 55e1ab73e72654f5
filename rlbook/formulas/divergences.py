"""KL divergences between policies, exact and from samples, and the coefficients that hold them.

KL(p || q) = sum_x p(x) log(p(x) / q(x)) >= 0 is a mean under p, its first argument. TRPO and PPO
measure KL(old policy || new policy), RLHF KL(policy || reference): the order differs, so every
function here names its arguments.
"""

from typing import TypeVar

import torch

from rlbook.ground import require


def kl_categorical(
    logits_p: torch.Tensor, logits_q: torch.Tensor, *, checked: bool = True
) -> torch.Tensor:
    """KL(p || q) = sum_a p(a) [log p(a) - log q(a)] of two categorical distributions. Eq. (16.1).

    Nonnegative, and infinite where q excludes an action that p takes. An action that p excludes
    (logit -inf) adds nothing. For KL(old policy || new policy), p is the old policy.

    Args:
        logits_p, logits_q: (..., A), each up to a constant per distribution.
        checked: refuse logits that are no distribution. False gives NaN for them: in a training
            loop a look at the values would wait for the device, and one run that has diverged
            must be frozen, without an end of the others.

    Returns:
        (...): only the action axis is reduced.

    Raises:
        ValueError: two shapes, or no action axis; where `checked`, a row of logits that are all
            -inf, or among which are a NaN or inf (it is named).
    """
    require.same_shape("(..., A)", logits_p=logits_p, logits_q=logits_q)
    log_p, log_q = logits_p.log_softmax(-1), logits_q.log_softmax(-1)
    if checked:
        for name, logits, log in (("logits_p", logits_p, log_p), ("logits_q", logits_q, log_q)):
            if log.isnan().any():
                row = require.first_index(log.isnan().any(-1))
                raise ValueError(f"{name}{row or ''} is no distribution: {logits[*row].tolist()}")
    possible = log_p > -torch.inf
    log_ratio = torch.where(possible, log_p, 0.0) - torch.where(possible, log_q, 0.0)
    return (log_p.exp() * log_ratio).sum(-1)


def kl_gaussian(
    mean_p: torch.Tensor, log_std_p: torch.Tensor, mean_q: torch.Tensor, log_std_q: torch.Tensor
) -> torch.Tensor:
    """KL(p || q) of two Gaussians with independent components. Eq. (16.2).

    sum_i log(sigma_q / sigma_p) + [sigma_p^2 + (mu_p - mu_q)^2] / (2 sigma_q^2) - 1/2.
    For KL(old policy || new policy), p is the old policy.

    Args:
        mean_p, mean_q: (..., A).
        log_std_p, log_std_q: the logarithms of the standard deviations; (..., A), or a shape
            that spreads to it, such as (A,) or (R, 1, A).

    Returns:
        (...): summed over the action axis.

    Raises:
        ValueError: shapes that do not fit.
    """
    require.same_shape("(..., A)", mean_p=mean_p, mean_q=mean_q)
    require.spreads("log_std_p", log_std_p, mean_p.shape)
    require.spreads("log_std_q", log_std_q, mean_p.shape)
    variance_ratio = (2 * (log_std_p - log_std_q)).exp()
    distance = ((mean_p - mean_q) * (-log_std_q).exp()) ** 2
    return (log_std_q - log_std_p + (variance_ratio + distance - 1) / 2).sum(-1)


def kl_estimate(
    log_probs: torch.Tensor, ref_log_probs: torch.Tensor, kind: str = "k3"
) -> torch.Tensor:
    """Estimates of KL(pi || pi_ref), one for each action drawn from pi. Eq. (16.19).

    With d = log pi(a) - log pi_ref(a): k1 = d, unbiased, of either sign; k2 = d^2 / 2, biased,
    small in variance; k3 = exp(-d) - 1 + d, unbiased and never negative. The mean over actions
    drawn from pi, the FIRST argument, estimates the KL. It is the value that is estimated: the
    three have different gradients.

    Args:
        log_probs, ref_log_probs: the log-probabilities of the same actions, one shape (...).

    Returns:
        (...), elementwise.

    Raises:
        ValueError: two shapes, or another kind.

    Source: Schulman 2020, "Approximating KL divergence".
    """
    require.same_shape(log_probs=log_probs, ref_log_probs=ref_log_probs)
    require.one_of("kind", kind, "k1", "k2", "k3")
    difference = log_probs - ref_log_probs
    if kind == "k1":
        return difference
    if kind == "k2":
        return difference**2 / 2
    return torch.expm1(-difference) + difference


def answer_kl_estimate(
    log_probs: torch.Tensor,
    ref_log_probs: torch.Tensor,
    completion_mask: torch.Tensor,
    kind: str = "k3",
    level: str = "token",
) -> torch.Tensor:
    """Estimates of KL(pi || pi_ref) of whole answers, one for each answer drawn from pi.

    With d_t = log pi(o_t|o_<t) - log pi_ref(o_t|o_<t): level "token" is the sum over t of k(d_t),
    level "answer" is k(sum over t of d_t), k being k1, k2 or k3 of kl_estimate. k1 is the same
    at both levels. k1 and k3 are unbiased in value at both, Eq. (20.17). As a loss under autograd,
    on answers drawn from pi, the expected gradients are: answer k2, that of KL(pi || pi_ref),
    Eq. (20.18); answer k3, that of KL(pi_ref || pi), Eq. (20.19); token k2 and k3, those of the
    contexts' KLs with the law of the contexts held fixed, Eq. (20.20), which is neither; k1, zero.

    Args:
        log_probs, ref_log_probs: (..., T), of the tokens of the same answers.
        completion_mask: (..., T) bool: the tokens of the answer, its end included. What is
            off the mask does not enter, NaN included; an answer without a token has 0.

    Returns:
        (...): one number an answer.

    Raises:
        ValueError: different shapes, a mask that is not bool, another kind or level.

    Source: Schulman 2020, "Approximating KL divergence"; Shao et al. 2024, "DeepSeekMath", Eq. 4.
    """
    require.same_shape("(..., T)", log_probs=log_probs, ref_log_probs=ref_log_probs)
    require.mask("completion_mask", completion_mask, log_probs.shape)
    require.one_of("level", level, "token", "answer")
    log_probs = torch.where(completion_mask, log_probs, 0.0)
    ref_log_probs = torch.where(completion_mask, ref_log_probs, 0.0)
    if level == "token":
        return kl_estimate(log_probs, ref_log_probs, kind).sum(-1)
    return kl_estimate(log_probs.sum(-1), ref_log_probs.sum(-1), kind)


def kl_regularized_optimum(
    ref_log_probs: torch.Tensor, rewards: torch.Tensor, *, kl_coef: float | torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The maximiser pi* of E_pi[R] - kl_coef KL(pi || pi_ref), and the maximum. Eq. (19.6).

    log pi*(o) = log pi_ref(o) + R(o) / kl_coef - log Z, Z = sum over o of pi_ref(o)
    exp(R(o) / kl_coef); the maximum is kl_coef log Z, Eq. (19.7).

    Args:
        ref_log_probs: (..., O), normalised: of all answers there are.
        rewards: (..., O).
        kl_coef: positive; a number, or a tensor that spreads to (...).

    Returns:
        log pi* (..., O), value (...).

    Raises:
        ValueError: different shapes, kl_coef not positive, a reward that is NaN, or
            probabilities that do not sum to 1.

    Source: Ziegler et al. 2019, "Fine-tuning language models from human preferences", section 2.
    """
    require.same_shape("(..., O)", ref_log_probs=ref_log_probs, rewards=rewards)
    kl_coef = torch.as_tensor(kl_coef, dtype=rewards.dtype, device=rewards.device)
    require.positive("kl_coef", kl_coef)
    if rewards.isnan().any():
        where = tuple(rewards.isnan().nonzero()[0].tolist())
        raise ValueError(f"rewards has a NaN at {where}")
    if not (ref_log_probs.exp().sum(-1) - 1).abs().max() < 1e-4:
        raise ValueError("the probabilities exp(ref_log_probs) must sum to 1 over the answers")
    tilted = ref_log_probs + rewards / kl_coef[..., None]
    log_z = tilted.logsumexp(-1)
    return tilted - log_z[..., None], kl_coef * log_z


Scale = TypeVar("Scale", float, torch.Tensor)


def adapt_kl_coef(kl_coef: Scale, kl: Scale, target: float) -> Scale:
    """The coefficient after an update that moved the policy by kl: PPO-penalty's rule. Eq. (16.9).

    Doubled where kl > 1.5 target (moved too far), halved where kl < target / 1.5, else kept.

    Args:
        kl_coef, kl: numbers or tensors (R,): each run has its own. kl is KL(old || new),
            measured after the update.
        target: the KL wanted per update, positive.

    Returns:
        The shape of kl_coef and kl.

    Source: Schulman et al. 2017, "Proximal policy optimization algorithms", section 4.
    """
    require.positive("target", target)
    too_far, too_near = kl > 1.5 * target, kl < target / 1.5
    return kl_coef * (1 + too_far) / (1 + too_near)


def proportional_kl_coef(kl_coef: Scale, kl: Scale, target: float, horizon: float) -> Scale:
    """kl_coef [1 + clip(kl / target - 1, -0.2, 0.2) / horizon]: a gentle controller. Eq. (16.11).

    RLHF holds KL(policy || reference) with it. The change is proportional to the error, and at
    most the share 0.2 / horizon of the coefficient an update.

    Args:
        kl_coef, kl: numbers or tensors (R,).
        target: the KL wanted, positive.
        horizon: updates after which errors count in full, positive; the source has 10.

    Returns:
        The shape of kl_coef and kl.

    Source: Ziegler et al. 2019, "Fine-tuning language models from human preferences", section 2.2.
    """
    require.positive("target", target)
    require.positive("horizon", horizon)
    error = kl / target - 1
    if isinstance(error, torch.Tensor):
        return kl_coef * (1 + error.clamp(-0.2, 0.2) / horizon)
    return kl_coef * (1 + min(max(error, -0.2), 0.2) / horizon)
