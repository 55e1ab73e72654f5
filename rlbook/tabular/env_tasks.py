"""Tasks that are an environment and nothing more: tables learned from `reset()` and `step()`.

Blackjack-v1 has no model to read, and neither has a simulator of your own. `EnvTask` numbers its
observations and actions, and `RunEnv` plays it for one run and refuses what no table can learn.
Environments step one at a time, in Python: some 20,000 (Blackjack) to 70,000 (FrozenLake) steps a
second for 20 runs together, 10,000 for one, where the batched world of a model makes millions.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces

from rlbook.ground import require
from rlbook.ground.require import Numbers, check_discount, check_memory, numbers
from rlbook.ground.seeding import MAX_SEED, Streams
from rlbook.planning.mdp_checks import check_policy

ENVIRONMENTS, EVALUATION = 1, 2  # families of streams: what environments draw, what evaluations do


class Numbering:
    """The values of a space as numbers 0 .. size - 1, and back.

    Discrete is numbered from its start; MultiDiscrete, and Tuples of these, in mixed radix: the
    last component changes fastest, as in numpy.ravel_multi_index. Blackjack-v1's
    Tuple(Discrete(32), Discrete(11), Discrete(2)) numbers (sum, card, ace) as
    (sum * 11 + card) * 2 + ace.
    """

    def __init__(self, what: str, space: gym.Space):
        """
        Raises:
            ValueError: a space that is none of these; `what` names it in the message.
        """
        self.space, self.parts = space, list(_parts(what, space))
        self.size = math.prod(size for size, _ in self.parts)

    def number(self, value: Any) -> int:
        """The number of a value of the space.

        Raises:
            ValueError: a value that is not in the space.
        """
        if not self.space.contains(value):
            raise ValueError(f"{value!r} is not in {self.space}")
        number = 0
        for (size, start), component in zip(self.parts, _flat(self.space, value), strict=True):
            number = number * size + component - start
        return number

    def value(self, number: int) -> Any:
        """The value of the space that has this number.

        Raises:
            ValueError: a number outside 0 .. size - 1.
        """
        if not 0 <= number < self.size:
            raise ValueError(f"there are {self.size} values of {self.space}, no number {number}")
        components = []
        for size, start in reversed(self.parts):
            number, digit = divmod(number, size)
            components.append(digit + start)
        return _folded(self.space, reversed(components))


def _parts(what: str, space: gym.Space) -> Iterator[tuple[int, int]]:
    """(size, start) of each whole number in the values of a space."""
    if isinstance(space, spaces.Discrete):
        yield int(space.n), int(space.start)
    elif isinstance(space, spaces.MultiDiscrete):
        yield from zip(space.nvec.flatten().tolist(), space.start.flatten().tolist(), strict=True)
    elif isinstance(space, spaces.Tuple):
        for part in space.spaces:
            yield from _parts(what, part)
    else:
        kind = "continuous" if isinstance(space, spaces.Box) else "composite"
        raise ValueError(
            f"{what} are {space}, a {kind} space; a table needs Discrete, MultiDiscrete, or a "
            "Tuple of them: make whole numbers with gymnasium.wrappers.TransformObservation or "
            "TransformAction, or give vectors as they are to rlbook.deep.dqn or ppo"
        )


def _flat(space: gym.Space, value: Any) -> Iterator[int]:
    """The whole numbers in a value of a space."""
    if isinstance(space, spaces.Tuple):
        for part, component in zip(space.spaces, value, strict=True):
            yield from _flat(part, component)
    elif isinstance(space, spaces.Discrete):
        yield int(value)
    else:
        yield from np.asarray(value).flatten().tolist()


def _folded(space: gym.Space, components: Iterator[int]) -> Any:
    """The value of a space that holds these whole numbers."""
    if isinstance(space, spaces.Tuple):
        return tuple(_folded(part, components) for part in space.spaces)
    if isinstance(space, spaces.MultiDiscrete):
        taken = [next(components) for _ in range(space.nvec.size)]
        return np.array(taken, dtype=space.dtype).reshape(space.nvec.shape)
    return next(components)


class EnvTask:
    """A Gymnasium environment without a model, for every tabular learner: `tabular_task` with
    `model=False` makes one.

    States are observations as numbers, also the last of an episode; that it ends there is told by
    `terminated`, and an end is worth 0, whatever the table holds for that observation. All actions
    are allowed in all states; an action mask in `info` is not read. Each run has an environment of
    its own, seeded once, from (seed, run): its run repeats if all chance is `self.np_random`.

    Attributes:
        make: builds one environment.
        name: its id, or its class.
        num_states, num_actions, discount: of the tables.
        max_episode_steps: after so many steps an episode is truncated, beside the limits that
            the environment has itself; None is none.
        reward: (S, A) of NaN. Rewards are not known: only its shape and type are used.
        allowed, terminal, all_allowed: (S, A) True; (S,) False; True.
    """

    def __init__(
        self,
        make: Callable[[], gym.Env],
        *,
        discount: float,
        max_episode_steps: int | None = None,
    ):
        """
        Raises:
            ValueError: `make` builds no environment, or one of which a space is not of whole
                numbers; a discount outside [0, 1]; tables that do not fit in memory.
        """
        if max_episode_steps is not None:
            require.positive_integer("max_episode_steps", max_episode_steps)
        self.make, self.max_episode_steps = make, max_episode_steps
        self.discount = float(discount)
        check_discount(self.discount)
        env = make()
        if not isinstance(env, gym.Env):
            raise ValueError(f"the function must build a gymnasium.Env, but built {env!r}")
        self.name = env.spec.id if env.spec else type(env.unwrapped).__name__
        try:
            self.states = Numbering(f"the observations of {self.name}", env.observation_space)
            self.actions = Numbering(f"the actions of {self.name}", env.action_space)
        finally:
            env.close()
        S, A = self.num_states, self.num_actions = self.states.size, self.actions.size
        check_memory(f"a table (S, A) for {self.name}", S, A)
        self.reward = torch.full((S, A), torch.nan, dtype=torch.float64)
        self.allowed, self.all_allowed = torch.ones(S, A, dtype=torch.bool), True
        self.terminal = torch.zeros(S, dtype=torch.bool)

    def __repr__(self) -> str:
        sizes = f"{self.num_states} states, {self.num_actions} actions"
        return f"EnvTask({self.name}: {sizes}, discount {self.discount:g})"

    @property
    def tables(self) -> "EnvTask":
        """What learners know of it."""
        return self

    def state_of(self, observation: Any) -> int:
        """The number of an observation: see Numbering. A ValueError if it is none."""
        return self.states.number(observation)

    def observation_of(self, state: int) -> Any:
        """The observation that has this number."""
        return self.states.value(state)

    def action_of(self, number: int) -> Any:
        """The environment's action that stands in column `number` of a table."""
        return self.actions.value(number)

    def policy_probabilities(self, policy: Numbers) -> torch.Tensor:
        """A policy as probabilities (S, A), from (S,) actions or (S, A) probabilities, checked."""
        policy = check_policy(numbers(policy, self.reward.device), self.allowed)
        if policy.ndim == 1:
            policy = torch.nn.functional.one_hot(policy.long(), self.num_actions)
        return policy.to(self.reward)


