"""How many small changes of a formula the unit tests of its module notice.

    python tests/mutation_score.py                        a sample of each module
    python tests/mutation_score.py --all ground.masking   every change there is, of these modules

mutants.py holds mistakes that somebody thought of. Here every operator, number, call and check in
the bodies of functions is changed in turn, and what no test notices is listed: a test is missing,
or the change makes no difference, which equivalent_mutants.txt says, with the reason. The exit
status is 1 if fewer than 99% of the others are noticed.
"""

import ast
import copy
import itertools
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import splitting
from clean_process import in_clean_process
from mutant_runs import run_unit_tests
from mutation import ROOT, Mutant

_LINES = (ROOT / "tests" / "equivalent_mutants.txt").read_text(encoding="utf-8").splitlines()
EQUIVALENT = {  # the name of a change -> why it makes no difference
    name: reason.strip() for name, reason in itertools.pairwise(_LINES) if reason.startswith("    ")
}
WANTED, SAMPLE, SEED = 0.99, 40, 14
SECONDS = 30  # of one mutant: a loop without an end is noticed, too
FORMULAS = (
    *("divergences", "exploration", "group_advantages", "policy_gradients"),
    *("preferences", "returns", "token_rewards", "trust_region"),
)
# Not plotting, whose look is for the eye to judge, and not faces, which is how Python imports.
GROUND = ("checks", "draws", "masking", "progress", "require", "saving", "seeding", "statistics")
MODULES = (
    *(f"formulas.{name}" for name in FORMULAS),
    *("planning.bellman", "planning.exact_gradients"),
    *(f"ground.{name}" for name in GROUND),
)
TESTS = {  # where they are not in test_<module>.py alone
    "formulas.policy_gradients": ("test_policy_gradients.py", "test_trust_region.py"),
    "formulas.preferences": ("test_preferences.py", "test_preference_fit.py", "test_dpo.py"),
    "formulas.returns": ("test_returns.py", "test_scans.py", "test_multi_step.py"),
    "planning.exact_gradients": ("test_policy_gradients.py",),
    "ground.draws": ("test_draws.py", "test_policies.py", "test_tabular_envs.py"),
    "ground.progress": ("test_checks.py",),
    "ground.require": ("test_require.py", "test_mdp.py", "test_envs.py"),
}
COMPARE = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
OTHER_NAMES = {"amax": "amin", "amin": "amax", "any": "all", "all": "any"} | {
    **{"maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max"},
    **{"zeros": "ones", "zeros_like": "ones_like", "ones_like": "zeros_like"},
}
LIBRARIES = {  # torch.zeros is not changed to torch
    *("torch", "torch.linalg", "torch.autograd", "torch.cuda", "torch.backends.mps"),
    *("np", "np.random", "math", "os", "os.environ", "stats", "json", "safetensors"),
}
SILENT = (ast.Raise, ast.JoinedStr, ast.arguments)  # messages, defaults; nothing is changed there


@dataclass(frozen=True)
class SmallChange(Mutant):
    """One change in the function `within`; `new` is the source of the whole module with it."""

    def function_name(self, source: str) -> str:
        return self.within

    def apply(self, source: str) -> str:
        return self.new


def small_changes(module: str, source: str) -> list[SmallChange]:
    """All of them, in order; each has a name of its own, "formulas.returns: f: a < b -> a <= b"."""
    tree, found, count = ast.parse(source), [], Counter()
    for name, function in _functions(tree.body):
        for node, attribute, index, new in _changes(function):
            holder = getattr(node, attribute)
            old = holder if index is None else holder[index]
            number = _is_number(old) and isinstance(node, ast.expr | ast.keyword)
            before = _short(node if number else old)
            _put(node, attribute, index, new)
            mutated = ast.unparse(ast.fix_missing_locations(tree))
            after = _short(node if number else new)
            _put(node, attribute, index, old)
            why = f"{name}: {before} -> {after}"
            count[why] += 1
            why += f" ({count[why]})" if count[why] > 1 else ""
            found.append(SmallChange(module, "", mutated, why, within=name))
    return found


