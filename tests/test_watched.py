"""What an environment gives is checked where it comes in, and the message says where that was."""

import re

import gymnasium
import numpy as np
import pytest
import torch

from rlbook.deep import ppo, reinforce
from rlbook.deep.parts.envs.interface import scale_to_bounds
from rlbook.deep.parts.envs.make import make_envs
from rlbook.deep.parts.results import evaluate
from rlbook.ground.seeding import Streams

SMALL = ppo.Config(
    total_steps=64, num_envs=2, rollout_steps=8, num_epochs=1, num_minibatches=1,
    hidden_sizes=(4,), num_evals=2, evaluation_episodes=2,
)  # fmt: skip


class Answers(gymnasium.Env):
    """Observes two numbers, pays 1, and lasts `length` steps; a class for each fault."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(3, start=5)
    fault: dict = {}
    length = 4
    log: list = []

    def __init__(self):
        self.total = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        self.log.append(("reset", seed))
        return self.fault.get("first", np.zeros(2, np.float32)), {}

    def step(self, action):
        self.t, self.total = self.t + 1, self.total + 1
        self.log.append(("step", int(action)))
        answer = {"observation": np.zeros(2, np.float32), "reward": 1.0}
        answer |= {"terminated": self.t == self.length, "truncated": False}
        if self.total == 3:
            answer |= self.fault
        return *(answer[name] for name in ("observation", "reward", "terminated", "truncated")), {}


def faulty(**fault):
    return type("Faulty", (Answers,), {"fault": fault})


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"reward": np.array([1.0])}, r"step 3: the reward must be one number, got an array of"),
        ({"reward": None}, r"step 3: the reward must be a number, got None"),
        ({"reward": "1"}, r"step 3: the reward must be a number, got '1'"),
        ({"observation": np.zeros(3)}, r"step 3: the observation must have shape \(2,\), .*\(3,\)"),
        ({"observation": None}, r"step 3: the observation must have shape \(2,\)"),
        ({"terminated": 0.5}, r"step 3: terminated must be True or False, got 0.5"),
        ({"truncated": None}, r"step 3: truncated must be True or False, got None"),
        ({"first": np.zeros((1, 2))}, r"step 0: the observation must have shape \(2,\)"),
    ],
)
def test_what_is_no_number_is_named_with_its_place(fault, message):
    with pytest.raises(ValueError, match=r"environment 0 of run 4, " + message):
        ppo.train(faulty(**fault), SMALL, run_ids=[4, 2], progress=False)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"reward": np.nan}, "environment 0 gave reward nan in step 3 of its 8 in this update"),
        ({"reward": 1e39}, "environment 0 gave reward inf in step 3"),  # in single precision
        ({"observation": np.array([0, np.nan])}, r"environment 0 gave observation\[1\] nan in"),
        ({"first": np.array([np.inf, 0])}, r"environment 0 gave observation after a reset:\[0\]"),
    ],
)
def test_numbers_that_are_not_finite_freeze_their_run_and_all_frozen_is_the_end(fault, message):
    env = faulty(**fault)
    env.length = 2  # evaluations do not come to the third step
    with pytest.warns(UserWarning) as caught:
        result = ppo.train(env, SMALL, run_ids=[4, 2], progress=False)
    texts = [str(warning.message) for warning in caught]
    assert any("all runs are frozen: the training ends" in text for text in texts), texts
    assert result.frozen.keys() == {4, 2} and result.state["updates"] == 1
    for reason in result.frozen.values():
        assert re.search(message, reason)


def test_a_bad_number_of_an_evaluation_freezes_its_run():
    """The third step of each environment pays NaN: in the evaluation before the first update."""
    with pytest.warns(UserWarning, match="its return in an evaluation is not finite"):
        result = ppo.train(faulty(reward=np.nan), SMALL, run_ids=[3], progress=False)
    assert list(result.frozen) == [3] and result.env_steps.tolist() == [0]


def test_what_fits_passes():
    """Numbers of NumPy, of no dimension, and bools are numbers."""
    for reward in (1, np.float64(2), np.array(0.5), True):
        result = ppo.train(faulty(reward=reward), SMALL, num_runs=1, progress=False)
        assert result.frozen == {}


def test_environments_whose_episode_has_ended_wait_in_an_evaluation(monkeypatch):
    lengths = {}

    class Uneven(Answers):
        def reset(self, *, seed=None, options=None):
            if seed is not None:
                lengths[id(self)] = self.length = 2 + len(lengths)
            return super().reset(seed=seed, options=options)

    monkeypatch.setattr(Answers, "log", [])
    envs = make_envs(Uneven, num_envs=3, streams=Streams(0, [0, 1]))
    result = evaluate(lambda seen: torch.zeros(seen.shape[:2], dtype=torch.long), envs)
    assert result.returns.tolist() == [[2, 3, 4], [5, 6, 7]]
    assert Answers.log.count(("step", 5)) == 2 + 3 + 4 + 5 + 6 + 7, "an environment did not wait"
    assert [seed is None for kind, seed in Answers.log if kind == "reset"] == [False] * 6
    envs.reset()
    for _ in range(8):  # after the next reset, episode follows episode
        step = envs.step(torch.zeros(2, 3, dtype=torch.long))
    assert [kind for kind, _ in Answers.log].count("reset") > 12
    assert (step.rewards == 1).all()


# --- bounds of actions


def test_minus_one_to_one_spans_the_bounds_as_in_gymnasium():
    low, high = torch.tensor([0.0, -2.0, 1.0]), torch.tensor([5.0, 2.0, torch.inf])
    scale = scale_to_bounds(low, high)
    actions = torch.tensor([[-1.0, 0.5, 3.0], [0.0, -1.0, -3.0], [2.0, 0.0, 0.0]])
    assert scale(actions).tolist() == [[0, 1, 3], [2.5, -2, -3], [7.5, 0, 0]]
    assert scale_to_bounds(None, None)(actions) is actions
    env = gymnasium.make("Pendulum-v1")
    theirs = gymnasium.wrappers.RescaleAction(env, np.float32(-1), np.float32(1))
    for action in (-1.0, -0.3, 0.8):
        ours = scale_to_bounds(
            *map(torch.from_numpy, (env.action_space.low, env.action_space.high))
        )
        np.testing.assert_allclose(
            ours(torch.tensor([action])), theirs.action(np.float32([action]))
        )


class Target(gymnasium.Env):
    """One step; the reward is minus the squared distance to a torque of 101.5."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Box(100.0, 102.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return np.zeros(1, np.float32), -float((action[0] - 101.5) ** 2), True, False, {}


