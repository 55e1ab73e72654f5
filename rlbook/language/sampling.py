"""Answers of a language model: drawn token by token, and their log-probabilities. Chapter 18.

For any causal model of `transformers`, on any device and in any dtype. B prompts, padded on the
left to P tokens, and their answers of at most T tokens:

    prompts.tokens    _  _  Q  Q  Q
    prompts.mask      0  0  1  1  1
    answers.tokens                     a  b  E  _      E ends an answer, _ is padding
    completion_mask                    1  1  1  0      the end token is one of the answer's own

Nothing here uses dropout, whatever mode the model is in: then the log-probabilities of a sample
are the ones that `token_log_probs` computes.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from rlbook.policies import inverse_cdf

if TYPE_CHECKING:
    from rlbook.language.models import Prompts


@dataclass(frozen=True, eq=False)
class Answers:
    """One answer to each of B prompts; T is the length of the longest."""

    tokens: torch.Tensor
    """(B, T) long; what follows an end token is padding."""
    completion_mask: torch.Tensor
    """(B, T) bool: the tokens of the answer, its end token included."""
    log_probs: torch.Tensor
    """(B, T), of each token when it was drawn; 0 off the mask."""
    finished: torch.Tensor
    """(B,) bool: the answer has an end token; others were cut."""


@torch.no_grad()
def sample(
    model,
    prompts: "Prompts",
    *,
    max_new_tokens: int,
    eos_token_id: int,
    pad_token_id: int,
    generator: torch.Generator,
    temperature: float = 1.0,
) -> Answers:
    """One answer to each prompt, each token from softmax(logits / temperature).

    Row i of the batch takes the same random numbers whatever the other prompts are: its answer
    depends on the generator's state, i and the prompt, up to the rounding of the model.

    Args:
        max_new_tokens: where an answer is cut that has not ended.
        generator: of any device; it gives B x max_new_tokens numbers at once.
        temperature: log_probs are those of the distribution that the tokens came from, so of
            softmax(logits / temperature). At 0 the likeliest token is taken; then log_probs are
            those of temperature 1.

    Raises:
        ValueError: no room for the answer in the model's context, or prompts not padded on the
            left, with the row; a negative temperature.
    """
    check_prompts(model, prompts, max_new_tokens)
    if not temperature >= 0:
        raise ValueError(f"temperature must be at least 0, got {temperature}")
    B, device = len(prompts.tokens), prompts.tokens.device
    uniforms = torch.rand(
        B, max_new_tokens, generator=generator, device=generator.device, dtype=torch.float64
    ).to(device)
    tokens = torch.full((B, max_new_tokens), pad_token_id, device=device)
    log_probs = torch.zeros(B, max_new_tokens, device=device, dtype=_at_least_float32(model.dtype))
    lengths = torch.full((B,), max_new_tokens, device=device)
    finished = torch.zeros(B, dtype=torch.bool, device=device)
    with evaluation_mode(model):
        for t, logits in enumerate(_steps(model, prompts, tokens)):
            scores = (logits / (temperature or 1.0)).log_softmax(-1)  # (B, V)
            if temperature:
                drawn = inverse_cdf(scores.double().exp(), uniforms[:, t])
            else:
                drawn = scores.argmax(-1)
            going = ~finished
            tokens[:, t] = torch.where(going, drawn, pad_token_id)
            log_probs[:, t] = torch.where(going, scores.gather(-1, drawn[:, None])[:, 0], 0.0)
            ended = going & (drawn == eos_token_id)
            lengths[ended] = t + 1
            finished |= ended
            if finished.all():
                break
    mask = torch.arange(t + 1, device=device) < lengths[:, None]  # (B, T)
    return Answers(tokens[:, : t + 1], mask, log_probs[:, : t + 1], finished)


def token_log_probs(
    model,
    prompts: "Prompts",
    answers: torch.Tensor,
    completion_mask: torch.Tensor,
    *,
    temperature: float = 1.0,
) -> torch.Tensor:
    """log pi(answer_t | prompt, answer_<t), (B, T), with its gradient; 0 off the mask.

    Args:
        answers, completion_mask: (B, T), as `sample` gives them.
        temperature: of softmax(logits / temperature), where the answers were drawn from.

    Raises:
        ValueError: shapes that do not fit; prompts as in `sample`; a temperature of 0.
    """
    B, T = answers.shape
    check_prompts(model, prompts, T)
    if len(prompts.tokens) != B or completion_mask.shape != (B, T):
        shapes = f"{tuple(prompts.tokens.shape)}, {(B, T)}, {tuple(completion_mask.shape)}"
        raise ValueError(f"prompts, answers and completion_mask do not fit: {shapes}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    # The last token is scored, never read.
    tokens = torch.cat([prompts.tokens, answers[:, :-1]], dim=1)  # (B, P + T - 1)
    mask = torch.cat([prompts.mask, completion_mask[:, :-1]], dim=1)
    with evaluation_mode(model):
        logits = _forward(model, tokens, mask, keep=T, use_cache=False).logits
    logits = logits.to(_at_least_float32(logits.dtype)) / temperature  # (B, T, V)
    chosen = logits.gather(-1, answers[..., None])[..., 0]
    return torch.where(completion_mask, chosen - logits.logsumexp(-1), 0.0)


def decode(tokenizer, answers: Answers) -> list[str]:
    """The answers as text, without the end token and other special tokens."""
    rows = zip(answers.tokens.tolist(), answers.completion_mask.sum(-1).tolist(), strict=True)
    own = [tokens[:length] for tokens, length in rows]
    return tokenizer.batch_decode(own, skip_special_tokens=True)


def pass_at_k(correct: torch.Tensor, k: int) -> torch.Tensor:
    """The probability that at least one of k answers is right, estimated from n: (Q, n) -> (Q,).

    1 - C(n - c, k) / C(n, k) where c of the n are right: no bias, while 1 - (1 - c/n)^k is too low.

    Args:
        correct: (Q, n) bool.
        k: from 1 to n.

    Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", Eq. 1.
    """
    n = correct.shape[-1]
    if not 1 <= k <= n:
        raise ValueError(f"k must be from 1 to n = {n}, got {k}")
    wrong = (n - correct.double().sum(-1))[..., None]  # (Q, 1)
    draws = torch.arange(k, device=correct.device)
    return 1 - ((wrong - draws).clamp(min=0) / (n - draws)).prod(-1)


def check_prompts(model, prompts: "Prompts", max_new_tokens: int) -> None:
    """Is there something to continue, padded on the left, and room for the answer?

    Raises:
        ValueError: naming the row.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
    mask, lengths = prompts.mask, prompts.mask.sum(-1)
    suffix = torch.arange(mask.shape[1], 0, -1, device=mask.device) <= lengths[:, None]
    _refuse((suffix != mask).any(-1), "is not padded on the left")
    _refuse(lengths == 0, "is empty")
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if context is not None:
        room = f"does not leave {max_new_tokens} of {context} tokens for the answer"
        _refuse(lengths + max_new_tokens > context, room)


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


