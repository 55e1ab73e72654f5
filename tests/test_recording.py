"""Agents to watch: the file shows what the agent did, frame by frame, in any environment."""

import dataclasses
import importlib.util
import math

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from rlbook.deep import ppo, record
from rlbook.deep.parts import recording
from rlbook.deep.parts.envs.native import ControlEnvs
from rlbook.deep.parts.envs.physics import CONTROL_TASKS
from rlbook.ground.seeding import Streams

SMALL = ppo.Config(
    total_steps=16, num_envs=2, rollout_steps=8, num_evals=2, evaluation_episodes=1, num_epochs=1
)


class Lamp(gym.Env):
    """Counts to its limit; its picture tells the step, by red, and the last action, by green."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    shape = 6, 10, 3

    def __init__(self, render_mode=None, limit=5, start=3):
        self.render_mode, self.limit, self.closed = render_mode, limit, 0
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,))
        self.action_space = gym.spaces.Discrete(2, start=start)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.step_number, self.action, self.first = 0, 0, self.np_random.normal()
        return self.observe(), {}

    def observe(self):
        return np.array([self.first, self.step_number], np.float32)

    def step(self, action):
        assert action in self.action_space
        self.step_number, self.action = self.step_number + 1, int(action)
        return self.observe(), 1.5, False, self.step_number == self.limit, {}

    def render(self):
        frame = np.zeros(self.shape, np.uint8)
        frame[..., 0], frame[..., 1] = 20 * self.step_number, 40 * self.action
        return frame

    def close(self):
        self.closed += 1


@pytest.fixture(scope="module")
def result():
    return ppo.train(Lamp, SMALL, run_ids=[0, 4], progress=False)


def colours(path):
    """The colour in the middle of each frame, and its milliseconds."""
    with Image.open(path) as gif:
        found = []
        for number in range(gif.n_frames):
            gif.seek(number)
            pixel = np.asarray(gif.convert("RGB"))[3, 5]
            found.append((*pixel.tolist(), gif.info["duration"]))
        return found


def test_a_gif_shows_every_step_of_every_episode(result, tmp_path):
    made = record(result, 4, tmp_path / "a.gif", episodes=2, seed=7)
    assert made == (tmp_path / "a.gif", [7.5, 7.5], [False, False])
    act, env, wanted = result.act(4), Lamp(), []
    for seed in (7, 8):
        seen, _ = env.reset(seed=seed)
        wanted.append((0, 0, 0, 100))
        for step in range(1, 6):
            action = act(seen)
            seen, *_ = env.step(action)
            wanted.append((20 * step, 40 * action, 0, 100))
    wanted[-1] = *wanted[-1][:3], 2000
    assert colours(tmp_path / "a.gif") == wanted
    assert [file.name for file in tmp_path.iterdir()] == ["a.gif"]


def test_the_same_seed_gives_the_same_bytes(result, tmp_path):
    paths = [tmp_path / name for name in ("a.gif", "b.GIF")]
    for path in paths:
        record(result, 0, str(path))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_fast_gif_leaves_steps_out_but_never_the_last(result, tmp_path):
    record(result, 0, tmp_path / "a.gif", fps=60)
    assert [colour[0] for colour in colours(tmp_path / "a.gif")] == [0, 60, 100]
    assert colours(tmp_path / "a.gif")[0][3] == 50  # ms: each third of 60 steps a second


def test_a_long_episode_is_cut_and_reported(result, tmp_path):
    made = record(result, 0, tmp_path / "a.gif", env=lambda: Lamp("rgb_array", 9), max_steps=7)
    assert made.returns == [10.5] and made.cut == [True]
    assert len(colours(tmp_path / "a.gif")) == 8


def test_what_comes_in_stays_open_and_what_is_made_is_closed(result, tmp_path):
    made, given = [], Lamp("rgb_array")

    def factory(**options):
        made.append(Lamp(**options))
        return made[-1]

    record(result, 0, tmp_path / "a.gif", env=given)
    record(result, 0, tmp_path / "a.gif", env=factory)
    assert given.closed == 0 and [env.closed for env in made] == [1]


@pytest.mark.parametrize("id", recording.DRAWN)
def test_the_books_tasks_are_drawn_from_their_states(id, tmp_path, monkeypatch):
    """Without Gymnasium's pictures, which need pygame; and as the very states look."""
    monkeypatch.setitem(__import__("sys").modules, "pygame", None)
    trained = ppo.train(id, SMALL, num_runs=1, progress=False)
    made = record(trained, 0, tmp_path / "a.gif", max_steps=3, seed=1, fps=5)
    assert made.cut == [True]
    with Image.open(made.path) as gif:
        gif.seek(gif.n_frames - 1)
        shown = np.asarray(gif.convert("RGB")).astype(float)
    env, act = gym.make(id), trained.act(0)
    seen, _ = env.reset(seed=1)
    for _ in range(3):
        seen, *_ = env.step(act(seen))
    stage = recording.rendering(id)
    stage.seen = seen
    assert np.abs(shown - stage.render()).mean() < 3
    stage.seen = np.zeros_like(seen) + 0.7
    assert np.abs(shown - stage.render()).mean() > 3


