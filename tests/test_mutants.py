"""Mistakes made on purpose are caught: by the unit tests, and by the chapters' own checks.

run_of(name of a test file, or number of a chapter) is the result of this run and the outcomes of
its mutants and broken claims: see conftest.py and mutant_runs.py.
"""

import ast
import importlib.util
import multiprocessing
import time
from pathlib import Path

import clean_process
import pytest
import splitting
from broken_claims import BROKEN, breaking_sources, claims, matches
from clean_process import in_clean_process
from mutant_runs import WITHOUT_HEAVY, run_chapter, run_unit_tests
from mutants import EXEMPT, FORMULA_MODULES, MUTANTS
from mutation import ROOT, Mutant, function_spans
from parsed_notebook import chapters
from sample_notebook import code, make_notebook, write

TEST_FILES = sorted({mutant.test_file for mutant in MUTANTS})
CAUGHT_BY_CHAPTERS = [
    pytest.param(mutant, number, id=f"{mutant}, in {number}")
    for mutant in MUTANTS
    for number in mutant.chapters
]


# --- the mutants of the book


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_is_not_stale(mutant):
    mutant.apply(mutant.path.read_text(encoding="utf-8"))
    assert (ROOT / "tests" / mutant.test_file).exists(), f"no tests/{mutant.test_file}"


@pytest.mark.slow
@pytest.mark.parametrize("test_file", TEST_FILES)
def test_unit_tests_pass_without_mutation(test_file, run_of):
    (code, output), _ = run_of(test_file)
    if code:  # what the test's own run showed; the traceback of this function would say nothing
        pytest.fail(f"tests/{test_file} exits with {code}, nothing mutated:\n{output}", False)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_unit_tests_catch(mutant, run_of):
    (right, _), outcomes = run_of(mutant.test_file)
    alone = f"test_unit_tests_pass_without_mutation[{mutant.test_file}]"
    how = f"fails unmutated, see {alone}" if right else "passes"
    assert mutant in outcomes, f"the function is not called: {mutant.test_file} {how}"
    assert isinstance(outcomes[mutant], tuple), outcomes[mutant]
    code, output = outcomes[mutant]
    assert code != 0, f"survives {mutant.test_file}"
    assert code == 1, f"not caught by a test, but by a broken run:\n{output}"


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(chapters()))
def test_chapter_runs_without_mutation(number, run_of):
    stop, outcomes = run_of(number)
    if stop is not None:
        note = "(cells may not need what cells tagged measured make)"
        pytest.fail(f"{stop}\n{note}\n{stop.traceback}", pytrace=False)
    stop = outcomes.get(WITHOUT_HEAVY)
    assert stop is None, f"{stop}\n(cells may not need what cells tagged heavy make)"


@pytest.mark.slow
@pytest.mark.parametrize("mutant, number", CAUGHT_BY_CHAPTERS)
def test_chapter_catches(mutant, number, run_of):
    if number not in chapters():
        pytest.skip(f"chapter {number} is not written yet")
    right, outcomes = run_of(number)
    assert mutant in outcomes, f"chapter {number} did not call the function, and ended: {right}"
    stop = outcomes[mutant]
    assert not isinstance(stop, str), stop
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
    wanted = set(claims(chapter))
    found = set()
    for broken in BROKEN.get(number, ()):
        indices = matches(broken, chapter)
        assert len(indices) == 1, f"{broken.claim!r} names {len(indices)} claim cells"
        found.add(indices[0])
    missing = [chapter.cells[index].source for index in sorted(wanted - found)]
    assert not missing, "claim cells without an entry in tests/broken_claims/"


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(chapters()))
def test_broken_claims_fail(number, run_of):
    stop, outcomes = run_of(number)
    for index, sources in breaking_sources(number).items():
        claim = chapters()[number].cells[index].source
        for position, source in enumerate(sources):
            outcome = outcomes.get((index, position), f"not reached: {stop}")
            assert "AssertionError" in outcome, f"{outcome}, after {source}, by\n{claim}"


# --- the machinery, tried on a made-up chapter and a module of floor 0

LOST_MASK = Mutant("ground.masking", "x, torch.zeros(", "x * 1, torch.ones(", "ones for zeros")
HARMLESS = Mutant("ground.masking", "(dim) / count", "(dim) * 1 / count", "nothing is wrong")
UNCALLED = Mutant("ground.progress", "return tqdm", "return None and tqdm", "not in these tests")
IMPORTS = "import torch\nfrom rlbook.book import check\nfrom rlbook.ground import masked_mean"
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


def made_up(tmp_path, cells=CELLS) -> Path:
    """A chapter of these cells."""
    nodes = [code(source, tags=tuple(tags.split())) for source, tags in cells]
    return write(make_notebook(nodes), tmp_path)


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


def test_only_bodies_of_functions_are_mutated():
    source = "x = 1\n\ndef f(a, b=2):\n    return [a for _ in range(3)]\n"
    code = Mutant("m", "3", "4", "").code(source)
    assert (code.co_name, code.co_varnames[: code.co_argcount]) == ("f", ("a", "b"))
    with pytest.raises(ValueError, match="not inside a function"):
        Mutant("m", "x = 1", "x = 2", "").code(source)
    with pytest.raises(ValueError, match="changes the signature of f"):
        Mutant("m", "b=2", "b=3", "").code(source)


