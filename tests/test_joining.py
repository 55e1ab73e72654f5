"""Shards put together are one training of all their runs; what does not fit is named."""

import dataclasses
import os
import pickle
import time
import warnings
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import gymnasium
import numpy as np
import pytest
import test_actor_critic
import test_dqn
import test_ppo
import test_reinforce
import test_trpo
import torch
from joblib import Parallel, delayed

from rlbook.deep import actor_critic, dqn, join, ppo, reinforce, trpo
from rlbook.deep.parts import Training, load_result, make_envs
from rlbook.deep.parts.results import Result
from rlbook.deep.parts.training import LEARNING
from rlbook.ground.seeding import Streams

SMALL = {
    ppo: test_ppo.SMALL,
    dqn: test_dqn.SMALL,
    actor_critic: test_actor_critic.SMALL,
    trpo: test_trpo.SMALL,
    reinforce: test_reinforce.SMALL,
}
BITS = dict.fromkeys(SMALL, 0.0) | {reinforce: 1e-6}
"""Between shards of two runs and one training of four. REINFORCE's rollouts are as long as the
longest episode of all runs, and sums over them, zeros included, round by their length."""
ALONE = 5e-6
"""Between a run by itself and the same run among others, after some ten updates: products of one
run's matrices round otherwise. Longer trainings part altogether, as chapter 11 says."""
every_agent = pytest.mark.parametrize(
    "agent", SMALL, ids=lambda agent: agent.__name__.removeprefix("rlbook.deep.")
)


def train(agent, run_ids, env="CartPole-v1", **options):
    options = {"config": SMALL[agent], "seed": 5, "progress": False} | options
    return agent.train(env, run_ids=run_ids, **options)


def numbers_of(result: Result) -> dict[str, torch.Tensor]:
    """Every array and tensor of a result, by name."""
    found: dict[str, Any] = {f"networks.{k}": x for k, x in result.networks.state_dict().items()}
    for field in dataclasses.fields(Result):
        value = getattr(result, field.name)
        parts = value if isinstance(value, dict) else {"": value}
        arrays = {k: x for k, x in parts.items() if isinstance(x, np.ndarray | torch.Tensor)}
        found |= {f"{field.name}.{k}": torch.as_tensor(x) for k, x in arrays.items()}
    return found


def check_same(one: Result, other: Result, atol: float = 0.0) -> None:
    """Two results agree in everything but the time that they took."""
    mine, theirs = numbers_of(one), numbers_of(other)
    assert mine.keys() == theirs.keys()
    for name, x in mine.items():
        say = lambda message, name=name: f"{name}: {message}"  # noqa: E731
        torch.testing.assert_close(x, theirs[name], atol=atol, rtol=atol, equal_nan=True, msg=say)
    compared = {"spaces", "wall_time", "log"} | {name.split(".")[0] for name in mine}
    for field in {field.name for field in dataclasses.fields(Result)} - compared:
        assert getattr(one, field) == getattr(other, field), field
    assert one.spaces.plain() == other.spaces.plain()
    assert one.spaces.device == other.spaces.device


@pytest.fixture(scope="module")
def halves():
    """Two shards of PPO."""
    return train(ppo, [0, 1]), train(ppo, [2, 3])


# --- the whole


@every_agent
def test_two_shards_are_one_training(agent):
    """They end in other orders, and go on alike."""
    whole, shards = train(agent, range(4)), [train(agent, [3, 1]), train(agent, [0, 2])]
    joined = join(shards)
    check_same(joined, whole, BITS[agent])
    assert joined.wall_time == sum(shard.wall_time for shard in shards)
    on, all_on = (train(agent, range(4), resume=result) for result in (joined, whole))
    check_same(on, all_on, BITS[agent])


@every_agent
def test_a_run_by_itself_differs_by_rounding(agent):
    joined = join([train(agent, [3]), train(agent, [0, 1, 2])])
    check_same(joined, train(agent, range(4)), ALONE)


def test_a_joined_result_is_saved_and_evaluated(tmp_path):
    shards, whole = [train(ppo, [2, 3]), train(ppo, [0, 1])], train(ppo, range(4))
    for shard in shards:
        shard.save(tmp_path / f"{shard.run_ids[0]}")
    joined = join(load_result(path, ppo) for path in sorted(tmp_path.iterdir()))
    joined.save(tmp_path / "joined")
    loaded = load_result(tmp_path / "joined", ppo)
    for result in (joined, loaded):
        check_same(result, whole)
        one, other = result.evaluate(episodes=3), whole.evaluate(episodes=3)
        assert torch.equal(one.returns, other.returns)
    assert all(len(p) == 2 for shard in shards for p in shard.networks.parameters())


