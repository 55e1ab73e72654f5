"""Tasks for tabular learners: a finite MDP, a time limit, and noise on rewards; or an environment.

A model says nothing about time limits, and Gymnasium's environments have some: Taxi's episodes
are cut after 200 steps. The learners see the cut as `truncated`, never as an end of the task.

Where there is no model, an `EnvTask` is learned by the same learners from `step()` alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, overload

import gymnasium as gym
import torch
from gymnasium.spaces import Discrete

from rlbook.ground import require
from rlbook.ground.require import Numbers, require_shape
from rlbook.planning.mdp import MDP
from rlbook.tabular.env_tasks import EnvTask, Numbering


class Tables(Protocol):
    """What a learner knows of a task; an MDP tells more, an EnvTask no more."""

    @property
    def num_states(self) -> int: ...
    @property
    def num_actions(self) -> int: ...
    @property
    def discount(self) -> float: ...
    @property
    def reward(self) -> torch.Tensor:
        """(S, A); learners use its shape, type and device only."""
        ...

    @property
    def allowed(self) -> torch.Tensor:
        """(S, A) bool."""
        ...

    @property
    def terminal(self) -> torch.Tensor:
        """(S,) bool, the states whose value is 0 whatever stands in a table."""
        ...

    @property
    def all_allowed(self) -> bool: ...

    def policy_probabilities(self, policy: Numbers) -> torch.Tensor: ...


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
            require.positive_integer("max_episode_steps", self.max_episode_steps)
        if self.reward_std is not None:
            require_shape("reward_std", self.reward_std, tuple(self.mdp.reward.shape))

    @property
    def tables(self) -> MDP:
        """What learners know of it."""
        return self.mdp


Task = MDP | TabularTask | EnvTask
"""What a tabular learner can be given."""


@overload
def tabular_task(
    env: str | gym.Env | Callable[[], gym.Env],
    *,
    discount: float,
    model: Literal[True] = True,
    **make_arguments: Any,
) -> TabularTask: ...


@overload
def tabular_task(
    env: str | Callable[[], gym.Env],
    *,
    discount: float,
    model: Literal[False],
    **make_arguments: Any,
) -> EnvTask: ...


def tabular_task(
    env: str | gym.Env | Callable[[], gym.Env],
    *,
    discount: float,
    model: bool = True,
    **make_arguments: Any,
) -> TabularTask | EnvTask:
    """A task from a Gymnasium environment: its model, or the environment itself.

    FrozenLake-v1, CliffWalking-v1 (no time limit) and Taxi-v4 expose a model; state S, the last,
    is then the added end, and the other states are numbered as in Gymnasium. With `model=False`
    any environment with whole numbers for observations and actions will do, and is learned by
    calling `step()`: see `EnvTask`.

    Args:
        env: an id; or a function without arguments that builds an environment, such as its class;
            or, for its model, an environment, which is left open.
        discount: in [0, 1].
        model: read the model; else learn from `step()` alone.
        make_arguments: for gymnasium.make, such as map_name="8x8" or max_episode_steps=50. With
            a function, max_episode_steps only.

    Raises:
        ValueError: an unknown id, a space that is not of whole numbers, or no model.
    """
    if isinstance(env, str) or not isinstance(env, gym.Env):
        make, limit = _maker(env, make_arguments)
        if not model:
            return EnvTask(make, discount=discount, max_episode_steps=limit)
        made = make()
        try:
            task = tabular_task(made, discount=discount)
        finally:
            made.close()
        return task if limit is None else TabularTask(task.mdp, limit)
    if not model:
        raise ValueError(f"each run needs an environment of its own: {_call(env)}")
    name = env.spec.id if env.spec else type(env.unwrapped).__name__
    if not hasattr(env.unwrapped, "P"):
        _refuse_without_model(env, name)
    for what, space in (("observations", env.observation_space), ("actions", env.action_space)):
        if not isinstance(space, Discrete):
            raise ValueError(f"the {what} of {name} are {space}; its model needs Discrete ones")
    limit = env.spec.max_episode_steps if env.spec else None
    return TabularTask(MDP.from_gymnasium(env, discount=discount), limit)


def _maker(
    env: str | Callable[[], gym.Env], arguments: dict[str, Any]
) -> tuple[Callable[[], gym.Env], int | None]:
    """A function that builds the environment, and a time limit that it does not know itself."""
    if isinstance(env, str):

        def make() -> gym.Env:
            try:
                return gym.make(env, **arguments)
            except (gym.error.Error, ModuleNotFoundError) as error:
                raise ValueError(f"Gymnasium cannot make {env!r}: {error}") from error

        return make, None
    if not callable(env):
        raise ValueError(f"env must be an id, an environment or a function, got {env!r}")
    limit = arguments.pop("max_episode_steps", None)
    if arguments:
        raise ValueError(f"{sorted(arguments)} are for gymnasium.make: give them to the function")
    return env, limit


def _refuse_without_model(env: gym.Env, name: str) -> None:
    """Say what to call for an environment without a model, or why no table can learn it."""
    Numbering(f"the observations of {name}", env.observation_space)
    Numbering(f"the actions of {name}", env.action_space)
    raise ValueError(
        f"{name} exposes no model, there is no attribute P; "
        f"to learn from its step() alone: {_call(name if env.spec else env)}"
    )


def _call(env: object) -> str:
    """The call that makes an EnvTask of what was given."""
    if isinstance(env, gym.Env):
        given = f"lambda: {type(env.unwrapped).__name__}(...)"
    else:
        given = repr(env) if isinstance(env, str) else getattr(env, "__name__", "your_function")
        given = "your_function" if given == "<lambda>" else given
    return f"tabular_task({given}, discount=..., model=False)"


def as_task(task: Task) -> TabularTask | EnvTask:
    """A task from a task, or from an MDP without a time limit."""
    if isinstance(task, TabularTask | EnvTask):
        return task
    if isinstance(task, MDP):
        return TabularTask(task)
    kind = f"task must be an MDP, a TabularTask or an EnvTask, got {type(task).__name__}"
    if isinstance(task, str | gym.Env) or callable(task):
        hint = f"; to learn from step(): {_call(task)}"
        if isinstance(task, str):
            hint += f"; from its model, if it has one: tabular_task({task!r}, discount=...)"
        kind += hint
    raise ValueError(kind)


def with_model(task: Task, what: str) -> TabularTask:
    """A task whose model is known.

    Raises:
        ValueError: an EnvTask; the message says that `what` needs a model.
    """
    task = as_task(task)
    if isinstance(task, TabularTask):
        return task
    raise ValueError(f"{what} needs a model, and {task} has none")
