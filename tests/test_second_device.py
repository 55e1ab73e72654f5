"""On a second device nothing mixes devices, and few places wait for it: each is here by name.

The device is a fake, see fake_device.py; what needs a true one is in test_cuda.py.
"""

import importlib
import warnings
from pathlib import Path

import pytest
import torch

from rlbook import formulas

LOCKED = "torch==" + torch.__version__.split("+")[0]
try:
    from fake_device import DEVICE, MixedDevices, watched
except (ImportError, AttributeError) as absent:
    constraints = Path(__file__).parents[1] / "constraints.txt"
    if LOCKED in constraints.read_text().split():
        raise
    pytest.skip(f"this torch has not what a fake device needs: {absent}", allow_module_level=True)

BESIDE_UPDATES = {
    "deep/parts/envs/native.py:ControlEnvs.__init__": "the task's constants, once",
    "deep/parts/training.py:Training._make_networks": "first weights, drawn on the CPU, once",
    "deep/parts/training.py:Training._settle": "one look at all flags, at the end of an update",
    "deep/parts/training.py:Training._evaluate": "the progress bar shows returns and steps",
    "deep/parts/results.py:evaluate": "one look in 16 steps: have all episodes ended?",
    "deep/parts/record.py:Record._stack": "the curves, once, at the end",
}
IN_AN_UPDATE = {
    "reinforce": {"deep/parts/rollouts.py:collect": "one look in 16 steps: have all ended?"},
    "trpo": {
        "formulas/trust_region.py:conjugate_gradient": "no more products, each as dear as a pass",
        "formulas/trust_region.py:backtracking_line_search": "no more tries, each a pass",
    },
}
ON_FREEZING = {
    "deep/parts/training.py:Training._freeze_run": "says after how many steps",
    "deep/parts/snapshot.py:Snapshot.restore": "which rows go back",
    "deep/parts/record.py:Record.back_to": "which rows are NaN",
}
SMALL = {"num_envs": 2, "hidden_sizes": (8,), "num_evals": 2, "evaluation_episodes": 2}
SMALL |= {"evaluation_step_cap": 17}
AGENTS = {
    "reinforce": {"total_episodes": 4, "max_steps": 20, "baseline": "value", "value_steps": 2},
    "actor_critic": {"total_steps": 32, "rollout_steps": 8},
    "ppo": {"total_steps": 32, "rollout_steps": 8, "num_epochs": 2, "num_minibatches": 2},
    "trpo": {"total_steps": 32, "rollout_steps": 8},
    "dqn": {"total_steps": 48, "rollout_steps": 8, "learning_starts": 16, "gradient_steps": 2},
}
PENALTY = {"surrogate": "penalty", "stop_kl": 0.01, "normalize_values": False}
CASES = [(name, "CartPole-v1", {}) for name in AGENTS]
CASES += [(name, "Pendulum-v1", {}) for name in AGENTS if name != "dqn"]
CASES += [("ppo", "CartPole-v1", PENALTY), ("dqn", "CartPole-v1", {"double": True, "dueling": True})]


def train(name, device, env="CartPole-v1", resume=None, **settings):
    agent = importlib.import_module(f"rlbook.deep.{name}")
    config = agent.Config(**SMALL | AGENTS[name] | settings)
    return agent.train(env, config, num_runs=2, device=device, progress=False, resume=resume)


def places(waits):
    return {place for place, _ in waits}


def same(on_device, on_cpu):
    """Tensors, and tuples and dicts of them, to the bit; all of the first are on the device."""
    if isinstance(on_cpu, torch.Tensor):
        assert on_device.device == DEVICE
        assert on_device.dtype == on_cpu.dtype
        assert on_device.shape == on_cpu.shape
        torch.testing.assert_close(on_device.cpu(), on_cpu, rtol=0, atol=0, equal_nan=True)
    elif isinstance(on_cpu, dict):
        for key in on_cpu:
            same(on_device[key], on_cpu[key])
    elif isinstance(on_cpu, tuple | list):
        for one, other in zip(on_device, on_cpu, strict=True):
            same(one, other)
    else:
        assert on_device == on_cpu


# ---------------------------------------------------------------- the five agents


