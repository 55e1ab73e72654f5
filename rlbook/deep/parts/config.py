"""The settings that all deep learners share, checked before anything is built."""

import math
from dataclasses import dataclass

from rlbook.ground import require


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What every agent's Config begins with."""

    discount: float = 0.99
    """gamma."""
    learning_rate: float = 1e-3
    """Of Adam."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Of each network."""
    num_envs: int = 8
    """E, parallel environments of each run."""
    num_evals: int = 11
    """Evaluations, evenly spaced; the first is before learning, the last after it."""
    evaluation_episodes: int = 10
    """Greedy episodes of each evaluation."""
    evaluation_step_cap: int | None = None
    """Where an evaluation episode is cut; by default at the environment's time limit."""
    stop_at_return: float | None = None
    """A run whose evaluation has this mean return, or more, rests from then on, and the training
    ends once all do. The evaluation that chose the moment flatters the run: `Result.evaluate` says
    how good it is."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden_sizes", tuple(self.hidden_sizes))
        self.require_within(0, 1, "discount")
        self.require_positive("learning_rate")
        self.require_positive_integers("num_envs", "evaluation_episodes")
        if self.num_evals < 2 or int(self.num_evals) != self.num_evals:
            raise ValueError(f"num_evals must be a whole number >= 2, got {self.num_evals}")
        if self.stop_at_return is not None and not math.isfinite(self.stop_at_return):
            raise ValueError(f"stop_at_return must be a finite number, got {self.stop_at_return}")
        if any(size < 1 or int(size) != size for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes must be positive, got {self.hidden_sizes}")

    def require_one_update(self, total: str, *factors: str) -> None:
        """The total is enough for one update, of the product of these settings."""
        sizes = [getattr(self, name) for name in factors]
        if getattr(self, total) < math.prod(sizes):
            product = " x ".join(
                f"{name} {size}" for name, size in zip(factors, sizes, strict=True)
            )
            got = f"{total} is {getattr(self, total)}"
            raise ValueError(f"{got}: an update takes {product} = {math.prod(sizes)}")

    def require_positive_integers(self, *names: str) -> None:
        for name in names:
            require.positive_integer(name, getattr(self, name))

    def require_within(self, low: float, high: float, *names: str) -> None:
        for name in names:
            require.within(name, getattr(self, name), low, high)

    def require_positive(self, *names: str) -> None:
        for name in names:
            require.positive(name, getattr(self, name))
