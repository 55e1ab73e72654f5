"""Appendix B lists wrong statements and typos of the notes it corrects, each once, and computes.

The notes are not in this repository: which entries there are, at which line of the notes and of
which kind, is read from the appendix, whose table and text must agree with its entries.
"""

import re

import pytest
from clean_process import in_clean_process
from parsed_notebook import chapters, plain_namespace, run_source, tags_of

LABEL = re.compile(r"\*\*([A-Z]+\.\d+)\*\* · line (\d+) · (wrong|typo)\b")
ROW = re.compile(r"^\| [^|*]+ \| ([\d–]+) \| (\d+) \| (\d+) \| [^|]+ \| \[", re.MULTILINE)
WORDS = re.compile(r'^words_only = "([^"]*)"\.split\(\)', re.MULTILINE)
NOTEBOOK = chapters()["B"]


PROSE = "\n".join(cell.source for cell in NOTEBOOK.markdown)
FOUND = [(label, int(line), kind) for label, line, kind in LABEL.findall(PROSE)]
KINDS = {label: kind for label, _, kind in FOUND}
WORDS_ONLY = set(WORDS.search("\n".join(cell.source for cell in NOTEBOOK.code))[1].split())
COMPUTED = [label for label in KINDS if label not in WORDS_ONLY]


def outputs_below(label: str) -> str:
    """What is printed between the Markdown cell of an entry and that of the next one."""
    parts, inside = [], False
    for cell in NOTEBOOK.cells:
        if cell.cell_type == "markdown" and LABEL.search(cell.source):
            inside = label in (found[1] for found in LABEL.finditer(cell.source))
        elif inside:
            parts += [output.get("text", "") for output in cell.get("outputs", [])]
    return "".join(parts)


def test_every_entry_stands_once_in_the_order_of_the_notes():
    assert len(KINDS) == len(FOUND)
    lines = [line for _, line, _ in FOUND]
    assert lines == sorted(lines)


def test_the_text_counts_the_entries():
    wrong, typos = (list(KINDS.values()).count(kind) for kind in ("wrong", "typo"))
    said = rf"{typos} that are ill-formed and {wrong} that are well-formed and false"
    assert said in PROSE and f"lists these {len(FOUND)}" in PROSE
    assert f"Of the {len(FOUND)} entries, {len(WORDS_ONLY)} are a matter of words alone" in PROSE


@pytest.mark.parametrize("label", COMPUTED)
def test_the_printed_form_is_seen_to_fail(label):
    printed = outputs_below(label)
    assert re.search(rf"^{label} as printed: fails(, \w| by \d+\.\d{{4}})", printed, re.MULTILINE)
    assert "holds: left" in printed, "no corrected form is checked beside it"


def test_what_is_words_only_is_not_computed():
    printed = "".join(outputs_below(label) for label in WORDS_ONLY)
    assert not [label for label in WORDS_ONLY if f"{label} as printed: fails" in printed]
    assert {KINDS[label] for label in WORDS_ONLY} == {"typo"}


def test_the_table_counts_the_entries():
    rows, sections = ROW.findall(PROSE), list(dict.fromkeys(l.split(".")[0] for l in KINDS))
    for section, (lines, *counts) in zip(sections, rows, strict=True):
        entries = [entry for entry in FOUND if entry[0].split(".")[0] == section]
        kinds = [kind for _, _, kind in entries]
        assert [int(n) for n in counts] == [kinds.count("wrong"), kinds.count("typo")], section
        first, last = (int(n) for n in (lines.split("–") * 2)[:2])
        assert all(first <= line <= last for _, line, _ in entries), section


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
    assert in_clean_process(run_with_seed, 68, timeout=600) == len(COMPUTED)