class RunEnv:
    """The environment of one run: numbers in and out, and nothing passes that is not right."""

    def __init__(self, task: EnvTask, env: gym.Env, run: int, seed: int):
        self.task, self.env, self.run, self.seed = task, env, run, [seed]
        self.steps = self.elapsed = 0
        numbers = range(task.num_actions)
        self.action_values = [task.action_of(number) for number in numbers]

    def reset(self) -> int:
        """Begin an episode; the run's seed is given the first time only."""
        where = f"{self.task.name}, run {self.run}, reset() after {self.steps} steps"
        try:
            answer = self.env.reset(seed=self.seed.pop() if self.seed else None)
        except Exception as error:
            error.add_note(f"in {where}")
            raise
        observation, _ = _unpacked(where, answer, "observation, info")
        self.elapsed = 0
        return self._state(where, observation)

    def step(self, action: int) -> tuple[float, int, bool, bool]:
        """Act: reward, next state, terminated, truncated."""
        self.steps += 1
        self.elapsed += 1
        where = f"{self.task.name}, run {self.run}, step {self.steps}"
        try:
            answer = self.env.step(self.action_values[action])
        except Exception as error:
            error.add_note(f"in {where}, action {self.action_values[action]!r}")
            raise
        names = "observation, reward, terminated, truncated, info"
        observation, reward, terminated, truncated, _ = _unpacked(where, answer, names)
        next_state = self._state(where, observation)
        if not _is_number(reward):
            raise ValueError(f"{where}: the reward must be one finite number, got {reward!r}")
        for name, flag in (("terminated", terminated), ("truncated", truncated)):
            if not isinstance(flag, bool | np.bool_):
                raise ValueError(f"{where}: {name} must be True or False, got {flag!r}")
        cut = bool(truncated) or self.elapsed == self.task.max_episode_steps
        return float(reward), next_state, bool(terminated), cut

    def _state(self, where: str, observation: Any) -> int:
        try:
            return self.task.states.number(observation)
        except ValueError as error:
            raise ValueError(f"{where}: the observation {error}") from None


def _unpacked(where: str, answer: Any, names: str) -> tuple:
    if not isinstance(answer, tuple) or len(answer) != len(names.split()):
        got = f"{len(answer)} values" if isinstance(answer, tuple) else repr(answer)
        raise ValueError(f"{where}: it must return ({names}), got {got}")
    return answer


def _is_number(reward: Any) -> bool:
    """One finite number, also as an array of shape ()."""
    try:
        return np.shape(reward) == () and math.isfinite(reward)
    except TypeError:
        return False


class RunEnvs:
    """One environment for each run, made when first asked for, and closed."""

    def __init__(
        self, task: EnvTask, run_ids: Sequence[int], *, seed: int, family: tuple[int, ...] = ()
    ):
        """
        Args:
            seed, family: the environment of run k is seeded by (seed, k, family) only.
        """
        streams = Streams(seed, run_ids, family=(*family, ENVIRONMENTS))
        self.seeds = streams.integers(MAX_SEED).tolist()
        self.task, self.run_ids = task, run_ids
        self.made: list[RunEnv] = []

    def open(self) -> list[RunEnv]:
        """The environments, one for each run.

        Raises:
            ValueError: the factory handed out one environment twice.
        """
        for run, seed in list(zip(self.run_ids, self.seeds, strict=True))[len(self.made) :]:
            env = self.task.make()
            if any(env.unwrapped is other.env.unwrapped for other in self.made):
                raise ValueError(
                    "the function returned one environment twice; build a new one in each call"
                )
            self.made.append(RunEnv(self.task, env, run, seed))
        return self.made

    def close(self) -> None:
        """Close all; a close() that fails is a warning, so that nothing learned is lost."""
        while self.made:
            env = self.made.pop()
            try:
                env.env.close()
            except Exception as error:
                warnings.warn(f"{self.task.name}, run {env.run}: close(): {error!r}", stacklevel=2)
