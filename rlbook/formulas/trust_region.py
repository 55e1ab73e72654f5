"""Steps in a trust region: the natural gradient without the matrix, for R runs at once.

Parameters are a list of tensors (R, ...), one slice for each run; a vector has one row for each
run, (R, P). No dot product, step size or decision is shared between runs, and a run that has
nothing left to do, or whose numbers are NaN, stays where it is.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from rlbook.ground import require

Vector = torch.Tensor  # (R, P)


def flatten_per_run(tensors: Sequence[torch.Tensor]) -> Vector:
    """One row of numbers for each run: tensors (R, ...) -> (R, P), in their order."""
    if len(tensors) == 0 or any(x.ndim == 0 or len(x) != len(tensors[0]) for x in tensors):
        shapes = [tuple(x.shape) for x in tensors]
        raise ValueError(f"tensors must share a leading run axis, got shapes {shapes}")
    return torch.cat([x.flatten(1) if x.ndim > 1 else x[:, None] for x in tensors], dim=1)


def unflatten_per_run(vector: Vector, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The inverse of `flatten_per_run`: (R, P) -> tensors of the shapes of `like`."""
    sizes = [x[0].numel() for x in like]
    require.require_shape("vector", vector, (len(like[0]), sum(sizes)))
    return [row.view_as(x) for row, x in zip(vector.split(sizes, dim=1), like, strict=True)]


def fisher_operator(
    mean_kl: torch.Tensor, parameters: Sequence[torch.Tensor], *, damping: float = 0.0
) -> Callable[[Vector], Vector]:
    """v -> F v + damping v, F the Hessian of the mean KL in the parameters. Eq. (15.18).

    F v is the gradient of the number v . grad KL: two backward passes, and never a matrix.
    The first is made here, once; each call of the result makes the second.

    Args:
        mean_kl: (R,), the mean over states of KL(old || new), as a graph over `parameters`,
            with the old distributions detached. Taken where new = old, its Hessian is the
            Fisher matrix. Entry k depends on row k of the parameters only.
        parameters: tensors (R, ...) that require gradients.
        damping: at least 0; makes F + damping I positive definite.

    Raises:
        ValueError: another shape, a KL without a graph, or a negative damping.

    Source: Pearlmutter 1994; Schulman et al. 2015, appendix C.
    """
    require.require_shape("mean_kl", mean_kl, (len(parameters[0]),))
    if not mean_kl.requires_grad:
        raise ValueError("mean_kl has no graph: compute it from parameters with gradients on")
    require.at_least("damping", damping, 0)
    first = torch.autograd.grad(
        mean_kl.sum(), parameters, create_graph=True, materialize_grads=True
    )
    gradient = flatten_per_run(first)  # (R, P)

    def product(vector: Vector) -> Vector:
        inner = (gradient * vector).sum()  # the sum of R numbers that do not meet
        second = torch.autograd.grad(inner, parameters, retain_graph=True, materialize_grads=True)
        return flatten_per_run(second) + damping * vector

    return product


def fisher_vector_product(
    mean_kl: torch.Tensor,
    parameters: Sequence[torch.Tensor],
    vector: Vector,
    *,
    damping: float = 0.0,
) -> Vector:
    """F v + damping v for one vector (R, P); `fisher_operator` says what F is. Eq. (15.18)."""
    return fisher_operator(mean_kl, parameters, damping=damping)(vector)


def conjugate_gradient(
    matvec: Callable[[Vector], Vector],
    b: Vector,
    *,
    iterations: int = 10,
    tolerance: float = 1e-10,
) -> Vector:
    """x with H_k x_k = b_k for each run k, from products H v alone. Eq. (15.19).

    Starts from x = 0. A run stops, and stays put, when its squared residual is at most
    `tolerance` times |b_k|^2, or where the curvature d . H d is not positive (or NaN).

    Args:
        matvec: (R, P) -> (R, P), row k is H_k v_k, H_k symmetric and positive definite.
        b: (R, P).
        iterations: at most so many products; P of them solve exactly, but for rounding.

    Returns:
        (R, P); zero where b is zero.

    Source: Hestenes and Stiefel 1952; Nocedal and Wright (2006), algorithm 5.2.
    """
    require.axes("b", b, "(R, P)")
    require.at_least("iterations", iterations, 1)
    require.at_least("tolerance", tolerance, 0)
    x, residual, direction = torch.zeros_like(b), b, b
    squared = dot_per_run(residual, residual)
    enough = tolerance * squared
    for _ in range(iterations):
        active = squared > enough
        if not active.any():
            break
        product = matvec(direction)
        curvature = dot_per_run(direction, product)
        active &= curvature > 0
        size = squared / curvature
        x = torch.where(active, x + size * direction, x)
        residual = torch.where(active, residual - size * product, residual)
        before, squared = squared, dot_per_run(residual, residual)
        onward = residual + squared / before * direction
        direction = torch.where(active, onward, direction)
    return x


