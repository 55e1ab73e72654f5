"""Mutants of what chapters 07 to 10 add: multi-step targets, models, worlds, tabular learners."""

from mutation import Mutant

MULTI_STEP = [
    Mutant(
        "returns",
        "torch.where(terminated, 0.0, next_values)",
        "next_values",
        "no terminal mask",
        within="td_targets",
        tests="test_multi_step.py",
    ),
    Mutant(
        "returns",
        "torch.where(terminated, 0.0, next_values)",
        "next_values * ~terminated",
        "a mask by a product lets NaN into targets",
        within="td_targets",
        tests="test_multi_step.py",
    ),
    Mutant(
        "returns",
        "discount=discount) - values",
        "discount=1.0) - values",
        "lost gamma in the TD error",
        within="td_errors",
        tests="test_multi_step.py",
    ),
    Mutant(
        "returns",
        "range(min(n, rewards.shape[-1]) - 1)",
        "range(min(n, rewards.shape[-1]))",
        "n + 1 rewards",
        within="n_step_returns",
        tests="test_multi_step.py",
    ),
    Mutant(
        "returns",
        "~(terminated | truncated)[..., :-1]",
        "~terminated[..., :-1]",
        "n-step returns run on behind a truncation",
        within="n_step_returns",
        tests="test_multi_step.py",
    ),
    Mutant(
        "returns",
        "(1 - lambda_) * next_values[..., t] + lambda_ * following",
        "next_values[..., t] + lambda_ * following",
        "lost 1 - lambda",
        within="lambda_returns",
        tests="test_multi_step.py",
    ),
    Mutant(
        "returns",
        "torch.where(truncated[..., t], next_values[..., t], mixed)",
        "mixed",
        "lambda-returns leak through a truncation",
        within="lambda_returns",
        tests="test_multi_step.py",
    ),
    Mutant(
        "returns",
        "torch.where(ended[..., t], 0.0, following)",
        "torch.where(terminated[..., t], 0.0, following)",
        "GAE leaks through a truncation",
        within="generalized_advantage_estimate",
        tests="test_multi_step.py",
    ),
    Mutant(
        "returns",
        "deltas[..., t] + discount * lambda_ * following",
        "deltas[..., t] + lambda_ * following",
        "GAE lost gamma",
        within="generalized_advantage_estimate",
        tests="test_multi_step.py",
    ),
]

PART_2 = [*MULTI_STEP]
