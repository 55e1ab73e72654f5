"""A step of an optimizer that some runs do not take."""

from collections.abc import Sequence

import torch


def frozen_step(optimizer: torch.optim.Optimizer, rows: Sequence[int]) -> None:
    """One step of all parameters, whose first axis is the run, but in these rows: they keep what
    they have to the last bit, whatever their gradients are.

    Args:
        optimizer: its parameters are (R, ...), and hold their gradients.
        rows: of the runs that do not move.
    """
    if not rows:
        optimizer.step()
        return
    index = list(rows)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    kept = [p.detach()[index] for p in parameters]
    for p in parameters:
        if p.grad is not None:
            p.grad[index] = 0.0
    optimizer.step()
    for p, before in zip(parameters, kept, strict=True):
        p.data[index] = before
