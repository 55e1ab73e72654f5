"""One Gymnasium environment of many, watched: what it gives is checked where it comes in."""

from typing import Any

import gymnasium as gym
import numpy as np


class Watched(gym.Wrapper):
    """An environment that says which one it is when something goes wrong in it.

    An exception inside it gets a note that names run, environment and step. A reward that is no
    number, an observation of another shape or a flag that is none is a ValueError that does.
    Numbers that are NaN or infinite pass: the training freezes their run.

    Args:
        run: the run's id.
        number: of the environment among those of its run.
    """

    def __init__(self, env: gym.Env, run: int, number: int):
        super().__init__(env)
        self.run, self.number, self.steps = run, number, 0
        self.shape = env.observation_space.shape
        self.one_episode = self.over = False
        self.last: Any = None

    @property
    def place(self) -> str:
        return f"environment {self.number} of run {self.run}, step {self.steps}"

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Any, dict]:
        """Begin an episode; with `one_episode`, only where there is a seed."""
        if self.over and seed is None:
            return self.last, {}
        self.one_episode = self.over = False
        try:
            observation, info = self.env.reset(seed=seed, options=options)
        except Exception as error:
            error.add_note(f"in reset() of {self.place}")
            raise
        self._check_observation(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict]:
        if self.over:
            return self.last, 0.0, False, False, {}
        self.steps += 1
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
        except Exception as error:
            error.add_note(f"in step() of {self.place}")
            raise
        self._check_observation(observation)
        self._check_number("the reward", reward)
        self._check_flags(terminated, truncated)
        observation = np.array(observation)  # an environment may write its next one over this
        if self.one_episode and (terminated or truncated):
            self.over, self.last = True, observation
        return observation, reward, terminated, truncated, info

    def _check_observation(self, observation: Any) -> None:
        seen = np.asarray(observation)
        if seen.shape != self.shape:
            wanted = f"have shape {self.shape}, as its observation_space says"
            raise ValueError(f"{self.place}: the observation must {wanted}, got {seen.shape}")
        if seen.dtype.kind not in "fiub":
            raise ValueError(f"{self.place}: the observation must be of numbers, got {seen!r}")

    def _check_number(self, name: str, value: Any) -> None:
        if isinstance(value, float | int | np.number | np.bool_):
            return
        array = np.asarray(value)
        if array.ndim > 0:
            got = f"an array of shape {array.shape}: return {name.split()[-1]}.item(), or its sum"
            raise ValueError(f"{self.place}: {name} must be one number, got {got}")
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{self.place}: {name} must be a number, got {value!r}")

    def _check_flags(self, *flags: Any) -> None:
        for name, flag in zip(("terminated", "truncated"), flags, strict=True):
            if not isinstance(flag, bool | np.bool_) and np.asarray(flag).dtype != bool:
                raise ValueError(f"{self.place}: {name} must be True or False, got {flag!r}")
