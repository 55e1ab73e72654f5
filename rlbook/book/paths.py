"""Where the book's files lie: beside the package in a clone, and stored numbers also inside it."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent
"""Of a clone: what notebooks/, figures/ and pyproject.toml lie in."""
NOTEBOOKS = ROOT / "notebooks"
FIGURES = ROOT / "figures"
DATA = FIGURES / "data" if (FIGURES / "data").exists() else PACKAGE / "data"
"""Stored experiments. An installed copy carries them as rlbook.data."""
