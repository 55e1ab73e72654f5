"""Appendix B lists every wrong statement and every typo of the source notes, once, and computes.

The lists are those of the survey of the notes, statement by statement; the numbers in front are
the lines of the notes.
"""

import re

import pytest
from clean_process import in_clean_process
from parsed_notebook import chapters, plain_namespace, run_source, tags_of

WRONG = """
3 BAS.3 | 5 MDP.3 | 8 BEL.1 | 9 BEL.5 | 11 VI.6 | 15 QF.1 | 19 MC.2 MC.3 MC.4 MC.6 MC.7 | 21 TD.2
22 TD.9 TD.10 | 31 RF.2 | 36 DQ.3 | 40 DQ.6 DQ.8 | 41 DQ.10 DQ.13 | 43 AC.1 AC.2 | 51 TR.2
52 TR.9 TR.11 | 64 GA.5 GA.6 GA.7 GA.8 GA.14 | 73 RM.3 | 75 PR.3 PR.5 PR.6
78 GR.3 GR.4 GR.7 GR.9 GR.10 | 82 AP.4 AP.5 AP.8
"""
TYPOS = """
8 BEL.2 | 9 BEL.11 BEL.12 | 11 VI.5 | 13 PI.5 PI.6 | 21 TD.7 | 24 QL.1 | 29 PG.5 PG.7 | 32 RF.3
33 RF.4 | 44 AC.3 | 46 AC.5 | 54 PP.1 PP.2 | 64 GA.1 GA.2 | 67 RH.1 | 75 PR.4 | 78 GR.6 GR.13 GR.15
82 AP.14 AP.18
"""
# A matter of words or letters alone: there is nothing to compute.
WORDS_ONLY = set("VI.5 QL.1 PG.7 RF.3 RF.4 PP.2 GA.1 RH.1 PR.4 GR.13 GR.15".split())
PREFIXES = "BAS MDP BEL VI PI QF MC TD QL PG RF DQ AC TR PP GA RH RM PR GR AP".split()
LABEL = re.compile(r"\*\*([A-Z]+\.\d+)\*\* · line (\d+) · (wrong|typo)\b")
ROW = re.compile(r"^\| [^|*]+ \| ([\d–]+) \| (\d+) \| (\d+) \| [^|]+ \| \[", re.MULTILINE)
NOTEBOOK = chapters()["B"]


def listed(text: str) -> dict[str, int]:
    """Label -> line of the notes."""
    groups = (group.split() for group in re.split(r"[|\n]", text) if group.strip())
    return {label: int(line) for line, *labels in groups for label in labels}


ENTRIES = {**dict.fromkeys(listed(WRONG), "wrong"), **dict.fromkeys(listed(TYPOS), "typo")}
LINES = listed(WRONG) | listed(TYPOS)
COMPUTED = [label for label in ENTRIES if label not in WORDS_ONLY]


def outputs_below(label: str) -> str:
    """What is printed between the Markdown cell of an entry and that of the next one."""
    parts, inside = [], False
    for cell in NOTEBOOK.cells:
        if cell.cell_type == "markdown" and LABEL.search(cell.source):
            inside = label in (found[1] for found in LABEL.finditer(cell.source))
        elif inside:
            parts += [output.get("text", "") for output in cell.get("outputs", [])]
    return "".join(parts)


def test_the_lists_are_whole():
    assert len(listed(WRONG)) == 42 and len(listed(TYPOS)) == 25 and len(ENTRIES) == 67


def test_every_entry_appears_once_with_its_line_and_kind():
    text = "\n".join(cell.source for cell in NOTEBOOK.markdown)
    found = [(label, int(line), kind) for label, line, kind in LABEL.findall(text)]
    assert sorted(found) == sorted((label, LINES[label], ENTRIES[label]) for label in ENTRIES)


@pytest.mark.parametrize("label", COMPUTED)
def test_the_printed_form_is_seen_to_fail(label):
    printed = outputs_below(label)
    assert re.search(rf"^{label} as printed: fails(, \w| by \d+\.\d{{4}})", printed, re.MULTILINE)
    assert "holds: left" in printed, "no corrected form is checked beside it"


def test_what_is_words_only_is_not_computed():
    printed = "".join(outputs_below(label) for label in WORDS_ONLY)
    assert not [label for label in WORDS_ONLY if f"{label} as printed: fails" in printed]
    assert "wrong" not in {ENTRIES[label] for label in WORDS_ONLY}


def test_the_table_counts_the_entries():
    text = "\n".join(cell.source for cell in NOTEBOOK.markdown)
    rows = ROW.findall(text)
    assert len(rows) == len(PREFIXES)
    for prefix, (lines, *counts) in zip(PREFIXES, rows, strict=True):
        labels = [label for label in ENTRIES if label.split(".")[0] == prefix]
        kinds = [ENTRIES[label] for label in labels]
        assert [int(n) for n in counts] == [kinds.count("wrong"), kinds.count("typo")], prefix
        first, last = (int(n) for n in (lines.split("–") * 2)[:2])
        assert all(first <= LINES[label] <= last for label in labels), prefix


def test_a_printed_form_that_holds_stops_the_notebook():
    namespace: dict = {"torch": __import__("torch")}
    source = next(c.source for c in NOTEBOOK.code if "def fails(" in c.source)
    source = source.replace("torch.set_default_dtype(torch.float64)", "")  # spare other tests
    run_source(source, namespace, "tools")
    with pytest.raises(AssertionError, match=r"X\.1: the printed form holds"):
        namespace["fails"]("X.1", 1.0, 1.0 + 1e-9)
    with pytest.raises(AssertionError, match=r"X\.1: the printed form holds"):
        namespace["fails"]("X.1", float("nan"), 1.0)
    with pytest.raises(AssertionError, match=r"X\.1: no counterexample"):
        namespace["refuted"]("X.1", False, "words")
    assert namespace["computed"] == set()


def test_no_printed_form_is_granted_a_tag():
    """Tags are for what is right: each is checked, and stands below the word Right."""
    for cell in NOTEBOOK.markdown:
        before = cell.source.split(r"\tag{")[0]
        assert r"\tag{" not in cell.source or "*Right:*" in before
    assert not [cell for cell in NOTEBOOK.code if "nbval-ignore-output" in tags_of(cell)]


def run_with_seed(seed: int) -> int:
    """All code cells, on other random worlds; how many printed forms were seen to fail."""
    namespace = plain_namespace()
    for number, cell in enumerate(chapters()["B"].code):
        assert number != 3 or "generator(67)" in cell.source
        run_source(cell.source.replace("generator(67)", f"generator({seed})"), namespace, "cell")
    return len(namespace["computed"])


@pytest.mark.slow
def test_the_seed_does_not_matter():
    assert in_clean_process(run_with_seed, 68, timeout=600) == len(COMPUTED) == 56