def dot_per_run(x: Vector, y: Vector) -> torch.Tensor:
    """One dot product for each run: (R, P), (R, P) -> (R, 1)."""
    return (x * y).sum(dim=1, keepdim=True)


def natural_gradient_step(
    matvec: Callable[[Vector], Vector],
    gradient: Vector,
    *,
    max_kl: float,
    iterations: int = 10,
    tolerance: float = 1e-10,
) -> Vector:
    """The step sqrt(2 delta / x . F x) x with F x = g, delta = max_kl. Eq. (15.16).

    To second order its mean KL is max_kl, and of all such steps it raises the surrogate most.

    Args:
        matvec: v -> F v, (R, P) -> (R, P), from `fisher_operator`.
        gradient: (R, P), g, the gradient of the surrogate.
        max_kl: positive.

    Returns:
        (R, P), zero where the gradient is zero (or NaN).

    Source: Kakade 2001; Schulman et al. 2015, appendix C.
    """
    require.positive("max_kl", max_kl)
    x = conjugate_gradient(matvec, gradient, iterations=iterations, tolerance=tolerance)
    curvature = dot_per_run(x, matvec(x))
    return torch.where(curvature > 0, torch.sqrt(2 * max_kl / curvature) * x, 0.0)


class LineSearch(NamedTuple):
    """Where a line search ended, run by run."""

    parameters: Vector
    """(R, P); the start, where no step was accepted."""
    fraction: torch.Tensor
    """(R,), of the full step; 0 where no step was accepted."""
    improvement: torch.Tensor
    """(R,), of the surrogate; 0 where no step was accepted."""
    kl: torch.Tensor
    """(R,), KL(old || new), the mean over states; 0 where no step was accepted."""


def backtracking_line_search(
    evaluate: Callable[[Vector], tuple[torch.Tensor, torch.Tensor]],
    start: Vector,
    step: Vector,
    *,
    start_value: torch.Tensor,
    max_kl: float,
    shrink: float = 0.8,
    max_tries: int = 10,
) -> LineSearch:
    """The first of start + shrink^j step, j = 0, 1, ..., that keeps its promise. Eq. (15.20).

    Accepted is a candidate whose surrogate is larger than at the start and whose mean KL is at
    most max_kl. Each run decides for itself; NaN is never accepted.

    Args:
        evaluate: candidates (R, P) -> surrogate (R,) and mean KL(old || candidate) (R,).
        start, step: (R, P).
        start_value: (R,), the surrogate at the start.
        shrink: in (0, 1).

    Source: Schulman et al. 2015, appendix C.
    """
    require.strictly_within("shrink", shrink, 0, 1)
    require.at_least("max_tries", max_tries, 1)
    require.same_shape(start=start, step=step)
    require.require_shape("start_value", start_value, start.shape[:1])
    found = LineSearch(start, *(torch.zeros_like(start_value) for _ in range(3)))
    searching = torch.ones_like(start_value, dtype=torch.bool)
    for j in range(max_tries):
        fraction = torch.full_like(start_value, shrink**j)
        candidate = start + fraction[:, None] * step
        value, kl = evaluate(candidate)
        accept = searching & (value > start_value) & (kl <= max_kl)
        new = LineSearch(candidate, fraction, value - start_value, kl)
        found = LineSearch(
            torch.where(accept[:, None], new.parameters, found.parameters),
            *(torch.where(accept, x, y) for x, y in zip(new[1:], found[1:], strict=True)),
        )
        searching &= ~accept
        if not searching.any():
            break
    return found
