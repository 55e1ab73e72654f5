"""Figures: what is drawn where, legible colours, bytes that do not change, bad input."""

import io

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import FillBetweenPolyCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from matplotlib.quiver import Quiver
from PIL import Image

from rlbook.ground.animation import animate_frames, figure_frame
from rlbook.ground.plotting import (
    COLORS,
    WALL,
    _ink,
    pair,
    plot_curves,
    plot_grid_policy,
    plot_grid_values,
    single,
    use_style,
)
from rlbook.ground.statistics import bootstrap_interval, interquartile_mean

NAN = float("nan")


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        use_style()
        yield
    plt.close("all")


def of_type(ax, kind):
    return [child for child in ax.get_children() if isinstance(child, kind)]


def arrows(ax):
    """{(row, column): the set of (rows down, columns right) directions of its arrows}."""
    (quiver,) = of_type(ax, Quiver)
    found = {}
    for (x, y), u, v in zip(quiver.get_offsets(), quiver.U, quiver.V, strict=True):
        cell = (round(float(y + v / 100)), round(float(x + u / 100)))
        found.setdefault(cell, set()).add((int(np.sign(v)), int(np.sign(u))))
    return found


def png(fig):
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png")
    return buffer.getvalue()


def test_figure_sizes_background_and_cycle():
    assert tuple(single()[0].get_size_inches()) == (5, 3)
    fig, axes = pair(sharey=True)
    assert tuple(fig.get_size_inches()) == (9, 3) and len(axes) == 2
    assert figure_frame(fig)[0, 0].tolist() == [255, 255, 255]
    (line,) = axes[0].plot([0, 1])
    assert line.get_color() == COLORS["blue"]


def test_curves_show_the_iqm_the_band_and_every_run():
    curves = np.random.default_rng(0).normal(size=(10, 5)).cumsum(axis=1)
    _, ax = single()
    plot_curves(ax, range(5), torch.as_tensor(curves), label="a", color="orange")
    assert len(ax.lines) == 11
    np.testing.assert_allclose(ax.lines[0].get_ydata(), interquartile_mean(curves))
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines[1:]], curves)
    (band,) = of_type(ax, FillBetweenPolyCollection)
    low, high = bootstrap_interval(curves)
    ys = band.get_paths()[0].vertices[:, 1]
    assert ys.min() == pytest.approx(low.min()) and ys.max() == pytest.approx(high.max())
    assert {to_hex(line.get_color()) for line in ax.lines} == {COLORS["orange"].lower()}
    assert ax.get_legend_handles_labels()[1] == ["a"]


def test_curves_take_the_next_colour_of_the_cycle():
    _, ax = single()
    for label in "ab":
        plot_curves(ax, range(3), np.random.default_rng(0).normal(size=(4, 3)), label=label)
    colors = [line.get_color() for line in ax.get_legend_handles_labels()[0]]
    assert colors == [COLORS["blue"], COLORS["orange"]]


def test_values_are_written_in_their_cells_and_walls_are_dark():
    _, ax = single()
    image = plot_grid_values(ax, [0.0, 1.0, 99.0, NAN, -0.001, 5.0], (2, 3), walls=[2])
    texts = {t.get_position(): t.get_text() for t in ax.texts}
    assert texts == {(0, 0): "0.00", (1, 0): "1.00", (1, 1): "0.00", (2, 1): "5.00"}
    assert image.get_clim() == (-0.001, 5.0)  # the wall's value does not set the scale
    walls = [p for p in of_type(ax, Rectangle) if to_hex(p.get_facecolor()) == WALL.lower()]
    assert [w.get_xy() for w in walls] == [(1.5, -0.5)]


def test_cells_are_given_as_masks_numbers_or_marks():
    drawn = []
    for cells in ([5], np.arange(6) == 5, (torch.arange(6) == 5).reshape(2, 3), {5: "G"}):
        fig, ax = single()
        plot_grid_values(ax, np.arange(6.0), (2, 3), terminal=cells)
        drawn.append(png(fig))
    assert len(set(drawn)) == 1
    _, ax = single()
    plot_grid_policy(ax, np.zeros(6, dtype=int), (2, 3), terminal={5: "G"})
    assert [(t.get_position(), t.get_text()) for t in ax.texts] == [((2, 1), "G")]


def test_small_cells_have_no_text_and_a_cliff_has():
    _, ax = single()
    plot_grid_values(ax, np.arange(900.0), (30, 30))
    assert not ax.texts
    _, ax = single()
    plot_grid_values(ax, -np.arange(48.0), (4, 12), digits=1)
    assert len(ax.texts) == 48 and ax.texts[0].get_fontsize() >= 6
    _, axes = pair()
    plot_grid_values(axes[1], -np.arange(48.0), (4, 12))
    assert len(axes[1].texts) == 48 and axes[1].texts[0].get_fontsize() >= 5.5


def test_ink_has_a_contrast_of_at_least_four_and_a_half_on_viridis():
    colors = plt.get_cmap("viridis")(np.linspace(0, 1, 256))[:, :3]
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    ink = np.where(_ink(colors) == "white", 1.0, 0.0)
    contrast = (np.maximum(ink, luminance) + 0.05) / (np.minimum(ink, luminance) + 0.05)
    assert contrast.min() >= 4.5


