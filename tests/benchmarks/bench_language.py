"""Generation, a step of GRPO and a step of a reward model, beside transformers and TRL, in one run.

    pip install -e ".[test,peers]"
    pytest tests/benchmarks/bench_language.py -s     # THREADS=2 for two threads

All train or sample one model, a Llama of two layers of width 128 and 430,000 parameters, on the
same texts: answers of exactly 16 tokens (no model may end one) for GRPO, texts of 24 tokens for
the reward model, 24 new tokens for generation. They take turns, step by step, so that a machine
that is busy with something else slows all of them; a step of TRL ends where its trainer says so.
Times are by the clock and of the CPU: with one thread the latter is what a quiet machine would
show. Before anything is timed, it is compared with slow code, which has no cache, no padding and
one text at a time, and with the peer on the same batch. Nothing here asserts a time, and plain
`pytest` does not collect this file.
"""

import copy
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

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
OLD_NAME = pytest.mark.filterwarnings(
    "ignore:`gradient_checkpointing` is deprecated:FutureWarning"
)  # TRL 1.16 has it among its own defaults, and transformers 5.24 calls it otherwise
IDS = {"pad_token_id": TOKENIZER.pad_token_id, "bos_token_id": TOKENIZER.bos_token_id}


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    yield
    torch.set_num_threads(before)


@pytest.fixture
def steps(quick) -> int:
    """Four are one that is measured."""
    return 4 if quick else STEPS


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
        self.errors: list[BaseException] = []

    def __call__(self) -> None:
        threads = [threading.Thread(target=self._run, args=(name,)) for name in self.names]
        for thread in threads:
            thread.start()
        self.turns[self.names[0]].release()
        for thread in threads:
            thread.join()
        for error in self.errors:
            raise error

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
        except BaseException as error:  # to be raised where all have ended
            self.errors.append(error)
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


def check_generation(model, prompts, ours: Callable, theirs: Callable) -> None:
    """The likeliest answers are transformers'; drawn ones are of the model, and different.

    Args:
        ours: (model, temperature) -> Answers; theirs: (model, do_sample) -> (B, NEW) tokens.
    """
    twin = copy.deepcopy(model).double()  # no two likeliest tokens are a rounding apart
    assert torch.equal(ours(twin, temperature=0.0).tokens, theirs(twin, do_sample=False))
    answers = ours(model, temperature=1.0)
    log_probs = plain_log_probs(model, prompts, answers.tokens)  # (B, NEW, V)
    chosen = log_probs.gather(-1, answers.tokens[..., None])[..., 0]
    torch.testing.assert_close(answers.log_probs, chosen, atol=1e-5, rtol=0)  # float32, near 3
    check_drawn(log_probs, answers.tokens)
    torch.manual_seed(0)
    tokens = theirs(model, do_sample=True)
    check_drawn(plain_log_probs(model, prompts, tokens), tokens)


@torch.no_grad()
def plain_log_probs(model, prompts, answers: torch.Tensor) -> torch.Tensor:
    """log pi(. | what came before), (B, T, V), in one forward pass without a cache."""
    assert prompts.mask.all(), "all prompts here are of one length"
    tokens = torch.cat([prompts.tokens, answers], dim=1)
    logits = model(input_ids=tokens, use_cache=False).logits
    return logits[:, prompts.tokens.shape[1] - 1 : -1].log_softmax(-1)


def check_drawn(log_probs: torch.Tensor, tokens: torch.Tensor) -> None:
    """The sum of log pi(token) is where the model's entropy says, within five deviations.

    For draws from the model each term has the mean -H, and together a normal distribution; uniform
    or likeliest tokens are twenty deviations away.
    """
    assert len(tokens.unique(dim=0)) == len(tokens), "two answers that should differ are the same"
    chosen, p = log_probs.gather(-1, tokens[..., None])[..., 0], log_probs.exp()
    mean = (p * log_probs).sum(-1)
    variance = (p * (log_probs - mean[..., None]) ** 2).sum(-1)
    off = (chosen - mean).sum() / variance.sum().sqrt()
    assert abs(off) < 5, f"the samples are {off:.1f} deviations from the model"


