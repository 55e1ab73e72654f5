"""CartPole-v1, Acrobot-v1 and Pendulum-v1 in torch: R x E of them take a step together.

States are float64 and observations float32, as Gymnasium's. Everything stays on the device; no
step waits for the host.
"""

import torch

from rlbook.deep.parts.envs.interface import EnvStep
from rlbook.deep.parts.envs.physics import ControlTask
from rlbook.ground.seeding import Streams

NUMBERS_PER_BLOCK = 2**14  # noise is drawn for so many resets of one run in one call


class ControlEnvs:
    """R x E environments of one control task, behind rlbook.deep.parts.envs.interface.BatchedEnvs.

    Run k depends on (seed, k) only: every step takes the same amount of noise from every run's
    stream, whether an episode ends or not, and each reset() begins streams of its own, so that it
    does not matter after how many steps, which the slowest run decides, it is called.
    """

    def __init__(
        self,
        task: ControlTask,
        *,
        num_envs: int,
        streams: Streams,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        self.saves_episodes = True
        self.task, self.streams, self.dtype = task, streams, dtype
        self.num_runs, self.num_envs = len(streams.run_ids), num_envs
        self.device = torch.device(device)
        self.observation_size = task.observation_size
        self.max_episode_steps = task.max_episode_steps
        self.num_actions: int | None = None
        self.action_size: int | None = None
        self.action_low: torch.Tensor | None = None
        self.action_high: torch.Tensor | None = None
        self.action_shape: tuple[int, ...] = (self.num_runs, num_envs)
        if task.controls is not None:
            self.num_actions = len(task.controls)
            self.controls = torch.tensor(task.controls, dtype=torch.float64, device=device)
        else:
            self.action_size = 1
            self.action_high = torch.full((1,), task.max_control, dtype=dtype, device=device)
            self.action_low = -self.action_high
            self.action_shape = (self.num_runs, num_envs, 1)
        self._box = torch.tensor(task.start, dtype=torch.float64, device=device)
        self._valid = torch.ones(self.num_runs, num_envs, dtype=torch.bool, device=device)
        self._state: torch.Tensor | None = None
        self._one_episode = False
        self._resets, self._noise = 0, streams.spawn(0)
        self._block = self._noise.state()  # before the starts at hand were drawn
        self._starts: list[tuple[torch.Tensor, torch.Tensor]] = []

    def spawn(self, num_envs: int, streams: Streams) -> "ControlEnvs":
        """Other environments of the same task, on the same device."""
        return ControlEnvs(
            self.task, num_envs=num_envs, streams=streams, device=self.device, dtype=self.dtype
        )

    def reset(self) -> torch.Tensor:
        """Begin an episode everywhere: observations (R, E, obs)."""
        self._resets, self._one_episode = self._resets + 1, False
        self._noise, self._starts = self.streams.spawn(self._resets), []
        self._state, observations = self._next_starts()
        self._elapsed = torch.zeros_like(self._valid, dtype=torch.long)
        return observations

    def step(self, actions: torch.Tensor) -> EnvStep:
        """Act everywhere; see EnvStep.

        Args:
            actions: (R, E) int64, or (R, E, 1) clipped to the bounds.

        Raises:
            ValueError: another shape.
            IndexError: an action that does not exist.
        """
        state, rewards, terminated = self.task.dynamics(self._now(), self._control(actions))
        self._elapsed += 1
        truncated = self._elapsed >= self.max_episode_steps
        ended = terminated | truncated  # (R, E)
        next_observations = self._observe(state)
        starts, start_observations = self._next_starts()
        self._state = torch.where(ended, starts, state)
        self._elapsed.masked_fill_(ended, 0)
        observations = torch.where(ended.unsqueeze(-1), start_observations, next_observations)
        rewards = rewards.to(self.dtype)
        return EnvStep(rewards, terminated, truncated, next_observations, observations, self._valid)

    def one_episode(self) -> None:
        """After a reset: nobody looks at what follows the first end. How long all go on depends on
        the longest episode of all runs, so `save_state` does not keep where they stand."""
        self._one_episode = True

    def save_state(self) -> dict[str, torch.Tensor]:
        """Everything that the next steps depend on, for `load_state`."""
        state = {"resets": torch.tensor(self._resets)}
        if self._state is None or self._one_episode:
            return state
        here = {"state": self.get_state(), "elapsed": self._elapsed.clone(), "noise": self._block}
        return state | here | {"starts_left": torch.tensor(len(self._starts))}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Stand where other environments of the same streams stood."""
        self._resets, self._state = int(state["resets"]), None
        if "state" not in state:
            return
        self._noise = self.streams.spawn(self._resets)
        self._noise.load_state(state["noise"])
        self._starts = []
        self._next_starts()
        del self._starts[int(state["starts_left"]) :]
        self.set_state(state["state"], state["elapsed"])

    def get_state(self) -> torch.Tensor:
        """(R, E, n) float64, where every environment is now."""
        return self._now().movedim(0, -1).clone()

    def set_state(self, state: torch.Tensor, elapsed: int | torch.Tensor = 0) -> torch.Tensor:
        """Put every environment somewhere, `elapsed` steps into its episode: observations."""
        shape = (self.num_runs, self.num_envs, len(self.task.start))
        if state.shape != shape:
            raise ValueError(f"state must be {shape}, got {tuple(state.shape)}")
        state = state.to(self.device, torch.float64).movedim(-1, 0).clone()
        self._state = state
        self._elapsed = torch.zeros_like(self._valid, dtype=torch.long) + elapsed
        return self._observe(state)

    def _now(self) -> torch.Tensor:
        if self._state is None:
            raise RuntimeError("call reset() before step()")
        return self._state

    def _control(self, actions: torch.Tensor) -> torch.Tensor:
        if actions.shape != self.action_shape:
            raise ValueError(f"actions must be {self.action_shape}, got {tuple(actions.shape)}")
        if self.num_actions is not None:
            return self.controls.index_select(0, actions.reshape(-1)).view(self.action_shape)
        return actions.detach()[..., 0].clamp(-self.task.max_control, self.task.max_control)

    def _observe(self, state: torch.Tensor) -> torch.Tensor:
        """State (n, ...) -> observations (..., obs), as numbers of `dtype`."""
        observations = self.task.observe(state).movedim(0, -1)
        return observations.to(self.dtype, memory_format=torch.contiguous_format, copy=True)

    def _next_starts(self) -> tuple[torch.Tensor, torch.Tensor]:
        """States (n, R, E) and observations (R, E, obs) in which episodes may start now."""
        if not self._starts:
            n = len(self._box)
            steps = max(1, NUMBERS_PER_BLOCK // (self.num_envs * n))
            self._block = self._noise.state()
            noise = self._noise.uniform(steps, self.num_envs, n)  # (R, steps, E, n)
            states = (2 * noise.to(self.device, torch.float64) - 1) * self._box
            states = states.permute(1, 3, 0, 2).contiguous()  # (steps, n, R, E)
            observations = self._observe(states.transpose(0, 1))  # (steps, R, E, obs)
            self._starts = list(zip(states.unbind(), observations.unbind(), strict=True))[::-1]
        return self._starts.pop()
