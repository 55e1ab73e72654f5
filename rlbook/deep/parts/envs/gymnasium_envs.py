"""Gymnasium's environments behind interface.BatchedEnvs, checked before any training."""

from collections.abc import Callable
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from rlbook.deep.parts.envs.advice import action_advice, observation_advice
from rlbook.deep.parts.envs.interface import EnvStep
from rlbook.deep.parts.envs.watched import Watched
from rlbook.ground.seeding import MAX_SEED, Streams


@dataclass(frozen=True)
class Description:
    """What an environment is, learnt from one copy of it."""

    id: str | None
    """None where a factory builds an environment that is not registered."""
    make: Callable[[], gym.Env]
    observation_space: spaces.Box
    action_space: spaces.Discrete | spaces.Box
    max_episode_steps: int | None
    vector_id: str | None
    """The id, if it has a vector environment of its own."""


def probe(env: str | Callable[[], gym.Env]) -> Description:
    """Build one environment, look at it, and close it.

    Raises:
        ValueError: no such id, no environment, or spaces that no learner of the book can use.
    """
    if isinstance(env, gym.Env | VectorEnv):
        raise ValueError(f"{env} is one environment; give its id, or a function that builds it")
    if not isinstance(env, str) and not callable(env):
        raise ValueError(f"env must be a Gymnasium id or a function that builds one, got {env!r}")
    name, make = (env, lambda: gym.make(env)) if isinstance(env, str) else ("the factory", env)
    try:
        one = make()
    except (gym.error.Error, ModuleNotFoundError) as error:
        raise ValueError(f"{name} cannot be made: {error}") from error
    if not isinstance(one, gym.Env):
        raise ValueError(f"{name} must build a gymnasium.Env, but built {one!r}")
    spec = one.spec
    name = name if spec is None else spec.id
    try:
        code = f'gymnasium.make("{env}")' if isinstance(env, str) else "factory()"
        observation_space = check_observation_space(name, one.observation_space, code)
        action_space = check_action_space(name, one.action_space, code)
    finally:
        one.close()
    own_vector = isinstance(env, str) and spec is not None and spec.vector_entry_point is not None
    return Description(
        id=None if spec is None else spec.id,
        make=make,
        observation_space=observation_space,
        action_space=action_space,
        max_episode_steps=None if spec is None else spec.max_episode_steps,
        vector_id=name if own_vector else None,
    )


def check_observation_space(name: str, space: gym.Space, make: str) -> spaces.Box:
    """The space, if it is one of vectors of numbers, (obs,).

    Args:
        make: the code that makes the environment, for advice.
    """
    if isinstance(space, spaces.Box) and space.low.ndim == 1:
        return space
    advice = observation_advice(space, make)
    tables = "rlbook.tabular.tabular_task(..., discount=..., model=False), chapter 09"
    if isinstance(space, spaces.Discrete):
        raise ValueError(
            f"{name} has discrete observations ({space}): no network is needed; tables learn it, "
            f"{tables}; or, for a network, {advice}"
        )
    if isinstance(space, spaces.Box):
        kind = "images" if space.low.ndim == 3 else "arrays"
        found = f"{kind} of shape {space.shape}"
    elif isinstance(space, spaces.MultiDiscrete | spaces.Tuple):
        found = f"a {type(space).__name__} (if it is of whole numbers, tables learn it: {tables})"
    else:
        found = f"a {type(space).__name__}"
    raise ValueError(f"{name} observes {found}, but the learners take vectors of numbers; {advice}")


def check_action_space(name: str, space: gym.Space, make: str) -> spaces.Discrete | spaces.Box:
    """The space, if it is Discrete, or one of vectors of real numbers."""
    if isinstance(space, spaces.Discrete):
        return space
    if isinstance(space, spaces.Box) and space.low.ndim == 1 and space.low.dtype.kind == "f":
        return space
    raise ValueError(
        f"{name} takes actions {space}, but the learners give Discrete ones, or a Box of one axis "
        f"of real numbers; {action_advice(space, make)}"
    )


