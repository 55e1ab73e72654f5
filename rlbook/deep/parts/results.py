"""What `train` hands back: networks, curves, and what is needed to save it and to go on."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from rlbook.deep.parts.config import TrainingConfig
from rlbook.deep.parts.envs.interface import BatchedEnvs, close, scale_to_bounds
from rlbook.deep.parts.envs.make import Env, make_envs
from rlbook.deep.parts.networks import run_module
from rlbook.deep.parts.policies import acting
from rlbook.ground.require import check_device
from rlbook.ground.saving import load_tensors, save_tensors
from rlbook.ground.seeding import Streams

STEP_CAP = 10_000
"""Where no time limit is known: some tasks, CliffWalking-v1 for one, have none."""


@dataclass(frozen=True, eq=False)
class EpisodeReturns:
    """The returns of some episodes of each run."""

    returns: torch.Tensor
    """(R, episodes), plain sums of rewards; of a cut episode, the sum so far."""
    cut: torch.Tensor
    """(R, episodes) bool: still running at the step cap."""


@torch.no_grad()
def evaluate(
    act: Callable[[torch.Tensor], torch.Tensor], envs: BatchedEnvs, *, step_cap: int | None = None
) -> EpisodeReturns:
    """Run the first episode of each environment after a reset.

    The first ones: counting all episodes that end within some time would favour short ones.

    Args:
        act: observations (R, E, obs) -> actions; `policy.greedy`, say. -1 to 1 spans the bounds.
        envs: R x E environments, E being the number of episodes; not those of the learner.
        step_cap: an episode that lasts so long is cut, and reported. By default the
            environment's own time limit; without one, 10,000.
    """
    step_cap = step_cap or envs.max_episode_steps or STEP_CAP
    observations, scale = envs.reset(), scale_to_bounds(envs.action_low, envs.action_high)
    if hasattr(envs, "one_episode"):
        envs.one_episode()
    returns = observations.new_zeros(observations.shape[:2])
    running = torch.ones_like(returns, dtype=torch.bool)
    for t in range(step_cap):
        step = envs.step(scale(act(observations)))
        returns += torch.where(running, step.rewards, 0.0)
        running &= ~(step.terminated | step.truncated)
        observations = step.observations
        if t % 16 == 15 and not running.any():  # one look from the host in 16 steps
            break
    return EpisodeReturns(returns, cut=running)


# ---------------------------------------------------------------- results: saving, continuing


UNSEEN = 1_000_000
"""The seed of `Result.evaluate`, far from those of trainings."""
ARRAYS = ("evaluation_returns", "run_steps", "cut_episodes")


@dataclass(frozen=True, eq=False)
class Result:
    """R trained runs. Row k of every array belongs to run_ids[k]."""

    networks: nn.ModuleDict
    """With a run axis; "policy" has greedy(observations)."""
    evaluation_returns: np.ndarray
    """(R, num_evals), the mean return of the greedy policy; NaN once a run is frozen."""
    run_steps: np.ndarray
    """(R, num_evals), environment steps of each run before each evaluation."""
    cut_episodes: np.ndarray
    """(R, num_evals), how many episodes the step cap of the evaluation cut."""
    log: dict[str, np.ndarray]
    """name -> (R, updates); NaN where a run rests."""
    frozen: dict[int, str]
    """run id -> why it was stopped."""
    interrupted: bool
    wall_time: float
    """Seconds, of all runs together."""
    run_ids: list[int]
    seed: int
    config: TrainingConfig
    env: Env | None
    """None if the result was loaded from a file, and its environment has no id."""
    spaces: "Spaces"
    continuations: int = 0
    """How often this training was continued."""
    stopped: dict[int, str] = field(default_factory=dict)
    """run id -> when it reached the config's `stop_at_return`. It rests from there on: its later
    evaluations are of the same policy."""
    exact: bool = False
    """Whether `train(..., resume=result)` goes on as if it had not stopped, to the bit; False where
    the environments cannot be saved, and begin new episodes."""
    state: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)
    """Optimisers, random streams, memories and environments, to go on from."""

    @property
    def env_steps(self) -> np.ndarray:
        """(num_evals,), environment steps of a run before each evaluation: the mean over the runs,
        which differ where an agent learns from whole episodes."""
        return self.run_steps.mean(axis=0).astype(np.int64)

    def run(self, run_id: int) -> nn.Module:
        """The policy of one run as an ordinary torch.nn module, without a run axis."""
        return run_module(self.networks["policy"], self._row(run_id))

    def act(self, run_id: int) -> Callable[[np.ndarray], np.ndarray | int]:
        """The greedy policy of one run for Gymnasium's own interface: what `env.step` gave -> what
        it takes, one observation at a time."""
        policy, spaces = self.run(run_id), self.spaces
        scale = scale_to_bounds(spaces.action_low, spaces.action_high)

        @torch.no_grad()
        def act(observation: np.ndarray) -> np.ndarray | int:
            seen = torch.as_tensor(observation, dtype=torch.float32, device=spaces.device)
            output = policy(seen)
            if spaces.action_low is None:
                return int(output.argmax(-1)) + spaces.action_start
            action = scale(output[0])  # of (mean, log_std)
            return torch.clamp(action, spaces.action_low, spaces.action_high).cpu().numpy()

        return act

    def evaluate(
        self,
        *,
        episodes: int = 100,
        seed: int = UNSEEN,
        env: Env | None = None,
        step_cap: int | None = None,
    ) -> EpisodeReturns:
        """Greedy episodes of every run: returns (R, episodes).

        Args:
            seed: of the environments; the default is one that no training here uses.
            env: another environment than that of the training.
        """
        device = next(self.networks.parameters()).device
        streams = Streams(seed, self.run_ids, device)
        env = self.env if env is None else env
        if env is None:
            raise ValueError("env is not known to a result loaded from a file: give it")
        envs = make_envs(env, num_envs=episodes, streams=streams, device=device)
        try:
            return evaluate(acting(self.networks).greedy, envs, step_cap=step_cap)
        finally:
            if envs is not env:
                close(envs)

    def save(self, path: str | os.PathLike) -> None:
        """Write everything to one safetensors file; see `load_result`."""
        tensors = {f"network.{k}": v for k, v in self.networks.state_dict().items()}
        tensors |= {f"state.{name}": tensor for name, tensor in self.state.items()}
        tensors |= {f"log.{name}": torch.as_tensor(values) for name, values in self.log.items()}
        tensors |= {name: torch.as_tensor(getattr(self, name)) for name in ARRAYS}
        metadata = {
            "config": {f.name: getattr(self.config, f.name) for f in fields(self.config)},
            "env": self.env if isinstance(self.env, str) else None,
            "frozen": {str(run): reason for run, reason in self.frozen.items()},
            "stopped": {str(run): reason for run, reason in self.stopped.items()},
            "spaces": self.spaces.plain(),
        }
        names = ("interrupted", "wall_time", "run_ids", "seed", "continuations", "exact")
        save_tensors(path, tensors, metadata | {name: getattr(self, name) for name in names})

    def check_fits(
        self, config: TrainingConfig, run_ids: list[int], seed: int, networks: nn.ModuleDict
    ) -> None:
        """Can a training of this agent and these runs go on from here?"""
        mine, wanted = type(self.config).__module__, type(config).__module__
        if mine != wanted:
            raise ValueError(f"resume is a result of {mine}, not of {wanted}")
        if (run_ids, seed) != (self.run_ids, self.seed):
            mine, wanted = f"{self.run_ids}, seed {self.seed}", f"{run_ids}, seed {seed}"
            raise ValueError(f"resume holds runs {mine}; asked for are runs {wanted}")
        if _shapes(self.networks) != _shapes(networks):
            raise ValueError("resume holds networks of other shapes: same agent, env and sizes?")

    def _row(self, run_id: int) -> int:
        if run_id not in self.run_ids:
            raise ValueError(f"run_id must be one of {self.run_ids}, got {run_id}")
        return self.run_ids.index(run_id)


def _shapes(networks: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(x.shape) for name, x in networks.state_dict().items()}


@dataclass(frozen=True, eq=False)
class Spaces:
    """What networks need to know of environments, without the environments."""

    num_runs: int
    observation_size: int
    num_actions: int | None
    action_size: int | None
    action_low: torch.Tensor | None
    action_high: torch.Tensor | None
    device: torch.device
    action_start: int = 0
    """The environment's number of the first discrete action."""

    @classmethod
    def of(cls, envs: BatchedEnvs) -> "Spaces":
        known = [f.name for f in fields(cls) if hasattr(envs, f.name)]
        return cls(**{name: getattr(envs, name) for name in known})

    def plain(self) -> dict:
        bounds = {n: getattr(self, n) for n in ("action_low", "action_high")}
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "device"}
        return plain | {n: None if b is None else b.tolist() for n, b in bounds.items()}

    @classmethod
    def from_plain(cls, plain: dict, device: torch.device) -> "Spaces":
        bounds = {n: plain[n] for n in ("action_low", "action_high")}
        tensors = {
            n: None if b is None else torch.tensor(b, device=device) for n, b in bounds.items()
        }
        return cls(**plain | tensors, device=device)