@pytest.mark.parametrize(("name", "env", "settings"), CASES)
def test_an_agent_learns_the_same_and_waits_only_where_it_says(name, env, settings):
    on_cpu = train(name, "cpu", env, **settings)
    with watched() as waits:
        on_device = train(name, DEVICE, env, **settings)
        found = dict(waits)
        same(on_device.networks.state_dict(), on_cpu.networks.state_dict())
    assert places(found) == BESIDE_UPDATES.keys() | IN_AN_UPDATE.get(name, {}).keys()
    settle = "deep/parts/training.py:Training._settle", "reads from the device"
    assert found[settle] == {"reinforce": 2, "dqn": 3}.get(name, 2)
    assert not on_device.frozen


def test_freezing_and_going_on_mix_nothing(monkeypatch):
    """Run 1 meets a NaN in its second update; then the result is continued."""
    ppo, calls = importlib.import_module("rlbook.deep.ppo"), 0
    loss_of = ppo.ppo_loss

    def spoilt(*arguments):
        nonlocal calls
        calls += 1
        loss, kl = loss_of(*arguments)
        bad = torch.arange(2, device=loss.device) == 1
        return torch.where(bad & (calls % 8 == 5), torch.nan, loss), kl

    def whole(device):
        nonlocal calls
        calls = 0
        return train("ppo", device, resume=train("ppo", device))

    monkeypatch.setattr(ppo, "ppo_loss", spoilt)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        on_cpu = whole("cpu")
        with watched() as waits:
            on_device = whole(DEVICE)
            found = places(waits)
            same(on_device.networks.state_dict(), on_cpu.networks.state_dict())
    assert on_device.frozen == on_cpu.frozen
    assert list(on_device.frozen) == [1]
    assert found == BESIDE_UPDATES.keys() | ON_FREEZING.keys()


# ---------------------------------------------------------------- planted, and found


def mask_of_the_cpu(monkeypatch):
    masking = importlib.import_module("rlbook.ground.masking")
    whole = masking._mean_where
    monkeypatch.setattr(
        masking, "_mean_where", lambda x, mask, dim: whole(x, torch.ones(x.shape) > 0, dim)
    )


def index_of_the_cpu(monkeypatch):
    replay = importlib.import_module("rlbook.deep.parts.replay").Replay
    whole = replay._rows
    monkeypatch.setattr(
        replay, "_rows", lambda self, flat: whole(self, torch.zeros(flat.shape, dtype=torch.long))
    )


@pytest.mark.parametrize(
    ("name", "plant", "place"),
    [
        ("ppo", mask_of_the_cpu, "ground/masking.py:_mean_where"),
        ("dqn", index_of_the_cpu, "deep/parts/replay.py:Replay._rows"),
    ],
)
def test_a_tensor_of_the_cpu_is_found(name, plant, place, monkeypatch):
    plant(monkeypatch)
    train(name, "cpu")
    with watched(), pytest.raises(MixedDevices, match=place):
        train(name, DEVICE)


WAITING = {
    "a number": lambda x: x.sum().item(),
    "a decision": lambda x: bool((x > 0).any()),
    "numbers": lambda x: x.tolist(),
    "a copy": lambda x: x.cpu(),
    "where": lambda x: x.nonzero(),
    "a choice": lambda x: x[x > 0],
    "rows by a list": lambda x: x[[0, 1]],
    "a list": lambda x: x.new_tensor([1.0, 2.0]),
}


@pytest.mark.parametrize("what", WAITING)
def test_a_place_that_waits_is_found(what, monkeypatch):
    module = importlib.import_module("rlbook.deep.actor_critic")

    def log(self, **values):
        for value in values.values():
            WAITING[what](value)

    monkeypatch.setattr(module.Training, "log", log)
    with watched() as waits:
        train("actor_critic", DEVICE)
        assert places(waits) - BESIDE_UPDATES.keys() == {"deep/actor_critic.py:train"}


def test_what_stays_on_the_device_is_not_listed():
    with watched() as waits:
        x = torch.arange(6.0, device=DEVICE).view(2, 3)
        rows = torch.arange(2, device=x.device)
        x[rows, rows] = x.new_zeros(())
        x[x > 3] = 0.0
        x = torch.where(x > 1, x, 0.0) * 2.0 + x[:, :1]
        assert len(x) == 2 and x.shape[1] == 3 and x.device == DEVICE and not waits
        assert x.tolist() == [[0.0, 0.0, 4.0], [9.0, 3.0, 3.0]] and waits