def test_a_recorded_return_is_that_of_the_books_own_environment():
    """Gymnasium's CartPole, stepped by `act`, gives what the torch-native one gives."""
    trained = ppo.train("CartPole-v1", SMALL, num_runs=1, progress=False)
    env = gym.make("CartPole-v1")
    returns, cut = recording.play(env, trained.act(0), range(5), 500, lambda step, last: None)
    envs = ControlEnvs(CONTROL_TASKS["CartPole-v1"], num_envs=5, streams=Streams(0, [0]))
    envs.reset()
    starts = [env.reset(seed=seed)[0] for seed in range(5)]
    observations = envs.set_state(envs.get_state().new_tensor(np.array(starts))[None])
    totals, running = np.zeros(5), np.ones(5, bool)
    for _ in range(500):
        step = envs.step(trained.networks["policy"].greedy(observations))
        totals += running
        running &= ~(step.terminated | step.truncated)[0].numpy()
        observations = step.observations
    assert returns == totals.tolist() and not any(cut)


def test_an_mp4(result, tmp_path):
    pytest.importorskip("moviepy", reason="moviepy is no part of the book's extras")
    from moviepy import VideoFileClip

    large = lambda render_mode: Large(render_mode)  # noqa: E731
    made = record(result, 0, tmp_path / "a.mp4", env=large, episodes=2, fps=10)
    assert made.returns == [7.5, 7.5]
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]
    with VideoFileClip(str(made.path)) as video:
        assert video.fps == 10 and video.size == [64, 48] and video.n_frames == 12
        reds = [video.get_frame((k + 0.5) / 10)[24, 32, 0] for k in range(12)]
    np.testing.assert_allclose(reds, [20 * step for step in range(6)] * 2, atol=12)


class Large(Lamp):
    shape = 48, 64, 3


def test_without_moviepy_an_mp4_names_the_package(result, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "moviepy" else find(name, *a)
    )
    with pytest.raises(ModuleNotFoundError, match="pip install moviepy"):
        record(result, 0, tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run_id": 1}, r"run_id must be one of \[0, 4\], got 1"),
        ({"path": "a.webm"}, r"the suffix of path must be .*\.gif.*\.mp4.*webm"),
        ({"episodes": 0}, "episodes must be a positive whole number, got 0"),
        ({"max_steps": 2.5}, "max_steps must be a positive whole number, got 2.5"),
        ({"fps": 0}, "fps must be positive, got 0"),
        ({"env": "NoSuch-v0"}, "env NoSuch-v0 cannot be made to render"),
        ({"env": Lamp()}, r'render_mode is None: give env=gymnasium.make\(..., render_mode="rgb'),
        ({"env": lambda: Lamp()}, r'render_mode is None: give env=gymnasium.make\(..., render_mo'),
        ({"env": 3}, "env must be an id, a gymnasium.Env or a function that builds one: 3"),
        ({"env": "CartPole-v1"}, r"shape \(4,\), but the agent takes 2 numbers"),
        ({"env": Lamp("rgb_array", start=0)}, r"takes actions Discrete\(2\), but the agent"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named_and_leave_no_file(options, message, result, tmp_path):
    options = {"run_id": 0, "path": "a.gif"} | options
    path = tmp_path / options.pop("path")
    with pytest.raises(ValueError, match=message):
        record(result, options.pop("run_id"), path, **options)
    assert not list(tmp_path.iterdir())


def test_a_loaded_result_needs_its_environment(result, tmp_path):
    loaded = dataclasses.replace(result, env=None)
    with pytest.raises(ValueError, match=r"loaded from a file: give env=gymnasium.make\(..., rend"):
        record(loaded, 0, tmp_path / "a.gif")
    assert record(loaded, 0, tmp_path / "a.gif", env=Lamp).returns == [7.5]
    with pytest.raises(FileNotFoundError, match="no folder"):
        record(result, 0, tmp_path / "missing" / "a.gif")


class Broken(Lamp):
    """A picture that is none, after a while; or an error."""

    def render(self):
        frame = super().render()
        if self.step_number == 3:
            frame = frame / 255 if self.limit == 5 else 1 / 0
        return frame


@pytest.mark.parametrize(
    ("limit", "error", "message"),
    [(5, ValueError, "must give uint8 of shape .* got float64"), (6, ZeroDivisionError, "by zero")],
)
def test_an_error_in_the_middle_leaves_the_old_file(limit, error, message, result, tmp_path):
    (tmp_path / "a.gif").write_text("old")
    with pytest.raises(error, match=message):
        record(result, 0, tmp_path / "a.gif", env=lambda: Broken("rgb_array", limit))
    assert (tmp_path / "a.gif").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


class Arm(Lamp):
    """Continuous actions, in bounds that are not around 0."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.action_space = gym.spaces.Box(np.float32([1, -3]), np.float32([5, -1]))

    def step(self, action):
        assert action in self.action_space
        self.step_number += 1
        return self.observe(), float(action[0]), self.step_number == 4, False, {}


def test_continuous_actions_lie_within_the_bounds(tmp_path):
    trained = ppo.train(Arm, SMALL, num_runs=1, progress=False)
    made = record(trained, 0, tmp_path / "a.gif")
    assert 4 <= made.returns[0] <= 20 and made.cut == [False]
    assert math.isfinite(made.returns[0])
