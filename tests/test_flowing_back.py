"""The animation of chapter 0 is what its lab draws."""

import numpy as np
from PIL import Image

from rlbook.book.labs.chapter_00 import walk, worth
from rlbook.book.labs.flowing_back import PATH, WALKS, frames


def corners(picture: np.ndarray) -> np.ndarray:
    """Colours in the directions of the cells, off the numbers and the walk, (64, 3).

    Another release of matplotlib may move the room by a pixel, or set its numbers otherwise.
    """
    height, width = picture.shape[:2]
    side = width / 4.04  # a cell, in pixels; the room stands at the bottom
    centres = [(height - side * (3.5 - r), side * (c + 0.5)) for r in range(4) for c in range(4)]
    near = [(-0.28, 0.4), (0.28, 0.4), (-0.4, 0.28), (0.4, 0.28)]
    at = [(int(y + dy * side), int(x + dx * side)) for y, x in centres for dy, dx in near]
    return np.array([picture[place] for place in at], dtype=float)


def test_the_committed_animation_shows_these_frames():
    with Image.open(PATH) as gif:
        assert gif.n_frames == len(WALKS)
        for k, drawn in zip(range(4), frames(), strict=False):
            gif.seek(k)
            off = np.abs(corners(np.asarray(gif.convert("RGB"))) - corners(drawn)).max(-1)
            assert (off > 30).mean() < 0.1, (
                f"stale at frame {k}: python -m rlbook.book flowing-back"
            )
    assert PATH.stat().st_size < 300_000


def test_it_shows_a_mouse_that_learns():
    values = [worth(walk(walks, 0.3, 0.5, 1)[0]) for walks in WALKS]
    assert values[0] < 1 and values[-1] > 5
