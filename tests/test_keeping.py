"""What a training leaves in a folder: the curves exactly, and a checkpoint however it ends."""

import csv
import dataclasses
import importlib.util
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys

import agent_checks as checks
import numpy as np
import pytest
import torch

from rlbook.deep import Keep, actor_critic, dqn, ppo, reinforce, trpo
from rlbook.deep.parts import keeping, training
from rlbook.deep.parts.results import EpisodeReturns, load_result
from rlbook.deep.parts.training import Training

COMMON = {"num_evals": 3, "evaluation_episodes": 2, "hidden_sizes": (8,), "num_envs": 2}
SMALL = ppo.Config(total_steps=96, rollout_steps=8, num_epochs=1, **COMMON)
AGENTS = {
    actor_critic: actor_critic.Config(total_steps=96, rollout_steps=8, **COMMON),
    dqn: dqn.Config(
        total_steps=96, rollout_steps=8, learning_starts=30, batch_size=4, replay_capacity=64,
        **COMMON,
    ),
    ppo: SMALL,
    reinforce: reinforce.Config(total_episodes=12, max_steps=20, **COMMON),
    trpo: trpo.Config(total_steps=96, rollout_steps=8, **COMMON),
}  # fmt: skip


@pytest.fixture
def keep(tmp_path):
    return Keep(tmp_path / "runs" / "pole", tensorboard=False)


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_files(folder, result):
    """The files hold the result's arrays: all numbers, each once, in their order."""
    R = len(result.run_ids)
    rows = table(folder / keeping.EVALUATIONS)
    assert list(rows[0]) == ["run", "env_steps", "return", "cut"]
    for name, array in [
        ("run", np.tile(np.array(result.run_ids)[:, None], result.run_steps.shape[1])),
        ("env_steps", result.run_steps),
        ("return", result.evaluation_returns),
        ("cut", result.cut_episodes),
    ]:
        column = np.array([row[name] for row in rows], dtype=array.dtype)
        np.testing.assert_array_equal(column.reshape(-1, R).T, array, err_msg=name)
    rows = table(folder / keeping.LOG)
    assert list(rows[0]) == ["update", "run", *result.log]
    assert [row["run"] for row in rows[:R]] == [str(run) for run in result.run_ids]
    assert [int(row["update"]) for row in rows[::R]] == list(range(len(rows) // R))
    for name, array in result.log.items():
        column = np.array([row[name] for row in rows], dtype=array.dtype)
        np.testing.assert_array_equal(column.reshape(-1, R).T, array, err_msg=name)


def interrupt(monkeypatch, after, error):
    """`error` comes late in an update, after so many whole ones."""
    log = Training.log

    def interrupted(self, **values):
        log(self, **values)
        if self.updates_done == after:
            raise error

    monkeypatch.setattr(Training, "log", interrupted)


def test_all_agents_are_given_it_in_one_way():
    signatures = [dict(inspect.signature(agent.train).parameters) for agent in AGENTS]
    for signature in signatures:
        signature.pop("config")  # each has its own
    assert all(signature == signatures[0] for signature in signatures)
    assert "keep" in signatures[0]


def test_without_it_nothing_is_written_and_a_new_folder_is_free(tmp_path, monkeypatch):
    """First, since the processes of mutants, which part here, share the folder of one test."""
    monkeypatch.chdir(tmp_path)
    checks.train(ppo, SMALL)
    keeping.check_free(Keep("new"), None)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- stop_at_return


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
    sgd = lambda parameters, lr: torch.optim.SGD(parameters, lr)  # noqa: E731
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


# ---------------------------------------------------------------- curves and checkpoints


@pytest.mark.parametrize("agent", AGENTS)
def test_ctrl_c_leaves_a_checkpoint_from_which_it_goes_on(agent, keep, monkeypatch):
    """And the files of both halves are those of the whole, for every agent."""
    small, options = AGENTS[agent], {"run_ids": [2, 5]}
    whole = checks.train(agent, small, **options)
    with monkeypatch.context() as patch:
        interrupt(patch, 4, KeyboardInterrupt)
        half = checks.train(agent, small, **options, keep=keep)
    assert half.interrupted and half.state["updates"] == 4
    check_files(keep.folder, half)
    checks.same_results(load_result(keep.checkpoint, agent), half)
    ended = checks.train(agent, small, **options, keep=keep, resume=keep.checkpoint)
    checks.same_results(ended, whole)
    checks.same_results(load_result(keep.checkpoint, agent), whole)
    check_files(keep.folder, ended)
    names = sorted(file.name for file in keep.folder.iterdir())
    assert names == [keeping.CHECKPOINT, keeping.EVALUATIONS, keeping.LOG]


def test_an_error_leaves_a_checkpoint_and_says_where(keep, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError) as caught:
        interrupt(patch, 3, ZeroDivisionError("it breaks"))
        checks.train(ppo, SMALL, keep=keep)
    assert f"resume={str(keep.checkpoint)!r}" in caught.value.__notes__[-1]
    checks.same_results(load_result(keep.checkpoint, ppo), caught.value.result)
    ended = checks.train(ppo, SMALL, keep=keep, resume=caught.value.result)
    checks.same_results(ended, checks.train(ppo, SMALL))
    check_files(keep.folder, ended)


def test_an_error_before_an_update_keeps_the_beginning(keep, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        interrupt(patch, 0, ZeroDivisionError("it breaks"))
        checks.train(ppo, SMALL, keep=keep)
    ended = checks.train(ppo, SMALL, keep=keep, resume=keep.checkpoint)
    checks.same_results(ended, checks.train(ppo, SMALL))


def test_curves_that_are_ahead_of_the_checkpoint_are_not_doubled(keep, monkeypatch):
    """Evaluations are written at once, checkpoints every ten minutes: a killed process leaves
    curves that the continued one comes to again."""
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(keeping.Keeper, "ended", lambda self, error: None)
        interrupt(patch, 5, SystemExit)
        checks.train(ppo, SMALL, keep=keep)
    assert len(table(keep.folder / keeping.EVALUATIONS)) == 2 * 3
    assert load_result(keep.checkpoint, ppo).state["updates"] == 0
    ended = checks.train(ppo, SMALL, keep=keep, resume=keep.checkpoint)
    check_files(keep.folder, ended)
    checks.same_results(ended, checks.train(ppo, SMALL))


def test_a_training_that_had_ended_is_continued_in_its_folder_or_another(keep, tmp_path):
    first = checks.train(ppo, SMALL, keep=keep)
    second = checks.train(ppo, SMALL, keep=keep, resume=keep.checkpoint)
    assert second.run_steps.shape[1] > first.run_steps.shape[1]
    check_files(keep.folder, second)
    other = Keep(str(tmp_path / "other"), tensorboard=False)
    third = checks.train(ppo, SMALL, keep=other, resume=keep.checkpoint)
    check_files(tmp_path / "other", third)
    check_files(keep.folder, second)


def test_a_checkpoint_every_so_many_minutes(keep, monkeypatch):
    """One before learning, one where ten minutes have passed, and one at the end."""
    now, saved, save = [0.0], [], keeping.Keeper._save
    monkeypatch.setattr(keeping.time, "monotonic", lambda: now[0])
    updated = keeping.Keeper.updated

    def later(self):
        now[0] += 240
        updated(self)

    def watched(self, keep, result):
        save(self, keep, result)
        saved.append(int(load_result(keep.checkpoint, ppo).state["updates"]))

    monkeypatch.setattr(keeping.Keeper, "updated", later)
    monkeypatch.setattr(keeping.Keeper, "_save", watched)
    checks.train(ppo, SMALL, keep=keep)
    assert saved == [0, 3, 6, 6]
    saved.clear()
    often = Keep(keep.folder / "often", every_minutes=0, tensorboard=False)
    checks.train(ppo, SMALL, keep=often)
    assert saved == [0, 1, 2, 3, 4, 5, 6, 6]


def test_another_training_in_the_folder_is_not_overwritten(keep, tmp_path):
    result = checks.train(ppo, SMALL, keep=keep)
    files = {file: file.read_bytes() for file in keep.folder.iterdir()}
    early = tmp_path / "early.safetensors"
    going_on = re.escape(f"go on from it by resume={str(keep.checkpoint)!r}, or name another")
    with pytest.raises(ValueError, match=going_on):
        checks.train(ppo, SMALL, keep=keep)
    checks.train(ppo, SMALL).save(early)  # the same numbers: this is the same training
    checks.train(ppo, SMALL, keep=dataclasses.replace(keep, folder=tmp_path / "b"), resume=early)
    for seed, options in [(6, {}), (5, {"run_ids": [0, 1]}), (5, {"num_runs": 4})]:
        other = checks.train(ppo, SMALL, seed=seed, **options)
        with pytest.raises(ValueError, match="not the beginning of what is resumed: go on by"):
            checks.train(ppo, SMALL, keep=keep, resume=other, seed=seed, **options)
    further = dataclasses.replace(keep, folder=tmp_path / "further")
    checks.train(ppo, SMALL, keep=further, resume=result)
    with pytest.raises(ValueError, match="not the beginning of what is resumed: go on by"):
        checks.train(ppo, SMALL, keep=further, resume=result)  # the folder is further on
    assert {file: file.read_bytes() for file in keep.folder.iterdir()} == files
    shutil.rmtree(further.folder)
    keep.checkpoint.unlink()
    with pytest.raises(ValueError, match=r"holds evaluations\.csv without a checkpoint"):
        checks.train(ppo, SMALL, keep=keep)


def test_a_full_disk_is_known_before_learning_or_loses_nothing(keep, monkeypatch):
    def full(path, rows):
        raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space left"):
        patch.setattr(keeping, "write_table", full)
        patch.setattr(Training, "collect", None)  # nothing is learned
        checks.train(ppo, SMALL, keep=keep)
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="written: no space left"):
        ended = keeping.Keeper.ended

        def at_the_end(self, error):
            patch.setattr(keeping, "write_table", full)
            ended(self, error)

        patch.setattr(keeping.Keeper, "ended", at_the_end)
        result = checks.train(ppo, SMALL, keep=keep)
    checks.same_results(result, checks.train(ppo, SMALL))


def test_events_for_tensorboard(tmp_path, monkeypatch):
    """Of a training and its continuation, in one folder: each number once, in its run's folder."""
    pytest.importorskip("tensorboard", reason="tensorboard is no part of the book's extras")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    keep = Keep(tmp_path / "runs")
    with monkeypatch.context() as patch:
        interrupt(patch, 4, KeyboardInterrupt)
        checks.train(ppo, SMALL, run_ids=[2, 5], keep=keep)
    result = checks.train(ppo, SMALL, run_ids=[2, 5], keep=keep, resume=keep.checkpoint)
    for row, run in enumerate(result.run_ids):
        events = EventAccumulator(str(tmp_path / "runs" / "tensorboard" / f"run_{run}")).Reload()
        tags = {f"log/{name}" for name in result.log} | {"evaluation/return", "evaluation/cut"}
        assert set(events.Tags()["scalars"]) == tags
        returns = events.Scalars("evaluation/return")
        assert [event.step for event in returns] == result.run_steps[row].tolist()
        assert [event.value for event in returns] == result.evaluation_returns[row].tolist()
        kl = events.Scalars("log/kl")
        assert [event.step for event in kl] == list(range(6))
        assert [event.value for event in kl] == result.log["kl"][row].tolist()


def test_without_tensorboard_it_is_left_out_unless_it_was_asked_for(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    hidden = lambda name, *more: None if name == "tensorboard" else find(name, *more)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    assert Keep(tmp_path).tensorboard is False
    with pytest.raises(ModuleNotFoundError, match="pip install tensorboard"):
        Keep(tmp_path, tensorboard=True)


def test_bad_settings(tmp_path):
    with pytest.raises(ValueError, match="every_minutes must be at least 0, got -1"):
        Keep(tmp_path, every_minutes=-1)
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="stop_at_return must be a finite number"):
            dataclasses.replace(SMALL, stop_at_return=value)


KILLED = """
import os, signal, sys
from test_keeping import SMALL, checks, ppo, Keep, Training
log = Training.log
def killed(self, **values):
    log(self, **values)
    if self.updates_done == 5:
        os.kill(os.getpid(), signal.SIGKILL)
Training.log = killed
checks.train(ppo, SMALL, keep=Keep(sys.argv[1], every_minutes=0, tensorboard=False))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_a_process_that_is_killed_goes_on_from_its_last_checkpoint(keep):
    command = [sys.executable, "-c", KILLED, str(keep.folder)]
    paths = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = load_result(keep.checkpoint, ppo)
    assert left.state["updates"] == 5
    ended = checks.train(ppo, SMALL, keep=keep, resume=keep.checkpoint)
    checks.same_results(ended, checks.train(ppo, SMALL))
    check_files(keep.folder, ended)
