"""A slippery maze of a million states, beside quantecon; policy iteration on sparse models.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_dynamic_programming.py            # SIZE=300 for a quick look

Before anything is timed, sweeps are compared with the definition of the maze at a thousand of its
cells, and the answers of each method to a small maze with those of a dense table; of the answers
to the large one, the Bellman residual is asserted. Nothing here asserts a time. Plain `pytest` does
not collect this file.
"""

import os

import numpy as np
import pytest
import torch
from test_grids import by_hand

from rlbook.planning import bellman
from rlbook.planning.bellman import bellman_optimality_backup
from rlbook.planning.dynamic_programming import policy_iteration, value_iteration
from rlbook.planning.grids import MOVES, GridWorld
from rlbook.planning.mazes import random_maze
from rlbook.planning.mdp import MDP

SIZE, SMALL = int(os.environ.get("SIZE", "1000")), 12
DISCOUNT, TOLERANCE, SLIP = 0.99, 1e-6, 0.2
FLOAT64 = {"rtol": 1e-12, "atol": 1e-12}
"""Sums of a few numbers near 1."""


def make_maze(size: int) -> GridWorld:
    """A fifth of the cells is wall; the goal is in the last corner; every step costs 1."""
    walls = torch.rand(size, size, generator=torch.Generator().manual_seed(0)) < 0.2
    goal = torch.zeros_like(walls)
    goal[-1, -1] = True
    pay = torch.zeros(size, size, dtype=torch.float64)
    return GridWorld(walls & ~goal, goal, torch.zeros_like(goal), pay, -1.0, SLIP)


@pytest.fixture(scope="module")
def maze(quick) -> GridWorld:
    return make_maze(100 if quick else SIZE)


def make_peer(maze: GridWorld):
    """The same model as a quantecon DiscreteDP, from state-action pairs."""
    quantecon = pytest.importorskip("quantecon")
    sparse = pytest.importorskip("scipy.sparse")
    mdp = maze.mdp(discount=DISCOUNT)
    S, A = mdp.num_states, mdp.num_actions
    K = mdp.kernel.next_states.shape[1]
    columns = mdp.kernel.next_states.permute(2, 0, 1).reshape(-1).numpy()
    data = mdp.kernel.probabilities.permute(2, 0, 1).reshape(-1).numpy()
    rows = np.arange(0, S * A * K + 1, K)
    matrix = sparse.csr_matrix((data, columns, rows), shape=(S * A, S))
    matrix.sum_duplicates()
    states, actions = np.repeat(np.arange(S), A), np.tile(np.arange(A), S)
    reward = mdp.reward.contiguous().numpy().reshape(-1)
    return quantecon.markov.DiscreteDP(reward, matrix, DISCOUNT, states, actions)


@pytest.fixture(scope="module")
def peer(maze):
    return make_peer(maze)


def slow_backup(maze: GridWorld, values: torch.Tensor, row: int, column: int) -> float:
    """max_a sum_s' P(s'|s, a) [-1 + discount V(s')] of one cell, move by move."""
    if maze.walls[row, column] or maze.ends[row, column]:
        return 0.0
    (H, W), found = maze.shape, []
    for a in range(4):
        total = 0.0
        for move, chance in ((a, 1 - SLIP), ((a - 1) % 4, SLIP / 2), ((a + 1) % 4, SLIP / 2)):
            i, j = row + MOVES[move][0], column + MOVES[move][1]
            if not (0 <= i < H and 0 <= j < W) or maze.walls[i, j]:
                i, j = row, column
            total += chance * (-1.0 + DISCOUNT * float(values[i * W + j]))
        found.append(total)
    return max(found)


