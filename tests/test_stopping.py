"""stop_at_return: a run that has learned enough rests, and no other run notices."""

import dataclasses

import agent_checks as checks
import numpy as np
import pytest
import torch
from tiny_agents import AGENTS, SMALL

from rlbook.deep import ppo
from rlbook.deep.parts import keeping, training
from rlbook.deep.parts.results import EpisodeReturns, load_result


@pytest.fixture
def returns(monkeypatch):
    """Run k's evaluations give 10 at first, and 50, 52 from its k-th on."""

    def evaluate(act, envs, *, step_cap=None):
        counts.update({run: counts.get(run, -1) + 1 for run in envs.streams.run_ids})
        means = [[10.0] * 2 if counts[k] < k else [50.0, 52.0] for k in envs.streams.run_ids]
        returns = torch.tensor(means)
        return EpisodeReturns(returns, cut=torch.zeros_like(returns, dtype=torch.bool))

    counts = {}
    monkeypatch.setattr(training, "evaluate", evaluate)
    return counts


STOPPING = dataclasses.replace(SMALL, num_evals=4, stop_at_return=51.0)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_run_that_stops_is_the_run_alone(agent, returns, monkeypatch):
    """With SGD, as in agent_checks; run 2 rests while runs 3 and 9 go on. Alone, it ends."""
    sgd = lambda parameters, lr=1e-3: torch.optim.SGD(parameters, lr)  # noqa: E731
    monkeypatch.setattr(torch.optim, "Adam", sgd)
    config = dataclasses.replace(AGENTS[agent], num_evals=4, stop_at_return=51.0)
    together = checks.train(agent, config, run_ids=[2, 3, 9])
    returns.clear()
    alone = checks.train(agent, config, run_ids=[2])
    assert list(together.stopped) == [2, 3] and list(alone.stopped) == [2]
    assert together.stopped[2] == alone.stopped[2]
    assert together.frozen == {} and together.evaluation_returns.shape == (3, 4)
    assert alone.evaluation_returns.tolist() == [[10.0, 10.0, 51.0]] and alone.state["updates"] == 4
    assert alone.stopped[2] == (
        f"51 >= 51 in an evaluation, after {alone.run_steps[0, 2]} environment steps"
    )
    checks.same_networks(alone, together, [0], atol=1e-6)
    for values in together.log.values():
        assert np.isnan(values[0, -2:]).all() and np.isfinite(values[1:]).all()


def test_nothing_is_learned_after_all_have_stopped(returns, monkeypatch):
    updates = []
    monkeypatch.setattr(keeping.Keeper, "updated", lambda self: updates.append(1))
    result = checks.train(ppo, STOPPING, run_ids=[0, 1])
    assert len(updates) == result.state["updates"] == 2 and not result.interrupted
    assert result.evaluation_returns.tolist() == [[51.0, 51.0], [10.0, 51.0]]
    assert result.run_steps[0].tolist() == [0, 32]
    returns.clear()
    assert checks.train(ppo, STOPPING, run_ids=[0]).state["updates"] == 0


def test_a_run_that_rests_keeps_every_byte(returns, monkeypatch):
    seen, updated = [], keeping.Keeper.updated

    def watched(self):
        result = self.result()
        moments = {n: x[0].tolist() for n, x in result.state.items() if x.ndim and "adam" in n}
        seen.append((checks.row_bytes(result.networks, 0), moments))
        updated(self)

    monkeypatch.setattr(keeping.Keeper, "updated", watched)
    checks.train(ppo, STOPPING, run_ids=[1, 9])
    assert seen[0] != seen[1] == seen[2] == seen[5]


def test_a_run_that_rests_is_not_frozen_by_what_comes_later(returns):
    """Run 1 rests after 16 steps; its environment gives a NaN before that, or after it."""
    late = checks.train(ppo, STOPPING, checks.poisoned(num_envs=2, after=20)("CartPole-v1"))
    assert late.frozen == {} and list(late.stopped) == [0, 1, 2]
    returns.clear()
    with pytest.warns(UserWarning, match="run 1 is frozen"):
        early = checks.train(ppo, STOPPING, checks.poisoned(num_envs=2, after=10)("CartPole-v1"))
    assert list(early.frozen) == [1] and list(early.stopped) == [0, 2]
    assert np.isnan(early.evaluation_returns[1, 1:]).all()


def test_stopped_runs_are_saved_and_wake_up_for_another_target(returns, tmp_path):
    path = tmp_path / "result"
    first = checks.train(ppo, STOPPING, run_ids=[0, 1])
    first.save(path)
    assert load_result(path, ppo).stopped == first.stopped
    again = checks.train(ppo, STOPPING, run_ids=[0, 1], resume=path)
    assert again.stopped == first.stopped and again.state["updates"] == 2
    checks.same_networks(again, first)
    higher = dataclasses.replace(STOPPING, stop_at_return=60.0)
    further = checks.train(ppo, higher, run_ids=[0, 1], resume=path)
    assert further.stopped == {} and further.state["updates"] == 6
    assert not np.isnan(further.log["kl"][:, 2:]).any()
    assert first.stopped.keys() == {0, 1}, "the caller's result was changed"


def test_the_default_never_stops(returns):
    assert checks.train(ppo, SMALL, run_ids=[0]).stopped == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_target_is_a_finite_number(value):
    with pytest.raises(ValueError, match="stop_at_return must be a finite number"):
        dataclasses.replace(SMALL, stop_at_return=value)
