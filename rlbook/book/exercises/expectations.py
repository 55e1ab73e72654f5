"""What the checkers of exercises are made of: calling an attempt, and saying what is wrong.

A checker is a function of one argument, the attempt, which it calls like the learner's own
function. It raises `WrongAnswer` with a sentence for the learner, mostly through
`expect_close` and its kin, and may return a closing sentence for the right answer.
"""

import ast
import copy
import inspect
import re
import textwrap
import traceback
from collections.abc import Callable, Mapping
from typing import NoReturn

import numpy as np
import torch

from rlbook.ground.require import Numbers, first_index


class WrongAnswer(Exception):
    """The attempt fails; the message tells the learner which property, on which input."""


class NotAttempted(Exception):
    """The attempt is still the stub."""


class Attempt:
    """The learner's function, wrapped so that whatever it does becomes a sentence.

    Calling it raises `NotAttempted` if it is a stub or its first call returns `...`, raises
    NotImplementedError, or stumbles over a `...` left in the stub; and `WrongAnswer` if it
    raises anything else, returns None all the same, or changes one of its inputs.
    """

    def __init__(self, function: Callable):
        self._function = function
        self._calls = 0
        self.last_result = None

    @property
    def function(self) -> Callable:
        """The learner's own, to read its source."""
        return self._function

    def __call__(self, *args, **kwargs):
        """Call a function that returns something and leaves its inputs alone."""
        inputs = [(name, x) for name, x in self._inputs(args, kwargs) if _is_array(x)]
        before = [copy.deepcopy(x) for _, x in inputs]
        result = self.in_place(*args, **kwargs)
        if result is None or result is ...:
            if self._calls == 1 and (result is ... or _does_nothing(self._function)):
                raise NotAttempted
            missing = "is `return` missing?"
            if self._calls > 1:
                missing = "is there a way through it without `return`?"
            raise WrongAnswer(f"It returned {result} for {self._words(args, kwargs)}: {missing}")
        for old, (name, new) in zip(before, inputs, strict=True):
            if not _same(old, new):
                raise WrongAnswer(
                    f"It changed its input `{name}`: whoever called it still needs the old "
                    "numbers. Work on a copy (`.clone()`)."
                )
        return result

    def in_place(self, *args, **kwargs):
        """Call a function that may change its inputs and return nothing.

        The checker then raises `NotAttempted` itself, if nothing has changed.
        """
        self._calls += 1
        try:
            result = self._function(*args, **kwargs)
        except Exception as error:
            raise self._explain(error, args, kwargs) from None
        self.last_result = result
        return result

    def _explain(self, error: Exception, args: tuple, kwargs: dict) -> Exception:
        ellipsis = isinstance(error, TypeError) and "ellipsis" in str(error)
        if self._calls == 1 and (isinstance(error, NotImplementedError) or ellipsis):
            return NotAttempted()
        try:
            inspect.signature(self._function).bind(*args, **kwargs)
            advice = ""
        except TypeError:
            advice = " Keep the arguments of the stub."
        except ValueError:  # a builtin without a signature
            advice = ""
        text = re.sub(r"0x[0-9a-fA-F]+", "0x...", str(error)).strip()
        text = text.splitlines()[0][:200] if text else "no message"
        return WrongAnswer(
            f"It raised {type(error).__name__} ({text}){self._line(error)}, "
            f"for {self._words(args, kwargs)}.{advice}"
        )

    def _line(self, error: Exception) -> str:
        code = getattr(self._function, "__code__", None)
        for frame, number in reversed(list(traceback.walk_tb(error.__traceback__))):
            if frame.f_code is code:
                return f" in its line {number - code.co_firstlineno + 1}"
        return ""

    def _words(self, args: tuple, kwargs: dict) -> str:
        top = [(name, x) for name, x in self._inputs(args, kwargs) if "." not in name]
        return ", ".join(f"{name} = {describe(x)}" for name, x in top) or "no argument"

    def _inputs(self, args: tuple, kwargs: dict) -> list[tuple[str, object]]:
        """The inputs by name, followed by the tensors inside a model."""
        try:
            named = dict(inspect.signature(self._function).bind(*args, **kwargs).arguments)
        except (TypeError, ValueError):
            named = {f"argument {i}": x for i, x in enumerate(args, start=1)} | kwargs
        inner = {
            f"{name}.{key}": x
            for name, value in named.items()
            for key, x in getattr(value, "__dict__", {}).items()
        }
        return list((named | inner).items())


def describe(value) -> str:
    """A value in a few words that are the same on every machine."""
    if _is_array(value):
        kind = "tensor" if isinstance(value, torch.Tensor) else "array"
        if 0 < np.prod(value.shape) <= 6:
            return f"the {kind} {_digits(value.tolist())}"
        return f"a {_dtype(value)} {kind} of shape {tuple(value.shape)}"
    if isinstance(value, bool | int | float | str | list | tuple | None):
        return _digits(value)[:80]
    if hasattr(value, "num_states") and hasattr(value, "num_actions"):
        discount = getattr(value, "discount", None)
        tail = f" and discount {discount:g}" if isinstance(discount, int | float) else ""
        return f"a model with {value.num_states} states, {value.num_actions} actions{tail}"
    return "a function" if callable(value) else f"a {type(value).__name__}"


