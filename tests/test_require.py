"""What an argument must be: what is accepted, what is made of it, and what is said otherwise."""

import math

import numpy as np
import pytest
import torch

from rlbook.ground import require
from rlbook.ground.require import (
    available_devices,
    check_at_least,
    check_device,
    check_discount,
    check_memory,
    check_one_of,
    check_positive,
    check_within,
    first_index,
    flags,
    floating,
    numbers,
    require_shape,
)

F64 = {"dtype": torch.float64}


def test_python_floats_keep_64_bits_and_what_has_a_dtype_keeps_it():
    assert numbers(0.1).item() == 0.1 and numbers([0.1, 1]).dtype == torch.float64
    assert numbers([1, 2]).dtype == torch.long and numbers([True]).dtype == torch.bool
    for dtype in (torch.float32, torch.bfloat16, torch.int32):
        assert numbers(torch.ones(2, dtype=dtype)).dtype == dtype
    assert numbers(np.ones(2, dtype=np.float32)).dtype == torch.float32
    assert numbers([0.5], device="meta").device.type == "meta"
    assert numbers([1], device="meta").device.type == "meta"


def test_floating():
    assert floating("x", torch.ones(2)).dtype == torch.float32
    for value in (0.1, [1, 2], torch.ones(2, dtype=torch.bfloat16), torch.ones(2, **F64)):
        assert floating("x", value).dtype == torch.float64
    assert floating("x", [0.1]).item() == 0.1
    with pytest.raises(ValueError, match="x must be real, got torch.complex64"):
        floating("x", torch.ones(2, dtype=torch.complex64))


def test_flags():
    for default in (True, False):
        assert flags("x", None, (2, 1), default, "cpu").tolist() == [[default], [default]]
    assert flags("x", None, (2,), True, "meta").device.type == "meta"
    assert flags("x", [True, False], (2,), True, "cpu").tolist() == [True, False]
    assert flags("x", [True], (1,), True, "meta").device.type == "meta"
    with pytest.raises(ValueError, match="x must be bool, got torch.int64"):
        flags("x", [1, 0], (2,), True, "cpu")
    with pytest.raises(ValueError, match=r"x must have shape \(2,\), got \(1,\)"):
        flags("x", [True], (2,), True, "cpu")


def test_require_shape():
    tensor = torch.zeros(2, 3)
    assert require_shape("x", tensor, (2, 3)) is tensor
    assert require_shape("x", tensor, (2,), [2, 3]) is tensor
    with pytest.raises(ValueError, match=r"x must have shape \(3,\) or \(3, 2\), got \(2, 3\)"):
        require_shape("x", tensor, (3,), (3, 2))


def test_discounts():
    for discount in (0, 0.5, 1, 1.0):
        check_discount(discount)
    for discount in (-1e-9, 1 + 1e-9, 2, math.nan):
        with pytest.raises(ValueError, match=r"discount must be in \[0, 1\], got"):
            check_discount(discount)


def test_first_index():
    assert first_index(torch.tensor([[False, False], [True, True]])) == [1, 0]


def test_devices_that_are_there():
    for device in ("cpu", torch.device("cpu"), "cpu:0"):
        assert check_device(device) == torch.device(device)
    assert available_devices().startswith("'cpu'")


def test_devices_that_are_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for device in ("cuda", "cuda:0", "cpu:1", "mps", "meta"):
        with pytest.raises(ValueError, match=f"'{device}' is not there; this machine has 'cpu'$"):
            check_device(device)
    with pytest.raises(ValueError, match="there is no device 'gpu'; use 'cpu', or 'cuda'"):
        check_device("gpu")


def test_devices_of_another_machine(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert available_devices() == "'cpu', 'cuda:0', 'cuda:1', 'mps'"
    for device in ("cuda", "cuda:1", "mps", "mps:0", "xpu:7"):  # xpu: torch itself will say
        assert check_device(device) == torch.device(device)
    for device in ("cuda:2", "mps:1"):
        with pytest.raises(ValueError, match="is not there"):
            check_device(device)


def test_memory(monkeypatch):
    monkeypatch.setattr(require, "MAX_ENTRIES", 2400)
    check_memory("a table", 2, 30, 40)
    check_memory("a number")
    with pytest.raises(ValueError, match="a table would hold 3 x 801 = 2,403 numbers, more than"):
        check_memory("a table", 3, 801)
    with pytest.raises(ValueError, match="2,401 numbers, more than 2,400; use fewer runs"):
        check_memory("a table", 2401)


def test_choices():
    check_one_of("kind", "k1", ("k1", "k2"))
    with pytest.raises(ValueError, match=r"kind must be one of \('k1', 'k2'\), got 'k4'"):
        check_one_of("kind", "k4", ("k1", "k2"))


def test_numbers_within_bounds():
    for number in (0, 0.5, 1):
        check_within("x", number, 0, 1)
    for number in (-1e-9, 1.5, math.nan):
        with pytest.raises(ValueError, match=rf"x must be in \[0, 1\], got {number}"):
            check_within("x", number, 0, 1)


def test_least_and_positive_numbers():
    check_at_least("n", 1, 1)
    check_positive("x", 1e-9)
    for number in (0, math.nan):
        with pytest.raises(ValueError, match=f"n must be at least 1, got {number}"):
            check_at_least("n", number, 1)
        with pytest.raises(ValueError, match=f"x must be positive, got {number}"):
            check_positive("x", number)
