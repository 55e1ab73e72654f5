"""The skips that a run of the tests may have. One that is not listed fails the run: a package that
is not installed, or a guard that has become wrong, would leave a test out unseen."""

import re
from collections.abc import Iterable
from pathlib import Path

PEERS = "quantecon|stable_baselines3(.common.buffers)?|sb3_contrib|trl|datasets"
PERMITTED_SKIPS = {
    ("test_cuda.py", "no GPU on this machine"): "few machines have one",
    ("test_tabular_envs.py", "needs a GPU"): "few machines have one",
    ("clean_process.py", "needs multiprocessing's start method forkserver, .*"): "Windows has none",
    ("test_project.py", "not a git repository"): "an archive of the project has no history",
    ("test_recording.py", "moviepy is no part of .*"): "films are tried by `.ci/run all`",
    ("test_keeping.py", "tensorboard is no part of .*"): "its events are tried by `.ci/run all`",
    ("test_keeping.py", "this system has no kill -9"): "Windows has none",
    ("test_second_device.py", "this torch has not .*"): "the locked one has it, or the test fails",
    ("bench_.*.py", f"could not import '({PEERS})': .*"): "peers are an extra, for benchmarks only",
}
"""(file in which it is skipped, reason), both regular expressions -> why it may be."""


def unlisted(skips: Iterable[tuple[str, str]]) -> list[str]:
    """Of skips (path, reason), those that nothing permits, in words."""
    return sorted(
        {
            f"{Path(path).name}: {reason}"
            for path, reason in skips
            if not any(
                re.fullmatch(file, Path(path).name) and re.fullmatch(allowed, reason, re.DOTALL)
                for file, allowed in PERMITTED_SKIPS
            )
        }
    )
