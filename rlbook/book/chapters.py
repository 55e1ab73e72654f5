"""The chapters of the book: order, names and kinds, said once.

Rules, tests, the index, the web pages and the README's contents read this list. To add a chapter,
add a line where it is to be read; its number may be 21, 10b, or the letter of an appendix.
"""

from pathlib import Path
from typing import Literal, NamedTuple

LABEL = r"(?:\d+[a-z]?|[A-Z])"
"""What a chapter's equations, figures and exercises are numbered by: 3, 10b, A."""
NUMBER = rf"{LABEL}\.\d+[a-z]?"
"""Of an equation, a figure or an exercise: 3.4, 10b.2, A.1."""
Kind = Literal["start", "lesson", "corrections", "reference", "index"]


class Chapter(NamedTuple):
    """One notebook."""

    number: str
    """What its file's name begins with: 03, 10b, A."""
    topic: str
    """The rest of the file's name."""
    name: str
    """In the README's contents."""
    part: str
    """I to IV, or appendix."""
    kind: Kind = "lesson"
    """A lesson has exercises; the others need none. Only the start and the corrections speak of
    documents that a reader does not have."""

    @property
    def label(self) -> str:
        """The number without a leading zero."""
        return label_of(self.number)

    @property
    def file(self) -> str:
        return f"{self.number}_{self.topic}.ipynb"


def label_of(number: str) -> str:
    """03 and 03_bellman.ipynb give 3, 10b gives 10b, A gives A."""
    return number.split("_")[0].lstrip("0") or "0"


def number_of(label: int | str) -> str:
    """3, "3" and "03" give 03, "10b" gives 10b, A gives A."""
    rest = str(label).lstrip("0123456789")
    digits = str(label).removesuffix(rest)
    return digits.zfill(2) + rest if digits else rest


CHAPTERS: tuple[Chapter, ...] = (
    Chapter("00", "start_here", "Start here", "I", "start"),
    Chapter("01", "rl_basics", "RL basics", "I"),
    Chapter("02", "markov_decision_processes", "Markov decision processes", "I"),
    Chapter("03", "bellman_equations", "Bellman's equations", "I"),
    Chapter("04", "value_iteration", "Value iteration", "I"),
    Chapter("05", "policy_iteration", "Policy iteration", "I"),
    Chapter("06", "q_function", "Use of the Q-function", "I"),
    Chapter("07", "monte_carlo", "Monte Carlo learning", "II"),
    Chapter("08", "temporal_difference", "Temporal difference learning", "II"),
    Chapter("09", "q_learning", "Q-learning", "II"),
    Chapter("10", "sarsa", "SARSA", "II"),
    Chapter("10b", "tables_to_functions", "From tables to functions", "II"),
    Chapter("11", "policy_gradient", "Policy gradient", "III"),
    Chapter("12", "reinforce", "REINFORCE", "III"),
    Chapter("13", "deep_q_learning", "Deep Q-learning", "III"),
    Chapter("14", "actor_critic", "Actor-critic", "III"),
    Chapter("15", "trpo", "TRPO", "III"),
    Chapter("16", "ppo", "PPO", "III"),
    Chapter("17", "gae", "GAE", "III"),
    Chapter("18", "reward_modeling", "Reward modeling", "IV"),
    Chapter("19", "rlhf_ppo", "RLHF with PPO", "IV"),
    Chapter("20", "grpo", "GRPO", "IV"),
    Chapter(
        "A", "policy_gradient_theorem", "The policy gradient theorem, line by line", "appendix"
    ),
    Chapter("B", "corrections", "Corrections to the source notes", "appendix", "corrections"),
    Chapter("C", "debugging", "Debugging RL", "appendix", "reference"),
    Chapter("D", "index", "Index", "appendix", "index"),
    Chapter("E", "notation", "Notation and the package", "appendix", "reference"),
    Chapter("F", "what_you_need", "What you need", "appendix"),
)
"""In reading order."""
PLACES = {chapter.label: place for place, chapter in enumerate(CHAPTERS)}
KINDS: dict[str, Kind] = {chapter.label: chapter.kind for chapter in CHAPTERS}


def notebooks(folder: Path) -> list[Path]:
    """The notebooks of a folder in reading order; those that are none of the book's come last."""
    paths = folder.glob("*.ipynb")
    return sorted(paths, key=lambda path: (PLACES.get(label_of(path.name), len(PLACES)), path.name))


def neighbours(label: str) -> tuple[Chapter | None, Chapter | None]:
    """The chapters before and after one."""
    place = PLACES[label]
    before = CHAPTERS[place - 1] if place else None
    return before, CHAPTERS[place + 1] if place + 1 < len(CHAPTERS) else None
