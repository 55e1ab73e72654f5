"""GRPO: its objective against enumeration, and the learner on tiny models."""

import itertools
import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from rlbook.formulas.divergences import kl_estimate
from rlbook.language import grpo
from rlbook.language.__main__ import main
from rlbook.language.models import LanguageModel, load, make_model, make_tokenizer
from rlbook.language.solvable.fixed_points import ExpectedGRPO
from rlbook.language.solvable.model import AnswerTree, SolvableLM, World, exact_kl, expected_reward
from rlbook.language.solvable.training import SolvableConfig, solvable_loss, train_solvable
from rlbook.language.tasks.arithmetic import Arithmetic
from rlbook.language.tasks.task import TASKS

F64 = {"dtype": torch.float64}
KL_FORMS = list(itertools.product(("k1", "k2", "k3"), ("token", "answer")))
UNBIASED = {"advantage": "leave_one_out", "aggregate": "constant", "max_length": 1}
TREE = AnswerTree(("a", "b", "end"), max_length=2)  # 7 answers
R = torch.tensor([0.0, 1, 3, 1, 0, 2, 1], **F64)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **F64)


def make_lm(seed):
    lm = SolvableLM(TREE, num_prompts=1)
    lm.logits.data = draw(*lm.logits.shape, seed=seed)
    return lm


LM, REF = make_lm(1), make_lm(2)
P = LM.answer_log_probs()[0, 0].exp().detach()


def advantages_of(rewards, old, ref, mask, config, steps=None):
    policies = {"old_log_probs": old, "ref_log_probs": ref}
    return grpo.make_advantages(
        rewards, **policies, completion_mask=mask, config=config, steps=steps
    )


def loss_of(logs, old, ref, A, mask, config):
    policies = {"old_log_probs": old, "ref_log_probs": ref}
    return grpo.grpo_loss(logs, **policies, advantages=A, completion_mask=mask, config=config)


def expected_gradient(config, G=3):
    """Minus the gradient of grpo_loss at pi_theta = pi_old, the mean over all groups of G."""
    groups = torch.tensor(list(itertools.product(range(7), repeat=G)))
    chance = P[groups].prod(1)
    logs = LM.log_probs_of(groups.view(1, 1, -1)).view(*groups.shape, -1)
    ref = REF.log_probs_of(groups.view(1, 1, -1)).view(*groups.shape, -1).detach()
    mask = TREE.completion_mask[groups]
    A = advantages_of(R[groups], logs, ref, mask, config)
    loss = loss_of(logs, logs.detach(), ref, A, mask, config)
    return -torch.autograd.grad(chance @ loss, LM.logits)[0]


def gradient_of(x):
    return torch.autograd.grad(x, LM.logits)[0]


def exact(beta=0.0):
    logs = LM.answer_log_probs()[0, 0]
    kl = exact_kl(logs, REF.answer_log_probs()[0, 0].detach())
    return gradient_of(expected_reward(logs, R) - beta * kl)


# --- the objective


def test_unbiased_forms_have_the_exact_gradient():
    plain = grpo.Config(kl_coef=0.0, **UNBIASED)
    torch.testing.assert_close(expected_gradient(plain), exact())
    centred = replace(plain, advantage="centred")
    torch.testing.assert_close(expected_gradient(centred), exact() * 2 / 3)
    as_reward = replace(plain, kl_coef=0.4, kl_as="reward")
    torch.testing.assert_close(expected_gradient(as_reward), exact(0.4))
    k2 = replace(plain, kl_coef=0.4, kl_kind="k2", kl_level="answer")
    torch.testing.assert_close(expected_gradient(k2), exact(0.4))
    with_length = replace(k2, max_length=5)
    torch.testing.assert_close(expected_gradient(with_length), exact(0.4) / 5)


@pytest.mark.parametrize("kind, level", KL_FORMS)
def test_published_form_has_the_expected_update_of_its_fixed_point(kind, level):
    config = grpo.Config(kl_coef=0.4, kl_kind=kind, kl_level=level)
    zeros = torch.zeros(1, 7, 2, **F64)
    reference = REF.answer_log_probs()[0].detach()
    world = World(TREE, ("?",), reference, R[None], zeros)
    estimate = {"kl_kind": kind, "kl_level": level}
    update = ExpectedGRPO(world, group_size=3, kl_coef=0.4, **estimate).update(LM)
    torch.testing.assert_close(expected_gradient(config), update)


