"""The house: imports run down its floors, and each room has a face that hands names on."""

import ast
import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rlbook.book.__main__ import OF_THE_LAB, main

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rlbook"
FACES = sorted(path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)
HOLD_MORE = {"book/exercises", "book/experiments"}  # packages of their own, not faces of rooms
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]


def name_of(face: Path) -> str:
    return ".".join(face.parent.relative_to(ROOT).parts)


# ---------------------------------------------------------------- floors


LINT = """
import sys
from importlinter import cli
sys.path.insert(0, "")
sys.exit(cli.lint_imports(config_filename=sys.argv[1], no_cache=True))
"""


def lint(root: Path) -> subprocess.CompletedProcess:
    """What import-linter says of the package in `root`, by the contracts of its pyproject.toml."""
    command = [sys.executable, "-c", LINT, "pyproject.toml"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def test_imports_run_down_the_floors():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("ground/masking", "import rlbook.formulas.returns", "Floors"),
        ("formulas/returns", "from rlbook.planning import MDP", "Floors"),
        ("deep/parts/config", "def late():\n    from rlbook.planning.mdp import MDP", "Floors"),
        ("language/loop", "from rlbook.planning import mdp", "Floors"),
        ("planning/mdp", "from rlbook.tabular.tasks import TabularTask", "Floors"),
        ("tabular/tasks", "from rlbook.book import check", "Floors"),
        ("deep/ppo", "from rlbook.deep import dqn", "Agents"),
        ("deep/trpo", "from rlbook.deep.actor_critic import train", "Agents"),
        ("planning/kernels", "from rlbook.planning.mdp import MDP", "No circles"),
        ("deep/parts/config", "from rlbook.deep.parts.training import Training", "No circles"),
    ],
)
def test_an_upward_import_is_found(tmp_path, module, line, broken):
    shutil.copytree(PACKAGE, tmp_path / "rlbook", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "rlbook" / f"{module}.py"
    path.write_text(f"{path.read_text('utf-8')}\n{line}\n", encoding="utf-8")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{broken} BROKEN" in done.stdout.splitlines(), done.stdout


def test_every_folder_stands_on_a_floor():
    floors = LINTER["contracts"][0]["layers"]
    rooms = {room.strip() for floor in floors for room in floor.split("|")}
    assert rooms == {f"rlbook.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")}


# ---------------------------------------------------------------- faces


def surplus(source: str) -> list[str]:
    """What a face holds beside a docstring, imports and __all__."""
    lazy = "__getattr__, __dir__ = lazy(__name__)"
    found = []
    for node in ast.parse(source).body:
        names = [ast.unparse(target) for target in getattr(node, "targets", ())]
        inside = node.body if isinstance(node, ast.If) else [node]
        imports = all(isinstance(one, ast.Import | ast.ImportFrom) for one in inside)
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (imports or docstring or names == ["__all__"] or ast.unparse(node) == lazy):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("face", FACES, ids=name_of)
def test_a_face_holds_imports_only_and_hands_on_all_that_it_lists(face):
    module = importlib.import_module(name_of(face))
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None
    if str(face.parent.relative_to(PACKAGE)) not in HOLD_MORE:
        assert surplus(face.read_text("utf-8")) == []


def test_what_a_face_should_not_hold_is_found():
    assert surplus('"""Words."""\nimport a\n__all__ = []\nx = 1\ndef f(): ...') == [
        "x = 1",
        "def f():\n    ...",
    ]


@pytest.mark.parametrize("room", ["ground", "language"])
def test_a_lazy_face_hides_no_module(room):
    """A name that is also a module's would be the module once that has been imported."""
    module = importlib.import_module(f"rlbook.{room}")
    assert not set(module.__all__) & {found.name for found in pkgutil.iter_modules(module.__path__)}
    with pytest.raises(AttributeError, match=f"module 'rlbook.{room}' has no attribute 'nobody'"):
        _ = module.nobody
    assert set(module.__all__) <= set(dir(module))


def test_the_face_of_language_does_not_import_transformers():
    source = "import sys, rlbook.language.tasks; assert 'transformers' not in sys.modules"
    source += "; from rlbook.language import LanguageModel; assert 'transformers' in sys.modules"
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- an installed copy


@pytest.mark.slow
def test_every_module_of_a_wheel_can_be_imported(tmp_path):
    """The packages that rlbook needs are borrowed from here; rlbook itself is only the wheel, and
    those of its extras count as missing."""
    book = tmp_path / "book"
    book.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, book)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, book / "rlbook", ignore=ignore)
    shutil.copytree(ROOT / "figures" / "data", book / "figures" / "data")
    pip = [sys.executable, "-m", "pip"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path), str(book)]
    quiet = {"env": {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}, "check": True}
    subprocess.run([*pip, *build], **quiet)  # pip warns of itself
    (wheel,) = tmp_path.glob("rlbook-*.whl")
    target = tmp_path / "site"
    install = ["install", "--no-deps", "-q", "--target", str(target), str(wheel)]
    subprocess.run([*pip, *install], **quiet)
    assert (target / "rlbook" / "py.typed").is_file()  # its types are for others, too
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(target), "jupyterlab", *OF_THE_LAB],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_a_command_says_what_it_needs(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbconvert", None)
    monkeypatch.setitem(sys.modules, "nbformat", None)
    assert main(["html"]) == 1 and main(["index"]) == 1
    assert "html needs nbconvert: pip install" in (said := capsys.readouterr().err)
    assert "index needs nbformat: pip install" in said
    assert main(["publish"]) == 2 and "no command publish" in capsys.readouterr().err
    assert main([]) == 0 and "execute" in capsys.readouterr().out


IMPORT_ALL = """
import importlib, pathlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    sys.modules[name] = None  # as if it were not there
import rlbook
assert pathlib.Path(rlbook.__file__).is_relative_to(sys.argv[1]), rlbook.__file__
names = [found.name for found in pkgutil.walk_packages(rlbook.__path__, "rlbook.")]
assert len(names) > 100, names
for name in names:
    importlib.import_module(name)
from rlbook.book import load
load("09_taxi")
"""
