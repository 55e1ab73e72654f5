"""A reward model: one number for a prompt and its answer, learned from preferences. Chapter 18.

The body of a causal language model reads the prompt and the answer; a linear head turns what it
knows after the last real token into R(prompt, answer). Only differences of rewards of one prompt
are learned. The model is never given two answers at once: it must make a scale of its own.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from rlbook.formulas.preferences import bradley_terry_loss
from rlbook.language.loop import Loop, LoopResult
from rlbook.language.models import config_of, context_length, encode, encode_answers

HEAD = "reward_head.safetensors"
CHUNKS = 2
"""Into which a batch is cut, by length."""


@dataclass(frozen=True)
class Config:
    """How to train a reward model."""

    num_steps: int = 300
    """Gradient steps."""
    batch_size: int = 32
    """Pairs in each step; both answers of a pair are read in one forward pass."""
    learning_rate: float = 1.5e-3
    """Of the body, by AdamW; it rises over a tenth of the steps, and falls along a cosine."""
    head_learning_rate: float = 2e-2
    """Of the head, which starts at zero: until it has a direction, the body learns nothing."""
    random_share: float = 0.0
    """The share of annotators who are assumed to choose at random, Eq. (18.13)."""


class Text(NamedTuple):
    """Prompts with their answers, as tokens: each row ends with its answer's end token."""

    tokens: torch.Tensor
    """(B, L) long."""
    mask: torch.Tensor
    """(B, L) bool, False on padding, wherever it stands."""


class RewardModel(nn.Module):
    """R(prompt, answer) = head . (what the body knows after the last real token) - shift.

    The head starts at zero, so that at first all answers are equally good. It has no bias: a
    constant is never learned from preferences. `shift` is such a constant, see `centre`.

    Args:
        model: any causal language model of transformers; its body is copied, not shared.
        tokenizer: its tokenizer, with an end-of-sequence token and a padding token.
    """

    shift: torch.Tensor

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase):
        super().__init__()
        self.body = cast(PreTrainedModel, copy.deepcopy(model.base_model).eval())
        self.tokenizer = tokenizer
        size = config_of(model).get_text_config().hidden_size
        dtype = torch.promote_types(self.body.dtype, torch.float32)
        self.head = nn.Linear(size, 1, bias=False, dtype=dtype, device=self.body.device)
        nn.init.zeros_(self.head.weight)
        self.register_buffer("shift", torch.zeros((), dtype=dtype, device=self.body.device))

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The rewards of B texts, read at the last real token of each.

        Padding may stand on either side. It is never read: every row is moved to the left, and
        a causal model does not look to the right.

        Args:
            tokens, mask: (B, L), as in `Text`.

        Returns:
            (B,).

        Raises:
            ValueError: shapes that do not fit; a row without a real token, or with more tokens
                than the body can read, with its number.
        """
        tokens, lengths = move_left(tokens, mask)
        context = context_length(self.body)
        if context is not None and tokens.shape[1] > context:
            raise ValueError(f"row {int(lengths.argmax())} has more than {context} tokens")
        order = lengths.argsort()  # long texts and short ones apart: little padding is computed
        last = torch.cat([self._last(tokens[r], lengths[r]) for r in order.chunk(CHUNKS)])  # (B, d)
        return self.head(last[order.argsort()]).squeeze(-1) - self.shift

    def _last(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The body's output at the last real token of each row, (B, d)."""
        tokens = tokens[:, : int(lengths.max())]
        hidden = self.body(input_ids=tokens, use_cache=False).last_hidden_state  # (B, L, d)
        rows = torch.arange(len(tokens), device=tokens.device)
        return hidden[rows, lengths - 1].to(self.head.weight.dtype)

    def copy(self) -> "RewardModel":
        """The same weights again, to be trained or kept apart; the tokenizer is shared."""
        return copy.deepcopy(self, {id(self.tokenizer): self.tokenizer})

    @torch.no_grad()
    def score(
        self, prompts: Sequence[str], answers: Sequence[str], *, batch_size: int = 256
    ) -> torch.Tensor:
        """The rewards of answers in words, (B,). An empty answer is an end token alone."""
        text = to_tokens(self.tokenizer, prompts, answers, self.head.weight.device)
        batches = zip(*(x.split(batch_size) for x in text), strict=True)
        return torch.cat([self(tokens, mask) for tokens, mask in batches])

    def centre(self, prompts: Sequence[str], answers: Sequence[str]) -> None:
        """Choose the constant that preferences leave open: these answers get the mean reward 0."""
        self.shift += self.score(prompts, answers).mean()

    def save(self, folder: str | Path) -> None:
        """Body and tokenizer as transformers stores them, and the head beside them."""
        folder = Path(folder)
        self.body.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        save_file({"head": self.head.weight.data, "shift": self.shift}, folder / HEAD)

    @classmethod
    def load(cls, folder: str | Path) -> "RewardModel":
        """What `save` stored; FileNotFoundError if the folder holds no reward model."""
        if not (Path(folder) / HEAD).exists():
            raise FileNotFoundError(f"{folder} holds no reward model: there is no {HEAD} in it")
        body, stored = AutoModel.from_pretrained(folder), load_file(Path(folder) / HEAD)
        model = cls(body, AutoTokenizer.from_pretrained(folder))
        model.head.weight.data.copy_(stored["head"])
        model.shift.copy_(stored["shift"])
        return model