def test_objective_as_it_is_written():
    """Three loops: the sum over an answer's own tokens, divided by its own length."""
    logs, old, ref = (-draw(2, 3, 4, seed=s).abs() for s in (3, 4, 5))
    lengths = torch.tensor([[4, 2, 1], [1, 3, 3]])
    mask = torch.arange(4) < lengths[..., None]
    A = draw(2, 3, 4, seed=6)
    found = loss_of(logs, old, ref, A, mask, grpo.Config(kl_coef=0.3))
    for q in range(2):
        total = 0.0
        for i in range(3):
            for t in range(lengths[q, i]):
                rho = math.exp(logs[q, i, t] - old[q, i, t])
                a, d = A[q, i, t].item(), (logs - ref)[q, i, t].item()
                surrogate = min(rho * a, max(0.8, min(1.2, rho)) * a)
                total += (surrogate - 0.3 * (math.exp(-d) - 1 + d)) / lengths[q, i].item() / 3
        assert found[q].item() == pytest.approx(-total)


@pytest.mark.parametrize("level", ["token", "answer"])
@pytest.mark.parametrize("how", ["answer_mean", "constant", "token_mean"])
def test_padding_changes_nothing(how, level):
    config = grpo.Config(kl_coef=0.3, aggregate=how, kl_level=level)
    mask = torch.arange(4) < torch.tensor([4, 2, 1])[:, None]
    rows = [torch.where(mask, x, 0.0) for x in draw(4, 3, 4).tanh()]
    want = loss_of(*rows, mask, config)
    spoiled = [x.masked_fill(~mask, 7.0).requires_grad_() for x in rows]
    longer = [torch.nn.functional.pad(x, (0, 2), value=9.0) for x in (*spoiled, mask)]
    longer[4] = torch.nn.functional.pad(mask, (0, 2))
    got = loss_of(*longer, config)
    torch.testing.assert_close(got, want)
    got.backward()
    assert (spoiled[0].grad[~mask] == 0).all()
    assert all(x.grad is None for x in spoiled[1:])  # numbers only


def test_old_policy_equal_to_the_policy_is_the_policy_gradient():
    logs, ref, A = draw(3, 5, 4).tanh()
    mask = torch.ones(5, 4, dtype=torch.bool)
    logs.requires_grad_()
    config = grpo.Config(kl_coef=0.0, clip_epsilon=1e-9)  # ratio 1 is never clipped
    loss = loss_of(logs, logs.detach(), ref, A, mask, config)
    torch.testing.assert_close(torch.autograd.grad(loss, logs)[0], -A / 20)
    torch.testing.assert_close(loss.detach(), -A.mean())


def test_an_answer_without_a_token():
    mask = torch.arange(4) < torch.tensor([4, 0, 2])[:, None]
    rows = torch.where(mask, draw(4, 3, 4).tanh(), 0.0)
    for level, how in itertools.product(("token", "answer"), ("answer_mean", "token_mean")):
        config = grpo.Config(kl_level=level, aggregate=how)
        assert loss_of(*rows, mask, config).isfinite()
    A = advantages_of(torch.tensor([1.0, 0, 0]), rows[0], rows[1], mask, grpo.Config())
    assert (A[1] == 0).all() and (A[0] > 0).all()


def test_kl_as_reward_is_charged_to_the_whole_answer():
    mask = torch.arange(3) < torch.tensor([3, 2])[:, None]
    old, ref = torch.where(mask, draw(2, 2, 3), 0.0)
    config = grpo.Config(kl_as="reward", kl_coef=0.5, advantage="centred")
    found = advantages_of(torch.tensor([1.0, 0], **F64), old, ref, mask, config)
    shaped = torch.tensor([1.0, 0], **F64) - 0.5 * (old - ref).sum(-1)
    torch.testing.assert_close(found, torch.where(mask, (shaped - shaped.mean())[:, None], 0.0))


