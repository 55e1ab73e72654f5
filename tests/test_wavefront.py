"""The animation of chapter 4 is what the code draws."""

import numpy as np
import torch
from PIL import Image

from rlbook.book.pictures.wavefront import (
    DISCOUNT,
    PATH,
    wavefront_frames,
    wavefront_maze,
    wavefront_values,
)


def test_values_spread_one_step_a_sweep():
    values = wavefront_values()
    reach = [1 - DISCOUNT ** min(k, 58) for k in range(len(values))]
    lowest = values.amin(dim=1)
    torch.testing.assert_close(lowest, -torch.tensor(reach, dtype=torch.float64) / (1 - DISCOUNT))
    assert len(values) == 59  # the farthest cell is 58 steps away


def test_the_committed_animation_shows_these_frames():
    count = len(wavefront_values())
    with Image.open(PATH) as gif:
        assert gif.n_frames == count
        frames = wavefront_frames()
        for k in range(3):  # the first few: each takes a third of a second to draw
            gif.seek(k)
            shown = np.asarray(gif.convert("RGB"), dtype=float)
            assert np.abs(shown - next(frames)).mean() < 3, f"stale at frame {k}"
    assert PATH.stat().st_size < 300_000
    assert wavefront_maze().shape == (15, 31)
