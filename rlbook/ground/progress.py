"""Progress bars on whatever takes more than two seconds, and Ctrl-C that ends it without loss."""

import os
from collections.abc import Iterable
from typing import Self

from tqdm.auto import tqdm


def progress(
    iterable: Iterable | None = None, *, total=None, description: str = "", show: bool = True
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
