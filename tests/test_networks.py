"""Networks of R runs: each run is what it would be alone."""

import copy
import math

import pytest
import torch
from torch import nn

from rlbook.deep.parts.networks import (
    MLP,
    DuelingMLP,
    Linear,
    clip_gradients_per_run,
    gradient_norms,
    polyak_update,
    run_module,
)
from rlbook.ground.seeding import generator, run_generators

R, SIZES = 4, (3, 16, 8, 2)
NETWORKS = {
    "mlp": lambda streams: MLP(SIZES, streams),
    "relu": lambda streams: MLP(SIZES, streams, activation="relu"),
    "linear": lambda streams: MLP((3, 2), streams),
    "dueling": lambda streams: DuelingMLP(SIZES, streams),
    "linear dueling": lambda streams: DuelingMLP((3, 2), streams),
    "sequence": lambda streams: nn.Sequential(
        MLP((3, 5), streams), nn.ReLU(), Linear(5, 2, streams)
    ),
}
NAN = float("nan")


def make(name: str, run_ids=range(R)) -> nn.Module:
    network = NETWORKS[name](run_generators(0, run_ids=run_ids))
    for parameter in network.parameters():  # biases that are not zero, the same for a run anywhere
        noise = [torch.randn(parameter.shape[1:], generator=generator(1, run)) for run in run_ids]
        parameter.data += 0.1 * torch.stack(noise)
    return network


def inputs(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed))


def run_gradients(network: nn.Module, k: int) -> list[torch.Tensor]:
    return [parameter.grad[k] for parameter in network.parameters()]


# --- outputs


