"""PPO: several epochs of gradient steps on one rollout, held near the old policy.

Schulman et al. 2017, "Proximal policy optimization algorithms". The two forms differ in one
line of the loss: "clip" takes away the reason to go far, "penalty" charges for the distance
KL(old || new). R runs at once, each with its own minibatches, coefficient and early stop.
Discrete and continuous actions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import NamedTuple

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
from rlbook.deep.parts.policies import Parameters, Policy
from rlbook.deep.parts.results import Result
from rlbook.deep.parts.rollouts import Rollout
from rlbook.deep.parts.training import Training
from rlbook.formulas.divergences import adapt_kl_coef
from rlbook.formulas.policy_gradients import clipped_surrogate_loss
from rlbook.ground import require
from rlbook.ground.masking import mean_per_run, standardise_per_run


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """Settings of PPO; those of every agent are in TrainingConfig."""

    total_steps: int = 100_000
    """Environment steps of each run."""
    surrogate: str = "clip"
    """"clip" or "penalty"."""
    clip_epsilon: float = 0.2
    """Of "clip": how far a ratio may go with profit; inf never clips."""
    kl_target: float = 0.01
    """Of "penalty": the mean KL(old || new) wanted of an update."""
    kl_coef: float = 1.0
    """Of "penalty": the price of a unit of KL at the beginning; it adapts, run by run."""
    stop_kl: float | None = None
    """A run whose minibatch shows a mean KL(old || new) above this rests until the next rollout."""
    num_envs: int = 8
    """E, parallel environments of each run."""
    rollout_steps: int = 128
    """T, steps in each environment between two updates."""
    num_epochs: int = 10
    """Passes over a rollout."""
    num_minibatches: int = 4
    """Gradient steps in a pass."""
    learning_rate: float = 1e-3
    """Of Adam, at first."""
    anneal_learning_rate: bool = True
    """The learning rate falls in a straight line to 0 at total_steps."""
    lambda_: float = 0.95
    """Of the lambda-returns; advantages are lambda-returns minus values."""
    entropy_coef: float = 0.0
    """The entropy's weight, in the loss with a minus sign."""
    value_coef: float = 0.5
    """The weight of the critic's squared error."""
    max_gradient_norm: float = 0.5
    """Longer gradients are shortened, each run's by itself."""
    normalize_advantages: bool = True
    """To mean 0 and variance 1, by each run's own rollout."""
    normalize_observations: bool = True
    """To mean 0 and variance 1, by each run's own statistics so far."""
    normalize_values: bool = True
    """The critic predicts returns in units of their standard deviation so far."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive_integers("total_steps", "rollout_steps")
        self.require_one_update("total_steps", "num_envs", "rollout_steps")
        self.require_positive_integers("num_epochs", "num_minibatches")
        self.require_within(0, 1, "lambda_")
        self.require_within(0, float("inf"), "entropy_coef", "value_coef", "kl_coef")
        require.one_of("surrogate", self.surrogate, "clip", "penalty")
        self.require_positive("clip_epsilon", "kl_target", "max_gradient_norm")
        if self.stop_kl is not None:
            self.require_positive("stop_kl")
        if self.num_minibatches > self.num_envs * self.rollout_steps:
            steps = self.num_envs * self.rollout_steps
            raise ValueError(f"num_minibatches must be at most {steps}, the steps of a rollout")


class RolloutBatch(NamedTuple):
    """What an update needs of a rollout, (R, N, ...) with N = E T; no gradients in it."""

    observations: torch.Tensor
    actions: torch.Tensor
    valid: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor
    log_probs: torch.Tensor
    """log pi_old(a|s)."""
    parameters: Parameters
    """Of pi_old(.|s), by `policy.parameters_of`: logits, or (mean, log_std)."""

    def take(self, rows: torch.Tensor) -> "RolloutBatch":
        """Rows (R, B) of each run."""
        some = torch.arange(len(rows), device=rows.device).unsqueeze(1), rows
        old = self.parameters
        return RolloutBatch(
            observations=self.observations[some],
            actions=self.actions[some],
            valid=self.valid[some],
            advantages=self.advantages[some],
            returns=self.returns[some],
            log_probs=self.log_probs[some],
            parameters=tuple(x[some] for x in old) if isinstance(old, tuple) else old[some],
        )


@torch.no_grad()
def make_batch(
    policy: Policy, critic: ScaledCritic, rollout: Rollout, config: Config
) -> RolloutBatch:
    """Advantages, returns and the old policy, once for all epochs."""
    returns, advantages = returns_and_advantages(critic, rollout, config)  # (R, E, T)
    if config.normalize_advantages:
        advantages = standardise_per_run(advantages, rollout.valid)
    observations, actions = rollout.observations.flatten(1, 2), rollout.actions.flatten(1, 2)
    return RolloutBatch(
        observations=observations,
        actions=actions,
        valid=rollout.valid.flatten(1),  # (R, N)
        advantages=advantages.flatten(1),
        returns=returns.flatten(1),
        log_probs=policy.log_prob(observations, actions),
        parameters=policy.parameters_of(observations),
    )


def ppo_loss(
    policy: Policy,
    critic: ScaledCritic,
    batch: RolloutBatch,
    kl_coef: torch.Tensor,
    config: Config,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Surrogate + value_coef error^2 - entropy_coef H, and the mean KL: both (R,). Eq. (16.21)."""
    parameters = policy.parameters_of(batch.observations)
    log_probs, entropy = policy.log_prob_and_entropy_of(parameters, batch.actions)
    kl = policy.kl(batch.parameters, parameters)  # KL(old || new)
    clip_epsilon = config.clip_epsilon if config.surrogate == "clip" else torch.inf
    loss = clipped_surrogate_loss(  # -ratio A, clipped or not
        log_probs, batch.log_probs, batch.advantages, clip_epsilon=clip_epsilon
    )
    if config.surrogate == "penalty":
        loss = loss + kl_coef.unsqueeze(1) * kl
    error = critic.squared_error(batch.observations, batch.returns)
    loss = loss + config.value_coef * error - config.entropy_coef * entropy
    return mean_per_run(loss, batch.valid), mean_per_run(kl.detach(), batch.valid)


