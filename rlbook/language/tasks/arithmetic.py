"""Two-digit sums, worked in three steps, and their verifiers. Chapters 19 and 20.

The text to pretrain on comes from two writers. One is careful; the other forgets the carry:

    47+85=   7+5=12;4+8+1=13;132      careful: units, tens, result
    47+85=   7+5=12;4+8=12;122        careless

A model that imitates both is well formed, and wrong more often than right.
"""

import re
from dataclasses import dataclass

import torch

from rlbook.ground import require

WITH_CARRY = [(x, y) for x in range(10) for y in range(10) if x + y >= 10]
WITHOUT_CARRY = [(x, y) for x in range(10) for y in range(10) if x + y < 10]
PROMPT = re.compile(r"([1-9])([0-9])\+([1-9])([0-9])=", re.ASCII)
WELL_FORMED = re.compile(r"\d\+\d=\d+;\d\+\d(?:\+1)?=\d+;(\d+)", re.ASCII)


@dataclass(frozen=True)
class Arithmetic:
    """The sum of two numbers of two digits each. The units decide whether there is a carry; they
    are drawn so that most problems have one, since only there the two writers differ."""

    carry_share: float = 0.85
    """Of the problems; uniform digits would give 0.45."""
    careless_share: float = 0.67
    """Of the text to pretrain on, written by the careless writer."""

    name = "arithmetic"
    vocabulary = tuple("0123456789+=;")
    separator = ""
    """What stands between two tokens of a text."""
    max_prompt_tokens = 7
    max_new_tokens = 24
    max_steps = 4
    """The three steps, and whatever follows them."""

    def __post_init__(self):
        for name in ("carry_share", "careless_share"):
            require.within(name, getattr(self, name), 0, 1)

    def prompts(self, n: int, generator: torch.Generator) -> list[str]:
        """n problems, "47+85=", drawn independently."""
        carry, units, tens, more_tens = torch.rand(4, n, generator=generator).tolist()
        found = []
        for has_carry, unit, x, y in zip(carry, units, tens, more_tens, strict=True):
            choices = WITH_CARRY if has_carry < self.carry_share else WITHOUT_CARRY
            a, b = choices[int(unit * len(choices))]
            found.append(f"{1 + int(9 * x)}{a}+{1 + int(9 * y)}{b}=")
        return found

    def pairs(self, n: int, generator: torch.Generator) -> list[tuple[str, str]]:
        """n problems with an answer by one of the two writers: the text to pretrain on."""
        prompts = self.prompts(n, generator)
        careless = torch.rand(n, generator=generator) < self.careless_share
        return [(p, self.write(p, careless=c)) for p, c in zip(prompts, careless, strict=True)]

    def write(self, prompt: str, *, careless: bool = False) -> str:
        """The answer of the careful or of the careless writer.

        Raises:
            ValueError: not a problem like "47+85=".
        """
        match = PROMPT.fullmatch(prompt)
        if match is None:
            raise ValueError(f'a problem looks like "47+85=", got {prompt!r}')
        a_tens, a, b_tens, b = map(int, match.groups())
        carry = 0 if careless else (a + b) // 10
        tens = a_tens + b_tens + carry
        worked = f"{a_tens}+{b_tens}" + ("+1" if carry else "")
        return f"{a}+{b}={a + b};{worked}={tens};{10 * tens + (a + b) % 10}"

    def reward(self, prompt: str, answer: str) -> float:
        """The verifier of the outcome: 1.0 if the answer has the form of three steps and the last
        is the sum, else 0.0. What the first two steps say does not enter. It never raises."""
        match = WELL_FORMED.fullmatch(answer)
        if match is None or not PROMPT.fullmatch(prompt):
            return 0.0
        return float(match[1] == self.write(prompt).split(";")[2])

    def step_rewards(self, prompt: str, answer: str) -> list[tuple[int, float]]:
        """The verifier of the process: (where a step ends in the text, its reward).

        A step is right, 1.0, if it is what the careful writer would write there and all steps
        before it are right; else 0.0. A separator belongs to the step that it ends; all that
        follows the third separator is one wrong step. An empty answer is one wrong step.
        """
        right = self.write(prompt).split(";") if PROMPT.fullmatch(prompt) else []
        steps = answer.split(";", self.max_steps - 1)
        found, end, so_far = [], 0, 1.0
        for number, step in enumerate(steps):
            end = min(end + len(step) + 1, len(answer))
            so_far *= number < len(right) and step == right[number]
            found.append((end, float(so_far)))
        return found
