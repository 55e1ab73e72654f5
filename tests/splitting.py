"""One run of tests, or of a chapter, that serves all of its mutants.

Until a function is called for the first time, it does not matter whether it is right or wrong.
So the run of the right code is the beginning of every mutant's run: at the first call of a
function that has mutants, the process forks. The child's function is wrong from then on; the
child goes on from where it is, and how it ends is the mutant's outcome. The parent waits for
that and goes on itself, right, until the next split.
"""

import contextlib
import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Hashable, Iterable
from types import CodeType, FunctionType

from mutation import Mutant

SPLIT_SECONDS = 200
STAND_IN = """
def around({free}):
    def stand_in(*args, **kwargs):
        {free}
        from splitting import first_call
        return first_call({key!r})(*args, **kwargs)
"""


class _Awaited:
    """A function whose first call is awaited, with its mutants and their code."""

    def __init__(self, function: FunctionType):
        self.function = function
        self.right = function.__code__
        self.mutants: list[tuple[Mutant, CodeType]] = []


_awaited: dict[str, _Awaited] = {}
_outcomes: dict[Hashable, object] = {}
_report = None  # in a child, where its outcome is sent


def run_with_splits(mutants: Iterable[Mutant], run: Callable, *args) -> tuple[object, dict]:
    """run(*args), and the outcome of each split: of each mutant whose function was called.

    An outcome is what `run` returned in the child, a string if it did not return.
    """
    for mutant in mutants:
        function, code = mutant.function(), mutant.code(mutant.path.read_text(encoding="utf-8"))
        name = f"{mutant.module}.{code.co_qualname}"
        _awaited.setdefault(name, _Awaited(function)).mutants.append((mutant, code))
    _set_stand_ins()
    try:
        result = run(*args)
    except BaseException as error:
        if _report is None:
            raise
        result = f"{type(error).__name__}: {error}"
    if _report is None:
        return result, _outcomes
    try:
        _report.send(result)
    finally:
        os._exit(0)  # whatever happens, a child never returns to what the parent has to do


def first_call(name: str) -> FunctionType:
    """Called by a function's stand-in: split for each of its mutants."""
    awaited = _awaited.pop(name)
    awaited.function.__code__ = awaited.right
    for mutant, wrong in awaited.mutants:
        if split(mutant):
            awaited.function.__code__ = wrong
            break
    return awaited.function


def split(name: Hashable) -> bool:
    """Fork. True in the child; False in the parent, when the child has ended or has to."""
    global _report
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        _report = sender
        gc.freeze()  # to collect garbage would be to copy all that the parent has
        _set_right_code()
        _awaited.clear()
        return True
    sender.close()
    try:
        in_time = receiver.poll(SPLIT_SECONDS)
        _outcomes[name] = receiver.recv() if in_time else f"no end after {SPLIT_SECONDS} s"
    except EOFError:
        _outcomes[name] = "the process died"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def is_split_off() -> bool:
    """Whether this is a child."""
    return _report is not None


def all_served() -> bool:
    """Whether every function that has mutants was called."""
    return not _awaited


@contextlib.contextmanager
def no_splits():
    """Calls in here count as none."""
    _set_right_code()
    try:
        yield
    finally:
        _set_stand_ins()


def _set_right_code() -> None:
    for awaited in _awaited.values():
        awaited.function.__code__ = awaited.right


def _set_stand_ins() -> None:
    for name, awaited in _awaited.items():
        awaited.function.__code__ = _stand_in(name, awaited.right)


def _stand_in(name: str, right: CodeType) -> CodeType:
    free = ", ".join(right.co_freevars)  # a function's new code must have the same
    scope: dict = {}
    exec(STAND_IN.format(free=free, key=name), scope)
    (code,) = (c for c in scope["around"].__code__.co_consts if isinstance(c, CodeType))
    return code.replace(co_filename=right.co_filename, co_firstlineno=right.co_firstlineno)
