"""Advantage actor-critic (A2C), synchronous, for R runs at once. Chapter 14.

Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning", Algorithm S3, with
parallel environments in place of threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rlbook.config import TrainingConfig
from rlbook.masking import masked_mean, mean_per_run
from rlbook.networks import MLP
from rlbook.policies import make_policy
from rlbook.policy_gradients import policy_gradient_loss
from rlbook.results import Result
from rlbook.returns import lambda_returns
from rlbook.rollouts import Rollout
from rlbook.training import Training


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """The settings; the defaults are for CartPole-v1."""

    total_steps: int = 100_000
    """Environment steps of each run."""
    rollout_steps: int = 16
    """T, steps of each environment between two updates."""
    lambda_: float = 0.95
    """Of the lambda-returns that are the critic's targets."""
    learning_rate: float = 3e-3
    """Of Adam, for both networks; falls to 0 over the training."""
    value_coef: float = 0.5
    """Weight of the critic's loss."""
    entropy_coef: float = 0.0
    """Weight of the policy's entropy, which is to be large."""
    normalize_advantages: bool = True
    """Bring the advantages of an update to mean 0 and standard deviation 1, in each run."""
    max_gradient_norm: float = 0.5
    """Of each run's gradient."""

    def __post_init__(self):
        super().__post_init__()
        self.require_positive_integers("total_steps", "rollout_steps")
        self.require_within(0, 1, "lambda_")
        self.require_within(0, float("inf"), "value_coef", "entropy_coef")
        if not self.max_gradient_norm > 0:
            raise ValueError(f"max_gradient_norm must be positive, got {self.max_gradient_norm}")


def make_networks(envs, config: Config, generators: Sequence[torch.Generator]) -> dict:
    """The actor pi and the critic V, which share nothing."""
    sizes = (envs.observation_size, *config.hidden_sizes, 1)
    return {
        "policy": make_policy(envs, config.hidden_sizes, generators),
        "value": MLP(sizes, generators).to(envs.device),
    }


@torch.no_grad()
def targets(value, rollout: Rollout, config: Config) -> tuple[torch.Tensor, torch.Tensor]:
    """The critic's targets, and the advantages, target - V(s_t); both (R, E, T)."""
    values = value(rollout.observations).squeeze(-1)
    next_values = value(rollout.next_observations).squeeze(-1)
    ends = rollout.terminated, rollout.truncated
    returns = lambda_returns(
        rollout.rewards, next_values, *ends, discount=config.discount, lambda_=config.lambda_
    )
    return returns, returns - values


def standardised(x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """(x - mean) / standard deviation, of each run by itself: (R, ...) -> (R, ...)."""
    dims = tuple(range(1, x.ndim))
    shape = (-1, *[1] * len(dims))
    centred = x - masked_mean(x, valid, dims).view(shape)
    return centred / (masked_mean(centred.square(), valid, dims).sqrt().view(shape) + 1e-8)


def loss(policy, value, rollout: Rollout, returns, advantages, config: Config) -> torch.Tensor:
    """Of actor, critic and entropy together: (R,). Eq. (14.9)."""
    log_probs, entropies = policy.log_prob_and_entropy(rollout.observations, rollout.actions)
    errors = value(rollout.observations).squeeze(-1) - returns
    actor = policy_gradient_loss(log_probs, advantages)
    critic = 0.5 * errors.square()
    total = actor + config.value_coef * critic - config.entropy_coef * entropies
    return mean_per_run(total, rollout.valid)


def train(
    env,
    config: Config | None = None,
    *,
    num_runs: int = 10,
    run_ids: Sequence[int] | None = None,
    device=None,
    seed: int = 0,
    progress: bool = True,
    resume: Result | None = None,
) -> Result:
    """Train R runs; see `rlbook.training.Training` for the arguments."""
    config = config or Config()
    options = {"num_runs": num_runs, "run_ids": run_ids, "device": device, "seed": seed}
    with Training(env, config, make_networks, **options, progress=progress, resume=resume) as run:
        policy, value = run.networks["policy"], run.networks["value"]
        optimizer = run.optimizer("actor_critic", policy, value)
        for _ in run.updates(config.total_steps // (config.num_envs * config.rollout_steps)):
            rollout = run.collect(config.rollout_steps)
            returns, advantages = targets(value, rollout, config)
            if config.normalize_advantages:
                advantages = standardised(advantages, rollout.valid)
            run.anneal(optimizer, config.learning_rate)
            losses = loss(policy, value, rollout, returns, advantages, config)
            run.step(optimizer, losses, max_gradient_norm=config.max_gradient_norm)
            run.log(value_error=mean_per_run((returns - advantages).detach(), rollout.valid))
    return run.result()
