"""Progress bars on whatever takes more than two seconds; quiet where outputs are stored."""

import os
from collections.abc import Iterable

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
