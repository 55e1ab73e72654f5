"""What a finite model must satisfy. Each check raises a ValueError that names the state and the
action.
"""

import torch

from rlbook.ground.require import Numbers, first_index, numbers, require_shape
from rlbook.planning.kernels import Kernel, blocks

SUM_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-5}


def check_next_states(next_states: torch.Tensor) -> None:
    """Successors are integers in [0, S)."""
    if next_states.ndim != 3 or next_states.is_floating_point():
        got = f"{next_states.dtype} {tuple(next_states.shape)}"
        raise ValueError(f"next_states must be integers (S, A, K), got {got}")
    outside = (next_states < 0) | (next_states >= next_states.shape[0])
    if outside.any():
        s, a, k = first_index(outside)
        raise ValueError(
            f"next_states[{s}, {a}, {k}] is {int(next_states[s, a, k])} (state {s}, action {a}); "
            f"there are {next_states.shape[0]} states"
        )


def check_probabilities(probabilities: torch.Tensor, live: torch.Tensor) -> None:
    """Rows (S, A, :) of live pairs are distributions."""
    bad = ~(probabilities >= 0) & live.unsqueeze(-1)  # catches NaN too
    if bad.any():
        s, a, k = first_index(bad)
        raise ValueError(
            f"probability {float(probabilities[s, a, k])} at state {s}, action {a}, entry {k}: "
            "probabilities must be 0 or more"
        )
    total = probabilities.sum(-1)
    bad = ~((total - 1).abs() <= SUM_TOLERANCE[probabilities.dtype]) & live
    if bad.any():
        s, a = first_index(bad)
        raise ValueError(
            f"the row of state {s}, action {a} sums to {float(total[s, a]):.10g}, not 1"
        )


def check_rewards(reward: torch.Tensor, live: torch.Tensor) -> None:
    """Rewards (S, A, ...) of live pairs are finite numbers."""
    bad = ~reward.isfinite() & live.view(*live.shape, *[1] * (reward.ndim - 2))
    if bad.any():
        s, a, *rest = first_index(bad)
        value = float(reward[(s, a, *rest)])
        raise ValueError(f"reward {value} at state {s}, action {a}: rewards must be finite")


def check_terminal_rows(
    successors: torch.Tensor,
    probabilities: torch.Tensor,
    reward: torch.Tensor,
    terminal: torch.Tensor,
) -> None:
    """A terminal state's rows are zero or lead back to it; its rewards are 0."""
    states = terminal.nonzero().flatten()
    rows = probabilities[states]
    leaves = (rows != 0) & (successors.expand_as(probabilities)[states] != states.view(-1, 1, 1))
    for wrong, what in ((leaves, "leads elsewhere"), (reward[states] != 0, "has a reward")):
        if wrong.any():
            i, a, *_ = first_index(wrong)
            raise ValueError(f"state {int(states[i])} is terminal, but its action {a} {what}")


def check_start(start: Numbers | None, terminal: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The start distribution (S,); uniform over the states that are not terminal by default."""
    if start is None:
        start = (~terminal).to(like)
        return start / start.sum().clamp_min(1)
    start = require_shape("start", numbers(start).to(like), terminal.shape)
    if not (start >= 0).all() or abs(float(start.sum()) - 1) > SUM_TOLERANCE[like.dtype]:
        raise ValueError(f"start is no distribution: it sums to {float(start.sum()):.10g}")
    return start


def check_reachability(
    kernel: Kernel, terminal: torch.Tensor, allowed: torch.Tensor, under: str = ""
) -> None:
    """At discount 1 every state must be able to reach a terminal one (`under` a policy).

    Grows the set of states that can, one step at a time, until nothing is added.
    """
    reaches, grown = None, terminal
    while reaches is None or not torch.equal(grown, reaches):
        reaches = grown
        chances = reaches.to(kernel.dtype)
        leads = [
            ((kernel.expectations(chances, states) > 0) & allowed[states]).any(-1)
            for states in blocks(len(terminal))
        ]
        grown = reaches | torch.cat(leads)
    if not reaches.all():
        raise ValueError(
            f"discount 1 needs an end: state {int((~reaches).nonzero()[0])} cannot reach a "
            f"terminal state{under}"
        )


def check_policy(policy: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """A policy, as it came: (S,) integers, or (S, A) probabilities."""
    S, A = allowed.shape
    if policy.ndim == 1 and not policy.is_floating_point():
        outside = (require_shape("policy", policy, (S,)) < 0) | (policy >= A)
        if outside.any():
            s = first_index(outside)[0]
            raise ValueError(f"policy[{s}] is {int(policy[s])}; there are {A} actions")
        forbidden = ~allowed.gather(1, policy.long().unsqueeze(1))  # (S, 1)
    else:
        require_shape("policy", policy, (S, A))
        wrong = ~((policy >= 0).all(dim=1) & ((policy.sum(dim=1) - 1).abs() < 1e-6))
        if wrong.any():
            s = first_index(wrong)[0]
            row = policy[s].tolist()
            raise ValueError(f"policy[{s}] is no distribution over actions: {row}")
        forbidden = (policy > 0) & ~allowed
    if forbidden.any():
        s, a = first_index(forbidden)
        a = int(policy[s]) if policy.ndim == 1 else a
        raise ValueError(f"policy takes action {a} in state {s}, where it is not allowed")
    return policy
