"""Numbers flow back from a prize: the lab of chapter 0, walk by walk, as an animation.

`python -m rlbook.book flowing-back` redraws figures/numbers_flow_back.gif.
"""

from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from rlbook.book.labs.chapter_00 import draw
from rlbook.book.paths import FIGURES
from rlbook.ground.animation import animate_frames, figure_frame
from rlbook.ground.plotting import use_style

PATH = FIGURES / "numbers_flow_back.gif"
WALKS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 45, 70, 100)


def frames() -> Iterator[np.ndarray]:
    """The room after each number of WALKS, with the settings that `draw` has by default."""
    for walks in WALKS:
        with plt.style.context("default"):
            use_style()
            fig = draw(walks)
            fig.set_dpi(80)
            frame = figure_frame(fig)
            plt.close(fig)
        yield frame


def save(path: Path = PATH) -> Path:
    """Draw the animation; the same frames give the same bytes."""
    return animate_frames(list(frames()), path, fps=1.25)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    print(save())
    return 0