def test_the_default_moves_are_frozen_lakes():
    _, ax = single()
    plot_grid_policy(ax, np.array([0, 1, 2, 3]), (2, 2))
    # left, down, right, up
    assert arrows(ax) == {
        (0, 0): {(0, -1)},
        (0, 1): {(1, 0)},
        (1, 0): {(0, 1)},
        (1, 1): {(-1, 0)},
    }


def test_gymnasium_moves_as_the_arrows_say():
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("FrozenLake-v1", is_slippery=False).unwrapped
    for action in range(4):
        _, ax = single()
        plot_grid_policy(ax, np.full(16, action), (4, 4))
        ((down, right),) = arrows(ax)[2, 2]  # state 10, in the middle
        assert env.P[10][action][0][1] == 10 + 4 * down + right


def test_ties_show_several_arrows_and_small_probabilities_none():
    policy = torch.tensor([[0.5, 0.5, 0, 0], [0.25] * 4, [0.91, 0.03, 0.03, 0.03], [0, 0, 0, 1]])
    _, ax = single()
    plot_grid_policy(ax, policy, (2, 2))
    assert [len(arrows(ax)[cell]) for cell in ((0, 0), (0, 1), (1, 0), (1, 1))] == [2, 4, 1, 1]


def test_walls_and_terminal_cells_have_no_arrows():
    _, ax = single()
    plot_grid_policy(ax, np.zeros(4, dtype=int), (2, 2), walls=[1], terminal=[2])
    assert set(arrows(ax)) == {(0, 0), (1, 1)}


def test_an_action_that_stays_is_a_dot():
    _, ax = single()
    plot_grid_policy(ax, np.array([1, 0]), (1, 2), moves=((0, 1), (0, 0)))
    (dots,) = of_type(ax, PathCollection)
    assert dots.get_offsets().tolist() == [[0.0, 0.0]]
    assert set(arrows(ax)) == {(0, 1)}


def test_arrows_over_values_take_a_legible_colour():
    _, ax = single()
    plot_grid_values(ax, [0.0, 1.0], (1, 2), text=False)
    plot_grid_policy(ax, np.array([2, 2]), (1, 2))
    (quiver,) = of_type(ax, Quiver)
    assert [to_hex(c) for c in quiver.get_facecolor()] == ["#ffffff", "#000000"]
    assert len(ax.images) == 1


def test_the_same_figure_has_the_same_bytes():
    def draw():
        fig, axes = pair()
        curves = np.random.default_rng(0).normal(size=(5, 20))
        plot_curves(axes[0], range(20), curves, label="$V^\\pi$")
        plot_grid_values(axes[1], np.arange(16.0), (4, 4))
        return png(fig)

    assert draw() == draw()


def test_animation_frames_survive_and_bytes_repeat(tmp_path):
    fig, ax = single()
    frames = []
    for k in range(4):
        ax.clear()
        plot_grid_values(ax, np.arange(9.0) * k, (3, 3), limits=(0, 24), text=False)
        frames.append(figure_frame(fig))
    first = animate_frames(frames, tmp_path / "a.gif", fps=4)
    second = animate_frames(frames, tmp_path / "b.gif", fps=4)
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as gif:
        assert gif.n_frames == 4 and gif.info["loop"] == 0 and gif.info["duration"] == 250
        for k, frame in enumerate(frames):
            gif.seek(k)
            shown = np.asarray(gif.convert("RGB")).astype(int)
            assert np.abs(shown - frame).mean() < 3
        assert gif.info["duration"] == 2000


def test_bad_input_is_refused():
    _, ax = single()
    with pytest.raises(ValueError, match=r"curves must be \(R, N\) and x \(N,\), got \(5, 3\)"):
        plot_curves(ax, range(4), np.zeros((5, 3)), label="")
    with pytest.raises(ValueError, match="at least 2 runs"):
        plot_curves(ax, range(3), np.zeros((1, 3)), label="")
    with pytest.raises(ValueError, match=r"values must be \(6,\) for a grid of shape \(2, 3\)"):
        plot_grid_values(ax, np.zeros(5), (2, 3))
    with pytest.raises(ValueError, match="no finite entry"):
        plot_grid_values(ax, np.full(6, NAN), (2, 3))
    with pytest.raises(ValueError, match=r"walls must hold states 0 .. 5, got \[6\]"):
        plot_grid_values(ax, np.zeros(6), (2, 3), walls=[6])
    with pytest.raises(ValueError, match="terminal must have 6 entries"):
        plot_grid_policy(ax, np.zeros(6, dtype=int), (2, 3), terminal=[True])
    with pytest.raises(ValueError, match="policy must hold actions 0 .. 3"):
        plot_grid_policy(ax, np.full(6, 4), (2, 3))
    with pytest.raises(ValueError, match=r"policy must be \(6, 4\) or whole numbers"):
        plot_grid_policy(ax, np.zeros(6), (2, 3))
    with pytest.raises(ValueError, match="every row non-negative with sum 1"):
        plot_grid_policy(ax, np.full((6, 4), 0.3), (2, 3))
    for frames in (
        [],
        [np.zeros((2, 2, 3))],
        [np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8)],
    ):
        with pytest.raises(ValueError, match="frames must be uint8 of one shape"):
            animate_frames(frames, "unused.gif")
