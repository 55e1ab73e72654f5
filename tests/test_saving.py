"""Tensors in a file: what comes back is what went in, and a crash leaves the old file."""

import pickle

import pytest
import safetensors.torch
import torch

from rlbook.deep.parts.networks import MLP
from rlbook.ground import saving
from rlbook.ground.saving import (
    cache_folder,
    load_optimizer,
    load_tensors,
    optimizer_state,
    save_tensors,
)
from rlbook.ground.seeding import Streams, run_generators

TENSORS = {
    "float32": torch.randn(3, 4),
    "float64": torch.randn(2, dtype=torch.float64),
    "bfloat16": torch.randn(2).bfloat16(),
    "long": torch.arange(5),
    "bool": torch.tensor([True, False]),
    "bytes": torch.arange(256, dtype=torch.uint8),
    "scalar": torch.tensor(2.5),
    "empty": torch.empty(0, 3),
    "not finite": torch.tensor([float("nan"), float("inf"), -0.0]),
    "transposed": torch.randn(2, 3, 4).mT,
    "expanded": torch.tensor([[1.0], [2.0]]).expand(2, 3),
}
METADATA = {"env": "CartPole-v1", "frozen": {"3": "NaN"}, "sizes": [64, 64], "x": 0.1, "n": None}


def test_round_trip(tmp_path):
    path = tmp_path / "result.safetensors"
    save_tensors(path, TENSORS, METADATA)
    tensors, metadata = load_tensors(path)
    assert metadata == METADATA and set(tensors) == set(TENSORS)
    for name, wanted in TENSORS.items():
        assert tensors[name].dtype == wanted.dtype and tensors[name].is_contiguous()
        assert torch.equal(tensors[name].nan_to_num(7.0), wanted.nan_to_num(7.0))


def test_paths_may_be_strings_and_metadata_may_be_missing(tmp_path):
    save_tensors(str(tmp_path / "a"), {"x": torch.ones(2)})
    assert load_tensors(str(tmp_path / "a"), "cpu")[1] == {}
    save_tensors(tmp_path / "b", {}, {"only": "words", "é": ["∇"]})
    assert load_tensors(tmp_path / "b") == ({}, {"only": "words", "é": ["∇"]})


def test_tuples_come_back_as_lists(tmp_path):
    save_tensors(tmp_path / "a", {}, {"hidden_sizes": (64, 32)})
    assert load_tensors(tmp_path / "a")[1] == {"hidden_sizes": [64, 32]}


def test_networks_and_streams_go_on_where_they_were(tmp_path):
    network, streams = MLP((3, 8, 2), run_generators(0, 2)), Streams(0, range(2))
    streams.uniform(5)
    save_tensors(tmp_path / "a", {**network.state_dict(), "streams": streams.state()})
    wanted = streams.uniform(5)
    tensors, _ = load_tensors(tmp_path / "a")
    other, fresh = MLP((3, 8, 2), run_generators(1, 2)), Streams(0, range(2))
    fresh.load_state(tensors.pop("streams"))
    other.load_state_dict(tensors)
    assert torch.equal(fresh.uniform(5), wanted)
    assert torch.equal(other(torch.ones(2, 1, 3)), network(torch.ones(2, 1, 3)))


def test_shared_memory_and_parameters_are_copied(tmp_path):
    weight = torch.nn.Parameter(torch.ones(2, 2))
    save_tensors(tmp_path / "a", {"one": weight, "two": weight, "row": weight[0]})
    tensors, _ = load_tensors(tmp_path / "a")
    assert not any(x.requires_grad for x in tensors.values())
    tensors["one"] += 1
    assert tensors["two"].tolist() == [[1.0, 1.0], [1.0, 1.0]] and weight.sum() == 4


def test_a_loaded_file_may_be_replaced(tmp_path):
    path = tmp_path / "a"
    save_tensors(path, {"x": torch.zeros(1000)})
    tensors, _ = load_tensors(path)
    save_tensors(path, {"x": torch.ones(1000)})
    assert tensors["x"].sum() == 0
    assert load_tensors(path)[0]["x"].sum() == 1000


