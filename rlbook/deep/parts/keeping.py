"""Where a training writes while it runs: curves as CSV, events for TensorBoard, checkpoints."""

import csv
import importlib.util
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlbook.deep.parts.results import ARRAYS, Result, named
from rlbook.ground import require
from rlbook.ground.saving import load_tensors, whole_file

CHECKPOINT, EVALUATIONS, LOG = "checkpoint.safetensors", "evaluations.csv", "log.csv"


@dataclass(frozen=True)
class Keep:
    """What a training leaves in a folder: `train(..., keep=Keep("runs/lander"))`.

    evaluations.csv has the columns run, env_steps, return, cut: `evaluation_returns`, `run_steps`
    and `cut_episodes` of the result, evaluation by evaluation. log.csv has update, run and what
    the agent logs: the result's `log`, its columns counted from 0. Both are written at each
    evaluation; their numbers are the shortest that give the result's again. checkpoint.safetensors
    is a saved result: it is written before learning, every so many minutes, and at the end,
    whether that is the last update, Ctrl-C or an error. Each file is whole at every moment.
    `train(..., resume="runs/lander/checkpoint.safetensors")` goes on from it, in the same folder
    or another one.

    Raises:
        ValueError: every_minutes is negative.
        ModuleNotFoundError: tensorboard is asked for, and not installed.
    """

    folder: str | os.PathLike
    """Made if it does not exist."""
    _: KW_ONLY
    every_minutes: float = 10.0
    """From one checkpoint to the next; 0 is after every update."""
    tensorboard: bool | None = None
    """Write events to tensorboard/run_<id>, too; by default if the package tensorboard is
    installed. `tensorboard --logdir runs/lander` shows them."""

    def __post_init__(self) -> None:
        require.at_least("every_minutes", self.every_minutes, 0)
        installed = importlib.util.find_spec("tensorboard") is not None
        if self.tensorboard and not installed:
            raise ModuleNotFoundError("tensorboard=True needs it: pip install tensorboard")
        object.__setattr__(self, "tensorboard", installed and self.tensorboard is not False)

    @property
    def checkpoint(self) -> Path:
        """The path to give to `resume`."""
        return Path(self.folder) / CHECKPOINT


class Keeper:
    """Writes what a training has reached to where its Keep says; without one, it does nothing.

    Args:
        result: what was learned so far, as a Result.
        resume: what the training goes on from.

    Raises:
        ValueError: the folder holds what would be lost: see `check_free`.
        OSError: the folder cannot be made.
    """

    def __init__(self, keep: Keep | None, result: Callable[[], Result], resume: Result | None):
        self.keep, self.result = keep, result
        self.saved: float | None = None
        self.events: Events | None = None
        if keep is not None:
            if not isinstance(keep, Keep):
                raise ValueError(f"keep must be a Keep, Keep('runs/lander') say, got {keep!r}")
            check_free(keep, resume)
            Path(keep.folder).mkdir(parents=True, exist_ok=True)

    def evaluated(self) -> None:
        """After an evaluation: the curves, and before learning the first checkpoint."""
        if self.keep is None:
            return
        result, folder = self.result(), Path(self.keep.folder)
        write_table(folder / EVALUATIONS, evaluation_rows(result))
        write_table(folder / LOG, log_rows(result))
        if self.keep.tensorboard:
            self.events = self.events or Events(folder / "tensorboard", result.run_ids)
            self.events.write(result)
        if self.saved is None:
            self._save(self.keep, result)

    def updated(self) -> None:
        """After an update: a checkpoint, if one is due."""
        if self.keep is None:
            return
        if self.saved is None or time.monotonic() - self.saved >= 60 * self.keep.every_minutes:
            self._save(self.keep, self.result())

    def ended(self, error: BaseException | None) -> None:
        """Everything once more, however the training ended. What cannot be written is a warning:
        the result is not lost for that."""
        if self.keep is None:
            return
        try:
            self.evaluated()
            self._save(self.keep, self.result())
        except OSError as failed:
            warnings.warn(f"{self.keep.folder} could not be written: {failed}", stacklevel=4)
            return
        finally:
            if self.events is not None:
                self.events.close()
        if isinstance(error, Exception):
            path = str(self.keep.checkpoint)
            error.add_note(f"It is in a file, too: `train(..., resume={path!r})` goes on.")

    def _save(self, keep: Keep, result: Result) -> None:
        result.save(keep.checkpoint)
        self.saved = time.monotonic()


