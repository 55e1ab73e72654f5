"""The equation check holds when it should and, above all, fails when it should; progress bars."""

import itertools

import numpy as np
import pytest
import torch

from rlbook.ground.checks import check
from rlbook.ground.progress import progress

NAN, INF = float("nan"), float("inf")


def test_the_printed_lines(capsys):
    check("3.4", torch.ones(3, 4), np.ones((3, 4)))
    check("3.9", torch.zeros(1000), at_most=torch.rand(1000))
    check("1.1", 0.5, 0.5)
    check("1.2", [1.0, 2.0], at_most=2)
    assert capsys.readouterr().out.splitlines() == [
        "Eq. (3.4) holds: left = right in all 12 cases",
        "Eq. (3.9) holds: left <= right in all 1000 cases",
        "Eq. (1.1) holds: left = right in 1 case",
        "Eq. (1.2) holds: left <= right in all 2 cases",
    ]


def test_one_wrong_entry_of_a_thousand_fails_and_is_named(capsys):
    right = torch.rand(10, 100, dtype=torch.float64)
    left = right.clone()
    left[3, 71] += 1e-6
    with pytest.raises(AssertionError, match=r"Eq. \(3.4\) fails.*\[3, 71\].*1 of 1000 entries"):
        check("3.4", left, right)
    left[3, 71] = right[3, 71] - 1e-6
    with pytest.raises(AssertionError):
        check("3.4", left, right)
    check("3.4", left, at_most=right)
    left[3, 71] = right[3, 71] + 1e-6
    with pytest.raises(AssertionError, match=r"<= at_most is violated, worst at index \[3, 71\]"):
        check("3.4", left, at_most=right)
    assert capsys.readouterr().out.count("holds") == 1


def test_the_tolerance_is_atol_plus_rtol_times_right():
    check("1.1", 1e6 + 0.9e-4, 1e6)
    with pytest.raises(AssertionError):
        check("1.1", 1e6 + 1.1e-4, 1e6)
    with pytest.raises(AssertionError):
        check("1.1", 1e-9, 0.0)
    check("1.1", 1e-9, 0.0, atol=1e-8)


@pytest.mark.parametrize("left, right", [(INF, 1.0), (1.0, INF), (INF, -INF), (-INF, 1.0)])
def test_an_infinity_is_equal_to_itself_only(left, right):
    with pytest.raises(AssertionError, match="1 of 2 entries are wrong"):
        check("1.1", [0.0, left], [0.0, right])
    check("1.1", [0.0, left], [0.0, left])


def test_infinities_in_bounds():
    check("1.1", [1.0, -INF, INF], at_most=[INF, 0.0, INF])
    with pytest.raises(AssertionError):
        check("1.1", [INF], at_most=[5.0])
    with pytest.raises(AssertionError):
        check("1.1", [0.0], at_most=[-INF])


def test_float32_noise_is_not_hidden():
    third = torch.tensor(1 / 3, dtype=torch.float64)
    with pytest.raises(AssertionError):
        check("1.1", third.float(), third)


def test_booleans_integers_and_gradients_are_taken():
    check("1.1", torch.tensor([True, False]), [1, 0])
    check("1.1", torch.ones(2, requires_grad=True), 1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_nan_empty_and_complex_input_is_refused(side):
    def attempt(value):
        other = np.ones_like(np.asarray(value), dtype=float)
        check("1.1", *((value, other) if side == "left" else (other, value)))

    with pytest.raises(ValueError, match=rf"{side} contains NaN at index \[1\]"):
        attempt([1.0, NAN])
    with pytest.raises(ValueError, match="empty"):
        attempt([])
    with pytest.raises(ValueError, match=f"{side} is complex"):
        attempt([1.0 + 1j])


def test_shapes_do_not_broadcast():
    for right in (torch.ones(3), torch.ones(3, 2), torch.ones(1, 2, 3)):
        with pytest.raises(ValueError, match=r"left has shape \(2, 3\), right \("):
            check("1.1", torch.ones(2, 3), right)


def test_exactly_one_right_side():
    for sides in ({}, {"right": 1.0, "at_most": 1.0}):
        with pytest.raises(ValueError, match="exactly one"):
            check("1.1", 1.0, **sides)


def test_tolerances_by_hand():
    """atol + rtol |right|, the edge inside, for negative numbers as for positive ones."""
    check("1", 1.0, 1.0, atol=0, rtol=0)
    check("1", [1.0, 1.5], 1.0, atol=0.5, rtol=0)
    for right in (-8.0, 8.0):
        check("1", [right + 1, right - 1], right, atol=0, rtol=1 / 8)
        check("1", right + 1, at_most=right, atol=0, rtol=1 / 8)
        with pytest.raises(AssertionError, match="1 of 2 entries"):
            check("1", [right, right + 1.01], right, atol=0, rtol=1 / 8)


def test_a_tolerance_that_is_no_number_holds_nothing():
    for wrong in ({"atol": NAN}, {"rtol": NAN}):
        with pytest.raises(AssertionError, match="is violated"):
            check("1", 1.0, 1.0, **wrong)
    with pytest.raises(AssertionError, match=r"worst at index \[1\]"):  # inf times 0
        check("1", [3.0, 7.0], [1.0, 0.0], rtol=INF)


def test_one_number_is_compared_with_every_entry_and_nothing_else_spreads():
    check("1", [2.0, 2.0, 2.0], 2.0)
    check("1", 2.0, torch.full((3, 1, 2), 2.0))
    for shape in ((1, 2), (2, 1), (3,)):
        with pytest.raises(ValueError, match="left has shape"):
            check("1", torch.ones(2), torch.ones(shape))


def test_progress_is_silent_when_asked_and_passes_its_items_on(monkeypatch, capsys):
    monkeypatch.setenv("RLBOOK_QUIET", "1")
    assert list(progress(range(3), description="sweeps")) == [0, 1, 2]
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_progress_shows_its_description_after_two_seconds_only(monkeypatch, capsys):
    monkeypatch.delenv("RLBOOK_QUIET", raising=False)
    for seconds, shown in ((0.1, False), (3.0, True)):
        clock = itertools.count(step=seconds)
        monkeypatch.setattr("tqdm.std.time", lambda clock=clock: next(clock))
        assert list(progress(range(3), description="sweeps")) == [0, 1, 2]
        assert ("sweeps" in capsys.readouterr().err) is shown


def test_progress_can_be_driven_by_hand(monkeypatch):
    monkeypatch.setenv("RLBOOK_QUIET", "1")
    with progress(total=10) as bar:
        bar.update(4)


def test_progress_is_quiet_if_asked_or_told_so_and_leaves_nothing_behind(monkeypatch):
    for quiet, show in (("", True), ("", False), ("1", True), ("1", False)):
        monkeypatch.setenv("RLBOOK_QUIET", quiet)
        with progress(total=3, show=show) as bar:
            assert bar.disable == (bool(quiet) or not show)
            if not bar.disable:
                assert bar.delay == 2 and not bar.leave
