"""Mutants of what chapters 11 to 20 add."""

from mutants_policy_gradient import MODULES as POLICY_GRADIENT_MODULES
from mutants_policy_gradient import POLICY_GRADIENT
from mutation import Mutant

TRUST_REGION = [
    Mutant(
        "trust_region",
        "x.flatten(1) if x.ndim > 1 else x[:, None]",
        "x.flatten(1).flip(1) if x.ndim > 1 else x[:, None]",
        "the numbers of a tensor in another order",
        within="flatten_per_run",
    ),
    Mutant(
        "trust_region",
        "vector.split(sizes, dim=1)",
        "vector.roll(1, 0).split(sizes, dim=1)",
        "a run gets its neighbour's numbers",
        within="unflatten_per_run",
    ),
    Mutant(
        "trust_region",
        "+ damping * vector",
        "+ damping * vector.norm(dim=1, keepdim=True)",
        "damping along another direction",
        stands_for=("fisher_operator", "fisher_vector_product"),
    ),
    Mutant(
        "trust_region",
        "inner = (gradient * vector).sum()",
        "inner = (gradient * gradient * vector).sum()",
        "the gradient twice: zero where old = new",
        stands_for=("fisher_operator", "fisher_vector_product"),
        chapters=("15",),
    ),
    Mutant(
        "trust_region",
        "return (x * y).sum(dim=1, keepdim=True)",
        "return (x * y).sum(dim=1, keepdim=True).mean(dim=0, keepdim=True).expand(len(x), 1)",
        "one dot product for all runs",
        chapters=("15",),
    ),
    Mutant(
        "trust_region",
        "active = squared > enough",
        "active = (squared > enough).any() & (squared == squared)",
        "a run that is done goes on with the others",
        within="conjugate_gradient",
    ),
    Mutant(
        "trust_region",
        "residual - size * product",
        "residual + size * product",
        "the residual with the wrong sign",
        within="conjugate_gradient",
        chapters=("15",),
    ),
    Mutant(
        "trust_region",
        "squared / before * direction",
        "before / squared * direction",
        "the new direction's weight upside down",
        within="conjugate_gradient",
        chapters=("15",),
    ),
    Mutant(
        "trust_region",
        "residual + squared / before * direction",
        "residual",
        "steepest descent",
        within="conjugate_gradient",
        chapters=("15",),
    ),
    Mutant(
        "trust_region",
        "enough = tolerance * squared",
        "enough = tolerance",
        "an absolute tolerance",
        within="conjugate_gradient",
    ),
    Mutant(
        "trust_region",
        "active &= curvature > 0",
        "active &= curvature == curvature",
        "along a negative curvature",
        within="conjugate_gradient",
    ),
    Mutant(
        "trust_region",
        "torch.sqrt(2 * max_kl / curvature)",
        "torch.sqrt(max_kl / curvature)",
        "lost factor 2 in the step",
        within="natural_gradient_step",
        chapters=("15",),
    ),
    Mutant(
        "trust_region",
        "curvature = dot_per_run(x, matvec(x))",
        "curvature = dot_per_run(x, x)",
        "a ball in parameters, not in policies",
        within="natural_gradient_step",
        chapters=("15",),
    ),
    Mutant(
        "trust_region",
        "(value > start_value) & (kl <= max_kl)",
        "(kl <= max_kl)",
        "no test of improvement",
        within="backtracking_line_search",
    ),
    Mutant(
        "trust_region",
        "(value > start_value) & (kl <= max_kl)",
        "(value > start_value)",
        "no test of the KL",
        within="backtracking_line_search",
        chapters=("15",),
    ),
    Mutant(
        "trust_region",
        "accept = searching & (value > start_value) & (kl <= max_kl)",
        "accept = searching & ((value > start_value) & (kl <= max_kl)).all()",
        "one decision for all runs",
        within="backtracking_line_search",
    ),
    Mutant(
        "trust_region",
        "accept = searching & ",
        "accept = ",
        "the last acceptable step in place of the first",
        within="backtracking_line_search",
        chapters=("15",),
    ),
]

GAE = [
    Mutant(
        "scans",
        "alpha=decay**span",
        "alpha=decay",
        "every pass discounts by one step",
        chapters=("17",),
    ),
    Mutant(
        "scans",
        "goes_on[..., :-span] & goes_on[..., span:]",
        "goes_on[..., :-span]",
        "an end in the second half of a span is overlooked",
        chapters=("17",),
    ),
    Mutant(
        "scans",
        "torch.where(goes_on, sums[..., span:], 0.0)",
        "sums[..., span:] * goes_on",
        "a mask by a product lets NaN into sums",
        chapters=("17",),
    ),
    Mutant(
        "returns",
        "terminated | truncated, decay",
        "terminated, decay",
        "GAE leaks through a truncation",
        chapters=("17",),
        within="generalized_advantage_estimate",
        tests="test_scans.py",
    ),
    Mutant(
        "returns",
        "decay=discount * lambda_",
        "decay=lambda_",
        "GAE lost gamma",
        chapters=("17",),
        within="generalized_advantage_estimate",
        tests="test_scans.py",
    ),
    Mutant(
        "returns",
        "td_errors(rewards, values, next_values, terminated,",
        "td_errors(rewards, values, next_values, terminated | truncated,",
        "a time limit cuts the bootstrap",
        chapters=("17",),
        within="generalized_advantage_estimate",
        tests="test_scans.py",
    ),
    Mutant(
        "returns",
        "td_errors(rewards, values, next_values, terminated,",
        "td_errors(rewards, values, next_values, truncated & False,",
        "GAE bootstraps through terminal states",
        chapters=("17",),
        within="generalized_advantage_estimate",
        tests="test_scans.py",
    ),
]

PART_3: list[Mutant] = [*GAE, *TRUST_REGION, *POLICY_GRADIENT]

MODULES: tuple[str, ...] = (
    *POLICY_GRADIENT_MODULES,
    "scans",
    "trust_region",
)
"""Every public function of these has a mutant above; see FORMULA_MODULES."""
