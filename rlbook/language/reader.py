"""A causal model of `transformers` that reads prompts once, then one more token at a time."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from transformers.cache_utils import DynamicCache


@contextmanager
def evaluation_mode(model) -> Iterator[None]:
    """No dropout inside; afterwards the mode it was in."""
    training = model.training
    if training:
        model.eval()
    try:
        yield
    finally:
        if training:
            model.train()


def last_logits(
    model, tokens: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, keep: int, **options
) -> torch.Tensor:
    """The logits (B, keep, V) after the last `keep` tokens, in float32 at least.

    Args:
        tokens, positions: (B, L), what is read, and where it stands.
        mask: (B, read before + L), 1 for real tokens.
        options: of the model's forward; those that it does not know are left out.
    """
    options |= {"position_ids": positions, "logits_to_keep": keep}
    known = _arguments(type(model))
    options = {name: value for name, value in options.items() if name in known}
    logits = model(input_ids=tokens, attention_mask=mask, **options).logits[:, -keep:]
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


@cache
def _arguments(model_class: type) -> frozenset[str]:
    return frozenset(inspect.signature(model_class.forward).parameters)


class Reader:
    """What B rows have read so far, as keys and values, and what comes next: `logits` (B, V).

    Prompts that are the same are read once. Positions count real tokens, so that padding on the
    left changes nothing.

    Args:
        tokens, mask: (B, P), padded on the left.
        room: how many tokens each row may still get.
    """

    def __init__(self, model, tokens: torch.Tensor, mask: torch.Tensor, room: int):
        (B, P), mask = tokens.shape, mask.long()
        different, copies = torch.cat([tokens, mask], dim=1).unique(dim=0, return_inverse=True)
        self.model, self.cache = model, DynamicCache(config=model.config)
        self.mask, self.read_before = torch.cat([mask, mask.new_ones(B, room)], dim=1), P
        self.next_position = mask.sum(-1, keepdim=True)
        if len(different) < B:
            tokens, mask = different[:, :P], different[:, P:]
        self.logits = self._read(tokens, mask, (mask.cumsum(-1) - 1).clamp(min=0))
        if len(different) < B:
            self.logits = self.logits[copies]
            self.cache.batch_select_indices(copies)

    def read(self, tokens: torch.Tensor) -> None:
        """One more token (B,) of each row."""
        self.read_before += 1
        mask = self.mask[:, : self.read_before]
        self.logits = self._read(tokens[:, None], mask, self.next_position)
        self.next_position = self.next_position + 1

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only: (B,) bool."""
        self.cache.batch_select_indices(rows)
        self.mask, self.next_position = self.mask[rows], self.next_position[rows]

    def _read(self, *what: torch.Tensor) -> torch.Tensor:
        options = {"past_key_values": self.cache, "use_cache": True}
        return last_logits(self.model, *what, keep=1, **options)[:, 0]
