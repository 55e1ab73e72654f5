"""What the pictures are made of: boxes, circles and arrows on a page measured in inches."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from rlbook.ground.plotting import COLORS

WIDTH = 7.3  # in, 700 px in a browser
INK, GREY = "#222222", "#777777"


def page(height: float) -> tuple[Figure, Axes]:
    """A white page, 7.3 in wide; the axes' units are inches, the origin is bottom left."""
    fig = plt.figure(figsize=(WIDTH, height))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(0, height))
    ax.axis("off")
    return fig, ax


def tint(color: str, strength: float = 0.16) -> tuple[float, float, float]:
    """The colour, thinned with white."""
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 1 - strength * (1 - red), 1 - strength * (1 - green), 1 - strength * (1 - blue)


def write(ax: Axes, x: float, y: float, text: str, *, size: float = 10, **style) -> None:
    """Text, centred on (x, y) unless `ha` or `va` say otherwise."""
    style = {"ha": "center", "va": "center", "color": INK} | style
    ax.text(x, y, text, size=size, **style)


def box(
    ax: Axes, x: float, y: float, width: float, height: float, text: str = "", *,
    color: str = "blue", size: float = 10, dashed: bool = False, **style,
) -> None:  # fmt: skip
    """A rounded box centred on (x, y), its text inside; `dashed` is its edge."""
    color = COLORS[color]
    corner = (x - width / 2, y - height / 2)
    ax.add_patch(
        FancyBboxPatch(
            corner, width, height, boxstyle="round,pad=0,rounding_size=0.07", facecolor=tint(color),
            edgecolor=color, linewidth=1.3, linestyle=(0, (3, 2)) if dashed else "-",
        )
    )  # fmt: skip
    write(ax, x, y, text, size=size, **style)


def node(ax: Axes, x: float, y: float, radius: float, text: str = "", *, kind="state", size=11):
    """An open circle (kind "state"), a filled dot ("action"), a square ("terminal")."""
    style: dict[str, Any] = {"edgecolor": INK, "linewidth": 1.4, "zorder": 3}
    if kind == "terminal":
        corner = (x - radius, y - radius)
        ax.add_patch(plt.Rectangle(corner, 2 * radius, 2 * radius, facecolor="#D9D9D9", **style))
    else:
        face = INK if kind == "action" else "white"
        ax.add_patch(Circle((x, y), radius, facecolor=face, **style))
    write(ax, x, y, text, size=size, zorder=4)


def arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], *,
    color: str = INK, bend: float = 0.0, width: float = 1.4, head: bool = True,
    dashed: bool = False,
) -> None:  # fmt: skip
    """An arrow (or, with head=False, a line); bend > 0 curves it to the right of its way."""
    ax.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>" if head else "-", mutation_scale=11, color=color,
            linewidth=width, linestyle=(0, (3, 2)) if dashed else "-", shrinkA=0, shrinkB=0,
            connectionstyle=f"arc3,rad={bend}", zorder=2,
        )
    )  # fmt: skip


def draw_named(
    names: list[str], known: Collection[str], draw: Callable[[str], Path], kind: str
) -> int:
    """The command line of what draws pictures by name, all of them without one; exit status."""
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"no {kind} called {', '.join(unknown)}; there are {', '.join(known)}")
        return 2
    for name in names or known:
        print(draw(name))
    return 0
