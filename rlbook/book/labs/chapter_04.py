"""The lab of chapter 4: value iteration on a small maze with two prizes, sweep by sweep."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlbook.ground.plotting import COLORS, plot_grid_policy, plot_grid_values
from rlbook.planning.bellman import action_values, bellman_optimality_backup
from rlbook.planning.grids import GridWorld

MAZE = """
.......
.S.#.#.
...#.#.
.1.#.#9
...#...
"""
PRIZES = {"1": 1.0, "9": 10.0}
DISCOUNT = 0.9
MAX_SWEEPS = 20
WALLS_ARE = "a wall, or an end: nothing to back up"


def draw(sweep: int = 0, row: int = 1, column: int = 1) -> Figure:
    """Numbers, arrows and one backup after `sweep` sweeps from zero.

    Left: V_k. Middle: the greedy actions for V_k, all of them where several are equally good.
    Right: what each action of the cell (row, column) promises, r + discount V_k(s'); the
    largest is the cell's next number, Eq. (4.1).

    Raises:
        ValueError: sweep not in 0 .. MAX_SWEEPS, or a cell outside the maze.
    """
    return strip([(sweep, row, column)])


def strip(frames: Sequence[tuple[int, int, int]]) -> Figure:
    """The same picture for several (sweep, row, column), one below the other."""
    size, shape = (9, 2.4 * len(frames)), (len(frames), 3)
    fig = plt.figure(figsize=size, layout="constrained")
    for axes, frame in zip(
        fig.subplots(*shape, width_ratios=(1, 1, 0.8), squeeze=False), frames, strict=True
    ):
        _draw_row(axes, *frame)
    return fig


def _draw_row(axes: Sequence[Axes], sweep: int, row: int, column: int) -> None:
    if not 0 <= sweep <= MAX_SWEEPS:
        raise ValueError(f"sweep must be in 0 .. {MAX_SWEEPS}, got {sweep}")
    grid = GridWorld.from_text(MAZE, rewards=PRIZES, step_reward=0.0)
    cell = grid.state(row, column)
    mdp = grid.mdp(discount=DISCOUNT)
    values = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweep):
        values = bellman_optimality_backup(mdp, values)
    q = action_values(mdp, values)
    numbers, arrows, backup = axes
    marks = dict(zip(grid.ends.flatten().nonzero().flatten().tolist(), ("+1", "+10"), strict=True))
    where = {"walls": grid.walls, "terminal": marks}
    shown = values.masked_fill(grid.ends.flatten(), torch.nan)
    plot_grid_values(numbers, shown, grid.shape, limits=(0, 10), digits=1, **where)
    plot_grid_values(arrows, values, grid.shape, limits=(0, 10), text=False, **where)
    best = (q > q.amax(-1, keepdim=True) - 1e-9).double()
    plot_grid_policy(arrows, best / best.sum(-1, keepdim=True), grid.shape, **where)
    numbers.set_title(f"numbers after {sweep} sweeps")
    arrows.set_title("arrows")
    for ax in (numbers, arrows):
        frame = {"fill": False, "edgecolor": COLORS["vermillion"], "linewidth": 2.4, "zorder": 5}
        ax.add_patch(plt.Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, **frame))
    backup.set_title(f"the backup of cell ({row}, {column})")
    if mdp.terminal[cell]:
        backup.text(0.5, 0.5, WALLS_ARE, ha="center", transform=backup.transAxes)
        backup.set_axis_off()
        return
    colors = [COLORS["orange"] if b else COLORS["sky"] for b in best[cell]]
    bars = backup.barh(["left", "down", "right", "up"], q[cell], color=colors)
    backup.bar_label(bars, fmt="%.2f", padding=3)
    backup.invert_yaxis()
    backup.set(xlim=(0, 11.5), xlabel=r"$r + 0.9\,V_k(s')$")
    backup.grid(False)


def widget():
    """Sliders around `draw`; needs ipywidgets."""
    from ipywidgets import IntSlider, interactive

    rows, columns = GridWorld.from_text(MAZE, rewards=PRIZES).shape
    return interactive(
        lambda sweep, row, column: plt.show(draw(sweep, row, column)),
        sweep=IntSlider(value=0, min=0, max=MAX_SWEEPS, continuous_update=False),
        row=IntSlider(value=1, min=0, max=rows - 1, continuous_update=False),
        column=IntSlider(value=1, min=0, max=columns - 1, continuous_update=False),
    )
