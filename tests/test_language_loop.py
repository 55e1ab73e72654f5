"""The loop that learners of language models share, on models of a few numbers."""

from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from rlbook.ground.saving import load_tensors
from rlbook.language.loop import CHECKPOINT, Loop


def models() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {"policy": nn.Linear(3, 2), "critic": nn.Linear(3, 1)}


def train(steps=10, stop_before=None, error=KeyboardInterrupt, **options):
    """Noisy regression, so that random numbers and momenta matter; an error at one step."""
    options = {"learning_rate": 0.1, "seed": 7, "progress": False, "num_steps": steps} | options
    loop = Loop(models(), **options)
    coef = loop.remember("coef", torch.ones(()))
    with loop:
        for step in loop.steps():
            x = torch.randn(8, 3, generator=loop.generator)
            if step == stop_before:
                raise error
            policy, critic = loop.models["policy"], loop.models["critic"]
            loop.gradient_step((policy(x) - x[:, :2]).square().mean() * coef, "policy")
            loss = (critic(x)[:, 0] - x.sum(-1)).square().mean()
            loop.gradient_step(loss, "critic")
            coef.mul_(0.9)
            loop.log(loss=loss, coef=coef)
    return loop.result()


def weights(result) -> list[torch.Tensor]:
    return [x for model in result.models.values() for x in model.state_dict().values()]


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_training_that_is_continued_is_the_one_without_a_break(tmp_path, schedule):
    options = {"schedule": schedule, "warmup_steps": 7, "checkpoint_every": 5}
    whole = train(**options)
    folder = Path(mkdtemp(dir=tmp_path))  # of this process: mutants run in forks
    part = train(checkpoint=folder, stop_before=6, **options)
    assert part.interrupted and part.log["loss"].shape == (6,) and not same(part, whole)
    rest = train(resume=folder, **options)
    assert same(rest, whole)
    assert rest.log.keys() == whole.log.keys()
    assert all((rest.log[name] == whole.log[name]).all() for name in whole.log)
    assert rest.wall_time > 0 and not rest.interrupted and rest.frozen is None


def test_a_finished_training_can_be_made_longer(tmp_path):
    whole = train(10)
    folder = Path(mkdtemp(dir=tmp_path))
    train(5, checkpoint=folder)
    rest = train(10, resume=folder, checkpoint=folder)
    assert same(rest, whole) and (rest.log["loss"] == whole.log["loss"]).all()
    again = train(10, resume=folder)
    assert same(again, whole) and again.log["loss"].shape == (10,)


def test_ctrl_c_keeps_what_was_learned():
    part, whole = train(10, stop_before=4), train(4)
    assert part.interrupted and part.frozen is None
    assert same(part, whole) and (part.log["loss"] == whole.log["loss"]).all()


def test_other_errors_are_raised():
    with pytest.raises(ZeroDivisionError):
        train(stop_before=3, error=ZeroDivisionError)


def bad_step(make_bad, step_of_it=3):
    loop = Loop(models(), num_steps=5, learning_rate=0.1, progress=False)
    with loop:
        for step in loop.steps():
            loss = sum(model(torch.ones(1, 3)).square().sum() for model in loop.models.values())
            loop.gradient_step(make_bad(loss, loop) if step == step_of_it else loss)
            loop.log(loss=loss)
    return loop.result()


@pytest.mark.parametrize(
    ("make_bad", "message"),
    [
        (lambda loss, loop: loss * torch.nan, "the loss is nan in step 3"),
        (lambda loss, loop: loss + torch.inf, "the loss is inf in step 3"),
        (
            lambda loss, loop: loss + (loop.models["policy"].bias * 0).sum().sqrt(),
            "the norm of the gradient is nan in step 3",
        ),
    ],
)
def test_a_step_that_is_not_finite_is_refused(make_bad, message):
    with pytest.warns(UserWarning, match=message):
        stopped = bad_step(make_bad)
    assert message in stopped.frozen and not stopped.interrupted
    assert stopped.log["loss"].shape == (3,)
    with pytest.warns(UserWarning, match=message.replace("3", "0")):
        first = bad_step(make_bad, 0)
    assert same(first, SimpleNamespace(models=models()))
    assert all(x.isfinite().all() for x in weights(stopped)) and not same(first, stopped)


def test_a_bad_step_leaves_the_checkpoint_of_before(tmp_path):
    loop = Loop(
        models(),
        num_steps=9,
        learning_rate=0.1,
        progress=False,
        checkpoint=tmp_path,
        checkpoint_every=2,
    )
    with pytest.warns(UserWarning, match="step 7"), loop:
        for step in loop.steps():
            loss = loop.models["policy"](torch.ones(1, 3)).sum()
            loop.gradient_step(loss * (torch.nan if step == 7 else 1.0), "policy")
    assert load_tensors(tmp_path / CHECKPOINT)[1]["step"] == 6