def test_runs_of_the_solvable_model_do_not_mix():
    lm = make_lm(7)
    world = World(TREE, ("?",), lm.answer_log_probs()[0].detach(), R[None], draw(1, 7, 2))
    for supervision in ("outcome", "process"):
        config = grpo.Config(supervision=supervision)
        settings = SolvableConfig(
            num_steps=5, group_size=4, learning_rate=0.1, optimizer=torch.optim.SGD
        )
        given = world, solvable_loss(config), settings
        both = train_solvable(*given, num_runs=3, progress=False)
        alone = train_solvable(*given, run_ids=[2], progress=False)
        torch.testing.assert_close(both.lm.logits[2], alone.lm.logits[0])


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"group_size": 1}, "group_size must be at least 2"),
        ({"kl_kind": "k4"}, "kl_kind must be 'k1', 'k2' or 'k3'"),
        ({"advantage": "std"}, "advantage must be 'normalized'"),
        ({"clip_epsilon": 0.0}, "clip_epsilon must be positive"),
        ({"kl_coef": -1.0}, "kl_coef must be at least 0"),
        ({"kl_coef": math.nan}, "kl_coef must be at least 0"),
        ({"supervision": "process", "kl_as": "reward"}, "not for processes"),
        ({"supervision": "process", "advantage": "leave_one_out"}, "not for processes"),
    ],
)
def test_bad_settings(wrong, words):
    with pytest.raises(ValueError, match=words):
        grpo.Config(**wrong)


def test_old_and_reference_are_told_apart_by_name():
    logs, old, ref, A = draw(4, 2, 3)
    mask = torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(TypeError, match="positional"):
        grpo.grpo_loss(logs, old, ref, A, mask, grpo.Config())
    with pytest.raises(TypeError, match="positional"):
        grpo.make_advantages(A[:, 0], old, ref, mask, grpo.Config())


def test_process_supervision_without_steps_is_refused():
    logs = draw(2, 3)
    mask = torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match='supervision "process" needs steps, got None'):
        advantages_of(logs[:, 0], logs, logs, mask, grpo.Config(supervision="process"))


# --- the learner

TASK = Arithmetic()
SMALL = {"num_prompts": 2, "group_size": 4, "max_new_tokens": 5, "learning_rate": 1e-3}


def tiny(architecture="llama", seed=0):
    tokenizer = make_tokenizer(TASK)
    sizes = {"hidden_size": 16, "layers": 1, "heads": 2}
    return LanguageModel(
        make_model(tokenizer, architecture=architecture, seed=seed, **sizes), tokenizer
    )


class Odd(Arithmetic):
    """Rewards what a tiny model may do by chance, and learns at once: an odd length."""

    def reward(self, prompt, answer):
        return float(len(answer) % 2)

    def step_rewards(self, prompt, answer):
        return [(len(answer), self.reward(prompt, answer))]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("supervision", ["outcome", "process"])
def test_it_runs_and_logs(architecture, supervision):
    policy = tiny(architecture)
    before = [p.clone() for p in policy.model.parameters()]
    config = grpo.Config(num_steps=2, inner_steps=2, supervision=supervision, **SMALL)
    result = grpo.train(policy, Odd(), config, progress=False)
    assert set(result.log) == {"reward", "kl", "length", "pass@1"}
    assert result.log["kl"][0] == pytest.approx(0, abs=1e-5)
    assert result.frozen is None
    assert all(np.isfinite(x).all() for x in result.log.values())
    after = result.models["policy"].parameters()
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


def test_it_learns():
    config = grpo.Config(num_steps=25, num_prompts=4, group_size=8, max_new_tokens=5)
    config = replace(config, learning_rate=0.02, kl_coef=0.0)
    result = grpo.train(tiny(), Odd(), config, progress=False)
    assert result.log["reward"][:3].mean() < 0.75 < 0.95 < result.log["reward"][-3:].mean()


