"""The mutation tester, on a made-up module: what it changes, leaves alone, and counts."""

import mutation_score
import pytest
from mutation import ROOT
from mutation_score import (
    EQUIVALENT,
    MODULES,
    SAMPLE,
    TESTS,
    chosen,
    main,
    small_changes,
    survivors,
)

SOURCE = '''
"""A made-up module."""

LIMIT = 3

def mean(x, first: int = 1):
    """Half of 1 is 1 / 2."""
    if not x or len(x) > LIMIT:
        raise ValueError(f"1 + 1 = {1 + 1}")
    x = [value for value in x if value is not None]
    return sum(x) / len(x) + 0 * first

class Box:
    def put(self, x):
        self.x = x.detach().sum(-1, keepdim=True)
        return True
'''
WANTED = """
mean: if not x or len(x) > LIMIT: -> pass
mean: not x or len(x) > LIMIT -> not x and len(x) > LIMIT
mean: not x or len(x) > LIMIT -> not x
mean: not x or len(x) > LIMIT -> len(x) > LIMIT
mean: not x -> x
mean: len(x) > LIMIT -> len(x) >= LIMIT
mean: len(x) > LIMIT -> len(x) <= LIMIT
mean: value is not None -> value is None
mean: sum(x) / len(x) + 0 * first -> sum(x) / len(x) - 0 * first
mean: sum(x) / len(x) -> sum(x) * len(x)
mean: 0 * first -> 0 / first
mean: 0 * first -> 1 * first
Box.put: x.detach().sum(-1, keepdim=True) -> x.detach()
Box.put: x.detach().sum(-1, keepdim=True) -> x.detach().sum(-1)
Box.put: x.detach() -> x
Box.put: x.detach().sum(-1, keepdim=True) -> x.detach().sum(1, keepdim=True)
Box.put: x.detach().sum(-1, keepdim=True) -> x.detach().sum(-2, keepdim=True)
Box.put: keepdim=True -> keepdim=False
Box.put: True -> False
"""


def test_what_is_changed_and_what_is_not():
    """Messages, defaults, docstrings and constants of the module are left alone."""
    changes = small_changes("made.up", SOURCE)
    assert [change.why for change in changes] == WANTED.split("\n")[1:-1]
    assert len({change.new for change in changes}) == len(changes)
    for change in changes:
        assert change.code(SOURCE).co_qualname == change.within


def noticed(change, cases) -> bool:
    """Whether `mean` of the changed module gives another answer."""
    scope: dict = {}
    exec(change.new, scope)
    for x, wanted in cases:
        try:
            if scope["mean"](x) != wanted:
                return True
        except ValueError:
            if wanted is not None:
                return True
        except Exception:
            return True
    return False


def test_good_tests_notice_all_and_bad_ones_do_not():
    changes = [c for c in small_changes("made.up", SOURCE) if c.within == "mean"]
    good = [([1, 2, None], 1.5), ([], None), ([1] * 4, None), ([3], 3)]
    alive = [c.why for c in changes if not noticed(c, good)]
    equivalent = ["sum(x) / len(x) - 0 * first", "0 / first"]
    assert [why.split(" -> ")[1] for why in alive] == equivalent
    assert sum(noticed(c, [([1], 1)]) for c in changes) < len(changes) - 5


def test_the_sample_is_the_same_in_each_run_and_leaves_out_what_makes_no_difference(monkeypatch):
    source = SOURCE + "".join(f"\ndef f{i}(x):\n    return x + {i}\n" for i in range(SAMPLE))
    changes = small_changes("made.up", source)
    sample = chosen(changes, everything=False)
    assert sample == chosen(changes, everything=False) and len(set(sample)) == SAMPLE
    assert chosen(changes, everything=True) == changes
    monkeypatch.setitem(EQUIVALENT, str(changes[0]), "a reason")
    assert chosen(changes, everything=True) == changes[1:]


@pytest.mark.parametrize(("alive", "status"), [(0, 0), (1, 1)])
def test_the_score_and_the_exit_status(alive, status, monkeypatch, capsys):
    monkeypatch.setattr(mutation_score, "survivors", lambda changes, _: changes[:alive])
    assert main(["ground.masking"]) == status
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"ground.masking: killed {SAMPLE - alive} of {SAMPLE}"
    assert len(lines) == 2 + alive and lines[-1].endswith("wanted 99%")


def test_what_makes_no_difference_exists_and_has_a_reason():
    for module in MODULES:
        path = ROOT / "rlbook" / f"{module.replace('.', '/')}.py"
        source = path.read_text(encoding="utf-8")
        names = {str(change) for change in small_changes(module, source)}
        listed = {name for name in EQUIVALENT if name.startswith(f"{module}: ")}
        assert not listed - names, "stale entries of equivalent_mutants.txt"
        for test_file in TESTS.get(module, ()):
            assert (ROOT / "tests" / test_file).exists()
    assert EQUIVALENT and all(name.split(": ")[0] in MODULES for name in EQUIVALENT)
    assert all(len(reason) > 10 for reason in EQUIVALENT.values())


@pytest.mark.slow
def test_a_run_of_unit_tests_kills_and_spares():
    source = (ROOT / "rlbook" / "ground" / "masking.py").read_text(encoding="utf-8")
    changes = {change.why: change for change in small_changes("ground.masking", source)}
    wrong = changes["mean_per_run: x.ndim > 1 -> x.ndim > 2"]
    harmless = changes["_mean_where: torch.zeros((), dtype=x.dtype, device=x.device) -> "
                       "torch.zeros((), device=x.device)"]  # fmt: skip
    assert survivors([wrong, harmless], ["test_masking.py"]) == [harmless]
    with pytest.raises(RuntimeError, match="fails without a change"):
        survivors([wrong], ["no_such_file.py"])
