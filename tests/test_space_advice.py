"""What a message advises about a strange space works: its last line is a factory that trains."""

import gymnasium
import numpy
import pytest
from gymnasium import spaces

from rlbook.deep import ppo

SHORT = ppo.Config(
    total_steps=16, num_envs=2, rollout_steps=4, num_epochs=1, num_minibatches=1, num_evals=2
)  # two updates


class Mission(spaces.Space):
    """A space of its own, such as MiniGrid's sentences."""

    def __init__(self):
        super().__init__(dtype=str)

    def sample(self, mask=None, probability=None):
        return "go to the goal"

    def contains(self, x):
        return isinstance(x, str)


class Stranger(gymnasium.Env):
    """Episodes of three steps with samples of a space; refuses actions that are not its own."""

    def __init__(self, observations, actions):
        self.observation_space, self.action_space = observations, actions

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), repr(action)
        self.seen = getattr(self, "seen", []) + [action]
        self.time += 1
        return self.observation_space.sample(), 1.0, self.time == 3, False, {}


gymnasium.register("Stranger-v0", Stranger)
VECTOR, CHOICE = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)
MINIGRID = spaces.Dict(
    {
        "direction": spaces.Discrete(4),
        "image": spaces.Box(0, 255, (7, 7, 3), numpy.uint8),
        "mission": Mission(),
    }
)
OBSERVATIONS = {
    "observes images of shape .*flatten what it observes:": spaces.Box(
        0, 255, (8, 8, 3), numpy.uint8
    ),
    "observes arrays of shape .*flatten what it observes:": spaces.Box(0, 1, (8, 3)),
    r"observes arrays of shape \(\), .*flatten what it observes:": spaces.Box(0, 1, ()),
    "chapter 09; or, for a network, flatten what it observes": spaces.Discrete(4, start=2),
    "observes a MultiBinary": spaces.MultiBinary(5),
    "observes a MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "observes a Text": spaces.Text(6),
    "observes a OneOf": spaces.OneOf([spaces.Discrete(2), VECTOR]),
    "observes a Tuple": spaces.Tuple([spaces.Discrete(32), spaces.Discrete(11)]),
    "observes a Dict": spaces.Dict({"x": spaces.Dict({"y": VECTOR}), "z": CHOICE}),
    r"cannot flatten \('mission', a Mission\)": MINIGRID,
    r"cannot flatten \(1, a Sequence; 3, a Mission\)": spaces.Tuple(
        [VECTOR, spaces.Sequence(CHOICE), CHOICE, Mission()]
    ),
    "observes a Mission, .*write a function f": Mission(),
    "observes a Sequence, .*write a function f": spaces.Sequence(VECTOR),
    "observes a Dict, .*write a function f": spaces.Dict({"x": Mission()}),
}
ACTIONS = {
    "MultiDiscrete.*a number to each": spaces.MultiDiscrete([2, 3]),
    "MultiDiscrete.*a number to each comb": spaces.MultiDiscrete(
        [[2, 3], [2, 2]], start=[[1, 0], [5, 2]]
    ),
    "MultiDiscrete.*too many combinations": spaces.MultiDiscrete([50, 60], start=[-3, 2]),
    "MultiBinary.*a number to each": spaces.MultiBinary(3),
    "MultiBinary.*a number to each comb": spaces.MultiBinary((2, 3)),
    "MultiBinary.*too many combinations": spaces.MultiBinary(12),
    r"Box\(.*a number to each": spaces.Box(-1, 3, (2,), numpy.int64),
    r"Box\(.*too many combinations": spaces.Box(0, 255, (2,), numpy.uint8),
    r"Box\(.*too many combinations for": spaces.Box(
        numpy.array([0, -99]), numpy.array([90, 9]), dtype=numpy.int64
    ),
    r"Box\(.*give them one axis": spaces.Box(-2, 2, (2, 3)),
    r"Box\(.*give them one axis:": spaces.Box(-1, 1, ()),
    r"Box\(-inf.*give them one axis": spaces.Box(-numpy.inf, numpy.inf, (2, 1)),
    r"Box\(.*give them one axis:\n": spaces.Box(
        numpy.float32([[0], [-1]]), numpy.ones((2, 1), numpy.float32)
    ),
    "Tuple.*a number to each": spaces.Tuple([spaces.Discrete(3, start=1), CHOICE]),
    "Dict.*a number to each": spaces.Dict({"x": spaces.Discrete(3, start=-1), "a": CHOICE}),
    "Tuple.*write a function f": spaces.Tuple([CHOICE, VECTOR]),
    "Dict.*write a function f": spaces.Dict({"x": spaces.Discrete(99), "y": spaces.Discrete(99)}),
    r"Box\(-46.*write a function f": spaces.Box(-(2**62), 2**62, (2,), numpy.int64),
    "Text.*write a function f": spaces.Text(3),
}


def advised(env, message, **yours):
    """The factory on the last line of the error, made with nothing but two imports and `yours`."""
    with pytest.raises(ValueError, match=f"(?s){message}") as raised:
        ppo.train(env, SHORT, num_runs=2, progress=False)
    line = str(raised.value).splitlines()[-1]
    return eval(line, {"gymnasium": gymnasium, "numpy": numpy} | yours)


def trains(factory):
    result = ppo.train(factory, SHORT, num_runs=2, progress=False)
    assert not result.frozen and result.log["entropy"].shape == (2, 2)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("message", OBSERVATIONS)
def test_advice_about_observations_trains(message):
    def factory():
        return Stranger(OBSERVATIONS[message], CHOICE)

    def f(observation):
        return numpy.full(4, len(observation), numpy.float32)

    yours = {"factory": factory, "f": f, "low": 0, "high": 99, "n": 4}
    trains(advised(factory, message, **yours))


@pytest.mark.parametrize("message", ACTIONS)
def test_advice_about_actions_trains(message):
    space, made = ACTIONS[message], []

    def factory():
        made.append(Stranger(VECTOR, space))
        return made[-1]

    space.seed(0)
    some = [space.sample() for _ in range(7)]
    new = advised(factory, message, factory=factory, f=lambda a: some[a], n=7)
    trains(new)
    wrapped = new()
    if isinstance(wrapped.action_space, spaces.Discrete) and "f" not in message.split():
        for a in range(int(wrapped.action_space.n)):
            wrapped.reset()
            wrapped.step(a)
        taken = {str(action) for action in made[-1].seen}
        assert len(taken) == a + 1 and {str(space.sample()) for _ in range(200)} <= taken


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_advice_for_an_id_and_for_both_spaces():
    """The line of an id makes it; what a first line has made, a second one wraps."""
    options = {"observations": MINIGRID, "actions": spaces.MultiDiscrete([2, 2])}
    gymnasium.register("Both-v0", Stranger, kwargs=options)
    once = advised("Both-v0", r"gymnasium\.make\(.Both-v0.\)")
    twice = advised(once, "takes actions Multi", factory=once)
    trains(twice)
    assert twice().observation_space.shape == (4 + 7 * 7 * 3,)
