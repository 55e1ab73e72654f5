"""What the deep learners are made of: networks and policies of R runs, rollouts, training."""

from rlbook.deep.parts.config import TrainingConfig
from rlbook.deep.parts.critics import returns_and_advantages
from rlbook.deep.parts.envs.interface import BatchedEnvs
from rlbook.deep.parts.envs.make import make_envs
from rlbook.deep.parts.networks import (
    MLP,
    DuelingMLP,
    clip_gradients_per_run,
    polyak_update,
    run_module,
)
from rlbook.deep.parts.policies import CategoricalPolicy, GaussianPolicy, make_policy
from rlbook.deep.parts.replay import Replay, n_step_transitions
from rlbook.deep.parts.results import Result, load_result
from rlbook.deep.parts.rollouts import Rollout, collect
from rlbook.deep.parts.training import Training

__all__ = [
    "BatchedEnvs",
    "CategoricalPolicy",
    "DuelingMLP",
    "GaussianPolicy",
    "MLP",
    "Replay",
    "Result",
    "Rollout",
    "Training",
    "TrainingConfig",
    "clip_gradients_per_run",
    "collect",
    "load_result",
    "make_envs",
    "make_policy",
    "n_step_transitions",
    "polyak_update",
    "returns_and_advantages",
    "run_module",
]
