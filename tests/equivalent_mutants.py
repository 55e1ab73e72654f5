"""Small changes of mutation_score.py that change nothing that a test could see, each with why."""

EQUIVALENT: dict[str, str] = {}
