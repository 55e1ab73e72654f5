"""Networks of R independent runs at once: every parameter begins with the run axis.

A layer of R runs holds R weight matrices, (R, in, out), and run k's observations meet run k's
matrix only: one batched matrix product. Nothing here adds, averages or compares across runs, so
the gradient of a sum of R losses gives each run the gradient that it would have alone.
`run_module(network, k)` is run k as an ordinary torch.nn module.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from rlbook.ground import require

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class Linear(nn.Module):
    """y = x W + b for each of R runs, with that run's own W and b.

    W is orthogonal times `gain`, drawn from the run's own generator; b begins at 0.

    Args:
        in_size, out_size: the sizes of x and y, at least 1.
        generators: one torch.Generator a run; their device is the layer's, until it is moved.
            Generators on the CPU give the same weights wherever the layer is moved afterwards.

    Attributes:
        weight: (R, in, out). Its transpose, run by run, is what nn.Linear calls weight.
        bias: (R, 1, out).

    Source: Saxe, McClelland and Ganguli 2014, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks" (orthogonal initialisation).
    """

    def __init__(
        self,
        in_size: int,
        out_size: int,
        generators: Sequence[torch.Generator],
        gain: float = 1.0,
    ):
        super().__init__()
        if in_size < 1 or out_size < 1:
            raise ValueError(f"sizes must be at least 1, got in {in_size}, out {out_size}")
        if len(generators) == 0:
            raise ValueError("generators must hold one torch.Generator a run, got none")
        device = generators[0].device
        weight = torch.empty(len(generators), in_size, out_size, device=device)
        for matrix, generator in zip(weight, generators, strict=True):
            nn.init.orthogonal_(matrix, gain, generator=generator)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(len(generators), 1, out_size, device=device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(R, ..., in) -> (R, ..., out), with at least one axis in the middle."""
        runs, in_size, out_size = self.weight.shape
        if x.ndim < 3 or x.shape[0] != runs or x.shape[-1] != in_size:
            wanted = f"({runs}, B, {in_size}), or more axes in the place of B"
            raise ValueError(f"x must have shape {wanted}, got {tuple(x.shape)}")
        if x.ndim == 3:
            return torch.baddbmm(self.bias, x, self.weight)
        y = torch.baddbmm(self.bias, x.flatten(1, -2), self.weight)  # (R, E * T, out)
        return y.view(*x.shape[:-1], out_size)

    def extra_repr(self) -> str:
        return "runs={}, in={}, out={}".format(*self.weight.shape)

    def run(self, k: int) -> nn.Linear:
        plain = nn.utils.skip_init(nn.Linear, *self.weight.shape[1:])  # leaves torch's seed alone
        own = torch.contiguous_format  # copies, laid out as nn.Linear's
        plain.weight = nn.Parameter(self.weight[k].detach().T.clone(memory_format=own))
        plain.bias = nn.Parameter(self.bias[k, 0].detach().clone(memory_format=own))
        return plain


class MLP(nn.Module):
    """Linear layers with an activation between each two of them.

    Args:
        sizes: (in, hidden, ..., out). Two sizes give a linear function of the input.
        generators: one torch.Generator a run.
        activation: "tanh" or "relu".
        gain: scales the last layer's weights; the hidden ones have gain sqrt(2).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        generators: Sequence[torch.Generator],
        *,
        activation: str = "tanh",
        gain: float = 1.0,
    ):
        super().__init__()
        hidden = _hidden_layers(sizes, generators, activation)
        self.layers = nn.Sequential(*hidden, Linear(sizes[-2], sizes[-1], generators, gain=gain))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(R, ..., in) -> (R, ..., out)."""
        return self.layers(x)

    def run(self, k: int) -> nn.Module:
        return run_module(self.layers, k)


class DuelingMLP(nn.Module):
    """Q(s, a) = V(s) + A(s, a) - mean over a' of A(s, a'). Eq. (13.18).

    V and A are two linear heads on the same hidden layers. Without the mean, V and A would be
    known only up to a constant.

    Args:
        sizes: (observation, hidden, ..., actions).

    Source: Wang et al. 2016, "Dueling network architectures for deep RL", Eq. 9.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        generators: Sequence[torch.Generator],
        *,
        activation: str = "relu",
    ):
        super().__init__()
        self.trunk = nn.Sequential(*_hidden_layers(sizes, generators, activation))
        self.value = Linear(sizes[-2], 1, generators)
        self.advantage = Linear(sizes[-2], sizes[-1], generators)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(R, ..., observation) -> (R, ..., actions)."""
        return _dueling(self, x)

    def run(self, k: int) -> nn.Module:
        return DuelingNetwork(*(run_module(part, k) for part in self.children()))


