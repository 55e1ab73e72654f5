"""Frames in, a small animation out."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from rlbook.ground.saving import whole_file


def figure_frame(fig: Figure) -> np.ndarray:
    """The figure as it looks now: (height, width, 3), uint8; a frame of an animation."""
    assert isinstance(fig.canvas, FigureCanvasAgg)
    fig.canvas.draw()
    return np.asarray(fig.canvas.buffer_rgba())[..., :3].copy()


def animate_frames(frames, path: str | Path, *, fps: float = 5) -> Path:
    """Write a looping GIF whose bytes depend on the frames only; the last one stays 2 s.

    Args:
        frames: images of one shape (height, width, 3), uint8, as `figure_frame` makes them.
        path: where to write, whole or not at all; its folder exists.
    """
    frames = [np.asarray(frame) for frame in frames]
    shapes = {frame.shape for frame in frames}
    if len(shapes) != 1 or frames[0].dtype != np.uint8 or frames[0].shape[2:] != (3,):
        got = f"{sorted(shapes)} {sorted({str(frame.dtype) for frame in frames})}"
        raise ValueError(f"frames must be uint8 of one shape (height, width, 3), got {got}")
    sample = np.concatenate([*frames[:: len(frames) // 16 + 1], frames[-1]])
    palette = Image.fromarray(sample).quantize(128)  # one for all frames: no flicker
    images = [
        Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in frames
    ]
    duration = [round(1000 / fps)] * (len(images) - 1) + [2000]
    with whole_file(path) as unfinished:
        images[0].save(
            unfinished,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=duration,
            loop=0,
        )
    return Path(path)
