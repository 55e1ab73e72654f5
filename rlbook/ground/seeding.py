"""Random streams: one for each run, and nothing that couples two runs."""

import operator
from collections.abc import Sequence

import numpy as np
import torch

from rlbook.ground import require

MAX_SEED = 2**31 - 1
"""Seeds of Gymnasium's environments are below it."""


def generator(
    seed: int, run: int | None = None, device: str | torch.device = "cpu"
) -> torch.Generator:
    """A torch.Generator whose stream depends on (seed, run) only.

    The pair is hashed by numpy's SeedSequence, so that neighbouring seeds and runs give
    unrelated streams. Without `run`, the stream depends on the seed alone.
    """
    if seed < 0 or (run is not None and run < 0):
        raise ValueError(f"seed and run must not be negative; got seed={seed}, run={run}")
    return _generator(seed, () if run is None else (run,), device)


def _generator(seed: int, key: tuple[int, ...], device: str | torch.device) -> torch.Generator:
    state = np.random.SeedSequence(seed, spawn_key=key).generate_state(2, np.uint32)
    return torch.Generator(device).manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


def run_generators(
    seed: int,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    device: str | torch.device = "cpu",
) -> list[torch.Generator]:
    """One generator a run: see `chosen_runs`."""
    return [generator(seed, run, device) for run in chosen_runs(num_runs, run_ids)]


def chosen_runs(num_runs: int | None, run_ids: Sequence[int] | None) -> Sequence[int]:
    """The runs 0 .. num_runs - 1, or those in `run_ids`.

    Raises:
        ValueError: both are given, or neither; or there is no run.
    """
    if num_runs is not None and run_ids is None:
        require.positive_integer("num_runs", num_runs)
        return range(int(num_runs))
    if run_ids is None or num_runs is not None:
        raise ValueError("give exactly one of num_runs and run_ids")
    if len(run_ids) == 0:
        raise ValueError("run_ids is empty")
    return run_ids


def different_runs(num_runs: int | None, run_ids: Sequence[int] | None) -> list[int]:
    """The same as a list of Python's own numbers, as files hold them; no run is in it twice.

    Raises:
        ValueError: as of `chosen_runs`; an id that is no whole number; a run that is there twice.
    """
    chosen = list(chosen_runs(num_runs, run_ids))
    try:
        runs = [operator.index(run) for run in chosen]
    except TypeError as error:
        raise ValueError(f"run_ids must be whole numbers, got {chosen}") from error
    if len(set(runs)) < len(runs):
        raise ValueError(f"run_ids must differ, got {runs}")
    return runs


class Streams:
    """Random numbers for R runs at once: row k of all that it draws depends on (seed, run k) only.

    A draw costs one small call for each run, so draw whole blocks: `uniform(T, E)` once,
    not `uniform(E)` T times.
    """

    def __init__(
        self,
        seed: int,
        run_ids: Sequence[int],
        device: str | torch.device = "cpu",
        *,
        family: tuple[int, ...] = (),
    ) -> None:
        """
        Args:
            family: streams of different families are independent; see `spawn`.

        Raises:
            ValueError: no run, or a negative seed or run id.
        """
        if len(run_ids) == 0:
            raise ValueError("run_ids is empty")
        if seed < 0 or min(run_ids) < 0:
            raise ValueError(f"seed and run_ids must not be negative; got {seed}, {list(run_ids)}")
        self.seed, self.run_ids, self.device, self.family = seed, list(run_ids), device, family
        self.generators = [_generator(seed, (run, *family), device) for run in run_ids]

    @property
    def num_runs(self) -> int:
        return len(self.run_ids)

    def spawn(self, key: int, device: str | torch.device | None = None) -> "Streams":
        """Another family of streams for the same runs, independent of this one."""
        device = self.device if device is None else device
        return Streams(self.seed, self.run_ids, device, family=(*self.family, key))

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Uniform numbers from [0, 1), (R, *shape)."""
        out = torch.empty(self.num_runs, *shape, dtype=dtype, device=self.device)
        for row, stream in zip(out, self.generators, strict=True):
            row.uniform_(generator=stream)
        return out

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Standard normal numbers, (R, *shape)."""
        out = torch.empty(self.num_runs, *shape, dtype=dtype, device=self.device)
        for row, stream in zip(out, self.generators, strict=True):
            row.normal_(generator=stream)
        return out

    def integers(self, high: int, *shape: int) -> torch.Tensor:
        """Uniform integers from 0 .. high - 1, (R, *shape) long."""
        out = torch.empty(self.num_runs, *shape, dtype=torch.long, device=self.device)
        for row, stream in zip(out, self.generators, strict=True):
            row.random_(0, high, generator=stream)
        return out

    def permutations(self, n: int) -> torch.Tensor:
        """One random order of 0 .. n - 1 for each run, (R, n) long."""
        return self.uniform(n, dtype=torch.float64).argsort(dim=1)

    def state(self) -> torch.Tensor:
        """Where all streams stand, (R, bytes) uint8, for `load_state`."""
        return torch.stack([stream.get_state() for stream in self.generators])

    def load_state(self, state: torch.Tensor) -> None:
        """Go on from what `state` returned, for the same runs in the same order."""
        if len(state) != self.num_runs:
            raise ValueError(f"state has {len(state)} rows, for {self.num_runs} runs")
        for row, stream in zip(state.cpu(), self.generators, strict=True):
            stream.set_state(row.clone())  # set_state ignores where in a storage a view begins
