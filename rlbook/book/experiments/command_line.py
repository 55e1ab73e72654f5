"""python -m rlbook.book experiments 05 [--only name] [--again]"""

import argparse
import signal
from contextlib import contextmanager
from pathlib import Path

from rlbook.book.chapters import number_of
from rlbook.book.experiments import experiments, stale, store
from rlbook.book.paths import DATA


class Stopped(BaseException):
    """Ctrl-C. Not KeyboardInterrupt, on which a planner or learner hands back what it has:
    half-finished numbers must not be stored."""


@contextmanager
def stop_button():
    def stop(number, frame):
        raise Stopped

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def main(arguments: list[str] | None = None, directory: Path = DATA) -> int:
    """Compute what is missing or stale in a chapter's experiments; 0 if all are stored."""
    parser = argparse.ArgumentParser(
        prog="python -m rlbook.book experiments", description=main.__doc__
    )
    parser.add_argument("chapter", help="its number, 05")
    parser.add_argument("--only", metavar="NAME", help="compute this experiment alone")
    parser.add_argument("--again", action="store_true", help="compute also what is up to date")
    options = parser.parse_args(arguments)
    chapter = number_of(options.chapter)
    chosen = experiments(chapter)
    if options.only is not None:
        if options.only not in chosen:
            parser.error(f"chapter {chapter} has the experiments {sorted(chosen)}")
        chosen = {options.only: chosen[options.only]}
    if not chosen:
        parser.error(f"chapter {chapter} has no experiments")
    for key, experiment in chosen.items():
        name = f"{chapter}_{key}"
        if not options.again and stale(name, experiment, directory) is None:
            print(f"{name}: up to date")
            continue
        try:
            with stop_button():
                recipe = store(name, experiment, directory).recipe
        except Stopped:
            print(f"{name}: interrupted; what was stored before is kept")
            return 130
        print(f"{name}: stored after {recipe['seconds']} s")
    return 0
