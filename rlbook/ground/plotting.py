"""The one look of every figure, and what the book draws again and again: curves over runs, values
and policies on grids."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from rlbook.ground.require import Numbers
from rlbook.ground.statistics import bootstrap_interval, interquartile_mean

COLORS = {  # Okabe and Ito 2008, told apart by colour-blind readers
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "black": "#000000",
}
WALL = "#3A3A3A"
FROZEN_LAKE_MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # left, down, right, up: (row, column)

Cells = Numbers | Mapping[int, str]
"""Which cells: booleans, state numbers, or a mark for each of some states."""

STYLE = {
    "figure.dpi": 110,  # 5 in = 550 px on the page; in Jupyter drawn with twice as many dots
    "figure.facecolor": "white",  # also on JupyterLab's dark theme
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.transparent": False,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.prop_cycle": plt.cycler(color=[c for name, c in COLORS.items() if name != "yellow"]),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "image.cmap": "viridis",
    "mathtext.fontset": "cm",
}


def use_style() -> None:
    """Set the book's style; each notebook calls it once, in its import cell.

    In Jupyter, figures get twice as many dots as the page is wide: sharp on today's screens.
    """
    plt.style.use(STYLE)
    if "matplotlib_inline" in plt.get_backend():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")


def single() -> tuple[Figure, Axes]:
    """A figure of 5 x 3 in with one pair of axes."""
    return plt.subplots(figsize=(5, 3), layout="constrained")


def pair(*, sharex: bool = False, sharey: bool = False) -> tuple[Figure, np.ndarray]:
    """A figure of 9 x 3 in with two pairs of axes, side by side."""
    return plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharex=sharex, sharey=sharey)


# ---------------------------------------------------------------- curves and grids


__all__ = [
    "COLORS",
    "FROZEN_LAKE_MOVES",
    "WALL",
    "pair",
    "plot_curves",
    "plot_grid_policy",
    "plot_grid_values",
    "single",
    "use_style",
]


def plot_curves(
    ax: Axes, x: Numbers, curves: Numbers, *, label: str, color: str | None = None
) -> None:
    """Draw R runs: their interquartile mean, its 95% bootstrap band, every run thin behind.

    Args:
        x: (N,), for example the environment steps of one run.
        curves: (R, N), row k is run k; nothing is smoothed.
        color: a name in COLORS or a colour of matplotlib; the next of the cycle by default.

    Raises:
        ValueError: wrong shapes, fewer than 2 runs, NaN.
    """
    x, curves = _numpy(x), _numpy(curves)
    if curves.ndim != 2 or x.shape != curves.shape[1:]:
        raise ValueError(f"curves must be (R, N) and x (N,), got {curves.shape} and {x.shape}")
    low, high = bootstrap_interval(curves)
    named = COLORS.get(color, color) if color else None
    (line,) = ax.plot(x, interquartile_mean(curves), color=named, label=label)
    drawn = line.get_color()
    ax.plot(x, curves.T, color=drawn, linewidth=0.5, alpha=0.3, zorder=1.5)
    ax.fill_between(x, low, high, color=drawn, alpha=0.25, linewidth=0, zorder=1.8)


def plot_grid_values(
    ax: Axes,
    values: Numbers,
    shape: tuple[int, int],
    *,
    walls: Numbers | None = None,
    terminal: Cells | None = None,
    text: bool = True,
    digits: int = 2,
    limits: tuple[float, float] | None = None,
) -> AxesImage:
    """Colour the cells of a grid by their values, from dark (low) to bright (high).

    Args:
        values: (S,), row by row, S = rows * columns; NaN where there is nothing to show.
        shape: (rows, columns).
        walls, terminal: cells, as booleans of S entries or as a sequence of state numbers;
            `terminal` may also be a mapping from a state to a mark, {15: "G"}.
        text: write the numbers too, with `digits` decimals, where the cells have room.
        limits: the values at the ends of the colour scale; those of the data by default.

    Returns:
        The image, for `fig.colorbar(image, ax=ax)`.
    """
    values = _numpy(values)
    if values.shape != (shape[0] * shape[1],):
        wanted = f"({shape[0] * shape[1]},) for a grid of shape {tuple(shape)}"
        raise ValueError(f"values must be {wanted}, got {values.shape}")
    wall = _cells("walls", walls, shape)
    values = np.where(wall, np.nan, values.reshape(shape))
    if not np.isfinite(values).any():
        raise ValueError("values has no finite entry outside the walls")
    low, high = limits or (values[np.isfinite(values)].min(), values[np.isfinite(values)].max())
    image = ax.imshow(values, vmin=low, vmax=high, interpolation="nearest")
    _draw_grid(ax, shape, wall, terminal, marks=not text)
    if text:
        ink = _ink(_cell_colors(image))
        shown = np.argwhere(np.isfinite(values))
        labels = [f"{round(values[r, c], digits) + 0.0:.{digits}f}" for r, c in shown]
        size = _text_size(ax, shape, max(map(len, labels)))
        for (row, column), label in zip(shown, labels, strict=True) if size else ():
            color = ink[row, column]
            ax.text(column, row, label, color=color, ha="center", va="center", fontsize=size)
    return image


def plot_grid_policy(
    ax: Axes,
    policy: Numbers,
    shape: tuple[int, int],
    *,
    walls: Numbers | None = None,
    terminal: Cells | None = None,
    moves: Sequence[tuple[int, int]] = FROZEN_LAKE_MOVES,
) -> None:
    """Draw a policy as arrows, on an empty grid or over `plot_grid_values(..., text=False)`.

    The length of an arrow is the probability of its action divided by the largest one in
    the cell, so that ties show several arrows; below a fifth no arrow is drawn.

    Args:
        policy: (S, A) probabilities, or (S,) whole numbers, the action in each state.
        shape, walls, terminal: as in `plot_grid_values`; neither kind of cell has arrows.
        moves: the (rows down, columns right) that each action intends; (0, 0) is a dot.
            Gymnasium's FrozenLake by default: left, down, right, up.
    """
    policy = _probabilities(policy, shape[0] * shape[1], len(moves))
    wall = _cells("walls", walls, shape)
    if not ax.images:
        ax.imshow(np.ones((*shape, 3)), interpolation="nearest")
    _draw_grid(ax, shape, wall, terminal, marks=True)
    active = ~(wall | _cells("terminal", terminal, shape)).ravel()
    length = np.where(active[:, None], policy / policy.max(axis=1, keepdims=True), 0.0)
    length[length < 0.2] = 0.0
    states, actions = np.nonzero(length)
    moving = np.asarray(moves)[actions].any(axis=1)
    rows, columns = np.divmod(states, shape[1])
    ink = _ink(_cell_colors(ax.images[0]))[rows, columns]
    ax.scatter(columns[~moving], rows[~moving], s=16, color=ink[~moving], zorder=3)
    step = np.asarray(moves)[actions] * 0.42 * length[states, actions, None]
    alone = (np.count_nonzero(length, axis=1) == 1)[states, None]
    start = np.stack([rows, columns], axis=1) - np.where(alone, step / 2, 0.0)  # centred
    ax.quiver(
        start[moving, 1], start[moving, 0], step[moving, 1], step[moving, 0],
        color=ink[moving], angles="xy", scale_units="xy", scale=1, units="xy", zorder=3,
        width=0.07, headwidth=3.6, headlength=3.4, headaxislength=3.2, minlength=0,
    )  # fmt: skip


def _numpy(x: Numbers) -> np.ndarray:
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def _cells(name: str, cells: Cells | None, shape: tuple[int, int]) -> np.ndarray:
    """Booleans (rows, columns) from a mask, state numbers, a mapping, or None."""
    size = shape[0] * shape[1]
    cells = _numpy(list(cells) if isinstance(cells, Mapping) else [] if cells is None else cells)
    if cells.dtype == bool:
        if cells.size != size:
            raise ValueError(f"{name} must have {size} entries, got shape {cells.shape}")
        return cells.reshape(shape)
    cells = cells.astype(int).ravel()
    if ((cells < 0) | (cells >= size)).any():
        raise ValueError(f"{name} must hold states 0 .. {size - 1}, got {cells.tolist()}")
    mask = np.zeros(size, dtype=bool)
    mask[cells] = True
    return mask.reshape(shape)


def _probabilities(policy: Numbers, num_states: int, num_actions: int) -> np.ndarray:
    policy = _numpy(policy)
    if policy.shape == (num_states,) and np.issubdtype(policy.dtype, np.integer):
        if not ((policy >= 0) & (policy < num_actions)).all():
            raise ValueError(f"policy must hold actions 0 .. {num_actions - 1}")
        return np.eye(num_actions)[policy]
    if policy.shape != (num_states, num_actions):
        wanted = f"({num_states}, {num_actions}) or whole numbers ({num_states},)"
        raise ValueError(f"policy must be {wanted}, got {policy.dtype} {policy.shape}")
    if not (policy >= 0).all() or not np.allclose(policy.sum(axis=1), 1, atol=1e-5):
        raise ValueError("policy must hold probabilities: every row non-negative with sum 1")
    return policy


def _draw_grid(
    ax: Axes,
    shape: tuple[int, int],
    wall: np.ndarray,
    terminal: Cells | None,
    *,
    marks: bool,
) -> None:
    rows, columns = shape
    for row, column in np.argwhere(wall):
        ax.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, color=WALL, linewidth=0))
    line = 0.8 if max(shape) <= 30 else 0.0
    ax.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, color="#B0B0B0", linewidth=line)
    ax.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, color="#B0B0B0", linewidth=line)
    labels = terminal if isinstance(terminal, Mapping) else {}
    for row, column in np.argwhere(_cells("terminal", terminal, shape)):
        for color, width in (("white", 2.6), ("black", 1.2)):
            box = plt.Rectangle((column - 0.41, row - 0.41), 0.82, 0.82, color=color)
            box.set(linewidth=width, fill=False, zorder=3)
            ax.add_patch(box)
        if marks and labels.get(row * columns + column):
            mark = ax.text(column, row, labels[row * columns + column], ha="center", va="center")
            mark.set(weight="bold", fontsize=_text_size(ax, shape, 2) or 5)
            mark.set_bbox({"boxstyle": "round,pad=0.15", "facecolor": "white", "linewidth": 0})
    ax.set(xticks=[], yticks=[], xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    ax.grid(False)
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("#808080")


def _text_size(ax: Axes, shape: tuple[int, int], length: int) -> float:
    """The font size, in points, at which `length` characters fit a cell; 0 below 4.5."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("ax belongs to no figure")
    figure.draw_without_rendering()  # lets the layout settle
    box = ax.get_position()
    width, height = figure.get_size_inches() * 72 * (box.width, box.height)
    cell = min(width / shape[1], height / shape[0])
    size = min(11.0, 0.42 * cell, 0.86 * cell / (0.62 * length))
    return size if size >= 4.5 else 0.0


def _cell_colors(image: AxesImage) -> np.ndarray:
    """The colours of the cells, (rows, columns, 3); white shows through where there is none."""
    colors = image.to_rgba(np.ma.asarray(image.get_array()))
    return colors[..., :3] * colors[..., 3:] + (1 - colors[..., 3:])


def _ink(background: np.ndarray) -> np.ndarray:
    """Black or white, whichever has the larger contrast (WCAG 2.1) on (..., 3) colours."""
    linear = np.where(
        background <= 0.04045, background / 12.92, ((background + 0.055) / 1.055) ** 2.4
    )
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    return np.where((luminance + 0.05) ** 2 > 0.05 * 1.05, "black", "white")
