"""Everything that an update changes, as tensors: to go back to, to save, and to go on from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import nn

from rlbook.deep.parts.envs.interface import BatchedEnvs
from rlbook.deep.parts.record import Record
from rlbook.deep.parts.replay import Replay
from rlbook.deep.parts.results import named
from rlbook.ground.saving import load_optimizer, optimizer_state
from rlbook.ground.seeding import Streams


class Stateful(Protocol):
    """What has such a state: a training."""

    networks: nn.ModuleDict
    record: Record
    streams: Streams
    envs: BatchedEnvs
    evaluation_envs: BatchedEnvs
    observations: torch.Tensor | None
    optimizers: dict[str, torch.optim.Optimizer]
    tensors: dict[str, torch.Tensor]
    replays: dict[str, Replay]
    device: torch.device
    env_steps: torch.Tensor
    updates_done: int
    gradient_steps: int


def small_state(training: Stateful) -> dict[str, torch.Tensor]:
    """All but the networks and the contents of memories: numbers that all runs share have no
    axis, everything else has the runs first."""
    state = {"streams": training.streams.state(), "env_steps": training.env_steps}
    counts = {"updates": training.updates_done, "gradient_steps": training.gradient_steps}
    counts |= {f"{name}.added": replay.added for name, replay in training.replays.items()}
    state |= {name: torch.tensor(count) for name, count in counts.items()}
    if training.observations is not None:
        state["observations"] = training.observations
    for name, envs in _envs_by_name(training).items():
        if hasattr(envs, "save_state"):
            state |= {f"{name}.{key}": x for key, x in envs.save_state().items()}
    state |= {f"tensor.{name}": tensor for name, tensor in training.tensors.items()}
    return state | optimizer_state(training.optimizers)


def load_state(training: Stateful, state: dict[str, torch.Tensor]) -> None:
    """Go back, or on, to where `small_state` stood: all but what an agent has not made yet,
    which is loaded when it does."""
    training.streams.load_state(state["streams"])
    training.env_steps = state["env_steps"].to(training.device, copy=True)
    training.updates_done = int(state["updates"])
    training.gradient_steps = int(state["gradient_steps"])
    for name, envs in _envs_by_name(training).items():
        own = named(state, f"{name}.")
        if own and hasattr(envs, "load_state"):
            envs.load_state(own)
    if saves_episodes(training.envs):  # before the first rollout there are none
        seen = state.get("observations")
        training.observations = None if seen is None else seen.to(training.device)
    for name, tensor in training.tensors.items():
        tensor.copy_(state[f"tensor.{name}"])
    for name, replay in training.replays.items():
        replay.added = int(state[f"{name}.added"])
    for name, optimizer in training.optimizers.items():
        load_optimizer(name, optimizer, state)


def resume_state(training: Stateful, state: dict[str, torch.Tensor]) -> None:
    """`load_state` of another training's state.

    Raises:
        ValueError: it does not fit.
    """
    try:
        load_state(training, state)
    except (KeyError, ValueError) as error:
        asked = "same agent, env and num_envs?"
        raise ValueError(f"resume does not fit this training: {asked} ({error})") from error


@contextmanager
def undone(envs: BatchedEnvs) -> Iterator[None]:
    """Whoever breaks off in the block, an interruption, say, finds the random numbers of these
    environments where they stood before it."""
    before = envs.save_state() if hasattr(envs, "save_state") else None
    try:
        yield
    except BaseException:
        if before is not None and hasattr(envs, "load_state"):
            envs.load_state(before)
        raise


def saves_episodes(envs: BatchedEnvs) -> bool:
    """Whether they go on in the middle of an episode."""
    return getattr(envs, "saves_episodes", False)


def _envs_by_name(training: Stateful) -> dict[str, BatchedEnvs]:
    return {"envs": training.envs, "evaluation_envs": training.evaluation_envs}


class Snapshot:
    """A training as it stands now, to go back to: as a whole, or for some of its runs."""

    def __init__(self, training: Stateful):
        self.networks = {k: v.clone() for k, v in training.networks.state_dict().items()}
        self.state = {name: x.clone() for name, x in small_state(training).items()}
        self.logged = training.record.lengths()

    def restore(self, training: Stateful, rows: list[int] | None = None) -> None:
        """Everything as it was, or the networks, optimisers and what else an agent remembers of
        these runs; what they logged since then is NaN."""
        training.record.back_to(self.logged, rows)
        if rows is None:
            training.networks.load_state_dict(self.networks)
            load_state(training, self.state)
            return
        for name, now in training.networks.state_dict().items():
            now[rows] = self.networks[name][rows]
        for name, now in small_state(training).items():
            if name.startswith(("optimizer.", "tensor.")) and now.ndim:
                # an optimiser that had taken no step had no moments: they begin at 0
                now[rows] = self.state[name][rows] if name in self.state else 0
