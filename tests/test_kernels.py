"""Both layouts of P(s'|s, a) answer alike, and as loops over the definition do."""

import pytest
import torch

from rlbook.ground.seeding import generator
from rlbook.planning import kernels as kernels_module
from rlbook.planning.kernels import DenseKernel, SuccessorKernel, blocks, check_size

S, A, K = 6, 3, 4


def random_rows(seed=0, dtype=torch.float64):
    """Successors with repetitions and zeros among them: (S, A, K) states and probabilities."""
    rng = generator(seed)
    next_states = torch.randint(S, (S, A, K), generator=rng)
    weights = torch.rand(S, A, K, generator=rng, dtype=torch.float64)
    weights[:, :, 1] = 0
    next_states[0, 0] = 2  # one state four times
    return next_states, (weights / weights.sum(-1, keepdim=True)).to(dtype)


def dense_by_loops(next_states, probabilities):
    P = torch.zeros(S, A, S, dtype=probabilities.dtype)
    for s in range(S):
        for a in range(A):
            for k in range(K):
                P[s, a, next_states[s, a, k]] += probabilities[s, a, k]
    return P


def kernels(dtype=torch.float64):
    rows = random_rows(dtype=dtype)
    P = dense_by_loops(*rows)
    return {"dense": DenseKernel(P), "successors": SuccessorKernel.from_rows(*rows)}, P


KINDS = pytest.mark.parametrize("kind", ["dense", "successors"])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@KINDS
@DTYPES
def test_dense_is_the_definition(kind, dtype):
    every, P = kernels(dtype)
    assert every[kind].dtype == dtype
    torch.testing.assert_close(every[kind].dense(), P, rtol=0, atol=1e-6)


@KINDS
@DTYPES
@pytest.mark.parametrize("batch", [(), (5,), (2, 3)], ids=str)
def test_expectations_are_sums_over_next_states(kind, dtype, batch):
    every, P = kernels(dtype)
    values = torch.randn(*batch, S, generator=generator(1), dtype=dtype)
    before = values.clone()
    got = every[kind].expectations(values)
    assert got.shape == (*batch, S, A)
    for a in range(A):
        wanted = torch.stack([(values * P[s, a]).sum(-1) for s in range(S)], dim=-1)
        torch.testing.assert_close(got[..., a], wanted)
    torch.testing.assert_close(every[kind].expectations(values, slice(2, 5)), got[..., 2:5, :])
    assert torch.equal(values, before)


def test_an_expectation_worked_by_hand():
    # From state 0: to 0 with 1/4, to 1 with 3/4; from state 1: to 0 for sure.
    P = torch.tensor([[[0.25, 0.75]], [[1.0, 0.0]]], dtype=torch.float64)
    rows = torch.tensor([[[0, 1]], [[0, 1]]])
    for kernel in (DenseKernel(P), SuccessorKernel.from_rows(rows, P)):
        expected = kernel.expectations(torch.tensor([8.0, 4.0], dtype=torch.float64))
        assert expected.tolist() == [[5.0], [8.0]]


def test_blocks_hold_every_state_once(monkeypatch):
    monkeypatch.setattr(kernels_module, "STATES_AT_A_TIME", 3)
    for num_states in (1, 2, 3, 4, 6, 7):
        held = [list(range(num_states))[states] for states in blocks(num_states)]
        assert sum(held, []) == list(range(num_states)) and max(map(len, held)) <= 3


@KINDS
def test_under_a_policy(kind):
    every, P = kernels()
    weights = torch.rand(S, A, generator=generator(2), dtype=torch.float64)
    policy = weights / weights.sum(1, keepdim=True)
    wanted = torch.stack([sum(policy[s, a] * P[s, a] for a in range(A)) for s in range(S)])
    torch.testing.assert_close(every[kind].under(policy).dense()[:, 0], wanted)
    actions = torch.tensor([2, 0, 1, 1, 2, 0])
    wanted = torch.stack([P[s, actions[s]] for s in range(S)])
    for given in (actions, actions.to(torch.int32)):
        chain = every[kind].under(given)
        assert chain.dense().shape == (S, 1, S)
        torch.testing.assert_close(chain.dense()[:, 0], wanted)


@KINDS
def test_gather_reads_the_rows_of_the_pairs(kind):
    every, P = kernels()
    states, actions = torch.tensor([5, 0, 0, 3]), torch.tensor([2, 0, 1, 1])
    successors, probabilities = every[kind].gather(states, actions)
    assert successors.dtype == torch.int64 and successors.shape == probabilities.shape
    for n in range(4):
        row = torch.zeros(S, dtype=torch.float64)
        row.scatter_add_(0, successors[n], probabilities[n])
        torch.testing.assert_close(row, P[states[n], actions[n]])


def test_successors_are_stored_action_first():
    next_states, probabilities = random_rows()
    kernel = SuccessorKernel.from_rows(next_states, probabilities)
    assert kernel.next_states.shape == (A, K, S) and kernel.next_states.is_contiguous()
    assert kernel.next_states.dtype == torch.int32
    assert kernel.next_states[1, 2, 3] == next_states[3, 1, 2]
    assert kernel.probabilities[1, 2, 3] == probabilities[3, 1, 2]


@KINDS
def test_to_moves_every_tensor(kind):
    every, _ = kernels()
    moved = every[kind].to("meta")
    assert all(tensor.device.type == "meta" for tensor in vars(moved).values())


def test_a_dense_array_that_does_not_fit_is_refused():
    check_size(5_000, 4)
    with pytest.raises(ValueError, match=r"\(1000000, 4, 1000000\) is too large; build the MDP"):
        check_size(10**6, 4)
    rows = torch.zeros(20_000, 1, 1, dtype=torch.int64)
    kernel = SuccessorKernel.from_rows(rows, torch.ones(20_000, 1, 1))
    with pytest.raises(ValueError, match="from_successors"):
        kernel.dense()
