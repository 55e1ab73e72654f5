"""What an argument must be: each check raises a ValueError that says what was given."""

import torch

MAX_ENTRIES = 3 * 10**8  # 2.4 GB of float64


def numbers(value, device=None) -> torch.Tensor:
    """A tensor; Python floats keep their 64 bits, which torch.as_tensor would round to 32."""
    tensor = torch.as_tensor(value, device=device)
    if tensor.is_floating_point() and not hasattr(value, "dtype"):
        tensor = torch.as_tensor(value, dtype=torch.float64, device=device)
    return tensor


def floating(name: str, value) -> torch.Tensor:
    """A float tensor: float32 tensors stay, everything else becomes float64."""
    tensor = numbers(value)
    if tensor.is_complex():
        raise ValueError(f"{name} must be real, got {tensor.dtype}")
    return tensor if tensor.dtype == torch.float32 else tensor.to(torch.float64)


def flags(name: str, value, shape: tuple[int, ...], default: bool, device) -> torch.Tensor:
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


def check_positive_integer(name: str, number: float) -> None:
    if isinstance(number, bool) or not number >= 1 or number % 1 != 0:
        raise ValueError(f"{name} must be a positive whole number, got {number}")


def check_within(name: str, number: float, low: float, high: float) -> None:
    if not low <= number <= high:
        raise ValueError(f"{name} must be in [{low}, {high}], got {number}")


def check_at_least(name: str, number: float, low: float) -> None:
    if not number >= low:
        raise ValueError(f"{name} must be at least {low}, got {number}")


def check_one_of(name: str, value, choices: tuple) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")
