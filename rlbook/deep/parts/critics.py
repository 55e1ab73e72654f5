"""What A2C, TRPO and PPO have in common: a policy and a critic, and the critic's advantages."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn

from rlbook.deep.parts.envs.interface import Sizes
from rlbook.deep.parts.networks import MLP
from rlbook.deep.parts.normalization import RunningNormalizer
from rlbook.deep.parts.policies import Policy, make_policy, policy_of
from rlbook.deep.parts.rollouts import Rollout
from rlbook.formulas.returns import lambda_returns


class ActorCriticConfig(Protocol):
    """What is read here of the settings of an agent."""

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """Of each network."""

    @property
    def normalize_observations(self) -> bool: ...

    @property
    def discount(self) -> float: ...

    @property
    def lambda_(self) -> float: ...


class ScaledCritic(nn.Module):
    """V(s) = mean + std network(s): the network's output stays near 1 whatever the rewards are.

    Args:
        network: (R, ..., observation) -> (R, ..., 1).

    Attributes:
        returns: mean and variance of the returns that `rescale` was given so far; 0 and 1 at
            first, and for good if it is never called.
    """

    def __init__(self, network: nn.Module, num_runs: int):
        super().__init__()
        self.network, self.returns = network, RunningNormalizer(num_runs, 1)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """(R, ..., observation) -> (R, ...)."""
        output = self.network(observations).squeeze(-1)
        shape = (-1, *[1] * (output.ndim - 1))
        return self.returns.mean.to(output).view(shape) + self._std(output).view(shape) * output

    def squared_error(self, observations: torch.Tensor, returns: torch.Tensor) -> torch.Tensor:
        """(V(s) - return)^2 in units of the variance of the returns, (R, B)."""
        return ((self(observations) - returns) / self._std(returns)) ** 2

    def rescale(self, returns: torch.Tensor, valid: torch.Tensor) -> None:
        """Take in returns (R, B)."""
        self.returns.update(returns.unsqueeze(-1), valid)

    def _std(self, like: torch.Tensor) -> torch.Tensor:
        return (self.returns.var + 1e-8).sqrt().to(like)  # (R, 1)


def make_networks(
    envs: Sizes, config: ActorCriticConfig, generators: Sequence[torch.Generator]
) -> dict[str, nn.Module]:
    """The policy pi and the critic V; they share the statistics of the observations, no weights.

    Args:
        generators: one torch.Generator a run.
    """
    policy = make_policy(envs, config.hidden_sizes, generators)
    network: nn.Module = MLP((envs.observation_size, *config.hidden_sizes, 1), generators)
    if config.normalize_observations:
        normalizer = RunningNormalizer(envs.num_runs, envs.observation_size)
        policy.network = nn.Sequential(normalizer, policy.network)
        network = nn.Sequential(normalizer, network)
    return {"policy": policy, "critic": ScaledCritic(network, envs.num_runs)}


def policy_and_critic(networks: nn.ModuleDict) -> tuple[Policy, ScaledCritic]:
    """The two that `make_networks` made."""
    critic = networks["critic"]
    if not isinstance(critic, ScaledCritic):
        raise ValueError(f"the critic must be a ScaledCritic, got {critic!r}")
    return policy_of(networks), critic


@torch.no_grad()
def returns_and_advantages(
    critic: nn.Module, rollout: Rollout, config: ActorCriticConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """The lambda-returns G_t, and the advantages G_t - V(s_t): (R, E, T) each. Eq. (14.12).

    No gradient passes: for all losses they are numbers.

    Args:
        critic: V, (R, E, T, obs) -> (R, E, T).
    """
    values, next_values = critic(rollout.observations), critic(rollout.next_observations)
    returns = lambda_returns(
        rollout.rewards,
        next_values,
        rollout.terminated,
        rollout.truncated,
        discount=config.discount,
        lambda_=config.lambda_,
    )
    return returns, returns - values
