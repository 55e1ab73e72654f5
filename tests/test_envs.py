"""Gymnasium's environments behind the one interface, beside plain single-environment loops."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AutoresetMode

from rlbook.deep.parts.envs.gymnasium_envs import GymnasiumEnvs
from rlbook.deep.parts.envs.interface import ATTRIBUTES, EnvStep
from rlbook.deep.parts.envs.make import make_envs
from rlbook.deep.parts.envs.native import ControlEnvs
from rlbook.ground.require import check_device
from rlbook.ground.seeding import Streams, generator


class Diary(gym.Env):
    """Observes (number of the episode, step, last action); ends as its script says."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def __init__(
        self, action_space=None, ends=((3, True, False), (2, False, True), (4, True, True))
    ):
        self.action_space = action_space or spaces.Discrete(3, start=5)
        self.ends, self.episode = ends, -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.time = self.episode + 1, 0
        return np.array([self.episode, 0, self.np_random.random()], np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.time += 1
        length, terminated, truncated = self.ends[self.episode % len(self.ends)]
        last = self.time == length
        number = float(np.ravel(action)[0])
        observation = np.array([self.episode, self.time, number], np.float32)
        return observation, 10.0 * self.episode + self.time, terminated & last, truncated & last, {}


def build(env, num_envs=3, run_ids=(0, 1), seed=0, **options):
    return make_envs(env, num_envs=num_envs, streams=Streams(seed, list(run_ids)), **options)


def random_actions(envs, stream: torch.Generator) -> torch.Tensor:
    shape = (envs.num_runs, envs.num_envs)
    if envs.num_actions is not None:
        return torch.randint(0, envs.num_actions, shape, generator=stream)
    return torch.randn(*shape, envs.action_size, generator=stream)


# --- the same as a plain loop


@pytest.mark.parametrize(
    ("env", "steps"),
    [
        (lambda: gym.make("CartPole-v1", max_episode_steps=25), 120),
        (lambda: gym.make("Acrobot-v1", max_episode_steps=30), 70),
        ("MountainCarContinuous-v0", 30),
        (Diary, 40),
    ],
    ids=["CartPole", "Acrobot", "MountainCarContinuous", "Diary"],
)
def test_same_as_a_plain_loop(env, steps):
    """R x E single environments, each seeded and stepped by hand, give every field of each step."""
    envs, stream = build(env), generator(3)
    assert type(envs) is GymnasiumEnvs
    first = envs.reset()
    seeds = [[one.np_random_seed for one in run.envs] for run in envs.runs]
    plain = [[gym.make(env) if isinstance(env, str) else env() for _ in row] for row in seeds]
    ends = {(False, False): 0, (True, False): 0, (False, True): 0, (True, True): 0}
    cells = [(r, e) for r in range(2) for e in range(3)]
    for r, e in cells:
        begun, _ = plain[r][e].reset(seed=seeds[r][e])
        assert torch.equal(first[r, e], torch.tensor(begun))
    for _ in range(steps):
        actions = random_actions(envs, stream)
        step = envs.step(actions)
        assert step.valid.all()
        for r, e in cells:
            space, action = plain[r][e].action_space, actions[r, e].numpy()
            if isinstance(space, spaces.Discrete):
                action = int(action) + int(space.start)
            else:
                action = action.clip(space.low, space.high)
            seen, reward, terminated, truncated, _ = plain[r][e].step(action)
            flags = bool(terminated), bool(truncated)
            ends[flags] += 1
            assert torch.equal(step.next_observations[r, e], torch.tensor(seen))
            assert step.rewards[r, e] == torch.tensor(reward, dtype=torch.float32)
            assert (bool(step.terminated[r, e]), bool(step.truncated[r, e])) == flags
            if any(flags):
                seen, _ = plain[r][e].reset()
                assert not torch.equal(step.next_observations[r, e], torch.tensor(seen))
            assert torch.equal(step.observations[r, e], torch.tensor(seen))
    if env is Diary:
        assert min(ends.values()) >= 6


def test_dtypes_and_shapes():
    for env, actions in (("CartPole-v1", ()), ("MountainCarContinuous-v0", (1,))):
        envs = build(env, native=False)
        step = envs.step(torch.zeros(envs.reset().shape[:2] + actions).long())
        assert step.rewards.shape == step.valid.shape == (2, 3)
        assert step.next_observations.shape == (2, 3, envs.observation_size)
        assert step.rewards.dtype == step.observations.dtype == torch.float32
        assert {x.dtype for x in (step.terminated, step.truncated, step.valid)} == {torch.bool}
    doubled = build(Diary, dtype=torch.float64)
    assert doubled.reset().dtype == torch.float64


# --- an id's own vector environment, which resets in a step of its own


def test_the_vector_entry_point_and_its_dummy_steps():
    """Without the steps that are not valid, the record is that of plain loops."""
    envs, stream, steps = build("CartPole-v1", native=False), generator(4), 60
    assert not isinstance(envs.runs[0], gym.vector.SyncVectorEnv)
    before, ended = envs.reset(), torch.zeros(2, 3, dtype=torch.bool)
    plain = [[gym.make("CartPole-v1") for _ in range(3)] for _ in range(2)]
    dummies = 0
    for _ in range(steps):
        actions = random_actions(envs, stream)
        states = np.stack([run.unwrapped.state.T for run in envs.runs]).copy()
        step = envs.step(actions)
        assert torch.equal(step.valid, ~ended)
        for r, e in ended.nonzero().tolist():
            dummies += 1
            assert step.rewards[r, e] == 0 and not step.terminated[r, e] | step.truncated[r, e]
            assert torch.equal(step.next_observations[r, e], before[r, e])
            assert (step.observations[r, e].abs() <= 0.05).all()
        for r, e in step.valid.nonzero().tolist():
            plain[r][e].reset()
            plain[r][e].unwrapped.state = states[r, e]
            seen, reward, terminated, _, _ = plain[r][e].step(int(actions[r, e]))
            seen = torch.tensor(seen)
            torch.testing.assert_close(step.next_observations[r, e], seen, rtol=0, atol=1e-6)
            assert step.rewards[r, e] == reward and step.terminated[r, e] == terminated
            assert torch.equal(step.observations[r, e], step.next_observations[r, e])
        ended, before = step.terminated | step.truncated, step.observations
    assert dummies > 5


def test_the_vector_entry_point_truncates_at_the_limit():
    envs = build("CartPole-v1", num_envs=1, run_ids=[0], native=False)
    observations = envs.reset()
    for t in range(501):
        weights = torch.tensor([0.1, 0.3, 1.0, 0.3])
        step = envs.step((observations @ weights > 0).long())
        observations = step.observations
        assert bool(step.truncated) == (t == 499) and not step.terminated
        assert bool(step.valid) == (t < 500)
    envs.reset()
    assert envs.step(torch.zeros(1, 1, dtype=torch.long)).valid  # no dummy step after a reset


def test_a_reset_forgets_that_an_episode_had_ended():
    envs = build("CartPole-v1", native=False)
    envs.reset()
    while not envs.step(torch.ones(2, 3, dtype=torch.long)).terminated.any():
        pass
    envs.reset()
    assert envs.step(torch.ones(2, 3, dtype=torch.long)).valid.all()


# --- run k depends on (seed, k) only

ROUTES = [("CartPole-v1", True), ("CartPole-v1", False), ("Acrobot-v1", False), (Diary, True)]


def history(env, native: bool, run_ids, others: int) -> list[torch.Tensor]:
    """All that run 3 sees, among runs that act in some other way and end at other times."""
    envs, row = build(env, run_ids=run_ids, native=native), list(run_ids).index(3)
    mine, theirs, seen = generator(5), generator(others), []
    for t in range(80):
        if t % 50 == 0:
            seen.append(envs.reset()[row])
        actions = random_actions(envs, theirs)
        actions[row] = torch.randint(0, envs.num_actions, (3,), generator=mine)
        seen += [field[row] for field in envs.step(actions)]
    return seen


@pytest.mark.parametrize(("env", "native"), ROUTES)
def test_a_run_depends_on_its_own_stream_only(env, native):
    alone = history(env, native, [3], 0)
    for ids, others in (((0, 1, 2, 3), 1), ((0, 3), 2)):
        for a, b in zip(alone, history(env, native, ids, others), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize(("env", "native"), ROUTES)
def test_runs_and_environments_begin_differently(env, native):
    envs = build(env, num_envs=4, run_ids=range(5), native=native)
    first, second = envs.reset(), envs.reset()
    seen = torch.stack([first, second]).flatten(0, 2)
    assert len(seen[:, -1].unique()) == 40
    other = build(env, num_envs=4, run_ids=range(5), native=native, seed=1).reset()
    assert not (other[..., -1] == first[..., -1]).any()


@pytest.mark.parametrize(("env", "native"), ROUTES)
def test_spawn(env, native):
    envs = build(env, native=native)
    more = envs.spawn(7, Streams(9, [4, 5, 6]))
    assert type(more) is type(envs) and more.reset().shape == (3, 7, envs.observation_size)
    same = build(env, num_envs=7, run_ids=[4, 5, 6], seed=9, native=native)
    same.reset()  # as often as `more`
    assert torch.equal(more.reset(), same.reset())
    if not native:
        assert type(more.runs[0]) is type(envs.runs[0])


# --- actions


def test_discrete_actions_begin_at_the_spaces_start():
    envs = build(lambda: Diary(spaces.Discrete(3, start=5)))
    assert envs.num_actions == 3 and envs.action_size is None and envs.action_high is None
    envs.reset()
    step = envs.step(torch.tensor([[0, 1, 2], [2, 2, 0]]))
    assert step.next_observations[..., 2].tolist() == [[5, 6, 7], [7, 7, 5]]
    assert build(lambda: Diary(spaces.Discrete(2, start=-1))).num_actions == 2


def test_continuous_actions_are_clipped_to_the_bounds():
    low, high = np.array([-1, -2], np.float32), np.array([1, 0.5], np.float32)
    envs = build(lambda: Diary(spaces.Box(low, high)))
    assert envs.num_actions is None and envs.action_size == 2
    assert (envs.action_low.tolist(), envs.action_high.tolist()) == ([-1, -2], [1, 0.5])
    envs.reset()
    actions = torch.tensor([-3.0, 0.25, 9.0]).view(1, 3, 1).expand(2, 3, 2)
    step = envs.step(actions.requires_grad_())
    assert step.next_observations[..., 2].tolist() == [[-1, 0.25, 1]] * 2


def test_wrong_actions():
    envs = build(Diary)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before"):
        envs.step(torch.zeros(2, 3, dtype=torch.long))
    envs.reset()
    with pytest.raises(ValueError, match=r"actions must be \(2, 3\), got \(3, 2\)"):
        envs.step(torch.zeros(3, 2, dtype=torch.long))


# --- which route


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_which_class_an_id_gives():
    for name in ("CartPole-v1", "Acrobot-v1", "Pendulum-v1"):
        assert type(build(name)) is ControlEnvs
        assert type(build(name, native=False)) is GymnasiumEnvs
        assert type(build(lambda name=name: gym.make(name))) is GymnasiumEnvs
    assert build("CartPole-v0").max_episode_steps == 200
    with pytest.warns(UserWarning, match="latest versioned"):
        assert type(build("CartPole")) is ControlEnvs
    assert build(lambda: gym.make("Acrobot-v1", max_episode_steps=9)).max_episode_steps == 9
    assert build(Diary).max_episode_steps is None


class Still:
    """The least that has the interface."""

    num_runs, num_envs, device, observation_size = 2, 3, torch.device("cpu"), 1
    num_actions, action_size, action_low, action_high, max_episode_steps = 2, None, None, None, None

    def spawn(self, num_envs, streams):
        return self

    def reset(self):
        return torch.zeros(2, 3, 1)

    def step(self, actions):
        zeros, no = torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.bool)
        return EnvStep(zeros, no, no, zeros[..., None], zeros[..., None], ~no)


def test_an_object_with_the_interface_is_passed_through():
    envs = Still()
    assert build(envs) is envs
    assert all(hasattr(envs, attribute) for attribute in ATTRIBUTES)
    for own in (build("CartPole-v1"), build(Diary)):
        assert build(own) is own


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_runs": 5}, "Still has 5 runs.* 2 "),
        ({"num_envs": 8}, "Still has 8 environments for each run, not 3"),
        ({"device": torch.device("meta")}, "Still lives on meta, not on cpu"),
        ({"action_size": 1}, "exactly one of num_actions and action_size"),
        ({"num_actions": None}, "exactly one of num_actions and action_size"),
        ({"num_actions": None, "action_size": 1}, r"action_low and action_high must be \(1,\)"),
    ],
)
def test_an_object_that_contradicts_itself_or_the_rest(changes, message):
    envs = Still()
    for name, value in changes.items():
        setattr(envs, name, value)
    with pytest.raises(ValueError, match=message):
        build(envs)


