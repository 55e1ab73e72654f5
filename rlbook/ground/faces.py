"""The face of a room whose names are imported only when they are first asked for."""

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path


def lazy(face: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that lists its imports under TYPE_CHECKING.

    Type checkers and readers see plain imports; Python makes each when its name is used. A name
    must not be that of a module of the package, which would hide it once it is imported.
    """
    package = sys.modules[face]
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    listed = [node for block in tree.body if isinstance(block, ast.If) for node in block.body]
    imports = [node for node in listed if isinstance(node, ast.ImportFrom)]
    homes = {alias.name: str(node.module) for node in imports for alias in node.names}

    def look_up(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {face!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(homes[name]), name)
        setattr(package, name, found)
        return found

    return look_up, lambda: sorted({*vars(package), *homes})
