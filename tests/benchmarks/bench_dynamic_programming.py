"""A slippery maze of a million states, beside quantecon, in one run.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_dynamic_programming.py            # SIZE=300 for a quick look

Nothing here asserts a time; the Bellman residual of each answer is asserted. Plain `pytest`
does not collect this file.
"""

import os

import numpy as np
import pytest
import torch

from rlbook.planning.bellman import bellman_optimality_backup
from rlbook.planning.dynamic_programming import value_iteration
from rlbook.planning.grids import GridWorld

SIZE = int(os.environ.get("SIZE", "1000"))
DISCOUNT, TOLERANCE, SLIP = 0.99, 1e-6, 0.2


@pytest.fixture(scope="module")
def maze() -> GridWorld:
    """A fifth of the cells is wall; the goal is in the last corner; every step costs 1."""
    walls = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(0)) < 0.2
    goal = torch.zeros_like(walls)
    goal[-1, -1] = True
    pay = torch.zeros(SIZE, SIZE, dtype=torch.float64)
    return GridWorld(walls & ~goal, goal, torch.zeros_like(goal), pay, -1.0, SLIP)


@pytest.fixture(scope="module")
def peer(maze):
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


def residual(maze: GridWorld, values) -> float:
    values = torch.as_tensor(values)
    backed_up = bellman_optimality_backup(maze.mdp(discount=DISCOUNT, table=False), values)
    return float((backed_up - values).abs().max())


@pytest.mark.parametrize("table", [False, True], ids=["grid", "successors"])
def bench_sweep(benchmark, maze, table):
    """One backup of every state."""
    mdp = maze.mdp(discount=DISCOUNT, table=table)
    values = torch.randn(mdp.num_states, dtype=torch.float64)
    benchmark.pedantic(bellman_optimality_backup, (mdp, values), rounds=20, warmup_rounds=3)


def bench_value_iteration(benchmark, maze):
    mdp = maze.mdp(discount=DISCOUNT, table=False)
    solution = benchmark.pedantic(
        value_iteration, (mdp,), {"tolerance": TOLERANCE}, rounds=1, iterations=1
    )
    assert residual(maze, solution.values) < TOLERANCE


@pytest.mark.parametrize("method", ["value_iteration", "modified_policy_iteration"])
def bench_quantecon(benchmark, maze, peer, method):
    """Its epsilon bounds the error of the policy; this one makes its residual ours."""
    epsilon = 2 * DISCOUNT / (1 - DISCOUNT) * TOLERANCE
    solution = benchmark.pedantic(
        getattr(peer, method),
        kwargs={"epsilon": epsilon, "max_iter": 100_000},
        rounds=1,
        iterations=1,
    )
    assert residual(maze, solution.v) < 2 * TOLERANCE
