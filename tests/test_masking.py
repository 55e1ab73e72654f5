"""Means that leave out what is not there."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlbook.ground.masking import masked_mean, mean_per_run, standardise_per_run

NAN, INF = float("nan"), float("inf")


def test_mean_per_run_by_hand():
    x = torch.arange(12.0).reshape(2, 3, 2)
    assert mean_per_run(x).tolist() == [2.5, 8.5]
    assert mean_per_run(torch.tensor([1.0, 5.0])).tolist() == [1.0, 5.0]
    assert mean_per_run(torch.tensor([[1.0, 3.0], [5.0, 9.0]])).tolist() == [2.0, 7.0]


def test_mean_per_run_keeps_runs_apart():
    x = torch.randn(3, 4, 5, requires_grad=True)
    mean_per_run(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.full((3, 4, 5), 1 / 20))
    (alone,) = torch.autograd.grad(mean_per_run(x)[1], x)
    assert (alone[[0, 2]] == 0).all()


def test_mean_per_run_refuses_what_has_no_mean():
    with pytest.raises(ValueError, match="no run axis"):
        mean_per_run(torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"empty.*\(2, 0\)"):
        mean_per_run(torch.zeros(2, 0))


def test_masked_mean_by_hand():
    x = torch.tensor([[1.0, 2.0, 100.0], [4.0, 100.0, 100.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert masked_mean(x, mask).item() == pytest.approx(7 / 3)
    assert masked_mean(x, mask, dim=1).tolist() == [1.5, 4.0]
    assert masked_mean(x, mask, dim=(0, 1)).item() == pytest.approx(7 / 3)


@given(st.integers(0, 10_000))
def test_masked_mean_is_the_mean_of_what_is_left(seed):
    stream = torch.Generator().manual_seed(seed)
    x = torch.randn(4, 6, generator=stream, dtype=torch.float64)
    mask = torch.rand(4, 6, generator=stream) < 0.5
    mask[0, 0] = True
    torch.testing.assert_close(masked_mean(x, mask), x[mask].mean())
    torch.testing.assert_close(masked_mean(x, torch.ones_like(mask), 1), x.mean(1))


def test_what_is_behind_the_mask_stays_out_of_value_and_gradient():
    x = torch.tensor([1.0, NAN, 3.0, INF], requires_grad=True)
    mean = masked_mean(x, torch.tensor([True, False, True, False]))
    mean.backward()
    assert mean.item() == 2.0
    assert x.grad.tolist() == [0.5, 0.0, 0.5, 0.0]


def test_masked_mean_keeps_the_dtype():
    x = torch.ones(3, dtype=torch.float32)
    mask = torch.tensor([True, False, True])
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert masked_mean(x.to(dtype), mask).dtype == dtype


def test_bad_masks_are_refused():
    x = torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"mask must be bool \(2, 3\), got torch.float32"):
        masked_mean(x, torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"got torch.bool \(3,\)"):
        masked_mean(x, torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="mask is empty somewhere along dim"):
        masked_mean(x, torch.tensor([[True, True, True], [False, False, False]]), dim=1)


def test_mean_per_run_over_the_entries_of_a_mask():
    x = torch.tensor([[[1.0, NAN], [3.0, 5.0]], [[2.0, 4.0], [INF, 6.0]]])
    mask = ~(x.isnan() | x.isinf())
    assert mean_per_run(x, mask).tolist() == [3.0, 4.0]
    nothing = mask & torch.tensor([True, False]).view(2, 1, 1)
    assert str(mean_per_run(x, nothing).tolist()) == "[3.0, nan]"  # its run will be frozen


def test_standardised_run_by_run_over_the_entries_of_a_mask():
    x = torch.tensor([[[1.0, 3.0, 99.0]], [[10.0, 10.0, 40.0]]])
    mask = torch.tensor([[[1, 1, 0]], [[1, 1, 1]]], dtype=torch.bool)
    found = standardise_per_run(x, mask)
    torch.testing.assert_close(found[0, 0, :2], torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(found[1].mean(), torch.tensor(0.0))
    torch.testing.assert_close(found[1].square().mean(), torch.tensor(1.0))
    torch.testing.assert_close(standardise_per_run(x.flatten(1), mask.flatten(1)), found.flatten(1))
    tiny = torch.tensor([[0.0, 2e-8]])  # a deviation of 1e-8, as much as is added to it
    torch.testing.assert_close(standardise_per_run(tiny, tiny >= 0), torch.tensor([[-0.5, 0.5]]))
    assert (standardise_per_run(torch.ones(2, 3), torch.ones(2, 3) > 0) == 0).all()
