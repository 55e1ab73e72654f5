"""Mutants of what chapters 11 to 20 add."""

from mutation import Mutant

PART_3: list[Mutant] = []

MODULES: tuple[str, ...] = ()
"""Every public function of these has a mutant above; see FORMULA_MODULES."""
