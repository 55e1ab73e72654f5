"""Progress bars on whatever takes more than two seconds, and Ctrl-C that ends it without loss."""

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Self

import torch
from tqdm.auto import tqdm


def progress(
    iterable: Iterable | None = None,
    *,
    total: int | None = None,
    description: str = "",
    show: bool = True,
) -> tqdm:
    """A tqdm bar that shows nothing when the environment variable RLBOOK_QUIET is set."""
    quiet = not show or bool(os.environ.get("RLBOOK_QUIET"))
    return tqdm(iterable, total=total, desc=description, disable=quiet, leave=False, delay=2)


class Interruptible:
    """Ctrl-C ends the block `with` this object, and `interrupted` says whether it did."""

    interrupted: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind, error, trace) -> bool:
        self.interrupted = isinstance(error, KeyboardInterrupt)
        return self.interrupted


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C in the block comes at its end; a thread, to which it never comes, changes nothing."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


@cache
def finish_imports() -> None:
    """Import what torch imports with a process's first optimizer: 800 modules, in a second.

    Ctrl-C between them would leave half of them, and no later training would begin ("partially
    initialized module torch._dynamo") until the process is started anew. So it waits for them.
    """
    with uninterrupted():
        parameter = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.SGD([parameter])
        parameter.sum().backward()
        optimizer.step()


def carry(error: BaseException, result: object, more: str = "") -> None:
    """Put what was learned before an error on it, as `error.result`, and say so."""
    if not hasattr(error, "result"):
        error.add_note(
            "What was learned before is kept in this error: `except Exception as error: "
            "result = error.result`, or, in a notebook, `import sys; "
            f"result = sys.last_value.result`. {more}"
        )
    vars(error)["result"] = result
