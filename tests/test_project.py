"""The project's files agree with each other, and say nothing of the machine they came from."""

import ast
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from rlbook.book.chapters import notebooks
from rlbook.book.publish.launch import LAUNCH, address, read, readme_launch, synchronise, to_text

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "rlbook").rglob("*.py"))
NOTEBOOKS = notebooks(ROOT / "notebooks")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}  # what differs
MAX_MODULE_LINES, MAX_FUNCTION_LINES = 400, 60
IGNORED = re.compile(r"#\s*type:\s*ignore(\[[\w, -]+\])?")
MAX_IGNORED = 20


# ---------------------------------------------------------------- two lists of packages


def bounds(requirements: list[str]) -> dict[str, SpecifierSet]:
    parsed = [Requirement(text) for text in requirements]
    names = (CONDA_NAMES.get(one.name, canonicalize_name(one.name)) for one in parsed)
    return dict(zip(names, (one.specifier for one in parsed), strict=True))


def test_environment_yml_agrees_with_pyproject():
    listed = [line for line in ENVIRONMENT["dependencies"] if isinstance(line, str)]
    conda = bounds([line for line in listed if not re.match(r"(python|pip)\b", line)])
    assert conda == bounds(PYPROJECT["project"]["dependencies"] + EXTRAS["lab"])


def test_every_package_has_a_lower_and_an_upper_bound():
    listed = [*PYPROJECT["project"]["dependencies"], *chain(*EXTRAS.values())]
    operators = {
        name: sorted(one.operator for one in found)
        for name, found in bounds(listed).items()
        if name != "rlbook"
    }
    assert operators == dict.fromkeys(operators, ["<", ">="])


def test_constraints_are_exact_and_within_the_bounds():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    locked = bounds([line for line in lines if not line.startswith("#")])
    assert {len(found) for found in locked.values()} == {1}
    assert {one.operator for found in locked.values() for one in found} == {"=="}
    wanted = bounds(PYPROJECT["project"]["dependencies"] + EXTRAS["lab"] + EXTRAS["test"])
    for name in wanted.keys() - {"rlbook"}:
        (one,) = locked[canonicalize_name(name)]
        assert wanted[name].contains(one.version), f"{name} {one.version}, not {wanted[name]}"


def test_continuous_integration_tests_the_lowest_versions():
    """All but torch's in every run; torch's with Colab's versions, in `.ci/run all`."""
    lines = run_python(".ci/bounds.py", "lowest").splitlines()
    colab = (ROOT / ".ci" / "colab.txt").read_text(encoding="utf-8").splitlines()
    tested = bounds([*lines, *(line for line in colab if line.startswith("torch"))])
    wanted = bounds(PYPROJECT["project"]["dependencies"] + EXTRAS["lab"] + EXTRAS["test"])
    for name in wanted.keys() - {"rlbook"}:
        lowest = next(one.version for one in wanted[name] if one.operator == ">=")
        assert tested[name] == SpecifierSet(f"=={lowest}")


def run_python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_environment_yml_installs_the_book():
    assert ENVIRONMENT["channels"] == ["conda-forge"]
    assert {"pip": ["-e ."]} in ENVIRONMENT["dependencies"]
    python = [str(line) for line in ENVIRONMENT["dependencies"] if str(line).startswith("python=")]
    assert len(python) == 1
    wanted = SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert wanted.contains(python[0].removeprefix("python="))


def test_other_bounds_differ():
    assert bounds(["pytorch>=2.6"]) != bounds(["torch>=2.7"])
    assert bounds(["pytorch>=2.6,<2.14"]) == bounds(["torch<2.14,>=2.6"])


def test_every_package_is_installed_by_setuptools():
    folders = {path.parent for path in MODULES}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    setuptools = PYPROJECT["tool"]["setuptools"]
    assert names | {"rlbook.data"} == set(setuptools["packages"])
    assert setuptools["package-dir"] == {"rlbook.data": "figures/data"}  # what `load` reads


# ---------------------------------------------------------------- the address


def test_readme_launches_from_the_address():
    found = LAUNCH.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found == [readme_launch(address())], "run python -m rlbook.book address"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_launches_from_the_address(path):
    notebook = read(path)
    before = to_text(notebook)
    synchronise(notebook, path.name, address())
    assert to_text(notebook) == before, "run python -m rlbook.book address"


# ---------------------------------------------------------------- nothing of this machine

FORBIDDEN = {  # written in pieces, so that this file may be searched too
    "a path of one machine": re.compile("/(?:wo" + "rk|ro" + r"ot)/"),
    "a package host": re.compile("py" + "pi|python" + "hosted|/op" + "t/"),
}


def machine_words(text: str) -> list[str]:
    return [f"{name}: {word}" for name, words in FORBIDDEN.items() for word in words.findall(text)]


def test_no_tracked_file_names_a_machine():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git repository")
    found = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and (words := machine_words(path.read_bytes().decode("utf-8", "ignore"))):
            found[name] = words
    assert not found


def test_machine_words_are_found():
    assert machine_words("in /ro" + "ot/x and https://py" + "pi.org") == [
        "a path of one machine: /ro" + "ot/",
        "a package host: py" + "pi",
    ]


# ---------------------------------------------------------------- short modules


def too_long(name: str, source: str) -> list[str]:
    """The module and the functions above the limits; docstrings of functions do not count."""
    found = []
    if (lines := source.count("\n")) > MAX_MODULE_LINES:
        found.append((name, lines))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            if lines > MAX_FUNCTION_LINES:
                found.append((f"{name}:{node.name}", lines))
    return [f"{what} has {lines} lines" for what, lines in found]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_are_short(path):
    name = str(path.relative_to(ROOT / "rlbook"))
    assert not too_long(name, path.read_text(encoding="utf-8"))


def test_long_ones_are_found():
    function = 'def f():\n    """One.\n\n    Two.\n    """\n' + "    x = 1\n" * 60
    assert too_long("m.py", function) == ["m.py:f has 61 lines"]
    assert too_long("m.py", "x = 1\n" * 401) == ["m.py has 401 lines"]


# ---------------------------------------------------------------- types


def ignored(source: str) -> list[str]:
    """The codes of the errors that a module has mypy overlook, "" where it does not say which."""
    return [match[1] or "" for match in IGNORED.finditer(source)]


def test_mypy_overlooks_little():
    found = [code for path in MODULES for code in ignored(path.read_text(encoding="utf-8"))]
    assert len(found) <= MAX_IGNORED and all(found)


def test_what_mypy_overlooks_is_found():
    lines = "x = 1  # type: ignore\ny = 2  # type: ignore[arg-type, misc]  # why\n"
    assert ignored(lines) == ["", "[arg-type, misc]"]


def test_mypy_reads_the_whole_package():
    settings = PYPROJECT["tool"]["mypy"]
    assert settings["files"] == ["rlbook"] and settings["check_untyped_defs"]
    assert settings.keys() == {"files", "check_untyped_defs", "overrides"}
    (untyped,) = settings["overrides"]
    assert untyped == {"module": ["scipy.*", "tqdm.*"], "ignore_missing_imports": True}
