"""The one look of every figure: colours, sizes, fonts, and the two shapes of figures."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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

STYLE = {
    "figure.dpi": 110,  # 5 in = 550 px: sharp enough to read, small enough to store
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
    """Set the book's style; each notebook calls it once, in its import cell."""
    plt.rcParams.update(STYLE)


def single() -> tuple[Figure, Axes]:
    """A figure of 5 x 3 in with one pair of axes."""
    return plt.subplots(figsize=(5, 3), layout="constrained")


def pair(*, sharex: bool = False, sharey: bool = False) -> tuple[Figure, np.ndarray]:
    """A figure of 9 x 3 in with two pairs of axes, side by side."""
    return plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharex=sharex, sharey=sharey)
