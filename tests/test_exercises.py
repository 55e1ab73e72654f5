"""The exercises: solutions pass their checkers, stubs are silent, wrong answers learn why."""

import ast
import importlib
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from nbformat.v4 import new_markdown_cell
from parsed_notebook import Notebook, chapters, plain_namespace, run_source
from sample_notebook import code, make_notebook, write

import rlbook.book.exercises as exercises
from rlbook.book.exercises import chapter_03, check_exercise, checkers, diagnose
from rlbook.book.exercises.expectations import (
    NotAttempted,
    WrongAnswer,
    describe,
    expect_close,
    expect_shape,
    expect_true,
)

HERE = Path(__file__).parent
CODE_EXERCISES = [
    pytest.param(chapter, exercise, id=exercise.tag)
    for chapter in chapters().values()
    for exercise in chapter.exercises()
]
CHECKED = [
    path.stem.removeprefix("chapter_")
    for path in sorted(Path(exercises.__file__).parent.glob("chapter_*.py"))
]


def wrong_answers(chapter: str) -> dict[str, list]:
    path = HERE / "wrong_answers" / f"chapter_{chapter}.py"
    return importlib.import_module(f"wrong_answers.{path.stem}").WRONG if path.exists() else {}


WRONG_ANSWERS = [
    pytest.param(chapter, tag, attempt, fragment, id=f"{tag}-{number}")
    for chapter in CHECKED
    for tag, entries in wrong_answers(chapter).items()
    for number, (attempt, fragment) in enumerate(entries, start=1)
]


def imports_of(chapter: str) -> dict:
    """What a solution may use: the names of the notebook's import cell."""
    namespace = plain_namespace()
    if chapter in chapters():
        run_source(chapters()[chapter].import_cell().source, namespace, f"{chapter} imports")
    else:
        namespace |= {"torch": torch, "np": np}
    return namespace


def last_function(source: str) -> str:
    functions = (ast.FunctionDef, ast.ClassDef)
    return [node.name for node in ast.parse(source).body if isinstance(node, functions)][-1]


# --- every exercise of the book


@pytest.mark.parametrize("chapter, exercise", CODE_EXERCISES)
def test_solution_is_correct(chapter, exercise):
    assert exercise.solution, (
        f"no ```python fence in <details><summary>Solution to Exercise {exercise.tag}</summary>"
    )
    namespace = imports_of(chapter.number)
    run_source(exercise.solution, namespace, f"solution {exercise.tag}")
    assert exercise.name in namespace, f"the solution does not define {exercise.name}"
    diagnosis = diagnose(exercise.tag, namespace[exercise.name])
    assert diagnosis.status == "correct", diagnosis.message


@pytest.mark.parametrize("chapter, exercise", CODE_EXERCISES)
def test_stub_is_not_attempted(chapter, exercise, capsys):
    namespace = imports_of(chapter.number)
    capsys.readouterr()
    run_source(exercise.stub, namespace, f"stub {exercise.tag}")
    said = rf"Exercise {exercise.tag}: (not attempted yet|\d+ blanks? left)\."
    assert re.search(said, capsys.readouterr().out)
    assert diagnose(exercise.tag, namespace[exercise.name]).status == "unattempted"


@pytest.mark.parametrize("chapter, tag, attempt, fragment", WRONG_ANSWERS)
def test_wrong_answer_is_told_why(chapter, tag, attempt, fragment):
    if isinstance(attempt, str):
        namespace = imports_of(chapter)
        run_source(attempt, namespace, f"wrong answer to {tag}")
        attempt = namespace[last_function(attempt)]
    diagnosis = diagnose(tag, attempt)
    assert diagnosis.status == "wrong", f"accepted, but should fail with {fragment!r}"
    assert fragment and fragment in diagnosis.message
    assert diagnosis == diagnose(tag, attempt), "the message changes from call to call"


@pytest.mark.parametrize("chapter", CHECKED)
def test_three_wrong_answers_to_each_exercise(chapter):
    few = {tag for tag in checkers(chapter) if len(wrong_answers(chapter).get(tag, ())) < 3}
    assert not few, f"fewer than three wrong answers in tests/wrong_answers/chapter_{chapter}.py"
    strangers = wrong_answers(chapter).keys() - checkers(chapter).keys()
    assert not strangers, "wrong answers to exercises without a checker"


@pytest.mark.parametrize("number", sorted(chapters()))
def test_checkers_and_notebook_name_the_same_exercises(number):
    tags = [exercise.tag for exercise in chapters()[number].exercises()]
    assert sorted(tags) == sorted(set(tags)), "an exercise is checked in two cells"
    assert set(tags) == set(checkers(number))


# --- the framework


