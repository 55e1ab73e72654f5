"""Policies with parameters: the objective and its gradient, exactly on a model and as losses.

The exact functions solve linear equations and sample nothing. The losses are elementwise: the
mean over what was sampled is a line of its own, `mean_per_run` or `masked_mean`.
"""

import torch

from rlbook.bellman import action_values
from rlbook.mdp import MDP


def _live_chain(mdp: MDP, policy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """I - discount P_pi and r_pi on the states that are not terminal; differentiable in policy."""
    policy = _check_policies(mdp, policy).to(mdp.reward)
    live = ~mdp.terminal
    policy = policy[..., live, :]
    step = torch.einsum("...sa,sat->...st", policy, mdp.transition[live][..., live])
    eye = torch.eye(step.shape[-1], dtype=step.dtype, device=step.device)
    return eye - mdp.discount * step, (policy * mdp.reward[live]).sum(-1)


def _check_policies(mdp: MDP, policy: torch.Tensor) -> torch.Tensor:
    shape = (mdp.num_states, mdp.num_actions)
    if policy.shape[-2:] != shape or not policy.is_floating_point():
        wanted = f"floating point (..., {shape[0]}, {shape[1]})"
        raise ValueError(f"policy must be {wanted}, got {policy.dtype} {tuple(policy.shape)}")
    wrong = ((policy.sum(-1) - 1).abs() > 1e-5) | ((policy < 0) | policy.isnan()).any(-1)
    wrong = (wrong & ~mdp.terminal) | ((policy > 0) & ~mdp.allowed).any(-1)
    if wrong.any():
        index = wrong.nonzero()[0].tolist()
        row = policy[tuple(index)].tolist()
        raise ValueError(f"policy{index} is no distribution over the allowed actions: {row}")
    if mdp.discount == 1:
        for single in policy.detach().reshape(-1, *shape):
            mdp.induced_chain(single)  # raises unless every state reaches an end
    return policy


def policy_objective(mdp: MDP, policy: torch.Tensor) -> torch.Tensor:
    """J = sum_s start(s) V^pi(s), (..., S, A) -> (...): the expected return. Eq. (11.8).

    The values solve (I - discount P_pi) V = r_pi; autograd goes through the solution, so that
    the gradient with respect to whatever the policy was computed from is exact.

    Args:
        policy: (..., S, A) probabilities, one policy or a batch of them.

    Raises:
        ValueError: no valid policy; or discount 1 and a state from which it never ends.

    Source: Sutton et al. 2000, "Policy gradient methods for reinforcement learning with
    function approximation", section 1, start-state formulation.
    """
    system, reward = _live_chain(mdp, policy)
    return torch.linalg.solve(system, reward) @ mdp.start[~mdp.terminal]


def discounted_visits(mdp: MDP, policy: torch.Tensor) -> torch.Tensor:
    """eta(s) = sum_t discount^t Pr[s_t = s], (..., S), and 0 for terminal states. Eq. (11.9).

    Where nothing ends, eta = nu / (1 - discount), with nu of Eq. (2.7). At discount 1 it is the
    expected number of visits in an episode.

    Args:
        policy: (..., S, A) probabilities.

    Raises:
        ValueError: no valid policy; or discount 1 and a state from which it never ends.
    """
    system, reward = _live_chain(mdp, policy)
    start = mdp.start[~mdp.terminal].expand(reward.shape)
    visits = reward.new_zeros(*reward.shape[:-1], mdp.num_states)
    visits[..., ~mdp.terminal] = torch.linalg.solve(system.mT, start)
    return visits


def softmax_policy_gradient(mdp: MDP, logits: torch.Tensor) -> torch.Tensor:
    """dJ/dlogits[s, a] = eta(s) pi(a|s) (Q(s, a) - V(s)) for pi = softmax(logits). Eq. (11.20).

    The policy gradient theorem, Eq. (11.18), for a policy with one logit a pair.

    Args:
        logits: (..., S, A); those of actions that are not allowed do not matter.

    Returns:
        (..., S, A), 0 for terminal states and for actions that are not allowed.

    Raises:
        ValueError: a wrong shape; or discount 1 and a state from which the policy never ends.

    Source: Sutton et al. 2000, theorem 1; Agarwal et al. 2021, "On the theory of policy gradient
    methods", lemma C.1.
    """
    if logits.shape[-2:] != (mdp.num_states, mdp.num_actions):
        wanted = f"(..., {mdp.num_states}, {mdp.num_actions})"
        raise ValueError(f"logits must be {wanted}, got {tuple(logits.shape)}")
    policy = logits.detach().masked_fill(~mdp.allowed, -torch.inf).softmax(-1)
    system, reward = _live_chain(mdp, policy)
    values = reward.new_zeros(*reward.shape[:-1], mdp.num_states)
    values[..., ~mdp.terminal] = torch.linalg.solve(system, reward)
    q = action_values(mdp, values).masked_fill(~mdp.allowed, 0.0)
    return discounted_visits(mdp, policy).unsqueeze(-1) * policy * (q - values.unsqueeze(-1))


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
    if log_probs.shape != weights.shape:
        shapes = f"{tuple(log_probs.shape)} and {tuple(weights.shape)}"
        raise ValueError(f"log_probs and weights must have the same shape, got {shapes}")
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
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits must be (..., A) with A >= 1, got {tuple(logits.shape)}")
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
    if not log_probs.shape == old_log_probs.shape == advantages.shape:
        shapes = [tuple(x.shape) for x in (log_probs, old_log_probs, advantages)]
        raise ValueError(f"log_probs, old_log_probs, advantages must have one shape, got {shapes}")
    if not clip_epsilon > 0:
        raise ValueError(f"clip_epsilon must be positive, got {clip_epsilon}")
    advantages = advantages.detach()
    ratio = (log_probs - old_log_probs.detach()).exp()
    clipped = ratio.clamp(1 - clip_epsilon, 1 + clip_epsilon)
    return -torch.minimum(ratio * advantages, clipped * advantages)
