"""Grids from text, their moves and slips by hand, and the kernel without a table."""

import gymnasium as gym
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbook.ground.seeding import generator
from rlbook.planning.bellman import action_values, bellman_optimality_backup
from rlbook.planning.dynamic_programming import value_iteration
from rlbook.planning.grids import MOVES, GridWorld
from rlbook.planning.mdp import MDP

LEFT, DOWN, RIGHT, UP = range(4)
LAKE = "SFFF FHFH FFFH HFFG".replace("F", ".")


def dense(grid: GridWorld, *, discount=0.9, table=True) -> torch.Tensor:
    return grid.mdp(discount=discount, table=table).transition


def by_hand(grid: GridWorld):
    """P (S, 4, S) and r (S, 4) cell by cell, from what the docstrings say."""
    H, W = grid.shape
    P, r = torch.zeros(H * W, 4, H * W, dtype=torch.float64), torch.zeros(H * W, 4).double()
    for row in range(H):
        for column in range(W):
            s = row * W + column
            for a in range(4):
                if grid.walls[row, column] or grid.ends[row, column]:
                    P[s, a, s] = 1
                    continue
                chances = {a: 1 - grid.slip}
                for side in ((a - 1) % 4, (a + 1) % 4):
                    chances[side] = grid.slip / 2
                for move, chance in chances.items():
                    i, j = row + MOVES[move][0], column + MOVES[move][1]
                    if not (0 <= i < H and 0 <= j < W) or grid.walls[i, j]:
                        i, j = row, column
                    P[s, a, i * W + j] += chance
                    r[s, a] += chance * (grid.step_reward + float(grid.entry_reward[i, j]))
    return P, r


@st.composite
def drawings(draw):
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    line = st.text("...#SGH", min_size=width, max_size=width)
    return "\n".join(draw(st.lists(line, min_size=height, max_size=height)))


def inside_some(text: str) -> bool:
    return any(symbol in ".S" for symbol in text)


# --- from text


def test_what_a_drawing_says():
    grid = GridWorld.from_text("\n  S.#\n  .GH\n", rewards={"G": 5.0, "H": -2.0}, slip=0.1)
    assert grid.shape == (2, 3)
    assert grid.walls.tolist() == [[False, False, True], [False, False, False]]
    assert grid.ends.tolist() == [[False, False, False], [False, True, True]]
    assert grid.starts.nonzero().tolist() == [[0, 0]]
    assert grid.entry_reward.tolist() == [[0, 0, 0], [0, 5, -2]]
    assert (grid.step_reward, grid.slip) == (-1.0, 0.1)


def test_states_are_numbered_in_reading_order():
    grid = GridWorld.from_text("....\n....")
    assert [grid.state(*cell) for cell in ((0, 0), (0, 3), (1, 0), (1, 3))] == [0, 3, 4, 7]
    for cell in ((-1, 0), (2, 0), (0, 4), (0, -1)):
        with pytest.raises(ValueError, match="lies outside a grid of 2 x 4"):
            grid.state(*cell)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("..\n.", r"all lines must be of one length, got \[2, 1\]"),
        ("", r"all lines must be of one length, got \[\]"),
        (".S\n.x", "unknown symbol 'x' at row 1, column 1"),
        (".H\n.G", "unknown symbol 'H' at row 0, column 1"),
    ],
)
def test_bad_drawings(text, message):
    with pytest.raises(ValueError, match=message):
        GridWorld.from_text(text)


@pytest.mark.parametrize("slip", [-0.1, 1.1, float("nan")])
def test_slip_is_a_probability(slip):
    with pytest.raises(ValueError, match="slip must be in"):
        GridWorld.from_text(".G", slip=slip)


def test_starts():
    one = GridWorld.from_text("S.#\n.SG").mdp(discount=0.9)
    assert one.start.tolist() == [0.5, 0, 0, 0, 0.5, 0]
    anywhere = GridWorld.from_text("..#\n..G").mdp(discount=0.9)
    assert anywhere.start.tolist() == [0.25, 0.25, 0, 0.25, 0.25, 0]


# --- moves


@pytest.mark.parametrize("table", [True, False])
def test_moves_without_slipping(table):
    P = dense(GridWorld.from_text("...\n...\n..."), table=table)
    reached = P[4].argmax(-1)  # from the middle
    assert reached[[LEFT, DOWN, RIGHT, UP]].tolist() == [3, 7, 5, 1]
    assert P[0].argmax(-1)[[LEFT, DOWN, RIGHT, UP]].tolist() == [0, 3, 1, 0]  # from the corner
    assert ((P == 0) | (P == 1)).all()


@pytest.mark.parametrize("table", [True, False])
def test_slips_go_to_either_side_and_never_back(table):
    P = dense(GridWorld.from_text("...\n...\n...", slip=0.2), table=table)
    expected = torch.zeros(9, dtype=torch.float64)
    expected[[5, 1, 7]] = torch.tensor([0.8, 0.1, 0.1], dtype=torch.float64)
    torch.testing.assert_close(P[4, RIGHT], expected)


@pytest.mark.parametrize("table", [True, False])
def test_walls_and_edges_keep_the_agent_where_it_is(table):
    P = dense(GridWorld.from_text(".#.\n...", slip=0.2), table=table)
    assert P[0, RIGHT, 0].item() == pytest.approx(0.9)  # the wall, and the upper edge
    assert P[0, RIGHT, 3].item() == pytest.approx(0.1)
    assert (P[:, :, 1].sum(1) == torch.tensor([0, 4, 0, 0, 0, 0])).all()  # nothing enters the wall


