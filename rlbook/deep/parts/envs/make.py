"""Environments for every learner: from an id, a factory, or a batch of them that you built."""

from collections.abc import Callable

import gymnasium as gym
import torch

from rlbook.deep.parts.envs.gymnasium_envs import GymnasiumEnvs, probe
from rlbook.deep.parts.envs.interface import BatchedEnvs, EnvStep, check_interface, has_interface
from rlbook.deep.parts.envs.native import ControlEnvs
from rlbook.deep.parts.envs.physics import CONTROL_TASKS
from rlbook.ground.seeding import Streams

__all__ = ["BatchedEnvs", "Env", "EnvStep", "make_envs"]

Env = str | Callable[[], gym.Env] | BatchedEnvs
"""What a learner can be given: an id, a function that builds one, or a batch of them."""


def make_envs(
    env: Env,
    *,
    num_envs: int,
    streams: Streams,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    native: bool = True,
) -> BatchedEnvs:
    """R x num_envs environments, R being the number of streams; run k depends on its stream only.

    Args:
        env: a Gymnasium id; or a function without arguments that builds a new gymnasium.Env;
            or an object with the interface of rlbook.deep.parts.envs.BatchedEnvs, returned checked.
        streams: where resets, and the seeds of Gymnasium's environments, come from.
        dtype: of observations and rewards.
        native: CartPole-v1, Acrobot-v1 and Pendulum-v1 in torch, on the device. Otherwise
            Gymnasium's, an id's own vector environment if it has one.

    Raises:
        ValueError: an id that does not exist, observations or actions that the learners cannot
            use, num_envs < 1, an object of other sizes. The message says what to do.
    """
    if isinstance(num_envs, bool) or not isinstance(num_envs, int) or num_envs < 1:
        raise ValueError(f"num_envs must be a whole number of at least 1, got {num_envs!r}")
    device = torch.device(device)
    if has_interface(env):
        num_runs = len(streams.run_ids)
        check_interface(env, num_runs=num_runs, num_envs=num_envs, device=device)
        return env
    task = CONTROL_TASKS.get(env) if isinstance(env, str) else None
    if task is None or not native:
        description = probe(env)
        if isinstance(env, str) and description.id is not None:  # "CartPole" is CartPole-v1
            task = CONTROL_TASKS.get(description.id)
    if task is not None and native:
        return ControlEnvs(task, num_envs=num_envs, streams=streams, device=device, dtype=dtype)
    return GymnasiumEnvs(
        description,
        num_envs=num_envs,
        streams=streams,
        device=device,
        dtype=dtype,
        vector_entry_point=not native,
    )
