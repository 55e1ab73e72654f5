"""The natural gradient's parts against dense matrices, run by run; and the line search."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlbook.formulas.divergences import kl_categorical, kl_gaussian
from rlbook.formulas.policy_gradients import surrogate
from rlbook.formulas.trust_region import (
    backtracking_line_search,
    conjugate_gradient,
    dot_per_run,
    fisher_operator,
    fisher_vector_product,
    flatten_per_run,
    natural_gradient_step,
    unflatten_per_run,
)

R, B, O, A = 3, 5, 4, 3  # runs, states in the batch, observation size, actions
F64 = {"dtype": torch.float64}


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **F64)


def positive_definite(runs=R, size=6, seed=1):
    half = numbers(runs, size, size, seed=seed)
    return half @ half.mT + 0.1 * torch.eye(size, **F64)


def times(matrix):
    return lambda v: (matrix @ v[..., None])[..., 0]


def small_policy(seed=2):
    """Observations (R, B, O), and the parameters of one tanh layer and logits."""
    shapes = [(R, O, 4), (R, 1, 4), (R, 4, A), (R, 1, A)]
    parameters = [numbers(*s, seed=seed + i).requires_grad_() for i, s in enumerate(shapes)]
    return numbers(R, B, O, seed=seed + 9), parameters


def logits(observations, parameters):
    w, b, v, c = parameters
    return torch.tanh(observations @ w + b) @ v + c


def mean_kl(observations, parameters):
    new = logits(observations, parameters)
    return kl_categorical(new.detach(), new, checked=False).mean(dim=1)  # (R,)


def explicit_fisher(observations, parameters):
    """sum over states and actions of pi score score^T / B: the definition, no second derivative."""
    log_pi = logits(observations, parameters).log_softmax(-1)  # (R, B, A)
    fisher = torch.zeros(R, *[sum(p[0].numel() for p in parameters)] * 2, **F64)
    for b in range(B):
        for a in range(A):
            score = torch.autograd.grad(log_pi[:, b, a].sum(), parameters, retain_graph=True)
            score = flatten_per_run(score)
            weight = log_pi[:, b, a].detach().exp() / B
            fisher += weight[:, None, None] * score[:, :, None] * score[:, None, :]
    return fisher


# --- vectors


def test_flatten_keeps_rows_apart_and_comes_back():
    tensors = [numbers(R, 2, 3), numbers(R, 1, 2, seed=1), numbers(R, seed=2)]
    vector = flatten_per_run(tensors)
    assert vector.shape == (R, 9)
    torch.testing.assert_close(vector[1, :6], tensors[0][1].flatten())
    assert vector[2, 8] == tensors[2][2]
    for back, tensor in zip(unflatten_per_run(vector, tensors), tensors, strict=True):
        assert torch.equal(back, tensor)


def test_one_run_with_one_parameter():
    (tensor,) = tensors = [numbers(1, 2, 3)]
    vector = flatten_per_run(tensors)
    assert torch.equal(vector, tensor.flatten(1))
    assert torch.equal(unflatten_per_run(vector, tensors)[0], tensor)
    mean = torch.zeros(1, 2, **F64).requires_grad_()
    kl = kl_gaussian(mean.detach(), torch.zeros(2, **F64), mean, torch.zeros(2, **F64))
    vector = numbers(1, 2)
    torch.testing.assert_close(fisher_vector_product(kl, [mean], vector), vector)


def test_flatten_refuses_what_has_no_common_run_axis():
    for wrong in ([], [torch.zeros(2, 3), torch.zeros(3, 3)], [torch.zeros(())]):
        with pytest.raises(ValueError, match="leading run axis"):
            flatten_per_run(wrong)
    with pytest.raises(ValueError, match=r"vector must have shape \(2, 3\), got \(2, 4\)"):
        unflatten_per_run(torch.zeros(2, 4), [torch.zeros(2, 3)])


def test_dot_per_run():
    x, y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [1.0, -1.0]])
    assert dot_per_run(x, y).tolist() == [[17.0], [-1.0]]


# --- the surrogate


def test_surrogate_by_hand():
    old = torch.tensor([0.5, 0.25, 0.25], **F64).log()
    new = torch.tensor([0.25, 0.25, 0.5], **F64).log()
    advantages = torch.tensor([4.0, -2.0, 3.0], **F64)
    got = surrogate(new, old, advantages)
    torch.testing.assert_close(got, torch.tensor([2.0, -2.0, 6.0], **F64))


def test_surrogate_has_the_gradient_of_the_policy_gradient_and_only_through_the_new_policy():
    parts = [numbers(R, B, seed=s).requires_grad_() for s in range(3)]
    surrogate(*parts).sum().backward()
    assert parts[1].grad is None and parts[2].grad is None
    want = (parts[0] - parts[1]).exp() * parts[2]
    torch.testing.assert_close(parts[0].grad, want.detach())
    with pytest.raises(ValueError, match="one shape"):
        surrogate(parts[0], parts[1], parts[2][0])


# --- Fisher


def test_fisher_vector_product_is_the_explicit_matrix_times_the_vector():
    observations, parameters = small_policy()
    fisher = explicit_fisher(observations, parameters)
    vector = numbers(R, fisher.shape[-1], seed=7)
    kl = mean_kl(observations, parameters)
    got = fisher_vector_product(kl, parameters, vector)
    torch.testing.assert_close(got, times(fisher)(vector))
    got = fisher_vector_product(mean_kl(observations, parameters), parameters, vector, damping=0.3)
    torch.testing.assert_close(got, times(fisher)(vector) + 0.3 * vector)


def test_fisher_operator_serves_many_vectors_and_leaves_no_graph():
    observations, parameters = small_policy()
    operator = fisher_operator(mean_kl(observations, parameters), parameters, damping=0.1)
    x, y = (numbers(R, 35, seed=s) for s in (3, 4))
    torch.testing.assert_close(operator(2 * x + y), 2 * operator(x) + operator(y))
    torch.testing.assert_close(dot_per_run(x, operator(y)), dot_per_run(y, operator(x)))
    assert not operator(x).requires_grad
    assert all(p.grad is None for p in parameters)


def test_fisher_of_a_gaussian_by_hand():
    """With mean theta and log std s: the KL's Hessian is diag(exp(-2 s), 2)."""
    mean, log_std = numbers(R, 1), numbers(R, 1, seed=1)
    parameters = [mean.requires_grad_(), log_std.requires_grad_()]
    kl = kl_gaussian(mean.detach(), log_std.detach(), mean, log_std)
    vector = numbers(R, 2, seed=2)
    want = torch.cat([torch.exp(-2 * log_std.detach()), torch.full((R, 1), 2.0, **F64)], 1) * vector
    torch.testing.assert_close(fisher_vector_product(kl, parameters, vector), want)


