"""The lab of chapter 1: the playable lake, and a copycat that walks by your buttons."""

import random
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import gymnasium as gym
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rlbook.ground.plotting import COLORS, FROZEN_LAKE_MOVES

if TYPE_CHECKING:
    from ipywidgets import HBox

MAP = "SFFFFHFHFFFHHFFG"
KEYS, NAMES = "LDRU", ("left", "down", "right", "up")
DISCOUNT, CLOCK = 0.99, 100
MOST = 2000  # walks of the copycat


class Step(NamedTuple):
    """One step on the ice: where from, which way it was meant, and what came of it."""

    state: int
    meant: int
    next_state: int
    reward: float
    over: bool


@cache
def rules() -> dict:
    """Gymnasium's table of the lake: state, action -> (probability, state, reward, ended)."""
    return vars(gym.make("FrozenLake-v1").unwrapped)["P"]


def step(rng: random.Random, state: int, action: int, t: int) -> Step:
    """Step number t of a walk; the clock ends it after CLOCK steps."""
    _, entered, reward, ended = rng.choice(rules()[state][action])  # three, equally likely
    return Step(state, action, entered, float(reward), ended or t == CLOCK - 1)


def walks_of(moves: str, luck: int) -> list[list[Step]]:
    """The walks that these buttons make, the last one perhaps not over.

    Args:
        moves: letters L, D, R, U; others are skipped. After an end it begins at the start again.
        luck: the seed of the ice.
    """
    rng, walks, state = random.Random(luck), [[]], 0  # type: random.Random, list[list[Step]], int
    for action in (KEYS.index(letter) for letter in moves.upper() if letter in KEYS):
        if walks[-1] and walks[-1][-1].over:
            walks.append([])
            state = 0
        walks[-1].append(step(rng, state, action, len(walks[-1])))
        state = walks[-1][-1].next_state
    return walks


def return_of(walk: list[Step]) -> float:
    """The discounted sum of its rewards."""
    return sum(DISCOUNT**k * one.reward for k, one in enumerate(walk))


def buttons_of(walks: list[list[Step]]) -> dict[int, int]:
    """For each cell where something was pressed, the last button."""
    return {one.state: one.meant for walk in walks for one in walk}


def copycat(buttons: dict[int, int], walks: int, luck: int) -> list[float]:
    """The returns of walks that press these buttons, and any where there is none."""
    rng, returns = random.Random(f"copycat {luck}"), []
    for _ in range(walks):
        walk, state = [], 0  # type: list[Step], int
        while not walk or not walk[-1].over:
            action = buttons[state] if state in buttons else rng.randrange(4)
            walk.append(step(rng, state, action, len(walk)))
            state = walk[-1].next_state
        returns.append(return_of(walk))
    return returns


def worth(buttons: dict[int, int]) -> float:
    """The copycat's exact value of the start, with the clock, by the recursion of Eq. (1.14)."""
    values = [0.0] * len(MAP)
    for _ in range(CLOCK):
        values = [
            sum(
                p * (reward + DISCOUNT * (0.0 if ended else values[entered]))
                for action in actions
                for p, entered, reward, ended in rules()[state][action]
            )
            / len(actions)
            for state in range(len(MAP))
            for actions in [[buttons[state]] if state in buttons else range(4)]
        ]
    return values[0]


def draw(moves: str = "", walks: int = 1000, luck: int = 1) -> Figure:
    """The lake after these buttons, the walk so far, and the running mean of a copycat.

    Left: the present walk; of its last step the dashed arrow is what was meant, the full one what
    happened. Small arrows: the last button pressed in each cell. Right: the mean return of the
    copycat's first walks, which presses that button in each cell and any where there is none.

    Args:
        moves: letters L, D, R, U; others are skipped. After an end it begins at the start again.
        walks: of the copycat, 1 .. MOST.
        luck: the seed of the ice.

    Raises:
        ValueError: walks not in 1 .. MOST.
    """
    if not 1 <= walks <= MOST:
        raise ValueError(f"walks must be in 1 .. {MOST}, got {walks}")
    played = walks_of(moves, luck)
    buttons = buttons_of(played)
    fig, (lake, words, mean) = plt.subplots(
        1, 3, figsize=(9, 2.7), layout="constrained", width_ratios=(1, 1.05, 1.25)
    )
    _draw_lake(lake, played[-1], buttons)
    words.axis("off")
    words.text(0, 0.97, "\n".join(_words(played)), size=9.5, va="top", linespacing=1.6)
    returns = copycat(buttons, walks, luck)
    means = [total / n for n, total in enumerate(accumulate(returns), start=1)]
    mean.plot(range(1, walks + 1), means, color=COLORS["blue"], label="running mean")
    exact = worth(buttons)
    mean.axhline(exact, color=COLORS["vermillion"], ls=":", label="exact")
    title = f"copycat: {means[-1]:.3f} (exact {exact:.3f})"
    mean.set(xlabel="walks of the copycat", ylabel="mean return", ylim=(-0.02, 0.72), title=title)
    mean.legend(loc="upper right")
    return fig


