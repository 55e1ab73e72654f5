"""What the recipe of an experiment says of its source and of the machine."""

import ast
import hashlib
import importlib.util
import inspect
import os
import platform
import sys
from pathlib import Path

import numpy as np
import torch

NO_NUMBERS = {"rlbook.experiments", "rlbook.progress", "rlbook.checks", "rlbook.plotting"}
"""Modules that draw, wait or compare: no stored number depends on them."""


def source_hash(experiment) -> str:
    """One hash of everything of rlbook that the numbers of an experiment depend on.

    That is the module in which it is defined, the modules it depends on, and what these
    import; without comments, docstrings and layout.
    """
    own = inspect.getmodule(experiment.run)
    own_name, own_path = own.__name__, Path(own.__file__)
    sources = {own_name: normalised(own_path)}
    waiting = list(experiment.depends) or imports(own_path)
    while waiting:
        name = waiting.pop()
        if name in sources or name in NO_NUMBERS:
            continue
        path = module_path(name)
        sources[name] = normalised(path)
        waiting += imports(path)
    digest = hashlib.sha256()
    for name, source in sorted(sources.items()):
        digest.update(f"{name}\n{source}\n".encode())
    return digest.hexdigest()


def module_path(name: str) -> Path:
    """The file of a module; ValueError if there is none."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ValueError(f"an experiment depends on {name}, which does not exist")
    return Path(spec.origin)


def imports(path: Path) -> list[str]:
    """The modules of rlbook that a file imports."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in inner if name.startswith("rlbook.") and _exists(name)]
            found += modules or [node.module]
    return [name for name in found if name.startswith("rlbook.")]


def normalised(path: Path) -> str:
    """A file's syntax tree in words that do not depend on layout or on Python's version."""
    return _words(ast.parse(path.read_text(encoding="utf-8")))


def machine() -> dict:
    """The processor, its cores, and the accelerator if there is one."""
    found = {"cpu": _cpu(), "cores": os.cpu_count()}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "numpy": np.__version__,
    }


def _exists(name: str) -> bool:
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent is a module, not a package
        return False


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _words(node) -> str:
    if isinstance(node, ast.AST):
        fields = dict(ast.iter_fields(node))
        if isinstance(fields.get("body"), list):
            fields["body"] = [part for part in fields["body"] if not _is_docstring(part)]
        inner = [f"{k}={_words(v)}" for k, v in fields.items() if v is not None and v != []]
        return f"{type(node).__name__}({', '.join(inner)})"
    if isinstance(node, list):
        return f"[{', '.join(_words(part) for part in node)}]"
    return repr(node)


def _is_docstring(node: ast.AST) -> bool:
    """A string that stands alone: a docstring, or the line under a field of a dataclass."""
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant and isinstance(node.value.value, str)
