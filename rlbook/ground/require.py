"""What an argument must be: each check raises a ValueError that says what was given."""

from collections.abc import Sequence

import numpy as np
import torch

Numbers = torch.Tensor | np.ndarray | Sequence | float
"""What torch.as_tensor takes."""
MAX_ENTRIES = 3 * 10**8  # 2.4 GB of float64


def numbers(value: Numbers, device: str | torch.device | None = None) -> torch.Tensor:
    """A tensor; Python floats keep their 64 bits, which torch.as_tensor would round to 32."""
    tensor = torch.as_tensor(value, device=device)
    if tensor.is_floating_point() and not hasattr(value, "dtype"):
        tensor = torch.as_tensor(value, dtype=torch.float64, device=device)
    return tensor


def floating(name: str, value: Numbers) -> torch.Tensor:
    """A float tensor: float32 tensors stay, everything else becomes float64."""
    tensor = numbers(value)
    if tensor.is_complex():
        raise ValueError(f"{name} must be real, got {tensor.dtype}")
    return tensor if tensor.dtype == torch.float32 else tensor.to(torch.float64)


def flags(
    name: str,
    value: Numbers | None,
    shape: tuple[int, ...],
    default: bool,
    device: str | torch.device,
) -> torch.Tensor:
    """A bool tensor of the given shape, all `default` where value is None."""
    if value is None:
        return torch.full(shape, default, device=device)
    tensor = torch.as_tensor(value, device=device)
    if tensor.dtype != torch.bool:
        raise ValueError(f"{name} must be bool, got {tensor.dtype}")
    return require_shape(name, tensor, shape)


def require_shape(name: str, tensor: torch.Tensor, *shapes: tuple[int, ...]) -> torch.Tensor:
    """The tensor, if it has one of the given shapes."""
    if tuple(tensor.shape) not in [tuple(shape) for shape in shapes]:
        wanted = " or ".join(str(tuple(shape)) for shape in shapes)
        raise ValueError(f"{name} must have shape {wanted}, got {tuple(tensor.shape)}")
    return tensor


def check_discount(discount: float) -> None:
    if not 0 <= discount <= 1:
        raise ValueError(f"discount must be in [0, 1], got {discount}")


def first_index(mask: torch.Tensor) -> list[int]:
    return mask.nonzero()[0].tolist()


def check_device(device: str | torch.device) -> torch.device:
    """The device, if this machine has it.

    Raises:
        ValueError: no such device.
    """
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"there is no device {device!r}; use 'cpu', or 'cuda'") from error
    count = {"cpu": 1, "meta": 0, "cuda": torch.cuda.device_count()}.get(device.type)
    if device.type == "mps":
        count = int(torch.backends.mps.is_available())
    if count is not None and (device.index or 0) >= count:
        raise ValueError(f"device '{device}' is not there; this machine has {available_devices()}")
    return device


def available_devices() -> str:
    cuda = [f"'cuda:{index}'" for index in range(torch.cuda.device_count())]
    mps = ["'mps'"] if torch.backends.mps.is_available() else []
    return ", ".join(["'cpu'", *cuda, *mps])


def check_memory(what: str, *sizes: int) -> None:
    """Refuse a table that does not fit in memory, before anything is computed."""
    entries = 1
    for size in sizes:
        entries *= size
    if entries > MAX_ENTRIES:
        shape = " x ".join(str(size) for size in sizes)
        raise ValueError(
            f"{what} would hold {shape} = {entries:,} numbers, more than {MAX_ENTRIES:,}; "
            "use fewer runs, or fewer episodes"
        )


# ---------------------------------------------------------------- numbers, words, axes


def _all(condition: bool | torch.Tensor) -> bool:
    return bool(condition.all()) if isinstance(condition, torch.Tensor) else condition


def _shown(value: float | torch.Tensor) -> object:
    return value.tolist() if isinstance(value, torch.Tensor) else value


def positive(name: str, value: float | torch.Tensor) -> None:
    """More than 0, all of it; NaN is not."""
    if not _all(value > 0):
        raise ValueError(f"{name} must be positive, got {_shown(value)}")


def positive_integer(name: str, value: float) -> None:
    """1, 2, 3 ...; True is no number."""
    if isinstance(value, bool) or not value >= 1 or value % 1 != 0:
        raise ValueError(f"{name} must be a positive whole number, got {value}")


def at_least(name: str, value: float | torch.Tensor, least: float) -> None:
    """This number or more, all of it; NaN is not."""
    if not _all(value >= least):
        raise ValueError(f"{name} must be at least {least}, got {_shown(value)}")


def within(name: str, value: float | torch.Tensor, low: float, high: float) -> None:
    """In the closed interval, all of it; NaN is not."""
    if not _all((value >= low) & (value <= high)):
        raise ValueError(f"{name} must be in [{low}, {high}], got {_shown(value)}")


def strictly_within(name: str, value: float, low: float, high: float) -> None:
    """In the open interval; NaN is not."""
    if not low < value < high:
        raise ValueError(f"{name} must lie strictly between {low} and {high}, got {value}")


def one_of(name: str, value: object, *choices: str) -> None:
    """One of these words."""
    if value not in choices:
        *most, last = map(repr, choices)
        wanted = f"{', '.join(most)} or {last}" if most else last
        raise ValueError(f"{name} must be {wanted}, got {value!r}")


def same_shape(form: str = "(...)", **tensors: torch.Tensor) -> None:
    """One shape for all, with the axes that `form` names: "(..., A)" has one or more."""
    first, *others = tensors.values()
    if first.ndim < form.count(",") or any(x.shape != first.shape for x in others):
        *most, last = tensors
        shapes = (", " if others[1:] else " and ").join(
            str(tuple(x.shape)) for x in tensors.values()
        )
        wanted = f"one shape {form}".removesuffix(" (...)")
        raise ValueError(f"{', '.join(most)} and {last} must have {wanted}, got {shapes}")


def real(name: str, tensor: torch.Tensor, form: str) -> None:
    """Floating point, with the axes that `form` names, "(..., T)", and the last not empty."""
    short = tensor.ndim < form.count(",") or tensor.shape[-1] == 0
    if short or not tensor.is_floating_point():
        axis, got = form[-2], f"{tensor.dtype} {tuple(tensor.shape)}"
        raise ValueError(f"{name} must be floating point {form} with {axis} >= 1, got {got}")


def mask(name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Bool, of this shape."""
    if tensor.dtype != torch.bool or tensor.shape != shape:
        got = f"{tensor.dtype} {tuple(tensor.shape)}"
        raise ValueError(f"{name} must be bool {tuple(shape)}, got {got}")


def finite(name: str, tensor: torch.Tensor) -> None:
    """No entry is NaN or infinite; the message says where the first of them is."""
    bad = ~tensor.isfinite()
    if bad.any():
        index = first_index(bad)
        raise ValueError(f"{name}{index} is {tensor[tuple(index)].item()}")


def spreads(name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Of this shape, or one that is repeated along some axes to have it."""
    if torch.broadcast_shapes(tensor.shape, shape) != shape:
        got = f"{tuple(tensor.shape)}, which does not spread to {tuple(shape)}"
        raise ValueError(f"{name} has shape {got}")


def axes(name: str, tensor: torch.Tensor, form: str) -> None:
    """As many axes as `form` names: "(R, P)" has two."""
    if tensor.ndim != form.count(",") + 1:
        raise ValueError(f"{name} must be {form}, got {tuple(tensor.shape)}")
