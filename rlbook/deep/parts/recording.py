"""Trained agents to watch: episodes as a GIF or an MP4."""

import importlib.util
import inspect
import math
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import RecordVideo
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rlbook.deep.parts.results import UNSEEN, Result, Spaces
from rlbook.ground import require, scenes
from rlbook.ground.animation import animate_frames, figure_frame

WORKING_LINE = 'gymnasium.make(..., render_mode="rgb_array")'
DRAWN = {
    "CartPole-v1": (scenes.cart_pole, (5.6, 2.2)),
    "Acrobot-v1": (scenes.acrobot, (5.2, 4.4)),
    "Pendulum-v1": (scenes.pendulum, (3.2, 2.5)),
}
"""Drawn here from what they observe, since Gymnasium's own pictures of them need pygame: how, and
the size in inches."""
MOST_PICTURES = 25
"""A second of a GIF."""


class Recording(NamedTuple):
    """What `record` made."""

    path: Path
    returns: list[float]
    """Of each episode, the plain sum of rewards; of a cut one, the sum so far."""
    cut: list[bool]
    """Of each episode: still running after max_steps."""


def record(
    result: Result,
    run_id: int,
    path: str | os.PathLike,
    *,
    episodes: int = 1,
    seed: int = UNSEEN,
    env: str | gym.Env | Callable[..., gym.Env] | None = None,
    max_steps: int = 1000,
    fps: float | None = None,
) -> Recording:
    """Greedy episodes of one run as moving pictures, one after the other in one file.

    CartPole, Acrobot and Pendulum, given by their ids, are drawn by the book. All other
    environments render themselves, by what they need for that: Box2D's need pygame, and MuJoCo's
    OpenGL, which on a machine without a screen may take the environment variable MUJOCO_GL=egl.

    Args:
        path: ends in ".gif", or in ".mp4", which Gymnasium's RecordVideo writes by the package
            moviepy. Written whole or not at all; its folder exists.
        seed: of the first episode's reset; the next ones have seed + 1, seed + 2, ...
        env: by default that of the training. An id; a function that builds an environment, which
            is called with render_mode="rgb_array" if it takes that; or an environment that
            renders rgb arrays, which stays open.
        max_steps: longer episodes are cut, and reported.
        fps: steps a second, whole ones in an MP4; by default the environment's `render_fps`, or 30.
            A GIF takes every second, third, ... step and each episode's last, so that no more than
            25 pictures pass in a second, and stays 2 s at the end. Its pictures are held in memory
            until then.

    Raises:
        ValueError: no such run; another suffix; no environment, or one that does not render rgb
            arrays or does not fit the agent.
        FileNotFoundError: the folder does not exist.
        ModuleNotFoundError: an MP4 without moviepy.
    """
    path = Path(path)
    require.positive_integer("episodes", episodes)
    require.positive_integer("max_steps", max_steps)
    require.one_of("the suffix of path", path.suffix.lower(), ".gif", ".mp4")
    if fps is not None:
        require.positive("fps", fps)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent}")
    if path.suffix.lower() == ".mp4" and importlib.util.find_spec("moviepy") is None:
        raise ModuleNotFoundError("an MP4 needs the package moviepy: pip install moviepy")
    act = result.act(run_id)
    given = result.env if env is None else env
    stage = rendering(given)
    try:
        check_fits(stage, result.spaces)
        speed = stage.metadata.get("render_fps") or 30 if fps is None else fps
        film = film_gif if path.suffix.lower() == ".gif" else film_mp4
        seeds = range(seed, seed + episodes)
        return Recording(path, *film(stage, act, path, seeds, max_steps, speed))
    finally:
        if stage is not given:
            stage.close()


class Drawn(gym.Wrapper):
    """An environment whose pictures are drawn from its observations."""

    def __init__(self, env: gym.Env, draw: Callable, size: tuple[float, float]):
        super().__init__(env)
        figure = Figure(figsize=size, dpi=100)
        FigureCanvasAgg(figure)
        self.figure, self.axes, self.draw = figure, figure.add_axes((0, 0, 1, 1)), draw
        self.seen: Any = None

    def reset(self, **options: Any) -> tuple[Any, dict]:
        self.seen, info = self.env.reset(**options)
        return self.seen, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict]:
        step = self.env.step(action)
        self.seen = step[0]
        return step

    def render(self) -> Any:
        self.draw(self.axes, self.seen)
        return figure_frame(self.figure)


