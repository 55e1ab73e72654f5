"""The torch-native control tasks are Gymnasium's, step by step and over whole episodes."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlbook.deep.parts.envs.make import make_envs
from rlbook.deep.parts.envs.native import NUMBERS_PER_BLOCK, ControlEnvs
from rlbook.deep.parts.envs.physics import CONTROL_TASKS
from rlbook.ground.seeding import Streams, generator

NAMES = list(CONTROL_TASKS)
RANGES = {  # half widths of the states tried, beyond every bound
    "CartPole-v1": (2.6, 4.0, 0.25, 4.0),
    "Acrobot-v1": (math.pi, math.pi, 4 * math.pi, 9 * math.pi),
    "Pendulum-v1": (3 * math.pi, 8.0),
}


def native(name: str, num_envs: int = 4, run_ids=(0, 1), dtype=torch.float32) -> ControlEnvs:
    envs = make_envs(name, num_envs=num_envs, streams=Streams(0, list(run_ids)), dtype=dtype)
    assert type(envs) is ControlEnvs
    return envs


def random_actions(envs: ControlEnvs, stream: torch.Generator) -> torch.Tensor:
    shape = (envs.num_runs, envs.num_envs)
    if envs.num_actions is not None:
        return torch.randint(0, envs.num_actions, shape, generator=stream)
    return 3 * (2 * torch.rand(*shape, 1, generator=stream) - 1)  # Pendulum's bound is 2


def plain_step(env, state, action: torch.Tensor):
    """One step of Gymnasium's own single environment from a given state."""
    env.unwrapped.state = state.numpy().copy()
    env.unwrapped.steps_beyond_terminated = None
    observation, reward, terminated, _, _ = env.unwrapped.step(action.numpy())
    return torch.as_tensor(env.unwrapped.state.copy()), observation, reward, terminated


def test_both_flags_at_once():
    envs = native("CartPole-v1", 2, [0])
    falling = torch.tensor([[[0.0, 0, 0.209, 3], [0, 0, 0, 0]]])
    envs.set_state(falling, elapsed=499)
    step = envs.step(torch.ones(1, 2, dtype=torch.long))
    assert step.terminated.tolist() == [[True, False]]
    assert step.truncated.tolist() == [[True, True]]
    assert step.next_observations[0, 0, 2] > 0.25 and step.rewards.tolist() == [[1, 1]]
    assert (step.observations.abs() <= 0.05).all()
    assert not envs.step(torch.ones(1, 2, dtype=torch.long)).truncated.any()


def trajectory(run_ids, others: int, name="CartPole-v1", run=3, num_steps=150):
    """All that run 3 sees among other runs, which act in some other way."""
    envs = native(name, 48, run_ids)
    mine, theirs = generator(5), generator(others)
    row = list(run_ids).index(run)
    seen = [envs.reset()[row]]
    for t in range(num_steps):
        if t == 100:
            seen.append(envs.reset()[row])
        actions = random_actions(envs, theirs)
        actions[row] = random_actions(native(name, 48, [run]), mine)[0]
        seen += [field[row] for field in envs.step(actions)]
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_a_run_depends_on_its_own_stream_only(name):
    assert NUMBERS_PER_BLOCK // (48 * 4) < 100  # more than one block of noise
    alone = trajectory([3], 0, name)
    for ids, others in (((0, 1, 2, 3), 1), ((0, 1, 2, 3), 2), ((7, 3), 1)):
        for a, b in zip(alone, trajectory(ids, others, name), strict=True):
            assert torch.equal(a, b)


def test_a_reset_does_not_depend_on_how_long_others_went_on():
    starts = []
    for steps in (3, 200):
        envs = native("CartPole-v1", 48)
        envs.reset()
        for _ in range(steps):
            envs.step(torch.ones(2, 48, dtype=torch.long))
        starts.append(envs.reset())
    assert torch.equal(*starts)


@pytest.mark.parametrize("name", NAMES)
def test_starts_are_uniform_and_all_different(name):
    envs = native(name, 1_000, range(4), torch.float64)
    envs.reset()
    first = envs.get_state()
    envs.reset()
    states = torch.stack([first, envs.get_state()]) / torch.tensor(CONTROL_TASKS[name].start)
    assert states.flatten(0, 2).unique(dim=0).shape[0] == 8_000
    values = states.flatten(0, 2)
    assert (values.abs() <= 1).all() and (values.abs().amax(0) > 0.99).all()
    assert (values.mean(0).abs() < 5 / math.sqrt(3 * 8_000)).all()
    assert ((values.square().mean(0) - 1 / 3).abs() < 5 * 0.3 / math.sqrt(8_000)).all()


