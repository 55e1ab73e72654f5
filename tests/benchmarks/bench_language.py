"""Generation, a step of GRPO and a step of a reward model, beside transformers and TRL, in one run.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_language.py -s     # THREADS=2 for two threads

All train or sample one model, a Llama of two layers of width 128 and 430,000 parameters, on the
same texts: answers of exactly 16 tokens (no model may end one) for GRPO, texts of 24 tokens for
the reward model, 24 new tokens for generation. They take turns, step by step, so that a machine
that is busy with something else slows all of them; a step of TRL ends where its trainer says so.
Times are by the clock and of the CPU: with one thread the latter is what a quiet machine would
show. Nothing here asserts a time, and plain `pytest` does not collect this file.
"""

import os
import threading
import time
from collections.abc import Callable

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

from rlbook.ground.seeding import generator
from rlbook.language import grpo, reward_model
from rlbook.language.loop import Loop
from rlbook.language.models import LanguageModel, encode, make_tokenizer
from rlbook.language.sampling import sample
from rlbook.language.tasks.arithmetic import Arithmetic

os.environ["HF_HUB_OFFLINE"] = "1"
STEPS, BATCH, NEW = int(os.environ.get("STEPS", "40")), 256, 24
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


def _now() -> torch.Tensor:
    """By the clock, and of the CPU."""
    return torch.tensor([time.perf_counter(), time.process_time()], dtype=torch.float64)


class Race:
    """Trainings in threads of which one runs at a time, a step each in turn.

    Args:
        trainings: name -> function that trains, and calls its argument at the end of each step.
    """

    def __init__(self, trainings: dict[str, Callable[[Callable], object]]):
        self.trainings, self.names = trainings, list(trainings)
        self.turns = {name: threading.Semaphore(0) for name in trainings}
        self.times: dict[str, list[torch.Tensor]] = {name: [] for name in trainings}
        self.running, self.started = list(trainings), _now()

    def __call__(self) -> None:
        threads = [threading.Thread(target=self._run, args=(name,)) for name in self.names]
        for thread in threads:
            thread.start()
        self.turns[self.names[0]].release()
        for thread in threads:
            thread.join()

    def report(self, benchmark, tokens: int | None = None) -> None:
        """Milliseconds of a step, or tokens per second, without the first three steps."""
        benchmark.pedantic(self, rounds=1)
        for name, times in self.times.items():
            steps = torch.stack(times[3:])  # (steps, 2)
            found = 1000 * steps if tokens is None else tokens / steps
            clock, cpu = found.median(dim=0).values.tolist()
            unit = "ms a step" if tokens is None else "tokens/s"
            benchmark.extra_info[name] = {"clock": clock, "cpu": cpu, "unit": unit}
            print(
                f"\n{benchmark.name}, {name}: {clock:,.0f} {unit} by the clock, {cpu:,.0f} of CPU"
            )

    def _run(self, name: str) -> None:
        self._wait(name)
        try:
            self.trainings[name](lambda *_: self._step_ended(name))
        finally:
            self._pass_on(name)
            self.running.remove(name)

    def _step_ended(self, name: str) -> None:
        self.times[name].append(_now() - self.started)
        self._pass_on(name)
        self._wait(name)

    def _wait(self, name: str) -> None:
        self.turns[name].acquire()
        self.started = _now()

    def _pass_on(self, name: str) -> None:
        after = self.running.index(name) + 1
        self.turns[self.running[after % len(self.running)]].release()


# ---------------------------------------------------------------- generation