# --- shards that ended early


class Poisoned:
    """CartPole in which these rows of the runs are paid NaN, from the 40th step on."""

    def __init__(self, run_ids, rows):
        streams = Streams(5, run_ids).spawn(LEARNING).spawn(0)
        self.envs = make_envs("CartPole-v1", num_envs=SMALL[ppo].num_envs, streams=streams)
        self.rows, self.steps = rows, 0

    def __getattr__(self, name):
        return getattr(self.envs, name)

    def step(self, actions):
        step = self.envs.step(actions)
        self.steps += 1
        if self.steps > 40:
            step.rewards[self.rows] = torch.nan
        return step


def test_frozen_runs_are_joined_and_a_shard_of_them_is_filled_up():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = train(ppo, range(4), Poisoned(range(4), [2, 3]))
        frozen = train(ppo, [2, 3], Poisoned([2, 3], [0, 1]))
    assert len(frozen.env_steps) < len(whole.env_steps) and list(frozen.frozen) == [2, 3]
    joined = join([frozen, train(ppo, [0, 1], Poisoned([0, 1], []))])
    kept = ("networks.", "evaluation_returns.", "run_steps.", "log.", "state.optimizer")
    mine, theirs = numbers_of(joined), numbers_of(whole)
    for name in (name for name in theirs if name.startswith(kept)):
        torch.testing.assert_close(mine[name], theirs[name], atol=0, rtol=0, equal_nan=True)
    assert joined.frozen == whole.frozen
    assert joined.cut_episodes.shape == whole.cut_episodes.shape
    on, all_on = (train(ppo, range(4), resume=result) for result in (joined, whole))
    for x, y in zip(on.networks.parameters(), all_on.networks.parameters(), strict=True):
        assert torch.equal(x, y)


def test_a_shard_frozen_before_its_first_step_has_moments_of_zero():
    at_once = train(dqn, [2, 3])
    state = {k: x for k, x in at_once.state.items() if not k.startswith("optimizer")}
    state["replay.rewards"] = state["replay.rewards"][:, :16]
    early = {"evaluation_returns": at_once.evaluation_returns[:, :1], "log": {}, "state": state}
    early |= {"frozen": {2: "NaN", 3: "NaN"}, "run_steps": at_once.run_steps[:, :1]}
    joined = join([train(dqn, [0, 1]), dataclasses.replace(at_once, **early)])
    moments = joined.state["optimizer.q.0.exp_avg"]
    assert moments[:2].any() and not moments[2:].any()
    assert np.isnan(joined.log["loss"][2:]).all() and np.isfinite(joined.log["loss"][:2]).all()
    assert np.isnan(joined.evaluation_returns[2:, 1:]).all()


def test_an_interrupted_shard_is_refused_until_it_is_finished(monkeypatch, halves):
    calls, step = [], Training.gradient_step

    def interrupted(self, *args, **options):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return step(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "gradient_step", interrupted)
        cut = train(ppo, [2, 3])
    message = r"runs \[2, 3\] ended early, after 1 evaluations and 1 updates; runs \[0, 1\] have 3"
    with pytest.raises(ValueError, match=message + r" and 5: .*resume"):
        join([cut, halves[0]])
    finished = train(ppo, [2, 3], resume=cut)
    joined = join([halves[0], finished])
    assert joined.continuations == 1
    check_same(dataclasses.replace(joined, continuations=0), join(halves))


# --- what does not belong together


def with_config(result, **changes):
    return dataclasses.replace(result, config=dataclasses.replace(result.config, **changes))


def with_state(result, **changes):
    return dataclasses.replace(result, state=result.state | changes)