def test_a_crash_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    save_tensors(path, {"x": torch.zeros(3)})

    def disk_is_full(self, data):
        open(self, "wb").write(data[:10])
        raise OSError("disk is full")

    monkeypatch.setattr(saving.Path, "write_bytes", disk_is_full)
    with pytest.raises(OSError, match="disk is full"):
        save_tensors(path, {"x": torch.ones(3)})
    assert load_tensors(path)[0]["x"].sum() == 0
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_anyone_can_read_the_tensors(tmp_path):
    save_tensors(tmp_path / "a", {"x": torch.ones(2)})
    assert safetensors.torch.load_file(tmp_path / "a")["x"].tolist() == [1.0, 1.0]


def test_what_cannot_be_saved_is_refused_and_leaves_no_file(tmp_path):
    for tensors, metadata, message in [
        ({"x": [1.0]}, {}, "tensors must map names to tensors, got 'x': list"),
        ({1: torch.ones(1)}, {}, "tensors must map names to tensors, got 1: Tensor"),
        ({}, {"frozen": {3: "NaN"}}, "metadata must have strings as keys, got 3"),
        ({}, {"list": [{3: 1}]}, "metadata must have strings as keys, got 3"),
        ({}, {"x": torch.ones(1)}, "metadata must be JSON: .*Tensor"),
    ]:
        with pytest.raises(ValueError, match=message):
            save_tensors(tmp_path / "a", tensors, metadata)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_or_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*nothing"):
        load_tensors(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        save_tensors(tmp_path / "nowhere" / "a", {})


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a"
    save_tensors(path, TENSORS, METADATA)
    whole = path.read_bytes()
    safetensors.torch.save_file({"x": torch.ones(1)}, tmp_path / "foreign")
    foreign = (tmp_path / "foreign").read_bytes()
    for content in (b"", whole[:-1], whole[:50], b"text", pickle.dumps({"x": 1}), foreign):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="a is not a whole file written by save_tensors"):
            load_tensors(path)


def test_an_optimizer_goes_on_from_a_file_as_if_it_had_not_stopped(tmp_path):
    """Two optimizers in one file, one of two groups; what is loaded shares no memory with it."""

    def made():
        weights = [torch.tensor([1.0, -2.0], requires_grad=True) for _ in range(3)]
        groups = [{"params": weights[:1]}, {"params": weights[1:2], "lr": 0.5}]
        return weights, {"one": torch.optim.Adam(groups), "two": torch.optim.Adam(weights[2:])}

    def descend(weights, optimizers):
        for k, weight in enumerate(weights):
            weight.grad = (k + 1) * weight.detach() ** 2
        for optimizer in optimizers.values():
            optimizer.step()

    weights, optimizers = made()
    for _ in range(3):
        descend(weights, optimizers)
    state = optimizer_state(optimizers)
    assert len(state) == 3 * 3 and "optimizer.one.1.exp_avg_sq" in state
    save_tensors(tmp_path / "state.safetensors", state)
    loaded, _ = load_tensors(tmp_path / "state.safetensors")
    before = {name: x.clone() for name, x in loaded.items()}

    again, others = made()
    for weight, wanted in zip(again, weights, strict=True):
        weight.data = wanted.detach().clone()
    for name, optimizer in others.items():
        load_optimizer(name, optimizer, loaded)
    assert optimizer_state(others).keys() == state.keys()
    for _ in range(2):
        descend(weights, optimizers)
        descend(again, others)
    assert all(torch.equal(x, y) for x, y in zip(weights, again, strict=True))
    assert all(torch.equal(loaded[name], x) for name, x in before.items())


def test_where_the_cache_is(monkeypatch, tmp_path):
    for name in ("RLBOOK_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(saving.Path, "home", lambda: tmp_path)
    monkeypatch.setattr(saving.sys, "platform", "linux")
    assert cache_folder() == tmp_path / ".cache" / "rlbook"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "rlbook"
    monkeypatch.setattr(saving.sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "rlbook"
    monkeypatch.setattr(saving.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "rlbook" / "cache"
    monkeypatch.setenv("RLBOOK_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
