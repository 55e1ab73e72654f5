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

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from rlbook.ground import require
from rlbook.ground.draws import inverse_cdf
from rlbook.language.models import LanguageModel, Prompts, context_length, encode
from rlbook.language.reader import Reader, answer_outputs, evaluation_mode

READ_ON = 0.8
"""Answers that have ended leave the batch as soon as they are a fifth of it."""


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


def write(
    language_model: LanguageModel,
    texts: Sequence[str],
    *,
    max_new_tokens: int,
    generator: torch.Generator,
    temperature: float = 1.0,
) -> tuple[Prompts, Answers, list[str]]:
    """An answer to each of B texts by `sample`: the prompts, the answers, and these as text."""
    tokenizer = language_model.tokenizer
    prompts = encode(tokenizer, texts, language_model.device)
    answers = sample(
        language_model.model,
        prompts,
        max_new_tokens=max_new_tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        generator=generator,
        temperature=temperature,
    )
    return prompts, answers, decode(tokenizer, answers)


@torch.no_grad()
def sample(
    model: nn.Module,
    prompts: Prompts,
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
    require.at_least("temperature", temperature, 0)
    require.at_least("max_new_tokens", max_new_tokens, 1)
    shape, device = (len(prompts.tokens), max_new_tokens), prompts.tokens.device
    uniforms = torch.rand(
        shape, dtype=torch.float64, generator=generator, device=generator.device
    ).to(device)
    tokens = torch.full(shape, pad_token_id, device=device)
    log_probs = torch.zeros(shape, dtype=torch.float64, device=device)
    mask = torch.zeros(shape, dtype=torch.bool, device=device)
    finished = mask.new_ones(shape[0])
    rows = torch.arange(shape[0], device=device)  # the answers that are still read
    going = torch.ones_like(finished)  # which of them have not ended
    with evaluation_mode(model):
        reader = Reader(model, prompts.tokens, prompts.mask, max_new_tokens)
        for t in range(max_new_tokens):
            drawn, scores = _draw(reader.logits, uniforms[rows, t], temperature)
            tokens[rows, t] = torch.where(going, drawn, pad_token_id)
            log_probs[rows, t] = torch.where(going, scores.double(), 0.0)
            mask[rows, t] = going
            going &= drawn != eos_token_id
            if not going.any() or t + 1 == max_new_tokens:
                break
            if going.sum() <= READ_ON * len(rows):
                reader.keep(going)
                rows, drawn, going = rows[going], drawn[going], going[going]
            reader.read(drawn)
    finished[rows] = ~going
    log_probs = log_probs[:, : t + 1].to(reader.logits.dtype)
    return Answers(tokens[:, : t + 1], mask[:, : t + 1], log_probs, finished)


def _draw(
    logits: torch.Tensor, uniforms: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token for each row, (B,), and its log-probability."""
    log_probs = (logits / (temperature or 1.0)).log_softmax(-1)  # (B, V)
    if temperature:
        drawn = inverse_cdf(log_probs.double().exp(), uniforms)
    else:
        drawn = log_probs.argmax(-1)
    return drawn, log_probs.gather(-1, drawn[:, None])[:, 0]


def token_log_probs(
    model: nn.Module,
    prompts: Prompts,
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
    if len(prompts.tokens) != B or completion_mask.shape != (B, T):
        shapes = f"{tuple(prompts.tokens.shape)}, {(B, T)}, {tuple(completion_mask.shape)}"
        raise ValueError(f"prompts, answers and completion_mask do not fit: {shapes}")
    check_prompts(model, prompts, completion_mask.sum(-1))
    require.positive("temperature", temperature)
    logits = answer_outputs(model, prompts, answers, completion_mask) / temperature  # (B, T, V)
    chosen = logits.gather(-1, answers[..., None])[..., 0]
    return torch.where(completion_mask, chosen - logits.logsumexp(-1), 0.0)


def decode(tokenizer: PreTrainedTokenizerBase, answers: Answers) -> list[str]:
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


def check_prompts(model: nn.Module, prompts: Prompts, lengths: int | torch.Tensor) -> None:
    """Is there something to continue, padded on the left, and room for the answer?

    Args:
        lengths: of the answers, one number or (B,).

    Raises:
        ValueError: naming the row.
    """
    real, P = prompts.mask.sum(-1), prompts.mask.shape[1]
    suffix = torch.arange(P, 0, -1, device=real.device) <= real[:, None]
    _refuse((suffix != prompts.mask).any(-1), "is not padded on the left")
    _refuse(real == 0, "is empty")
    context = context_length(model)
    if context is not None:
        what = lengths if isinstance(lengths, int) else "its answer's"
        room = f"leaves no room for {what} tokens in a context of {context}"
        _refuse(real + lengths > context, room)


def _refuse(bad: torch.Tensor, what: str) -> None:
    if bad.any():
        raise ValueError(f"prompt {int(bad.nonzero()[0])} {what}")
