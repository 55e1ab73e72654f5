"""Mistakes made on purpose are caught: by the unit tests, and by the chapters' own checks."""

import ast
import functools
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from broken_claims import BROKEN, Broken
from chapters import Cell, Chapter, chapters, read_chapter
from clean_process import in_clean_process
from mutants import EXEMPT, FORMULA_MODULES, MUTANTS
from mutation import (
    ROOT,
    Mutant,
    function_spans,
    run_claims,
    run_mutated_chapter,
    run_unit_tests,
)

CHAPTER_SECONDS = 300
TEST_FILES = sorted({mutant.test_file for mutant in MUTANTS})
CAUGHT_BY_CHAPTERS = [
    pytest.param(mutant, number, id=f"{mutant}, in {number}")
    for mutant in MUTANTS
    for number in mutant.chapters
]


def claims(chapter: Chapter) -> list[Cell]:
    return [cell for cell in chapter.cells if cell.code and "claim" in cell.tags]


def matches(broken: Broken, chapter: Chapter) -> list[Cell]:
    """The claim cells that an entry of BROKEN may mean; it should be exactly one."""
    return [
        cell
        for cell in claims(chapter)
        if broken.claim == chapter.figure_above(cell) or broken.claim in cell.source
    ]


@functools.cache
def claims_report(number: str):
    chapter = chapters()[number]
    sources: dict[int, list[str]] = {}
    for broken in BROKEN.get(number, ()):
        for cell in matches(broken, chapter):
            sources.setdefault(cell.index, []).append(broken.source)
    return in_clean_process(run_claims, chapter, sources, timeout=CHAPTER_SECONDS)


# --- the mutants of the book


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_is_not_stale(mutant):
    mutant.apply(mutant.path.read_text(encoding="utf-8"))
    assert (ROOT / "tests" / mutant.test_file).exists(), f"no tests/{mutant.test_file}"


def job(item: pytest.Item) -> tuple | None:
    """What a test of a mutant runs in a clean process of its own; None for other tests."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    mutant, number = params.get("mutant"), params.get("number")
    match getattr(item, "originalname", None):  # a cell of a notebook has none
        case "test_unit_tests_pass_without_mutation":
            return run_unit_tests, params["test_file"]
        case "test_unit_tests_catch":
            return run_unit_tests, mutant.test_file, mutant
        case "test_chapter_catches" if number in chapters():
            return run_mutated_chapter, chapters()[number], mutant
    return None


@pytest.fixture(scope="module")
def outcome(request):
    """The results of the selected tests' jobs, which run side by side, one on each core."""
    jobs = {item.name: work for item in request.session.items if (work := job(item))}
    pool = ThreadPoolExecutor(os.cpu_count())
    started = {
        name: pool.submit(in_clean_process, *work, timeout=CHAPTER_SECONDS)
        for name, work in jobs.items()
    }
    yield lambda item: started[item.name].result()
    pool.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.parametrize("test_file", TEST_FILES)
def test_unit_tests_pass_without_mutation(test_file, outcome, request):
    code, output = outcome(request.node)
    assert code == 0, output


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_unit_tests_catch(mutant, outcome, request):
    code, output = outcome(request.node)
    assert code != 0, f"survives {mutant.test_file}"
    assert code == 1, f"not caught by a test, but by a broken run:\n{output}"


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(chapters()))
def test_chapter_runs_without_mutation(number):
    stop, _ = claims_report(number)
    assert stop is None, (
        f"{stop}\n(cells may not need what cells tagged measured, or, unless heavy too, heavy make)"
    )


@pytest.mark.slow
@pytest.mark.parametrize("mutant, number", CAUGHT_BY_CHAPTERS)
def test_chapter_catches(mutant, number, outcome, request):
    if number not in chapters():
        pytest.skip(f"chapter {number} is not written yet")
    stop = outcome(request.node)
    assert stop is not None, f"survives chapter {number}"
    assert stop.by_a_check, f"stops the chapter, but not by a check: {stop}"


@pytest.mark.parametrize("module", FORMULA_MODULES)
def test_every_public_function_has_a_mutant(module):
    path = ROOT / "rlbook" / f"{module.replace('.', '/')}.py"
    if not path.exists():
        pytest.skip(f"rlbook/{module}.py is not written yet")
    source = path.read_text(encoding="utf-8")
    mutated = {f for m in MUTANTS if m.module == module for f in m.functions(source)}
    mutated |= {f for m in MUTANTS for f in m.stands_for}
    public = {
        name
        for name in function_spans(source)
        if not any(part.startswith("_") for part in name.split("."))
    }
    exempt = {name.removeprefix(f"{module}.") for name in EXEMPT if name.startswith(f"{module}.")}
    assert not public - mutated - exempt, "public functions without a mutant in tests/mutants.py"
    assert not exempt & mutated, "exempt, but they have a mutant"
    assert not exempt - public, "exempt, but they do not exist"


# --- the claims of the book