def move_left(tokens: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The real tokens of each row first, in their order, and how many there are.

    Returns:
        (B, longest row) and (B,); what follows a row's end is padding of no meaning.

    Raises:
        ValueError: see `RewardModel.forward`.
    """
    if tokens.ndim != 2 or mask.shape != tokens.shape:
        shapes = f"{tuple(tokens.shape)} and {tuple(mask.shape)}"
        raise ValueError(f"tokens and mask must have one shape (B, L), got {shapes}")
    lengths = mask.sum(-1)
    if (lengths == 0).any():
        raise ValueError(f"row {int((lengths == 0).nonzero()[0])} has no real token to read")
    order = mask.long().argsort(dim=-1, descending=True, stable=True)
    return tokens.gather(1, order)[:, : int(lengths.max())], lengths


def to_tokens(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    answers: Sequence[str],
    device: torch.device | str = "cpu",
) -> Text:
    """Each prompt, its answer and an end token, as the policy would have written them.

    Raises:
        ValueError: nothing, or not one answer for each prompt.
    """
    if len(prompts) != len(answers) or not prompts:
        raise ValueError(f"one answer for each prompt: got {len(prompts)} and {len(answers)}")
    before = encode(tokenizer, list(prompts), device)
    after, own = encode_answers(tokenizer, answers, device)
    tokens, mask = torch.cat([before.tokens, after], 1), torch.cat([before.mask, own], 1)
    tokens, lengths = move_left(tokens, mask)
    return Text(tokens, torch.arange(tokens.shape[1], device=device) < lengths[:, None])


def train(
    model: RewardModel,
    pairs: Sequence[tuple[str, str, str]],
    config: Config = Config(),
    *,
    seed: int = 0,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    resume: str | Path | None = None,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
) -> LoopResult:
    """Learn from pairs (prompt, chosen answer, rejected answer).

    `model` stays as it is; the trained copy is `result.models["reward_model"]`. A pair of two
    equal answers teaches nothing and is left out. At the end the copy is centred on the answers
    of the pairs, `RewardModel.centre`.

    Args:
        seed: of the order in which pairs are drawn; the only thing random here.
        checkpoint, resume: folders, see `rlbook.language.loop.Loop`.
        on_step: is told each step's number and log.

    Logged for each step, of its own batch, before it learns from it:
        loss: the mean of -log P(the choice that was made), in nats. log 2 = 0.693 at first, as the
            head starts at zero; it should fall to the entropy of the annotators' choices, which
            is above 0 if they are not sure.
        accuracy: the share of pairs whose chosen answer has the larger reward; without a unit.
            0 in the first step, where all rewards are equal; then it should rise to how often the
            annotators choose the better one. 1 with annotators who err: it learns by heart.

    Raises:
        ValueError: no pairs of two different answers.
    """
    pairs = [pair for pair in pairs if pair[1] != pair[2]]
    if not pairs:
        raise ValueError("no pairs of two different answers to learn from")
    prompts, chosen, rejected = map(list, zip(*pairs, strict=True))
    trained, device = model.copy(), model.head.weight.device
    text = to_tokens(model.tokenizer, prompts * 2, chosen + rejected, device)  # (2N, L)
    loop = Loop(
        {"body": trained.body, "head": trained.head},
        num_steps=config.num_steps,
        learning_rate={"body": config.learning_rate, "head": config.head_learning_rate},
        schedule="cosine",
        warmup_steps=config.num_steps // 10,
        betas=(0.9, 0.98),
        seed=seed,
        progress=progress,
        checkpoint=checkpoint,
        resume=resume,
    )
    with loop:
        for step in loop.steps():
            rows = torch.randint(len(pairs), (config.batch_size,), generator=loop.generator)
            both = torch.cat([rows, rows + len(pairs)]).to(device)  # chosen, then rejected
            won, lost = trained(text.tokens[both], text.mask[both]).view(2, -1)
            loss = bradley_terry_loss(won, lost, random_share=config.random_share).mean()
            loop.gradient_step(loss)
            measured = {
                "loss": float(loss.detach()),
                "accuracy": float((won > lost).double().mean()),
            }
            loop.log(**measured)
            if on_step is not None:
                on_step(step, measured)
    trained.centre(prompts * 2, chosen + rejected)
    return replace(loop.result(), models={"reward_model": trained})
