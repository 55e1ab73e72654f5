"""A step of an optimizer that some runs do not take."""

import torch


def frozen_step(optimizer: torch.optim.Optimizer, frozen: torch.Tensor | None) -> None:
    """One step of all parameters, whose first axis is the run, but in these rows: they keep what
    they have to the last bit, whatever their gradients are. Nothing waits for the host.

    Args:
        optimizer: its parameters are (R, ...), and hold their gradients.
        frozen: (R,) bool, True for the runs that do not move; None if all do.
    """
    if frozen is None:
        optimizer.step()
        return
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    rows = [frozen.view(-1, *[1] * (p.ndim - 1)) for p in parameters]
    kept = [p.detach().clone() for p in parameters]
    for p, row in zip(parameters, rows, strict=True):
        if p.grad is not None:
            p.grad.masked_fill_(row, 0.0)
    optimizer.step()
    for p, row, before in zip(parameters, rows, kept, strict=True):
        p.data.copy_(torch.where(row, before, p.data))