def _refuse(bad: torch.Tensor, what: str) -> None:
    if bad.any():
        raise ValueError(f"prompt {int(bad.nonzero()[0])} {what}")


def _steps(model, prompts: "Prompts", tokens: torch.Tensor) -> Iterator[torch.Tensor]:
    """The logits (B, V) of each next token; the caller writes into `tokens` (B, T) between them."""
    (B, P), T = prompts.tokens.shape, tokens.shape[1]
    mask = torch.cat([prompts.mask, prompts.mask.new_ones(B, T)], dim=1)
    read, cache = prompts.tokens, None
    for t in range(T):
        out = _forward(model, read, mask[:, : P + t], keep=1, use_cache=True, past_key_values=cache)
        logits, cache = out.logits[:, -1], out.past_key_values
        yield logits.to(_at_least_float32(logits.dtype))
        read = tokens[:, t : t + 1]


def _forward(model, tokens: torch.Tensor, mask: torch.Tensor, *, keep: int, **options):
    """The model's output, with the logits of the last `keep` positions.

    Positions count real tokens, so that padding on the left changes nothing.
    """
    accepted = inspect.signature(model.forward).parameters
    if "position_ids" in accepted:
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        options["position_ids"] = positions[:, -tokens.shape[1] :]
    if "logits_to_keep" in accepted:
        options["logits_to_keep"] = keep
    out = model(input_ids=tokens, attention_mask=mask.long(), **options)
    out.logits = out.logits[:, -keep:]
    return out


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
