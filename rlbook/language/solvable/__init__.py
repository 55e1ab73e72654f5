"""The solvable language model: every answer enumerated, so that estimators meet the truth."""

from rlbook.language.solvable.fixed_points import ExpectedGRPO, frontier_gap
from rlbook.language.solvable.model import (
    AnswerTree,
    SolvableLM,
    World,
    exact_kl,
    expected_reward,
    frontier,
    small_world,
)
from rlbook.language.solvable.training import SolvableConfig, solvable_loss, train_solvable

__all__ = [
    "AnswerTree",
    "ExpectedGRPO",
    "SolvableConfig",
    "SolvableLM",
    "World",
    "exact_kl",
    "expected_reward",
    "frontier",
    "frontier_gap",
    "small_world",
    "solvable_loss",
    "train_solvable",
]
