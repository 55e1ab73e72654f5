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


def cells(picture: np.ndarray) -> np.ndarray:
    """The colours of the maze's cells, (height, width, 3), wherever the picture has the maze.

    Another release of matplotlib may move it by a pixel, or set the title in other letters.
    """
    dark = picture.max(axis=-1) < 90  # the maze is framed by walls
    boxes = [np.flatnonzero(dark.mean(axis=axis) > 0.8)[[0, -1]] for axis in (1, 0)]
    centres = [
        (first + (np.arange(n) + 0.5) * (last + 1 - first) / n).astype(int)
        for (first, last), n in zip(boxes, wavefront_maze().shape, strict=True)
    ]
    return picture[np.ix_(*centres)].astype(float)


def test_the_committed_animation_shows_these_frames():
    count = len(wavefront_values())
    with Image.open(PATH) as gif:
        assert gif.n_frames == count
        frames = wavefront_frames()
        before = None
        for k in range(4):  # the first few: each takes a third of a second to draw
            gif.seek(k)
            shown = cells(np.asarray(gif.convert("RGB")))
            off = np.abs(shown - cells(next(frames))).max(axis=-1)
            off[1, 1] = 0  # the goal's letter
            assert off.max() < 30, f"stale at frame {k}, cell {np.argwhere(off >= 30)[0]}"
            assert before is None or np.abs(shown - before).max() > 30, "frames look alike"
            before = shown
    assert PATH.stat().st_size < 300_000
    assert wavefront_maze().shape == (15, 31)