def test_what_the_classes_say_of_themselves():
    envs = native("Acrobot-v1", 5, [4, 9])
    assert (envs.num_runs, envs.num_envs, envs.observation_size) == (2, 5, 6)
    assert (envs.num_actions, envs.action_size, envs.action_low) == (3, None, None)
    assert (envs.max_episode_steps, envs.device.type) == (500, "cpu")
    envs = native("Pendulum-v1", 5)
    assert (envs.num_actions, envs.action_size, envs.max_episode_steps) == (None, 1, 200)
    assert (envs.action_low.tolist(), envs.action_high.tolist()) == ([-2.0], [2.0])
    for name in NAMES:
        theirs, ours = gym.make(name), native(name, 5)
        assert theirs.observation_space.shape == (ours.observation_size,)
        assert theirs.spec.max_episode_steps == ours.max_episode_steps
        assert ours.reset().dtype == torch.float32 and ours.get_state().dtype == torch.float64


def test_spawn_gives_the_same_task_with_other_streams():
    envs = native("Pendulum-v1", 4, [0, 1], torch.float64)
    more = envs.spawn(9, Streams(1, [0, 1, 2]))
    assert more.task is envs.task and more.dtype == torch.float64
    assert more.reset().shape == (3, 9, 3)
    assert not torch.equal(more.reset()[:2, :4], envs.reset())


def test_the_results_of_a_step_stay_what_they_were():
    envs = native("CartPole-v1")
    observations = envs.reset()
    kept = [observations.clone()]
    step = envs.step(torch.ones(2, 4, dtype=torch.long))
    kept += [field.clone() for field in step]
    for _ in range(60):
        envs.step(torch.ones(2, 4, dtype=torch.long))
    assert all(torch.equal(a, b) for a, b in zip([observations, *step], kept, strict=True))


def test_no_gradient_runs_through_the_dynamics():
    envs = native("Pendulum-v1")
    envs.reset()
    step = envs.step(torch.zeros(2, 4, 1, requires_grad=True))
    assert not any(field.requires_grad for field in step)


def test_bad_calls():
    envs = native("CartPole-v1")
    with pytest.raises(RuntimeError, match=r"call reset\(\) before"):
        envs.step(torch.zeros(2, 4, dtype=torch.long))
    envs.reset()
    with pytest.raises(ValueError, match=r"actions must be \(2, 4\), got \(8,\)"):
        envs.step(torch.zeros(8, dtype=torch.long))
    for action in (2, -1):
        with pytest.raises(IndexError):
            envs.step(torch.full((2, 4), action))
    with pytest.raises(ValueError, match=r"state must be \(2, 4, 4\), got \(4,\)"):
        envs.set_state(torch.zeros(4))
    pendulum = native("Pendulum-v1")
    pendulum.reset()
    with pytest.raises(ValueError, match=r"actions must be \(2, 4, 1\), got \(2, 4\)"):
        pendulum.step(torch.zeros(2, 4))


@pytest.mark.parametrize(
    ("name", "action_dtype"),
    [
        ("CartPole-v1", torch.int64),
        ("Acrobot-v1", torch.int64),
        ("Pendulum-v1", torch.float32),
        ("Pendulum-v1", torch.float64),
    ],
)
def test_one_step_is_gymnasiums(name, action_dtype):
    count, stream, env = 10_000, generator(1), gym.make(name)
    env.reset(seed=0)
    envs = native(name, count, [0], torch.float64)
    size = torch.tensor(RANGES[name], dtype=torch.float64)
    states = (2 * torch.rand(1, count, len(size), dtype=torch.float64, generator=stream) - 1) * size
    actions = random_actions(envs, stream).to(action_dtype)
    envs.set_state(states, elapsed=7)
    step = envs.step(actions)
    rows = [plain_step(env, *pair) for pair in zip(states[0], actions[0], strict=True)]
    next_states, observations, rewards, terminated = zip(*rows, strict=True)
    running = ~torch.tensor(terminated)
    ours, theirs = envs.get_state()[0], torch.stack(next_states)
    torch.testing.assert_close(ours[running], theirs[running], rtol=0, atol=1e-9)
    task = CONTROL_TASKS[name]
    control = actions[0, :, 0].clamp(-2, 2) if task.controls is None else None
    control = torch.tensor(task.controls)[actions[0]] if control is None else control
    ours, _, _ = task.dynamics(states[0].T, control)  # where an episode ended, too
    torch.testing.assert_close(ours.T, theirs, rtol=0, atol=1e-9)
    seen = torch.from_numpy(np.stack(observations))
    torch.testing.assert_close(step.next_observations[0].float(), seen, rtol=1e-6, atol=1e-6)
    rewards = torch.tensor([float(reward) for reward in rewards], dtype=torch.float64)
    torch.testing.assert_close(step.rewards[0], rewards, rtol=0, atol=1e-9)
    assert torch.equal(step.terminated[0], ~running)
    assert not step.truncated.any() and step.valid.all()
    if name != "Pendulum-v1":
        assert 100 < running.sum() < count - 100


