"""PPO: several epochs of gradient steps on one rollout, held near the old policy.

Schulman et al. 2017, "Proximal policy optimization algorithms". The two forms differ in one
line of the loss: "clip" takes away the reason to go far, "penalty" charges for the distance
KL(old || new). R runs at once, each with its own minibatches, coefficient and early stop.
Discrete and continuous actions.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from rlbook.config import TrainingConfig
from rlbook.divergences import adapt_kl_coef, kl_categorical, kl_gaussian
from rlbook.masking import mean_per_run
from rlbook.networks import MLP
from rlbook.normalization import RunningNormalizer
from rlbook.policies import make_policy
from rlbook.policy_gradients import clipped_surrogate_loss
from rlbook.results import Result
from rlbook.returns import lambda_returns
from rlbook.rollouts import Rollout
from rlbook.training import Training


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
    num_envs: int = 16
    """E, parallel environments of each run."""
    rollout_steps: int = 64
    """T, steps in each environment between two updates."""
    num_epochs: int = 10
    """Passes over a rollout."""
    num_minibatches: int = 4
    """Gradient steps in a pass."""
    learning_rate: float = 1e-3
    """Of Adam, at first."""
    anneal: bool = True
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

    def __post_init__(self):
        super().__post_init__()
        counts = ("total_steps", "rollout_steps", "num_epochs", "num_minibatches")
        self.require_positive_integers(*counts)
        self.require_within(0, 1, "lambda_")
        self.require_within(0, float("inf"), "entropy_coef", "value_coef", "kl_coef")
        if self.surrogate not in ("clip", "penalty"):
            raise ValueError(f"surrogate must be 'clip' or 'penalty', got {self.surrogate!r}")
        for name in ("clip_epsilon", "kl_target", "stop_kl", "max_gradient_norm"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.num_minibatches > self.num_envs * self.rollout_steps:
            steps = self.num_envs * self.rollout_steps
            raise ValueError(f"num_minibatches must be at most {steps}, the steps of a rollout")


class Critic(nn.Module):
    """V(s) = mean + std network(s), with the mean and std of the returns so far; (R, ..., 1)."""

    def __init__(self, network: nn.Module, num_runs: int):
        super().__init__()
        self.network, self.returns = network, RunningNormalizer(num_runs, 1)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """(R, ..., obs) -> (R, ...)."""
        standardised = self.network(observations).squeeze(-1)
        shape = (-1, *[1] * (standardised.ndim - 1))
        mean, std = (x.view(shape).to(standardised) for x in self.mean_and_std())
        return mean + std * standardised

    def mean_and_std(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the returns so far, (R, 1) each."""
        return self.returns.mean, (self.returns.var + 1e-8).sqrt()

    def squared_error(self, observations: torch.Tensor, returns: torch.Tensor) -> torch.Tensor:
        """In units of the returns' variance, (R, B)."""
        return ((self(observations) - returns) / self.mean_and_std()[1].to(returns)) ** 2


def make_networks(envs, config: Config, generators) -> dict[str, nn.Module]:
    """Policy and critic; both see observations normalised by the same statistics."""
    policy = make_policy(envs, config.hidden_sizes, generators)
    network = MLP((envs.observation_size, *config.hidden_sizes, 1), generators)
    if config.normalize_observations:
        normalizer = RunningNormalizer(envs.num_runs, envs.observation_size)
        policy.network = nn.Sequential(normalizer, policy.network)
        network = nn.Sequential(normalizer, network)
    return {"policy": policy, "critic": Critic(network, envs.num_runs)}


class Batch(NamedTuple):
    """What an update needs of a rollout, (R, N, ...) with N = E T; no gradients in it."""

    observations: torch.Tensor
    actions: torch.Tensor
    valid: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor
    log_probs: torch.Tensor
    """log pi_old(a|s)."""
    parameters: tuple[torch.Tensor, ...]
    """Of pi_old(.|s): (logits,), or (mean, log_std)."""

    def take(self, rows: torch.Tensor) -> "Batch":
        """Rows (R, B) of each run."""
        runs = torch.arange(len(rows), device=rows.device).unsqueeze(1)
        pick = lambda x: tuple(map(pick, x)) if isinstance(x, tuple) else x[runs, rows]  # noqa: E731
        return Batch(*map(pick, self))


@torch.no_grad()
def make_batch(policy: nn.Module, critic: Critic, rollout: Rollout, config: Config) -> Batch:
    """Advantages, returns and the old policy, once for all epochs."""
    values, next_values = critic(rollout.observations), critic(rollout.next_observations)
    ends = rollout.terminated, rollout.truncated
    horizon = {"discount": config.discount, "lambda_": config.lambda_}
    returns = lambda_returns(rollout.rewards, next_values, *ends, **horizon)  # (R, E, T)
    advantages, valid = (returns - values).flatten(1), rollout.valid.flatten(1)
    if config.normalize_advantages:
        centred = advantages - mean_per_run(advantages, valid).unsqueeze(1)
        deviation = mean_per_run(centred**2, valid).sqrt().unsqueeze(1)
        advantages = centred / (deviation + 1e-8)
    observations, actions = rollout.observations.flatten(1, 2), rollout.actions.flatten(1, 2)
    parameters = as_tuple(policy.parameters_of(observations))
    log_probs = policy.log_prob(observations, actions)
    return Batch(
        observations, actions, valid, advantages, returns.flatten(1), log_probs, parameters
    )


