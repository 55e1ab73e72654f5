"""Tokenizers, small models, and models of `from_pretrained`: two architectures, made here."""

import json
import pickle
import socket

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import (
    BertConfig,
    BertLMHeadModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from rlbook.ground.seeding import generator
from rlbook.language import models
from rlbook.language.models import (
    LanguageModel,
    context_length,
    encode,
    encode_answers,
    load,
    make_model,
    make_tokenizer,
)
from rlbook.language.sampling import sample, token_log_probs
from rlbook.language.tasks.arithmetic import Arithmetic
from rlbook.language.tasks.reviews import Reviews

ARCHITECTURES = ["llama", "gpt2"]
TINY = {"hidden_size": 16, "layers": 1, "heads": 2}
PROMPTS = ["47+85=", "1", "99+9"]


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer(Arithmetic())


def tiny(tokenizer, architecture="llama", seed=0, **settings) -> LanguageModel:
    """A model whose weights are large enough for its context to matter."""
    model = make_model(tokenizer, architecture=architecture, seed=seed, **(TINY | settings))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return LanguageModel(model, tokenizer)


# ---------------------------------------------------------------- tokenizers


@pytest.mark.parametrize("task", [Arithmetic(), Reviews()], ids=lambda task: task.name)
def test_round_trip_of_text_and_of_tokens(task, tmp_path):
    made = make_tokenizer(task)
    made.save_pretrained(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for tokenizer in (made, loaded):
        assert len(tokenizer) == 3 + len(task.vocabulary)
        special = (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
        assert special == (0, 1, 2)
        for prompt, answer in task.pairs(50, generator(0)):
            for text in (prompt, answer):
                tokens = tokenizer(text)["input_ids"]
                assert tokens[0] == 1 and min(tokens[1:]) > 2
                assert tokenizer.decode(tokens, skip_special_tokens=True) == text
                assert tokenizer(text, add_special_tokens=False)["input_ids"] == tokens[1:]
        drawn = torch.randint(3, len(tokenizer), (20, 24), generator=generator(1)).tolist()
        for tokens in drawn:  # whatever a model writes, sense or not
            text = tokenizer.decode([*tokens, 2, 0, 0], skip_special_tokens=True)
            assert tokenizer(text, add_special_tokens=False)["input_ids"] == tokens


def test_prompts_are_padded_on_the_left(tokenizer):
    prompts = encode(tokenizer, ["1+", "23+4"])
    assert prompts.tokens.tolist() == [[0, 0, 1, 4, 13], [1, 5, 6, 13, 7]]
    assert prompts.mask.tolist() == [[False, False, True, True, True], [True] * 5]
    assert prompts.tokens.dtype == torch.long and prompts.mask.dtype == torch.bool
    assert encode(tokenizer, [""]).tokens.tolist() == [[1]]


def test_answers_are_closed_and_padded_on_the_right(tokenizer):
    tokens, mask = encode_answers(tokenizer, ["1+", "", "234"])
    assert tokens.tolist() == [[4, 13, 2, 0], [2, 0, 0, 0], [5, 6, 7, 2]]
    assert mask.tolist() == [[True] * 3 + [False], [True] + [False] * 3, [True] * 4]


def test_prompts_that_cannot_be_read(tokenizer):
    for prompts in ([], "47+85="):
        with pytest.raises(ValueError, match="prompts must be a list of texts"):
            encode(tokenizer, prompts)
    with pytest.raises(ValueError, match="prompt 1 is not in the tokenizer's words: '4 7'"):
        encode(tokenizer, ["47", "4 7"])
    with pytest.raises(ValueError, match="prompt 2 has 6 tokens, above 5"):
        encode(tokenizer, ["47", "4711", "47+11"], max_tokens=5)
    assert encode(tokenizer, ["47+1"], max_tokens=5).tokens.shape == (1, 5)
    with pytest.raises(ValueError, match="answer 0 is not in the tokenizer's words: 'x'"):
        encode_answers(tokenizer, ["x"])
    no_bos = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({"a": 0}, "a")), pad_token="a"
    )
    with pytest.raises(ValueError, match="prompt 1 has no token: ''"):
        encode(no_bos, ["a", ""])


# ---------------------------------------------------------------- small models


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_depend_on_the_seed_only(tokenizer, architecture):
    torch.manual_seed(1)
    one = make_model(tokenizer, architecture=architecture, seed=3, **TINY)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    other = make_model(tokenizer, architecture=architecture, seed=3, **TINY)
    third = make_model(tokenizer, architecture=architecture, seed=4, **TINY)
    assert torch.equal(state, torch.get_rng_state())
    vectors = [torch.nn.utils.parameters_to_vector(m.parameters()) for m in (one, other, third)]
    assert torch.equal(vectors[0], vectors[1]) and not torch.equal(vectors[0], vectors[2])
    assert not one.training and context_length(one) == 64
    ids = (one.config.pad_token_id, one.config.bos_token_id, one.config.eos_token_id)
    assert ids == (0, 1, 2) and one.get_input_embeddings().num_embeddings == len(tokenizer)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_there_is_no_dropout(tokenizer, architecture):
    model = make_model(tokenizer, architecture=architecture, **TINY).train()
    tokens = torch.arange(12)[None]
    assert torch.equal(model(input_ids=tokens).logits, model(input_ids=tokens).logits)


def test_the_book_s_model_is_small(tokenizer):
    model = make_model(tokenizer)
    assert 80_000 < sum(p.numel() for p in model.parameters()) < 90_000
    with pytest.raises(ValueError, match='architecture must be "llama" or "gpt2"'):
        make_model(tokenizer, architecture="bert")
    with pytest.raises(ValueError, match="hidden_size=20 must be a multiple of 2 x heads=4"):
        make_model(tokenizer, hidden_size=20)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_and_batch_mates_change_nothing(tokenizer, architecture):
    lm = tiny(tokenizer, architecture)
    answers, mask = encode_answers(tokenizer, ["7+5=12", "3;", ""])
    batch = encode(tokenizer, PROMPTS)
    together = token_log_probs(lm.model, batch, answers, mask)
    for row, prompt in enumerate(PROMPTS):
        length = int(mask[row].sum())
        own = (answers[row : row + 1, :length], mask[row : row + 1, :length])
        alone = token_log_probs(lm.model, encode(tokenizer, [prompt]), *own)
        torch.testing.assert_close(together[row : row + 1, :length], alone)
        text = tokenizer(prompt)["input_ids"] + own[0][0].tolist()  # no padding, no mask
        logits = lm.model(input_ids=torch.tensor([text])).logits.log_softmax(-1)[0, :-1]
        plain = logits.gather(-1, torch.tensor(text[1:])[:, None])[-length:, 0]
        torch.testing.assert_close(together[row, :length], plain)
    assert together.std() > 0.5  # the weights are large enough for a difference to be seen


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_copy_is_trained_apart(tokenizer, architecture):
    lm = tiny(tokenizer, architecture)
    copy = lm.copy()
    with torch.no_grad():
        next(copy.model.parameters()).zero_()
    assert next(lm.model.parameters()).abs().sum() > 0 and copy.tokenizer is lm.tokenizer


# ---------------------------------------------------------------- load


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_saved_model_comes_back(tokenizer, architecture, tmp_path):
    lm = tiny(tokenizer, architecture)
    lm.save(tmp_path)
    loaded = load(tmp_path)
    options = {"max_new_tokens": 5, "eos_token_id": 2, "pad_token_id": 0}
    one, other = (
        sample(x.model, encode(x.tokenizer, PROMPTS), generator=generator(0), **options)
        for x in (lm, loaded)
    )
    assert torch.equal(one.tokens, other.tokens) and torch.equal(one.log_probs, other.log_probs)
    assert not loaded.model.training and loaded.model.dtype == torch.float32
    assert not list(tmp_path.glob("*.bin")) and not list(tmp_path.glob("*.p*"))
    half = load(str(tmp_path), dtype=torch.bfloat16, device="cpu")
    assert half.model.dtype == torch.bfloat16
    half.save(tmp_path / "half")
    assert load(tmp_path / "half").model.dtype == torch.bfloat16


def bare_tokenizer(**special) -> PreTrainedTokenizerFast:
    words = {word: i for i, word in enumerate(["a", "b", "c", *special.values()])}
    backend = Tokenizer(WordLevel(words, "a"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def test_a_tokenizer_without_padding(tokenizer, tmp_path):
    lm = tiny(tokenizer)
    lm.model.save_pretrained(tmp_path)
    bare_tokenizer(eos_token="END").save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert loaded.tokenizer.pad_token_id == loaded.tokenizer.eos_token_id == 3
    batch = encode(loaded.tokenizer, ["a b c", "b"])
    assert batch.tokens.tolist() == [[0, 1, 2], [3, 3, 1]] and batch.mask.sum() == 4
    bare_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="the tokenizer of .* has no end-of-sequence token"):
        load(tmp_path)


def test_a_tokenizer_of_another_model(tokenizer, tmp_path):
    tiny(tokenizer).save(tmp_path)
    make_tokenizer(Reviews()).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has 66 tokens, its model 16"):
        load(tmp_path)


def test_what_is_no_causal_language_model(tokenizer, tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=16, **sizes)
    for name, model in {
        "two-sided": BertLMHeadModel(config),
        "translation": T5ForConditionalGeneration(
            T5Config(vocab_size=len(tokenizer), d_model=8, d_ff=8, num_layers=1, num_heads=1)
        ),
    }.items():
        LanguageModel(model, tokenizer).save(tmp_path / name)
        with pytest.raises(ValueError, match="causal"):
            load(tmp_path / name)


def test_missing_weights_are_no_random_weights(tokenizer, tmp_path):
    tiny(tokenizer).save(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    tensors.pop("model.norm.weight")
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(ValueError, match="no weights .*model.norm.weight"):
        load(tmp_path)


def test_pickles_are_not_opened(tokenizer, tmp_path):
    tiny(tokenizer).save(tmp_path)
    (tmp_path / "model.safetensors").unlink()

    class Bomb:
        def __reduce__(self):
            return (print, ("boom",))

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(OSError, match="cannot load the model of"):
        load(tmp_path)


def test_code_that_comes_with_a_model_is_not_run(tokenizer, tmp_path, capfd):
    tiny(tokenizer).save(tmp_path)
    (tmp_path / "own.py").write_text("print('boom')\nclass Own: pass\n")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "own.Own"}}
    config["auto_map"]["AutoConfig"] = "own.Own"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises((ValueError, OSError)):
        load(tmp_path)
    assert "boom" not in capfd.readouterr().out


def test_folders_and_names_that_are_no_models(tokenizer, tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    for name in (tmp_path, tmp_path / "nothing", "nobody/nothing", "not a name", "../x/y/z"):
        with pytest.raises(OSError, match="cannot load .*, or its tokenizer"):
            load(name)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises((OSError, ValueError)):
        load(tmp_path)


def test_the_hub_is_asked_once(monkeypatch):
    calls = []

    def refuse(name, **options):
        calls.append((name, options))
        raise OSError("no such model")

    monkeypatch.setattr(models, "model_info", refuse)
    with pytest.raises(OSError, match="the hub does not give it: no such model"):
        load("nobody/nothing")
    assert len(calls) == 1 and calls[0][1]["timeout"] <= 10