def test_the_random_states_meet_every_rule():
    """Otherwise the test above would prove less than it says."""
    envs, stream = native("Acrobot-v1", 10_000, [0]), generator(1)
    size = torch.tensor(RANGES["Acrobot-v1"], dtype=torch.float64)
    states = (2 * torch.rand(1, 10_000, 4, dtype=torch.float64, generator=stream) - 1) * size
    envs.set_state(states)
    step = envs.step(random_actions(envs, stream))
    after = envs.get_state()
    assert (after[..., :2].abs() <= math.pi).all()
    for speed, bound in ((2, 4 * math.pi), (3, 9 * math.pi)):
        for sign in (-1, 1):
            assert ((sign * after[..., speed] == bound) & ~step.terminated).sum() > 20
    turned = (after - states)[~step.terminated][:, :2].abs() > math.pi
    assert (turned.sum(0) > 100).all()


def balance(envs, state: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
    """Actions that keep environment 0 of a run going, while those of the others are random."""
    actions = random_actions(envs, stream)
    if envs.num_actions == 2:
        actions[:, 0] = (state @ state.new_tensor([0.1, 0.3, 1.0, 0.3]) > 0)[:, 0].long()
    elif envs.num_actions == 3:
        actions[:, 0] = 1  # no torque: Acrobot hangs
        actions[:, 1:] = 1 + state[:, 1:, 3].sign().long()  # along its swing: it comes up
    return actions


@pytest.mark.parametrize("name", NAMES)
def test_whole_episodes_are_gymnasiums(name):
    """R x E plain loops over single environments beside ours, which lend them the starts.

    After each step the plain ones go on from our state, equal to 1e-9: a pole left to itself
    doubles every difference in ten steps.
    """
    envs, stream = native(name), generator(2)
    envs.reset()
    plain = [gym.make(name) for _ in range(8)]
    for env in plain:
        env.reset(seed=0)
    box = torch.tensor(CONTROL_TASKS[name].start, dtype=torch.float64)
    ends = torch.zeros(2, dtype=torch.long)
    for _ in range(CONTROL_TASKS[name].max_episode_steps + 50):
        state = envs.get_state()
        for env, start in zip(plain, state.flatten(0, 1).numpy(), strict=True):
            env.unwrapped.state = start.copy()
        actions = balance(envs, state, stream)
        step = envs.step(actions)
        pairs = zip(plain, actions.flatten(0, 1).numpy(), strict=True)
        seen, rewards, *flags, _ = zip(*(env.step(action) for env, action in pairs), strict=True)
        seen, flags = torch.from_numpy(np.stack(seen)).view(2, 4, -1), torch.tensor(flags)
        close = {"rtol": 1e-6, "atol": 1e-7}  # of float32 numbers
        torch.testing.assert_close(step.next_observations, seen, **close)
        rewards = torch.tensor([float(reward) for reward in rewards]).view(2, 4)
        torch.testing.assert_close(step.rewards, rewards, rtol=1e-6, atol=0)
        assert torch.equal(torch.stack((step.terminated, step.truncated)), flags.view(2, 2, 4))
        ended, after = flags.any(0), envs.get_state()
        running = torch.from_numpy(np.stack([env.unwrapped.state for env in plain]))[~ended]
        ended = ended.view(2, 4)
        torch.testing.assert_close(after[~ended], running, rtol=0, atol=1e-9)
        assert torch.equal(step.observations[~ended], step.next_observations[~ended])
        if ended.any():
            assert (after[ended].abs() <= box).all()
            begun = native(name, int(ended.sum()), [0]).set_state(after[ended].unsqueeze(0))[0]
            assert torch.equal(step.observations[ended], begun)
            assert (begun != step.next_observations[ended]).any(-1).all()
            for cell in ended.flatten().nonzero():
                plain[cell].reset()
            ends += flags.sum(1)
    assert ends[1] >= 2 and (ends[0] >= 4 or name == "Pendulum-v1")