class DuelingNetwork(nn.Module):
    """One run of a DuelingMLP: (..., observation) -> (..., actions)."""

    def __init__(self, trunk: nn.Module, value: nn.Module, advantage: nn.Module):
        super().__init__()
        self.trunk, self.value, self.advantage = trunk, value, advantage

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _dueling(self, x)


def _dueling(network: DuelingMLP | DuelingNetwork, x: torch.Tensor) -> torch.Tensor:
    hidden = network.trunk(x)
    advantage = network.advantage(hidden)
    return network.value(hidden) + advantage - advantage.mean(-1, keepdim=True)


def _hidden_layers(
    sizes: Sequence[int], generators: Sequence[torch.Generator], activation: str
) -> list[nn.Module]:
    if len(sizes) < 2:
        raise ValueError(f"sizes must be (in, hidden, ..., out), got {tuple(sizes)}")
    require.one_of("activation", activation, *ACTIVATIONS)
    layers: list[nn.Module] = []
    for in_size, out_size in zip(sizes[:-2], sizes[1:-1], strict=True):
        linear = Linear(in_size, out_size, generators, gain=math.sqrt(2))
        layers += [linear, ACTIVATIONS[activation]()]
    return layers


@runtime_checkable
class HasRuns(Protocol):
    """A module with a run axis."""

    def run(self, k: int) -> nn.Module:
        """Run k as an ordinary module."""


def run_module(module: nn.Module, k: int) -> nn.Module:
    """Run k as an ordinary torch.nn module: a copy, without the run axis.

    Its output for x[k] is the module's output for x, at [k].

    Args:
        module: a module of this package with a run axis, or an nn.Sequential of such.
        k: the position on the run axis, from 0 (not the run id, where they differ).
    """
    first = next(iter((*module.parameters(), *module.buffers())), None)
    if first is not None and not 0 <= k < len(first):
        raise ValueError(f"k must be in 0 .. {len(first) - 1}, got {k}")
    if isinstance(module, nn.Sequential):
        return nn.Sequential(*(run_module(part, k) for part in module))
    if isinstance(module, tuple(ACTIVATIONS.values())):
        return type(module)()
    if not isinstance(module, HasRuns):
        raise ValueError(f"module must have a run axis and a method run(k), got {module!r}")
    return module.run(k)


@torch.no_grad()
def polyak_update(target: nn.Module, online: nn.Module, tau: float) -> None:
    """target <- (1 - tau) target + tau online, in place; tau = 1 copies. Eq. (13.11).

    Buffers are copied.

    Source: Lillicrap et al. 2016, "Continuous control with deep reinforcement learning",
    Algorithm 1; Polyak and Juditsky 1992 (averaging of iterates).
    """
    require.within("tau", tau, 0, 1)
    pairs = [(*target.parameters(), *target.buffers()), (*online.parameters(), *online.buffers())]
    shapes = [[tuple(x.shape) for x in side] for side in pairs]
    if shapes[0] != shapes[1]:
        raise ValueError(f"target must have online's shapes {shapes[1]}, got {shapes[0]}")
    for old, new in zip(*pairs, strict=True):
        if tau == 1 or not isinstance(old, nn.Parameter):
            old.copy_(new)
        else:
            old.lerp_(new, tau)


def gradient_norms(parameters: Iterable[nn.Parameter]) -> torch.Tensor:
    """The norm of each run's whole gradient, over all its parameters: (R,)."""
    return _norms(_gradients(parameters))


@torch.no_grad()
def clip_gradients_per_run(parameters: Iterable[nn.Parameter], max_norm: float) -> torch.Tensor:
    """Scale each run's gradient, in place, to a norm of at most max_norm.

    What torch.nn.utils.clip_grad_norm_ does to one agent, for each run by itself.

    Returns:
        (R,): the norms before.

    Source: Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural
    networks", Algorithm 1.
    """
    require.positive("max_norm", max_norm)
    gradients = _gradients(parameters)
    norms = _norms(gradients)
    scale = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale.view(-1, *[1] * (gradient.ndim - 1)))
    return norms


def _gradients(parameters: Iterable[nn.Parameter]) -> list[torch.Tensor]:
    gradients = [p.grad for p in parameters if p.grad is not None]
    if len({len(gradient) for gradient in gradients}) != 1:
        shapes = [tuple(gradient.shape) for gradient in gradients]
        raise ValueError(f"parameters must have gradients (R, ...), with one R; got {shapes}")
    return gradients


def _norms(gradients: list[torch.Tensor]) -> torch.Tensor:
    whole = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)  # (R, P)
    return torch.linalg.vector_norm(whole, dim=1)
