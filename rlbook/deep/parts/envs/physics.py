"""The physics of CartPole-v1, Acrobot-v1 and Pendulum-v1: pure functions on batches of states.

The equations are Gymnasium's, with its constants and its arithmetic, float64.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch


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
    max_control: float = math.inf
    """The bound of a continuous one."""


# --- CartPole-v1: state (x, x', theta, theta')

GRAVITY, POLE_MASS, TOTAL_MASS, HALF_POLE = 9.8, 0.1, 1.1, 0.5
POLE_MASS_LENGTH = POLE_MASS * HALF_POLE
CART_POLE_SECONDS = 0.02
MAX_X, MAX_THETA = 2.4, 12 * 2 * math.pi / 360


def cart_pole(state: torch.Tensor, force: torch.Tensor) -> tuple[torch.Tensor, ...]:
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


def acrobot(state: torch.Tensor, torque: torch.Tensor) -> tuple[torch.Tensor, ...]:
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


def pendulum(state: torch.Tensor, torque: torch.Tensor) -> tuple[torch.Tensor, ...]:
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