@pytest.mark.slow
def test_tests_catch_a_mutant_and_a_harmless_one_survives():
    mutants = [LOST_MASK, HARMLESS, UNCALLED]
    right, outcomes = in_clean_process(run_unit_tests, "test_masking.py", mutants)
    assert right[0] == 0
    assert {mutant: code for mutant, (code, _) in outcomes.items()} == {LOST_MASK: 1, HARMLESS: 0}


@pytest.mark.slow
def test_a_chapter_catches_a_mutant_and_a_harmless_one_survives(tmp_path):
    mutants = [LOST_MASK, HARMLESS, UNCALLED]
    for broken in ({}, None):
        right, outcomes = in_clean_process(run_chapter, made_up(tmp_path), mutants, broken)
        assert right is outcomes.pop(HARMLESS) is outcomes.pop(WITHOUT_HEAVY, None) is None
        stop = outcomes.pop(LOST_MASK)
        assert (stop.cell, stop.exception, stop.by_a_check) == (7, "AssertionError", True)
        assert not outcomes
    chapter = made_up(tmp_path, [("undefined", "")])
    stop, _ = in_clean_process(run_chapter, chapter, (), {})
    assert (stop.exception, stop.by_a_check) == ("NameError", False)
    assert stop.traceback.splitlines()[1] == '  File "<chapter 03, cell 0>", line 1, in <module>'


@pytest.mark.slow
def test_a_split_that_hangs_or_dies_is_left_behind(tmp_path):
    cells = [("import os, time\nx = 1", ""), ("assert x == 1", "claim")]
    sources = {1: ["time.sleep(60)", "os.abort()", "x = 2"]}
    stop, outcomes = in_clean_process(run_impatiently, made_up(tmp_path, cells), sources)
    assert stop is None
    assert outcomes[1, 0] == "no end after 0.5 s"
    assert outcomes[1, 1] == "the process died"
    assert "AssertionError" in outcomes[1, 2]


def run_impatiently(chapter, broken):
    splitting.SPLIT_SECONDS = 0.5
    return run_chapter(chapter, (), broken)


@pytest.mark.slow
def test_claims_are_broken_in_a_fork(tmp_path):
    sources = {3: ["big = 4"], 8: ["x = -x", "x = x + 1", "nonsense"]}
    stop, outcomes = in_clean_process(run_chapter, made_up(tmp_path), (), sources)
    assert stop is None
    assert outcomes[3, 0] == "cell 3: AssertionError: "
    assert outcomes[8, 0].startswith("cell 8: AssertionError")
    assert outcomes[8, 1] == "the claim still holds"
    assert outcomes[8, 2].startswith("the breaking source itself failed: NameError")


@pytest.mark.slow
def test_chapters_hold_without_their_heavy_cells(tmp_path):
    cells = [("big = 3", "heavy"), ("big + 1", "heavy"), ("big + 2", "")]
    stop, outcomes = in_clean_process(run_chapter, made_up(tmp_path, cells), (), {})
    assert stop is None
    assert (outcomes[WITHOUT_HEAVY].cell, outcomes[WITHOUT_HEAVY].exception) == (2, "NameError")


@pytest.mark.slow
def test_a_failing_test_shows_its_traceback_and_a_mutant_does_not(tmp_path):
    """Right, a test file says where it failed; what a mutant broke is told in a line."""
    tests = [
        "import torch",
        "from rlbook.ground.masking import masked_mean",
        "def test_mean():",
        "    x = torch.tensor([1.0, 3.0])",
        "    assert masked_mean(x, x < 2) == 1",
        "def test_sum():",
        "    assert masked_mean(torch.ones(2), torch.ones(2) > 0) == 2, 'one and one'",
    ]
    path = tmp_path / "test_sums.py"
    path.write_text("\n".join(tests), encoding="utf-8")
    (code, output), outcomes = in_clean_process(run_unit_tests, str(path), [LOST_MASK])
    assert code == 1
    assert "test_sums.py:7: in test_sum\n" in output and "AssertionError: one and one" in output
    code, output = outcomes[LOST_MASK]
    assert code == 1 and "test_sums.py:5: " in output and "in test_mean\n" not in output


def test_without_a_forkserver_what_needs_it_is_skipped(monkeypatch):
    """As on Windows, where the file must still be importable."""
    right = multiprocessing.get_context

    def get_context(method=None):
        if method == "forkserver":
            raise ValueError(f"cannot find context for {method!r}")
        return right(method)

    monkeypatch.setattr(multiprocessing, "get_context", get_context)
    spec = importlib.util.spec_from_file_location("elsewhere", clean_process.__file__)
    elsewhere = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(elsewhere)
    assert not elsewhere.HAS_FORKSERVER
    with pytest.raises(pytest.skip.Exception, match="forkserver, which this system lacks"):
        elsewhere.in_clean_process(divmod, 1, 0)


@pytest.mark.slow
def test_clean_process_reports_errors_and_stops_in_time():
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        in_clean_process(divmod, 1, 0)
    with pytest.raises(TimeoutError, match="sleep took longer than 0.2 s"):
        in_clean_process(time.sleep, 10, timeout=0.2)