@pytest.mark.parametrize("different", [BATCH, BATCH // 8])
def bench_generation(benchmark, different):
    """256 answers, to 256 prompts or to 32; its bar is in tokens per second."""
    asked = [q for q in questions(different) for _ in range(BATCH // different)]
    prompts, model = encode(TOKENIZER, asked), endless()
    width, ids = prompts.tokens.shape[1], {"eos_token_id": TOKENIZER.eos_token_id}
    inputs = {"input_ids": prompts.tokens, "attention_mask": prompts.mask.long()}
    options = {"do_sample": True, "top_k": 0, "max_new_tokens": NEW}

    def ours(step_ended):
        settings = {"max_new_tokens": NEW, "generator": generator(0), "pad_token_id": 0, **ids}
        for _ in range(STEPS):
            assert sample(model, prompts, **settings).tokens.shape == (BATCH, NEW)
            step_ended()

    def transformers(step_ended):
        for _ in range(STEPS):
            assert model.generate(**inputs, **options).shape == (BATCH, width + NEW)
            step_ended()

    race = Race({"ours": ours, "transformers": transformers})
    race.report(benchmark, tokens=BATCH * NEW)


# ---------------------------------------------------------------- steps of a training


def peer_settings(folder) -> dict:
    quiet = {"report_to": "none", "save_strategy": "no", "logging_steps": 10**6}
    quiet |= {"disable_tqdm": True, "output_dir": str(folder)}
    plain = {"use_cpu": True, "bf16": False, "gradient_checkpointing": False}
    return quiet | plain | {"max_steps": STEPS, "learning_rate": 1e-3, "seed": 0}


def train_peer(trainer, step_ended) -> None:
    from transformers import TrainerCallback

    class AtTheEnd(TrainerCallback):
        def on_step_end(self, *_, **__):
            step_ended()

    trainer.add_callback(AtTheEnd())
    trainer.train()


@pytest.mark.parametrize("kl_coef", [0.04, 0.0])
def bench_grpo(benchmark, kl_coef, tmp_path):
    """8 prompts x 8 answers x 16 tokens; TRL has no reference model where kl_coef is 0."""
    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")
    policy = LanguageModel(endless(), TOKENIZER)
    sizes = {"num_prompts": 8, "group_size": 8, "max_new_tokens": 16, "num_steps": STEPS}
    settings = grpo.Config(**sizes, kl_coef=kl_coef)
    sizes = {"per_device_train_batch_size": 64, "num_generations": 8, "max_completion_length": 16}
    model, folder = endless(), str(tmp_path / "reference")
    model.save_pretrained(folder)
    model.config._name_or_path = folder  # where TRL looks for the reference
    trainer = trl.GRPOTrainer(
        model,
        reward_funcs=lambda prompts, completions, **_: list(map(TASK.reward, prompts, completions)),
        args=trl.GRPOConfig(**peer_settings(tmp_path), **sizes, beta=kl_coef),
        train_dataset=datasets.Dataset.from_dict({"prompt": questions(8 * STEPS)}),
        processing_class=TOKENIZER,
    )

    def ours(step_ended):
        grpo.train(policy, TASK, settings, progress=False, on_step=step_ended)

    race = Race({"ours": ours, "TRL": lambda step_ended: train_peer(trainer, step_ended)})
    race.report(benchmark)


def pairs(n: int) -> list[tuple[str, str, str]]:
    """Two different answers each, so long that prompt, answer and end have 24 tokens."""
    asked = [question for question in questions(3 * n) if len(question) == 6][:n]
    length = 24 - 1 - len(TOKENIZER(asked[0])["input_ids"])
    digits = torch.randint(10, (n, 2, length), generator=generator(0)).tolist()
    texts = [["".join(map(str, answer)) for answer in pair] for pair in digits]
    return [(question, *answers) for question, answers in zip(asked, texts, strict=True)]


def bench_reward_model(benchmark, monkeypatch, tmp_path):
    """64 pairs, both texts of 24 tokens."""
    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")
    torch.manual_seed(0)
    model = reward_model.RewardModel(LlamaForCausalLM(config()), TOKENIZER)
    settings = reward_model.Config(num_steps=STEPS, batch_size=64)
    rows = [{"chosen": q + a, "rejected": q + b} for q, a, b in pairs(1000)]
    trainer = trl.RewardTrainer(
        LlamaForSequenceClassification(config(num_labels=1)),
        args=trl.RewardConfig(**peer_settings(tmp_path), per_device_train_batch_size=64),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=TOKENIZER,
    )

    def ours(step_ended):
        log = Loop.log  # the last thing that a step does
        monkeypatch.setattr(Loop, "log", lambda *a, **k: (log(*a, **k), step_ended()))
        reward_model.train(model, pairs(1000), settings, progress=False)

    race = Race({"ours": ours, "TRL": lambda step_ended: train_peer(trainer, step_ended)})
    race.report(benchmark)