def check_sweep(maze: GridWorld, mdp) -> None:
    """One backup of random values, at a thousand cells."""
    rng = torch.Generator().manual_seed(1)
    values = torch.randn(mdp.num_states, dtype=torch.float64, generator=rng)
    values[mdp.terminal] = 0.0
    backed_up = bellman_optimality_backup(mdp, values)
    cells = torch.randint(mdp.num_states, (1000,), generator=rng)
    W = maze.shape[1]
    slow = [slow_backup(maze, values, s // W, s % W) for s in cells.tolist()]
    torch.testing.assert_close(backed_up[cells], torch.tensor(slow, dtype=values.dtype), **FLOAT64)


@pytest.fixture(scope="module")
def small() -> tuple[GridWorld, torch.Tensor]:
    """A small maze and its values, by sweeps over the dense table that its definition gives."""
    maze = make_maze(SMALL)
    P, r = by_hand(maze)
    values = torch.zeros(len(r), dtype=torch.float64)
    for _ in range(3000):  # 0.99^3000 = 1e-13
        values = (r + DISCOUNT * P @ values).amax(1)
    return maze, values


def error(values, small) -> float:
    """The largest of the small maze's values."""
    return float((torch.as_tensor(values) - small[1]).abs().max())


BOUND = DISCOUNT / (1 - DISCOUNT) * TOLERANCE
"""Of the error of values whose residual is TOLERANCE, Eq. (4.6)."""


def residual(maze: GridWorld, values) -> float:
    values = torch.as_tensor(values)
    backed_up = bellman_optimality_backup(maze.mdp(discount=DISCOUNT, table=False), values)
    return float((backed_up - values).abs().max())


@pytest.mark.parametrize("table", [False, True], ids=["grid", "successors"])
def bench_sweep(benchmark, maze, table):
    """One backup of every state; first compared with the definition at a thousand of them."""
    mdp = maze.mdp(discount=DISCOUNT, table=table)
    check_sweep(maze, mdp)
    values = torch.randn(mdp.num_states, dtype=torch.float64)
    benchmark.pedantic(bellman_optimality_backup, (mdp, values), rounds=20, warmup_rounds=3)


def bench_value_iteration(benchmark, maze, small):
    """First compares a sweep, and the values of a small maze with those of a dense table."""
    mdp, options = maze.mdp(discount=DISCOUNT, table=False), {"tolerance": TOLERANCE}
    check_sweep(maze, mdp)
    solution = value_iteration(small[0].mdp(discount=DISCOUNT, table=False), **options)
    assert error(solution.values, small) < BOUND
    solution = benchmark.pedantic(value_iteration, (mdp,), options, rounds=1, iterations=1)
    assert residual(maze, solution.values) < TOLERANCE


@pytest.mark.parametrize("method", ["value_iteration", "modified_policy_iteration"])
def bench_quantecon(benchmark, maze, small, peer, method):
    """Its epsilon bounds the error of the policy; this one makes its residual ours.

    First compares the values of a small maze with those of a dense table.
    """
    options = {"epsilon": 2 * BOUND, "max_iter": 100_000}
    solution = getattr(make_peer(small[0]), method)(**options)
    assert error(solution.v, small) < 2 * BOUND
    solution = benchmark.pedantic(getattr(peer, method), kwargs=options, rounds=1, iterations=1)
    assert residual(maze, solution.v) < 2 * TOLERANCE


# --- policy iteration: solved by all entries up to 1,000 states, above by the non-zeros


def random_model(states: int) -> MDP:
    """Four actions with three random successors each."""
    rng = torch.Generator().manual_seed(0)
    following = torch.randint(states, (states, 4, 3), generator=rng)
    weights = torch.rand(states, 4, 3, generator=rng, dtype=torch.float64)
    reward = torch.randn(states, 4, generator=rng, dtype=torch.float64)
    chances = weights / weights.sum(-1, keepdim=True)
    return MDP.from_successors(following, chances, reward, discount=DISCOUNT)


def maze_model(states: int) -> MDP:
    """A maze with few openings, where values travel far."""
    size = round(states**0.5) // 2 * 2 + 1
    rng = torch.Generator().manual_seed(0)
    maze = random_maze(size, size, goals=[(1, 1)], openings=0.1, slip=SLIP, generator=rng)
    return maze.mdp(discount=DISCOUNT)


MODELS = {"random": random_model, "maze": maze_model}
"""Seconds of policy_iteration, with one thread of a busy machine of 2 cores, December 2026:

               500   1,000   2,000   5,000  20,000
random, dense 0.02    0.2     1.1     14     (too large)
        sparse                0.02   0.03    0.1
maze, dense   0.01   0.02     0.1
      sparse                 0.02    0.2     1.6
"""


@pytest.mark.parametrize("states", [500, 1_000, 2_000, 5_000, 20_000])
@pytest.mark.parametrize("kind", list(MODELS))
def bench_policy_iteration(benchmark, quick, kind, states):
    """First compares the sparse method with the dense one, where there are 500 states."""
    few = MODELS[kind](500)
    dense = MDP.from_arrays(few.transition, few.reward, discount=DISCOUNT, terminal=few.terminal)
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bellman, "MAX_SMALL_STATES", 0)
        sparse, exact = policy_iteration(few), policy_iteration(dense)
    assert sparse.policy.equal(exact.policy)
    torch.testing.assert_close(sparse.values, exact.values, rtol=1e-11, atol=1e-11)
    mdp = MODELS[kind](min(states, 2_000) if quick else states)
    found = benchmark.pedantic(policy_iteration, (mdp,), rounds=1, iterations=1)
    assert found.residual < 1e-10
