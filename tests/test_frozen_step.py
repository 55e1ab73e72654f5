"""A step of an optimizer that some rows of its parameters do not take."""

import pytest
import torch

from rlbook.ground.frozen_step import frozen_step

OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9, weight_decay=0.1),
    "Adam": lambda parameters: torch.optim.Adam(parameters, 0.1, weight_decay=0.1),
}


def parameters() -> list[torch.nn.Parameter]:
    """Of four runs: a matrix and a number each."""
    generator = torch.Generator().manual_seed(0)
    shapes = (4, 2, 3), (4,)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def set_gradients(parameters, scale: float = 1.0) -> None:
    for parameter in parameters:
        parameter.grad = scale * torch.ones_like(parameter)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_rows_keep_every_bit_and_the_others_step_as_ever(name):
    frozen, free = parameters(), parameters()
    one, other = OPTIMIZERS[name](frozen), OPTIMIZERS[name](free)
    for k in range(3):  # the first moves all: from then on there is momentum in every row
        before = [p.detach().clone() for p in frozen]
        set_gradients(frozen), set_gradients(free)
        for p in frozen if k > 0 else ():
            p.grad[1] = torch.nan
        frozen_step(one, torch.tensor([False, True, False, True]) if k > 0 else None)
        other.step()
        for p, old, expected in zip(frozen, before, free, strict=True):
            assert torch.equal(p[[0, 2]], expected[[0, 2]])
            if k > 0:
                assert p[[1, 3]].numpy(force=True).tobytes() == old[[1, 3]].numpy().tobytes()
            assert (p[[0, 2]] != old[[0, 2]]).all()


def test_a_frozen_gradient_does_not_enter_the_optimizers_memory():
    p = parameters()[:1]
    optimizer = torch.optim.Adam(p)
    set_gradients(p, scale=torch.nan)
    frozen_step(optimizer, torch.ones(4, dtype=torch.bool))
    assert torch.equal(optimizer.state[p[0]]["exp_avg"], torch.zeros(4, 2, 3))


def test_a_parameter_without_a_gradient_stays_as_it_is():
    moved, idle = parameters()
    optimizer = OPTIMIZERS["Adam"]([moved, idle])
    set_gradients([moved])
    before = idle.detach().clone()
    frozen_step(optimizer, torch.arange(4) == 0)
    assert idle.grad is None and torch.equal(idle, before)
    assert torch.equal(moved[0], parameters()[0][0]) and not torch.equal(moved, parameters()[0])
