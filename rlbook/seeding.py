"""Random streams: one for each run, and nothing that couples two runs."""

from collections.abc import Sequence

import numpy as np
import torch


def generator(seed: int, run: int | None = None, device: str | torch.device = "cpu"):
    """A torch.Generator whose stream depends on (seed, run) only.

    The pair is hashed by numpy's SeedSequence, so that neighbouring seeds and runs give
    unrelated streams. Without `run`, the stream depends on the seed alone.
    """
    if seed < 0 or (run is not None and run < 0):
        raise ValueError(f"seed and run must not be negative; got seed={seed}, run={run}")
    key = () if run is None else (run,)
    state = np.random.SeedSequence(seed, spawn_key=key).generate_state(2, np.uint32)
    return torch.Generator(device).manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


def run_generators(
    seed: int,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    device: str | torch.device = "cpu",
) -> list[torch.Generator]:
    """One generator a run: runs 0 .. num_runs - 1, or only those in `run_ids`."""
    if (num_runs is None) == (run_ids is None):
        raise ValueError("give exactly one of num_runs and run_ids")
    ids = range(num_runs) if run_ids is None else run_ids
    return [generator(seed, run, device) for run in ids]
