"""What README.md and CONTRIBUTING.md say is true: the code runs, links lead somewhere, the numbers
are ours."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from road_rules import OLD_FORM, REFERENCES

from rlbook.book.__main__ import COMMANDS
from rlbook.book.chapters import CHAPTERS, label_of
from rlbook.book.publish.road import BOX

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = [pytest.param(README, id="README"), pytest.param(CONTRIBUTING, id="CONTRIBUTING")]
BOTH = README + CONTRIBUTING
ROW = re.compile(
    r"^\| \[(?P<number>\w+) (?P<name>[^\]]*)\]\((?P<path>[^)]+)\) \|"
    r" (?P<read>\d+ min|\d+ · \d+ · \d+) \| (?P<run>\d+) s \|(?P<result>.*)\|$",
    re.MULTILINE,
)
TIME = re.compile(r"\*\*Time\*\*: (?P<read>\d+) minutes to read, (?:about )?(?P<run>\d+) seconds")
ROWS = [pytest.param(match, id=match["number"]) for match in ROW.finditer(README)]
ROUNDED = {  # chapter: what its row says, and of what its notebook prints this is the rounding
    "04": {"0.54": "V*(start) = 0.542026"},
    "06": {"-21": "epsilon = 0.1: best -20.71", "-51": "epsilon-greedy for Q* -50.80"},
    "08": {
        **{"0.27": "n =   4: 0.269 at step", "0.35": "n =   1: 0.347 at step"},
        **{"0.49": "n = 512: 0.490 at step"},
    },
    "10": {"-51": "Q-learning  mean -50.6", "-28": "SARSA       mean -28.3"},
    "10b": {"0.12": "TD 0.1167", "0.05": "best possible 0.0544"},
    "11": {"0.59": "p = 0.5858"},
    "13": {"1.9": "two states 1.8947"},
    "14": {"0.20": "'0.199'"},
    "15": {"0.26": "J: 0.263", "0.18": "J: 0.263 -> 0.176"},
    "16": {"1.5": "ratios at the end: 1.200 and 1.543"},
    "18": {"0.41": "bias 0.413", "0.04": "the corrected error is 0.040"},
    "19": {"1.1": "the truth is best at KL 1.09"},
}
"""The number that counts is the last one of what is printed."""
NUMBER = r"-?\d+(?:[.,]\d+)*"
MODULES = sorted(set(re.findall(r"\brlbook(?:\.\w+)+", BOTH)))
FOLDERS = r"(?:tests|figures|rlbook|notebooks|\.ci)/[\w./]+"
FILES = sorted(set(re.findall(rf"`({FOLDERS}|[A-Z]+\.md|\w+\.(?:toml|txt|yml))`", BOTH)))


def cells(path: str) -> list[dict]:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))["cells"]


def words(path: str) -> str:
    """All that a notebook says and prints."""
    parts = []
    for cell in cells(path):
        parts += cell["source"] if cell["cell_type"] == "markdown" else []
        for output in cell.get("outputs", []):
            parts += output.get("text", []) + output.get("data", {}).get("text/plain", [])
        parts.append("\n")
    return "".join(parts)


def test_the_example_prints_what_the_readme_shows():
    source = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    shown = re.search(r"```text\n(.*?)```", README, re.DOTALL)[1]
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown


FIRST, *EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
LEFT = (
    {"ppo.png", "ppo.safetensors"},
    set(),
    {"runs", "lander.gif"},
    {"ppo_0.safetensors", "ppo_5.safetensors"},
)
"""The files that the README's other examples leave."""
SLOW = (2, 3)  # LunarLander, and processes


