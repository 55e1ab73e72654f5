"""The settings that all deep learners share, checked before anything is built."""

from dataclasses import dataclass


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
    evaluation_episodes: int = 20
    """Greedy episodes of each evaluation."""
    evaluation_step_cap: int | None = None
    """Where an evaluation episode is cut; by default at the environment's time limit."""

    def __post_init__(self):
        object.__setattr__(self, "hidden_sizes", tuple(self.hidden_sizes))
        if not 0 <= self.discount <= 1:
            raise ValueError(f"discount must be in [0, 1], got {self.discount}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        self.require_positive_integers("num_envs", "evaluation_episodes")
        if self.num_evals < 2 or int(self.num_evals) != self.num_evals:
            raise ValueError(f"num_evals must be a whole number >= 2, got {self.num_evals}")
        if any(size < 1 or int(size) != size for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes must be positive, got {self.hidden_sizes}")

    def require_positive_integers(self, *names: str) -> None:
        for name in names:
            number = getattr(self, name)
            if isinstance(number, bool) or number < 1 or int(number) != number:
                raise ValueError(f"{name} must be a positive whole number, got {number}")

    def require_within(self, low: float, high: float, *names: str) -> None:
        for name in names:
            number = getattr(self, name)
            if not low <= number <= high:
                raise ValueError(f"{name} must be in [{low}, {high}], got {number}")