@torch.no_grad()
def measure(policy: Policy, batch: RolloutBatch, config: Config) -> dict[str, torch.Tensor]:
    """How far an update went, (R,) each: over the whole rollout, and after the update."""
    parameters = policy.parameters_of(batch.observations)
    log_probs, entropy = policy.log_prob_and_entropy_of(parameters, batch.actions)
    ratio = torch.where(batch.valid, (log_probs - batch.log_probs).exp(), 1.0)
    outside = (ratio - 1).abs() > config.clip_epsilon
    return {
        "kl": mean_per_run(policy.kl(batch.parameters, parameters), batch.valid),
        "entropy": mean_per_run(entropy, batch.valid),
        "outside": mean_per_run(outside.to(ratio), batch.valid),
        "largest_ratio": ratio.amax(1),
    }


def improve(
    run: Training,
    optimizer: torch.optim.Optimizer,
    batch: RolloutBatch,
    kl_coef: torch.Tensor,
    config: Config,
) -> torch.Tensor:
    """The epochs: gradient steps on minibatches, each run in an order of its own.

    With stop_kl, a run rests from the first minibatch whose mean KL(old || new) is above it.

    Returns:
        (R,), the gradient steps that each run took.
    """
    policy, critic = policy_and_critic(run.networks)
    R, N = batch.advantages.shape
    near = torch.ones(R, dtype=torch.bool, device=run.device)
    steps = torch.zeros(R, device=run.device)
    for _ in range(config.num_epochs):
        for rows in run.streams.permutations(N).tensor_split(config.num_minibatches, dim=1):
            loss, kl = ppo_loss(policy, critic, batch.take(rows), kl_coef, config)
            if config.stop_kl is not None:
                near = near & (kl <= config.stop_kl)
            active = None if config.stop_kl is None else near
            run.gradient_step(
                optimizer, loss, max_gradient_norm=config.max_gradient_norm, active=active
            )
            steps += near
    return steps


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

    Logged for each update, a number for each run; the first four over the whole rollout, after
    all of the update's gradient steps:
        kl: the mean over states of KL(old || new), in nats. Some hundredths at most; it falls with
            the learning rate. For "penalty" it should be near kl_target, within a factor of 2.
        entropy: the mean over states of the policy's entropy, in nats; for continuous actions it
            may be negative. It should fall slowly, while the policy becomes sure; a policy whose
            entropy drops to almost 0 early on no longer explores.
        outside: the share of steps whose ratio new / old is further than clip_epsilon from 1.
            Some of them always are: clipping takes the reason away, and does not bring back.
            More than a third says that the updates are too long.
        largest_ratio: the largest ratio new / old of a step of the rollout, without a unit. Above
            1 + clip_epsilon in many updates; far above it, an action that was improbable has
            become likely.
        kl_coef: the price of a nat of KL(old || new) in this update, in units of the (normalized)
            advantage. It doubles and halves to keep kl near kl_target; only the loss of
            "penalty" reads it.
        steps: the gradient steps taken: num_epochs times num_minibatches, fewer where stop_kl
            ended the update early.
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
        optimizer = run.optimizer("adam", policy, critic)
        initial = torch.full((len(run.run_ids),), config.kl_coef, device=run.device)
        kl_coef = run.remember("kl_coef", initial)
        for _ in run.updates(config.total_steps // (config.num_envs * config.rollout_steps)):
            if config.anneal_learning_rate:
                run.anneal(optimizer, config.learning_rate)
            rollout = run.collect(config.rollout_steps)
            batch = make_batch(policy, critic, rollout, config)
            if config.normalize_values:
                critic.rescale(batch.returns, batch.valid)
            steps = improve(run, optimizer, batch, kl_coef, config)
            distance = measure(policy, batch, config)
            run.log(**distance, kl_coef=kl_coef.clone(), steps=steps)
            kl_coef.copy_(adapt_kl_coef(kl_coef, distance["kl"], config.kl_target))
            if config.normalize_observations:
                policy.normalizer.update(rollout.observations, rollout.valid)
    return run.result()
