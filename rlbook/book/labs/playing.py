"""What all labs share: a strip of frames to store, and controls to play with.

A lab is one function `draw(...)` of plain arguments that draws and returns one figure, in
`rlbook.book.labs.chapter_NN`. A page stores some frames of it and, when it is run, moves it:

    strip(draw, [{"sweeps": 0}, {"sweeps": 3}, {"sweeps": 9}])
    play(draw, sweeps=(0, 20))

A chapter that can draw its frames sharper than as copies has a `strip(frames)` of its own.
"""

import inspect
import io
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from ipywidgets import interactive

DOTS = 220  # per inch, as a figure in Jupyter has
PAGE = 9.0  # inches


def play(draw: Callable[..., Figure], **controls) -> "interactive | None":
    """The function with a control for each argument, as the last line of a cell.

    Args:
        draw: draws one figure.
        controls: for each argument what ipywidgets understands: (0, 20) or (0.0, 1.0, 0.1) for a
            slider, a list for a menu, True or False for a box to tick, or a widget.

    Returns:
        The controls above the figure, which follows them; in its `children` first the controls, in
        their order, and in `result` the last figure. None where RLBOOK_QUIET is set, since controls
        cannot be stored.

    Raises:
        ValueError: no control, or one that `draw` has no argument for.
    """
    names = tuple(inspect.signature(draw).parameters)
    if not controls or set(controls) - set(names):
        raise ValueError(f"controls must name arguments of draw, {names}, got {tuple(controls)}")
    if "RLBOOK_QUIET" in os.environ:
        return None
    from ipywidgets import interactive  # which needs what only the extra `lab` brings

    return interactive(draw, **controls)


def strip(draw: Callable[..., Figure], settings: Sequence[dict], columns: int = 3) -> Figure:
    """Frames of the same function, side by side in one figure.

    Args:
        draw: draws one figure.
        settings: the arguments of each frame; at least three.
        columns: frames in a row.

    Raises:
        ValueError: fewer than three settings, or two that are the same.
    """
    if len(settings) < 3:
        raise ValueError(f"settings must hold at least three frames, got {len(settings)}")
    for place, setting in enumerate(settings):
        if setting in settings[:place]:
            raise ValueError(f"settings[{place}] repeats a frame: {setting}")
    frames = [_pixels(draw(**setting)) for setting in settings]
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    height, width = (max(frame.shape[axis] for frame in frames) for axis in (0, 1))
    size = min(columns * width / DOTS, PAGE)
    figure, axes = plt.subplots(
        rows, columns, figsize=(size, size * rows * height / (columns * width)), squeeze=False
    )
    figure.set_layout_engine("none")
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0, hspace=0)
    for place, axis in enumerate(axes.flat):
        axis.axis("off")
        if place < len(frames):
            axis.imshow(frames[place], interpolation="antialiased")
    return figure


def _pixels(figure: Figure):
    """A figure as an array of colours; it is closed, so that a page does not show it as well."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DOTS, bbox_inches=None)
    plt.close(figure)
    buffer.seek(0)
    return plt.imread(buffer)
