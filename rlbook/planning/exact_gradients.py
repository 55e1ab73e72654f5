"""The objective of a policy and its gradient, exactly on a model.

Linear equations are solved, nothing is sampled. The losses that learners use in their place are in
`rlbook.formulas.policy_gradients`.
"""

import torch

from rlbook.planning.bellman import action_values
from rlbook.planning.mdp import MDP


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
