"""What every deep learner must do, as functions that each agent's tests call.

    import agent_checks as checks

`agent` is a module of rlbook.deep, `small` a Config of some ten quick updates.
"""

import dataclasses
import re
import warnings

import gymnasium
import numpy as np
import pytest
import torch

from rlbook.deep.parts.results import load_result


def train(agent, config, env="CartPole-v1", **options):
    options = {"num_runs": 3, "seed": 5, "progress": False} | options
    return agent.train(env, config, **options)


def same_networks(one, other, rows=slice(None), *, atol=0.0):
    for name, value in one.networks.state_dict().items():
        expected = other.networks.state_dict()[name][rows]
        say = lambda message, name=name: f"{name}: {message}"  # noqa: E731
        torch.testing.assert_close(value, expected, atol=atol, rtol=atol, msg=say)


def check_a_run_alone_is_the_run_among_others(agent, small, monkeypatch, env="CartPole-v1"):
    """With SGD, since Adam hides a mean over runs; the other runs end episodes at other times."""
    sgd = lambda parameters, lr: torch.optim.SGD(parameters, lr)  # noqa: E731
    monkeypatch.setattr(torch.optim, "Adam", sgd)
    together = train(agent, small, env, num_runs=5)
    alone = train(agent, small, env, run_ids=[3])
    same_networks(alone, together, [3], atol=1e-6)
    np.testing.assert_allclose(
        alone.evaluation_returns, together.evaluation_returns[[3]], rtol=1e-6
    )
    before = train(agent, dataclasses.replace(small, learning_rate=1e-12), env, run_ids=[3])
    moved = [
        float((new - old).detach().abs().max())
        for new, old in zip(alone.networks.parameters(), before.networks.parameters(), strict=True)
    ]
    assert max(moved) > 1e-5, "SGD moved nothing: the comparison above says nothing"


def check_the_same_seed_gives_the_same_bits(agent, small, env="CartPole-v1"):
    one, other = train(agent, small, env), train(agent, small, env)
    same_networks(one, other)
    np.testing.assert_array_equal(one.evaluation_returns, other.evaluation_returns)
    different = train(agent, small, env, seed=6)
    assert any(
        not torch.equal(a, b)
        for a, b in zip(one.networks.parameters(), different.networks.parameters(), strict=True)
    )


def row_bytes(networks, row):
    """Parameters and buffers of one run, to the last bit."""
    return {name: x[row].numpy().tobytes() for name, x in networks.state_dict().items()}


def check_a_nan_freezes_its_run_only(agent, small, env, poison, monkeypatch):
    """`poison` is made by `poisoned`. The frozen run keeps what it had before the update in which
    it met the NaN, to the byte; the others are as if it were not there."""
    from rlbook.deep.parts.training import Training

    seen, collect = [], Training._collect

    def recorded(self, *args, **options):
        seen.append((dict(self.frozen), row_bytes(self.networks, 1)))
        return collect(self, *args, **options)

    clean = train(agent, small, env)
    monkeypatch.setattr(Training, "_collect", recorded)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = train(agent, small, poison(env))
    field = "environment 0 gave (reward|observation(\\[0\\])?) nan in step"
    assert list(result.frozen) == [1] and re.search(field, result.frozen[1]), result.frozen
    assert any("run 1 is frozen" in str(warning.message) for warning in caught)
    before = [networks for frozen, networks in seen if not frozen]
    assert 1 < len(before) < len(seen), "the NaN should come in the middle"
    assert row_bytes(result.networks, 1) == before[-1] != before[0]
    rows = [0, 2]
    for name, value in result.networks.state_dict().items():
        expected = clean.networks.state_dict()[name]
        torch.testing.assert_close(value[rows], expected[rows], atol=1e-6, rtol=0)
        assert value.isfinite().all(), f"{name} of the frozen run is not finite"
    for name, value in result.state.items():
        if name.startswith(("optimizer.", "tensor.")):
            assert value.isfinite().all(), name
    for name, value in result.log.items():
        assert np.isnan(value[1, -1]) and np.isfinite(value[rows]).all(), name
    assert np.isnan(result.evaluation_returns[1, -1])
    assert np.isfinite(result.evaluation_returns[rows]).all()


def check_an_interruption_loses_at_most_an_update(
    agent, small, monkeypatch, tmp_path, env="CartPole-v1", after=2
):
    """Ctrl-C late in an update goes back to its beginning; and the training that goes on from
    the file is the one that was never interrupted, to the bit: D2 of the errata."""
    from rlbook.deep.parts.training import Training

    whole = train(agent, small, env)
    log = Training.log

    def interrupted(self, **values):
        log(self, **values)
        if self.updates_done == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Training, "log", interrupted)
        result = train(agent, small, env)
    assert result.interrupted and result.exact and result.state["updates"] == after
    assert result.evaluation_returns.shape == (3, len(result.env_steps))
    result.save(tmp_path / "interrupted.safetensors")
    same_results(train(agent, small, env, resume=tmp_path / "interrupted.safetensors"), whole)