@pytest.mark.parametrize(
    "number", [pytest.param(k, marks=[pytest.mark.slow] * (k in SLOW)) for k in range(len(LEFT))]
)
def test_the_other_examples_run(number, tmp_path):
    """With few steps."""
    short = re.sub(r"(total|num)_steps=[\d_]+", r"\1_steps=4_096", EXAMPLES[number])
    assert short != EXAMPLES[number] and len(EXAMPLES) == len(LEFT)
    done = subprocess.run([sys.executable, "-c", short], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert {path.name for path in tmp_path.iterdir()} == LEFT[number]


def test_the_commands_exist():
    named = set(re.findall(r"python -m (rlbook\.\w+)(?: ([a-z][a-z-]+))?", BOTH))
    assert {module for module, _ in named} == {"rlbook.book", "rlbook.language"}
    assert {command for module, command in named if module == "rlbook.book"} == set(COMMANDS)
    assert importlib.util.find_spec("rlbook.language.__main__") is not None


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page)
    files = [target for target in targets if not target.startswith("https://")]
    assert not [target for target in files if not (ROOT / target).exists()]


def test_the_readme_leads_to_the_page_for_authors():
    assert "](CONTRIBUTING.md)" in README


@pytest.mark.parametrize("module", MODULES)
def test_modules_exist(module):
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("name", FILES)
def test_files_exist(name):
    assert (ROOT / name.replace("NN_topic", "01_rl_basics").replace("NN", "03")).exists()


def test_every_chapter_has_a_row():
    listed = [row.values[0].group("number", "name", "path") for row in ROWS]
    wanted = [(one.number, one.name, f"notebooks/{one.file}") for one in CHAPTERS]
    assert listed == wanted, "the contents in README.md, and rlbook/book/chapters.py"


@pytest.mark.parametrize("row", ROWS)
def test_times_are_those_of_the_chapter(row):
    text = "".join("".join(c["source"]) for c in cells(row["path"]) if c["cell_type"] == "markdown")
    if label_of(row["number"]) in OLD_FORM | REFERENCES:
        said = TIME.search(text)
        assert said, "the box of the notebook gives no time"
        assert (row["read"], row["run"]) == (f"{said['read']} min", said["run"])
    else:
        said = BOX.search(text)
        assert said, "no box with **Read 1 · Do 2 · Dig 3**"
        assert row["read"] == " · ".join(said.groups()), "run python -m rlbook.book times"


@pytest.mark.parametrize("row", ROWS)
def test_the_result_is_in_the_chapter(row):
    numbers = re.findall(NUMBER, row["result"])
    assert numbers and lost_numbers(row["number"], numbers, words(row["path"])) == []


def lost_numbers(chapter: str, numbers: list[str], text: str) -> list[str]:
    """Those that a notebook neither has nor prints with more digits."""
    rounded = ROUNDED.get(chapter, {})
    found = [f"the row of {chapter} lacks {number}" for number in rounded if number not in numbers]
    for number in numbers:
        if printed := rounded.get(number):
            exact = re.findall(NUMBER, printed)[-1]
            digits = len(number.partition(".")[2])
            if printed not in text:
                found.append(f"{number} is rounded from {printed!r}, which is not printed")
            elif f"{float(exact):.{digits}f}" != number:
                found.append(f"{number} is not {exact} rounded")
        elif not re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", text):
            found.append(f"{number} is not in the notebook")
    return found


def test_a_number_that_is_not_in_the_chapter_is_found():
    text = words("notebooks/04_value_iteration.ipynb")
    assert lost_numbers("04", ["0.54", "10", "58"], text) == []
    assert "54321 is not in the notebook" in lost_numbers("04", ["0.54", "54321"], text)
    assert lost_numbers("04", ["10"], text) == ["the row of 04 lacks 0.54"]
    other = text.replace("0.542026", "0.552026")
    assert "which is not printed" in lost_numbers("04", ["0.54"], other)[0]


def test_a_wrong_rounding_is_found(monkeypatch):
    monkeypatch.setitem(ROUNDED, "04", {"0.55": "V*(start) = 0.542026"})
    text = words("notebooks/04_value_iteration.ipynb")
    assert lost_numbers("04", ["0.55"], text) == ["0.55 is not 0.542026 rounded"]


@pytest.mark.parametrize("path", ["README.md", "notebooks/00_start_here.ipynb"])
def test_jupyter_starts_where_it_can_see_the_diagrams(path):
    """Started in, or with, the folder notebooks, JupyterLab does not serve ../figures."""
    text = README if path == "README.md" else words(path)
    assert set(re.findall(r"^jupyter lab.*$", text, re.MULTILINE)) == {"jupyter lab"}
