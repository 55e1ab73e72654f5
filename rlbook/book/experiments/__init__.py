"""Comparisons too large to run in a notebook: computed before, stored with their recipe.

`python -m rlbook.book experiments 05` computes those of chapter 5, which
`rlbook/book/experiments/chapter_05.py` lists as `EXPERIMENTS = {"name": Experiment(...)}`, and
stores each as two files in figures/data: 05_name.npz, the arrays, and 05_name.json, the
recipe. A notebook reads them by `load("05_name")`.

The searches for settings that the modules of chapters 12 to 17 tell of were made with Adam's fused
form, which rounds otherwise, and on Pendulum-v1 with actions that were not scaled to their bounds.
They were not repeated: the settings stayed.
"""

import hashlib
import importlib
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlbook.book.experiments.recipes import machine, versions
from rlbook.book.experiments.sources import hash_of
from rlbook.book.paths import DATA
from rlbook.ground.progress import progress

__all__ = ["DATA", "Experiment", "Stored", "compute", "experiments", "load", "store"]

Arrays = dict[str, np.ndarray]
Config = dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """One comparison, and what it takes to recompute a short part of it.

    The arrays of the short run, under `config | short`, must be the leading corner of the
    stored ones: the first runs, the first steps. This holds wherever run k's random stream
    depends on (seed, k) only; store raw numbers, and take means over runs in the notebook.
    """

    run: Callable[[Config, Callable], Mapping[str, Any]]
    """(config, progress) -> arrays by name; `progress` is rlbook.ground.progress.progress."""
    config: Config
    """Everything that a reader might want to change; JSON values only."""
    short: Config
    """What changes in `config` for the short run, which takes a few seconds."""
    depends: tuple[str, ...] = ()
    """Modules that count whole, beside the definitions that `run` reaches by name."""
    measured: tuple[str, ...] = ()
    """Names of arrays that hold times, which differ from run to run; not recomputed."""
    rtol: float = 1e-9
    """How close the short run must come; float32 training needs more than float64 sums."""
    corner: Callable[[Arrays, Config], Arrays] | None = field(default=None)
    """(stored arrays, short config) -> what the short run should give, where this is not
    the leading corner."""
    determined: Callable[[Arrays], Arrays] | None = None
    """The part of the short run that floating point determines on any processor, taken from what
    is stored and from what is recomputed: what comes before the first count, argmax or accepted
    step that rounding may turn over. By default all of it."""
    claim: Callable[[Arrays, Arrays], list[str]] | None = None
    """(stored, recomputed) -> what is wrong with the rest, which another processor may change:
    what the numbers are shown for must be true of the short run, too."""


class Stored(NamedTuple):
    arrays: Arrays
    recipe: dict[str, Any]


def experiments(chapter: str) -> dict[str, Experiment]:
    """The experiments of a chapter, "05", by name; {} if it has none."""
    module = f"rlbook.book.experiments.chapter_{chapter}"
    try:
        return importlib.import_module(module).EXPERIMENTS
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return {}


def load(name: str, directory: Path = DATA) -> Stored:
    """The arrays and the recipe of a stored experiment, "05_name".

    Raises:
        FileNotFoundError: it is not stored; the message says what computes it.
        ValueError: arrays and recipe do not belong together.
    """
    arrays_path, recipe_path = directory / f"{name}.npz", directory / f"{name}.json"
    if not (arrays_path.exists() and recipe_path.exists()):
        raise FileNotFoundError(f"{name} is not stored in figures/data; run {command(name)}")
    recipe = json.loads(recipe_path.read_text(encoding="utf-8"))
    content = arrays_path.read_bytes()
    if hashlib.sha256(content).hexdigest() != recipe["data_sha256"]:
        raise ValueError(f"{name}.npz is not what {name}.json describes; run {command(name)}")
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return Stored({key: stored[key] for key in stored.files}, recipe)


