"""Which exercises are solved, in a file of the user's cache folder, for `rlbook.book.solved`.

The record is a comfort: whatever is wrong with the file or its folder, no checker says less.
Where RLBOOK_QUIET is set, as while the pages are stored and tested, it is neither read nor written.
"""

import json
import os
from datetime import date

from rlbook.ground.saving import cache_folder

FILE = "solved.json"


def read() -> dict[str, str]:
    """Exercise -> the day on which it was first solved, 2026-11-30; {} if there is no record."""
    if "RLBOOK_QUIET" in os.environ:
        return {}
    try:
        stored = json.loads((cache_folder() / FILE).read_text(encoding="utf-8"))
        return {tag: day for tag, day in stored.items() if isinstance(day, str)}
    except Exception:  # of the disk, or a damaged file
        return {}


def remember(tag: str) -> None:
    """Add an exercise that is solved; the file is written whole or not at all."""
    if "RLBOOK_QUIET" in os.environ or tag in (days := read()):
        return
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{FILE}.{os.getpid()}.part"
        try:
            text = json.dumps(days | {tag: date.today().isoformat()}, indent=1)
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(folder / FILE)
        finally:
            unfinished.unlink(missing_ok=True)
    except Exception:  # of the disk: a full one, or one that may not be written
        pass
