"""The floors of rlbook: imports run strictly down, or to an earlier module of the same floor."""

import ast
from fnmatch import fnmatch
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rlbook"

# From the ground up; on a floor, in the order in which a module may import the ones before it.
# A module that is not written yet may stand here already; one that is written must stand here.
FLOORS: list[list[str]] = [
    [  # 0: the ground
        *(
            "checks",
            "progress",
            "seeding",
            "masking",
            "statistics",
            "style",
            "plotting",
            "animation",
        ),
    ],
    [  # 1: formulas
        *("kernels", "mdp_checks", "mdp", "car_rental", "grids", "mazes", "bellman", "solution"),
        *("asynchronous", "dynamic_programming", "exploration", "scans", "returns", "schedules"),
        *("blackjack", "epsilon_soft"),
        *(
            "features",
            "policy_gradients",
            "trajectories",
            "divergences",
            "trust_region",
            "preferences",
            "preference_fit",
            "token_rewards",
            "group_advantages",
        ),
    ],
    [  # 2: parts
        *("tabular_envs", "tabular_tasks", "tabular_worlds", "episodes", "random_walks"),
        *("networks", "policies", "normalization", "saving"),
        *("env_interface", "control_tasks", "control_envs", "gymnasium_envs", "envs"),
        *("rollouts", "critics", "evaluation", "replay", "config", "records", "results"),
        *("training",),
    ],
    [  # 3: learners
        *("tabular.evaluation", "tabular.tables", "tabular.bandits", "tabular.monte_carlo"),
        *("tabular.prediction", "tabular.traces", "tabular.batch", "tabular.control"),
        *("tabular.q_learning", "tabular.sarsa", "tabular.multi_step_control", "tabular"),
        *("agents", "agents.*"),
        *("language.answer_tree", "language.solvable"),
        *("language.solvable_training", "language.group_objective", "language.fixed_points"),
        *("language.arithmetic", "language.reviews", "language.tasks"),
        *("language.models", "language.reader", "language.sampling", "language.optimizers"),
        *("language.loop", "language.pretraining"),
        *(
            "language.annotators",
            "language.reward_model",
            "language.critic",
            "language.scoring",
            "language.rlhf",
        ),
        *("language.grpo_command", "language.grpo", "language"),
    ],
    [  # 4: the book
        *("exercises.expectations", "exercises", "exercises.chapter_*"),
        *("experiments.recipes", "experiments.sources", "experiments", "experiments.short_runs"),
        *("experiments.chapter_*", "experiments.__main__", "drawing", "diagrams_*", "figures"),
        *(
            "scenes",
            "moving_pictures",
            "launch",
            "notebooks",
            "html",
            "index_entries",
            "book_index",
        ),
    ],
]
PLACES = [(floor, name) for floor, names in enumerate(FLOORS) for name in names]


def place(module: str) -> int:
    """The position of a module in the whole order; -1 for the package itself."""
    if not module:
        return -1
    for position, (_, pattern) in enumerate(PLACES):
        if fnmatch(module, pattern):
            return position
    raise ValueError(f"rlbook.{module} stands on no floor: add it to FLOORS in test_floors.py")


def modules(package: Path) -> dict[str, Path]:
    """All modules by their name inside the package: agents.dqn, exercises, mdp."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(module: str, path: Path, known: set[str]) -> set[str]:
    """The modules of rlbook that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = ["rlbook", *module.split(".")]
                package = package if path.name == "__init__.py" else package[:-1]
                above = package[: len(package) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            inside = name.removeprefix("rlbook.") if name.startswith("rlbook.") else None
            while inside and inside not in known:  # a function: its module
                inside = inside.rpartition(".")[0]
            found |= {inside} if inside else set()
    return found - {module}


def violations(package: Path) -> list[str]:
    """The imports that run upward, or from agent to agent."""
    files, found = modules(package), []
    for module, path in files.items():
        for other in sorted(imported(module, path, set(files))):
            if place(other) > place(module):
                found.append(f"rlbook.{module} imports rlbook.{other}, which stands above it")
            if module.startswith("agents.") and other.startswith("agents."):
                found.append(f"rlbook.{module} imports another agent, rlbook.{other}")
    return found


def test_imports_run_down():
    assert violations(PACKAGE) == []


@pytest.mark.parametrize("module", modules(PACKAGE))
def test_every_module_stands_on_a_floor(module):
    place(module)


@pytest.mark.parametrize(
    ("name", "line", "fragment"),
    [
        ("mdp", "from rlbook.exploration import greedy_policy", "rlbook.exploration"),
        ("mdp", "from rlbook import exploration", "rlbook.exploration"),
        ("mdp", "import rlbook.exploration", "rlbook.exploration"),
        ("mdp", "from .exploration import greedy_policy", "rlbook.exploration"),
        ("mdp", "def late():\n    from . import exploration", "rlbook.exploration"),
        ("agents/ppo", "from rlbook.agents.dqn import train", "another agent"),
        ("agents/ppo", "from ..agents import dqn", "another agent"),
    ],
)
def test_an_upward_import_is_found(tmp_path, name, line, fragment):
    (tmp_path / "agents").mkdir()
    for file in ("exploration", "agents/dqn", "agents/ppo", "mdp"):
        (tmp_path / f"{file}.py").touch()
    (tmp_path / f"{name}.py").write_text(line)
    found = violations(tmp_path)
    assert len(found) == 1 and fragment in found[0]


def test_a_module_on_no_floor_is_found():
    with pytest.raises(ValueError, match="utils stands on no floor"):
        place("utils")
