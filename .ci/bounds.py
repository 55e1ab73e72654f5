"""Prints requirements for pip, made of those that pyproject.toml declares, its extras included.

python .ci/bounds.py lowest    name==lower bound, but for torch, whose builds are large
python .ci/bounds.py newest    name>=lower bound: without upper bounds
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def requirements() -> dict[str, str]:
    """Package -> its bounds, ">=2.0,<2.5"; of the book, the lab and the tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    listed = [*project["dependencies"], *extras["lab"], *extras["test"]]
    found = (re.fullmatch(r"([\w-]+(?:\[[\w,]+\])?)(>=.*)", text) for text in listed)
    return {match[1]: match[2] for match in found if match}


def lines(kind: str) -> list[str]:
    """The requirements of "lowest" or "newest"."""
    lower = {name: bounds.split(",")[0] for name, bounds in requirements().items()}
    if kind == "newest":
        return [name + bound for name, bound in lower.items()]
    # A constraint of pip's names no extras
    exact = {name: bound.replace(">=", "==") for name, bound in lower.items() if "[" not in name}
    return [name + bound for name, bound in exact.items() if name != "torch"]


if __name__ == "__main__":
    print("\n".join(lines(sys.argv[1])))
