"""Finite Markov decision processes, checked when they are built.

Conventions of the whole book: r_t is the reward for a_t; P(s'|s, a) is the probability of
s_{t+1} = s'; a terminal state leads to itself with reward 0, so its value is 0.
"""

from dataclasses import dataclass, field, replace

import torch

from rlbook.kernels import DenseKernel, SuccessorKernel
from rlbook.mdp_checks import (
    check_discount,
    check_next_states,
    check_policy,
    check_probabilities,
    check_reachability,
    check_rewards,
    check_start,
    check_terminal_rows,
    first_index,
    flags,
    floating,
    numbers,
    require_shape,
)


@dataclass(frozen=True, eq=False)
class MDP:
    """A finite MDP (S, A, P, r, discount, start). Build one with `from_arrays`,
    `from_successors`, `from_gymnasium`, `random`, or from text with `rlbook.grids`.

    Attributes:
        kernel: holds P(s'|s, a); `kernel.expect(values)` is sum_s' P(s'|s, a) V(s').
        reward: (S, A), r(s, a) = E[r_t | s_t = s, a_t = a]. Eq. (2.2).
        discount: in [0, 1].
        start: (S,), the distribution of s_0.
        terminal: (S,) bool.
        allowed: (S, A) bool, the actions that exist in each state.
        successor_reward: R(s, a, s') beside each successor, (S, A, S) or (S, A, K); None
            where the reward does not depend on s'.
    """

    kernel: DenseKernel | SuccessorKernel
    reward: torch.Tensor
    discount: float
    start: torch.Tensor
    terminal: torch.Tensor
    allowed: torch.Tensor
    successor_reward: torch.Tensor | None = None
    all_allowed: bool = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "all_allowed", bool(self.allowed.all()))

    @property
    def num_states(self) -> int:
        return self.reward.shape[0]

    @property
    def num_actions(self) -> int:
        return self.reward.shape[1]

    @property
    def transition(self) -> torch.Tensor:
        """P as a dense array (S, A, S); raises ValueError where that would not fit."""
        return self.kernel.dense()

    def __repr__(self) -> str:
        ends = int(self.terminal.sum())
        return (
            f"MDP({self.num_states} states ({ends} terminal), {self.num_actions} actions, "
            f"discount {self.discount:g})"
        )

    def to(self, device) -> "MDP":
        """The same model on another device."""
        names = ("kernel", "reward", "start", "terminal", "allowed", "successor_reward")
        moved = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(self, **{name: value.to(device) for name, value in moved.items()})

    @classmethod
    def from_arrays(
        cls, transition, reward, *, discount: float, start=None, terminal=None, allowed=None
    ) -> "MDP":
        """An MDP from a dense kernel.

        Args:
            transition: (S, A, S), P(s'|s, a). Rows of actions that are not allowed are ignored.
            reward: (S, A), r(s, a), or (S, A, S), R(s, a, s').
            discount: in [0, 1]; 1 only where every state can reach a terminal one.
            start: (S,), uniform over the states that are not terminal by default.
            terminal: (S,) bool, none by default. The rows of a terminal state are zero, or
                lead back to it; its rewards are 0.
            allowed: (S, A) bool, everything by default.

        Raises:
            ValueError: a bad model; the message names the argument, the state and the action.
        """
        transition = floating("transition", transition)
        if transition.ndim != 3 or transition.shape[0] != transition.shape[2]:
            raise ValueError(f"transition must be (S, A, S), got {tuple(transition.shape)}")
        S = transition.shape[0]
        successors = torch.arange(S, device=transition.device).view(1, 1, S)
        return cls._build(
            DenseKernel, successors, transition, reward, discount, start, terminal, allowed
        )

    @classmethod
    def from_successors(
        cls,
        next_states,
        probabilities,
        reward,
        *,
        discount,
        start=None,
        terminal=None,
        allowed=None,
    ) -> "MDP":
        """An MDP in which every pair has at most K successors: 10^6 states fit in memory.

        Args:
            next_states: (S, A, K) integers in [0, S); where fewer than K are needed, any state
                with probability 0.
            probabilities: (S, A, K).
            reward: (S, A), or (S, A, K), the reward beside each successor.
            discount, start, terminal, allowed: as in `from_arrays`.
        """
        next_states = torch.as_tensor(next_states)
        probabilities = floating("probabilities", probabilities)
        check_next_states(next_states)
        require_shape("probabilities", probabilities, next_states.shape)
        return cls._build(
            SuccessorKernel, next_states, probabilities, reward, discount, start, terminal, allowed
        )

    @classmethod
    def _build(cls, kind, successors, probabilities, reward, discount, start, terminal, allowed):
        """Check everything, then store: the one road to an MDP of either layout."""
        S, A, K = probabilities.shape
        device = probabilities.device
        check_discount(discount)
        terminal = flags("terminal", terminal, (S,), False, device)
        allowed = flags("allowed", allowed, (S, A), True, device)
        if not allowed.any(dim=1).all():
            raise ValueError(f"state {first_index(~allowed.any(dim=1))[0]} allows no action at all")
        reward = floating("reward", reward).to(probabilities)  # to its dtype and device
        require_shape("reward", reward, (S, A), (S, A, K))
        live = allowed & ~terminal.unsqueeze(1)  # (S, A): the rows that count
        check_probabilities(probabilities, live)
        check_rewards(reward, live)
        check_terminal_rows(successors, probabilities, reward, terminal)
        start = check_start(start, terminal, probabilities)

        itself = torch.arange(S, device=device).view(S, 1, 1)
        live = live.unsqueeze(-1)  # other rows return to their state, with reward 0
        if kind is DenseKernel:
            probabilities = torch.where(live, probabilities, (successors == itself).to(reward))
            kernel = DenseKernel(probabilities)
        else:
            successors = torch.where(live, successors, itself)
            first = (torch.arange(K, device=device) == 0).to(reward)
            probabilities = torch.where(live, probabilities, first)
            kernel = SuccessorKernel.from_rows(successors, probabilities)
        detail = torch.where(live, reward, 0) if reward.ndim == 3 else None
        if detail is None:
            mean = torch.where(live[..., 0], reward, 0)
        else:
            mean = (probabilities * detail).sum(-1)
        mean = mean.T.contiguous().T  # action first in memory, as a sweep reads it
        if discount == 1:
            check_reachability(kernel, terminal, allowed)
        return cls(kernel, mean, float(discount), start, terminal, allowed, detail)

    @classmethod
    def from_gymnasium(cls, env, *, discount: float) -> "MDP":
        """The model of a Gymnasium environment that exposes it as `env.unwrapped.P`.

        A transition marked done leads to one added absorbing state, the last, whatever state
        Gymnasium names: terminal states of CliffWalking and Taxi are not absorbing in P.
        FrozenLake-v1, CliffWalking-v1 and Taxi-v4 have a model. Time limits are not part of it.
        """
        table = getattr(env.unwrapped, "P", None)
        if table is None:
            raise ValueError(f"{env} exposes no model: it has no attribute P")
        S, A = len(table), len(table[0])
        K = max(len(rows) for actions in table.values() for rows in actions.values())
        next_states = torch.full((S + 1, A, K), S)
        probabilities, reward = torch.zeros(2, S + 1, A, K, dtype=torch.float64)
        for s, actions in table.items():
            for a, rows in actions.items():
                for k, (probability, next_state, r, done) in enumerate(rows):
                    next_states[s, a, k] = S if done else int(next_state)
                    probabilities[s, a, k], reward[s, a, k] = float(probability), float(r)
        start = torch.zeros(S + 1, dtype=torch.float64)
        start[:S] = torch.as_tensor(env.unwrapped.initial_state_distrib)
        terminal = torch.arange(S + 1) == S
        return cls.from_successors(
            next_states, probabilities, reward, discount=discount, start=start, terminal=terminal
        )

    @classmethod
    def random(
        cls, states: int, actions: int, *, discount: float, generator: torch.Generator
    ) -> "MDP":
        """A random dense MDP: rows of P uniform on the simplex, rewards standard normal."""
        if states < 1 or actions < 1:
            raise ValueError(f"states and actions must be positive, got {states} and {actions}")
        like = {"dtype": torch.float64, "device": generator.device}
        weights = torch.empty(states, actions, states, **like).exponential_(generator=generator)
        transition = weights / weights.sum(-1, keepdim=True)
        reward = torch.randn(states, actions, generator=generator, **like)
        return cls.from_arrays(transition, reward, discount=discount)

    def policy_probabilities(self, policy) -> torch.Tensor:
        """A policy as probabilities (S, A), from (S,) actions or (S, A) probabilities, checked."""
        policy = check_policy(numbers(policy, self.reward.device), self.allowed)
        if policy.ndim == 1:
            policy = torch.nn.functional.one_hot(policy.long(), self.num_actions)
        return policy.to(self.reward)

    def induced_chain(self, policy, *, must_end: bool = True) -> "MDP":
        """The Markov chain with rewards that a policy induces: an MDP with one action.

        P_pi(s, s') = sum_a pi(a|s) P(s'|s, a), r_pi(s) = sum_a pi(a|s) r(s, a). Eq. (2.4).

        Args:
            policy: (S,) integers, or (S, A) probabilities.
            must_end: at discount 1, refuse a policy under which some state never ends.

        Raises:
            ValueError: no valid policy; or discount 1 and a state from which it never ends.
        """
        policy = check_policy(numbers(policy, self.reward.device), self.allowed)
        if policy.ndim == 1:
            reward = self.reward.gather(1, policy.long().unsqueeze(1))  # (S, 1)
        else:
            policy = policy.to(self.reward)
            reward = (policy * self.reward).sum(dim=1, keepdim=True)
        kernel = self.kernel.under(policy)
        allowed = torch.ones_like(reward, dtype=torch.bool)
        if self.discount == 1 and must_end:
            check_reachability(kernel, self.terminal, allowed, under=" under this policy")
        return MDP(kernel, reward, self.discount, self.start, self.terminal, allowed)
