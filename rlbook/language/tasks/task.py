"""What a task of language is, and where its steps end in tokens. Chapters 18 to 20."""

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

import torch

from rlbook.language.tasks.arithmetic import Arithmetic
from rlbook.language.tasks.reviews import Reviews

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["TASKS", "Arithmetic", "Reviews", "Task", "steps_of_tokens"]


class Task(Protocol):
    """Prompts, answers, and a verifier; text only, so that any model and tokenizer will do."""

    name: str
    vocabulary: tuple[str, ...]
    """The tokens of `models.make_tokenizer`; `separator` stands between two of them."""
    separator: str
    max_prompt_tokens: int
    """With that tokenizer, its beginning-of-sequence token included."""
    max_new_tokens: int
    """With that tokenizer, the end-of-sequence token included."""
    max_steps: int
    """K, the largest number of steps of an answer."""

    def prompts(self, n: int, generator: torch.Generator) -> list[str]: ...
    def pairs(self, n: int, generator: torch.Generator) -> list[tuple[str, str]]: ...
    def reward(self, prompt: str, answer: str) -> float: ...
    def step_rewards(self, prompt: str, answer: str) -> list[tuple[int, float]]: ...


TASKS: dict[str, type[Task]] = {"arithmetic": Arithmetic, "reviews": Reviews}


class Written(Protocol):
    """B answers as tokens."""

    @property
    def tokens(self) -> torch.Tensor:
        """(B, T) long."""

    @property
    def completion_mask(self) -> torch.Tensor:
        """(B, T) bool."""


def steps_of_tokens(
    task: Task,
    prompts: Sequence[str],
    answers: Written,
    tokenizer: "PreTrainedTokenizerBase",
    max_steps: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The rewards of the steps of each answer, and the tokens at which the steps end.

    A step ends at the token with its last character. The last step ends at the last token of the
    answer, which is the end-of-sequence token if the answer has one.

    Args:
        prompts: B texts.
        answers: as `sampling.sample` gives them.
        tokenizer: that of the answers; a token may hold several characters, and several steps.
        max_steps: K; the task's by default.

    Returns:
        step_rewards (B, K), step_ends (B, K) long and step_mask (B, K) bool; where there is no
        step: 0, 0 and False.

    Raises:
        ValueError: other numbers of prompts and answers, an answer without a token, or one with
            more than max_steps steps.
    """
    tokens, mask = answers.tokens.cpu(), answers.completion_mask.cpu()
    max_steps = task.max_steps if max_steps is None else max_steps
    if len(prompts) != len(tokens):
        raise ValueError(f"{len(prompts)} prompts for {len(tokens)} answers")
    rewards = torch.zeros(len(tokens), max_steps)
    ends = torch.zeros(len(tokens), max_steps, dtype=torch.long)
    is_step = torch.zeros(len(tokens), max_steps, dtype=torch.bool)
    pieces: dict[int, str] = {}
    for row, prompt in enumerate(prompts):
        real = mask[row].nonzero().flatten()
        if len(real) == 0:
            raise ValueError(f"answer {row} has no token")
        ids = tokens[row, real].tolist()
        text = _text(tokenizer, ids)
        steps = task.step_rewards(prompt, text)
        if len(steps) > max_steps:
            raise ValueError(f"answer {row} has {len(steps)} steps, above max_steps={max_steps}")
        last = _last_tokens(tokenizer, ids, text, [end for end, _ in steps[:-1]], pieces)
        for k, ((_, reward), t) in enumerate(zip(steps, [*last, len(ids) - 1], strict=True)):
            rewards[row, k], ends[row, k], is_step[row, k] = reward, real[t], True
    device = answers.tokens.device
    return rewards.to(device), ends.to(device), is_step.to(device)


def _last_tokens(
    tokenizer, ids: list[int], text: str, ends: list[int], pieces: dict[int, str]
) -> list[int]:
    """For each end in the text, the token that completes the text up to there.

    Args:
        pieces: the texts of single tokens, remembered from answer to answer.
    """
    if not ends:
        return []
    for i in set(ids) - pieces.keys():
        pieces[i] = _text(tokenizer, [i])
    beginnings = list(accumulate(pieces[i] for i in ids))
    if beginnings[-1] != text:  # tokens that are written otherwise beside others
        beginnings = [_text(tokenizer, ids[: t + 1]) for t in range(len(ids))]
    return [
        next(t for t, beginning in enumerate(beginnings) if beginning[:end] == text[:end])
        for end in ends
    ]


def _text(tokenizer, ids: list[int]) -> str:
    return tokenizer.decode(ids, skip_special_tokens=True)
