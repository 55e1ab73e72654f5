"""Agents before and after their training, as small animations in figures/.

    python -m rlbook.book animations [NAME ...]

Each trains run 0 of one seed, declared here, and shows the first episode that follows, whatever
happens in it. An agent that has not learned yet acts at random.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch

from rlbook.book.paths import FIGURES
from rlbook.book.pictures.drawing import draw_named
from rlbook.deep import ppo
from rlbook.deep.parts.envs.native import ControlEnvs
from rlbook.deep.parts.envs.physics import CONTROL_TASKS
from rlbook.deep.parts.policies import CategoricalPolicy, GaussianPolicy
from rlbook.deep.parts.rollouts import collect
from rlbook.ground import scenes
from rlbook.ground.animation import animate_frames, figure_frame
from rlbook.ground.draws import draw_one
from rlbook.ground.plotting import COLORS, use_style
from rlbook.ground.seeding import Streams, generator
from rlbook.planning.mazes import random_maze
from rlbook.planning.mdp import MDP
from rlbook.tabular.control_loop import ControlConfig
from rlbook.tabular.tasks import tabular_task
from rlbook.tabular.td_control import q_learning, sarsa

SEED = 2026
Policy = CategoricalPolicy | GaussianPolicy
MOST_FRAMES = 60


class Show(NamedTuple):
    """Two episodes, and how to draw a moment of one."""

    titles: tuple[str, str]
    episodes: tuple[list, ...]
    """What `draw` shows, step by step, before and after the training."""
    draw: Callable
    every: int = 1
    """Steps from one picture to the next."""


def control(task: str, config: ppo.Config, draw: Callable, every: int) -> Show:
    """PPO in a task of continuous states; the trained policy acts greedily."""
    result = ppo.train(task, config, run_ids=[0], seed=SEED)
    streams = Streams(SEED, [0]).spawn(1)
    envs = ControlEnvs(CONTROL_TASKS[task], num_envs=1, streams=streams)
    networks = ppo.make_networks(envs, config, streams.generators)
    new, trained = networks["policy"], result.networks["policy"]
    assert isinstance(new, Policy) and isinstance(trained, Policy)
    steps = every * MOST_FRAMES
    noise = new.draw_noise(streams, steps, 1)
    play = {
        "before": lambda s, t: new.sample(s, noise[:, t]),
        "after": lambda s, t: trained.greedy(s),
    }
    episodes = []
    for act in play.values():
        rollout = collect(envs, envs.reset(), act, steps, whole_episodes=True)
        taken = rollout.valid[0, 0]
        states = rollout.observations[0, 0][taken], rollout.next_observations[0, 0][taken][-1:]
        episodes.append(list(torch.cat(states).double().numpy()))
    return Show(
        ("before training", f"after {config.total_steps:,} steps"), tuple(episodes), draw, every
    )


def walk(mdp: MDP, policy: torch.Tensor, stream: torch.Generator, most: int) -> list[int]:
    """The states of one episode of a policy (S, A), the last of them where it ends."""
    state = draw_one(mdp.start, stream)
    states = [state]
    while len(states) < most and not mdp.terminal[state]:
        action = draw_one(policy[state], stream)
        state = draw_one(mdp.transition[state, action], stream)
        states.append(state)
    return states


def before_and_after(mdp: MDP, q: torch.Tensor, most: int) -> tuple[list[int], list[int]]:
    """A random walk, and a walk that is greedy in q (S, A)."""
    at_random = mdp.allowed.double() / mdp.allowed.sum(1, keepdim=True)
    greedy = torch.nn.functional.one_hot(q.argmax(1), q.shape[1]).double()
    walks = [walk(mdp, p, generator(SEED, i), most) for i, p in enumerate((at_random, greedy))]
    return walks[0], walks[1]


def ways(states: list[int], columns: int, cells: int) -> list[list[tuple[int, int]]]:
    """The way so far at every step, as cells; a state beyond the last cell is the added end."""
    path = [divmod(state, columns) for state in states if state < cells]
    return [path[: i + 1] for i in range(len(path))]


def cliff() -> Show:
    """SARSA on the cliff."""
    task = tabular_task("CliffWalking-v1", discount=1.0)
    config = ControlConfig(num_episodes=500, step_size=0.5, epsilon=0.1)
    result = sarsa(task, config, run_ids=[0], seed=SEED)
    colors = np.full((4, 12), "#FFFFFF", dtype=object)
    colors[3, 1:11] = COLORS["black"]
    colors[3, 11] = COLORS["green"]
    walks = before_and_after(task.mdp, result.q[0], MOST_FRAMES)
    episodes = tuple(ways(states, 12, 48) for states in walks)
    goal = [(3, 11)]
    episodes[1].append(episodes[1][-1] + goal)
    return Show(
        ("before training", "after 500 episodes of SARSA"),
        episodes,
        lambda ax, path: scenes.grid(ax, colors, path, [(3, 0, "S"), (3, 11, "G")]),
    )


def taxi() -> Show:
    """Q-learning in Taxi, from an optimistic start."""
    task = tabular_task("Taxi-v4", discount=1.0)
    config = ControlConfig(num_steps=60_000, step_size=0.5, epsilon=0.05, initial_q=20.0)
    result = q_learning(task, config, run_ids=[0], seed=SEED)
    before, after = before_and_after(task.mdp, result.q[0], 40)
    episodes = tuple([state for state in states if state < 500] for states in (before, after))
    return Show(("before training", "after 60,000 steps of Q-learning"), episodes, scenes.taxi)


def maze() -> Show:
    """Q-learning in a maze."""
    world = random_maze(11, 21, goals=[(9, 19)], openings=0.1, generator=generator(SEED))
    starts = torch.zeros_like(world.starts)
    starts[1, 1] = True
    model = replace(world, starts=starts).mdp(discount=0.99)
    config = ControlConfig(num_steps=30_000, step_size=0.5)
    result = q_learning(model, config, run_ids=[0], seed=SEED)
    colors = np.where(world.walls.numpy(), COLORS["black"], "#FFFFFF").astype(object)
    colors[9, 19] = COLORS["green"]
    walks = before_and_after(model, result.q[0], MOST_FRAMES)
    episodes = tuple(ways(states, 21, 11 * 21) for states in walks)
    titles = "before training", "after 30,000 steps of Q-learning"
    return Show(titles, episodes, lambda ax, path: scenes.grid(ax, colors, path))


def cart_pole() -> Show:
    config = ppo.Config(total_steps=80_000, num_epochs=4, lambda_=0.99)
    return control("CartPole-v1", config, scenes.cart_pole, every=4)


def acrobot() -> Show:
    config = ppo.Config(total_steps=60_000, num_epochs=4)
    return control("Acrobot-v1", config, scenes.acrobot, every=2)


def pendulum() -> Show:
    config = ppo.Config(total_steps=100_000, num_epochs=10, discount=0.95)
    return control("Pendulum-v1", config, scenes.pendulum, every=2)


SHOWS: dict[str, Callable[[], Show]] = {
    show.__name__: show for show in (cart_pole, acrobot, pendulum, cliff, taxi, maze)
}


def frames(show: Show) -> list[np.ndarray]:
    """The two episodes side by side; one that ends first stays at its last moment."""
    longest = min(max(map(len, show.episodes)), show.every * MOST_FRAMES)
    pictures = []
    with plt.style.context("default"):
        use_style()
        fig, axes = plt.subplots(1, 2, figsize=(6, 2.2), layout="constrained", dpi=80)
        for moment in [*range(0, longest, show.every), longest - 1]:
            for ax, title, episode in zip(axes, show.titles, show.episodes, strict=True):
                step = min(moment, len(episode) - 1)
                show.draw(ax, episode[step])
                ended = ", ended" if moment >= len(episode) and len(episode) < longest else ""
                ax.set_title(f"{title}\nstep {step}{ended}", fontsize=9)
            pictures.append(figure_frame(fig))
        plt.close(fig)
    return pictures


def save(name: str, folder: Path = FIGURES) -> Path:
    """Train, play, and write figures/<name>_before_and_after.gif."""
    path = Path(folder) / f"{name}_before_and_after.gif"
    return animate_frames(frames(SHOWS[name]()), path, fps=10)


def main(names: list[str]) -> int:
    """The command line; returns the exit status."""
    return draw_named(names, SHOWS, save, "animation")
