"""The classic wrong versions of the book's formulas.

Each must be caught by the unit tests of its module, and by the checks of the chapters that it
names (test_mutants.py).
"""

from mutation import Mutant

MUTANTS: list[Mutant] = []

EXEMPT: dict[str, str] = {}
"""Public functions of FORMULA_MODULES without a mutant, "module.function" -> the reason."""

FORMULA_MODULES = ("mdp", "grids", "dynamic_programming", "exploration", "returns")
