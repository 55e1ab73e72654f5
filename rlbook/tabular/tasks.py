"""Tasks for tabular learners: a finite MDP, a time limit, and noise on rewards.

A model says nothing about time limits, and Gymnasium's environments have some: Taxi's episodes
are cut after 200 steps. The learners see the cut as `truncated`, never as an end of the task.
"""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import torch
from gymnasium.spaces import Discrete

from rlbook.ground.require import check_positive_integer, require_shape
from rlbook.planning.mdp import MDP


@dataclass(frozen=True, eq=False)
class TabularTask:
    """What a tabular learner learns."""

    mdp: MDP
    max_episode_steps: int | None = None
    """After so many steps an episode is truncated; None is no limit."""
    reward_std: torch.Tensor | None = None
    """(S, A), the standard deviation of normal noise on the reward of each pair; None is none."""

    def __post_init__(self) -> None:
        if not isinstance(self.mdp, MDP):
            raise ValueError(f"mdp must be an MDP, got {type(self.mdp).__name__}")
        if self.max_episode_steps is not None:
            check_positive_integer("max_episode_steps", self.max_episode_steps)
        if self.reward_std is not None:
            require_shape("reward_std", self.reward_std, tuple(self.mdp.reward.shape))


def tabular_task(env: str | gym.Env, *, discount: float, **make_arguments: Any) -> TabularTask:
    """The model and the time limit of a Gymnasium environment that exposes its model.

    FrozenLake-v1, CliffWalking-v1 (no time limit) and Taxi-v4 do; state S, the last, is the
    added end. Its other states are numbered as in Gymnasium.

    Args:
        env: an id, or an environment, which is left open.
        discount: in [0, 1].
        make_arguments: for gymnasium.make, such as map_name="8x8".

    Raises:
        ValueError: an unknown id, a space that is not Discrete, or no model.
    """
    if isinstance(env, str):
        try:
            made = gym.make(env, **make_arguments)
        except gym.error.Error as error:
            raise ValueError(f"Gymnasium cannot make {env!r}: {error}") from error
        try:
            return tabular_task(made, discount=discount)
        finally:
            made.close()
    for name, space in (
        ("observations", env.observation_space),
        ("actions", env.action_space),
    ):
        if not isinstance(space, Discrete):
            kind = "continuous" if isinstance(space, gym.spaces.Box) else "composite"
            raise ValueError(
                f"the {name} of {env.spec.id if env.spec else env} are {space}, a {kind} space; "
                "a table needs Discrete states and actions"
            )
    limit = env.spec.max_episode_steps if env.spec else None
    return TabularTask(MDP.from_gymnasium(env, discount=discount), limit)


def as_task(task: MDP | TabularTask) -> TabularTask:
    """A task from a task, or from an MDP without a time limit."""
    if isinstance(task, TabularTask):
        return task
    if isinstance(task, MDP):
        return TabularTask(task)
    hint = f"; for an environment, tabular_task({task!r}, discount=...)"
    raise ValueError(f"task must be an MDP or a TabularTask, got {type(task).__name__}{hint}")
