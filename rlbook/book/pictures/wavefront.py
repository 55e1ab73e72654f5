"""The wavefront of value iteration in a maze: `python -m rlbook.book wavefront` redraws
figures/value_wavefront.gif, frame by frame from the values themselves, and the animation of
chapter 0."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from rlbook.book.paths import FIGURES
from rlbook.ground.animation import animate_frames, figure_frame
from rlbook.ground.plotting import plot_grid_values, use_style
from rlbook.ground.seeding import generator
from rlbook.planning.bellman import bellman_optimality_backup
from rlbook.planning.grids import GridWorld
from rlbook.planning.mazes import random_maze

PATH = FIGURES / "value_wavefront.gif"
DISCOUNT = 0.97
UNKNOWN = "#D9D9D9"


def wavefront_maze() -> GridWorld:
    """The maze of chapter 4: 15 x 31 cells, the goal at the top left, no slipping."""
    return random_maze(15, 31, goals=[(1, 1)], openings=0.15, generator=generator(4))


def wavefront_values() -> torch.Tensor:
    """(sweeps + 1, S): the values after each sweep from zero, until nothing changes."""
    mdp = wavefront_maze().mdp(discount=DISCOUNT)
    values = [torch.zeros(mdp.num_states, dtype=torch.float64)]
    while len(values) < 2 or not torch.equal(values[-1], values[-2]):
        values.append(bellman_optimality_backup(mdp, values[-1]))
    return torch.stack(values[:-1])


def wavefront_frames() -> Iterator[np.ndarray]:
    """One picture a sweep: cells with their final value are coloured, the others grey."""
    maze, values = wavefront_maze(), wavefront_values()
    open_cells = ~maze.walls.flatten()
    limits = (float(values[-1].min()), 0.0)
    for sweep, now in enumerate(values):
        final = (now - values[-1]).abs() < 1e-12
        shown = torch.where(final, now, torch.nan)
        count = int((final & open_cells).sum())
        with plt.style.context("default"):
            use_style()
            fig, ax = plt.subplots(figsize=(5.2, 2.7), layout="constrained", dpi=100)
            ax.set_facecolor(UNKNOWN)
            plot_grid_values(
                ax, shown, maze.shape, walls=maze.walls, terminal={maze.state(1, 1): "G"},
                text=False, limits=limits,
            )  # fmt: skip
            ax.set_title(f"sweep {sweep}: {count} of {int(open_cells.sum())} cells are final")
            frame = figure_frame(fig)
            plt.close(fig)
        yield frame


def save(path: Path = PATH) -> Path:
    """Draw the animation; the same frames give the same bytes."""
    return animate_frames(list(wavefront_frames()), path, fps=6)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    print(save())
    return 0