def test_each_model_has_its_learning_rate_and_its_own_clip():
    rates = {"policy": 0.1, "critic": 0.01}
    loop = Loop(models(), num_steps=1, learning_rate=rates, progress=False, max_gradient_norm=1.0)
    start = models()
    norms = []
    with loop:
        for _ in loop.steps():
            losses = [model.bias.sum() * 100 for model in loop.models.values()]
            norms.append(loop.gradient_step(sum(losses)))
    for name, model in loop.models.items():  # Adam's first step is the learning rate
        torch.testing.assert_close(model.bias, start[name].bias - rates[name])
        assert torch.equal(model.weight, start[name].weight)
        assert model.bias.grad.norm() < 1.0001
    assert norms[0] == pytest.approx(100 * 3**0.5)


def test_only_the_models_named_are_moved():
    loop, start = Loop(models(), num_steps=1, learning_rate=0.1, progress=False), models()
    with loop:
        for _ in loop.steps():
            losses = [model(torch.ones(1, 3)).sum() for model in loop.models.values()]
            loop.gradient_step(sum(losses), "critic")
    assert torch.equal(loop.models["policy"].weight, start["policy"].weight)
    assert not torch.equal(loop.models["critic"].weight, start["critic"].weight)


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0, [1, 1, 1, 1]),
        ("constant", 1, [0.5, 1, 1, 1]),
        ("linear", 0, [1, 0.75, 0.5, 0.25]),
        ("cosine", 0, [1, 0.853553, 0.5, 0.146447]),
        ("linear", 3, [0.25, 0.375, 0.375, 0.25]),
    ],
)
def test_schedules(schedule, warmup, expected):
    options = {"schedule": schedule, "warmup_steps": warmup, "progress": False}
    loop = Loop(models(), num_steps=4, learning_rate=2.0, **options)
    with loop:
        rates = [loop.optimizers.by_name["critic"].param_groups[0]["lr"] for _ in loop.steps()]
    assert rates == pytest.approx([2 * x for x in expected], abs=1e-5)


def test_frozen_parameters_have_no_optimizer():
    net = models()["policy"]
    net.weight.requires_grad_(False)
    before = net.weight.clone()
    loop = Loop({"policy": net}, num_steps=2, learning_rate=0.1, progress=False, weight_decay=0.1)
    with loop:
        for _ in loop.steps():
            loop.gradient_step(net(torch.ones(1, 3)).sum())
    assert torch.equal(net.weight, before)


def test_what_a_step_did_not_log_is_nan():
    loop = Loop(models(), num_steps=3, learning_rate=0.1, progress=False)
    with loop:
        for step in loop.steps():
            if step == 1:
                loop.log(kl=torch.tensor(2.0, requires_grad=True))
    np.testing.assert_equal(loop.result().log, {"kl": np.array([np.nan, 2.0, np.nan])})


def test_tied_weights_are_in_the_checkpoint(tmp_path):
    def tied():
        torch.manual_seed(0)
        net = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
        net["b"].weight = net["a"].weight
        return net

    options = {"num_steps": 2, "learning_rate": 0.1, "progress": False}
    loop = Loop({"net": tied()}, checkpoint=tmp_path, **options)
    with loop:
        for _ in loop.steps():
            loop.gradient_step(loop.models["net"]["a"](torch.ones(1, 2)).sum())
    rest = Loop({"net": tied()}, resume=tmp_path, **options)
    assert same(loop.result(), rest.result())
    net = rest.models["net"]
    assert net["a"].weight is net["b"].weight


def test_bad_settings(tmp_path):
    with pytest.raises(FileNotFoundError):
        train(resume=tmp_path)
    train(2, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="holds a training: resume it, or name another folder"):
        train(checkpoint=tmp_path)
    with pytest.raises(ValueError, match="of seed 7, asked for is 8"):
        train(resume=tmp_path, seed=8)
    options = {"num_steps": 3, "learning_rate": 0.1, "progress": False, "seed": 7}
    with pytest.raises(ValueError, match="does not fit the model 'policy'"):
        Loop({"policy": nn.Linear(4, 2)}, resume=tmp_path, **options)
    for wrong in ({"schedule": "x"}, {"num_steps": 0}, {"learning_rate": {"policy": 1.0}}):
        with pytest.raises(ValueError, match="schedule|num_steps|learning_rate"):
            Loop(models(), **options | wrong)
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        Loop(models(), **options | {"learning_rate": -1.0})
    loop = Loop(models(), **options)
    with pytest.raises(ValueError, match=r"loss must be one number, got shape \(2,\)"):
        loop.gradient_step(torch.zeros(2))
    shared = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="critic shares parameters with policy"):
        Loop({"policy": shared, "critic": nn.Sequential(shared)}, **options)