def test_linear_by_hand():
    layer = Linear(2, 1, run_generators(0, 2))
    layer.weight.data = torch.tensor([[[1.0], [2.0]], [[10.0], [20.0]]])
    layer.bias.data = torch.tensor([[[0.5]], [[-1.0]]])
    x = torch.tensor([[[1.0, 1.0], [3.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    assert layer(x).tolist() == [[[3.5], [3.5]], [[9.0], [19.0]]]


def test_dueling_by_hand():
    network = DuelingMLP((1, 3), run_generators(0, 1))
    network.value.weight.data, network.value.bias.data = (
        torch.zeros(1, 1, 1),
        torch.full((1, 1, 1), 7.0),
    )
    network.advantage.weight.data = torch.tensor([[[1.0, 2.0, 6.0]]])
    assert network(torch.ones(1, 1, 1)).tolist() == [[[5.0, 6.0, 10.0]]]


def test_dueling_is_identifiable():
    network, x = make("dueling").double(), inputs(R, 5, 3).double()
    before = network(x)
    hidden = network.trunk(x)
    torch.testing.assert_close(before.mean(-1, keepdim=True), network.value(hidden))
    network.advantage.bias.data += 3.0
    torch.testing.assert_close(network(x), before)
    network.value.bias.data += 3.0
    torch.testing.assert_close(network(x), before + 3.0)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("middle", [(1,), (6,), (3, 4), (2, 3, 2), (0,), (0, 5)])
def test_each_run_equals_its_plain_module(name, middle):
    network, x = make(name), inputs(R, *middle, 3)
    y = network(x)
    assert y.shape == (R, *middle, 2)
    for k in range(R):
        plain = run_module(network, k)
        assert not any(isinstance(m, Linear | MLP | DuelingMLP) for m in plain.modules())
        torch.testing.assert_close(plain(x[k]), y[k])


def test_transposed_observations_are_accepted():
    network, x = make("mlp"), inputs(R, 5, 4, 3).transpose(1, 2)
    torch.testing.assert_close(network(x), network(x.contiguous()))


def test_plain_modules_are_the_usual_ones():
    plain = run_module(make("mlp"), 1)
    assert [type(layer) for layer in plain] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert [type(layer) for layer in run_module(make("relu"), 0)][1] is nn.ReLU
    assert plain[0].weight.shape == (16, 3) and plain[0].weight.is_contiguous()
    assert all(parameter.requires_grad for parameter in plain.parameters())


def test_conversion_copies_and_keeps_dtype_and_leaves_the_global_seed_alone():
    network = make("dueling").double()
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    plain = run_module(network, 2)
    for parameter in plain.parameters():
        assert parameter.dtype == torch.float64
        parameter.data.zero_()
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


# --- initialisation


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_depend_on_seed_and_run_only(name):
    ten = NETWORKS[name](run_generators(0, 10))
    some = NETWORKS[name](run_generators(0, run_ids=[3, 7]))
    other = NETWORKS[name](run_generators(1, run_ids=[3, 7]))
    for all_runs, two_runs, another in zip(
        ten.parameters(), some.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(all_runs[[3, 7]], two_runs)
        assert (two_runs == 0).all() or not torch.equal(two_runs[0], two_runs[1])
        assert (two_runs == 0).all() or not torch.equal(two_runs, another)


def assert_orthogonal(weight: torch.Tensor, gain: float) -> None:
    """The shorter side's vectors have length `gain` and are at right angles, in every run."""
    wide = weight if weight.shape[1] <= weight.shape[2] else weight.mT
    identity = torch.eye(wide.shape[1]).expand(len(weight), -1, -1)
    torch.testing.assert_close(wide @ wide.mT, gain**2 * identity, rtol=0, atol=1e-5)


@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_initialisation_is_orthogonal(gain):
    layers = MLP((3, 16, 8, 2), run_generators(0, R), gain=gain).layers
    for layer, wanted in zip(layers[::2], [math.sqrt(2), math.sqrt(2), gain], strict=True):
        assert_orthogonal(layer.weight, wanted)
        assert (layer.bias == 0).all()


def test_initialisation_of_dueling_is_orthogonal():
    network = DuelingMLP(SIZES, run_generators(0, R))
    for layer in network.trunk[::2]:
        assert_orthogonal(layer.weight, math.sqrt(2))
    assert_orthogonal(network.value.weight, 1.0)
    assert_orthogonal(network.advantage.weight, 1.0)


def test_initialisation_leaves_the_global_seed_alone():
    state = torch.get_rng_state()
    MLP(SIZES, run_generators(0, 2))
    assert torch.equal(torch.get_rng_state(), state)


# --- gradients


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_the_sum_are_those_of_each_run_alone(name):
    network, x, target = make(name).double(), inputs(R, 6, 3).double(), inputs(R, 6, 2).double()
    ((network(x) - target) ** 2).mean((1, 2)).sum().backward()
    for k in range(R):
        plain = run_module(network, k)
        ((plain(x[k]) - target[k]) ** 2).mean().backward()
        for ours, own in zip(run_gradients(network, k), plain.parameters(), strict=True):
            torch.testing.assert_close(ours.T.reshape(own.shape), own.grad)  # (in, out), (out, in)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_run_cannot_reach_another(name):
    network, x = make(name), inputs(R, 6, 3)
    clean = network(x)
    clean.square().sum().backward()
    clean_gradients = [run_gradients(network, k) for k in range(R)]
    network.zero_grad()
    for parameter in network.parameters():
        parameter.data[1] = NAN
    x[1] = NAN
    spoilt = network(x)
    spoilt.square().sum().backward()
    assert spoilt[1].isnan().all()
    for k in (0, 2, 3):
        assert torch.equal(spoilt[k], clean[k])
        for one, other in zip(run_gradients(network, k), clean_gradients[k], strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("name", NETWORKS)
def test_runs_alone_learn_what_they_learn_together(name):
    """Ten steps of SGD with clipping: run 3 alone, and among others with other data."""
    together, alone = make(name), make(name, run_ids=[3])
    for step in range(10):
        x, target = inputs(R, 6, 3, seed=step), 10 * inputs(R, 6, 2, seed=100 + step)
        for network, rows in ((together, slice(None)), (alone, slice(3, 4))):
            network.zero_grad()
            ((network(x[rows]) - target[rows]) ** 2).mean((1, 2)).sum().backward()
            clip_gradients_per_run(network.parameters(), 0.5)
            for parameter in network.parameters():
                parameter.data -= 0.1 * parameter.grad
    for one, other in zip(together.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one[3], other[0], rtol=0, atol=1e-6)


def test_second_derivatives():
    network = MLP((2, 3, 2), run_generators(0, 2)).double()
    x = inputs(2, 3, 2).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: network(x).square(), x)


@pytest.mark.parametrize("fused", [False, True])
def test_adam(fused):
    network, x = make("mlp"), inputs(R, 6, 3)
    plain = [run_module(network, k) for k in range(R)]
    optimizers = [torch.optim.Adam(m.parameters(), 0.01) for m in plain]
    optimizer = torch.optim.Adam(network.parameters(), 0.01, fused=fused)
    for _ in range(3):
        optimizer.zero_grad()
        network(x).square().mean((1, 2)).sum().backward()
        optimizer.step()
        for k in range(R):
            optimizers[k].zero_grad()
            plain[k](x[k]).square().mean().backward()
            optimizers[k].step()
    for k in range(R):
        torch.testing.assert_close(network(x)[k], plain[k](x[k]), rtol=0, atol=1e-5)


def clipped_by_torch(network: nn.Module, k: int, max_norm: float):
    """The norm and the clipped gradients of run k by PyTorch's own function."""
    alone = [nn.Parameter(torch.zeros_like(p[k])) for p in network.parameters()]
    for parameter, gradient in zip(alone, run_gradients(network, k), strict=True):
        parameter.grad = gradient.clone()
    return nn.utils.clip_grad_norm_(alone, max_norm), [p.grad for p in alone]


def with_gradients() -> nn.Module:
    """Run k has gradients 10^k times as large as run 0's."""
    network, x = make("dueling"), inputs(R, 6, 3)
    (network(x).square().mean((1, 2)) * 10.0 ** torch.arange(R)).sum().backward()
    return network


def test_clipping_is_torchs_own_for_each_run():
    network = with_gradients()
    norms = gradient_norms(network.parameters())
    max_norm = norms.median().item() * 1.01  # some runs are clipped, some are not
    wanted = [clipped_by_torch(network, k, max_norm) for k in range(R)]
    returned = clip_gradients_per_run(network.parameters(), max_norm)
    assert returned.shape == (R,) and not returned.requires_grad
    torch.testing.assert_close(returned, norms)
    torch.testing.assert_close(returned, torch.stack([norm for norm, _ in wanted]))
    for k, (_, gradients) in enumerate(wanted):
        torch.testing.assert_close(run_gradients(network, k), gradients)
    after = gradient_norms(network.parameters())
    assert (after <= max_norm * (1 + 1e-6)).all() and 0 < (returned > max_norm).sum() < R


def test_clipping_by_hand():
    parameters = [nn.Parameter(torch.zeros(3, 2, 1)), nn.Parameter(torch.zeros(3, 1, 1))]
    parameters[0].grad = torch.tensor([[[2.0], [1.0]], [[20.0], [10.0]], [[0.0], [0.0]]])
    parameters[1].grad = torch.tensor([[[2.0]], [[20.0]], [[0.0]]])
    unused = nn.Parameter(torch.zeros(3, 7))
    norms = clip_gradients_per_run([*parameters, unused], 15.0)
    assert norms.tolist() == [3.0, 30.0, 0.0]
    assert parameters[0].grad[0].tolist() == [[2.0], [1.0]]
    torch.testing.assert_close(parameters[0].grad[1], torch.tensor([[10.0], [5.0]]))
    torch.testing.assert_close(parameters[1].grad[:, 0, 0], torch.tensor([2.0, 10.0, 0.0]))


def test_a_nan_gradient_stays_in_its_run():
    network, same = with_gradients(), with_gradients()
    next(network.parameters()).grad[1, 0, 0] = NAN
    norms = clip_gradients_per_run(network.parameters(), 0.5)
    clip_gradients_per_run(same.parameters(), 0.5)
    assert norms.isnan().tolist() == [False, True, False, False]
    for k in (0, 2, 3):
        for one, other in zip(run_gradients(network, k), run_gradients(same, k), strict=True):
            assert torch.equal(one, other)


# --- target networks


class WithBuffer(nn.Module):
    def __init__(self, value: float, count: int):
        super().__init__()
        self.weight = nn.Parameter(torch.full((2, 1, 1), value))
        self.register_buffer("count", torch.tensor([count, count]))


def test_polyak_by_hand():
    target, online = WithBuffer(1.0, 3), WithBuffer(5.0, 8)
    weight = target.weight
    polyak_update(target, online, 0.25)
    assert target.weight.flatten().tolist() == [2.0, 2.0] and target.weight is weight
    assert target.count.tolist() == [8, 8]
    assert online.weight.flatten().tolist() == [5.0, 5.0]
    assert target.weight.requires_grad and target.weight.grad_fn is None


@pytest.mark.parametrize("name", NETWORKS)
def test_polyak_with_tau_one_is_a_copy_bit_for_bit(name):
    target, online, x = make(name), make(name, run_ids=range(10, 10 + R)), inputs(R, 6, 3)
    for parameter in target.parameters():
        parameter.data[0], parameter.data[1] = NAN, math.inf
    polyak_update(target, online, 1.0)
    assert torch.equal(target(x), online(x))
    before = copy.deepcopy(target.state_dict())
    polyak_update(target, make(name), 0.0)
    torch.testing.assert_close(target.state_dict(), before, rtol=0, atol=0)


def test_polyak_shares_nothing():
    target, online = make("mlp"), make("mlp")
    polyak_update(target, online, 1.0)
    next(online.parameters()).data += 1.0
    assert not torch.equal(next(target.parameters()), next(online.parameters()))


# --- bad input


@pytest.mark.parametrize("shape", [(R, 3), (3,), (R + 1, 5, 3), (1, 5, 3), (R, 5, 4), (5, R, 3)])
def test_wrong_inputs_are_refused(shape):
    got = r"\(" + ", ".join(map(str, shape)) + r",?\)"
    for name in NETWORKS:
        with pytest.raises(ValueError, match=rf"x must have shape \(4, B, 3\).*got {got}"):
            make(name)(torch.zeros(shape))


def test_bad_networks_are_refused():
    streams = run_generators(0, 2)
    for kind in (MLP, DuelingMLP):
        with pytest.raises(ValueError, match=r"sizes must be \(in, hidden, ..., out\), got \(3,\)"):
            kind((3,), streams)
        with pytest.raises(ValueError, match=r"activation must be .*tanh.*, got 'gelu'"):
            kind(SIZES, streams, activation="gelu")
        with pytest.raises(ValueError, match="sizes must be at least 1, got in 3, out 0"):
            kind((3, 0, 2), streams)
        with pytest.raises(ValueError, match="generators must hold one .* a run, got none"):
            kind(SIZES, [])


def test_bad_runs_are_refused():
    for k in (-1, R):
        with pytest.raises(ValueError, match=rf"k must be in 0 .. 3, got {k}"):
            run_module(make("mlp"), k)
    with pytest.raises(ValueError, match=r"module must have a run axis.*got Conv2d"):
        run_module(nn.Conv2d(5, 5, 1), 0)


def test_bad_updates_are_refused():
    for tau in (-0.1, 1.1, NAN):
        with pytest.raises(ValueError, match=r"tau must be in \[0, 1\]"):
            polyak_update(make("mlp"), make("mlp"), tau)
    with pytest.raises(ValueError, match=r"target must have online's shapes .*got"):
        polyak_update(make("mlp"), make("linear"), 0.5)
    with pytest.raises(ValueError, match=r"target must have online's shapes .*got"):
        polyak_update(make("mlp", run_ids=[0]), make("mlp"), 1.0)


def test_bad_clipping_is_refused():
    network = make("mlp")
    with pytest.raises(ValueError, match=r"parameters must have gradients .*got \[\]"):
        gradient_norms(network.parameters())
    for max_norm in (0.0, -1.0, NAN):
        with pytest.raises(ValueError, match="max_norm must be positive"):
            clip_gradients_per_run(with_gradients().parameters(), max_norm)
    one, two = nn.Parameter(torch.zeros(2, 1)), nn.Parameter(torch.zeros(3, 1))
    one.grad, two.grad = torch.ones(2, 1), torch.ones(3, 1)
    with pytest.raises(ValueError, match=r"with one R; got \[\(2, 1\), \(3, 1\)\]"):
        gradient_norms([one, two])