def check_free(keep: Keep, resume: Result | None) -> None:
    """Nothing that another training left is overwritten: a checkpoint in the folder must be an
    earlier moment of what is resumed.

    Raises:
        ValueError: it is not.
    """
    folder, path = Path(keep.folder), keep.checkpoint
    held = [name for name in (CHECKPOINT, EVALUATIONS, LOG) if (folder / name).exists()]
    if not held:
        return
    if CHECKPOINT not in held:
        raise ValueError(f"{folder} holds {held[0]} without a checkpoint: name another folder")
    if resume is None:
        going_on = f"go on from it by resume={str(path)!r}, or name another folder"
        raise ValueError(f"{folder} holds the checkpoint of a training: {going_on}")
    tensors, metadata = load_tensors(path)
    old = {name: tensors[name] for name in ARRAYS} | named(tensors, "log.")
    new = {name: getattr(resume, name) for name in ARRAYS} | resume.log
    same = (metadata["run_ids"], metadata["seed"]) == (resume.run_ids, resume.seed)
    if not same or not all(n in new and begins(new[n], x.numpy()) for n, x in old.items()):
        raise ValueError(
            f"{folder} holds a checkpoint that is not the beginning of what is resumed: go on by "
            f"resume={str(path)!r}, or name another folder"
        )


def begins(whole: np.ndarray, part: np.ndarray) -> bool:
    """Whether (R, N) begins with the columns of (R, n)."""
    return np.array_equal(whole[:, : part.shape[1]], part, equal_nan=True)


def evaluation_rows(result: Result) -> Iterator[list[Any]]:
    """The lines of evaluations.csv."""
    yield ["run", "env_steps", "return", "cut"]
    for column in range(result.evaluation_returns.shape[1]):
        for row, run in enumerate(result.run_ids):
            at = row, column
            steps, cut = int(result.run_steps[at]), int(result.cut_episodes[at])
            yield [run, steps, str(result.evaluation_returns[at]), cut]


def log_rows(result: Result) -> Iterator[list[Any]]:
    """The lines of log.csv."""
    log = result.log
    yield ["update", "run", *log]
    for update in range(max((values.shape[1] for values in log.values()), default=0)):
        for row, run in enumerate(result.run_ids):
            logged = [x[row, update] if update < x.shape[1] else "" for x in log.values()]
            yield [update, run, *map(str, logged)]


def write_table(path: Path, rows: Iterable[list[Any]]) -> None:
    """A CSV file, whole or not at all."""
    with whole_file(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


class Events:
    """TensorBoard's files, one folder for each run; those of an earlier training of the folder,
    which this one continues, are written anew."""

    def __init__(self, folder: Path, run_ids: list[int]):
        from torch.utils.tensorboard import SummaryWriter

        for old in folder.glob("run_*/events.out.tfevents.*"):
            old.unlink()
        self.writers = [SummaryWriter(str(folder / f"run_{run}")) for run in run_ids]
        self.written: dict[str, int] = {}

    def write(self, result: Result) -> None:
        """What is new: evaluations over environment steps, what is logged over updates."""
        evaluations = {"return": result.evaluation_returns, "cut": result.cut_episodes}
        for name, values in evaluations.items():
            self._write(f"evaluation/{name}", values, result.run_steps)
        for name, values in result.log.items():
            updates = np.broadcast_to(np.arange(values.shape[1]), values.shape)
            self._write(f"log/{name}", values, updates)
        for writer in self.writers:
            writer.flush()

    def _write(self, name: str, values: np.ndarray, steps: np.ndarray) -> None:
        for row, writer in enumerate(self.writers):
            for column in range(self.written.get(name, 0), values.shape[1]):
                writer.add_scalar(name, values[row, column], int(steps[row, column]))
        self.written[name] = values.shape[1]

    def close(self) -> None:
        for writer in self.writers:
            writer.close()
