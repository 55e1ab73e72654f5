"""The derivations that are the subject of the book: their steps stand on the road, in no fold.

Each equation with what it belongs to, and how many lines of displayed mathematics stand on the road
of its section (`## 3.1 ...`) at least, its own among them.
"""

from typing import NamedTuple


class Step(NamedTuple):
    belongs_to: str
    lines: int = 1


DERIVATIONS: dict[str, Step] = {
    # Chapter 03
    "3.1": Step("Bellman's equation"),
    "3.2": Step("Bellman's equation", 6),
    "3.7": Step("Bellman's optimality equation"),
    "3.8": Step("Bellman's optimality equation"),
    # Chapter 08
    "8.3": Step("TD"),
    "8.4": Step("TD", 6),
    "8.6": Step("a return as a sum of TD errors", 3),
    "8.15": Step("the lambda-return"),
    "8.16": Step("the lambda-return", 2),
    "8.17": Step("the lambda-return", 3),
    "8.22": Step("forward equals backward", 6),
    # Chapter 11
    "11.11": Step("the policy gradient theorem"),
    "11.17": Step("the policy gradient theorem", 3),
    "11.18": Step("the policy gradient theorem", 4),
    # Chapter 15
    "15.1": Step("the performance difference"),
    "15.2": Step("the performance difference", 2),
    "15.3": Step("the performance difference", 3),
    "15.4": Step("the performance difference", 4),
    # Chapter 16
    "16.12": Step("the clip"),
    "16.13": Step("the clip", 2),
    "16.14": Step("the clip", 3),
    # Chapter 17
    "17.3": Step("GAE"),
    "17.4": Step("GAE", 5),
    "17.5": Step("GAE"),
    "17.6": Step("GAE", 2),
    "17.7": Step("GAE", 3),
    "17.8": Step("GAE", 4),
    "17.9": Step("GAE", 5),
    # Chapter 18
    "18.2": Step("Bradley-Terry", 3),
    "18.4": Step("Bradley-Terry"),
    # Chapter 19
    "19.6": Step("the optimum under a KL"),
    "19.7": Step("the optimum under a KL", 4),
    # Chapter 20
    "20.3": Step("GRPO's objective"),
    "20.5": Step("GRPO's objective", 3),
    "20.7": Step("GRPO's objective"),
    "20.8": Step("GRPO's objective", 2),
    "20.9": Step("GRPO's objective", 3),
    # Appendix A
    "A.1": Step("the policy gradient theorem"),
    "A.2": Step("the policy gradient theorem", 2),
    "A.3": Step("the policy gradient theorem", 3),
    "A.4": Step("the policy gradient theorem", 4),
    "A.6": Step("the policy gradient theorem"),
    "A.8": Step("the policy gradient theorem", 2),
    "A.9": Step("the policy gradient theorem", 3),
    "A.10": Step("the policy gradient theorem", 4),
    "A.11": Step("the policy gradient theorem", 5),
    "A.12": Step("the policy gradient theorem", 6),
    "A.13": Step("the policy gradient theorem", 7),
    "A.17": Step("the policy gradient theorem", 2),
}
"""`python -m rlbook.book renumber` moves the numbers along."""
