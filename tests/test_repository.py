"""What a code host and an author's tools read: citation, issue forms, hooks, spelling."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from rlbook.book.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
FIELDS = {"input", "textarea", "dropdown", "checkboxes", "markdown"}


def read_yaml(name: str | Path):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


# ---------------------------------------------------------------- citation


def bibtex() -> dict[str, str]:
    """The fields of the README's entry, without braces."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    entry = re.search(r"```bibtex\n(.*?)```", text, re.DOTALL)[1]
    return {name: value.strip("{}") for name, value in re.findall(r"(\w+)\s*= (\{.*\})", entry)}


def test_the_citation_agrees_with_the_readme_and_the_package():
    cited, wanted = read_yaml("CITATION.cff"), bibtex()
    book = cited["preferred-citation"]
    assert {"cff-version", "message", "title", "authors"} <= cited.keys(), "CFF 1.2.0 asks for them"
    assert {"type", "title", "authors"} <= book.keys(), "so does a preferred citation"
    assert (cited["cff-version"], cited["type"]) == ("1.2.0", "software")
    assert (str(cited["version"]), cited["license"]) == (PROJECT["version"], PROJECT["license"])
    assert cited["title"] == book["title"] == wanted["title"]
    assert cited["authors"] == book["authors"] == [{"name": wanted["author"]}]
    assert (str(book["year"]), book["notes"]) == (wanted["year"], wanted["note"])
    assert wanted["note"] == f"Version {PROJECT['version']}"


# ---------------------------------------------------------------- issue forms


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_forms_have_the_keys_that_the_host_asks_for(path):
    form = read_yaml(path)
    if path.stem == "config":
        assert form.keys() <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= form.keys()
    questions = [field for field in form["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in form["body"]} <= FIELDS and questions
    ids = [field["id"] for field in questions]
    assert len(set(ids)) == len(ids)
    for field in questions:
        assert field["attributes"]["label"] and set(field["validations"]) == {"required"}
        assert field["type"] != "dropdown" or field["attributes"]["options"]


def test_there_are_two_forms():
    assert {path.stem for path in FORMS} == {"wrong_statement", "environment", "config"}


# ---------------------------------------------------------------- hooks


def test_hooks_are_local_and_in_continuous_integration():
    """Local ones run what pip installed: no second list of versions."""
    (repo,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert repo["repo"] == "local"
    hooks = {hook["id"]: hook for hook in repo["hooks"]}
    assert set(hooks) == {"ruff-check", "ruff-format", "mypy", "notebooks", "codespell"}
    assert {hook["language"] for hook in hooks.values()} == {"system"}
    integration = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for hook in hooks.values():
        assert hook["entry"].removesuffix(" --force-exclude") in integration, hook["id"]
    assert hooks["notebooks"]["entry"].split()[-1] in COMMANDS
    for hook, file in (
        ("notebooks", "notebooks/03_bellman_equations.ipynb"),
        ("mypy", "rlbook/a.py"),
    ):
        files = re.compile(hooks[hook]["files"])
        assert files.search(file) and not files.search("a.ipynb")
    assert hooks["mypy"]["pass_filenames"] is False  # pyproject.toml says which files


@pytest.mark.skipif(not shutil.which("codespell"), reason="codespell comes with the extra `test`")
def test_words_are_spelled_right(tmp_path):
    pages = [path.name for path in ROOT.glob("*.[mt]*")]  # an environment may lie beside them
    command = ["codespell", "rlbook", "tests", "notebooks", ".github", ".ci", *pages]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stdout
    (tmp_path / "planted.ipynb").write_text('"the ad' + 'ress\\n",', encoding="utf-8")
    settings = ["--toml", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        ["codespell", *settings, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode and "ad" + "ress ==> address" in done.stdout