def wider(result):
    spaces = dataclasses.replace(result.spaces, observation_size=5)
    return dataclasses.replace(result, spaces=spaces)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: dataclasses.replace(r, seed=6), r"seed: runs \[0, 1\] have 5, .*2, 3\] have 6"),
        (lambda r: dataclasses.replace(r, run_ids=[1, 2]), r"runs \[1\] are in two"),
        (lambda r: with_config(r, learning_rate=0.02), "config.learning_rate: .* 0.01, .* 0.02"),
        (lambda r: train(dqn, [2, 3]), "agent: .*rlbook.deep.ppo.*rlbook.deep.dqn"),
        (lambda r: dataclasses.replace(r, env="Acrobot-v1"), "env: .*CartPole-v1.*Acrobot-v1"),
        (lambda r: dataclasses.replace(r, env=None), "env: .*CartPole-v1.*one without an id"),
        (wider, "spaces.observation_size: .* 4, .* 5"),
        (lambda r: train(ppo, [2, 3], resume=r), r"\[0, 1\] ended early, after 3 .* have 5 and 5"),
        (
            lambda r: with_state(r, gradient_steps=torch.tensor(3)),
            "state.gradient_steps: .* have 3",
        ),
        (lambda r: with_state(r, other=torch.ones(2, 7)), r"state.other: .* None, .* \(7,\)"),
        (lambda r: dataclasses.replace(r, log={}), "log.kl: .* 5, .* None"),
        (lambda r: None, r"results\[1\] must be a Result, got NoneType"),
    ],
)
def test_what_differs_is_named(halves, change, message):
    with pytest.raises(ValueError, match=message):
        join([halves[0], change(halves[1])])


def test_networks_of_other_sizes_are_named(halves):
    small = with_config(
        train(ppo, [2, 3], config=with_config(halves[1], hidden_sizes=(9,)).config),
        hidden_sizes=(8,),
    )
    with pytest.raises(ValueError, match=r"networks.policy.*weight: .* \(4, 8\), .* \(4, 9\)"):
        join([halves[0], small])


def test_the_runs_that_there_should_be(halves):
    with pytest.raises(ValueError, match="at least one Result, got none"):
        join([], run_ids=range(4))
    with pytest.raises(ValueError, match=r"runs \[3\] are in the results, but not in run_ids"):
        join(halves, run_ids=range(3))
    with pytest.warns(UserWarning, match=r"runs \[2, 3, 4\] are missing.*run_ids=\[2, 3, 4\]"):
        check_same(join(halves[:1], run_ids=range(5)), halves[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        join(iter(halves), run_ids=iter(range(4)))


# --- processes


def test_results_are_pickled(halves):
    copies = pickle.loads(pickle.dumps(halves))
    check_same(join(copies), join(halves))


def saved(run_ids, folder, dies):
    """A shard in a file of its own, as the README has it; some die when the others are done."""
    path = folder / f"runs_{run_ids[0]}.safetensors"
    if dies:
        while not any(folder.glob("*.safetensors")):
            time.sleep(0.05)
        os._exit(1)
    if not path.exists():
        train(ppo, run_ids).save(path)
    return path


def trained_in_a_factory(run_ids):
    return train(ppo, run_ids, lambda: gymnasium.make("CartPole-v1"))


@pytest.mark.slow
def test_processes_and_one_that_dies(halves, tmp_path):
    """It loses its shard only, and the message names the runs; the same call trains them again."""
    shards, two = [[0, 1], [2, 3]], Parallel(n_jobs=2)
    with pytest.raises(BrokenProcessPool):
        two(delayed(saved)(runs, tmp_path, dies=runs[0] == 2) for runs in shards)
    with pytest.warns(UserWarning, match=r"runs \[2, 3\] are missing"):
        left = join(
            [load_result(path, ppo) for path in tmp_path.glob("*.safetensors")], run_ids=range(4)
        )
    check_same(left, halves[0])
    paths = two(delayed(saved)(runs, tmp_path, dies=False) for runs in shards)
    check_same(join([load_result(path, ppo) for path in paths], run_ids=range(4)), join(halves))
    joined = join(two(delayed(trained_in_a_factory)(runs) for runs in shards))
    whole = trained_in_a_factory(range(4))
    check_same(dataclasses.replace(joined, env=None), dataclasses.replace(whole, env=None))
    assert joined.evaluate(episodes=2).returns.shape == (4, 2)


def test_a_shard_that_stopped_at_its_return_may_be_shorter():
    config = dataclasses.replace(test_ppo.SMALL, stop_at_return=1e9)
    reached = dataclasses.replace(test_ppo.SMALL, stop_at_return=0.0)
    whole = train(ppo, [0, 1], config=config)
    short = dataclasses.replace(train(ppo, [2, 3], config=reached), config=config)
    assert list(short.stopped) == [2, 3] and short.evaluation_returns.shape[1] == 1
    joined = join([short, whole])
    assert joined.stopped == short.stopped and joined.run_ids == [0, 1, 2, 3]
    np.testing.assert_array_equal(joined.evaluation_returns[:2], whole.evaluation_returns)
    assert np.isnan(joined.evaluation_returns[2:, 1:]).all()
