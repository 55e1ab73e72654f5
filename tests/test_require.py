"""What an argument must be: what is accepted, what is made of it, and what is said otherwise."""

import math
import re

import numpy as np
import pytest
import torch

from rlbook.ground import require
from rlbook.ground.require import (
    available_devices,
    check_device,
    check_discount,
    check_memory,
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


HALF, NAN = torch.tensor([0.5, 0.5]), torch.tensor([0.5, math.nan])


def test_numbers_that_are_accepted():
    for value in (1e-9, 1, math.inf, torch.tensor([1e-9, 1.0])):
        require.positive("x", value)
    for value in (2, 2.5, torch.tensor([2.0, 3.0])):
        require.at_least("x", value, 2)
    for value in (0, 0.5, 1, torch.tensor([0.0, 1.0])):
        require.within("x", value, 0, 1)
    for value in (1e-9, 1 - 1e-9):
        require.strictly_within("x", value, 0, 1)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: require.positive("x", 0), "x must be positive, got 0$"),
        (lambda: require.positive("x", math.nan), "x must be positive, got nan"),
        (lambda: require.positive("x", HALF - 0.5), r"x must be positive, got \[0.0, 0.0\]"),
        (lambda: require.positive("x", NAN), "x must be positive"),
        (lambda: require.at_least("x", 1.5, 2), "x must be at least 2, got 1.5"),
        (lambda: require.at_least("x", math.nan, 2), "x must be at least 2, got nan"),
        (lambda: require.at_least("x", NAN, 0), "x must be at least 0, got"),
        (lambda: require.within("x", 1.1, 0, 1), r"x must be in \[0, 1\], got 1.1"),
        (lambda: require.within("x", -0.1, 0, 1), r"x must be in \[0, 1\], got -0.1"),
        (lambda: require.within("x", math.nan, 0, 1), "x must be in"),
        (lambda: require.within("x", torch.tensor([0.5, 2.0]), 0, 1), r"got \[0.5, 2.0\]"),
        (lambda: require.within("x", torch.tensor([-1.0, 0.5]), 0, 1), "x must be in"),
        (lambda: require.within("x", NAN, 0, 1), "x must be in"),
        (lambda: require.strictly_within("x", 0, 0, 1), "strictly between 0 and 1, got 0"),
        (lambda: require.strictly_within("x", 1, 0, 1), "strictly between 0 and 1, got 1"),
        (lambda: require.strictly_within("x", math.nan, 0, 1), "strictly between"),
    ],
)
def test_numbers_that_are_refused(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_one_of():
    require.one_of("x", "b", "a", "b")
    with pytest.raises(ValueError, match="^x must be 'a', 'b' or 'c', got 'd'$"):
        require.one_of("x", "d", "a", "b", "c")
    with pytest.raises(ValueError, match="^x must be 'a', got 'b'$"):
        require.one_of("x", "b", "a")
    with pytest.raises(ValueError, match="^x must be 'a' or 'b', got None$"):
        require.one_of("x", None, "a", "b")


def test_same_shape():
    require.same_shape(x=torch.ones(()), y=torch.ones(()))
    require.same_shape("(..., A)", x=torch.ones(2), y=torch.zeros(2), z=torch.ones(2))
    require.same_shape("(..., S, A)", x=torch.ones(1, 2))
    with pytest.raises(ValueError, match=r"^x and y must have one shape, got \(2,\) and \(1,\)$"):
        require.same_shape(x=torch.ones(2), y=torch.ones(1))
    with pytest.raises(ValueError, match=r"^x, y and z must have .*, got \(2,\), \(2,\), \(1,\)$"):
        require.same_shape(x=torch.ones(2), y=torch.ones(2), z=torch.ones(1))
    for form, x in (("(..., A)", torch.ones(())), ("(..., S, A)", torch.ones(2))):
        with pytest.raises(ValueError, match=f"must have one shape {re.escape(form)}, got"):
            require.same_shape(form, x=x, y=x)


def test_real():
    for x in (torch.ones(1), torch.ones(0, 3), torch.ones(2, dtype=torch.bfloat16)):
        require.real("x", x, "(..., T)")
    for x in (torch.ones(()), torch.ones(2, 0), torch.ones(2, dtype=torch.long)):
        got = re.escape(f"got {x.dtype} {tuple(x.shape)}")
        with pytest.raises(ValueError, match=rf"x must be floating point .*T\) with T >= 1, {got}"):
            require.real("x", x, "(..., T)")
    with pytest.raises(ValueError, match="with A >= 1"):
        require.real("x", torch.ones(3), "(..., S, A)")


def test_mask():
    require.mask("x", torch.ones(2, 3) > 0, (2, 3))
    for x in (torch.ones(2, 3), torch.ones(3) > 0):
        got = re.escape(f"got {x.dtype} {tuple(x.shape)}")
        with pytest.raises(ValueError, match=rf"^x must be bool \(2, 3\), {got}$"):
            require.mask("x", x, torch.Size([2, 3]))


def test_finite():
    require.finite("x", torch.zeros(2, 0))
    require.finite("x", torch.ones(2))
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=rf"^x\[1, 0\] is {bad}$"):
            require.finite("x", torch.tensor([[1.0, 2.0], [bad, math.nan]]))


def test_spreads_and_axes():
    for shape in ((2, 3), (3,), (2, 1), ()):
        require.spreads("x", torch.ones(shape), (2, 3))
    with pytest.raises(ValueError, match=r"x has shape \(5, 2, 3\), which .* to \(2, 3\)"):
        require.spreads("x", torch.ones(5, 2, 3), torch.Size([2, 3]))
    require.axes("x", torch.ones(2, 0), "(R, P)")
    for x in (torch.ones(2), torch.ones(2, 3, 1)):
        with pytest.raises(ValueError, match=r"x must be \(R, P\), got \(2,"):
            require.axes("x", x, "(R, P)")


@pytest.mark.parametrize("number", [0, -1, 1.5, True, math.nan, math.inf])
def test_a_positive_whole_number(number):
    require.positive_integer("n", 1)
    require.positive_integer("n", 2.0)
    with pytest.raises(ValueError, match=f"n must be a positive whole number, got {number}"):
        require.positive_integer("n", number)
