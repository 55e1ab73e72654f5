"""Sampling from a finite MDP, many walkers at once: the environments of tabular learning.

Everything is vectorised over walkers and reads the model's own tables. Each draw is one uniform
number, searched in a cumulative sum, so that an outcome of probability 0 is never drawn.
"""

from typing import NamedTuple

import torch

from rlbook.ground.draws import draw
from rlbook.ground.require import first_index, require_shape
from rlbook.planning.mdp import MDP


class SampledTrajectories(NamedTuple):
    """What N walkers did in T steps, time last.

    A walker that has entered a terminal state stays there: its further rewards are 0, its
    further actions mean nothing, and `terminated` stays True.
    """

    states: torch.Tensor
    """(N, T + 1) int64, s_0 .. s_T."""
    actions: torch.Tensor
    """(N, T) int64."""
    rewards: torch.Tensor
    """(N, T), r_t for a_t."""
    terminated: torch.Tensor
    """(N, T) bool: s_{t+1} is terminal."""


def sample_starts(mdp: MDP, num_walkers: int, generator: torch.Generator) -> torch.Tensor:
    """States s_0 from the start distribution, (num_walkers,) int64."""
    cumulative = mdp.start.to(torch.float64).cumsum(0)
    uniform = torch.rand(
        num_walkers, dtype=torch.float64, device=generator.device, generator=generator
    )
    return torch.searchsorted(cumulative, uniform * cumulative[-1], right=True)


def sample_transitions(
    mdp: MDP, states: torch.Tensor, actions: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One step of every walker: s' from P(.|s, a), and the reward of that transition.

    Args:
        states, actions: integers of the same shape (...).

    Returns:
        next_states (...) int64; rewards (...), R(s, a, s'), or r(s, a) where the model knows
        no more; terminated (...) bool, whether the transition led to a terminal state.

    Raises:
        ValueError: different shapes, a state or an action that does not exist, or an action
            that is not allowed in its state.
    """
    _check_pairs(mdp, states, actions)
    next_states, rewards, terminated = _step(mdp, states.flatten(), actions.flatten(), generator)
    shape = states.shape
    return next_states.view(shape), rewards.view(shape), terminated.view(shape)


def sample_trajectories(
    mdp: MDP, policy, num_walkers: int, num_steps: int, generator: torch.Generator
) -> SampledTrajectories:
    """num_walkers independent walkers under a policy, from the start distribution.

    Args:
        policy: (S,) integers or (S, A) probabilities.
        num_steps: T; walkers that have not ended then are cut, not terminated.
        generator: on the device of the model.

    Raises:
        ValueError: no valid policy, or fewer than one walker or step.
    """
    if num_walkers < 1 or num_steps < 1:
        raise ValueError(f"needs a walker and a step, got {num_walkers} and {num_steps}")
    probabilities = mdp.policy_probabilities(policy)
    like = {"dtype": torch.int64, "device": mdp.reward.device}
    states = torch.empty(num_walkers, num_steps + 1, **like)
    actions = torch.empty(num_walkers, num_steps, **like)
    rewards = torch.empty_like(actions, dtype=mdp.reward.dtype)
    terminated = torch.empty_like(actions, dtype=torch.bool)
    state = states[:, 0] = sample_starts(mdp, num_walkers, generator)
    for t in range(num_steps):
        action = draw(probabilities[state], generator)
        actions[:, t] = action
        state, rewards[:, t], terminated[:, t] = _step(mdp, state, action, generator)
        states[:, t + 1] = state
    return SampledTrajectories(states, actions, rewards, terminated)


def _step(mdp: MDP, states: torch.Tensor, actions: torch.Tensor, generator: torch.Generator):
    """One step of N walkers whose states and actions are known to be good, all (N,)."""
    successors, probabilities = mdp.kernel.gather(states, actions)  # (N, K)
    chosen = draw(probabilities, generator)
    next_states = successors.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    if mdp.successor_reward is None:
        rewards = mdp.reward[states, actions]
    else:
        rewards = mdp.successor_reward[states, actions, chosen]
    return next_states, rewards, mdp.terminal[next_states]


def _check_pairs(mdp: MDP, states: torch.Tensor, actions: torch.Tensor) -> None:
    require_shape("actions", actions, states.shape)
    for name, given, number in (
        ("states", states, mdp.num_states),
        ("actions", actions, mdp.num_actions),
    ):
        if given.is_floating_point() or given.dtype == torch.bool:
            raise ValueError(f"{name} must be integers, got {given.dtype}")
        outside = (given < 0) | (given >= number)
        if outside.any():
            index = first_index(outside)
            got = int(given[tuple(index)])
            raise ValueError(f"{name}{index} is {got}; there are {number} {name}")
    forbidden = ~mdp.allowed[states, actions]
    if forbidden.any():
        index = tuple(first_index(forbidden))
        s, a = int(states[index]), int(actions[index])
        raise ValueError(f"action {a} is not allowed in state {s}")
