"""What the three trainings of language models have in common: their arguments stay as they are."""

import copy

import pytest
import torch
from transformers import LlamaForCausalLM

from rlbook.language import grpo, reward_model, rlhf
from rlbook.language.models import LanguageModel, make_model, make_tokenizer
from rlbook.language.reward_model import RewardModel
from rlbook.language.tasks.arithmetic import Arithmetic

TASK = Arithmetic()
TOKENIZER = make_tokenizer(TASK)


def base(seed: int = 0) -> LlamaForCausalLM:
    """In a mixed mode, and with a frozen layer."""
    model = make_model(TOKENIZER, hidden_size=16, layers=2, heads=2, seed=seed).train()
    model.model.layers[0].eval()
    return model


def frozen(model: torch.nn.Module) -> torch.nn.Module:
    layer = next(m for m in model.modules() if m.__class__.__name__ == "LlamaDecoderLayer")
    layer.requires_grad_(False)
    return model


def length(prompts, answers) -> torch.Tensor:
    return torch.tensor([float(len(answer) % 3) for answer in answers])


class Odd(Arithmetic):
    def reward(self, prompt, answer):
        return float(len(answer) % 2)


def train_grpo():
    policy = LanguageModel(frozen(base()), TOKENIZER)
    config = grpo.Config(num_steps=2, num_prompts=2, group_size=4, max_new_tokens=4)
    return [policy.model], lambda: grpo.train(policy, Odd(), config, progress=False), "policy"


def train_rlhf():
    policy, reference = (LanguageModel(frozen(base(seed)), TOKENIZER) for seed in (0, 1))
    judge = RewardModel(base(2), TOKENIZER)
    torch.nn.init.normal_(judge.head.weight)
    config = rlhf.Config(num_steps=2, batch_size=4, max_new_tokens=4)
    options = {"reference": reference, "progress": False}
    given = [policy.model, reference.model, judge]
    return given, lambda: rlhf.train(policy, judge, TASK, config, **options), "policy"


def train_reward_model():
    judge = frozen(RewardModel(base(), TOKENIZER).train())
    pairs, config = [("1+1=", "2", "3")] * 4, reward_model.Config(num_steps=2, batch_size=2)
    given = [judge]
    return given, lambda: reward_model.train(judge, pairs, config, progress=False), "reward_model"


trainings = pytest.mark.parametrize("make", [train_grpo, train_rlhf, train_reward_model])


def everything(model: torch.nn.Module) -> dict:
    weights = {name: x.numpy().tobytes() for name, x in model.state_dict().items()}
    modes = {f"mode of {name}": module.training for name, module in model.named_modules()}
    flags = {f"flag of {name}": p.requires_grad for name, p in model.named_parameters()}
    gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters()}
    return weights | modes | flags | gradients


@trainings
def test_the_arguments_of_a_training_stay_as_they_are(make):
    given, train, name = make()
    before = [everything(model) for model in given]
    trained = train().models[name]
    assert [everything(model) for model in given] == before
    after = everything(trained)
    weights = [key for key, x in before[0].items() if isinstance(x, bytes)]
    assert any(after[key] != before[0][key] for key in weights), "nothing was learned"
    held = [key for key in weights if not before[0].get(f"flag of {key}", True)]
    assert held and all(after[key] == before[0][key] for key in held)  # frozen in the copy, too


@trainings
def test_a_model_is_copied_once(make, monkeypatch):
    _, train, name = make()
    kind, copied, deepcopy = (LlamaForCausalLM, RewardModel), [], copy.deepcopy

    def watch(x, *memo):
        copied.extend([x] if isinstance(x, kind) else [])
        return deepcopy(x, *memo)

    monkeypatch.setattr(copy, "deepcopy", watch)
    result = train()
    assert len(copied) == 1
    if name == "reward_model":
        assert result.models[name].tokenizer is TOKENIZER
