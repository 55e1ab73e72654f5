"""Policies of R runs: a network, and what its output says about actions.

Both policies have the same methods, so that an agent need not know which one it trains. Noise
comes in from outside, `draw_noise(streams, *shape)`: run k's actions depend on run k's own
stream. `forward(observations)`, also called `parameters_of`, gives the parameters of the
distribution, and is the function that `run_module(policy, k)` computes for one run.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn
from torch.distributions import Categorical, Independent, Normal

from rlbook.deep.parts.envs.interface import Sizes
from rlbook.deep.parts.networks import MLP, Linear, run_module
from rlbook.deep.parts.normalization import RunningNormalizer, normalizer_of
from rlbook.formulas.divergences import kl_categorical, kl_gaussian
from rlbook.formulas.policy_gradients import entropy_bonus
from rlbook.ground.draws import inverse_cdf
from rlbook.ground.seeding import Streams

Parameters = Any
"""Logits, or (mean, log_std): for the policy that gave them to read, and for nobody else."""


class CategoricalPolicy(nn.Module):
    """pi(a|s) = softmax of the network's output; the actions are 0 .. A - 1.

    Args:
        network: (R, ..., observation) -> logits (R, ..., A).
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """(R, ..., observation) -> the logits, (R, ..., A)."""
        return self.network(observations)

    def parameters_of(self, observations: torch.Tensor) -> Parameters:
        """The same, for `kl` and `log_prob_and_entropy_of`."""
        return self.forward(observations)

    @property
    def normalizer(self) -> RunningNormalizer:
        """Of the observations; a ValueError without one."""
        return normalizer_of(self.network)

    @staticmethod
    def kl(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """KL(old || new) of what `parameters_of` gave, (R, ..., A) -> (R, ...). Eq. (16.1)."""
        return kl_categorical(old, new, checked=False)

    def distribution(self, observations: torch.Tensor) -> Categorical:
        return Categorical(logits=self.network(observations))

    def log_prob(self, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """log pi(a|s): (R, ..., observation), long (R, ...) -> (R, ...)."""
        _check("actions", actions, observations.shape[:-1], floating=False)
        return _taken(self.network(observations), actions)

    def entropy(self, observations: torch.Tensor) -> torch.Tensor:
        """- sum over a of pi(a|s) log pi(a|s): (R, ..., observation) -> (R, ...)."""
        return entropy_bonus(self.network(observations))

    def log_prob_and_entropy(
        self, observations: torch.Tensor, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both, for one pass through the network."""
        _check("actions", actions, observations.shape[:-1], floating=False)
        return self.log_prob_and_entropy_of(self.network(observations), actions)

    def log_prob_and_entropy_of(
        self, parameters: torch.Tensor, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both, of what `parameters_of` gave: for losses that need the parameters too."""
        return _taken(parameters, actions), entropy_bonus(parameters)

    def draw_noise(self, streams: Streams, *shape: int) -> torch.Tensor:
        """Uniform on [0, 1): (R, *shape)."""
        return streams.uniform(*shape)

    @torch.no_grad()
    def sample(self, observations: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """(R, ..., observation), noise (R, ...), uniform on [0, 1) -> actions (R, ...) long."""
        _check("noise", noise, observations.shape[:-1], floating=True)
        probabilities = self.network(observations).softmax(-1)  # (R, ..., A)
        return inverse_cdf(probabilities, noise)

    @torch.no_grad()
    def greedy(self, observations: torch.Tensor) -> torch.Tensor:
        """The most probable action, the first of equal ones: (R, ...) long."""
        return self.network(observations).argmax(-1)

    def run(self, k: int) -> nn.Module:
        return run_module(self.network, k)


class GaussianPolicy(nn.Module):
    """pi(a|s): independent normal distributions, a_i ~ N(mean_i(s), exp(log_std_i)^2).

    The mean is the network's output; log_std is one parameter per run and action dimension, the
    same in all states. Environments clip actions to their bounds; log-probabilities are those of
    the actions before clipping.

    Args:
        network: (R, ..., observation) -> mean (R, ..., A), by a networks.Linear at last.
        initial_log_std: where log_std begins.

    Attributes:
        log_std: (R, 1, A).
    """

    def __init__(self, network: nn.Module, *, initial_log_std: float = 0.0):
        super().__init__()
        self.network = network
        last = [layer for layer in network.modules() if isinstance(layer, Linear)][-1]
        self.log_std = nn.Parameter(torch.full_like(last.bias, initial_log_std))

    def forward(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """mean and log_std, both (R, ..., A); they keep their numbers when the policy moves on."""
        return self.network(observations), self._log_std_for(observations).clone()

    def parameters_of(self, observations: torch.Tensor) -> Parameters:
        """The same, for `kl` and `log_prob_and_entropy_of`."""
        return self.forward(observations)

    def _actions_shape(self, observations: torch.Tensor) -> tuple[int, ...]:
        shape = tuple(observations.shape)
        if len(shape) < 3 or shape[0] != len(self.log_std):
            wanted = f"({len(self.log_std)}, ..., observation)"
            raise ValueError(f"observations must have shape {wanted}, got {shape}")
        return (*shape[:-1], self.log_std.shape[-1])  # (R, ..., A)

    def _log_std_for(self, observations: torch.Tensor) -> torch.Tensor:
        shape = self._actions_shape(observations)  # (R, ..., A)
        return self.log_std.view(shape[0], *[1] * (len(shape) - 2), shape[-1]).expand(shape)

    @property
    def normalizer(self) -> RunningNormalizer:
        """Of the observations; a ValueError without one."""
        return normalizer_of(self.network)

    @staticmethod
    def kl(
        old: tuple[torch.Tensor, torch.Tensor], new: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """KL(old || new) of what `parameters_of` gave, (R, ..., A) -> (R, ...). Eq. (16.2)."""
        return kl_gaussian(*old, *new)

    def distribution(self, observations: torch.Tensor) -> Independent:
        mean, log_std = self(observations)
        return Independent(Normal(mean, log_std.exp()), 1)

    def log_prob(self, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """log pi(a|s): (R, ..., observation), (R, ..., A) -> (R, ...).

        The sum over i of - (a_i - mean_i)^2 / (2 std_i^2) - log_std_i - log(2 pi) / 2.
        """
        return self.log_prob_and_entropy(observations, actions)[0]

    def entropy(self, observations: torch.Tensor) -> torch.Tensor:
        """The sum over i of log_std_i + (1 + log(2 pi)) / 2: (R, ..., observation) -> (R, ...)."""
        return _normal_entropy(self._log_std_for(observations))

    def log_prob_and_entropy(
        self, observations: torch.Tensor, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both, for one pass through the network."""
        _check("actions", actions, self._actions_shape(observations), floating=True)
        return self.log_prob_and_entropy_of(self(observations), actions)

    def log_prob_and_entropy_of(
        self, parameters: tuple[torch.Tensor, torch.Tensor], actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both, of what `parameters_of` gave: for losses that need the parameters too."""
        mean, log_std = parameters
        standardised = (actions - mean) * (-log_std).exp()
        log_probs = -(0.5 * standardised.square() + log_std + 0.5 * math.log(2 * math.pi))
        return log_probs.sum(-1), _normal_entropy(log_std)

    def draw_noise(self, streams: Streams, *shape: int) -> torch.Tensor:
        """Standard normal: (R, *shape, A)."""
        return streams.normal(*shape, self.log_std.shape[-1])

    @torch.no_grad()
    def sample(self, observations: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """mean + std noise, not clipped: (R, ..., observation), (R, ..., A) -> (R, ..., A)."""
        _check("noise", noise, self._actions_shape(observations), floating=True)
        mean, log_std = self(observations)
        return mean + log_std.exp() * noise.to(mean.dtype)

    @torch.no_grad()
    def greedy(self, observations: torch.Tensor) -> torch.Tensor:
        """The mean, (R, ..., A)."""
        return self.network(observations)

    def run(self, k: int) -> nn.Module:
        return GaussianNetwork(run_module(self.network, k), self.log_std[k, 0])


class GaussianNetwork(nn.Module):
    """One run of a GaussianPolicy: (..., observation) -> mean and log_std, both (..., A)."""

    def __init__(self, mean: nn.Module, log_std: torch.Tensor):
        super().__init__()
        self.mean = mean
        self.log_std = nn.Parameter(log_std.detach().clone())

    def forward(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = self.mean(observations)
        return mean, self.log_std.expand_as(mean)


Policy = CategoricalPolicy | GaussianPolicy


def policy_of(networks: nn.ModuleDict) -> Policy:
    """networks["policy"], which `make_policy` made."""
    policy = networks["policy"]
    if not isinstance(policy, CategoricalPolicy | GaussianPolicy):
        raise ValueError(f"the policy must be one of make_policy, got {policy!r}")
    return policy


@runtime_checkable
class Acting(Protocol):
    """What acts in environments; DQN's is no distribution that has parameters."""

    def draw_noise(self, streams: Streams, *shape: int) -> torch.Tensor:
        """Random numbers for `sample`, (R, *shape, ...)."""

    def sample(self, observations: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """(R, ..., observation) -> actions (R, ...), or (R, ..., A)."""

    def greedy(self, observations: torch.Tensor) -> torch.Tensor:
        """(R, ..., observation) -> actions, without noise."""


def acting(networks: nn.ModuleDict) -> Acting:
    """networks["policy"], of any agent."""
    policy = networks["policy"]
    if not isinstance(policy, Acting):
        raise ValueError(f"the policy must have draw_noise, sample and greedy, got {policy!r}")
    return policy


def make_policy(
    envs: Sizes,
    hidden_sizes: Sequence[int],
    generators: Sequence[torch.Generator],
    *,
    activation: str = "tanh",
) -> CategoricalPolicy | GaussianPolicy:
    """The policy that fits the action space, on the device of the generators.

    The last layer has gain 0.01: at first, nearly uniform, or with mean nearly 0.

    Args:
        generators: one torch.Generator a run.
    """
    if len(generators) != envs.num_runs:
        raise ValueError(f"generators must be one a run, {envs.num_runs}, got {len(generators)}")
    outputs = envs.action_size if envs.num_actions is None else envs.num_actions
    if outputs is None:
        raise ValueError("envs must have num_actions or action_size, and has neither")
    sizes = (envs.observation_size, *hidden_sizes, outputs)
    network = MLP(sizes, generators, activation=activation, gain=0.01)
    return GaussianPolicy(network) if envs.num_actions is None else CategoricalPolicy(network)


def _taken(logits: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    return logits.log_softmax(-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def _normal_entropy(log_std: torch.Tensor) -> torch.Tensor:
    return (log_std + 0.5 * (1 + math.log(2 * math.pi))).sum(-1)


def _check(name: str, x: torch.Tensor, shape: tuple[int, ...], *, floating: bool) -> None:
    fits = x.is_floating_point() if floating else x.dtype == torch.long
    if x.shape != shape or not fits:
        wanted = f"{'floating point' if floating else 'long'} {tuple(shape)}"
        raise ValueError(f"{name} must be {wanted}, got {x.dtype} {tuple(x.shape)}")
