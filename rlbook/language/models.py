"""Tokenizers and causal language models: the book's small ones, and any of `from_pretrained`.

Nothing here unpickles: weights are safetensors, tokenizers are JSON.
"""

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub import model_info, try_to_load_from_cache
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import WordLevel
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from rlbook.language.tasks.task import Task

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal language model and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def copy(self) -> "LanguageModel":
        """The same weights again, to be trained or kept apart; the tokenizer is shared."""
        return LanguageModel(copy.deepcopy(self.model), self.tokenizer)

    def save(self, folder: str | os.PathLike) -> None:
        """Write what `load` and `from_pretrained` read."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


@dataclass(frozen=True)
class Prompts:
    """Prompts as tokens, padded on the left so that all of them end in the last column."""

    tokens: torch.Tensor
    """(B, P) long."""
    mask: torch.Tensor
    """(B, P) bool, False on the padding."""


def make_tokenizer(task: Task) -> PreTrainedTokenizerFast:
    """A tokenizer with the task's vocabulary, one token a character or a word.

    Special tokens are the padding 0, the beginning of a sequence 1, which it puts before a text
    unless told `add_special_tokens=False`, and its end 2. There is no token for the unknown.
    """
    symbols = [PAD, BOS, EOS, *task.vocabulary]
    backend = Tokenizer(WordLevel({symbol: i for i, symbol in enumerate(symbols)}, "<none>"))
    if task.separator:
        backend.pre_tokenizer = pre_tokenizers.Split(task.separator, "removed")
    else:
        backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        backend.decoder = decoders.Fuse()
    backend.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, symbols.index(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        clean_up_tokenization_spaces=False,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
    )


def make_model(
    tokenizer: PreTrainedTokenizerBase,
    *,
    architecture: str = "llama",
    hidden_size: int = 64,
    layers: int = 2,
    heads: int = 4,
    context: int = 64,
    seed: int = 0,
) -> PreTrainedModel:
    """A small causal model with random weights, which depend on the seed only; no dropout.

    Args:
        architecture: "llama" or "gpt2".
        hidden_size: the width; the layers in between are twice as wide.
        context: the most tokens that it can read.
    """
    if hidden_size % (2 * heads):
        raise ValueError(f"hidden_size={hidden_size} must be a multiple of 2 x heads={heads}")
    pad, bos, eos = tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id
    config: LlamaConfig | GPT2Config
    if architecture == "llama":
        config = LlamaConfig(
            hidden_size=hidden_size,
            intermediate_size=2 * hidden_size,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=context,
            vocab_size=len(tokenizer),
            tie_word_embeddings=True,
            pad_token_id=pad,
            bos_token_id=bos,
            eos_token_id=eos,
        )
    elif architecture == "gpt2":
        config = GPT2Config(
            n_embd=hidden_size,
            n_inner=2 * hidden_size,
            n_layer=layers,
            n_head=heads,
            n_positions=context,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            vocab_size=len(tokenizer),
            tie_word_embeddings=True,
            pad_token_id=pad,
            bos_token_id=bos,
            eos_token_id=eos,
        )
    else:
        raise ValueError(f'architecture must be "llama" or "gpt2", got {architecture!r}')
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = {"llama": LlamaForCausalLM, "gpt2": GPT2LMHeadModel}[architecture](config)
    return model.eval()


def load(
    name_or_folder: str | os.PathLike,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> LanguageModel:
    """Any causal language model of `from_pretrained`: a folder, or a name on the hub.

    Code that comes with a model is never run, and pickled weights are not read. A tokenizer
    without a padding token pads with the end of a sequence, which masks hide.

    Args:
        dtype: of the weights; by default that of the file.

    Raises:
        OSError: no such model, or no network to fetch it.
        ValueError: not a causal language model, weights that are missing, or a tokenizer that
            does not fit.
    """
    name = os.fspath(name_or_folder)
    try:
        _require_reach(name)
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, ImportError) as error:  # the last: a format that wants a package
        raise OSError(f"cannot load {name!r}, or its tokenizer: {error}") from error
    try:
        found: Any = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=dtype or "auto",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        model, report = found
    except OSError as error:
        raise OSError(f"cannot load the model of {name!r}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{name!r} is not a causal language model: {error}") from error
    if missing := sorted(report["missing_keys"]):
        raise ValueError(f"{name!r} is not a causal language model: no weights {missing[:3]}")
    _fit(name, tokenizer, model)
    model = model.to(device) if device is not None else model
    _require_causal(name, model.eval())
    return LanguageModel(model, tokenizer)


def _require_reach(name: str) -> None:
    """Ask the hub once for what is not on this machine; from_pretrained would try for a minute."""
    if os.path.isdir(name) or try_to_load_from_cache(name, "config.json") is not None:
        return
    try:
        model_info(name, timeout=10)
    except Exception as error:  # of the hub or of its client: they have no class in common
        where = "no folder, not downloaded before, and the hub does not give it"
        raise OSError(f"{where}: {error}") from error


def _fit(name: str, tokenizer, model) -> None:
    if tokenizer.eos_token_id is None:
        raise ValueError(f"the tokenizer of {name!r} has no end-of-sequence token")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ValueError(f"the tokenizer of {name!r} has {len(tokenizer)} tokens, its model {rows}")


@torch.no_grad()
def _require_causal(name: str, model) -> None:
    """Change the last token: nothing before it may notice."""
    tokens = torch.tensor([[0, 1, 2, 0], [0, 1, 2, 1]], device=model.device)
    mask = torch.ones_like(tokens)
    one, other = model(input_ids=tokens, attention_mask=mask).logits[:, :-1].float()
    if not (one - other).abs().max() <= 1e-4 * one.std():
        raise ValueError(f"{name!r} is not causal: a token depends on those behind it")


def config_of(model: nn.Module) -> PreTrainedConfig:
    """The configuration of a model, or of the one that it wraps (PEFT, DistributedDataParallel)."""
    for module in model.modules():
        if isinstance(config := getattr(module, "config", None), PreTrainedConfig):
            return config
    raise ValueError(f"{type(model).__name__} is no model of transformers: it has no config")


def context_length(model: nn.Module) -> int | None:
    """The most tokens that a model can read, prompt and answer together; None if it sets none."""
    return getattr(config_of(model).get_text_config(), "max_position_embeddings", None)


def encode(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    device: torch.device | str | None = None,
    *,
    max_tokens: int | None = None,
) -> Prompts:
    """Prompts as tokens (B, P), padded on the left.

    Args:
        max_tokens: what a prompt may have at most: a model's context_length minus the
            max_new_tokens of the answer.

    Raises:
        ValueError: no prompt; one without a token, with a character that the tokenizer does not
            know, or longer than max_tokens, by its number.
    """
    if isinstance(prompts, str) or len(prompts) == 0:
        raise ValueError(f"prompts must be a list of texts, got {prompts!r}")
    rows = [_ids(tokenizer, text, f"prompt {i}") for i, text in enumerate(prompts)]
    for i, row in enumerate(rows):
        if not row:
            raise ValueError(f"prompt {i} has no token: {prompts[i]!r}")
        if max_tokens is not None and len(row) > max_tokens:
            raise ValueError(f"prompt {i} has {len(row)} tokens, above {max_tokens}")
    width = max(map(len, rows))
    tokens = [[tokenizer.pad_token_id] * (width - len(row)) + row for row in rows]
    mask = [[False] * (width - len(row)) + [True] * len(row) for row in rows]
    return Prompts(torch.tensor(tokens, device=device), torch.tensor(mask, device=device))


def encode_answers(
    tokenizer: PreTrainedTokenizerBase,
    answers: Sequence[str],
    device: torch.device | str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Answers as tokens (B, T), each closed by the end of a sequence, padded on the right, and
    their completion_mask (B, T)."""
    eos = tokenizer.eos_token_id
    rows = [[*_ids(tokenizer, a, f"answer {i}", False), eos] for i, a in enumerate(answers)]
    width = max(map(len, rows))
    tokens = [row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows]
    mask = [[True] * len(row) + [False] * (width - len(row)) for row in rows]
    return torch.tensor(tokens, device=device), torch.tensor(mask, device=device)


def _ids(tokenizer, text: str, what: str, special: bool = True) -> list[int]:
    try:
        return tokenizer(text, add_special_tokens=special)["input_ids"]
    except Exception as error:  # the backend has no class of its own for it
        raise ValueError(f"{what} is not in the tokenizer's words: {text!r}") from error