def test_fisher_of_parameters_that_the_kl_does_not_feel():
    """One is not in its graph, one enters linearly: rows and columns of zeros."""
    used, unused, linear = (torch.ones(2, 1, **F64).requires_grad_() for _ in range(3))
    kl = (used**2 / 2 + linear)[:, 0]
    got = fisher_vector_product(kl, [used, unused, linear], numbers(2, 3), damping=0.5)
    torch.testing.assert_close(got, torch.tensor([1.5, 0.5, 0.5], **F64) * numbers(2, 3))
    kl = (linear * 2)[:, 0]
    with pytest.raises(RuntimeError, match="does not require grad"):
        fisher_vector_product(kl, [linear], numbers(2, 1))


def test_fisher_keeps_runs_apart_even_when_one_is_nan():
    observations, parameters = small_policy()
    vector = numbers(R, 35, seed=3)
    whole = fisher_vector_product(mean_kl(observations, parameters), parameters, vector)
    observations[0] = torch.nan
    broken = fisher_vector_product(mean_kl(observations, parameters), parameters, vector)
    assert broken[0].isnan().any()
    torch.testing.assert_close(broken[1:], whole[1:])


def test_fisher_operator_names_bad_input():
    observations, parameters = small_policy()
    kl = mean_kl(observations, parameters)
    with pytest.raises(ValueError, match=r"mean_kl must have shape \(3,\)"):
        fisher_operator(kl.mean(), parameters)
    with pytest.raises(ValueError, match="has no graph"):
        fisher_operator(kl.detach(), parameters)
    with pytest.raises(ValueError, match="damping"):
        fisher_operator(kl, parameters, damping=-1.0)


# --- conjugate gradients


def test_conjugate_gradient_by_hand():
    """[[4, 1], [1, 3]] x = [1, 2]: x = [1/11, 7/11] after two steps."""
    matrix = torch.tensor([[[4.0, 1.0], [1.0, 3.0]]], **F64)
    b = torch.tensor([[1.0, 2.0]], **F64)
    one = conjugate_gradient(times(matrix), b, iterations=1)
    torch.testing.assert_close(one, b * 5 / 20)  # |b|^2 / b . H b = 5 / 20
    two = conjugate_gradient(times(matrix), b, iterations=2)
    torch.testing.assert_close(two, torch.tensor([[1 / 11, 7 / 11]], **F64))


