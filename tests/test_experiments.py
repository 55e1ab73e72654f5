"""Stored experiments are what their source computes today; the machinery that stores them."""

import ast
import importlib
import itertools
import json
import os
import re
import signal
import sys
import time
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import rlbook
import rlbook.book.experiments as package
from rlbook.book.chapters import PLACES, label_of
from rlbook.book.experiments import Experiment, differences, experiments, load, stale, store
from rlbook.book.experiments.command_line import main
from rlbook.book.experiments.short_runs import in_batches, interrupted_after, learning_envs
from rlbook.book.experiments.sources import hash_of as hash_of_experiment
from rlbook.book.experiments.sources import reached
from rlbook.book.paths import DATA
from rlbook.deep.parts.envs.native import ControlEnvs
from rlbook.ground.sources import WHOLE, Source, module_path, resolve, words

CHAPTERS = sorted(
    path.stem.removeprefix("chapter_")
    for path in DATA.parents[1].glob("rlbook/book/experiments/chapter_*.py")
)
ALL = {f"{chapter}_{key}": e for chapter in CHAPTERS for key, e in experiments(chapter).items()}
FIELDS = {
    *("command", "config", "source_sha256", "arrays", "data_sha256"),
    *("machine", "versions", "date", "seconds"),
}


# --- the experiments of the book


@pytest.mark.parametrize("name", sorted(ALL))
def test_stored_experiment_is_not_stale(name):
    assert stale(name, ALL[name]) is None


@pytest.mark.parametrize("name", sorted(ALL))
def test_recipe_is_complete(name):
    arrays, recipe = load(name)
    assert recipe.keys() == FIELDS
    assert recipe["machine"].keys() >= {"cpu", "cores"}
    assert recipe["versions"].keys() == {"python", "torch", "numpy"}
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", recipe["date"])
    assert recipe["arrays"] == {k: [str(x.dtype), list(x.shape)] for k, x in arrays.items()}
    assert (DATA / f"{name}.npz").stat().st_size < 1_000_000, "store less: the book is cloned"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ALL))
def test_short_run_gives_the_stored_numbers(name):
    assert differences(load(name).arrays, ALL[name]) == []


def test_every_stored_file_belongs_to_an_experiment():
    stems = {path.stem for path in DATA.glob("*")}
    assert {stem for stem in stems if label_of(stem) in PLACES} <= ALL.keys()


def test_a_short_run_is_interrupted_by_the_call_after_its_last():
    double = interrupted_after(2, lambda x, *, times=2: times * x)
    assert [double(1), double(2, times=3)] == [2, 6]
    with pytest.raises(KeyboardInterrupt):
        double(3)
    assert interrupted_after(None, abs) is abs


def test_runs_are_trained_some_at_a_time():
    assert in_batches(5, 2) == [[0, 1], [2, 3], [4]] and in_batches(2, 20) == [[0, 1]]


@pytest.mark.parametrize("counted", ["steps", "resets", None])
def test_environments_are_interrupted_after_so_many_calls(counted):
    settings, once = SimpleNamespace(num_envs=2), {counted: 1} if counted else {}
    envs = learning_envs("CartPole-v1", settings, [0], 0, ControlEnvs, **once)
    for name in ("reset", "step"):
        arguments = (torch.zeros(1, 2, dtype=torch.int64),) if name == "step" else ()
        getattr(envs, name)(*arguments)
        if f"{name}s" != counted:
            getattr(envs, name)(*arguments)
        else:
            with pytest.raises(KeyboardInterrupt):
                getattr(envs, name)(*arguments)


# --- the machinery, tried on a made-up chapter