def load_result(
    path: str | os.PathLike, agent: ModuleType, device: str | torch.device = "cpu"
) -> Result:
    """A saved result, to look at, to evaluate, or to continue: `train(..., resume=result)`.

    Args:
        agent: the module that trained it, `rlbook.deep.ppo`: it knows the networks.

    Raises:
        FileNotFoundError, ValueError: no such file; not a file of `save`; of another agent.
    """
    try:
        config_class, make_networks = agent.Config, agent.make_networks
    except AttributeError as error:
        raise ValueError(f"{path} does not fit {agent.__name__}: {error}") from error
    return read_result(path, config_class, make_networks, device)


def read_result(
    path: str | os.PathLike,
    config_class: type[TrainingConfig],
    make_networks: Callable[..., dict[str, nn.Module]],
    device: str | torch.device = "cpu",
) -> Result:
    """A saved result of the agent with this Config and these networks; see `load_result`."""
    device = check_device(device)
    tensors, metadata = load_tensors(path, device)
    try:
        config = config_class(**metadata.pop("config"))
        spaces = Spaces.from_plain(metadata.pop("spaces"), device)
        generators = [torch.Generator() for _ in metadata["run_ids"]]
        networks = nn.ModuleDict(make_networks(spaces, config, generators)).to(device)
        networks.load_state_dict(named(tensors, "network."))
        arrays: dict[str, Any] = {name: tensors[name].cpu().numpy() for name in ARRAYS}
        frozen, stopped = (
            {int(run): reason for run, reason in metadata.pop(name, {}).items()}
            for name in ("frozen", "stopped")
        )
    except (KeyError, TypeError, RuntimeError) as error:
        agent = config_class.__module__
        raise ValueError(f"{path} does not fit this version of {agent}: {error}") from error
    return Result(
        networks=networks,
        **arrays,
        log={name: x.cpu().numpy() for name, x in named(tensors, "log.").items()},
        frozen=frozen,
        stopped=stopped,
        config=config,
        spaces=spaces,
        state=named(tensors, "state."),
        **metadata,
    )


def named(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Those whose names begin so, by the rest of their names."""
    return {k.removeprefix(prefix): x for k, x in tensors.items() if k.startswith(prefix)}
