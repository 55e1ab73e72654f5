"""Samples of language models, and their log-probabilities, on models of a few numbers."""

from inspect import signature
from itertools import product

import pytest
import torch
from scipy.stats import chisquare
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from rlbook.ground.seeding import generator
from rlbook.language import reader
from rlbook.language.models import LanguageModel, Prompts, encode, make_model, make_tokenizer
from rlbook.language.reader import CACHE_NAMES, last_outputs
from rlbook.language.sampling import (
    decode,
    evaluation_mode,
    pass_at_k,
    sample,
    token_log_probs,
    write,
)
from rlbook.language.tasks.reviews import Reviews

PAD, EOS = 0, 1
IDS = {"eos_token_id": EOS, "pad_token_id": PAD}


def llama(vocab_size=9, context=32, dtype=torch.float64, **options):
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1} | options
    config = LlamaConfig(
        vocab_size=vocab_size, num_attention_heads=2, max_position_embeddings=context, **sizes
    )
    return randomised(LlamaForCausalLM(config), dtype)


def gpt2(vocab_size=9, context=32, dtype=torch.float64):
    """With a dropout of 0.1, as GPT-2 has it."""
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": context}
    special = {"bos_token_id": None, "eos_token_id": EOS, "pad_token_id": PAD}
    config = GPT2Config(vocab_size=vocab_size, **sizes, **special)
    return randomised(GPT2LMHeadModel(config), dtype).train()


def randomised(model, dtype):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model.to(dtype).eval()


def padded(*rows: list[int]) -> Prompts:
    width = max(map(len, rows))
    tokens = torch.tensor([[PAD] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[False] * (width - len(row)) + [True] * len(row) for row in rows])
    return Prompts(tokens, mask)


def draw(model, prompts, max_new_tokens=8, seed=0, **options):
    options = IDS | {"generator": generator(seed)} | options
    return sample(model, prompts, max_new_tokens=max_new_tokens, **options)


def alone(model, prompt: list[int], answer: list[int], temperature=1.0) -> torch.Tensor:
    """log pi of each token of an answer, from forward passes without a cache or padding."""
    scores = []
    with torch.no_grad():
        for t, token in enumerate(answer):
            read = torch.tensor([prompt + answer[:t]])
            logits = model(read, attention_mask=torch.ones_like(read)).logits[0, -1]
            scores.append((logits / temperature).log_softmax(-1)[token])
    return torch.stack(scores)


MODELS = pytest.mark.parametrize("make", [llama, gpt2])
ROWS = ([3], [4, 5, 6, 7], [8, 3], [3], [4, 5, 6, 2])


@MODELS
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_log_probs_are_those_of_each_prompt_by_itself(make, dtype, atol, temperature):
    model, prompts = make(dtype=dtype), padded(*ROWS)
    answers = draw(model, prompts, temperature=temperature)
    scores = token_log_probs(
        model, prompts, answers.tokens, answers.completion_mask, temperature=temperature
    )
    assert scores.dtype == answers.log_probs.dtype == dtype
    torch.testing.assert_close(scores, answers.log_probs, atol=atol, rtol=0)
    assert scores[~answers.completion_mask].eq(0).all()
    with evaluation_mode(model):
        for i, row in enumerate(ROWS):
            own = answers.tokens[i][answers.completion_mask[i]].tolist()
            expected = alone(model, row, own, temperature)
            torch.testing.assert_close(scores[i, : len(own)], expected, atol=atol, rtol=0)


