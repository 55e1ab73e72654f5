"""What a batch of environments, E for each of R runs, offers to the learners.

Gymnasium's environments, the torch-native ones and a reader's own come behind this one interface.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from rlbook.ground.seeding import Streams

if TYPE_CHECKING:
    from typing_extensions import TypeIs


class EnvStep(NamedTuple):
    """One step of R x E environments.

    `next_observations` is where the action led, `observations` is what to act on next: they differ
    where an episode ended, and there only. Fields may be shared between steps: never write to them.
    """

    rewards: torch.Tensor
    """(R, E)."""
    terminated: torch.Tensor
    """(R, E) bool: the transition ended the episode; nothing follows, so no bootstrap."""
    truncated: torch.Tensor
    """(R, E) bool: a time limit cut the episode; both flags may be set."""
    next_observations: torch.Tensor
    """(R, E, obs): s_{t+1}, also where the episode ended; never one from after a reset."""
    observations: torch.Tensor
    """(R, E, obs): what to act on next, the first of a new episode where one ended."""
    valid: torch.Tensor
    """(R, E) bool: False where the step was only a reset, which some of Gymnasium's vector
    environments do in a step of its own. Losses, means and normalisers leave it out."""


class Sizes(Protocol):
    """What networks need to know of environments."""

    @property
    def num_runs(self) -> int: ...

    @property
    def observation_size(self) -> int: ...

    @property
    def num_actions(self) -> int | None: ...

    @property
    def action_size(self) -> int | None: ...


class BatchedEnvs(Protocol):
    """R x E environments on one device. An episode that ends is followed by the next at once.

    More is used where it exists. `save_state() -> {name: tensor}` and `load_state(state)`: a
    training that goes on later does so exactly, if `saves_episodes` is True. `one_episode()`, after
    a reset: environments whose episode has ended may wait until the next reset, which makes
    evaluations cheaper. `close()`.
    """

    num_runs: int
    num_envs: int
    """For each run."""
    device: torch.device
    observation_size: int
    num_actions: int | None
    """Of a discrete action space, else None."""
    action_size: int | None
    """Of a continuous action space, else None."""
    action_low: torch.Tensor | None
    """(action_size,), and the same of action_high; None for discrete actions."""
    action_high: torch.Tensor | None

    @property
    def max_episode_steps(self) -> int | None:
        """The time limit; None if there is none, or none is known."""

    def spawn(self, num_envs: int, streams: Streams) -> BatchedEnvs:
        """Other environments of the same kind on the same device, for evaluations."""

    def reset(self) -> torch.Tensor:
        """Begin an episode everywhere: observations (R, E, obs)."""

    def step(self, actions: torch.Tensor) -> EnvStep:
        """Act everywhere: (R, E) integers, or (R, E, action_size), clipped to the bounds."""


def scale_to_bounds(
    low: torch.Tensor | None, high: torch.Tensor | None
) -> Callable[[torch.Tensor], torch.Tensor]:
    """A policy's actions (..., A) -> the environment's: -1 to 1 spans the bounds.

    low + (a + 1) (high - low) / 2 where both bounds are finite, a itself where they are not, as in
    gymnasium.wrappers.RescaleAction: a policy that begins near 0 begins in the middle, with steps
    of the right size. Discrete actions stay as they are.

    Args:
        low, high: (A,), or None for discrete actions.
    """
    if low is None or high is None:
        return lambda actions: actions
    bounded = (high - low).isfinite()  # -3e38 to 3e38 is no finite span in float32
    half = torch.where(bounded, (high - low) / 2, 1.0)
    middle = torch.where(bounded, (high + low) / 2, 0.0)
    return lambda actions: torch.addcmul(middle, actions, half)


def close(envs: BatchedEnvs) -> None:
    """Close a batch of environments, if it has a method close()."""
    if hasattr(envs, "close"):
        envs.close()


ATTRIBUTES = (
    *("num_runs", "num_envs", "device", "observation_size", "num_actions", "action_size"),
    *("action_low", "action_high", "max_episode_steps", "reset", "step", "spawn"),
)


def has_interface(env: object) -> TypeIs[BatchedEnvs]:
    """Whether `env` looks like a batch of environments of ours, complete or not."""
    return callable(getattr(env, "step", None)) and hasattr(env, "num_runs")


def check_interface(
    envs: BatchedEnvs, *, num_runs: int, num_envs: int, device: torch.device
) -> None:
    """Check a batch of environments that somebody else built.

    Raises:
        ValueError: an attribute is missing or contradicts another; other numbers of runs or
            environments than wanted; another device.
    """
    name = type(envs).__name__
    missing = [attribute for attribute in ATTRIBUTES if not hasattr(envs, attribute)]
    if missing:
        raise ValueError(
            f"{name} lacks {', '.join(missing)}: see rlbook.deep.parts.envs.BatchedEnvs"
        )
    if envs.num_runs != num_runs:
        raise ValueError(f"{name} has {envs.num_runs} runs, but {num_runs} are to be trained")
    if envs.num_envs != num_envs:
        raise ValueError(f"{name} has {envs.num_envs} environments for each run, not {num_envs}")
    if torch.device(envs.device) != device and torch.device(envs.device).type != device.type:
        raise ValueError(f"{name} lives on {envs.device}, not on {device}")
    if (envs.num_actions is None) == (envs.action_size is None):
        raise ValueError(f"{name}: exactly one of num_actions and action_size must be None")
    for bound in (envs.action_low, envs.action_high) if envs.action_size is not None else ():
        if bound is None or tuple(bound.shape) != (envs.action_size,):
            raise ValueError(f"{name}: action_low and action_high must be ({envs.action_size},)")
