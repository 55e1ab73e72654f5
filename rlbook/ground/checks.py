"""Equation checks: the line that each notebook prints under a formula."""

import torch

from rlbook.ground.require import Numbers, first_index


def _as_tensor(name: str, value: Numbers) -> torch.Tensor:
    tensor = torch.as_tensor(value)
    if tensor.numel() == 0:
        raise ValueError(f"{name} is empty: a check of nothing would always hold")
    if tensor.is_complex():
        raise ValueError(f"{name} is complex: check its real and imaginary parts one by one")
    # From the value itself: on the way above, Python floats were rounded to float32.
    tensor = torch.as_tensor(value, device="cpu", dtype=torch.float64).detach()
    if tensor.isnan().any():
        raise ValueError(f"{name} contains NaN at index {first_index(tensor.isnan())}")
    return tensor


def check(
    tag: str,
    left: Numbers,
    right: Numbers | None = None,
    *,
    at_most: Numbers | None = None,
    atol: float = 1e-10,
    rtol: float = 1e-10,
) -> None:
    """Check the numbered equation `tag` on numbers: left = right, or left <= at_most.

    Exactly one of `right` and `at_most` is given. Equality means
    |left - right| <= atol + rtol |right| in every entry; the inequality means
    left <= at_most + atol + rtol |at_most|. Prints one line that does not change
    from machine to machine.

    Args:
        tag: the number of the equation, as in its `\\tag{3.9}`.
        left, right, at_most: tensors, arrays or numbers. `left` and `right` have the same
            shape; either may be a single number, which is then compared with every entry.

    Raises:
        AssertionError: the equation fails; the message names the worst entry.
        ValueError: empty or NaN input, different shapes, or not exactly one right side.
    """
    if right is not None and at_most is None:
        other_name, bound = "right", right
    elif right is None and at_most is not None:
        other_name, bound = "at_most", at_most
    else:
        raise ValueError("give exactly one of right= and at_most=")
    found, other = _as_tensor("left", left), _as_tensor(other_name, bound)
    if found.shape != other.shape and 1 not in (found.numel(), other.numel()):
        raise ValueError(f"left has shape {tuple(found.shape)}, {other_name} {tuple(other.shape)}")
    found, other = torch.broadcast_tensors(found, other)
    gap = found - other if right is None else (found - other).abs()
    gap = torch.where(found == other, 0.0, gap)  # equal infinities agree
    excess = gap - (atol + rtol * other.abs().nan_to_num(posinf=0.0, neginf=0.0))
    relation = "=" if at_most is None else "<="
    if (excess > 0).any() or excess.isnan().any():
        worst = excess.nan_to_num(nan=torch.inf).argmax()
        index = [int(i) for i in torch.unravel_index(worst, excess.shape)]
        raise AssertionError(
            f"Eq. ({tag}) fails: left {relation} {other_name} is violated, worst at index {index}: "
            f"left {found.flatten()[worst]:.10g}, {other_name} {other.flatten()[worst]:.10g}; "
            f"{int((excess > 0).sum())} of {excess.numel()} entries are wrong"
        )
    cases = f"all {found.numel()} cases" if found.numel() > 1 else "1 case"
    print(f"Eq. ({tag}) holds: left {relation} right in {cases}")
