"""The lab of chapter 4: value iteration on a small maze with two prizes, sweep by sweep."""

import matplotlib.pyplot as plt
import torch
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
NO_BACKUP = "a wall, or an end: nothing to back up"


def draw(sweep: int = 0, row: int = 1, column: int = 1) -> Figure:
    """Numbers, arrows and one backup after `sweep` sweeps from zero.

    Left: V_k. Middle: the greedy actions for V_k, all of them where several are equally good.
    Right: what each action of the cell (row, column) promises, r + discount V_k(s'); the
    largest is the cell's next number, Eq. (4.1).

    Raises:
        ValueError: sweep not in 0 .. MAX_SWEEPS, or a cell outside the maze.
    """
    if not 0 <= sweep <= MAX_SWEEPS:
        raise ValueError(f"sweep must be in 0 .. {MAX_SWEEPS}, got {sweep}")
    grid = GridWorld.from_text(MAZE, rewards=PRIZES, step_reward=0.0)
    cell = grid.state(row, column)
    mdp = grid.mdp(discount=DISCOUNT)
    values = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(sweep):
        values = bellman_optimality_backup(mdp, values)
    q = action_values(mdp, values)
    fig, axes = plt.subplots(1, 3, figsize=(9, 2.4), layout="constrained", width_ratios=(1, 1, 0.8))
    numbers, arrows, backup = axes
    marks = dict(zip(grid.ends.flatten().nonzero().flatten().tolist(), ("+1", "+10"), strict=True))
    walls = grid.walls
    shown = values.masked_fill(grid.ends.flatten(), torch.nan)
    plot_grid_values(
        numbers, shown, grid.shape, limits=(0, 10), digits=1, walls=walls, terminal=marks
    )
    plot_grid_values(
        arrows, values, grid.shape, limits=(0, 10), text=False, walls=walls, terminal=marks
    )
    best = (q > q.amax(-1, keepdim=True) - 1e-9).double()
    plot_grid_policy(
        arrows, best / best.sum(-1, keepdim=True), grid.shape, walls=walls, terminal=marks
    )
    numbers.set_title(f"after {sweep} sweep{'s' * (sweep != 1)}")
    arrows.set_title("arrows")
    for ax in (numbers, arrows):
        frame = plt.Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, linewidth=2.4)
        frame.set(edgecolor=COLORS["vermillion"], zorder=5)
        ax.add_patch(frame)
    backup.set_title(f"the backup of cell ({row}, {column})")
    if mdp.terminal[cell]:
        backup.text(0.5, 0.5, NO_BACKUP, ha="center", transform=backup.transAxes)
        backup.set_axis_off()
        return fig
    colors = [COLORS["orange"] if b else COLORS["sky"] for b in best[cell]]
    bars = backup.barh(["left", "down", "right", "up"], q[cell].tolist(), color=colors)
    backup.bar_label(bars, fmt="%.2f", padding=3)
    backup.invert_yaxis()
    backup.set(xlim=(0, 11.5), xlabel=r"$r + 0.9\,V_k(s')$")
    backup.grid(False)
    return fig