def _draw_lake(ax, walk: list[Step], buttons: dict[int, int]) -> None:
    ax.set(xlim=(-0.52, 3.52), ylim=(3.52, -0.52), aspect="equal")
    ax.axis("off")
    faces = {"H": "0.35", "G": COLORS["green"], "S": "white", "F": "white"}
    for s, kind in enumerate(MAP):
        row, column = divmod(s, 4)
        cell = Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=faces[kind], edgecolor="0.6")
        ax.add_patch(cell)
        if kind != "F":
            ink = "white" if kind == "H" else "black"
            ax.text(column - 0.45, row - 0.45, kind, size=8, va="top", color=ink)
        if s in buttons:
            down, right = FROZEN_LAKE_MOVES[buttons[s]]
            tip = {"arrowstyle": "->", "color": "0.55", "lw": 1.2}
            at = column + 0.3, row + 0.3
            ends = [(at[0] + k * 0.15 * right, at[1] + k * 0.15 * down) for k in (1, -1)]
            ax.annotate("", *ends, arrowprops=tip)
    rng = random.Random(0)
    cells = [0] + [one.next_state for one in walk]
    near = [(s % 4 + rng.uniform(-0.14, 0.14), s // 4 + rng.uniform(-0.14, 0.14)) for s in cells]
    ax.plot(*zip(*near, strict=True), color=COLORS["blue"], lw=1, alpha=0.6)
    ax.plot(*near[-1], "o", color=COLORS["blue"], markersize=9)
    if walk:
        x, y = near[-2]
        down, right = FROZEN_LAKE_MOVES[walk[-1].meant]
        for to, style in (((x + 0.75 * right, y + 0.75 * down), "--"), (near[-1], "-")):
            color = COLORS["vermillion" if style == "--" else "blue"]
            tip = {"arrowstyle": "-|>", "color": color, "ls": style, "lw": 1.8}
            ax.annotate("", to, (x, y), arrowprops=tip)


def _words(played: list[list[Step]]) -> list[str]:
    """What the last step was, and what the walks have brought so far."""
    walk = played[-1]
    done = [one for one in played if one and one[-1].over]
    lines = [f"walk {len(played)}, {len(walk)} step{'s' * (len(walk) != 1)}"]
    if walk:
        last = walk[-1]
        moved = (
            last.next_state // 4 - last.state // 4,
            last.next_state % 4 - last.state % 4,
        )
        went = "nowhere"
        if moved in FROZEN_LAKE_MOVES:
            went = NAMES[FROZEN_LAKE_MOVES.index(moved)]
        lines += [
            f"meant: {NAMES[last.meant]}",
            f"went: {went}",
            f"reward {last.reward:g}, return so far {return_of(walk):.2f}",
        ]
        if last.over:
            ends = {"G": "the gift!", "H": "in a hole"}
            lines.append(f"over: {ends.get(MAP[last.next_state], 'the clock')}")
    if done:
        mean = sum(map(return_of, done)) / len(done)
        lines.append(f"your finished walks: {len(done)}, mean {mean:.2f}")
    return lines


def keys() -> "HBox":
    """Four buttons and one to forget all; their value is the letters pressed so far."""
    from ipywidgets import Button, HBox, ValueWidget
    from traitlets import Unicode

    class Keys(HBox, ValueWidget):
        value = Unicode("")
        description = Unicode("buttons")

    box, made = Keys(), []
    for letter, sign, name in zip(KEYS, "◀▼▶▲", NAMES, strict=True):
        made.append(Button(description=f"{sign} {name}"))
        made[-1].on_click(lambda _, letter=letter: setattr(box, "value", box.value + letter))
    made.append(Button(description="forget all"))
    made[-1].on_click(lambda _: setattr(box, "value", ""))
    box.children = made
    return box