@pytest.fixture
def checker(monkeypatch):
    """Install a checker as exercise 99.1."""

    def install(function):
        monkeypatch.setattr(exercises, "checkers", lambda chapter: {"99.1": function})
        return lambda attempt: diagnose("99.1", attempt)

    return install


def check_double(attempt):
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    expect_close(attempt(x), 2 * x, on="two numbers", mistakes={"You squared.": x**2})
    expect_close(attempt(3 * x), 6 * x, on="two larger numbers")
    return "Twice as much."


def test_right_answer_gets_the_closing_sentence(checker):
    assert checker(check_double)(lambda x: 2 * x) == ("correct", "correct. Twice as much.")


def test_stubs_of_every_kind_are_unattempted(checker):
    def raises(x):
        raise NotImplementedError

    def half_done(x):
        factor = ...
        return factor * x

    ask = checker(check_double)
    for stub in (lambda x: ..., raises, half_done, None, ...):
        assert ask(stub).status == "unattempted"


@pytest.mark.parametrize(
    "body, status",
    [
        ("...", "unattempted"),
        ("pass", "unattempted"),
        ("return", "unattempted"),
        ("return None", "unattempted"),
        ("'Twice x.'\n    # Your code here.\n    ...", "unattempted"),
        ("'Twice x.'\n    result = 2 * x", "wrong"),
        ("x.sum()", "wrong"),
        ("if x.sum() < 0:\n        return x", "wrong"),
    ],
)
@pytest.mark.parametrize("where", ["cell", "nested", "no source"])
def test_a_forgotten_return_is_no_stub(checker, body, status, where):
    """Only the source tells one from the other: where there is none, it is a forgotten return."""
    lines, namespace = f"def double(x):\n    {body}\n", {}
    if where == "no source":
        exec(lines, namespace)
        status = "wrong"
    else:
        if where == "nested":
            lines = f"def outer():\n{textwrap.indent(lines, '    ')}    return double\n\n"
            lines += "double = outer()"
        run_source(lines, namespace, f"a stub, {where}")
    diagnosis = checker(check_double)(namespace["double"])
    assert diagnosis.status == status
    forgotten = "It returned None for x = the tensor [1, 2]: is `return` missing?"
    assert diagnosis.message.endswith(forgotten if status == "wrong" else "not attempted yet.")


def test_what_returns_none_without_a_definition_is_no_stub(checker):
    class Silent:
        def __call__(self, x):
            pass

    for attempt in (lambda x: None, Silent()):
        assert "It returned None for" in checker(check_double)(attempt).message


@pytest.mark.parametrize(
    "attempt, fragment",
    [
        (lambda x: x + 1, "On two numbers: entry [1] of the result should be 4, yours is 3"),
        (lambda x: x, "(2 of 2 entries differ)"),
        (lambda x: 2 * x[:1], "should have shape (2,), yours has (1,)"),
        (lambda x: 2 * x.float(), "should be float64, yours is float32"),
        (lambda x: x / 0, "yours is inf"),
        (lambda x: "2", "should be numbers in a tensor, yours is '2'"),
        (lambda x: 2 * x if x[0] == 1 else None, "It returned None for x = the tensor [3, 6]"),
        (lambda x: 1 / 0, "It raised ZeroDivisionError (division by zero) in its line 1, for x ="),
        (lambda x: x.mul_(2), "It changed its input `x`"),
        (lambda: 2, "Keep the arguments of the stub."),
        (3, "by its name without brackets, not 3"),
        (lambda x: [2 * x[0], torch.tensor(0)], "entry [1] of the result should be 4, yours is 0"),
    ],
)
def test_wrong_answers_are_described(checker, attempt, fragment):
    diagnosis = checker(check_double)(attempt)
    assert diagnosis.status == "wrong"
    assert fragment in diagnosis.message
    assert "Traceback" not in diagnosis.message


def test_a_known_mistake_is_recognised(checker):
    assert "You squared." in checker(check_double)(lambda x: x**2).message


def test_numbers_of_python_and_numpy_are_accepted(checker):
    ask = checker(check_double)
    assert ask(lambda x: (2 * x).tolist()).status == "correct"
    assert ask(lambda x: 2 * x.numpy()).status == "correct"


def test_an_input_inside_a_model_must_not_change(checker):
    class Model:
        num_states, num_actions, discount = 2, 1, 0.5

        def __init__(self):
            self.reward = torch.ones(2)

    def check_model(attempt):
        expect_shape(attempt(Model()), (2,), on="a model")

    def attempt(model):
        return model.reward.add_(1)

    ask = checker(check_model)
    assert "It changed its input `model.reward`" in ask(attempt).message
    message = ask(lambda model: 1 / 0).message
    assert "model = a model with 2 states, 1 actions and discount 0.5" in message