def expect_shape(got, shape: tuple[int, ...], *, on: str, hint: str = "") -> torch.Tensor:
    """`got` as a tensor, if it has this shape; `on` says in words which input it came from."""
    tensor = _as_tensor(got, on)
    if tuple(tensor.shape) != tuple(shape):
        _fail(on, f"the result should have shape {tuple(shape)}, yours has {tuple(tensor.shape)}.",
              hint)  # fmt: skip
    return tensor


def expect_close(
    got,
    expected,
    *,
    on: str,
    hint: str = "",
    mistakes: Mapping[str, Numbers] | None = None,
    atol: float = 1e-8,
    rtol: float = 1e-6,
) -> None:
    """Raise `WrongAnswer` unless `got` has the shape, dtype and numbers of `expected`.

    Args:
        on: the input in words, "a random model with 5 states".
        hint: what a wrong number usually means; said when none of `mistakes` fits.
        mistakes: sentence -> the result that this mistake gives. The first that equals
            `got`, and differs from `expected`, is said.
    """
    expected = torch.as_tensor(expected)
    slips = {why: torch.as_tensor(value) for why, value in (mistakes or {}).items()}
    tensor = _as_tensor(got, on)
    if tensor.shape != expected.shape:
        why = _recognise(tensor, expected, slips, atol, rtol)
        expect_shape(tensor, tuple(expected.shape), on=on, hint=why or "")
    if _is_array(got) and tensor.dtype != expected.dtype:
        _fail(on, f"the result should be {_dtype(expected)}, yours is {_dtype(tensor)}.",
              "New tensors need the dtype of the input.")  # fmt: skip
    wrong = ~_close(tensor, expected, atol, rtol)
    if not wrong.any():
        return
    index = first_index(wrong)
    place = f"entry {index} of the result" if index else "the result"
    want, have = (f"{float(x[tuple(index)]):.6g}" for x in (expected, tensor))
    if want == have:
        want, have = (f"{float(x[tuple(index)]):.12g}" for x in (expected, tensor))
    count = f" ({int(wrong.sum())} of {wrong.numel()} entries differ)" if index else ""
    why = _recognise(tensor, expected, slips, atol, rtol)
    _fail(on, f"{place} should be {want}, yours is {have}{count}.", why or hint)


def expect_true(condition, *, on: str, what: str, hint: str = "") -> None:
    """Raise `WrongAnswer` saying `what` should hold, unless the condition does, everywhere."""
    if not bool(torch.as_tensor(condition).all()):
        _fail(on, what, hint)


def _fail(on: str, what: str, hint: str) -> NoReturn:
    raise WrongAnswer(f"On {on}: {what}" + (f" {hint}" if hint else ""))


def statements_of(function: Callable) -> list[ast.stmt]:
    """The syntax of a function's source, as a rule one definition; [] where it is not known."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return []


def _does_nothing(function: Callable) -> bool:
    """Whether a function's body is only `...`, `pass`, a docstring, or a constant to return; False
    where its source is not known, or is a lambda's."""
    match statements_of(function):
        case [ast.FunctionDef(body=body)]:
            return all(_is_quiet(part) for part in body)
    return False


def _is_quiet(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr | ast.Return):
        return statement.value is None or isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass)


def _is_array(value) -> bool:
    return isinstance(value, torch.Tensor | np.ndarray)


def _same(old, new) -> bool:
    if old.shape != new.shape or old.dtype != new.dtype:
        return False
    return bool(((old == new) | ((old != old) & (new != new))).all())  # NaN equals NaN


def _as_tensor(got, on: str) -> torch.Tensor:
    try:
        return torch.as_tensor(got).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        pass
    try:  # a list of 0-dimensional tensors, or of rows
        return torch.stack([torch.as_tensor(x) for x in got]).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        _fail(on, f"the result should be numbers in a tensor, yours is {describe(got)}.", "")


def _close(x: torch.Tensor, y: torch.Tensor, atol: float, rtol: float) -> torch.Tensor:
    return torch.isclose(x.to(torch.float64), y.to(torch.float64), atol, rtol, equal_nan=True)


def _recognise(got, expected, mistakes, atol, rtol) -> str | None:
    def equal(x, y):
        return x.shape == y.shape and bool(_close(x, y, atol, rtol).all())

    for sentence, value in mistakes.items():
        if equal(got, value) and not equal(expected, value):
            return sentence
    return None


def _dtype(value) -> str:
    return str(value.dtype).removeprefix("torch.")


def _digits(value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        inner = ", ".join(_digits(x) for x in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return repr(value)
