"""All trajectories of a small model, one by one: expectations without sampling. Chapter 12."""

from dataclasses import dataclass

import torch

from rlbook.formulas.returns import discounted_returns
from rlbook.planning.mdp import MDP

MOST = 200_000


@dataclass(frozen=True, eq=False)
class Trajectories:
    """N whole episodes, padded to T steps. Fields behind an episode's end are 0 and not valid."""

    states: torch.Tensor
    """(N, T) long."""
    actions: torch.Tensor
    """(N, T) long."""
    rewards: torch.Tensor
    """(N, T)."""
    valid: torch.Tensor
    """(N, T) bool: the steps that were taken."""
    world: torch.Tensor
    """(N,): the world's part of the probability, start(s_0) times P(s_{t+1}|s_t, a_t) of all
    steps; the policy's part is missing."""

    def __len__(self) -> int:
        return len(self.world)

    def log_probs(self, policy: torch.Tensor) -> torch.Tensor:
        """log pi(a_t|s_t), and 0 behind the end: (..., S, A) -> (..., N, T)."""
        taken = policy[..., self.states, self.actions]
        return torch.where(self.valid, taken, 1.0).log()

    def probability(self, policy: torch.Tensor) -> torch.Tensor:
        """start(s_0) times the product of pi(a_t|s_t) P(s_{t+1}|s_t, a_t). Eq. (12.1).

        Args:
            policy: (..., S, A); the result is differentiable in it.

        Returns:
            (..., N); sums to 1 over all trajectories.
        """
        taken = policy[..., self.states, self.actions]  # (..., N, T)
        return self.world * torch.where(self.valid, taken, 1.0).prod(-1)

    def rewards_to_go(self, discount: float) -> torch.Tensor:
        """G_t = sum over k >= t of discount^(k-t) r_k, 0 behind the end: (N, T)."""
        ended = ~self.valid
        ended[:, -1] = True
        return discounted_returns(self.rewards, ended, torch.zeros_like(ended), discount=discount)


def all_trajectories(mdp: MDP, max_steps: int) -> Trajectories:
    """Every way in which an episode can go, with its probability.

    Args:
        mdp: all its episodes end within max_steps, whatever the policy does.
        max_steps: T at most.

    Raises:
        ValueError: some episode may be longer, an episode may begin at its end, or there are
            more than 200,000 trajectories.
    """
    if mdp.start[mdp.terminal].any():
        raise ValueError("an episode may start in a terminal state: it would have no step")
    P = mdp.transition.masked_fill(~mdp.allowed[..., None], 0.0)
    R = mdp.successor_reward
    R = mdp.reward[..., None].expand_as(P) if R is None else R
    here = mdp.start.nonzero().squeeze(-1)  # the last state of each unfinished trajectory
    world = mdp.start[here]
    states, actions = here.new_zeros(2, len(here), 0)
    rewards = world.new_zeros(len(here), 0)
    finished = []
    for _ in range(max_steps):
        i, a, after = P[here].nonzero().T  # every continuation of every trajectory
        if len(i) > MOST:
            raise ValueError(f"more than {MOST:,} trajectories")
        s = here[i]
        states = torch.cat([states[i], s[:, None]], dim=1)
        actions = torch.cat([actions[i], a[:, None]], dim=1)
        rewards = torch.cat([rewards[i], R[s, a, after][:, None]], dim=1)
        world = world[i] * P[s, a, after]
        ended = mdp.terminal[after]
        finished.append([x[ended] for x in (states, actions, rewards, world)])
        here, states, actions, rewards, world = (
            x[~ended] for x in (after, states, actions, rewards, world)
        )
        if len(here) == 0:
            return _padded(finished)
    raise ValueError(f"{len(here)} trajectories have not ended after {max_steps} steps")


def _padded(finished: list[list[torch.Tensor]]) -> Trajectories:
    T = len(finished)

    def whole(k: int) -> torch.Tensor:
        parts = [group[k] for group in finished]
        return torch.cat([torch.nn.functional.pad(x, (0, T - x.shape[1])) for x in parts])

    lengths = torch.cat([torch.full_like(g[3], t + 1) for t, g in enumerate(finished)])
    valid = torch.arange(T, device=lengths.device) < lengths[:, None]
    world = torch.cat([group[3] for group in finished])
    return Trajectories(whole(0), whole(1), whole(2), valid, world)
