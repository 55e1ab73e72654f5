"""A second device on a machine without one: its memory is the CPU's, and its arithmetic too.

A tensor of `DEVICE` hides one of the CPU. Inside `watched()` every operation is seen: one that
takes tensors of the device and of the CPU raises `MixedDevices`, and one for which the host would
have to wait until a GPU has done its work is noted, with the function of the package that asked.

torch's own FakeTensorMode knows no numbers: all that a training decides would have to be invented.
Here they are those of the CPU, to the bit.
"""

import os
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from rlbook.ground import seeding

DEVICE = torch.device("privateuseone", 0)
"""A name that torch can read, of a device that is not there."""
META = torch.device("meta")
"""What C++ takes it for: no memory, and no driver is needed."""
CPU = torch.device("cpu")
PACKAGE = f"{Path(seeding.__file__).parents[1]}{os.sep}"
ATEN = torch.ops.aten
MAKE = torch.Tensor._make_wrapper_subclass
BUILDS = {torch.tensor, torch.as_tensor, torch.asarray}


class MixedDevices(RuntimeError):
    """One operation was given tensors of the device and of the CPU."""


class FakeTensor(torch.Tensor):
    """A tensor of the fake device; only this file looks inside."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inside: torch.Tensor) -> "FakeTensor":
        layout = {"strides": inside.stride(), "storage_offset": inside.storage_offset()}
        layout |= {"dtype": inside.dtype, "device": META}
        tensor = MAKE(cls, inside.shape, **layout)
        tensor.inside = inside
        return tensor

    @property
    def device(self) -> torch.device:
        return DEVICE

    def __repr__(self, **_) -> str:
        return f"FakeTensor({self.inside!r})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _operate(func, args, kwargs or {})


def _operate(func, args, kwargs):
    """One operation of torch: on the fake device, on the CPU, or from one to the other."""
    tensors, outside = [], {}

    def open_up(x):
        tensors.append(x)
        if not isinstance(x, FakeTensor):
            return x
        outside[id(x.inside)] = x
        return x.inside

    inner_args, inner_kwargs = _each(open_up, (args, kwargs))
    on_device = bool(outside)
    if kwargs.get("device") is not None:
        on_device = torch.device(kwargs["device"]).type == META.type
        inner_kwargs["device"] = CPU
    if func.overloadpacket in (ATEN._to_copy, ATEN.copy_):
        in_place = func.overloadpacket is ATEN.copy_
        source_there = isinstance(args[in_place], FakeTensor)
        target_there = isinstance(args[0], FakeTensor) if in_place else on_device
        if source_there != target_there:
            _note("sends to the device" if target_there else "reads from the device")
    elif outside:
        _refuse_a_mixture(func, tensors)
        if _waits(func, args):
            _note("reads from the device")
    found = func(*inner_args, **inner_kwargs)
    if not on_device:
        return found
    return _each(lambda x: outside[id(x)] if id(x) in outside else FakeTensor(x), found)


def _each(change, value):
    """The same, but for its tensors."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, tuple | list):
        return type(value)(_each(change, x) for x in value)
    if isinstance(value, dict):
        return {key: _each(change, x) for key, x in value.items()}
    return value


def _refuse_a_mixture(func, tensors):
    """But a single number of the CPU may enter sums and products, as on a GPU."""
    numbers = torch.Tag.pointwise in func.tags
    strangers = [x for x in tensors if not isinstance(x, FakeTensor) and (x.ndim or not numbers)]
    if strangers:
        shapes = ", ".join(str(tuple(x.shape)) for x in strangers)
        raise MixedDevices(f"{func} in {_place()} takes tensors of the CPU: {shapes}")


def _waits(func, args):
    """For a number, for how large the result is, or whether a matrix was singular."""
    if func.overloadpacket in (ATEN.index, ATEN.index_put, ATEN.index_put_):
        one_value = func.overloadpacket is not ATEN.index and args[2].numel() == 1
        by_mask = any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1])
        return by_mask and not one_value
    tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
    return not tags.isdisjoint(func.tags) or func.overloadpacket is ATEN._linalg_check_errors


class _Operations(TorchDispatchMode):
    """For operations that are given no tensor, or none of the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _operate(func, args, kwargs or {})


class _Calls(TorchFunctionMode):
    """What torch does before it comes to an operation."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.device:
            return func(*args, **kwargs)
        if func is torch.Tensor.tolist and isinstance(args[0], FakeTensor):
            return args[0].cpu().tolist()
        if func in (torch.Tensor.numpy, torch.Tensor.__array__) and isinstance(args[0], FakeTensor):
            raise TypeError(f"{_place()}: a tensor of the device is no array; use .cpu()")
        known, device = {DEVICE: META, str(DEVICE): META}, kwargs.get("device")
        if func in BUILDS - {torch.tensor} and isinstance(args[0], torch.Tensor):
            to = {"device": META if known.get(device) else device, "dtype": kwargs.get("dtype")}
            return args[0].to(**to) if device or to["dtype"] else args[0]
        if func in BUILDS and device in known:
            return func(*args, **kwargs | {"device": CPU}).to(META)
        if func is torch.Tensor.new_tensor and isinstance(args[0], FakeTensor):
            return torch.tensor(*args[1:], **{"dtype": args[0].dtype} | kwargs).to(META)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            parts = args[1] if isinstance(args[1], tuple) else (args[1],)
            parts = tuple(_index(x) if isinstance(x, list) else x for x in parts)
            args = (args[0], parts, *args[2:]) if isinstance(args[0], FakeTensor) else args
        args = tuple(known.get(x, x) if isinstance(x, torch.device | str) else x for x in args)
        return func(*args, **kwargs | ({"device": known.get(device, device)} if device else {}))


def _index(numbers):
    """On the device; of an empty list torch would make floats."""
    return torch.tensor(numbers, dtype=None if numbers else torch.long).to(META)


# ---------------------------------------------------------------- who waits


waits: Counter[tuple[str, str]] = Counter()


@contextmanager
def watched():
    """Inside, `DEVICE` is there. Hands out a Counter {(place, what): how often}, where the place
    is "file:function" of the package."""
    on_cpu = seeding._generator
    waits.clear()
    with patch.object(seeding, "_generator", lambda seed, key, _: on_cpu(seed, key, CPU)):
        with _Operations(), _Calls():
            yield waits


def _note(what):
    waits[_place(), what] += 1


def _place():
    frame = sys._getframe()
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(PACKAGE):
            file = path.removeprefix(PACKAGE).replace(os.sep, "/")
            return f"{file}:{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "the test"
