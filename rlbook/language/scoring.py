"""Where prompts come from and who scores the answers: functions of texts, or a reward model."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from rlbook.language.loop import NotFinite
from rlbook.language.models import LanguageModel, Prompts, encode
from rlbook.language.sampling import Answers, check_prompts

if TYPE_CHECKING:
    from rlbook.language.tasks.task import Task

Reward = Callable[[list[str], list[str]], torch.Tensor]
"""(B prompts, B answers) -> (B,): the score of each answer."""


def each_answer(judge: Callable[[str, str], float]) -> Reward:
    """The scores of B answers from a function of one prompt and one answer, such as task.reward."""
    return lambda prompts, answers: torch.tensor(
        [float(judge(*pair)) for pair in zip(prompts, answers, strict=True)]
    )


@torch.no_grad()
def score(
    reward: Reward | nn.Module,
    texts: Sequence[str],
    answer_texts: Sequence[str],
    prompts: Prompts,
    answers: Answers,
) -> torch.Tensor:
    """The score of each answer, (B,): of a function of the texts, or of a model of the tokens.

    Raises:
        ValueError: the reward is no tensor of one number for each answer.
        NotFinite: a score is NaN or infinite; the message says of which answer.
    """
    if isinstance(reward, nn.Module):
        tokens = torch.cat([prompts.tokens, answers.tokens], dim=1)
        found = reward(tokens, torch.cat([prompts.mask, answers.completion_mask], dim=1))
    else:
        found = reward(list(texts), list(answer_texts))
    B = len(answers.tokens)
    if not isinstance(found, torch.Tensor) or found.shape != (B,):
        got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise ValueError(f"the reward must return a tensor ({B},), one number an answer; got {got}")
    scores = found.detach().to(answers.tokens.device, torch.float32)
    if not scores.isfinite().all():
        row = int((~scores.isfinite()).nonzero()[0])
        text = f"{texts[row]!r} -> {answer_texts[row]!r}"
        raise NotFinite(f"the reward of answer {row}, {text}, is {float(scores[row])}")
    return scores


def prompt_source(
    policy: LanguageModel, prompts: "Sequence[str] | Task", max_new_tokens: int
) -> Callable[[int, torch.Generator], list[str]]:
    """A function (n, generator) -> n prompts: those of a task, or drawn from a list.

    Raises:
        ValueError: no prompt, or one that is empty or leaves no room for the answer.
    """
    if hasattr(prompts, "prompts"):
        return prompts.prompts
    pool = list(prompts)
    if isinstance(prompts, str) or not pool:
        raise ValueError("prompts must be a list of texts, at least one, or a task")
    encoded = encode(policy.tokenizer, pool, policy.device)
    check_prompts(policy.model, encoded, max_new_tokens)

    def draw(n: int, generator: torch.Generator) -> list[str]:
        return [pool[i] for i in torch.randint(len(pool), (n,), generator=generator).tolist()]

    return draw
