"""A causal model of `transformers` that reads prompts once, then one more token at a time."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from rlbook.language.models import Prompts, config_of

CACHE_NAMES = ("cache", "past_key_values")
"""What `forward` calls its cache: from transformers 5.24 on, and before."""
MAY_BE_ABSENT = {
    "position_ids": "the model then counts its positions from the mask, or has none",
    "logits_to_keep": "it then gives the logits of all tokens, of which `last_outputs` keeps these",
    "use_cache": "it then keeps nothing that it was not given a cache for",
}
"""Options that a `forward` may lack, and why nothing is lost; any other that it lacks raises."""


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """No dropout inside; afterwards each module is in the mode that it was in."""
    training = [module for module in model.modules() if module.training]
    if training:
        model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def answer_outputs(
    model: nn.Module, prompts: Prompts, answers: torch.Tensor, completion_mask: torch.Tensor
) -> torch.Tensor:
    """What a model puts out where each token of the answers is due, (B, T, ...), without dropout.

    For token t it has read the prompt and the tokens before t, not t itself.

    Args:
        model, returned: as in `last_outputs`.
        answers, completion_mask: (B, T).
    """
    # The last token is never read.
    tokens = torch.cat([prompts.tokens, answers[:, :-1]], dim=1)  # (B, P + T - 1)
    mask = torch.cat([prompts.mask, completion_mask[:, :-1]], dim=1)
    with evaluation_mode(model):
        return last_outputs(model, tokens, mask.long(), keep=answers.shape[1], use_cache=False)


def last_outputs(
    model: nn.Module,
    tokens: torch.Tensor,
    mask: torch.Tensor,
    keep: int,
    *,
    known: Sequence[str] | None = None,
    **options: Any,
) -> torch.Tensor:
    """What a model puts out after the last `keep` tokens, in float32 at least.

    Positions count real tokens, so that padding on the left changes nothing.

    Args:
        model: with its head, for logits (B, keep, V); or its body, for hidden states.
        tokens: (B, L), what is read.
        mask: (B, read before + L), 1 for real tokens.
        known: the options of the model's forward; looked up if they are not given.
        options: of these.

    Raises:
        TypeError: the model takes no such option, and it is none that may be absent.
    """
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
    options |= {"position_ids": positions, "logits_to_keep": keep}
    known = _arguments(model) if known is None else known
    if unknown := options.keys() - set(known) - MAY_BE_ABSENT.keys():
        name = type(model).__name__
        raise TypeError(f"forward of {name} takes no {sorted(unknown)}, only {known}")
    options = {name: value for name, value in options.items() if name in known}
    out = model(input_ids=tokens, attention_mask=mask, **options)
    found = (out.logits if "logits" in out else out.last_hidden_state)[:, -keep:]
    return found.to(torch.promote_types(found.dtype, torch.float32))


def _arguments(model: nn.Module) -> list[str]:
    """What `model.forward` takes by name, and what it hands on as **kwargs to the model it wraps.

    Wrappers (PEFT, DistributedDataParallel, one's own) come before the model of transformers.
    """
    found: list[str] = []
    for module in model.modules():
        parameters = inspect.signature(module.forward).parameters.values()
        found += [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
        hands_on = any(p.kind is p.VAR_KEYWORD for p in parameters)
        if isinstance(module, PreTrainedModel) or not hands_on:
            break
    return found


class Reader:
    """What B rows have read so far, as keys and values, and what comes next: `logits` (B, V).

    Prompts that are the same are read once. After each reading the cache is seen to have grown by
    what was read: a model that has forgotten its prompt answers, too, but something else.

    Args:
        tokens, mask: (B, P), padded on the left.
        room: how many tokens each row may still get.

    Raises:
        ValueError: the model takes no cache, or leaves the one that it is given as it was.
    """

    def __init__(self, model: nn.Module, tokens: torch.Tensor, mask: torch.Tensor, room: int):
        (B, P), mask = tokens.shape, mask.long()
        different, copies = torch.cat([tokens, mask], dim=1).unique(dim=0, return_inverse=True)
        self.model, self.cache = model, DynamicCache(config=config_of(model))
        self.known = _arguments(model)
        named = [name for name in self.known if name in CACHE_NAMES]  # the outermost first
        if not named:
            name, neither = type(model).__name__, " nor ".join(CACHE_NAMES)
            raise ValueError(f"forward of {name} takes neither {neither}: it cannot read on")
        self.cache_name = named[0]
        self.mask, self.read_before = torch.cat([mask, mask.new_ones(B, room)], dim=1), P
        if len(different) < B:
            tokens, mask = different[:, :P], different[:, P:]
        self.logits = self._read(tokens, mask)
        if len(different) < B:
            self.logits = self.logits[copies]
            self.cache.batch_select_indices(copies)

    def read(self, tokens: torch.Tensor) -> None:
        """One more token (B,) of each row."""
        self.read_before += 1
        self.logits = self._read(tokens[:, None], self.mask[:, : self.read_before])

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only: (B,) bool."""
        self.cache.batch_select_indices(rows)
        self.mask = self.mask[rows]

    def _read(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        options = {self.cache_name: self.cache, "use_cache": True}
        found = last_outputs(self.model, tokens, mask, keep=1, known=self.known, **options)
        if (held := self.cache.get_seq_length()) != self.read_before:
            raise ValueError(
                f"{type(self.model).__name__} has read {self.read_before} tokens of each row, and"
                f" its cache, given as {self.cache_name}, holds {held}: it would answer without"
                " what it has read"
            )
        return found[:, 0]