def rendering(env: Any) -> gym.Env:
    """An environment that renders rgb arrays: built by an id or a function, or itself.

    Raises:
        ValueError: it does not.
    """
    if env is None:
        wanted = f"give env={WORKING_LINE}"
        raise ValueError(f"env is not known to a result loaded from a file: {wanted}")
    if isinstance(env, str):
        try:
            stage = gym.make(env, render_mode="rgb_array")
        except (gym.error.Error, ModuleNotFoundError, TypeError) as error:
            raise ValueError(f"env {env} cannot be made to render: {error}") from error
        if stage.spec is not None and stage.spec.id in DRAWN:
            return Drawn(stage, *DRAWN[stage.spec.id])
    else:
        stage = env(render_mode="rgb_array") if takes_render_mode(env) else env
        stage = stage() if callable(stage) else stage
    if not isinstance(stage, gym.Env):
        raise ValueError(f"env must be an id, a gymnasium.Env or a function that builds one: {env}")
    if stage.render_mode != "rgb_array":
        if stage is not env:
            stage.close()
        raise ValueError(
            f"env must render rgb arrays, but its render_mode is {stage.render_mode!r}: "
            f"give env={WORKING_LINE}, or a function that takes render_mode; "
            'a class of your own sets self.render_mode = "rgb_array"'
        )
    return stage


def takes_render_mode(build: Any) -> bool:
    """Whether it is a function with this argument."""
    if not callable(build):
        return False
    arguments = inspect.signature(build).parameters.values()
    return any(x.name == "render_mode" or x.kind is x.VAR_KEYWORD for x in arguments)


def check_fits(env: gym.Env, spaces: Spaces) -> None:
    """Does the agent take what the environment gives, and the other way round?"""
    seen = env.observation_space.shape
    if seen != (spaces.observation_size,):
        takes = f"the agent takes {spaces.observation_size} numbers"
        raise ValueError(f"env gives observations of shape {seen}, but {takes}")
    space = env.action_space
    if isinstance(space, gym.spaces.Discrete):
        fits = (space.n, space.start) == (spaces.num_actions, spaces.action_start)
    else:
        fits = space.shape == (spaces.action_size,)
    if not fits:
        raise ValueError(f"env takes actions {space}, but the agent has learned other ones")


def play(
    env: gym.Env,
    act: Callable[[np.ndarray], np.ndarray | int],
    seeds: range,
    max_steps: int,
    look: Callable[[int, bool], None],
) -> tuple[list[float], list[bool]]:
    """One episode for each seed; `look(step, whether it is the last)` after every reset and step.

    Returns:
        Of each episode, the sum of its rewards, and whether max_steps cut it.
    """
    returns, cut = [], []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        look(0, False)
        total, ended, step = 0.0, False, 0
        while not ended and step < max_steps:
            observation, reward, terminated, truncated, _ = env.step(act(observation))
            total, ended, step = total + float(reward), terminated or truncated, step + 1
            look(step, ended or step == max_steps)
        returns.append(total)
        cut.append(not ended)
    return returns, cut


def film_gif(
    env: gym.Env, act: Callable, path: Path, seeds: range, max_steps: int, speed: float
) -> tuple[list[float], list[bool]]:
    """`play` into a GIF, whose pictures pass `speed` steps in a second."""
    every = math.ceil(speed / MOST_PICTURES)
    frames: list[np.ndarray] = []

    def look(step: int, last: bool) -> None:
        if step % every == 0 or last:
            frames.append(checked(env.render()))

    played = play(env, act, seeds, max_steps, look)
    animate_frames(frames, path, fps=speed / every)
    return played


def film_mp4(
    env: gym.Env, act: Callable, path: Path, seeds: range, max_steps: int, speed: float
) -> tuple[list[float], list[bool]]:
    """`play` into an MP4 by Gymnasium's RecordVideo: all episodes in one, each with every step."""
    frames = len(seeds) * (max_steps + 1) + 1
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        video = RecordVideo(
            env,
            str(Path(folder) / "video"),
            episode_trigger=lambda episode: episode == 0,
            video_length=frames,  # more than there are, so that a reset does not end the video
            fps=max(1, round(speed)),
        )
        played = play(video, act, seeds, max_steps, lambda step, last: None)
        video.stop_recording()
        next(Path(folder).rglob("*.mp4")).replace(path)
    return played


def checked(frame: Any) -> np.ndarray:
    """The frame, if it is a picture."""
    if isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.dtype == np.uint8:
        if frame.shape[2] == 3:
            return frame
    got = f"{frame.dtype} of shape {frame.shape}" if isinstance(frame, np.ndarray) else repr(frame)
    raise ValueError(f"env.render() must give uint8 of shape (height, width, 3), got {got}")
