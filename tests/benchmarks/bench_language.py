"""Generation, a step of GRPO and a step of a reward model, beside transformers and TRL, in one run.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_language.py -s     # THREADS=2 for two threads

All train or sample one model, a Llama of two layers of width 128 and 430,000 parameters, on the
same texts: answers of exactly 16 tokens (no model may end one) for GRPO, texts of 24 tokens for
the reward model, 24 new tokens for generation. A step's time is that from the end of one step to
the end of the next, the median over the steps. Nothing here asserts a time, and plain `pytest`
does not collect this file.
"""

import copy
import os
import time

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

from rlbook.language import grpo, reward_model
from rlbook.language.loop import Loop
from rlbook.language.models import LanguageModel, encode, make_tokenizer
from rlbook.language.sampling import sample
from rlbook.language.tasks import Arithmetic
from rlbook.seeding import generator

os.environ["HF_HUB_OFFLINE"] = "1"
STEPS, BATCH, NEW = 40, 256, 24
TASK = Arithmetic()
TOKENIZER = make_tokenizer(TASK)
SIZES = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2}
IDS = {"pad_token_id": TOKENIZER.pad_token_id, "bos_token_id": TOKENIZER.bos_token_id}


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    yield
    torch.set_num_threads(before)


def config(**options) -> LlamaConfig:
    sizes = {"num_attention_heads": 4, "max_position_embeddings": 64, **SIZES}
    return LlamaConfig(vocab_size=len(TOKENIZER), **sizes, **IDS, **options)


