"""Random mazes: their rooms, their walls, and that every room can be reached."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbook.ground.seeding import generator
from rlbook.planning.mazes import random_maze


def reached_from(grid, row, column) -> torch.Tensor:
    """(H, W) bool: flood from one cell until nothing is added."""
    found = torch.zeros_like(grid.walls)
    found[row, column] = True
    while True:
        grown = found.clone()
        grown[1:] |= found[:-1]
        grown[:-1] |= found[1:]
        grown[:, 1:] |= found[:, :-1]
        grown[:, :-1] |= found[:, 1:]
        grown &= ~grid.walls
        if torch.equal(grown, found):
            return found
        found = grown


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 20), st.integers(3, 20), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 99))
def test_every_free_cell_is_reached_and_without_openings_by_one_way(height, width, openings, seed):
    grid = random_maze(height, width, goals=[(1, 1)], openings=openings, generator=generator(seed))
    assert grid.shape == (height, width)
    free = ~grid.walls
    assert torch.equal(reached_from(grid, 1, 1), free)
    rooms = ((height - 1) // 2) * ((width - 1) // 2)
    rows, columns = (height - 1) // 2, (width - 1) // 2
    assert free[1 : 2 * rows : 2, 1 : 2 * columns : 2].sum() == rooms
    inner = rows * (columns - 1) + columns * (rows - 1)
    fallen = int(free.sum()) - rooms
    if openings == 0:
        assert fallen == rooms - 1  # a tree
    elif openings == 1:
        assert fallen == inner
    assert rooms - 1 <= fallen <= inner
    frame = torch.cat([free[0], free[-1], free[:, 0], free[:, -1]])
    assert not frame.any()


def test_the_goals_end_and_pay_nothing():
    grid = random_maze(7, 9, goals=[(1, 1), (5, 7)], slip=0.1, generator=generator(0))
    assert grid.ends.nonzero().tolist() == [[1, 1], [5, 7]]
    assert not grid.entry_reward.any() and not grid.starts.any()
    assert (grid.step_reward, grid.slip) == (-1.0, 0.1)


def test_the_generator_decides():
    draw = lambda seed: random_maze(21, 21, goals=[], generator=generator(seed)).walls  # noqa: E731
    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 2}, "height must be at least 3, got 2"),
        ({"openings": 1.5}, "openings must be in"),
        ({"goals": [(2, 1)]}, r"goal \(2, 1\) is no room"),
        ({"goals": [(1, 11)]}, r"goal \(1, 11\) is no room"),
        ({"goals": [(-1, 1)]}, r"goal \(-1, 1\) is no room"),
    ],
)
def test_bad_arguments(arguments, message):
    good = {"height": 9, "width": 9, "goals": [(1, 1)], "generator": generator(0)}
    with pytest.raises(ValueError, match=message):
        random_maze(**good | arguments)