def test_in_place_calls_may_change_their_input(checker):
    def check_fill(attempt):
        x = torch.zeros(2)
        attempt.in_place(x)
        if not x.any():
            raise NotAttempted
        expect_true(x == 1, on="two zeros", what="every entry should be 1.", hint="Fill all.")

    ask = checker(check_fill)
    assert ask(lambda x: None).status == "unattempted"
    assert ask(lambda x: x.fill_(1)).status == "correct"
    assert ask(lambda x: x[:1].fill_(1)).message.endswith("every entry should be 1. Fill all.")


def test_a_checker_that_stumbles_does_not_raise(checker):
    diagnosis = checker(lambda attempt: attempt(1).values)(lambda x: x)
    assert diagnosis.status == "wrong"
    assert "It returned 1, which is not what is asked (AttributeError)" in diagnosis.message


def test_messages_hold_no_addresses(checker):
    def attempt(x):
        raise ValueError(object())

    assert re.search(r"0x\.\.\.", checker(check_double)(attempt).message)


def test_printed_lines(checker, capsys):
    checker(check_double)
    check_exercise("99.1", lambda x: ...)
    check_exercise("99.1", lambda x: 2 * x)
    assert capsys.readouterr().out == (
        "Exercise 99.1: not attempted yet.\nExercise 99.1: correct. Twice as much.\n"
    )


@pytest.mark.parametrize("tag", ["3.999", "98.1", "nonsense"])
def test_unknown_tag_is_the_authors_error(tag):
    with pytest.raises(ValueError, match="there is no code exercise"):
        check_exercise(tag, None)


def test_expect_close_shows_digits_that_differ():
    one = torch.tensor(1.0, dtype=torch.float64)
    with pytest.raises(WrongAnswer, match="the result should be 1.00000001, yours is 1"):
        expect_close(one, one + 1e-8, on="a number", rtol=0, atol=0)


def test_describe():
    assert describe(torch.zeros(3, 4)) == "a float32 tensor of shape (3, 4)"
    assert describe(np.array([[1.5]])) == "the array [[1.5]]"
    assert describe([1 / 3, None]) == "[0.333333, None]"
    assert describe(len) == "a function"
    assert describe({}) == "a dict"


# --- the reader of notebooks, tried on a made-up chapter


def test_exercises_are_found_in_a_notebook(tmp_path):
    solution = (
        "<details><summary>Solution to Exercise 3.3</summary>\n\n"
        "Words.\n\n```python\ndef f(x):\n    return x\n```\n\n</details>"
    )
    cells = [
        new_markdown_cell("# Title"),
        code("pip", tags=("install",)),
        code("import torch"),
        new_markdown_cell("*Figure 3.2.* A caption."),
        code("assert True", tags=("claim",)),
        code('def f(x):\n    ...\n\ncheck_exercise("3.3", f)'),
        new_markdown_cell(solution),
    ]
    chapter = Notebook.read(write(make_notebook(cells), tmp_path))
    assert chapter.number == "03"
    assert chapter.import_cell().source == "import torch"
    assert chapter.figure_above(4) == "3.2"
    (exercise,) = chapter.exercises()
    assert (exercise.tag, exercise.name) == ("3.3", "f")
    assert exercise.solution == "def f(x):\n    return x\n"


def two_blanks(x, done):
    y = 1 if ... else x[..., 0]
    return y + ...


def no_blank(x, done):
    return x[..., 0]


def all_blank(x): ...


def one_blank(x):
    return max(x, ...)


def test_blanks_are_counted(checker):
    assert [exercises.blanks_of(f) for f in (two_blanks, no_blank, all_blank, one_blank)] == [
        *(2, 0, 0, 1)
    ]
    assert exercises.blanks_of(max) == exercises.blanks_of(3) == 0
    judge = checker(check_double)
    assert judge(two_blanks).message == "2 blanks left."
    assert judge(one_blank) == ("unattempted", "1 blank left.")


# --- chapter 3: a program that lists 2^100 policies


def test_a_program_that_never_ends_is_stopped(monkeypatch):
    """It counts in a small model by the book, and in a large one policy by policy."""
    monkeypatch.setattr(chapter_03, "PATIENCE", 0.2)
    namespace = imports_of("03")
    run_source(next(e.values[1].solution for e in CODE_EXERCISES if e.id == "3.4"), namespace, "")

    def count_optimal_policies(mdp):
        number = 0
        while mdp.num_states > 11 and number < 2**mdp.num_states:
            number += 1
        return number or namespace["count_optimal_policies"](mdp)

    diagnosis = diagnose("3.4", count_optimal_policies)
    assert diagnosis.status == "wrong"
    assert "There are 2^100 policies, too many to list" in diagnosis.message