@pytest.mark.parametrize("number", sorted(chapters()))
def test_every_claim_has_a_broken_variant(number):
    chapter = chapters()[number]
    wanted = {cell.index for cell in claims(chapter)}
    found = set()
    for broken in BROKEN.get(number, ()):
        cells = matches(broken, chapter)
        assert len(cells) == 1, f"{broken.claim!r} names {len(cells)} claim cells"
        found.add(cells[0].index)
    missing = [chapter.cells[index].source for index in sorted(wanted - found)]
    assert not missing, "claim cells without an entry in tests/broken_claims/"


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(chapters()))
def test_broken_claims_fail(number):
    _, outcomes = claims_report(number)
    for index, results in outcomes.items():
        for outcome in results:
            claim = chapters()[number].cells[index].source
            assert "AssertionError" in outcome, f"{outcome}, after breaking\n{claim}"


# --- the machinery, tried on a made-up chapter and a module of floor 0

LOST_MASK = Mutant("masking", "x, torch.zeros(", "x * 1, torch.ones(", "ones for zeros")
HARMLESS = Mutant("masking", "(dim) / count", "(dim) * 1 / count", "nothing is wrong")
IMPORTS = "import torch\nfrom rlbook.checks import check\nfrom rlbook.masking import masked_mean"
CELLS = [
    ("%pip install", "install"),
    (IMPORTS, ""),
    ("big = 3", "heavy"),
    ("assert big == 3", "heavy claim"),
    ("import time\nseconds = time.time()", "measured"),
    ("x = torch.tensor([1.0, 3.0])\nmask = torch.tensor([True, False])", ""),
    ('def f(x):\n    ...\ncheck_exercise("3.3", f)', ""),
    ('check("3.1", masked_mean(x, mask), 1.0)', ""),
    ("assert x[0] < x[1]", "claim"),
]


def made_up(tmp_path, cells=CELLS) -> Chapter:
    nodes = [
        {"cell_type": "code", "source": [source], "metadata": {"tags": tags.split()}}
        for source, tags in cells
    ]
    path = tmp_path / "03_made_up.ipynb"
    path.write_text(json.dumps({"cells": nodes}))
    return read_chapter(path)


def test_function_spans_and_within():
    source = "def f():\n    return 1\n\nclass C:\n    def g(self):\n        return 1\n"
    assert list(function_spans(source)) == ["f", "C.g"]
    assert Mutant("m", "1", "2", "", within="C.g").apply(source) == source[:-2] + "2\n"
    assert Mutant("m", "1", "2", "", within="f").functions(source) == {"f"}
    with pytest.raises(ValueError, match="stale mutant: '1' occurs 2 times in m.py"):
        Mutant("m", "1", "2", "").apply(source)
    with pytest.raises(ValueError, match="stale mutant: no function h in m.py"):
        Mutant("m", "1", "2", "", within="h").apply(source)
    with pytest.raises(ValueError, match="changes nothing"):
        Mutant("m", "return 1", "return (1)", "", within="f").apply(source)
    with pytest.raises(ValueError, match="occurs 0 times"):
        Mutant("m", "return 3", "return 4", "").apply(source)
    assert isinstance(ast.parse(Mutant("m", "1", "2", "", within="f").apply(source)), ast.Module)


@pytest.mark.slow
def test_mutant_is_caught_by_tests_and_harmless_one_survives():
    assert in_clean_process(run_unit_tests, "test_masking.py")[0] == 0
    assert in_clean_process(run_unit_tests, "test_masking.py", LOST_MASK)[0] == 1
    assert in_clean_process(run_unit_tests, "test_masking.py", HARMLESS)[0] == 0


@pytest.mark.slow
def test_mutant_is_caught_by_a_chapter_and_harmless_one_survives(tmp_path):
    chapter = made_up(tmp_path)
    assert in_clean_process(run_mutated_chapter, chapter, None) is None
    assert in_clean_process(run_mutated_chapter, chapter, HARMLESS) is None
    stop = in_clean_process(run_mutated_chapter, chapter, LOST_MASK)
    assert (stop.cell, stop.exception, stop.by_a_check) == (7, "AssertionError", True)
    broken = made_up(tmp_path, [("undefined", "")])
    stop = in_clean_process(run_mutated_chapter, broken, None)
    assert (stop.exception, stop.by_a_check) == ("NameError", False)


@pytest.mark.slow
def test_claims_are_broken_in_a_fork(tmp_path):
    sources = {3: ["big = 4"], 8: ["x = -x", "x = x + 1", "nonsense"]}
    stop, outcomes = in_clean_process(run_claims, made_up(tmp_path), sources)
    assert stop is None
    assert outcomes[3] == ["cell 3: AssertionError: "]
    assert outcomes[8][0].startswith("cell 8: AssertionError")
    assert outcomes[8][1] == "the claim still holds"
    assert outcomes[8][2].startswith("the breaking source itself failed: NameError")


@pytest.mark.slow
def test_what_heavy_cells_make_is_hidden_from_the_others(tmp_path):
    cells = [("big = 3", "heavy"), ("big + 1", "heavy"), ("big + 2", "")]
    stop, _ = in_clean_process(run_claims, made_up(tmp_path, cells), {})
    assert (stop.cell, stop.exception) == (2, "NameError")


@pytest.mark.slow
def test_clean_process_reports_errors_and_stops_in_time():
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        in_clean_process(divmod, 1, 0)
    with pytest.raises(TimeoutError, match="sleep took longer than 0.2 s"):
        in_clean_process(time.sleep, 10, timeout=0.2)