def as_tuple(parameters) -> tuple[torch.Tensor, ...]:
    return parameters if isinstance(parameters, tuple) else (parameters,)


def kl_from_old(batch: Batch, parameters) -> torch.Tensor:
    """KL(old || new) in each state, (R, B). Eqs. (16.1) and (16.2)."""
    kl = kl_gaussian if isinstance(parameters, tuple) else kl_categorical
    return kl(*batch.parameters, *as_tuple(parameters))


def ppo_loss(
    policy: nn.Module, critic: Critic, batch: Batch, kl_coef: torch.Tensor, config: Config
) -> tuple[torch.Tensor, torch.Tensor]:
    """Surrogate + value_coef error^2 - entropy_coef H, and the mean KL: both (R,). Eq. (16.19)."""
    parameters = policy.parameters_of(batch.observations)
    log_probs, entropy = policy.log_prob_and_entropy_of(parameters, batch.actions)
    kl = kl_from_old(batch, parameters)
    ratio_from = log_probs, batch.log_probs, batch.advantages
    if config.surrogate == "clip":
        loss = clipped_surrogate_loss(*ratio_from, clip_epsilon=config.clip_epsilon)
    else:
        loss = clipped_surrogate_loss(*ratio_from, clip_epsilon=torch.inf)  # -ratio A
        loss = loss + kl_coef.unsqueeze(1) * kl
    error = critic.squared_error(batch.observations, batch.returns)
    loss = loss + config.value_coef * error - config.entropy_coef * entropy
    return mean_per_run(loss, batch.valid), mean_per_run(kl.detach(), batch.valid)


@torch.no_grad()
def measure(policy: nn.Module, batch: Batch, config: Config) -> dict[str, torch.Tensor]:
    """How far an update went, (R,) each: over the whole rollout, and after the update."""
    parameters = policy.parameters_of(batch.observations)
    log_probs, entropy = policy.log_prob_and_entropy_of(parameters, batch.actions)
    ratio = (log_probs - batch.log_probs).exp()
    outside = (ratio - 1).abs() > config.clip_epsilon
    return {
        "kl": mean_per_run(kl_from_old(batch, parameters), batch.valid),
        "entropy": mean_per_run(entropy, batch.valid),
        "outside": mean_per_run(outside.to(ratio), batch.valid),
        "largest_ratio": torch.where(batch.valid, ratio, 1.0).amax(1),
    }


def minibatches(streams, size: int, count: int):
    """The rows 0 .. size - 1 in `count` parts, (R, B) each, in an order of each run's own."""
    return streams.permutations(size).tensor_split(count, dim=1)


def train(
    env,
    config: Config = Config(),
    *,
    num_runs: int = 10,
    run_ids=None,
    device=None,
    seed: int = 0,
    progress: bool = True,
    resume: Result | None = None,
) -> Result:
    """Train R runs of PPO; see rlbook.training.Training for the arguments.

    Logged for each update: kl (KL(old || new) after it), kl_coef, entropy, outside (the part of
    the ratios outside the interval), largest_ratio, and rested (the part of its steps that the
    early stop left out).
    """
    options = {"num_runs": num_runs, "run_ids": run_ids, "device": device, "seed": seed}
    training = Training(env, config, make_networks, **options, progress=progress, resume=resume)
    policy, critic = training.networks["policy"], training.networks["critic"]
    optimizer = training.optimizer("adam", policy, critic)
    R, N = len(training.run_ids), config.num_envs * config.rollout_steps
    kl_coef = training.remember("kl_coef", torch.full((R,), config.kl_coef, device=training.device))
    with training:
        for _ in training.updates(config.total_steps // N):
            optimizer.param_groups[0]["lr"] = config.learning_rate * (
                1 - training.fraction if config.anneal else 1
            )
            rollout = training.collect(config.rollout_steps)
            batch = make_batch(policy, critic, rollout, config)
            if config.normalize_values:
                critic.returns.update(batch.returns.unsqueeze(-1), batch.valid)
            going = torch.ones(R, dtype=torch.bool, device=training.device)
            for _ in range(config.num_epochs):
                for rows in minibatches(training.streams, N, config.num_minibatches):
                    loss, kl = ppo_loss(policy, critic, batch.take(rows), kl_coef, config)
                    going &= ~(kl > (config.stop_kl or torch.inf))
                    training.step(optimizer, loss, max_gradient_norm=config.max_gradient_norm)
            measured = measure(policy, batch, config)
            training.log(kl_coef=kl_coef.clone(), **measured)
            kl_coef.copy_(adapt_kl_coef(kl_coef, measured["kl"], config.kl_target))
            if config.normalize_observations:
                policy.network[0].update(rollout.observations, rollout.valid)
    return training.result()
