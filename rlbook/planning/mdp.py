"""Finite Markov decision processes, checked when they are built.

Conventions of the whole book: r_t is the reward for a_t; P(s'|s, a) is the probability of
s_{t+1} = s'; a terminal state leads to itself with reward 0, so its value is 0.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from rlbook.ground import require
from rlbook.ground.draws import random_distributions
from rlbook.ground.require import (
    Numbers,
    check_discount,
    first_index,
    flags,
    floating,
    numbers,
    require_shape,
)
from rlbook.planning.kernels import DenseKernel, Kernel, SuccessorKernel
from rlbook.planning.mdp_checks import (
    check_next_states,
    check_policy,
    check_probabilities,
    check_reachability,
    check_rewards,
    check_start,
    check_terminal_rows,
)

if TYPE_CHECKING:
    import gymnasium as gym


@dataclass(frozen=True, eq=False, init=False)
class MDP:
    """A finite MDP (S, A, P, r, discount, start). Build one with `from_arrays`,
    `from_successors`, `from_gymnasium`, `random`, or from text with `rlbook.planning.grids`.

    Attributes:
        kernel: holds P(s'|s, a); `kernel.expectations(values)` is sum_s' P(s'|s, a) V(s').
        reward: (S, A), r(s, a) = E[r_t | s_t = s, a_t = a]. Eq. (2.2).
        discount: in [0, 1].
        start: (S,), the distribution of s_0.
        terminal: (S,) bool.
        allowed: (S, A) bool, the actions that exist in each state.
        successor_reward: R(s, a, s') beside each successor, (S, A, S) or (S, A, K); None
            where the reward does not depend on s'.
        all_allowed: whether every action exists everywhere.
    """

    kernel: Kernel
    reward: torch.Tensor
    discount: float
    start: torch.Tensor
    terminal: torch.Tensor
    allowed: torch.Tensor
    successor_reward: torch.Tensor | None
    all_allowed: bool

    def __init__(self, *parts: object, **named: object) -> None:
        raise TypeError(
            "build an MDP with MDP.from_arrays, from_successors, from_gymnasium or random, or "
            "with GridWorld.mdp: they check the model"
        )

    @classmethod
    def _checked(
        cls,
        kernel: Kernel,
        reward: torch.Tensor,
        discount: float,
        start: torch.Tensor,
        terminal: torch.Tensor,
        allowed: torch.Tensor,
        successor_reward: torch.Tensor | None = None,
    ) -> "MDP":
        """An MDP of parts that the caller has checked."""
        mdp = object.__new__(cls)
        vars(mdp).update(
            kernel=kernel,
            reward=reward,
            discount=float(discount),
            start=start,
            terminal=terminal,
            allowed=allowed,
            successor_reward=successor_reward,
            all_allowed=bool(allowed.all()),
        )
        return mdp

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

    def to(self, device: str | torch.device) -> "MDP":
        """The same model on another device."""
        detail = self.successor_reward
        return MDP._checked(
            self.kernel.to(device),
            self.reward.to(device),
            self.discount,
            self.start.to(device),
            self.terminal.to(device),
            self.allowed.to(device),
            None if detail is None else detail.to(device),
        )

    @classmethod
    def from_arrays(
        cls,
        transition: Numbers,
        reward: Numbers,
        *,
        discount: float,
        start: Numbers | None = None,
        terminal: Numbers | None = None,
        allowed: Numbers | None = None,
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
        next_states: Numbers,
        probabilities: Numbers,
        reward: Numbers,
        *,
        discount: float,
        start: Numbers | None = None,
        terminal: Numbers | None = None,
        allowed: Numbers | None = None,
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
    def _build(
        cls,
        kind: type[DenseKernel] | type[SuccessorKernel],
        successors: torch.Tensor,
        probabilities: torch.Tensor,
        reward: Numbers,
        discount: float,
        start: Numbers | None,
        terminal: Numbers | None,
        allowed: Numbers | None,
    ) -> "MDP":
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
            kernel: Kernel = DenseKernel(probabilities)
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
        return cls._checked(kernel, mean, discount, start, terminal, allowed, detail)

    @classmethod
    def from_gymnasium(cls, env: "gym.Env", *, discount: float) -> "MDP":
        """The model of a Gymnasium environment that exposes it as `env.unwrapped.P`.

        A transition marked done leads to one added absorbing state, the last, whatever state
        Gymnasium names: terminal states of CliffWalking and Taxi are not absorbing in P.
        FrozenLake-v1, CliffWalking-v1 and Taxi-v4 have a model. Time limits are not part of it.
        """
        table = getattr(env.unwrapped, "P", None)
        law = getattr(env.unwrapped, "initial_state_distrib", None)
        if table is None or law is None:
            missing = "P" if table is None else "initial_state_distrib"
            raise ValueError(f"{env} exposes no model: it has no attribute {missing}")
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
        start[:S] = torch.as_tensor(law)
        terminal = torch.arange(S + 1) == S
        return cls.from_successors(
            next_states, probabilities, reward, discount=discount, start=start, terminal=terminal
        )

    @classmethod
    def random(
        cls, states: int, actions: int, *, discount: float, generator: torch.Generator
    ) -> "MDP":
        """A random dense MDP: rows of P uniform on the simplex, rewards standard normal."""
        require.at_least("states", states, 1)
        require.at_least("actions", actions, 1)
        transition = random_distributions(states, actions, states, generator=generator)
        reward = torch.randn(
            states, actions, generator=generator, dtype=torch.float64, device=generator.device
        )
        return cls.from_arrays(transition, reward, discount=discount)

    def policy_probabilities(self, policy: Numbers) -> torch.Tensor:
        """A policy as probabilities (S, A), from (S,) actions or (S, A) probabilities, checked."""
        policy = check_policy(numbers(policy, self.reward.device), self.allowed)
        if policy.ndim == 1:
            policy = torch.nn.functional.one_hot(policy.long(), self.num_actions)
        return policy.to(self.reward)

    def induced_chain(self, policy: Numbers, *, must_end: bool = True) -> "MDP":
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
        return MDP._checked(kernel, reward, self.discount, self.start, self.terminal, allowed)