def test_a_sliding_window_grouped_heads_and_positions_of_their_own():
    """Three more architectures: each keeps its memory, or its positions, in another way."""
    sizes = {"vocab_size": 9, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    few = {"intermediate_size": 16, "num_key_value_heads": 1, "max_position_embeddings": 32}
    models = [
        MistralForCausalLM(MistralConfig(**sizes, **few, sliding_window=3)),
        Qwen3ForCausalLM(Qwen3Config(**sizes, **few, head_dim=8)),
        OPTForCausalLM(OPTConfig(**sizes, ffn_dim=16, word_embed_proj_dim=16, **IDS)),
    ]
    for model in models:
        model, prompts = randomised(model, torch.float64), padded(*ROWS)
        answers = draw(model, prompts)
        scores = token_log_probs(model, prompts, answers.tokens, answers.completion_mask)
        torch.testing.assert_close(scores, answers.log_probs, atol=1e-10, rtol=0)
        own = answers.tokens[0][answers.completion_mask[0]].tolist()
        torch.testing.assert_close(scores[0, : len(own)], alone(model, ROWS[0], own))


# --- how the cache reaches the model


class Wrapped(torch.nn.Module):
    """A model in a module of one's own, which hands on what it is given."""

    def __init__(self, model):
        super().__init__()
        self.inner = model

    def forward(self, **kwargs):
        return self.inner(**kwargs)


class Forgetful(Wrapped):
    """It says that it takes a cache, and loses it: what transformers 5.24 made of ours."""

    def forward(self, cache=None, **kwargs):
        return self.inner(**kwargs)


def own_name(model) -> str:
    """What this release of transformers calls the cache."""
    (name,) = set(CACHE_NAMES) & set(signature(model.forward).parameters)
    return name


class New(Wrapped):
    def forward(self, cache=None, **kwargs):
        return self.inner(**kwargs, **{own_name(self.inner): cache})


class Old(Wrapped):
    def forward(self, past_key_values=None, **kwargs):
        return self.inner(**kwargs, **{own_name(self.inner): past_key_values})


def adapted(model):
    """With a LoRA adapter, of random numbers, so that it says something else than the model."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    wrapped = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora" in name:
                parameter.normal_(std=0.4)
    return wrapped.double().eval()


@pytest.fixture
def data_parallel(tmp_path):
    """DistributedDataParallel, of one process."""
    distributed = torch.distributed
    store = f"file://{tmp_path / 'store'}"
    distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield torch.nn.parallel.DistributedDataParallel
    distributed.destroy_process_group()


def same_as(wrapped, model) -> None:
    """What a wrapper draws and scores is what the model in it draws and scores."""
    prompts = padded(*ROWS)
    answers, expected = draw(wrapped, prompts), draw(model, prompts)
    assert torch.equal(answers.tokens, expected.tokens)
    torch.testing.assert_close(answers.log_probs, expected.log_probs, atol=1e-12, rtol=0)
    scores = token_log_probs(wrapped, prompts, answers.tokens, answers.completion_mask)
    torch.testing.assert_close(scores, answers.log_probs, atol=1e-10, rtol=0)


@MODELS
@pytest.mark.parametrize("wrap", [Wrapped, New, Old, lambda model: Wrapped(Wrapped(model))])
def test_the_cache_reaches_a_model_through_wrappers_and_under_either_name(make, wrap):
    model = make().eval()
    same_as(wrap(model), model)


def test_the_cache_reaches_a_model_in_distributed_data_parallel(data_parallel):
    model = llama()
    same_as(data_parallel(model), model)


def test_the_cache_reaches_a_model_with_an_adapter():
    plain = draw(llama(), padded(*ROWS))
    wrapped = adapted(llama())
    same_as(wrapped, wrapped.merge_and_unload())
    answers = draw(adapted(llama()), padded(*ROWS))
    assert not torch.equal(answers.log_probs, plain.log_probs), "the adapter does nothing"


def test_a_cache_that_does_not_grow_is_an_error():
    with pytest.raises(ValueError, match="Forgetful has read 4 tokens of each row.* holds 0"):
        draw(Forgetful(llama()), padded(*ROWS))
    model, later = llama(), iter([True])

    class Later(Wrapped):
        """Loses it after the prompt."""

        def forward(self, cache=None, **kwargs):
            kept = {own_name(self.inner): cache} if next(later, False) else {}
            return self.inner(**kwargs, **kept)

    with pytest.raises(ValueError, match="has read 5 tokens of each row.* holds 4"):
        draw(Later(model), padded(*ROWS))


def test_a_model_that_takes_no_cache_cannot_read_on():
    class Cacheless(Wrapped):
        def forward(self, input_ids, attention_mask):
            return self.inner(input_ids=input_ids, attention_mask=attention_mask)

    model, prompts = llama(), padded(*ROWS)
    with pytest.raises(ValueError, match="Cacheless takes neither cache nor past_key_values"):
        draw(Cacheless(model), prompts)
    answers = draw(model, prompts)  # what it can do without one, it does
    same = Prompts(prompts.tokens[1:2], prompts.mask[1:2])  # no padding: it is told no positions
    score = (same, answers.tokens[1:2], answers.completion_mask[1:2])
    expected = token_log_probs(model, *score)
    torch.testing.assert_close(token_log_probs(Cacheless(model), *score), expected)


def test_an_option_that_a_model_does_not_take_is_an_error():
    model, tokens = llama(), torch.tensor([[2, 3]])
    with pytest.raises(TypeError, match=r"LlamaForCausalLM takes no \['past_keys'\], only"):
        last_outputs(model, tokens, torch.ones_like(tokens), keep=1, past_keys=None)


@MODELS
def test_samples_have_the_distribution_of_the_model(make):
    """Two prompts of different lengths, all answers of up to 3 tokens: a chi-square of each."""
    model, n, T = make(vocab_size=5), 4000, 3
    rows = ([3], [4, 2, 3])
    prompts = padded(*rows)
    many = Prompts(prompts.tokens.repeat(n, 1), prompts.mask.repeat(n, 1))
    answers = draw(model, many, T, temperature=0.7)
    words = [w for k in range(T) for w in product((0, 2, 3, 4), repeat=k)]
    words = [(*w, EOS) for w in words] + list(product((0, 2, 3, 4), repeat=T))
    for i, row in enumerate(rows):
        tokens = answers.tokens[i::2].tolist()
        lengths = answers.completion_mask[i::2].sum(-1).tolist()
        drawn = [tuple(t[:k]) for t, k in zip(tokens, lengths, strict=True)]
        scores = token_log_probs(model, *enumerated(row, words), temperature=0.7)
        expected = n * scores.detach().sum(-1).exp()
        torch.testing.assert_close(expected.sum(), torch.tensor(n, dtype=torch.float64))
        counts = torch.tensor([drawn.count(w) for w in words], dtype=torch.float64)
        often = expected >= 5  # the others in one class
        pool = lambda x: torch.cat([x[often], x[~often].sum()[None]]).numpy()  # noqa: E731, B023
        assert chisquare(pool(counts), pool(expected)).pvalue > 1e-3


def test_write_is_encode_sample_and_decode():
    tokenizer = make_tokenizer(Reviews())
    sizes = {"hidden_size": 16, "layers": 1, "heads": 2, "context": 32}
    lm = LanguageModel(make_model(tokenizer, **sizes), tokenizer)
    asked = ["review of the camera", "review"] * 32
    options = {"max_new_tokens": 12, "temperature": 0.5}
    prompts, answers, texts = write(lm, asked, generator=generator(3), **options)
    again = encode(tokenizer, asked)
    ids = {name: getattr(tokenizer, name) for name in IDS}
    slow = sample(lm.model, again, generator=generator(3), **options, **ids)
    assert torch.equal(prompts.tokens, again.tokens) and torch.equal(prompts.mask, again.mask)
    assert torch.equal(answers.tokens, slow.tokens) and texts == decode(tokenizer, slow)
    assert torch.equal(answers.log_probs, slow.log_probs)
    assert answers.finished.any() and not answers.finished.all()


def enumerated(row, words):
    T = max(map(len, words))
    tokens = torch.tensor([[*w, *[PAD] * (T - len(w))] for w in words])
    mask = torch.tensor([[True] * len(w) + [False] * (T - len(w)) for w in words])
    return padded(*[row] * len(words)), tokens, mask


def constant(logits: list[float], **options):
    """A model that says the same at every position."""
    model = llama(len(logits), **options)
    with torch.no_grad():
        model.model.norm.weight.zero_()
    model.lm_head = torch.nn.Linear(16, len(logits), dtype=torch.float64)
    with torch.no_grad():
        model.lm_head.bias.copy_(torch.tensor(logits))
    return model


def test_a_model_with_constant_logits():
    logits = torch.tensor([0.0, 0.5, 1.0, -1.0], dtype=torch.float64)
    model, prompts = constant(logits.tolist()), padded([2], [3, 3, 2])
    for temperature in (1.0, 2.0):
        answers = draw(model, prompts, temperature=temperature)
        log_p = (logits / temperature).log_softmax(-1)
        expected = torch.where(answers.completion_mask, log_p[answers.tokens], 0.0)
        torch.testing.assert_close(answers.log_probs, expected)


def test_an_answer_ends_with_its_end_token():
    model = constant([0.0, -1.0, 0.0, 0.0])  # ends rarely: ended answers stay in the batch
    answers = draw(model, padded(*[[2]] * 60), 6)
    ends = answers.tokens == EOS
    assert torch.equal(ends.any(-1), answers.finished)
    assert answers.finished.any() and not answers.finished.all()
    before = ends.long().cumsum(-1) - ends.long()
    assert torch.equal(answers.completion_mask, before == 0), "the end token is one of its own"
    assert answers.tokens[~answers.completion_mask].eq(PAD).all()
    assert answers.log_probs[~answers.completion_mask].eq(0).all()
    assert answers.log_probs[answers.completion_mask].lt(0).all()


def test_an_empty_answer_has_one_token_and_stops_the_others_from_waiting():
    answers = draw(constant([0.0, 60.0, 0.0, 0.0]), padded([2], [3, 2]), 8)
    assert answers.tokens.tolist() == [[EOS], [EOS]]
    assert answers.completion_mask.all() and answers.finished.all()


@MODELS
def test_an_answer_depends_on_its_row_its_prompt_and_the_seed_only(make):
    model = make()
    first = draw(model, padded(*ROWS))
    again = draw(model, padded(*ROWS))
    assert torch.equal(first.tokens, again.tokens)
    assert torch.equal(first.log_probs, again.log_probs)
    assert not torch.equal(first.tokens, draw(model, padded(*ROWS), seed=1).tokens)
    others = draw(model, padded(*ROWS[:2], [5] * 9, [7], [2, 2], [6]))
    for i in range(2):
        own = first.tokens[i][first.completion_mask[i]]
        assert torch.equal(own, others.tokens[i][others.completion_mask[i]])


@MODELS
def test_a_token_is_scored_before_it_is_read(make):
    model, prompts = make(), padded([3, 4], [5])
    tokens = torch.tensor([[2, 3, 4, 5], [6, 7, 8, 2]])
    mask = torch.ones_like(tokens, dtype=torch.bool)
    before = token_log_probs(model, prompts, tokens, mask).detach()
    for t in range(4):
        changed = tokens.clone()
        changed[:, t] = (changed[:, t] + 1) % 9
        after = token_log_probs(model, prompts, changed, mask).detach()
        torch.testing.assert_close(after[:, :t], before[:, :t], atol=1e-12, rtol=0)
        with evaluation_mode(model):
            for i, row in enumerate(([3, 4], [5])):
                scores = alone(model, row, changed[i].tolist())
                torch.testing.assert_close(after[i], scores, atol=1e-10, rtol=0)
        assert (after[:, t] != before[:, t]).all()
        assert (after[:, t + 1 :] != before[:, t + 1 :]).all()


def test_the_gradient_is_that_of_the_whole_forward_pass():
    model, prompts = llama(), padded([3, 4], [5])
    tokens = torch.tensor([[2, 3, 4], [6, EOS, PAD]])
    mask = tokens != PAD
    weights = torch.tensor([[0.3, -1.0, 2.0], [1.0, 0.5, torch.nan]], dtype=torch.float64)
    loss = torch.where(mask, token_log_probs(model, prompts, tokens, mask) * weights, 0.0).sum()
    got = torch.autograd.grad(loss, list(model.parameters()))
    rows = [([3, 4], [2, 3, 4], weights[0]), ([5], [6, EOS], weights[1, :2])]
    loss = 0.0
    for prompt, answer, w in rows:
        logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        scores = logits.log_softmax(-1)[torch.arange(len(answer)), torch.tensor(answer)]
        loss = loss + (scores * w).sum()
    torch.testing.assert_close(got, torch.autograd.grad(loss, list(model.parameters())))


@MODELS
def test_dropout_is_off_and_the_mode_comes_back(make):
    model = make().train()
    answers = draw(model, padded([3]))
    scores = token_log_probs(model, padded([3]), answers.tokens, answers.completion_mask)
    torch.testing.assert_close(scores, answers.log_probs)
    assert model.training
    with pytest.raises(KeyboardInterrupt), evaluation_mode(model):
        raise KeyboardInterrupt
    assert model.training and all(module.training for module in model.modules())


def test_what_a_model_takes_is_looked_up_once(monkeypatch):
    calls, look_up = [], reader._arguments
    monkeypatch.setattr(reader, "_arguments", lambda model: calls.append(1) or look_up(model))
    assert draw(llama(), padded([3], [4], [5, 6])).tokens.shape[1] > 2
    assert len(calls) == 1


@MODELS
def test_temperature_zero_is_the_likeliest_token(make):
    model, prompts = make(), padded([3, 4], [5])
    answers = draw(model, prompts, temperature=0.0)
    assert torch.equal(answers.tokens, draw(model, prompts, temperature=0.0, seed=1).tokens)
    scores = token_log_probs(model, prompts, answers.tokens, answers.completion_mask)
    torch.testing.assert_close(answers.log_probs, scores)
    with evaluation_mode(model):
        for i, row in enumerate(([3, 4], [5])):
            for t, token in enumerate(answers.tokens[i][answers.completion_mask[i]].tolist()):
                read = torch.tensor([row + answers.tokens[i, :t].tolist()])
                logits = model(read, attention_mask=torch.ones_like(read)).logits
                assert logits[0, -1].argmax() == token


def test_in_bfloat16_the_log_probs_are_float32():
    model, prompts = llama(dtype=torch.bfloat16), padded([3, 4], [5])
    answers = draw(model, prompts)
    scores = token_log_probs(model, prompts, answers.tokens, answers.completion_mask)
    assert answers.log_probs.dtype == scores.dtype == torch.float32
    torch.testing.assert_close(scores, answers.log_probs, atol=0.1, rtol=0)


def test_sampling_leaves_no_trace_in_autograd():
    model, prompts = llama(), padded([3, 4], [5])
    answers = draw(model, prompts)
    assert not answers.log_probs.requires_grad
    scores = token_log_probs(model, prompts, answers.tokens, answers.completion_mask)
    (scores - answers.log_probs).exp().sum().backward()  # what an inference tensor would refuse
    assert model.lm_head.weight.grad.abs().sum() > 0


@MODELS
def test_as_many_tokens_as_the_context_has_room_for(make):
    model, prompts = make(context=8), padded([3, 4, 5], [5])
    assert draw(model, prompts, 5, eos_token_id=-1).tokens.shape == (2, 5)
    with pytest.raises(ValueError, match="prompt 0 leaves no room for 6 tokens in a context of 8"):
        draw(model, prompts, 6)
    tokens = torch.tensor([[2, 3, 4, 5, EOS, PAD], [2, 3, 4, 5, 6, EOS]])
    assert token_log_probs(model, prompts, tokens, tokens != PAD).shape == (2, 6)
    with pytest.raises(ValueError, match="prompt 0 leaves no room for its answer's tokens"):
        token_log_probs(model, prompts, tokens, torch.ones_like(tokens, dtype=torch.bool))


@pytest.mark.parametrize(
    ("mask", "options", "message"),
    [
        ([[True, False], [True, True]], {}, "prompt 0 is not padded on the left"),
        ([[True, True], [False, False]], {}, "prompt 1 is empty"),
        ([[True, True], [False, True]], {"temperature": -1.0}, "temperature must be at least 0"),
        ([[True, True], [False, True]], {"temperature": float("nan")}, "temperature must be"),
        (
            [[True, True], [False, True]],
            {"max_new_tokens": 0},
            "max_new_tokens must be at least 1, got 0",
        ),
    ],
)
def test_bad_input_of_sample(mask, options, message):
    prompts = Prompts(torch.tensor([[2, 3], [2, 3]]), torch.tensor(mask))
    with pytest.raises(ValueError, match=message):
        draw(llama(), prompts, **options)


def test_bad_input_of_token_log_probs():
    tokens = torch.tensor([[2, 3]])
    mask = torch.ones_like(tokens, dtype=torch.bool)
    with pytest.raises(ValueError, match="do not fit"):
        token_log_probs(llama(), padded([2]), tokens, mask[:, :1])
    with pytest.raises(ValueError, match="do not fit"):
        token_log_probs(llama(), padded([2], [2]), tokens, mask)
    with pytest.raises(ValueError, match="temperature must be positive"):
        token_log_probs(llama(), padded([2]), tokens, mask, temperature=0.0)


class Letters:
    """What `decode` uses of a tokenizer."""

    def batch_decode(self, rows, skip_special_tokens):
        assert skip_special_tokens
        return ["".join("_#abc"[token] for token in row if token != EOS) for row in rows]


def test_decode_leaves_out_what_is_not_the_answers_own():
    answers = draw(constant([2.0, 0.0, 2.0, 2.0, 2.0]), padded(*[[2]] * 20), 6)
    texts = decode(Letters(), answers)
    for text, tokens, mask in zip(texts, answers.tokens, answers.completion_mask, strict=True):
        own = [token for token in tokens[mask].tolist() if token != EOS]
        assert text == "".join("_#abc"[token] for token in own)


def test_pass_at_k_by_enumeration():
    correct = torch.tensor([[1, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    for k in range(1, 6):
        draws = torch.combinations(torch.arange(5), k)
        expected = correct[:, draws].any(-1).double().mean(-1)
        torch.testing.assert_close(pass_at_k(correct, k), expected)
    for k in (0, 6):
        with pytest.raises(ValueError, match="k must be from 1 to n = 5"):
            pass_at_k(correct, k)
