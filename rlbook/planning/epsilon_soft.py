"""The best policy among those that explore: dynamic programming with epsilon built in."""

import torch

from rlbook.formulas.exploration import epsilon_greedy_policy
from rlbook.ground import require
from rlbook.planning.mdp import MDP


def epsilon_soft_model(mdp: MDP, epsilon: float) -> MDP:
    """The MDP in which every chosen action is replaced, with probability epsilon, by a random one.

    P_eps(s'|s, a) = (1 - epsilon) P(s'|s, a) + epsilon / |A(s)| sum_b P(s'|s, b), Eq. (6.13), and
    r the same way. Its optimal values are those of the best epsilon-soft policy of `mdp`: plan
    here, and act by `epsilon_soft_policy` there.

    Args:
        epsilon: in [0, 1].

    Source: Sutton & Barto (2018), section 5.4.
    """
    require.within("epsilon", epsilon, 0, 1)
    S, A = mdp.reward.shape
    pairs = torch.arange(S * A, device=mdp.reward.device)
    next_states, chances = mdp.kernel.gather(pairs // A, pairs % A)
    next_states, chances = next_states.view(S, A, -1), chances.view(S, A, -1)
    rewards = mdp.successor_reward
    if rewards is None:
        rewards = mdp.reward.unsqueeze(-1).expand_as(chances)
    uniform = mdp.allowed.to(mdp.reward) / mdp.allowed.sum(1, keepdim=True)
    any_action = uniform.unsqueeze(-1) * chances
    everything = [
        (next_states, next_states),
        ((1 - epsilon) * chances, epsilon * any_action),
        (rewards, rewards),
    ]
    joined = [
        torch.cat([own, every.reshape(S, 1, -1).expand(-1, A, -1)], dim=-1)
        for own, every in everything
    ]
    joined[1] = torch.where(mdp.terminal.view(S, 1, 1), 0.0, joined[1])
    return MDP.from_successors(
        *joined,
        discount=mdp.discount,
        start=mdp.start,
        terminal=mdp.terminal,
        allowed=mdp.allowed,
    )


def epsilon_soft_policy(mdp: MDP, actions: torch.Tensor, epsilon: float) -> torch.Tensor:
    """The policy (S, A) that plays `actions` (S,), and with probability epsilon any action."""
    best = torch.nn.functional.one_hot(actions.long(), mdp.num_actions).to(mdp.reward)
    return epsilon_greedy_policy(best.masked_fill(~mdp.allowed, -torch.inf), epsilon)