def _short(node: ast.AST) -> str:
    return ast.unparse(node).splitlines()[0]


def _put(node: ast.AST, attribute: str, index: int | None, new: ast.AST) -> None:
    if index is None:
        setattr(node, attribute, new)
    else:
        getattr(node, attribute)[index] = new


def _functions(body, prefix="") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """(parent, attribute, index in it, what to put there), in the body of a function."""
    for attribute, value in ast.iter_fields(node):
        if attribute in {"decorator_list", "annotation", "returns", "format_spec"}:
            continue
        several = isinstance(value, list)
        for index, child in enumerate(value if several else [value]):
            if not isinstance(child, ast.AST) or isinstance(child, SILENT):
                continue
            for new in _instead(child):
                yield node, attribute, index if several else None, new
            if not _is_number(child):
                yield from _changes(child)


def _is_number(node: ast.AST) -> bool:
    """3, True, -1."""
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Constant)


def _instead(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in the place of a node."""

    def with_(**fields) -> ast.AST:
        new = copy.deepcopy(node)
        for attribute, value in fields.items():
            setattr(new, attribute, value)
        return new

    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                for other in COMPARE[type(op)]:
                    yield with_(ops=[*ops[:i], other(), *ops[i + 1 :]])
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in OPERATORS:
            yield with_(op=OPERATORS[type(op)]())
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)):
            yield from (ast.Constant(value), with_(operand=ast.Constant(value + 1)))
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.If(body=[*_, ast.Raise()]) | ast.Expr(value=ast.Call()):
            yield ast.Pass()  # a check, or what a call does, is gone
        case ast.If() | ast.IfExp():
            yield with_(test=ast.Constant(False))
    match node:
        case ast.BoolOp(values=values):
            yield from values
        case ast.Call(func=ast.Attribute(value=receiver, attr=attr), keywords=keywords):
            if attr in OTHER_NAMES:
                yield with_(func=ast.Attribute(receiver, OTHER_NAMES[attr], ast.Load()))
            if ast.unparse(receiver) not in LIBRARIES:
                yield receiver  # .detach() is gone
            for keyword in keywords:
                if keyword.arg not in {"device", None}:
                    yield with_(keywords=[k for k in keywords if k is not keyword])


# --- runs


def survivors(changes: Sequence[SmallChange], test_files: Sequence[str]) -> list[SmallChange]:
    """Those that no test notices."""
    for test_file in test_files:
        (code, output), outcomes = in_clean_process(_run, test_file, changes, timeout=7200)
        if code != 0:
            raise RuntimeError(f"{test_file} fails without a change:\n{output}")
        changes = [c for c in changes if c not in outcomes or outcomes[c][:1] == (0,)]
    return list(changes)


def _run(test_file: str, changes: Sequence[SmallChange]):
    splitting.SPLIT_SECONDS = SECONDS
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # some changes crash: that needs no traceback
    return run_unit_tests(test_file, changes)


def chosen(changes: list[SmallChange], everything: bool) -> list[SmallChange]:
    """A sample that is the same in each run; never those that make no difference."""
    wanted = [change for change in changes if str(change) not in EQUIVALENT]
    if everything or len(wanted) <= SAMPLE:
        return wanted
    return random.Random(SEED).sample(wanted, SAMPLE)


def main(arguments: Sequence[str]) -> int:
    killed = total = 0
    modules = [x for x in arguments if not x.startswith("-")] or MODULES
    for module in modules:
        source = (ROOT / "rlbook" / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        changes = chosen(small_changes(module, source), "--all" in arguments)
        test_files = TESTS.get(module, (f"test_{module.split('.')[-1]}.py",))
        alive = survivors(changes, test_files)
        killed, total = killed + len(changes) - len(alive), total + len(changes)
        print(f"{module}: killed {len(changes) - len(alive)} of {len(changes)}", flush=True)
        for change in alive:
            print(f"    alive: {change.why}", flush=True)
    print(f"killed {killed} of {total}, {killed / total:.1%}; wanted {WANTED:.0%}")
    return int(killed < WANTED * total)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