def test_an_object_that_lacks_something():
    class Half:
        num_runs, num_envs = 2, 3
        step = reset = Still.reset

    with pytest.raises(ValueError, match="Half lacks device, observation_size"):
        build(Half())


# --- errors before training


def space(observations=None, actions=None):
    class Strange(Diary):
        pass

    Strange.observation_space = observations or Diary.observation_space
    return lambda: Strange(actions)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("CartPol-v1", "CartPol-v1 cannot be made.*Did you mean: `CartPole`"),
        ("CartPole-v7", "CartPole-v7 cannot be made.*versioned environments.*v1"),
        ("Taxi-v3", "Taxi-v3 cannot be made.*`Taxi-v4` instead"),
        ("nowhere:Maze-v0", "nowhere:Maze-v0 cannot be made.*No module named 'nowhere'"),
        ("not an id!", "not an id! cannot be made"),
        ("Taxi-v4", "discrete observations.*model=False.*chapter 09"),
        (space(spaces.Discrete(4)), "discrete observations.*model=False.*chapter 09"),
        ("Blackjack-v1", "Blackjack-v1 observes a Tuple.*FlattenObservation"),
        (space(spaces.Dict({"x": spaces.Discrete(2)})), "observes a Dict.*FlattenObservation"),
        (space(spaces.Box(0, 255, (8, 8, 3), np.uint8)), r"images of shape \(8, 8, 3\).*Flatten"),
        (space(spaces.Box(0, 1, (8, 3))), r"observes arrays of shape \(8, 3\).*FlattenObs"),
        (space(spaces.Box(0, 1, ())), r"observes arrays of shape \(\)"),
        (space(None, spaces.MultiDiscrete([2, 3])), "takes actions MultiDiscrete.*Discrete ones"),
        (space(None, spaces.MultiBinary(3)), "takes actions MultiBinary"),
        (space(None, spaces.Box(-1, 1, (2, 2))), r"takes actions Box\(.*one axis"),
        (space(None, spaces.Box(0, 9, (2,), np.int64)), "takes actions Box.*real numbers"),
        (7, "a Gymnasium id or a function.*got 7"),
        (lambda: 7, "must build a gymnasium.Env, but built 7"),
    ],
)
def test_environments_that_no_learner_can_use(env, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        build(env)


@pytest.mark.parametrize("env", ["LunarLander-v3", "BipedalWalker-v3", "Hopper-v5"])
def test_box2d_and_mujoco_come_with_the_extra(env):
    envs = build(env, num_envs=2)
    envs.reset()
    step = envs.step(random_actions(envs, generator(0)))
    assert step.next_observations.isfinite().all() and not step.terminated.any()
    envs.close()


def test_one_environment_for_all():
    one = gym.make("Acrobot-v1")
    with pytest.raises(ValueError, match="is one environment; give its id, or a function"):
        build(one)
    with pytest.raises(ValueError, match="is one environment; give its id, or a function"):
        build(gym.make_vec("CartPole-v1", num_envs=3))
    with pytest.raises(ValueError, match="one environment twice; build a new one in each call"):
        build(lambda: one)


@pytest.mark.parametrize("num_envs", [0, -1, 2.0, True, "4"])
def test_number_of_environments(num_envs):
    with pytest.raises(ValueError, match="num_envs must be a whole number of at least 1"):
        build("CartPole-v1", num_envs=num_envs)


@pytest.mark.parametrize("device", ["cuda:77", "cpu:1", "tpu7", "gpu"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(ValueError, match=f"device '{device}'"):
        check_device(device)


def test_a_vector_environment_that_never_resets_is_refused():
    class Stubborn(CartPoleVectorEnv):
        metadata = {"autoreset_mode": AutoresetMode.DISABLED}

    one = "gymnasium.envs.classic_control:CartPoleEnv"
    gym.register("Stubborn-v0", one, vector_entry_point=Stubborn)
    with pytest.raises(ValueError, match="Stubborn-v0: .*autoreset mode AutoresetMode.DISABLED"):
        build("Stubborn-v0", native=False)
    assert type(build("Stubborn-v0").runs[0]) is gym.vector.SyncVectorEnv
