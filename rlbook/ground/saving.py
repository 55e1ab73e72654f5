"""Files of tensors with a description, which hold data only: opening one runs no code. And where
files are kept between sessions."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import save


def save_tensors(
    path: str | os.PathLike,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a safetensors file: whole or not at all, so that a crash leaves the old one.

    Args:
        path: replaced if it exists; its folder must exist.
        tensors: name -> tensor, of any dtype, shape and device.
        metadata: what JSON can say, and NumPy's numbers. Tuples come back as lists; keys must be
            strings.

    Raises:
        ValueError: something that is not a tensor, or not JSON.
    """
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            got = f"{name!r}: {type(tensor).__name__}"
            raise ValueError(f"tensors must map names to tensors, got {got}")
    description = {"metadata": _to_json(metadata or {})}
    copies = {name: x.detach().to("cpu", copy=True).contiguous() for name, x in tensors.items()}
    with whole_file(path) as unfinished:
        unfinished.write_bytes(save(copies, description))


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place where the block ends without an
    error, and is deleted where it does not: `path` is the old file or the whole new one."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load_tensors(
    path: str | os.PathLike, device: str | torch.device = "cpu"
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors and the metadata of a file written by save_tensors.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a whole file of save_tensors.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        with safetensors.safe_open(path, framework="pt", device=str(device)) as file:
            metadata = json.loads(file.metadata()["metadata"])
            return {name: file.get_tensor(name) for name in file.keys()}, metadata
    except (safetensors.SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a whole file written by save_tensors: {error}") from error


def _to_json(metadata: Mapping[str, Any]) -> str:
    def check(value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise ValueError(f"metadata must have strings as keys, got {key!r}")
                check(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                check(inner)

    check(metadata)
    try:
        return json.dumps(metadata, default=_plain_number)
    except TypeError as error:
        raise ValueError(f"metadata must be JSON: {error}") from error


def _plain_number(value: Any) -> Any:
    """Of NumPy's numbers, what they are for Python."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is of type {type(value).__name__}")


def optimizer_state(optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, torch.Tensor]:
    """Adam's moments and step counts, by name, for a file."""
    return {
        f"optimizer.{name}.{index}.{key}": value
        for name, optimizer in optimizers.items()
        for index, parameter in enumerate(p for g in optimizer.param_groups for p in g["params"])
        for key, value in optimizer.state[parameter].items()
    }


def load_optimizer(name: str, optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Go on from what `optimizer_state` gave."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, parameter in enumerate(parameters):
        prefix = f"optimizer.{name}.{index}."
        own = {k.removeprefix(prefix): v.clone() for k, v in state.items() if k.startswith(prefix)}
        optimizer.state[parameter] = {k: v if v.ndim else v.cpu() for k, v in own.items()}


def cache_folder() -> Path:
    """Where the book keeps files between sessions: RLBOOK_CACHE, or "rlbook" in the user's
    cache folder, which each platform has in a place of its own."""
    if chosen := os.environ.get("RLBOOK_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "rlbook" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "rlbook"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlbook"
