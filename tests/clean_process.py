"""Functions run in a clean process: torch, numpy and the like imported, nothing of rlbook.

The process is forked from a server that did only that, so it starts in milliseconds.
"""

import contextlib
import gc
import io
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable

PRELOADED = (
    *("torch", "torch.testing", "torch.fx.experimental.symbolic_shapes"),  # the last: for autograd
    "torch.distributed.tensor",  # torch.testing asks whether what differs is one of its tensors
    *("numpy", "scipy.stats", "matplotlib.pyplot", "matplotlib.backends.backend_agg"),
    *("gymnasium", "tqdm.auto", "nbformat", "pytest", "hypothesis.strategies"),
)

try:
    _context = multiprocessing.get_context("forkserver")
    _context.set_forkserver_preload(list(PRELOADED))
except ValueError:  # Windows has none
    _context = None
HAS_FORKSERVER = _context is not None


def skip_without_forkserver() -> None:
    """Skip the test that calls this where processes cannot be forked from a server."""
    if not HAS_FORKSERVER:
        import pytest

        pytest.skip("needs multiprocessing's start method forkserver, which this system lacks")


def in_clean_process(function: Callable, *args, timeout: float = 120):
    """function(*args) in a fresh process; TimeoutError if it takes longer than `timeout`.

    What it has forked itself ends with it. Where there is no forkserver, the test that asks is
    skipped. What the function raises comes back as a RuntimeError that holds its traceback.
    """
    skip_without_forkserver()
    receiver, sender = _context.Pipe(duplex=False)
    process = _context.Process(target=_send_result, args=(sender, function, args), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(timeout):
            raise TimeoutError(f"{function.__name__} took longer than {timeout:g} s")
        failure, result = receiver.recv()
        process.join(timeout=10)  # let it tidy up
    except EOFError:
        raise RuntimeError(f"the process of {function.__name__} died") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()
    if failure:
        raise RuntimeError(f"in the process of {function.__name__}:\n{failure}")
    return result


def _send_result(sender, function, args) -> None:
    os.setpgid(0, 0)  # a group of processes of its own, to be killed together
    _end_with_the_tests()
    gc.freeze()  # collecting garbage would copy all that is imported, in every fork
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            sender.send((None, function(*args)))
    except Exception:
        printed = output.getvalue()[-2000:]
        printed = f"\nIt had printed, at the end:\n{printed}" if printed else ""
        sender.send((traceback.format_exc() + printed, None))


def _end_with_the_tests() -> None:
    """Look now and then whether they still run: they may have been killed."""

    def look(*_):
        if not multiprocessing.parent_process().is_alive():
            os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 2, 2)