@given(seed=st.integers(0, 1000), size=st.integers(1, 7))
def test_conjugate_gradient_solves(seed, size):
    matrix, b = positive_definite(size=size, seed=seed), numbers(R, size, seed=seed + 1)
    x = conjugate_gradient(times(matrix), b, iterations=4 * size + 4, tolerance=1e-24)
    want = torch.linalg.solve(matrix, b)
    torch.testing.assert_close(x, want, atol=1e-7, rtol=1e-6)


def test_conjugate_gradient_of_each_run_is_that_of_the_run_alone():
    """Runs of different scale and difficulty, one of them solved after one step."""
    matrix = positive_definite() * torch.tensor([1.0, 1e3, 1.0], **F64)[:, None, None]
    matrix[2] = 2 * torch.eye(6, **F64)
    b = numbers(R, 6, seed=5) * torch.tensor([1.0, 1e-4, 1.0], **F64)[:, None]
    for iterations, tolerance in ((1, 0.0), (3, 1e-10), (10, 1e-10), (10, 0.3), (10, 0.03)):
        limits = {"iterations": iterations, "tolerance": tolerance}
        together = conjugate_gradient(times(matrix), b, **limits)
        for k in range(R):
            alone = conjugate_gradient(times(matrix[k : k + 1]), b[k : k + 1], **limits)
            torch.testing.assert_close(together[k : k + 1], alone, rtol=1e-12, atol=0)


def test_a_run_that_is_done_stays_put_and_a_nan_stays_alone():
    matrix, b = positive_definite(), numbers(R, 6, seed=5)
    matrix[0] = torch.eye(6, **F64)  # solved exactly after one step
    b[1] = 0.0
    x = conjugate_gradient(times(matrix), b, iterations=50, tolerance=0.0)
    assert x.isfinite().all()
    assert torch.equal(x[0], b[0]) and torch.equal(x[1], torch.zeros(6, **F64))
    torch.testing.assert_close(x[2], torch.linalg.solve(matrix[2], b[2]))
    b[1] = torch.nan
    again = conjugate_gradient(times(matrix), b, iterations=50, tolerance=0.0)
    assert torch.equal(again[[0, 2]], x[[0, 2]]) and not again[1].isnan().any()
    matrix[1, 0, 0], b[1] = torch.nan, 1.0
    again = conjugate_gradient(times(matrix), b, iterations=50, tolerance=0.0)
    assert torch.equal(again[[0, 2]], x[[0, 2]]) and torch.equal(again[1], torch.zeros(6, **F64))


def test_negative_curvature_ends_a_run():
    eye = torch.eye(2, **F64)
    x = conjugate_gradient(times(torch.stack([-eye, 0 * eye, eye])), torch.ones(3, 2, **F64))
    assert x.tolist() == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]


def test_a_residual_of_exactly_the_tolerance_is_small_enough():
    b = torch.ones(1, 2, **F64)
    assert (conjugate_gradient(lambda v: v, b, tolerance=1.0) == 0).all()


def test_tolerance_is_relative_and_stops_early():
    matrix, b = positive_definite(), numbers(R, 6, seed=5)
    calls = []

    def matvec(v):
        calls.append(1)
        return times(matrix)(v)

    conjugate_gradient(matvec, 1e-9 * b, iterations=50, tolerance=0.5)
    assert 1 <= len(calls) < 6
    loose = conjugate_gradient(times(matrix), b, iterations=50, tolerance=0.01)
    residual = b - times(matrix)(loose)
    assert (dot_per_run(residual, residual) <= 0.01 * dot_per_run(b, b)).all()


def test_conjugate_gradient_names_bad_input():
    one = torch.ones(1, 3)
    for b, iterations, tolerance, message in (
        (torch.ones(3), 1, 0, r"b must be \(R, P\), got \(3,\)"),
        (one, 0, 0, "iterations must be at least 1, got 0"),
        (one, 1, -1e-3, "tolerance must be at least 0, got -0.001"),
    ):
        with pytest.raises(ValueError, match=message):
            conjugate_gradient(lambda v: v, b, iterations=iterations, tolerance=tolerance)


# --- the step


def test_natural_gradient_step_has_the_wanted_size_and_direction():
    matrix, g = positive_definite(), numbers(R, 6, seed=4)
    step = natural_gradient_step(times(matrix), g, max_kl=0.02, iterations=30, tolerance=1e-24)
    half = dot_per_run(step, times(matrix)(step)) / 2
    torch.testing.assert_close(half, torch.full((R, 1), 0.02, **F64))
    direct = torch.linalg.solve(matrix, g)
    torch.testing.assert_close(step / step.norm(dim=1, keepdim=True), direct / direct.norm(
        dim=1, keepdim=True
    ))  # fmt: skip
    rivals = numbers(500, R, 6, seed=8)
    size = torch.sqrt(0.04 / (rivals * torch.einsum("rij,nrj->nri", matrix, rivals)).sum(-1))
    rivals = rivals * size[..., None]  # all of the same quadratic KL
    assert ((rivals * g).sum(-1) <= (step * g).sum(-1)).all()