class GymnasiumEnvs:
    """One vector environment for each run, seeded from the run's stream.

    SyncVectorEnv resets in the step that ends an episode, and keeps the last observation in
    info["final_obs"]. A vector entry point may reset in the step after instead: that step has
    `valid` False, reward 0 and no flag set, and repeats the last observation as the next one.
    """

    def __init__(
        self,
        description: Description,
        *,
        num_envs: int,
        streams: Streams,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        vector_entry_point: bool = False,
    ):
        self.streams, self.device, self.dtype = streams, torch.device(device), dtype
        self.description, self.vector_entry_point = description, vector_entry_point
        self.num_runs, self.num_envs = len(streams.run_ids), num_envs
        self.max_episode_steps = description.max_episode_steps
        self.runs: list[VectorEnv] = []
        self._watched: list[list[Watched]] = []
        if vector_entry_point and description.vector_id is not None:
            self.runs = vector_envs(description.vector_id, self.num_runs, num_envs)
        else:
            self._watched = watched_envs(description, streams.run_ids, num_envs)
            self.runs = [sync_envs(run) for run in self._watched]
        mode = self.runs[0].metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
            raise ValueError(f"{description.id}: its vector environment has autoreset mode {mode}")
        self.next_step_reset = mode == AutoresetMode.NEXT_STEP
        self._describe(description.observation_space, description.action_space)
        self._observations: np.ndarray | None = None

    def spawn(self, num_envs: int, streams: Streams) -> "GymnasiumEnvs":
        """Other environments of the same kind."""
        return GymnasiumEnvs(
            self.description,
            num_envs=num_envs,
            streams=streams,
            device=self.device,
            dtype=self.dtype,
            vector_entry_point=self.vector_entry_point,
        )

    def _describe(
        self, observation_space: spaces.Box, action_space: spaces.Discrete | spaces.Box
    ) -> None:
        self.observation_size: int = observation_space.low.size
        self.num_actions: int | None = None
        self.action_size: int | None = None
        self.action_low: torch.Tensor | None = None
        self.action_high: torch.Tensor | None = None
        self.action_shape: tuple[int, ...] = (self.num_runs, self.num_envs)
        self._action_space, self.action_start = action_space, 0
        if isinstance(action_space, spaces.Discrete):
            self.num_actions, self.action_start = int(action_space.n), int(action_space.start)
        else:
            self.action_size = action_space.low.size
            self.action_low = self._tensor(action_space.low)
            self.action_high = self._tensor(action_space.high)
            self.action_shape = (self.num_runs, self.num_envs, self.action_size)

    def reset(self) -> torch.Tensor:
        """Begin an episode everywhere, with new seeds: observations (R, E, obs)."""
        seeds = self.streams.integers(MAX_SEED, self.num_envs).tolist()  # (R, E)
        firsts = [
            run.reset(seed=seed if isinstance(run, SyncVectorEnv) else seed[0])[0]
            for run, seed in zip(self.runs, seeds, strict=True)
        ]
        observations = np.stack(firsts)
        self._observations = observations
        self._ended = np.zeros((self.num_runs, self.num_envs), dtype=bool)
        return self._tensor(observations)

    def step(self, actions: torch.Tensor) -> EnvStep:
        """Act everywhere; see EnvStep.

        Args:
            actions: (R, E) int64 from 0 up, or (R, E, action_size) clipped to the bounds.

        Raises:
            ValueError: another shape.
        """
        if self._observations is None:
            raise RuntimeError("call reset() before step()")
        steps = [
            run.step(action) for run, action in zip(self.runs, self._actions(actions), strict=True)
        ]
        observations = np.stack([step[0] for step in steps])
        rewards, terminated, truncated = (
            np.stack([np.asarray(step[field]) for step in steps]) for field in (1, 2, 3)
        )
        valid = np.ones_like(terminated)
        next_observations = observations
        if self.next_step_reset:
            valid = ~self._ended
            rewards = np.where(valid, rewards, 0)
            terminated, truncated = terminated & valid, truncated & valid
            next_observations = np.where(valid[..., None], observations, self._observations)
        elif (terminated | truncated).any():
            next_observations = observations.copy()
            for run, env in np.argwhere(terminated | truncated):
                next_observations[run, env] = steps[run][4]["final_obs"][env]
        self._observations, self._ended = observations, terminated | truncated
        return EnvStep(
            rewards=self._tensor(rewards),
            terminated=torch.from_numpy(terminated).to(self.device),
            truncated=torch.from_numpy(truncated).to(self.device),
            next_observations=self._tensor(next_observations),
            observations=self._tensor(observations),
            valid=torch.from_numpy(valid).to(self.device),
        )

    def one_episode(self) -> None:
        """After a reset: an environment whose episode has ended waits until the next reset."""
        for env in (env for run in self._watched for env in run):
            env.one_episode = True

    def save_state(self) -> dict[str, torch.Tensor]:
        """Where the random numbers stand. The environments themselves cannot be saved: after
        `load_state` they begin new episodes."""
        return {"streams": self.streams.state()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Go on with the random numbers."""
        self.streams.load_state(state["streams"])

    def close(self) -> None:
        """Close every environment."""
        for run in self.runs:
            run.close()

    def _actions(self, actions: torch.Tensor) -> np.ndarray:
        if actions.shape != self.action_shape:
            raise ValueError(f"actions must be {self.action_shape}, got {tuple(actions.shape)}")
        space, numbers = self._action_space, actions.detach().cpu().numpy()
        if isinstance(space, spaces.Discrete):
            return numbers + self.action_start
        numbers = np.nan_to_num(numbers)  # of a run whose environment gave NaN: it will be frozen
        return numbers.clip(space.low, space.high).astype(space.low.dtype)

    def _tensor(self, numbers: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.asarray(numbers)).to(self.device, self.dtype, copy=True)


def watched_envs(
    description: Description, run_ids: list[int], num_envs: int
) -> list[list[Watched]]:
    """`num_envs` environments for each run, all of them built anew."""
    built = [[description.make() for _ in range(num_envs)] for _ in run_ids]
    if len({id(env) for envs in built for env in envs}) < len(run_ids) * num_envs:
        raise ValueError("the factory returned one environment twice; build a new one in each call")
    return [
        [Watched(env, run, number) for number, env in enumerate(envs)]
        for run, envs in zip(run_ids, built, strict=True)
    ]


def sync_envs(envs: list[Watched]) -> VectorEnv:
    """A SyncVectorEnv, which resets in the step that ends an episode."""
    mode = AutoresetMode.SAME_STEP
    return SyncVectorEnv([already_built(env) for env in envs], copy=False, autoreset_mode=mode)


def already_built(env: gym.Env) -> Callable[[], gym.Env]:
    """A function that builds an environment which is built already."""
    return lambda: env


def vector_envs(name: str, num_runs: int, num_envs: int) -> list[VectorEnv]:
    """One of this id's own vector environments for each run."""
    return [
        gym.make_vec(name, num_envs=num_envs, vectorization_mode="vector_entry_point")
        for _ in range(num_runs)
    ]
