"""What every planning method shares: its result, its start and its count of rounds."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from rlbook.mdp import MDP
from rlbook.mdp_checks import first_index, numbers, require_shape
from rlbook.progress import progress

MAX_SWEEPS = 1_000_000  # where none is given: reaching it is a divergence, and raises


@dataclass(frozen=True, eq=False)
class Solution:
    """What a planning method returns.

    Attributes:
        values: (S,).
        policy: (S,) integers, greedy for the values; in `policy_evaluation` the given policy.
        sweeps: how many times every state was backed up (policy iteration: its rounds).
        residual: max_s |(T V)(s) - V(s)| at the last backup, the last change of the values.
        action_values: (S, A), from `q_value_iteration` only.
    """

    values: torch.Tensor
    policy: torch.Tensor
    sweeps: int
    residual: float
    action_values: torch.Tensor | None = None


def start_values(mdp: MDP, initial_values) -> torch.Tensor:
    """(S,) values to start from: zero by default, and 0 at terminal states."""
    if initial_values is None:
        return torch.zeros_like(mdp.reward[:, 0])
    values = require_shape("initial_values", numbers(initial_values), (mdp.num_states,))
    values = values.to(mdp.reward).clone()
    if (values[mdp.terminal] != 0).any():
        s = first_index((values != 0) & mdp.terminal)[0]
        raise ValueError(f"initial_values[{s}] is {float(values[s])}, but state {s} is terminal")
    return values


def rounds(what: str, tolerance: float, limit: int | None) -> Iterator[int]:
    """1, 2, ... up to the limit, with a progress bar; without a limit, a divergence raises."""
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    with progress(total=limit, description=what) as bar:
        for number in range(1, (MAX_SWEEPS if limit is None else limit) + 1):
            yield number
            bar.update()
    if limit is None:
        raise ValueError(f"{what}: not settled after {MAX_SWEEPS} rounds; do the values diverge?")