def compute(experiment: Experiment, *, short: bool = False) -> Arrays:
    """Run an experiment, or the short part of it; arrays by name, checked."""
    config = experiment.config | (experiment.short if short else {})
    arrays = {key: np.asarray(value) for key, value in experiment.run(config, progress).items()}
    for key, array in arrays.items():
        if array.dtype == object or array.size == 0:
            raise ValueError(f"array {key!r} has dtype {array.dtype} and shape {array.shape}")
    return arrays


def store(name: str, experiment: Experiment, directory: Path = DATA) -> Stored:
    """Compute the experiment "05_name" and store it: both of its files, or neither."""
    began = time.perf_counter()
    arrays = compute(experiment)
    content = _npz(arrays)
    recipe = {
        "command": command(name),
        "config": experiment.config,
        "source_sha256": hash_of(experiment),
        "arrays": {key: [str(x.dtype), list(x.shape)] for key, x in sorted(arrays.items())},
        "data_sha256": hashlib.sha256(content).hexdigest(),
        "machine": machine(),
        "versions": versions(),
        "date": date.today().isoformat(),
        "seconds": round(time.perf_counter() - began, 1),
    }
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(recipe, indent=2, allow_nan=False) + "\n"
    for suffix, data in ((".npz", content), (".json", text.encode())):
        (directory / f"{name}{suffix}.part").write_bytes(data)
    for suffix in (".npz", ".json"):
        os.replace(directory / f"{name}{suffix}.part", directory / f"{name}{suffix}")
    return Stored(arrays, recipe)


def stale(name: str, experiment: Experiment, directory: Path = DATA) -> str | None:
    """Why the stored experiment is no longer what its source computes; None if it is."""
    try:
        recipe = load(name, directory).recipe
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    if recipe["config"] != json.loads(json.dumps(experiment.config)):
        return f"the config of {name} has changed since it was computed; run {command(name)}"
    if recipe["source_sha256"] != hash_of(experiment):
        return f"the source under {name} has changed since it was computed; run {command(name)}"
    return None


def differences(stored: Arrays, experiment: Experiment) -> list[str]:
    """Where the short run, recomputed now, differs from the stored numbers; [] if nowhere."""
    got = compute(experiment, short=True)
    if stored.keys() != got.keys():
        return [f"stored are {sorted(stored)}, recomputed {sorted(got)}"]
    got = {key: array for key, array in got.items() if key not in experiment.measured}
    if not got:
        return ["every array is measured, so that nothing is recomputed"]
    if experiment.corner is not None:
        want = experiment.corner(stored, experiment.config | experiment.short)
    else:
        want = {key: _leading_corner(stored[key], array.shape) for key, array in got.items()}
    shapes = {key: (want[key].shape, got[key].shape) for key in got}
    found = [f"{key}: stored {a}, recomputed {b}" for key, (a, b) in shapes.items() if a != b]
    if found:
        return found
    if experiment.claim is not None:
        found += experiment.claim(want, got)
    if experiment.determined is not None:
        want, got = experiment.determined(want), experiment.determined(got)
    rtol = experiment.rtol
    for key in got:
        if not np.allclose(got[key], want[key], rtol=rtol, atol=rtol, equal_nan=True):
            worst = np.nanmax(np.abs(np.subtract(got[key], want[key], dtype=float)))
            found.append(f"{key}: differs by up to {worst:.3g}")
    return found


def command(name: str) -> str:
    """The command that computes the experiment "05_name"."""
    chapter, _, rest = name.partition("_")
    return f"python -m rlbook.book experiments {chapter} --only {rest}"


def _leading_corner(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return array[tuple(slice(size) for size in shape)] if array.ndim == len(shape) else array


def _npz(arrays: Arrays) -> bytes:
    """A compressed .npz file whose bytes depend on the arrays only."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for key, array in sorted(arrays.items()):
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.ascontiguousarray(array).reshape(array.shape))
            info = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, entry.getvalue())
    return buffer.getvalue()