FORMULA = '''"""A formula."""


def square(x):
    """x^2."""
    return x * x  # a comment
'''
CHAPTER = """
import numpy as np
from formula import square
from rlbook.ground.seeding import generator
from rlbook.book.experiments import Experiment


def run(config, progress):
    rows = [np.random.default_rng([0, k]).normal(size=config["steps"])
            for k in progress(range(config["runs"]))]
    return {"squares": square(np.stack(rows)), "seconds": np.random.rand(2)}


EXPERIMENTS = {
    "squares": Experiment(run, {"runs": 4, "steps": 6}, {"runs": 2, "steps": 3},
                          depends=("formula",), measured=("seconds",)),
}
"""


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A chapter 99 with one experiment; returns the function that reads it afresh."""
    (tmp_path / "formula.py").write_text(FORMULA)
    (tmp_path / "made_up_chapter.py").write_text(CHAPTER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RLBOOK_QUIET", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def read() -> dict[str, Experiment]:
        for name in ("formula", "made_up_chapter"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module("made_up_chapter").EXPERIMENTS

    monkeypatch.setattr(
        "rlbook.book.experiments.command_line.experiments",
        lambda chapter: read() if chapter == "99" else {},
    )
    yield read
    for name in ("formula", "made_up_chapter"):
        sys.modules.pop(name, None)


def test_store_and_load(made_up, tmp_path):
    experiment = made_up()["squares"]
    stored = store("99_squares", experiment, tmp_path)
    loaded = load("99_squares", tmp_path)
    np.testing.assert_array_equal(loaded.arrays["squares"], stored.arrays["squares"])
    assert loaded.recipe == json.loads((tmp_path / "99_squares.json").read_text())
    assert loaded.recipe.keys() == FIELDS
    assert loaded.recipe["command"] == "python -m rlbook.book experiments 99 --only squares"
    assert stale("99_squares", experiment, tmp_path) is None
    assert differences(loaded.arrays, experiment) == []


def test_bytes_depend_on_the_arrays_only(made_up, tmp_path, monkeypatch):
    arrays = {"b": np.arange(6.0).reshape(2, 3).T, "a": np.float64(3)}
    first = package._npz(arrays)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert first == package._npz(dict(reversed(arrays.items())))
    (tmp_path / "x.npz").write_bytes(first)
    with np.load(tmp_path / "x.npz") as read:
        np.testing.assert_array_equal(read["b"], arrays["b"])
        assert read["a"] == 3 and read["a"].shape == ()


def test_an_edited_formula_is_stale_and_an_edited_comment_is_not(made_up, tmp_path):
    store("99_squares", made_up()["squares"], tmp_path)
    formula = tmp_path / "formula.py"
    formula.write_text(FORMULA.replace("a comment", "another").replace("x^2", "x times x"))
    assert stale("99_squares", made_up()["squares"], tmp_path) is None
    formula.write_text(FORMULA.replace("x * x", "x * x + 1"))
    experiment = made_up()["squares"]
    message = stale("99_squares", experiment, tmp_path)
    assert message.startswith("the source under 99_squares has changed")
    assert message.endswith("run python -m rlbook.book experiments 99 --only squares")
    assert differences(load("99_squares", tmp_path).arrays, experiment) == [
        "squares: differs by up to 1"
    ]


def test_changed_config_and_changed_numbers_are_noticed(made_up, tmp_path):
    experiment = made_up()["squares"]
    stored = store("99_squares", experiment, tmp_path)
    changed = Experiment(experiment.run, {"runs": 5, "steps": 6}, {}, ("formula",))
    assert "the config of 99_squares has changed" in stale("99_squares", changed, tmp_path)
    stored.arrays["squares"][1, 2] += 1e-6
    assert differences(stored.arrays, experiment) == ["squares: differs by up to 1e-06"]
    stored.arrays["squares"] = stored.arrays["squares"][:1]
    assert "stored (1, 3), recomputed (2, 3)" in differences(stored.arrays, experiment)[0]
    (tmp_path / "99_squares.npz").write_bytes(package._npz(stored.arrays))
    with pytest.raises(ValueError, match="not what 99_squares.json describes"):
        load("99_squares", tmp_path)
    with pytest.raises(
        FileNotFoundError, match="run python -m rlbook.book experiments 98 --only x"
    ):
        load("98_x", tmp_path)


def test_only_what_floating_point_determines_is_compared_number_by_number():
    first = lambda arrays: {"x": arrays["x"][:1]}  # noqa: E731
    rises = lambda _, got: [] if got["x"][-1] > got["x"][0] else ["x does not rise"]  # noqa: E731
    run = lambda config, progress: {"x": config["x"]}  # noqa: E731
    stored = {"x": np.array([1.0, 2.0])}
    for x, found in [
        ([1.0, 3.0], []),
        ([1.5, 3.0], ["x: differs by up to 0.5"]),
        ([1.0, 0.0], ["x does not rise"]),
        ([1.5, 0.0], ["x does not rise", "x: differs by up to 0.5"]),
    ]:
        experiment = Experiment(run, {"x": x}, {}, determined=first, claim=rises)
        assert differences(stored, experiment) == found


def flipped(arrays: dict) -> dict:
    return {k: x[:, ::-1] if x.ndim > 1 and len(x) > 1 else x for k, x in arrays.items()}


@pytest.mark.parametrize(
    ("name", "breaks", "said"),
    [
        ("05_mazes", lambda a: {"sweeps": a["sweeps"] + [[[2]], [[0]], [[0]]]}, "value iteration"),
        ("05_mazes", lambda a: {"sweeps": a["sweeps"] + [[[0]], [[22]], [[0]]]}, "modified"),
        ("05_mazes", lambda a: {"sweeps": a["sweeps"] + [[[0]], [[0]], [[99]]]}, "a fifth"),
        ("15_line_search", lambda a: {"kl": a["kl"][:, ::-1]}, "leaves the trust region"),
        ("15_line_search", lambda a: {"kl": 0.1 * a["kl"]}, "no update leaves"),
        ("15_line_search", lambda a: {"returns": a["returns"] * 0 + 20}, "not twice"),
        ("16_four_agents", flipped, "more than half"),
    ],
)
def test_a_claim_of_a_short_run_can_fail(name, breaks, said):
    """On the stored numbers, and on what makes them false."""
    claim, arrays = ALL[name].claim, dict(load(name).arrays)
    if name == "15_line_search":  # the short run has its first radius
        arrays = {"kl": arrays["kl"][:1], "returns": arrays["returns"][:1]}
    assert claim(arrays, arrays) == []
    assert any(said in line for line in claim(arrays, arrays | breaks(arrays)))


def names(source: str, definition: str) -> set[tuple[str, str]]:
    read = Source(ast.parse(source))
    return {
        resolve(target) for node in read.nodes(definition) for target in read.mentions("here", node)
    }


def test_names_are_followed_to_what_they_stand_for():
    source = """