def same_results(one, other):
    same_networks(one, other)
    for name in ("evaluation_returns", "cut_episodes", "run_steps"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.log.keys() == other.log.keys()
    for name, values in one.log.items():
        np.testing.assert_array_equal(values, other.log[name], err_msg=name)
    for name, values in one.state.items():
        assert torch.equal(values, other.state[name]), name


def check_an_error_keeps_what_was_learned(agent, small):
    """An environment that breaks in its 50th step: what whole updates learned before is on the
    error, which says where it was."""
    Breaking.after = 50
    with pytest.raises(ZeroDivisionError) as caught:
        train(agent, small, Breaking, run_ids=[7, 8])
    notes = " ".join(caught.value.__notes__)
    assert re.search(r"in step\(\) of environment \d of run [78], step 50", notes)
    assert "result = error.result" in notes
    result = caught.value.result
    assert result.run_ids == [7, 8] and result.state["updates"] >= 1 and not result.interrupted
    Breaking.after = 10**9
    further = train(agent, small, Breaking, run_ids=[7, 8], resume=result)
    assert further.env_steps[-1] > result.env_steps[-1] and not further.exact


class Breaking(gymnasium.Env):
    """Ten steps that pay 1; the first environment that takes so many steps breaks."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    after = 50

    def __init__(self):
        self.steps = self.t = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action):
        self.steps, self.t = self.steps + 1, self.t + 1
        if self.steps == self.after:
            raise ZeroDivisionError("it breaks")
        return self.np_random.uniform(-1, 1, 2).astype(np.float32), 1.0, self.t == 10, False, {}


def check_the_step_size_falls_where_it_is_wanted(agent, small, monkeypatch, env="CartPole-v1"):
    """That of the optimizer that steps first, the policy's."""
    from rlbook.deep.parts.training import Training

    rates, step = {}, Training.gradient_step

    def recorded(self, optimizer, *args, **options):
        rates.setdefault(optimizer, []).append(optimizer.param_groups[0]["lr"])
        return step(self, optimizer, *args, **options)

    monkeypatch.setattr(Training, "gradient_step", recorded)
    small = dataclasses.replace(small, learning_rate=0.01)
    train(agent, dataclasses.replace(small, anneal_learning_rate=True), env)
    falling = next(iter(rates.values()))
    assert len(set(falling)) > 1 and falling == sorted(falling, reverse=True)
    assert falling[0] <= 0.01 and 0 < falling[-1] <= falling[0] / 2
    rates.clear()
    train(agent, dataclasses.replace(small, anneal_learning_rate=False), env)
    assert set(next(iter(rates.values()))) == {0.01}


def check_a_saved_result_goes_on(agent, small, tmp_path, env="CartPole-v1"):
    first = train(agent, small, env)
    path = tmp_path / "result.safetensors"
    first.save(path)
    loaded = load_result(path, agent)
    same_networks(loaded, first)
    assert loaded.config == first.config and loaded.run_ids == first.run_ids
    np.testing.assert_array_equal(loaded.evaluation_returns, first.evaluation_returns)
    on, from_memory = (
        train(agent, small, env, resume=loaded),
        train(agent, small, env, resume=first),
    )
    same_networks(on, from_memory)
    same_networks(train(agent, small, env, resume=path), from_memory)
    with pytest.raises(FileNotFoundError, match="no file nowhere"):
        train(agent, small, env, resume="nowhere")
    assert len(on.env_steps) == 2 * len(first.env_steps) - 1 and on.exact
    assert (np.diff(on.env_steps) > 0).all() and on.continuations == 1
    with pytest.raises(ValueError, match="resume holds runs"):
        train(agent, small, env, resume=loaded, run_ids=[0, 1])
    plain = loaded.run(2)
    assert not hasattr(plain, "num_runs")


def check_bad_input(agent, small, wrong_fields, *, discrete_only=False):
    """`wrong_fields`: {field: a value out of range}."""
    for field, value in wrong_fields.items():
        with pytest.raises(ValueError, match=field):
            dataclasses.replace(small, **{field: value})
    with pytest.raises(ValueError, match="CartPole-v99"):
        train(agent, small, "CartPole-v99")
    with pytest.raises(ValueError, match="images|observ"):
        train(agent, small, lambda: Pictures())
    with pytest.raises(ValueError, match="discrete observations"):
        train(agent, small, "FrozenLake-v1")
    with pytest.raises(ValueError, match="device"):
        train(agent, small, device="cuda:99")
    with pytest.raises(ValueError, match="run_ids is empty"):
        train(agent, small, run_ids=[])
    if discrete_only:
        with pytest.raises(ValueError, match="continuous|discrete"):
            train(agent, small, "Pendulum-v1")


class Pictures(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)


class Poisoned:
    """Environments in which these fields of a EnvStep are NaN in run 1, from some step on."""

    def __init__(self, envs, after: int, names: tuple[str, ...]):
        self.envs, self.after, self.names, self.steps = envs, after, names, 0

    def __getattr__(self, name):
        return getattr(self.envs, name)

    def step(self, actions):
        step = self.envs.step(actions)
        self.steps += 1
        if self.steps < self.after:
            return step
        fields = {name: getattr(step, name).clone() for name in self.names}
        for field in fields.values():
            field[1] = torch.nan
        return step._replace(**fields)


SEEN = "observations", "next_observations"


def poisoned(num_envs: int, after: int, names=("rewards",), *, seed: int = 5, num_runs: int = 3):
    """CartPole as `train(..., seed=seed)` would build it, with NaN in run 1."""
    from rlbook.deep.parts.envs.make import make_envs
    from rlbook.deep.parts.training import LEARNING
    from rlbook.ground.seeding import Streams

    def wrap(env):
        streams = Streams(seed, range(num_runs)).spawn(LEARNING).spawn(0)
        return Poisoned(make_envs(env, num_envs=num_envs, streams=streams), after, names)

    return wrap
