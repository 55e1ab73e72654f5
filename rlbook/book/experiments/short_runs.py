"""How experiments run trainings: some runs at a time, in environments of their own. A short run is
the same training, interrupted, which keeps what it learned so far."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from rlbook.deep.parts.envs.native import ControlEnvs
from rlbook.deep.parts.envs.physics import CONTROL_TASKS
from rlbook.ground.seeding import Streams

Envs = TypeVar("Envs", bound=ControlEnvs)


def interrupted_after(calls: int | None, function: Callable) -> Callable:
    """`function`, whose next call after so many raises KeyboardInterrupt; None never does."""
    if calls is None:
        return function
    left = iter(range(calls))

    def counted(*args, **options):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return function(*args, **options)

    return counted


def learning_envs(
    task: str,
    settings,
    run_ids: Sequence[int],
    seed: int,
    kind: type[Envs],
    *,
    steps: int | None = None,
    resets: int | None = None,
) -> Envs:
    """Environments of this kind in which to train with these settings; the training is interrupted
    after so many steps or resets."""
    streams = Streams(seed, run_ids).spawn(9)
    envs = kind(CONTROL_TASKS[task], num_envs=settings.num_envs, streams=streams)
    for name, calls in (("step", steps), ("reset", resets)):
        if calls is not None:
            setattr(envs, name, interrupted_after(calls, getattr(envs, name)))
    return envs


def returns_before_learning(arrays: dict) -> dict:
    """Of a comparison's arrays, what no rounding moves: the first evaluations, and all that are no
    returns. For `Experiment.determined`."""
    return {key: x[..., :1] if key.startswith("returns") else x for key, x in arrays.items()}


def in_batches(runs: int, size: int) -> list[list[int]]:
    """The runs 0 .. runs - 1, so many at a time; the last ones may be fewer."""
    return [list(range(k, min(k + size, runs))) for k in range(0, runs, size)]