@pytest.mark.parametrize("different", [BATCH, BATCH // 8])
def bench_generation(benchmark, steps, different):
    """256 answers, to 256 prompts or to 32; its bar is in tokens per second.

    First compares the likeliest answers with the peer's, and the chances of drawn ones with those
    of a forward pass without a cache.
    """
    asked = [q for q in questions(different) for _ in range(BATCH // different)]
    prompts, model = encode(TOKENIZER, asked), endless()
    width, ids = prompts.tokens.shape[1], {"eos_token_id": TOKENIZER.eos_token_id}
    inputs = {"input_ids": prompts.tokens, "attention_mask": prompts.mask.long()}

    def ours(model, temperature=1.0, rng=None):
        settings = {"max_new_tokens": NEW, "pad_token_id": 0, **ids}
        rng = rng or generator(0)
        return sample(model, prompts, generator=rng, temperature=temperature, **settings)

    def theirs(model, do_sample=True):
        options = {"top_k": 0} if do_sample else {}
        found = model.generate(**inputs, do_sample=do_sample, max_new_tokens=NEW, **options)
        return found[:, width:]

    check_generation(model, prompts, ours, theirs)

    def our_turns(step_ended):
        rng = generator(0)
        for _ in range(steps):
            assert ours(model, rng=rng).tokens.shape == (BATCH, NEW)
            step_ended()

    def their_turns(step_ended):
        for _ in range(steps):
            assert theirs(model).shape == (BATCH, NEW)
            step_ended()

    race = Race({"ours": our_turns, "transformers": their_turns})
    race.report(benchmark, tokens=BATCH * NEW)


# ---------------------------------------------------------------- steps of a training


class Step(NamedTuple):
    """What a training of ours was about to do."""

    models: dict[str, torch.nn.Module]
    loss: torch.Tensor
    gradient: torch.Tensor


@contextmanager
def watched() -> Iterator[list[Step]]:
    """The gradient steps of a training inside: models as they were before, loss, gradient."""
    steps, gradient_step = [], Loop.gradient_step

    def watch(loop, loss, *names):
        weights = [p for model in loop.models.values() for p in model.parameters()]
        gradient = torch.autograd.grad(loss, weights, retain_graph=True)
        steps.append(Step(copy.deepcopy(loop.models), loss.detach(), flat(gradient)))
        return gradient_step(loop, loss, *names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "gradient_step", watch)
        yield steps


def flat(tensors) -> torch.Tensor:
    return torch.cat([x.flatten() for x in tensors])


def check_step(loss, weights, wanted: Step, *, rounding: float) -> None:
    """The loss, and the gradient as a whole: its smallest numbers are rounding."""
    gradient = flat(torch.autograd.grad(loss, list(weights))).double()
    torch.testing.assert_close(loss.detach().double(), wanted.loss, rtol=rounding, atol=rounding)
    assert wanted.gradient.norm() > 1e-3, "there is nothing to learn: the comparison says nothing"
    off = float((gradient - wanted.gradient).norm() / wanted.gradient.norm())
    assert off < rounding, f"the gradient is off by {off:.1e} of its length"


FLOAT32, FLOAT64 = 1e-4, 1e-6
"""Of losses and gradients; of ours in float64, rewards and advantages are in float32."""


def peer_settings(folder, steps: int) -> dict:
    quiet = {"report_to": "none", "save_strategy": "no", "logging_steps": 10**6}
    quiet |= {"disable_tqdm": True, "output_dir": str(folder)}
    plain = {"use_cpu": True, "bf16": False, "gradient_checkpointing": False}
    return quiet | plain | {"max_steps": steps, "learning_rate": 1e-3, "seed": 0}


def train_peer(trainer, step_ended) -> None:
    from transformers import TrainerCallback

    class AtTheEnd(TrainerCallback):
        def on_step_end(self, *_, **__):
            step_ended()

    trainer.add_callback(AtTheEnd())
    trainer.train()


class Ones(Arithmetic):
    """Each 1 pays: a new model never finds a sum, and where all rewards are 0, so are all
    advantages, and neither the surrogate nor its clip is at work."""

    def reward(self, prompt: str, answer: str) -> float:
        return float(answer.count("1"))


def second_grpo_step(settings: grpo.Config) -> tuple[Step, grpo.AnswerGroups]:
    """In float64, with its batch; the policy is no longer the reference then."""
    batches, collect = [], grpo.collect

    def watch(*args):
        batches.append(collect(*args))
        return batches[-1]

    policy = LanguageModel(endless().double(), TOKENIZER)
    with watched() as steps, pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo, "collect", watch)
        grpo.train(policy, Ones(), replace(settings, num_steps=2), progress=False)
    return steps[1], batches[1]


def slow_grpo_loss(policy, batch: grpo.AnswerGroups, settings: grpo.Config) -> torch.Tensor:
    """-(ratio A - kl_coef k3), the mean over an answer's tokens and over answers, one by one."""
    (Q, G), reference, losses = batch.rewards.shape, endless().double(), []
    prompts, answers = batch.prompts.tokens, batch.answers.tokens
    assert batch.prompts.mask.all() and batch.answers.completion_mask.all()
    decoded = TOKENIZER.batch_decode(answers, skip_special_tokens=True)
    rewards = torch.tensor([answer.count("1") for answer in decoded]).double().view(Q, G)
    for q in range(Q):
        assert len(prompts[q * G : (q + 1) * G].unique(dim=0)) == 1
        for i in range(G):
            A = (rewards[q, i] - rewards[q].mean()) / (rewards[q].std(correction=0) or 1.0)
            rows = prompts[q * G + i][None], answers[q * G + i][None]
            log_p, log_ref = (scores(model, *rows) for model in (policy, reference))
            ratio, d = (log_p - log_p.detach()).exp(), log_p - log_ref.detach()
            kl = (-d).exp() - 1 + d
            losses.append(-(ratio * A - settings.kl_coef * kl).mean())
    return torch.stack(losses).mean()


def scores(model, prompt: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
    """log pi of each token of an answer: (1, P), (1, T) -> (T,)."""
    logits = model(input_ids=torch.cat([prompt, answer], dim=1), use_cache=False).logits[0]
    return logits[prompt.shape[1] - 1 : -1].log_softmax(-1)[range(answer.shape[1]), answer[0]]


def check_grpo_of_trl(trainer, step: Step, batch: grpo.AnswerGroups) -> None:
    """TRL's loss and gradient on our second batch, in float32, from the same policy."""
    policy = copy.deepcopy(trainer.model)
    policy.load_state_dict(step.models["policy"].state_dict())
    trainer.model.eval()  # then its loss is that of a whole batch, none of several
    inputs = {
        "prompt_ids": batch.prompts.tokens,
        "prompt_mask": batch.prompts.mask.long(),
        "completion_ids": batch.answers.tokens,
        "completion_mask": batch.answers.completion_mask.long(),
        "advantages": batch.advantages.flatten(0, 1)[:, 0].float(),
        "ref_per_token_logps": batch.ref_log_probs.flatten(0, 1).float(),
        "num_items_in_batch": batch.answers.completion_mask.sum(),
    }
    loss = trainer._compute_loss(policy, inputs)
    check_step(loss, policy.parameters(), step, rounding=FLOAT32)


@OLD_NAME
@pytest.mark.parametrize("kl_coef", [0.04, 0.0])
def bench_grpo(benchmark, steps, kl_coef, tmp_path):
    """8 prompts x 8 answers x 16 tokens; TRL has no reference model where kl_coef is 0.

    First compares loss and gradient of the second step with slow code, and with TRL's.
    """
    policy, task = LanguageModel(endless(), TOKENIZER), Ones()
    sizes = {"num_prompts": 8, "group_size": 8, "max_new_tokens": 16, "num_steps": steps}
    settings = grpo.Config(**sizes, kl_coef=kl_coef)
    second, batch = second_grpo_step(settings)
    weights = second.models["policy"].parameters()
    loss = slow_grpo_loss(second.models["policy"], batch, settings)
    check_step(loss, weights, second, rounding=FLOAT64)

    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")
    sizes = {"per_device_train_batch_size": 64, "num_generations": 8, "max_completion_length": 16}
    # Its default multiplies the KL's estimate by the ratio: another gradient than Shao et al.'s.
    objective = {"beta": kl_coef, "use_bias_correction_kl": False}
    model, folder = endless(), str(tmp_path / "reference")
    model.save_pretrained(folder)
    model.config._name_or_path = folder  # where TRL looks for the reference
    trainer = trl.GRPOTrainer(
        model,
        reward_funcs=lambda prompts, completions, **_: list(map(task.reward, prompts, completions)),
        args=trl.GRPOConfig(**peer_settings(tmp_path, steps), **sizes, **objective),
        train_dataset=datasets.Dataset.from_dict({"prompt": questions(8 * steps)}),
        processing_class=TOKENIZER,
    )
    if kl_coef:
        trainer.ref_model.lm_head = copy.deepcopy(model.lm_head)  # a Llama's own has no bias
    check_grpo_of_trl(trainer, second, batch)

    def ours(step_ended):
        result = grpo.train(policy, task, settings, progress=False, on_step=step_ended)
        assert result.log["reward"].std() > 0, "the rewards do not vary"

    race = Race({"ours": ours, "TRL": lambda step_ended: train_peer(trainer, step_ended)})
    race.report(benchmark)


def pairs(n: int) -> list[tuple[str, str, str]]:
    """Two different answers each, so long that prompt, answer and end have 24 tokens."""
    asked = [question for question in questions(3 * n) if len(question) == 6][:n]
    length = 24 - 1 - len(TOKENIZER(asked[0])["input_ids"])
    digits = torch.randint(10, (n, 2, length), generator=generator(0)).tolist()
    texts = [["".join(map(str, answer)) for answer in pair] for pair in digits]
    return [(question, *answers) for question, answers in zip(asked, texts, strict=True)]


def new_reward_model() -> reward_model.RewardModel:
    """With a head of random numbers: the loss of a new one is log 2, whatever the texts are."""
    torch.manual_seed(0)
    model = reward_model.RewardModel(LlamaForCausalLM(config()), TOKENIZER)
    torch.nn.init.normal_(model.head.weight, std=0.2)
    return model


def first_reward_step() -> tuple[Step, list[int]]:
    """In float64, with the numbers of the pairs in its batch."""
    settings = reward_model.Config(num_steps=1, batch_size=64)
    with watched() as steps:
        reward_model.train(new_reward_model().double(), pairs(1000), settings, progress=False)
    return steps[0], torch.randint(1000, (64,), generator=generator(0)).tolist()


def slow_reward_loss(models: dict, drawn: list[int]) -> torch.Tensor:
    """-log sigma(R(prompt, chosen) - R(prompt, rejected)), each text by itself, the mean."""
    losses, rows = [], pairs(1000)
    for prompt, *answers in (rows[i] for i in drawn):
        R = []
        for answer in answers:
            tokens = TOKENIZER(prompt + answer)["input_ids"] + [TOKENIZER.eos_token_id]
            assert len(tokens) == 24
            hidden = models["body"](input_ids=torch.tensor([tokens])).last_hidden_state
            R.append(hidden[0, -1] @ models["head"].weight[0])
        losses.append(torch.nn.functional.softplus(R[1] - R[0]))
    return torch.stack(losses).mean()


def weights_of(models: dict) -> list[torch.nn.Parameter]:
    return [p for name in ("body", "head") for p in models[name].parameters()]


def check_reward_model_of_trl(trainer, step: Step, drawn: list[int]) -> None:
    """TRL's loss and gradient on our batch, in float32, from the same body and head."""
    model = trainer.model  # in the order of ours: its body, and its head
    model.model.load_state_dict(step.models["body"].state_dict())
    model.score.load_state_dict(step.models["head"].state_dict())
    inputs = trainer.data_collator([trainer.train_dataset[i] for i in drawn])
    loss = trainer.compute_loss(model, inputs)
    check_step(loss, model.parameters(), step, rounding=FLOAT32)


@OLD_NAME
def bench_reward_model(benchmark, steps, tmp_path):
    """64 pairs, both texts of 24 tokens.

    First compares loss and gradient of the first step with slow code, and with TRL's.
    """
    first, drawn = first_reward_step()
    loss = slow_reward_loss(first.models, drawn)
    check_step(loss, weights_of(first.models), first, rounding=FLOAT64)

    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")
    model, settings = new_reward_model(), reward_model.Config(num_steps=steps, batch_size=64)
    rows = [{"chosen": q + a, "rejected": q + b} for q, a, b in pairs(1000)]
    trainer = trl.RewardTrainer(
        LlamaForSequenceClassification(config(num_labels=1)),
        args=trl.RewardConfig(**peer_settings(tmp_path, steps), per_device_train_batch_size=64),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=TOKENIZER,
    )
    check_reward_model_of_trl(trainer, first, drawn)

    def ours(step_ended):
        reward_model.train(model, pairs(1000), settings, progress=False, on_step=step_ended)

    race = Race({"ours": ours, "TRL": lambda step_ended: train_peer(trainer, step_ended)})
    race.report(benchmark)