def test_a_box_that_is_not_around_0_is_learned():
    config = ppo.Config(total_steps=4_096, num_envs=8, rollout_steps=32, learning_rate=3e-3)
    result = ppo.train(Target, config, num_runs=2, progress=False)
    assert (result.evaluation_returns[:, -1] > -0.02).all(), result.evaluation_returns[:, -1]
    action = result.act(1)(np.zeros(1, np.float32))
    assert action.shape == (1,) and abs(action[0] - 101.5) < 0.2


def test_act_is_the_greedy_policy_in_the_environments_own_terms():
    result = ppo.train(faulty(), SMALL, run_ids=[4, 2], progress=False)
    seen = np.float32([0.3, -0.7])
    rows = result.networks["policy"].greedy(torch.tensor(seen).expand(2, 1, 2))[:, 0]
    assert [result.act(run)(seen) for run in (4, 2)] == (rows + 5).tolist()
    assert isinstance(result.act(4)(seen), int)
    with pytest.raises(ValueError, match="run_id must be one of"):
        result.act(0)


# --- going on


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_environments_in_torch_go_on_where_they_stood(name):
    streams = lambda: Streams(3, [1, 5])  # noqa: E731
    envs = make_envs(name, num_envs=300, streams=streams())
    action = torch.zeros(envs.action_shape, dtype=torch.long if envs.num_actions else None)
    first = envs.save_state()
    start = envs.reset()
    for _ in range(25):  # some have ended, and the block of starts at hand is the second
        envs.step(action)
    state, other = envs.save_state(), make_envs(name, num_envs=300, streams=streams())
    other.load_state(state)
    for _ in range(25):
        for one, two in zip(envs.step(action), other.step(action), strict=True):
            assert torch.equal(one, two)
    assert torch.equal(envs.reset(), other.reset())
    envs.load_state(first)
    assert torch.equal(envs.reset(), start)


def test_a_training_that_had_ended_takes_its_steps_once_more():
    config = reinforce.Config(
        total_episodes=8, num_envs=2, hidden_sizes=(4,), num_evals=2, evaluation_episodes=2
    )
    once = reinforce.train("CartPole-v1", config, num_runs=2, progress=False)
    twice = reinforce.train("CartPole-v1", config, num_runs=2, progress=False, resume=once)
    assert twice.log["episode_return"].shape == (2, 8) and twice.continuations == 1
    assert twice.evaluation_returns.shape == (2, 3)
