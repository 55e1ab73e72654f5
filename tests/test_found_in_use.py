"""What a day of use met: trainings cut short in odd places, and what users pass to them."""

import os
import signal

import agent_checks as checks
import gymnasium
import numpy as np
import pytest
import torch
from tiny_agents import SMALL

from rlbook.deep import Keep, ppo, trpo
from rlbook.deep.parts import training
from rlbook.deep.parts.envs.interface import scale_to_bounds
from rlbook.deep.parts.results import load_result
from rlbook.ground.saving import load_tensors, save_tensors

CONFIG = SMALL


class Own(gymnasium.Env):
    """Observes two numbers, pays 1, lasts four steps."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    seen: np.ndarray = np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t += 1
        return self.seen, 1.0, False, self.t == 4, {}


def train(env="CartPole-v1", config=CONFIG, **options):
    options = {"num_runs": 2, "progress": False} | options
    return ppo.train(env, config, **options)


@pytest.mark.parametrize(
    ("name", "call"), [("frozen_step", 1), ("evaluate", 1), ("evaluate", 2), ("evaluate", 3)]
)
def test_ctrl_c_in_the_first_update_or_in_an_evaluation_loses_nothing(monkeypatch, name, call):
    """The rollout of the first update is done; an evaluation's episodes are played: what is
    resumed from there is the whole, to the bit, and does not begin a second time."""
    whole = train()
    assert whole.evaluation_returns.shape[1] == 3
    done, calls = getattr(training, name), []

    def interrupted(*args, **options):
        outcome = done(*args, **options)
        calls.append(name)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return outcome

    monkeypatch.setattr(training, name, interrupted)
    half = train()
    monkeypatch.undo()
    assert half.interrupted
    checks.same_results(train(resume=half), whole)


def test_an_environment_that_cannot_be_closed_loses_nothing(tmp_path):
    built = []

    class Stuck(Own):
        def __init__(self):
            built.append(self)

        def close(self):
            if len(built) > 1:  # not the one that is looked at before
                raise RuntimeError("the door is stuck")

    keep = Keep(tmp_path, tensorboard=False)
    with pytest.warns(UserWarning, match="could not be closed: RuntimeError.'the door is stuck'"):
        result = train(Stuck, keep=keep)
    assert load_result(keep.checkpoint, ppo).state["updates"] == result.state["updates"] > 0


def test_runs_are_numbered_by_any_whole_numbers_and_each_once(tmp_path):
    result = train(Own, num_runs=10, run_ids=np.arange(3, 5), seed=np.int64(1))
    result.save(tmp_path / "r.safetensors")
    assert load_result(tmp_path / "r.safetensors", ppo).run_ids == [3, 4]
    assert [type(run) for run in result.run_ids] == [int, int]
    for run_ids, words in [([0, 0], "must differ"), ([0.5], "must be whole"), ("01", "whole")]:
        with pytest.raises(ValueError, match=f"run_ids .*{words}"):
            train(Own, run_ids=run_ids)
    with pytest.raises(ValueError, match="num_runs must be a positive whole number, got -1"):
        train(Own, num_runs=-1)


def test_numpys_numbers_are_saved_as_pythons(tmp_path):
    given = {"a": np.int64(3), "b": [np.float32(0.5)], "c": np.bool_(True)}
    save_tensors(tmp_path / "x", {"t": torch.zeros(1)}, given)
    assert load_tensors(tmp_path / "x")[1] == {"a": 3, "b": [0.5], "c": True}


@pytest.mark.parametrize("seen", [np.array(["a", "b"]), np.array([1.0, None], object)])
def test_observations_that_are_no_numbers_are_named_with_their_place(seen):
    with pytest.raises(ValueError, match="environment 0 of run 0, step 1: the obs.* of numbers"):
        train(type("Words", (Own,), {"seen": seen}))


def test_what_cannot_go_on_is_refused_by_its_name():
    earlier = train()
    with pytest.raises(ValueError, match="not fit this training: same agent, env and num_envs"):
        train(config=ppo.Config(**vars(CONFIG) | {"num_envs": CONFIG.num_envs + 1}), resume=earlier)
    with pytest.raises(ValueError, match="not fit this training: same agent, env and num_envs"):
        train(lambda: gymnasium.make("CartPole-v1"), resume=earlier)
    with pytest.raises(ValueError, match=r"resume is a result of rlbook.deep.ppo, not of .*trpo"):
        config = trpo.Config(hidden_sizes=CONFIG.hidden_sizes, num_envs=CONFIG.num_envs)
        trpo.train("CartPole-v1", config, num_runs=2, progress=False, resume=earlier)
    with pytest.raises(ValueError, match="keep must be a Keep"):
        train(keep="runs/lander")


def test_the_environment_of_a_bad_evaluation_is_named():
    class Paid(Own):
        built = 0

        def __init__(self):
            Paid.built += 1
            self.number = Paid.built

        def step(self, action):
            observation, _, *flags = super().step(action)
            bad = self.number == Paid.built  # the last environment of the last run
            return observation, np.nan if bad else 1.0, *flags

    last = CONFIG.evaluation_episodes - 1
    with pytest.warns(UserWarning, match=f"run 1 .* not finite, nan in environment {last}, after"):
        result = train(Paid)
    assert list(result.frozen) == [1]


def test_bounds_whose_span_is_no_number_are_none():
    bound = torch.tensor([3e38, 1.0])
    scaled = scale_to_bounds(-bound, bound)(torch.tensor([[0.0, 0.5], [2.0, 1.0]]))
    assert scaled.tolist() == [[0.0, 0.5], [2.0, 1.0]]
