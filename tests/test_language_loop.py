"""The loop that learners of language models share, on models of a few numbers."""

import pytest
import torch
from torch import nn

from rlbook.language.loop import Loop


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
            loop.minimize((policy(x) - x[:, :2]).square().mean() * coef, "policy")
            loss = (critic(x)[:, 0] - x.sum(-1)).square().mean()
            loop.minimize(loss, "critic")
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
    part = train(checkpoint=tmp_path, stop_before=6, **options)
    assert part.interrupted and part.log["loss"].shape == (6,) and not same(part, whole)
    rest = train(resume=tmp_path, **options)
    assert same(rest, whole)
    assert rest.log.keys() == whole.log.keys()
    assert all(torch.equal(rest.log[name], whole.log[name]) for name in whole.log)
    assert rest.seconds > 0 and not rest.interrupted and rest.stopped is None
