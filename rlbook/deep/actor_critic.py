"""Advantage actor-critic (A2C), synchronous, for R runs at once. Chapter 14.

Mnih et al. 2016, "Asynchronous methods for deep reinforcement learning", Algorithm S3, with
parallel environments in place of threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import torch

from rlbook.deep.parts.config import TrainingConfig
from rlbook.deep.parts.critics import (
    ScaledCritic,
    make_networks,
    policy_and_critic,
    returns_and_advantages,
)
from rlbook.deep.parts.envs.make import Env
from rlbook.deep.parts.keeping import Keep
from rlbook.deep.parts.policies import Policy
from rlbook.deep.parts.results import Result
from rlbook.deep.parts.rollouts import Rollout
from rlbook.deep.parts.training import Training
from rlbook.formulas.policy_gradients import policy_gradient_loss
from rlbook.ground.masking import mean_per_run, standardise_per_run


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """The settings; the defaults are for CartPole-v1."""

    total_steps: int = 200_000
    """Environment steps of each run."""
    num_envs: int = 8
    """E, parallel environments of each run."""
    discount: float = 0.995
    """gamma."""
    hidden_sizes: tuple[int, ...] = (32, 32)
    """Of each network."""
    rollout_steps: int = 16
    """T, steps of each environment between two updates."""
    lambda_: float = 0.98
    """Of the lambda-returns that are the critic's targets."""
    learning_rate: float = 3e-3
    """Of Adam, for the actor, at first."""
    value_learning_rate: float = 3e-3
    """Of Adam, for the critic, at first."""
    anneal_learning_rate: bool = True
    """Both step sizes fall in a straight line to 0 at total_steps."""
    entropy_coef: float = 0.0
    """Weight of the policy's entropy, which is to be large."""
    normalize_advantages: bool = True
    """Bring the advantages of an update to mean 0 and standard deviation 1, in each run."""
    max_gradient_norm: float = 0.5
    """Of each run's policy gradient."""
    normalize_observations: bool = True
    """To mean 0 and variance 1, by each run's own statistics so far."""
    normalize_values: bool = True
    """The critic predicts returns in units of their standard deviation so far."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive_integers("total_steps", "rollout_steps")
        self.require_one_update("total_steps", "num_envs", "rollout_steps")
        self.require_within(0, 1, "lambda_")
        self.require_within(0, float("inf"), "entropy_coef")
        self.require_positive("value_learning_rate", "max_gradient_norm")


def actor_loss(
    policy: Policy, rollout: Rollout, advantages: torch.Tensor, entropy_coef: float
) -> torch.Tensor:
    """The mean of - A_t log pi(a_t|s_t) - entropy_coef H(pi(.|s_t)), (R,). Eq. (14.13)."""
    log_probs, entropies = policy.log_prob_and_entropy(rollout.observations, rollout.actions)
    losses = policy_gradient_loss(log_probs, advantages) - entropy_coef * entropies
    return mean_per_run(losses, rollout.valid)


def critic_loss(critic: ScaledCritic, rollout: Rollout, returns: torch.Tensor) -> torch.Tensor:
    """The mean of (V(s_t) - target_t)^2 / 2, in units of the returns' variance, (R,). Eq. (14.14).

    Args:
        returns: (R, E, T), the targets: numbers.
    """
    returns = returns.detach().flatten(1)
    errors = critic.squared_error(rollout.observations.flatten(1, 2), returns)
    return mean_per_run(0.5 * errors, rollout.valid.flatten(1))


def train(
    env: Env,
    config: Config | None = None,
    *,
    num_runs: int = 10,
    run_ids: Sequence[int] | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    progress: bool = True,
    resume: Result | str | PathLike | None = None,
    keep: Keep | None = None,
) -> Result:
    """Train R runs; see `rlbook.deep.parts.training.Training` for the arguments.

    Logged for each update, a number for each run:
        squared_advantage: the mean over the update's steps of (lambda-return - V(s))^2, before
            advantages are normalized, in squared units of the reward. What the critic leaves
            unexplained: it should fall well below the variance of the returns, and may rise
            for a while when the policy has just learned to earn more.
    """
    config = config or Config()
    with Training(
        env,
        config,
        make_networks,
        num_runs=num_runs,
        run_ids=run_ids,
        device=device,
        seed=seed,
        progress=progress,
        resume=resume,
        keep=keep,
    ) as run:
        policy, critic = policy_and_critic(run.networks)
        actor_optimizer = run.optimizer("actor", policy)
        critic_optimizer = run.optimizer("critic", critic, learning_rate=config.value_learning_rate)
        for _ in run.updates(config.total_steps // (config.num_envs * config.rollout_steps)):
            if config.anneal_learning_rate:
                run.anneal(actor_optimizer, config.learning_rate)
                run.anneal(critic_optimizer, config.value_learning_rate)
            rollout = run.collect(config.rollout_steps)
            returns, advantages = returns_and_advantages(critic, rollout, config)  # (R, E, T)
            weights = advantages
            if config.normalize_advantages:
                weights = standardise_per_run(advantages, rollout.valid)

            loss = actor_loss(policy, rollout, weights, config.entropy_coef)
            run.gradient_step(actor_optimizer, loss, max_gradient_norm=config.max_gradient_norm)
            if config.normalize_values:
                critic.rescale(returns.flatten(1), rollout.valid.flatten(1))
            run.gradient_step(critic_optimizer, critic_loss(critic, rollout, returns))

            if config.normalize_observations:
                policy.normalizer.update(rollout.observations, rollout.valid)
            run.log(squared_advantage=mean_per_run(advantages.square(), rollout.valid))
    return run.result()