def test_natural_gradient_step_of_a_zero_or_broken_gradient_is_zero():
    matrix, g = positive_definite(), numbers(R, 6, seed=4)
    g[0], g[1] = 0.0, torch.nan
    step = natural_gradient_step(times(matrix), g, max_kl=0.02)
    assert torch.equal(step[:2], torch.zeros(2, 6, **F64)) and (step[2] != 0).all()
    with pytest.raises(ValueError, match="max_kl"):
        natural_gradient_step(times(matrix), g, max_kl=0.0)


# --- the line search


def parabola(peak):
    """A surrogate with its maximum at `peak` (R,) along one parameter, and KL = x^2 / 2."""

    def evaluate(x):
        return 1 - (x[:, 0] - peak) ** 2, x[:, 0] ** 2 / 2

    return evaluate


def search(peak, *, step=1.0, max_kl=1.0, max_tries=10, shrink=0.5):
    peak = torch.tensor(peak, **F64)
    start = torch.zeros(len(peak), 1, **F64)
    return backtracking_line_search(
        parabola(peak), start, torch.full_like(start, step), start_value=1 - peak**2,
        max_kl=max_kl, shrink=shrink, max_tries=max_tries,
    )  # fmt: skip


def test_line_search_by_hand():
    """Peaks at 2, 0.3, 0.1 and -1: the full step; half of it; an eighth; none."""
    found = search([2.0, 0.3, 0.1, -1.0])
    assert found.fraction.tolist() == [1.0, 0.5, 0.125, 0.0]
    assert found.parameters[:, 0].tolist() == [1.0, 0.5, 0.125, 0.0]
    want = torch.tensor([4 - 1, 0.09 - 0.04, 0.01 - 0.025**2, 0.0], **F64)
    torch.testing.assert_close(found.improvement, want)
    assert found.kl.tolist() == [0.5, 0.125, 0.125**2 / 2, 0.0]


def test_line_search_holds_the_kl():
    found = search([9.0, 9.0], max_kl=0.1)
    assert found.fraction.tolist() == [0.25, 0.25]  # 1/2, 1/8 are too far, 1/32 is not
    assert search([9.0], max_kl=0.5).fraction.tolist() == [1.0]  # exactly as far as allowed
    found = search([9.0], step=100.0, max_kl=0.1, max_tries=3)
    assert found.fraction.tolist() == [0.0] and found.parameters.tolist() == [[0.0]]


def test_line_search_refuses_no_gain_and_nan():
    found = search([0.5, torch.nan, 0.5], max_tries=1)  # back where it was: no gain
    assert found.fraction.tolist() == [0.0, 0.0, 0.0]
    found = search([torch.nan, 0.6])
    assert found.fraction.tolist() == [0.0, 1.0]
    assert found.improvement[0] == 0 and found.kl[0] == 0


def test_line_search_of_each_run_is_that_of_the_run_alone():
    peaks = [2.0, 0.3, 0.01, -1.0, 0.2]
    together = search(peaks, max_kl=0.3)
    for k, peak in enumerate(peaks):
        alone = search([peak], max_kl=0.3)
        for x, y in zip(together, alone, strict=True):
            assert torch.equal(x[k : k + 1], y)


def test_line_search_ends_with_the_last_run_that_searches():
    tried = []

    def evaluate(x):
        tried.append(x)
        return x[:, 0], 0 * x[:, 0]

    start = torch.zeros(2, 1, **F64)
    backtracking_line_search(evaluate, start, start + 1, start_value=start[:, 0], max_kl=1.0)
    assert len(tried) == 1


def test_line_search_names_bad_input():
    for wrong in ({"shrink": 0.0}, {"shrink": 1.0}, {"shrink": torch.nan}):
        with pytest.raises(ValueError, match="shrink must lie strictly between 0 and 1, got"):
            search([1.0], **wrong)
    with pytest.raises(ValueError, match="max_tries must be at least 1, got 0"):
        search([1.0], max_tries=0)
    with pytest.raises(ValueError, match="start and step must have one shape"):
        backtracking_line_search(
            None, torch.ones(2, 3), torch.ones(2, 1), start_value=torch.ones(2), max_kl=1.0
        )
    with pytest.raises(ValueError, match="start_value must have shape"):
        backtracking_line_search(
            None, torch.ones(2, 3), torch.ones(2, 3), start_value=torch.ones(()), max_kl=1.0
        )
