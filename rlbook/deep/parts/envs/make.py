"""Environments for every learner: from an id, a factory, or a batch of them that you built."""

from collections.abc import Callable

import torch

from rlbook.deep.parts.envs.gymnasium_envs import GymnasiumEnvs, probe
from rlbook.deep.parts.envs.interface import BatchedEnvs, EnvStep, check_interface, has_interface
from rlbook.deep.parts.envs.native import ControlEnvs
from rlbook.deep.parts.envs.physics import CONTROL_TASKS
from rlbook.ground.seeding import Streams

__all__ = ["BatchedEnvs", "EnvStep", "make_envs"]


def make_envs(
    env: str | Callable | BatchedEnvs,
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
    options = {"num_envs": num_envs, "streams": streams, "device": device, "dtype": dtype}
    if native and isinstance(env, str) and env in CONTROL_TASKS:
        return ControlEnvs(CONTROL_TASKS[env], **options)
    description = probe(env)
    if native and description.id in CONTROL_TASKS and isinstance(env, str):  # "CartPole"
        return ControlEnvs(CONTROL_TASKS[description.id], **options)
    return GymnasiumEnvs(description, vector_entry_point=not native, **options)