def test_a_group_of_equal_rewards_changes_nothing():
    class Hopeless(Arithmetic):
        def reward(self, prompt, answer):
            return 0.1

    policy = tiny()
    before = [p.clone() for p in policy.model.parameters()]
    # Without a KL, whose gradient at equal policies is rounding: AdamW makes steps even of that.
    config = grpo.Config(num_steps=2, **SMALL | {"kl_coef": 0.0})
    result = grpo.train(policy, Hopeless(), config, progress=False)
    assert all(map(torch.equal, before, result.models["policy"].parameters()))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_reward_that_is_no_number_stops_and_keeps_what_was_learned(value):
    class Broken(Odd):
        """From the third batch on, its third answer is beyond judgement."""

        def __init__(self, judge):
            super().__init__()
            self.calls, self.judge = 0, judge

        def reward(self, prompt, answer):
            self.calls += 1
            return self.judge() if self.calls == 2 * 8 + 3 else super().reward(prompt, answer)

    def interrupt():
        raise KeyboardInterrupt

    config = grpo.Config(num_steps=4, **SMALL)
    with pytest.warns(UserWarning, match=r"the reward of answer 2, '.*' -> '.*', is (nan|inf)"):
        result = grpo.train(tiny(), Broken(lambda: value), config, progress=False)
    assert "in step 2" in result.frozen and len(result.log["reward"]) == 2
    expected = grpo.train(tiny(), Broken(interrupt), config, progress=False)
    assert expected.interrupted and expected.frozen is None
    for a, b in zip(*(x.models["policy"].parameters() for x in (result, expected)), strict=True):
        assert torch.equal(a, b)
    untrained = tiny().model.parameters()
    moved = zip(untrained, result.models["policy"].parameters(), strict=True)
    assert any((a != b).any() for a, b in moved)


def test_the_first_ratio_is_one_and_the_reference_stays(monkeypatch):
    seen = []

    def spy(log_probs, **rest):
        policies = log_probs, rest["old_log_probs"], rest["ref_log_probs"]
        seen.append([x.detach().clone() for x in policies])
        return real(log_probs, **rest)

    real = grpo.grpo_loss
    monkeypatch.setattr(grpo, "grpo_loss", spy)
    config = grpo.Config(num_steps=2, inner_steps=2, **SMALL | {"learning_rate": 0.05})
    grpo.train(tiny(), Odd(), config, progress=False)
    new, old, ref = zip(*seen, strict=True)
    assert torch.equal(new[0], old[0]) and torch.equal(new[2], old[2])
    assert torch.equal(old[0], old[1]) and not torch.equal(new[1], old[1])
    torch.testing.assert_close(old[0], ref[0], atol=1e-6, rtol=0)
    assert kl_estimate(old[2], ref[2], "k2").sum() > 1e-4  # the model has moved, the anchor not


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_interrupted_and_resumed_is_uninterrupted_bit_for_bit(tmp_path, architecture):
    config = grpo.Config(num_steps=4, inner_steps=2, **SMALL)
    whole = grpo.train(tiny(architecture), Odd(), config, seed=3, progress=False)

    def stop(step, values):
        if step == 1:
            raise KeyboardInterrupt

    options = {"seed": 3, "progress": False, "checkpoint_every": 1}
    folder = tmp_path / "checkpoint"
    cut = grpo.train(tiny(architecture), Odd(), config, checkpoint=folder, on_step=stop, **options)
    assert cut.interrupted
    resumed = {"checkpoint": folder, "resume": folder}
    again = grpo.train(tiny(architecture), Odd(), config, **resumed, **options)
    pairs = zip(
        whole.models["policy"].parameters(), again.models["policy"].parameters(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)
    assert all((whole.log[name] == again.log[name]).all() for name in whole.log)


def test_the_command_saves_what_was_learned(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "odd", Odd)
    tiny().save(tmp_path / "before")
    sizes = "--num-prompts 2 --group-size 4 --max-new-tokens 5 --learning-rate 0.1 --steps 2"
    folders = ["--model", str(tmp_path / "before"), "--output", str(tmp_path / "out")]
    assert main(["--task", "odd", *folders, *sizes.split()]) == 0
    one, other = (load(tmp_path / name).model for name in ("before", "out/model"))
    moved = zip(one.parameters(), other.parameters(), strict=True)
    assert any((a != b).any() for a, b in moved)


@pytest.mark.slow
def test_the_command_trains_a_saved_model_and_goes_on(tmp_path):
    sizes = "--num-prompts 2 --group-size 2 --max-new-tokens 4 --checkpoint-every 1".split()
    for architecture in ("llama", "gpt2"):
        model, output = tmp_path / architecture, tmp_path / f"out-{architecture}"
        tiny(architecture).save(model)
        command = [sys.executable, "-m", "rlbook.language", "--model", str(model)]
        command += ["--output", str(output), *sizes]
        for extra in (["--steps", "2"], ["--steps", "2", "--resume"]):
            done = subprocess.run([*command, *extra], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        lines = [json.loads(x) for x in (output / "log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [0, 1]
        assert set(lines[0]) == {"step", "reward", "kl", "length", "pass@1"}
        assert (output / "model" / "model.safetensors").exists()
