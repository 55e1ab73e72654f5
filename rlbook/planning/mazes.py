"""Random mazes of any size: a spanning tree of rooms, with some more walls opened."""

import numpy as np
import torch

from rlbook.ground import require
from rlbook.planning.grids import GridWorld


def random_maze(
    height: int,
    width: int,
    *,
    goals: list[tuple[int, int]],
    openings: float = 0.0,
    step_reward: float = -1.0,
    slip: float = 0.0,
    generator: torch.Generator,
) -> GridWorld:
    """A maze in which every room can be reached from every other one.

    Rooms are the cells of odd row and odd column inside the frame. Random weights are drawn
    for the walls between neighbouring rooms, and a minimum spanning tree says which of them
    fall; of those that stand, a share falls too, so that there is more than one way.

    Args:
        height, width: of the drawing, walls included; at least 3.
        goals: (row, column) of rooms that end the episode; entering them pays nothing more.
        openings: the probability with which each of the other inner walls falls, in [0, 1].
        step_reward, slip: as in `GridWorld`.

    Raises:
        ValueError: a size below 3, openings outside [0, 1], a goal that is no room.
    """
    from scipy.sparse import csgraph, csr_array  # takes half a second

    require.at_least("height", height, 3)
    require.at_least("width", width, 3)
    require.within("openings", openings, 0, 1)
    for row, column in goals:
        if not (0 < row < height - 1 and 0 < column < width - 1 and row % 2 and column % 2):
            raise ValueError(f"goal ({row}, {column}) is no room: rooms have odd coordinates")
    rows, columns = (height - 1) // 2, (width - 1) // 2
    rooms = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)  # for old scipy
    one = np.concatenate([rooms[:, :-1].ravel(), rooms[:-1].ravel()])
    other = np.concatenate([rooms[:, 1:].ravel(), rooms[1:].ravel()])
    draws = torch.rand(2, len(one), generator=generator, dtype=torch.float64).numpy()
    graph = csr_array((draws[0] + 1, (one, other)), shape=(rooms.size, rooms.size))
    tree = csgraph.minimum_spanning_tree(graph).tocoo()
    extra = draws[1] < openings
    walls = torch.ones(height, width, dtype=torch.bool)
    walls[1 : 2 * rows : 2, 1 : 2 * columns : 2] = False
    for a, b in ((tree.row, tree.col), (one[extra], other[extra])):
        middle_row, middle_column = a // columns + b // columns + 1, a % columns + b % columns + 1
        walls[middle_row, middle_column] = False  # halfway between rooms 2 i + 1 and 2 j + 1
    ends = torch.zeros_like(walls)
    for row, column in goals:
        ends[row, column] = True
    pay = torch.zeros(height, width, dtype=torch.float64)
    return GridWorld(walls, ends, torch.zeros_like(walls), pay, step_reward, slip)
