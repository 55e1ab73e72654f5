"""The animations of trained agents: what they draw, and that the book shows them."""

import matplotlib

matplotlib.use("Agg")

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from rlbook.book.paths import FIGURES
from rlbook.book.pictures import animations
from rlbook.book.pictures.animations import SHOWS, Show, before_and_after, frames, main, ways
from rlbook.ground import scenes
from rlbook.ground.seeding import generator
from rlbook.planning.grids import GridWorld

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


@pytest.mark.parametrize("name", SHOWS)
def test_the_committed_animation_is_small_and_embedded(name):
    path = FIGURES / f"{name}_before_and_after.gif"
    assert path.exists(), f"python -m rlbook.book animations {name}"
    with Image.open(path) as image:
        assert image.n_frames > 10 and image.size[0] <= 700
    assert path.stat().st_size < 300_000
    texts = [ROOT / "README.md", *(ROOT / "notebooks").glob("*.ipynb")]
    assert any(path.name in text.read_text("utf-8") for text in texts)


def test_a_pole_leans_to_the_side_of_its_angle(ax):
    scenes.cart_pole(ax, [0.5, 0, math.pi / 2, 0])
    pole = ax.lines[-1].get_xydata()
    np.testing.assert_allclose(pole, [[0.5, 0.05], [1.5, 0]], atol=1e-12)


def test_an_acrobot_hangs_straight_down_at_angle_zero_and_stands_at_pi(ax):
    scenes.acrobot(ax, [1, 0, 1, 0, 0, 0])
    np.testing.assert_allclose(ax.lines[-1].get_xydata()[1], [0, -2], atol=1e-12)
    scenes.acrobot(ax, [-1, 0, 1, 0, 0, 0])
    np.testing.assert_allclose(ax.lines[-1].get_xydata()[1], [0, 2], atol=1e-12)


def test_a_pendulum_is_upright_at_angle_zero_and_turns_to_the_left(ax):
    scenes.pendulum(ax, [1, 0, 0])
    np.testing.assert_allclose(ax.lines[-1].get_xydata()[1], [0, 1], atol=1e-12)
    scenes.pendulum(ax, [0, 1, 0])  # Gymnasium's angle grows against the clock
    np.testing.assert_allclose(ax.lines[-1].get_xydata()[1], [-1, 0], atol=1e-12)


def test_a_taxi_stands_where_its_state_says(ax):
    scenes.taxi(ax, ((3 * 5 + 1) * 5 + 2) * 4 + 0)  # row 3, column 1, passenger at Y, goal R
    taxi, said = ax.patches[-1], [text for text in ax.texts if text.get_text() == "P"]
    assert taxi.center == (1.5, 3.5)
    assert [text.get_position() for text in said] == [(0.5, 4.52)]


def test_walks_end_at_the_end_and_the_greedy_one_is_the_shortest():
    world = GridWorld.from_text("S..G").mdp(discount=0.9)
    q = torch.zeros(4, 4, dtype=torch.float64)
    q[:, 2] = 1  # to the right
    before, after = before_and_after(world, q, 50)
    assert after == [0, 1, 2, 3] and before[0] == 0
    assert world.terminal[before[-1]] or len(before) == 50
    assert ways(after + [99], 4, 4)[-1] == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert before == animations.walk(world, torch.full((4, 4), 0.25), generator(2026, 0), 50)


def test_the_shorter_episode_stays_at_its_end():
    drawn = []
    show = Show(("a", "b"), ([0, 1], [5, 6, 7, 8, 9]), lambda ax, x: drawn.append(x), every=2)
    assert len(frames(show)) == 4
    assert drawn == [0, 5, 1, 7, 1, 9, 1, 9]


def test_the_command_draws_what_it_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(animations, "save", lambda name: f"made {name}")
    assert main(["taxi"]) == 0 and capsys.readouterr().out == "made taxi\n"
    assert main(["boat"]) == 2 and "no animation called boat" in capsys.readouterr().out
