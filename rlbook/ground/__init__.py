"""What every other room stands on: plots, random streams, intervals, masks, files, checks."""

from typing import TYPE_CHECKING

from rlbook.ground.faces import lazy

if TYPE_CHECKING:
    from rlbook.ground.masking import masked_mean, mean_per_run, standardise_per_run
    from rlbook.ground.plotting import (
        COLORS,
        FROZEN_LAKE_MOVES,
        WALL,
        pair,
        plot_curves,
        plot_grid_policy,
        plot_grid_values,
        single,
        use_style,
    )
    from rlbook.ground.saving import cache_folder, load_tensors, save_tensors
    from rlbook.ground.seeding import Streams, generator, run_generators
    from rlbook.ground.statistics import (
        bootstrap_interval,
        interquartile_mean,
        mean_interval,
        paired_difference_interval,
        proportion_interval,
    )

__all__ = [
    "COLORS",
    "FROZEN_LAKE_MOVES",
    "Streams",
    "WALL",
    "bootstrap_interval",
    "cache_folder",
    "generator",
    "interquartile_mean",
    "load_tensors",
    "masked_mean",
    "mean_interval",
    "mean_per_run",
    "pair",
    "paired_difference_interval",
    "plot_curves",
    "plot_grid_policy",
    "plot_grid_values",
    "proportion_interval",
    "run_generators",
    "save_tensors",
    "single",
    "standardise_per_run",
    "use_style",
]

__getattr__, __dir__ = lazy(__name__)