def endless() -> LlamaForCausalLM:
    """The end token has a logit of -10,000, so that all answers are as long as they may be."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(config(eos_token_id=TOKENIZER.eos_token_id)).eval()
    head = torch.nn.Linear(128, len(TOKENIZER))
    head.weight.data.normal_(std=0.02)
    head.bias.data.zero_()[TOKENIZER.eos_token_id] = -1e4
    model.lm_head = head
    return model


def questions(n: int) -> list[str]:
    return TASK.prompts(n, generator(0))


# ---------------------------------------------------------------- generation


@pytest.fixture(params=[BATCH, BATCH // 8], ids=["256 prompts", "32 prompts x 8"])
def prompts(request):
    asked = questions(request.param)
    return encode(TOKENIZER, [q for q in asked for _ in range(BATCH // request.param)])


def report_speed(benchmark) -> None:
    median = BATCH * NEW / benchmark.stats.stats.median
    best = BATCH * NEW / benchmark.stats.stats.min
    print(f"\n{benchmark.name}: {median:,.0f} tokens/s (median), {best:,.0f} (best)")


ROUNDS = {"rounds": 15, "warmup_rounds": 2}


def bench_generation(benchmark, prompts):
    model, ids = endless(), {"eos_token_id": TOKENIZER.eos_token_id, "pad_token_id": 0}
    run = lambda: sample(model, prompts, max_new_tokens=NEW, generator=generator(0), **ids)  # noqa: E731
    assert benchmark.pedantic(run, **ROUNDS).tokens.shape == (BATCH, NEW)
    report_speed(benchmark)


def bench_generation_of_transformers(benchmark, prompts):
    model = endless()
    options = {"do_sample": True, "top_k": 0, "max_new_tokens": NEW, "min_new_tokens": NEW}
    inputs = {"input_ids": prompts.tokens, "attention_mask": prompts.mask.long()}
    run = lambda: model.generate(**inputs, **options)  # noqa: E731
    assert benchmark.pedantic(run, **ROUNDS).shape == (BATCH, prompts.tokens.shape[1] + NEW)
    report_speed(benchmark)


# ---------------------------------------------------------------- steps of a training


class Stamps:
    """When each step ended."""

    def __init__(self):
        self.times: list[float] = []

    def __call__(self, *_) -> None:
        self.times.append(time.perf_counter())

    def report(self, benchmark, train, peer: bool = False) -> None:
        benchmark.pedantic(train, rounds=1)
        steps = torch.tensor(self.times, dtype=torch.float64).diff()[2:] * 1000
        found = {"median": float(steps.median()), "best": float(steps.min())}
        benchmark.extra_info["milliseconds a step"] = found
        print(f"\n{benchmark.name}: {found['median']:.0f} ms a step (median), {found['best']:.0f}")


def trainer_callback(stamps: Stamps):
    from transformers import TrainerCallback

    class AtTheEnd(TrainerCallback):
        def on_step_end(self, *_, **__):
            stamps()

    return AtTheEnd()


def peer_settings(folder) -> dict:
    quiet = {"report_to": "none", "save_strategy": "no", "logging_steps": 10**6}
    quiet |= {"disable_tqdm": True, "output_dir": str(folder)}
    plain = {"use_cpu": True, "bf16": False, "gradient_checkpointing": False}
    return quiet | plain | {"max_steps": STEPS, "learning_rate": 1e-3, "seed": 0}


KL_COEFS = pytest.mark.parametrize("kl_coef", [0.04, 0.0])


@KL_COEFS
def bench_grpo(benchmark, kl_coef):
    """8 prompts x 8 answers x 16 tokens; with and without a reference."""
    stamps, policy = Stamps(), LanguageModel(endless(), TOKENIZER)
    sizes = {"num_prompts": 8, "group_size": 8, "max_new_tokens": 16, "num_steps": STEPS}
    settings = grpo.Config(**sizes, kl_coef=kl_coef)
    stamps.report(
        benchmark,
        lambda: grpo.train(policy, TASK, settings, progress=False, on_step=stamps),
    )


@KL_COEFS
def bench_grpo_of_trl(benchmark, kl_coef, tmp_path):
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    sizes = {"per_device_train_batch_size": 64, "num_generations": 8, "max_completion_length": 16}
    trainer = trl.GRPOTrainer(
        endless(),
        reward_funcs=lambda prompts, completions, **_: list(map(TASK.reward, prompts, completions)),
        args=trl.GRPOConfig(**peer_settings(tmp_path), **sizes, beta=kl_coef),
        train_dataset=datasets.Dataset.from_dict({"prompt": questions(8 * STEPS)}),
        processing_class=TOKENIZER,
    )
    stamps = Stamps()
    trainer.add_callback(trainer_callback(stamps))
    stamps.report(benchmark, trainer.train)


def pairs(n: int) -> list[tuple[str, str, str]]:
    """Two different answers each, so long that prompt, answer and end have 24 tokens."""
    length = 24 - 1 - len(TOKENIZER(questions(1)[0])["input_ids"])
    digits = torch.randint(10, (n, 2, length), generator=generator(0)).tolist()
    texts = [["".join(map(str, answer)) for answer in pair] for pair in digits]
    return [(q[: len(questions(1)[0])], *t) for q, t in zip(questions(n), texts, strict=True)]


def bench_reward_model(benchmark, monkeypatch):
    """64 pairs, of 24 tokens each."""
    torch.manual_seed(0)
    model = reward_model.RewardModel(LlamaForCausalLM(config()), TOKENIZER)
    stamps, minimize = Stamps(), Loop.minimize
    monkeypatch.setattr(Loop, "minimize", lambda self, *a: (minimize(self, *a), stamps())[0])
    settings = reward_model.Config(num_steps=STEPS, batch_size=64)
    stamps.report(
        benchmark, lambda: reward_model.train(model, pairs(1000), settings, progress=False)
    )


def bench_reward_model_of_trl(benchmark, tmp_path):
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    torch.manual_seed(0)
    model = LlamaForSequenceClassification(config(num_labels=1))
    rows = [{"chosen": q + a, "rejected": q + b} for q, a, b in pairs(1000)]
    arguments = trl.RewardConfig(**peer_settings(tmp_path), per_device_train_batch_size=64)
    trainer = trl.RewardTrainer(
        copy.deepcopy(model),
        args=arguments,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=TOKENIZER,
    )
    stamps = Stamps()
    trainer.add_callback(trainer_callback(stamps))
    stamps.report(benchmark, trainer.train)
