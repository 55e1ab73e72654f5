"""Spaces that no learner of the book takes, and the line of code that makes ones of them.

A line is a factory, to give in place of the environment: the last line of a message. It needs
nothing but `import gymnasium, numpy`, and what the message says is yours to write.
"""

import math

from gymnasium import Space, spaces
from gymnasium.spaces.utils import flatten_space

MAX_COMBINATIONS = 1_000  # of several choices, as one choice
LARGEST = 2**24  # whole numbers up to here are float32 numbers
WRAPPERS = "gymnasium.wrappers"


def flattens(space: Space) -> bool:
    """Whether Gymnasium makes one vector of numbers of it."""
    try:
        return isinstance(flatten_space(space), spaces.Box)
    except (NotImplementedError, ValueError):  # a class of somebody's own; a Dict of nothing
        return False


def observation_advice(space: Space, make: str) -> str:
    """How vectors of numbers are made of the observations of `make`, "gymnasium.make(...)"."""
    if flattens(space):
        return f"flatten what it observes:\nlambda: {WRAPPERS}.FlattenObservation({make})"
    parts: dict = {}
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = dict(space.items() if isinstance(space, spaces.Dict) else enumerate(space))
    kept = [key for key, part in parts.items() if flattens(part)]
    if not kept:
        return (
            "Gymnasium cannot flatten that: write a function f that makes n numbers of it, "
            f"between low and high:\nlambda: {WRAPPERS}.TransformObservation({make}, f, "
            "gymnasium.spaces.Box(low, high, (n,)))"
        )
    left = [f"{key!r}, a {type(parts[key]).__name__}" for key in parts if key not in kept]
    return (
        f"flatten what it observes, without what Gymnasium cannot flatten ({'; '.join(left)}):\n"
        f"lambda: {WRAPPERS}.FlattenObservation({WRAPPERS}.FilterObservation({make}, {kept}))"
    )


def action_advice(space: Space, make: str) -> str:
    """How the actions of `make` are made of one choice, or of a vector of real numbers."""
    levels = _levels(space)
    if levels is not None and math.prod(levels[1]) <= MAX_COMBINATIONS:
        lowest, sizes = levels
        return (
            "give a number to each combination of choices:\n"
            f"lambda: {WRAPPERS}.TransformAction({make}, lambda a: "
            f"{_rebuilt(space, f'numpy.add(numpy.unravel_index(a, {sizes}), {lowest})')}, "
            f"gymnasium.spaces.Discrete({math.prod(sizes)}))"
        )
    if levels is not None and not isinstance(space, spaces.Tuple | spaces.Dict):
        lowest, sizes = levels
        highest = [low + size - 1 for low, size in zip(lowest, sizes, strict=True)]
        return (
            "there are too many combinations for one choice, but real numbers can be rounded:\n"
            f"lambda: {WRAPPERS}.TransformAction({make}, lambda a: "
            f"{_rebuilt(space, 'numpy.round(a)')}, {_box(lowest, highest)})"
        )
    if isinstance(space, spaces.Box) and space.dtype.kind == "f":
        return (
            "give them one axis:\n"
            f"lambda: {WRAPPERS}.TransformAction({make}, lambda a: {_rebuilt(space, 'a')}, "
            f"{_box(space.low.ravel().tolist(), space.high.ravel().tolist())})"
        )
    return (
        "write a function f that makes such an action of a number from 0 to n - 1:\n"
        f"lambda: {WRAPPERS}.TransformAction({make}, f, gymnasium.spaces.Discrete(n))"
    )


def _levels(space: Space) -> tuple[list[int], list[int]] | None:
    """Of several choices, the lowest number of each, and how many it has; or None."""
    if isinstance(space, spaces.MultiDiscrete):
        return space.start.ravel().tolist(), space.nvec.ravel().tolist()
    if isinstance(space, spaces.MultiBinary):
        size = math.prod(space.shape)
        return [0] * size, [2] * size
    if isinstance(space, spaces.Box) and space.dtype.kind in "iu":
        lowest, highest = space.low.ravel().tolist(), space.high.ravel().tolist()
        if min(lowest) < -LARGEST or max(highest) > LARGEST:
            return None
        return lowest, [high - low + 1 for low, high in zip(lowest, highest, strict=True)]
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = list(space.values() if isinstance(space, spaces.Dict) else space)
        choices = [part for part in parts if isinstance(part, spaces.Discrete)]
        if choices and len(choices) == len(parts):
            return [int(part.start) for part in choices], [int(part.n) for part in choices]
    return None


def _rebuilt(space: Space, numbers: str) -> str:
    """Code that makes an action of this space of the code of its numbers, in order."""
    if isinstance(space, spaces.Tuple):
        return f"tuple({numbers})"
    if isinstance(space, spaces.Dict):
        return f"dict(zip({list(space)}, {numbers}))"
    return f'numpy.reshape({numbers}, {space.shape}).astype("{space.dtype}")'


def _box(low: list, high: list) -> str:
    """Code that makes a Box with one axis and these bounds."""
    if len({*low}) == len({*high}) == 1:
        bounds = f"{float(low[0])}, {float(high[0])}, ({len(low)},)"
    else:
        bounds = f'numpy.array({low}, "float32"), numpy.array({high}, "float32")'
    return f"gymnasium.spaces.Box({bounds.replace('inf', 'numpy.inf')})"