@pytest.mark.parametrize("table", [True, False])
def test_entering_an_end_pays_and_staying_in_it_does_not(table):
    grid = GridWorld.from_text(".G.", rewards={"G": 7.0}, step_reward=-2.0)
    mdp = grid.mdp(discount=0.9, table=table)
    assert mdp.reward[0].tolist() == [-2, -2, 5, -2]
    assert mdp.reward[2].tolist() == [5, -2, -2, -2]
    assert mdp.reward[1].tolist() == [0, 0, 0, 0]
    assert mdp.terminal.tolist() == [False, True, False]
    assert (mdp.transition[1, :, 1] == 1).all()


@settings(max_examples=40, deadline=None)
@given(drawings().filter(inside_some), st.sampled_from([0.0, 0.2, 2 / 3, 1.0]))
def test_both_models_are_what_the_definition_says(text, slip):
    grid = GridWorld.from_text(text, rewards={"G": 1.5, "H": -3.0}, step_reward=-0.5, slip=slip)
    P, r = by_hand(grid)
    values = torch.randn(2, len(P), generator=generator(1), dtype=torch.float64)
    q = r + 0.9 * torch.einsum("sat,bt->bsa", P, values)
    for table in (True, False):
        mdp = grid.mdp(discount=0.9, table=table)
        torch.testing.assert_close(mdp.transition, P)
        torch.testing.assert_close(mdp.reward, r)
        torch.testing.assert_close(action_values(mdp, values), q)
        states, actions = torch.arange(len(P)), torch.arange(len(P)) % 4
        successors, chances = mdp.kernel.gather(states, actions)
        gathered = torch.zeros_like(P[:, 0]).scatter_add_(-1, successors, chances)
        torch.testing.assert_close(gathered, P[states, actions])
        policy = torch.rand(len(P), 4, generator=generator(2), dtype=torch.float64)
        policy = policy / policy.sum(-1, keepdim=True)
        chain = mdp.induced_chain(policy).transition[:, 0]
        torch.testing.assert_close(chain, torch.einsum("sa,sat->st", policy, P))


def test_a_large_maze_solves_alike_with_and_without_a_table():
    walls = torch.rand(60, 70, generator=generator(3)) < 0.25
    ends = torch.zeros_like(walls)
    ends[30, 40], walls[30, 40] = True, False
    pay = torch.zeros(60, 70, dtype=torch.float64)
    grid = GridWorld(walls, ends, torch.zeros_like(walls), pay, -1.0, 0.2)
    with_table, without = (
        value_iteration(grid.mdp(discount=0.95, table=table), tolerance=1e-9)
        for table in (True, False)
    )
    assert with_table.sweeps == without.sweeps
    torch.testing.assert_close(with_table.values, without.values)
    assert (without.values[walls.flatten()] == 0).all()


@pytest.mark.parametrize("table", [True, False])
def test_discount_one_needs_a_way_out(table):
    grid = GridWorld.from_text("..G", step_reward=-1.0)
    values = value_iteration(grid.mdp(discount=1.0, table=table)).values
    assert values.tolist() == [-2, -1, 0]
    with pytest.raises(ValueError, match="state 0 cannot reach"):
        GridWorld.from_text(".#G").mdp(discount=1.0, table=table)
    with pytest.raises(ValueError, match="discount must be in"):
        grid.mdp(discount=1.5, table=table)


def test_a_copy_on_a_device_is_the_same_model():
    mdp = GridWorld.from_text("..#\n..G", slip=0.3).mdp(discount=0.9, table=False)
    moved, values = mdp.to("cpu"), torch.arange(6.0).double()
    torch.testing.assert_close(
        bellman_optimality_backup(moved, values), bellman_optimality_backup(mdp, values)
    )


def test_a_large_grid_refuses_to_become_dense():
    grid = GridWorld.from_text("\n".join(["." * 99 + "G"] * 100))
    with pytest.raises(ValueError, match="too large"):
        _ = grid.mdp(discount=0.9, table=False).transition


# --- FrozenLake


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("slippery", [True, False])
def test_frozen_lake_is_the_grid_of_its_map(slippery, table):
    """The same state numbers and actions; Gymnasium's ends lead to one added state."""
    env = gym.make("FrozenLake-v1", is_slippery=slippery)
    theirs = MDP.from_gymnasium(env, discount=0.99)
    drawing = "\n".join("".join(x.decode() for x in row) for row in env.unwrapped.desc)
    assert drawing.replace("F", ".").split() == LAKE.split()
    ours = GridWorld.from_text(
        drawing.replace("F", "."),
        rewards={"G": 1.0, "H": 0.0},
        step_reward=0.0,
        slip=2 / 3 if slippery else 0.0,
    ).mdp(discount=0.99, table=table)
    live = ~ours.terminal
    torch.testing.assert_close(ours.reward[live], theirs.reward[:16][live])
    P = theirs.transition[:16][live]
    torch.testing.assert_close(ours.transition[live][..., live], P[..., :16][..., live])
    ended = ours.transition[live][..., ~live].sum(-1)
    torch.testing.assert_close(ended, P[..., 16])
    torch.testing.assert_close(ours.start, theirs.start[:16])
    values = value_iteration(ours, tolerance=1e-12).values
    torch.testing.assert_close(values, value_iteration(theirs, tolerance=1e-12).values[:16])
    if slippery:
        assert round(float(values[0]), 3) == 0.542


@pytest.mark.parametrize("table", [True, False])
def test_rewards_are_finite_with_a_table_and_without(table):
    with pytest.raises(ValueError, match="reward inf at state 0, action 0"):
        GridWorld.from_text("..G", step_reward=torch.inf).mdp(discount=0.9, table=table)
