"""Which source an experiment's numbers depend on: all that its function reaches, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlbook.ground.sources import WHOLE, Reached, Target, reach, source_hash

if TYPE_CHECKING:
    from rlbook.book.experiments import Experiment

NO_NUMBERS = {
    *("rlbook.book.experiments", "rlbook.ground.progress", "rlbook.ground.sources"),
    *("rlbook.ground.checks", "rlbook.ground.plotting", "rlbook.deep.parts.keeping"),
}
"""Modules that draw, wait, compare or keep: no stored number depends on them."""


def hash_of(experiment: Experiment) -> str:
    """One hash of every definition that the numbers of an experiment depend on."""
    return source_hash(reached(experiment))


def reached(experiment: Experiment) -> dict[Target, Reached]:
    """Everything the experiment depends on, in the order in which it is first mentioned."""
    own = experiment.run.__module__
    start = [(own, experiment.run.__name__), *((m, WHOLE) for m in experiment.depends)]
    return reach(start, {own, *experiment.depends}, NO_NUMBERS)
