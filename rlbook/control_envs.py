"""CartPole-v1, Acrobot-v1 and Pendulum-v1 in torch: R x E of them take a step together.

The equations are Gymnasium's, and so is the arithmetic: states are float64, observations float32.
Everything stays on the device; no step waits for the host.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from rlbook.env_interface import Step
from rlbook.seeding import Streams

NUMBERS_PER_BLOCK = 2**14  # noise is drawn for so many resets of one run in one call


class ControlTask(NamedTuple):
    """The rules of a task; functions of states (n, ...), so that each variable is a plain row."""

    dynamics: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]
    """State (n, ...) and control (...) -> next state (n, ...), rewards (...), terminated (...)."""
    observe: Callable[[torch.Tensor], torch.Tensor]
    """State (n, ...) -> observation (obs, ...)."""
    start: tuple[float, ...]
    """An episode starts anywhere in the box from -start to start."""
    observation_size: int
    max_episode_steps: int
    controls: tuple[float, ...] | None = None
    """The force or torque of each discrete action."""
    max_control: float | None = None
    """The bound of a continuous one."""


# --- CartPole-v1: state (x, x', theta, theta')

GRAVITY, POLE_MASS, TOTAL_MASS, HALF_POLE = 9.8, 0.1, 1.1, 0.5
POLE_MASS_LENGTH = POLE_MASS * HALF_POLE
CART_POLE_SECONDS = 0.02
MAX_X, MAX_THETA = 2.4, 12 * 2 * math.pi / 360


def cart_pole(state: torch.Tensor, force: torch.Tensor):
    """One Euler step. Reward 1, also for the step that ends the episode.

    Source: Barto, Sutton and Anderson (1983); Florian (2007), without friction.
    """
    x, x_dot, theta, theta_dot = state.unbind()
    cos, sin = theta.cos(), theta.sin()
    push = torch.addcmul(force, theta_dot.square(), sin, value=POLE_MASS_LENGTH) / TOTAL_MASS
    leverage = HALF_POLE * (4 / 3 - cos.square() * (POLE_MASS / TOTAL_MASS))
    theta_dot_dot = torch.addcmul(GRAVITY * sin, cos, push, value=-1) / leverage
    x_dot_dot = torch.addcmul(push, theta_dot_dot, cos, value=-POLE_MASS_LENGTH / TOTAL_MASS)
    rates = torch.stack((x_dot, x_dot_dot, theta_dot, theta_dot_dot))
    state = torch.add(state, rates, alpha=CART_POLE_SECONDS)
    terminated = (state[0].abs() > MAX_X) | (state[2].abs() > MAX_THETA)
    return state, torch.ones_like(x), terminated


def cart_pole_observation(state: torch.Tensor) -> torch.Tensor:
    return state


# --- Acrobot-v1: state (theta_1, theta_2, theta_1', theta_2'); lengths and masses are 1

ACROBOT_SECONDS = 0.2
MAX_SPEED_1, MAX_SPEED_2 = 4 * math.pi, 9 * math.pi


def acrobot(state: torch.Tensor, torque: torch.Tensor):
    """One Runge-Kutta step of order 4. Reward -1, but 0 for the step that reaches the height.

    Source: Sutton (1996); the equations of Sutton and Barto (2018), with Gymnasium's constants.
    """
    k1 = acrobot_rates(state, torque)
    k2 = acrobot_rates(torch.add(state, k1, alpha=ACROBOT_SECONDS / 2), torque)
    k3 = acrobot_rates(torch.add(state, k2, alpha=ACROBOT_SECONDS / 2), torque)
    k4 = acrobot_rates(torch.add(state, k3, alpha=ACROBOT_SECONDS), torque)
    state = torch.add(state, k1 + 2 * (k2 + k3) + k4, alpha=ACROBOT_SECONDS / 6)
    state[:2] -= 2 * math.pi * (state[:2] / (2 * math.pi)).round()  # to -pi .. pi
    state[2].clamp_(-MAX_SPEED_1, MAX_SPEED_1)
    state[3].clamp_(-MAX_SPEED_2, MAX_SPEED_2)
    height = -state[0].cos() - (state[0] + state[1]).cos()
    terminated = height > 1
    return state, terminated.double() - 1, terminated


def acrobot_rates(state: torch.Tensor, torque: torch.Tensor) -> torch.Tensor:
    """d state / dt, (4, ...). Angles are from straight down, gravity 9.8, inertias 1."""
    theta_1, theta_2, speed_1, speed_2 = state.unbind()
    cos, sin = theta_2.cos(), theta_2.sin()
    d1, d2 = cos + 3.5, cos * 0.5 + 1.25
    phi_2 = (theta_1 + theta_2).sin() * 4.9
    swing = torch.add(speed_1, speed_2, alpha=0.5) * speed_2
    phi_1 = torch.addcmul(torch.add(phi_2, theta_1.sin(), alpha=14.7), swing, sin, value=-1)
    ratio = d2 / d1
    pull = torch.addcmul(torque - phi_2, speed_1.square(), sin, value=-0.5)
    acceleration_2 = torch.addcmul(pull, ratio, phi_1) / (1.25 - ratio * d2)
    acceleration_1 = torch.addcmul(phi_1, d2, acceleration_2) / -d1
    return torch.stack((speed_1, speed_2, acceleration_1, acceleration_2))


def acrobot_observation(state: torch.Tensor) -> torch.Tensor:
    cos, sin = state[:2].cos(), state[:2].sin()
    return torch.stack((cos[0], sin[0], cos[1], sin[1], state[2], state[3]))


# --- Pendulum-v1: state (theta, theta'), theta from upright and never wrapped

PENDULUM_GRAVITY, PENDULUM_SECONDS, MAX_SPEED = 10.0, 0.05, 8.0


def pendulum(state: torch.Tensor, torque: torch.Tensor):
    """One step; the new speed moves the angle. The reward is minus a cost; no state is terminal."""
    theta, speed = state.unbind()
    angle = (theta + math.pi) % (2 * math.pi) - math.pi
    costs = angle.square() + 0.1 * speed.square() + 0.001 * torque.square()
    push = 1.5 * PENDULUM_GRAVITY * theta.sin() + 3 * torque
    speed = torch.add(speed, push, alpha=PENDULUM_SECONDS).clamp(-MAX_SPEED, MAX_SPEED)
    theta = torch.add(theta, speed, alpha=PENDULUM_SECONDS)
    return torch.stack((theta, speed)), -costs, torch.zeros_like(theta, dtype=torch.bool)


def pendulum_observation(state: torch.Tensor) -> torch.Tensor:
    return torch.stack((state[0].cos(), state[0].sin(), state[1]))


CONTROL_TASKS = {
    "CartPole-v1": ControlTask(
        cart_pole, cart_pole_observation, (0.05,) * 4, 4, 500, controls=(-10.0, 10.0)
    ),
    "Acrobot-v1": ControlTask(
        acrobot, acrobot_observation, (0.1,) * 4, 6, 500, controls=(-1.0, 0.0, 1.0)
    ),
    "Pendulum-v1": ControlTask(
        pendulum, pendulum_observation, (math.pi, 1.0), 3, 200, max_control=2.0
    ),
}


class ControlEnvs:
    """R x E environments of one control task, behind rlbook.env_interface.BatchedEnvs.

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
        self.task, self.streams, self.dtype = task, streams, dtype
        self.num_runs, self.num_envs = len(streams.run_ids), num_envs
        self.device = torch.device(device)
        self.observation_size, self.max_episode_steps = (
            task.observation_size,
            task.max_episode_steps,
        )
        self.num_actions = self.action_size = self.action_low = self.action_high = None
        if task.controls is not None:
            self.num_actions = len(task.controls)
            self.controls = torch.tensor(task.controls, dtype=torch.float64, device=device)
            self.action_shape = (self.num_runs, num_envs)
        else:
            self.action_size = 1
            self.action_high = torch.full((1,), task.max_control, dtype=dtype, device=device)
            self.action_low = -self.action_high
            self.action_shape = (self.num_runs, num_envs, 1)
        self._box = torch.tensor(task.start, dtype=torch.float64, device=device)
        self._valid = torch.ones(self.num_runs, num_envs, dtype=torch.bool, device=device)
        self._state, self._resets = None, 0
        self._noise, self._starts = streams.spawn(0), []

    def spawn(self, num_envs: int, streams: Streams) -> "ControlEnvs":
        """Other environments of the same task, on the same device."""
        options = {"device": self.device, "dtype": self.dtype}
        return ControlEnvs(self.task, num_envs=num_envs, streams=streams, **options)

    def reset(self) -> torch.Tensor:
        """Begin an episode everywhere: observations (R, E, obs)."""
        self._resets += 1
        self._noise, self._starts = self.streams.spawn(self._resets), []
        self._state, observations = self._next_starts()
        self._elapsed = torch.zeros_like(self._valid, dtype=torch.long)
        return observations

    def step(self, actions: torch.Tensor) -> Step:
        """Act everywhere; see Step.

        Args:
            actions: (R, E) int64, or (R, E, 1) clipped to the bounds.

        Raises:
            ValueError: another shape.
            IndexError: an action that does not exist.
        """
        if self._state is None:
            raise RuntimeError("call reset() before step()")
        state, rewards, terminated = self.task.dynamics(self._state, self._control(actions))
        self._elapsed += 1
        truncated = self._elapsed >= self.max_episode_steps
        ended = terminated | truncated  # (R, E)
        next_observations = self._observe(state)
        starts, start_observations = self._next_starts()
        self._state = torch.where(ended, starts, state)
        self._elapsed.masked_fill_(ended, 0)
        observations = torch.where(ended.unsqueeze(-1), start_observations, next_observations)
        rewards = rewards.to(self.dtype)
        return Step(rewards, terminated, truncated, next_observations, observations, self._valid)

    def get_state(self) -> torch.Tensor:
        """(R, E, n) float64, where every environment is now."""
        return self._state.movedim(0, -1).clone()

    def set_state(self, state: torch.Tensor, elapsed: int | torch.Tensor = 0) -> torch.Tensor:
        """Put every environment somewhere, `elapsed` steps into its episode: observations."""
        shape = (self.num_runs, self.num_envs, len(self.task.start))
        if state.shape != shape:
            raise ValueError(f"state must be {shape}, got {tuple(state.shape)}")
        self._state = state.to(self.device, torch.float64).movedim(-1, 0).clone()
        self._elapsed = torch.zeros_like(self._valid, dtype=torch.long) + elapsed
        return self._observe(self._state)

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
            noise = self._noise.uniform(steps, self.num_envs, n)  # (R, steps, E, n)
            states = (2 * noise.to(self.device, torch.float64) - 1) * self._box
            states = states.permute(1, 3, 0, 2).contiguous()  # (steps, n, R, E)
            observations = self._observe(states.transpose(0, 1))  # (steps, R, E, obs)
            self._starts = list(zip(states.unbind(), observations.unbind(), strict=True))[::-1]
        return self._starts.pop()