from rlbook.ground import masking
from rlbook.ground.masking import masked_mean as mean
import numpy as np
LIMIT = 3
def f(x): return masking.mean_per_run(x) + g(x)
def g(x): return mean(x, LIMIT) + np.sum(x)
def h(x): return other
"""
    masked_mean = ("rlbook.ground.masking", "masked_mean")
    assert names(source, "f") == {("rlbook.ground.masking", "mean_per_run"), ("here", "g")}
    assert names(source, "g") == {masked_mean, ("here", "LIMIT"), ("numpy", "sum")}
    assert names(source, "h") == set()
    assert names(source, "not_there") >= names(source, "g")  # then all of the module counts


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("from rlbook.planning import MDP as f", ("rlbook.planning.mdp", "MDP")),
        ("from rlbook.ground import generator as f", ("rlbook.ground.seeding", "generator")),
        ("from rlbook.language import Reviews as f", ("rlbook.language.tasks.reviews", "Reviews")),
        (
            "from rlbook.planning import car_rental as f",
            ("rlbook.planning.car_rental", "car_rental"),
        ),
        ("from rlbook.formulas import returns as f", ("rlbook.formulas.returns", WHOLE)),
        ("from rlbook.deep import ppo as f", ("rlbook.deep.ppo", WHOLE)),
    ],
)
def test_names_are_followed_through_faces(line, target):
    assert names(f"{line}\ndef g(x): return f", "g") == {target}


def test_a_name_of_a_module_is_followed_through_its_face():
    source = "from rlbook import planning\ndef f(x): return planning.value_iteration(x)"
    home = "rlbook.planning.dynamic_programming"
    assert names(source, "f") == {(home, "value_iteration")}


def test_statements_that_define_nothing_count_and_docstrings_do_not():
    read = Source(ast.parse('"""Words."""\nimport os\nX = {}\nX["a"] = 1\nX.update(b=2)\nY = 1\n'))
    assert len(read.nodes("X")) == 3 and len(read.nodes("Y")) == 1
    read = Source(ast.parse("Y = 1\nimport torch\ntorch.use_float64()\n"))
    assert len(read.nodes("Y")) == 2  # a setting bears on everything
    one = ast.parse('def f(x):\n    """More."""\n    return (x +\n    1)  # add\n')
    assert words(one) == words(ast.parse("def f(x): return x + 1\n"))
    assert words(one) != words(ast.parse("def f(x): return x + 2\n"))
    assert words(one) == words(ast.parse("def f(x):\n    from a import b\n    return x + 1\n"))


def test_what_a_stored_experiment_reaches():
    taxi = reached(ALL["09_taxi"])
    assert ("rlbook.tabular.control_loop", "ControlLoop") in taxi
    assert ("rlbook.ground.seeding", "generator") in taxi
    assert not {name for module, name in taxi if module == "rlbook.ground.masking"}
    assert ("rlbook.ground.statistics", "interquartile_mean") not in taxi


RUN = "def run(config, progress):\n    return double(config)\n"
DOUBLE = "def double(x):\n    return square(x) + square(x)\n"
SQUARE = "def square(x):\n    return x * x\n"


@pytest.fixture
def hash_of(tmp_path, monkeypatch):
    """hash_of(chapter=..., name=...): the hash of `run` in made-up modules of rlbook."""
    monkeypatch.setattr(rlbook, "__path__", [*rlbook.__path__, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before, numbers = set(sys.modules), itertools.count()

    def write(**modules: str) -> str:
        one = f"chapter_{next(numbers)}"  # a name is read once
        for name, text in {one: modules.pop("chapter"), **modules}.items():
            (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        run = importlib.import_module(f"rlbook.{one}").run
        return hash_of_experiment(SimpleNamespace(run=run, depends=()))

    yield write
    for name in set(sys.modules) - before:
        sys.modules.pop(name)


def test_moving_a_definition_leaves_the_hash_alone(hash_of):
    together = hash_of(chapter=f"from rlbook.a1 import double\n{RUN}", a1=DOUBLE + SQUARE)
    apart = hash_of(
        chapter=f"from rlbook.b1 import double\n{RUN}",
        b1=f"from rlbook.b2 import square\n{DOUBLE}",
        b2=SQUARE,
    )
    handed_on = hash_of(
        chapter=f"from rlbook.c1 import double\n{RUN}",
        c1="from rlbook.b1 import double\n__all__ = ['double']\n",
    )
    assert together == apart == handed_on
    edited = hash_of(
        chapter=f"from rlbook.d1 import double\n{RUN}",
        d1=f"from rlbook.d2 import square\n{DOUBLE}",
        d2=SQUARE.replace("x * x", "x * x * x"),
    )
    assert edited != together


def test_which_of_two_namesakes_is_meant_enters_the_hash(hash_of):
    run = "def run(config, progress):\n    return f(config), g(config)\n"
    f, g = "def f(x):\n    return square(x)\n", "def g(x):\n    return square(x)\n"
    cube = SQUARE.replace("x * x", "x * x * x")
    imports = "from rlbook.{0}1 import f\nfrom rlbook.{0}2 import g\n"
    right = hash_of(chapter=imports.format("e") + run, e1=f + SQUARE, e2=g + cube)
    swapped = hash_of(chapter=imports.format("h") + run, h1=f + cube, h2=g + SQUARE)
    assert right != swapped


def test_unknown_dependency_is_named(made_up):
    experiment = Experiment(made_up()["squares"].run, {}, {}, depends=("rlbook.nowhere",))
    with pytest.raises(ValueError, match="module rlbook.nowhere is in no file"):
        hash_of_experiment(experiment)


@pytest.mark.parametrize(
    ("file", "found"), [("script.py", True), ("<stdin>", False), (None, False)]
)
def test_the_file_of_what_runs(tmp_path, monkeypatch, file, found):
    """A script has one; a notebook has none."""
    main = SimpleNamespace(__spec__=None, **({"__file__": str(tmp_path / file)} if file else {}))
    monkeypatch.setitem(sys.modules, "__main__", main)
    (tmp_path / "script.py").write_text("")
    if found:
        assert module_path("__main__") == tmp_path / "script.py"
    else:
        with pytest.raises(ValueError, match="module __main__ is in no file"):
            module_path("__main__")


def test_command_line(made_up, tmp_path, capsys):
    assert main(["99"], tmp_path) == 0
    assert "99_squares: stored after" in capsys.readouterr().out
    assert main(["99", "--only", "squares"], tmp_path) == 0
    assert capsys.readouterr().out == "99_squares: up to date\n"
    for wrong in (["99", "--only", "x"], ["98"]):
        with pytest.raises(SystemExit):
            main(wrong, tmp_path)


def test_interruption_keeps_what_was_stored(made_up, tmp_path, capsys, monkeypatch):
    store("99_squares", made_up()["squares"], tmp_path)
    before = (tmp_path / "99_squares.npz").read_bytes()

    def run(config, progress):
        with suppress(KeyboardInterrupt):  # as the planners do, which then return early
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        return {"squares": [0.0]}

    experiment = Experiment(run, {}, {})
    monkeypatch.setattr(
        "rlbook.book.experiments.command_line.experiments", lambda _: {"squares": experiment}
    )
    assert main(["99", "--again"], tmp_path) == 130
    assert "interrupted; what was stored before is kept" in capsys.readouterr().out
    assert (tmp_path / "99_squares.npz").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_arrays_of_nothing_or_of_objects_are_refused():
    for value in ([], [None]):
        experiment = Experiment(lambda config, progress, value=value: {"x": value}, {}, {})
        with pytest.raises(ValueError, match="array 'x' has dtype"):
            package.compute(experiment)
