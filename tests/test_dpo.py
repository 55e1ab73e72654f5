"""DPO's loss: by hand, its gradient, and its optimum, which is that of RLHF."""

import math

import pytest
import torch

from rlbook.formulas.preferences import dpo_loss, preference_probability
from rlbook.ground.seeding import generator

F64 = {"dtype": torch.float64}


def random_logs(*shape: int) -> torch.Tensor:
    return -torch.rand(*shape, generator=generator(19), **F64)


def test_by_hand():
    numbers = (torch.tensor(x, **F64) for x in (-1.0, -2.0, -1.5, -1.0))
    margin = 0.5 * ((-1.0 + 1.5) - (-2.0 + 1.0))
    expected = torch.tensor(math.log1p(math.exp(-margin)), **F64)
    torch.testing.assert_close(dpo_loss(*numbers, kl_coef=0.5), expected)


def test_at_the_reference_it_is_log_2():
    chosen, rejected = random_logs(2, 7)
    loss = dpo_loss(chosen, rejected, chosen, rejected, kl_coef=0.3)
    torch.testing.assert_close(loss, torch.full((7,), math.log(2), **F64))


def test_gradient():
    """-beta sigma(-margin) for the chosen answer, plus for the other; none for the reference."""
    numbers = [x.requires_grad_() for x in random_logs(4, 7)]
    found = torch.autograd.grad(dpo_loss(*numbers, kl_coef=0.3).sum(), numbers, allow_unused=True)
    chosen, rejected, ref_chosen, ref_rejected = (x.detach() for x in numbers)
    margin = 0.3 * (chosen - ref_chosen - rejected + ref_rejected)
    torch.testing.assert_close(found[0], -0.3 * (-margin).sigmoid())
    torch.testing.assert_close(found[1], 0.3 * (-margin).sigmoid())
    assert found[2] is None and found[3] is None


def test_the_optimum_of_rlhf_has_no_gradient():
    """With preferences of the rewards R, pi_ref exp(R / beta) / Z is stationary."""
    beta, (ref, rewards) = 0.4, torch.randn(2, 6, generator=generator(3), **F64)
    ref = ref.log_softmax(-1)
    logits = (ref + rewards / beta).requires_grad_()
    log_probs = logits.log_softmax(-1)
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    a, b = pairs.T
    loss = dpo_loss(log_probs[a], log_probs[b], ref[a], ref[b], kl_coef=beta)
    prefers = preference_probability(rewards[a], rewards[b])
    (gradient,) = torch.autograd.grad((prefers * loss).sum(), logits)
    torch.testing.assert_close(gradient, torch.zeros(6, **F64))


def test_bad_input():
    logs = list(random_logs(4, 7))
    for position in range(4):
        wrong = [x[:3] if i == position else x for i, x in enumerate(logs)]
        with pytest.raises(ValueError, match=r"must have one shape, got .*\(3,\)"):
            dpo_loss(*wrong, kl_coef=0.1)
    with pytest.raises(ValueError, match="kl_coef must be positive, got 0"):
        dpo_loss(*logs, kl_coef=0)
