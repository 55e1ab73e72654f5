"""Batches of environments, E for each of R runs: torch-native ones, Gymnasium's, a reader's own."""

from rlbook.deep.parts.envs.interface import BatchedEnvs, EnvStep
from rlbook.deep.parts.envs.make import make_envs
from rlbook.deep.parts.envs.native import ControlEnvs
from rlbook.deep.parts.envs.physics import CONTROL_TASKS

__all__ = [
    "BatchedEnvs",
    "CONTROL_TASKS",
    "ControlEnvs",
    "EnvStep",
    "make_envs",
]
