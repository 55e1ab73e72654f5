"""TRPO: the longest step that raises the surrogate within a trust region of policies.

Schulman et al. 2015, "Trust region policy optimization". R runs at once; each run has its own
Fisher matrix, step and line search. Discrete and continuous actions.
"""

from dataclasses import dataclass

import torch
from torch import nn

from rlbook.config import TrainingConfig
from rlbook.divergences import kl_categorical, kl_gaussian
from rlbook.masking import mean_per_run
from rlbook.networks import MLP
from rlbook.normalization import RunningNormalizer
from rlbook.policies import make_policy
from rlbook.results import Result
from rlbook.returns import lambda_returns
from rlbook.rollouts import Rollout
from rlbook.training import Training
from rlbook.trust_region import (
    LineSearch,
    backtracking_line_search,
    fisher_operator,
    flatten_per_run,
    natural_gradient_step,
    surrogate,
    unflatten_per_run,
)


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """Settings of TRPO; those of every agent are in TrainingConfig."""

    total_steps: int = 100_000
    """Environment steps of each run."""
    rollout_steps: int = 128
    """T, steps in each environment between two updates."""
    lambda_: float = 0.95
    """Of the lambda-returns; advantages are lambda-returns minus values."""
    max_kl: float = 0.01
    """delta, the radius: the largest mean KL(old || new) of an update."""
    damping: float = 0.1
    """Added to the Fisher matrix's diagonal."""
    cg_iterations: int = 10
    """Steps of conjugate gradients, one Fisher-vector product each."""
    fisher_stride: int = 4
    """Every how many-th state enters the Fisher matrix; all of them enter everything else."""
    line_search: bool = True
    """False takes the full step unseen: what the search is good for."""
    value_epochs: int = 5
    """Passes over the rollout, fitting the values to the lambda-returns."""
    value_batch_size: int = 256
    """States in each step of that regression."""
    normalize_observations: bool = True
    """Bring observations to mean 0 and variance 1, by each run's own statistics."""
    normalize_advantages: bool = True
    """Bring advantages to mean 0 and variance 1, by each run's own batch."""

    def __post_init__(self):
        super().__post_init__()
        self.require_positive_integers(
            *("total_steps", "rollout_steps", "cg_iterations", "fisher_stride"),
            *("value_epochs", "value_batch_size"),
        )
        self.require_within(0, 1, "lambda_")
        self.require_within(0, float("inf"), "damping")
        if not self.max_kl > 0:
            raise ValueError(f"max_kl must be positive, got {self.max_kl}")


def make_networks(envs, config: Config, generators) -> dict[str, nn.Module]:
    """A policy and a value function; both see observations normalised by the same statistics."""
    policy = make_policy(envs, config.hidden_sizes, generators)
    value = MLP((envs.observation_size, *config.hidden_sizes, 1), generators)
    if config.normalize_observations:
        normalizer = RunningNormalizer(envs.num_runs, envs.observation_size, device=envs.device)
        policy.network = nn.Sequential(normalizer, policy.network)
        value = nn.Sequential(normalizer, value)
    return {"policy": policy, "value": value.to(envs.device)}


def mean_kl(policy: nn.Module, old, observations: torch.Tensor, valid: torch.Tensor):
    """The mean over states of KL(old || policy), (R,). Eq. (15.14).

    Args:
        old: what policy.parameters_of(observations) was before the update, detached.
    """
    new = policy.parameters_of(observations)
    if isinstance(new, torch.Tensor):
        return mean_per_run(kl_categorical(old, new), valid)
    return mean_per_run(kl_gaussian(*old, *new), valid)


def advantages_of(value: nn.Module, rollout: Rollout, config: Config):
    """lambda-returns, and lambda-returns minus values, both (R, E, T)."""
    with torch.no_grad():
        values = value(rollout.observations).squeeze(-1)
        next_values = value(rollout.next_observations).squeeze(-1)
    targets = lambda_returns(
        rollout.rewards,
        next_values,
        rollout.terminated,
        rollout.truncated,
        discount=config.discount,
        lambda_=config.lambda_,
    )
    advantages = targets - values
    if config.normalize_advantages:
        centred = advantages - mean_per_run(advantages, rollout.valid)[:, None, None]
        variance = mean_per_run(centred**2, rollout.valid)[:, None, None]
        advantages = centred / (variance.sqrt() + 1e-8)
    return targets, advantages


def update_policy(
    policy: nn.Module,
    rollout: Rollout,
    advantages: torch.Tensor,
    config: Config,
    active: torch.Tensor | None = None,
) -> tuple[LineSearch, torch.Tensor]:
    """One step within the trust region, in place: what came of it, and the gradient (R, P).

    Runs where `active` (R,) is False, or whose gradient is not finite, stay where they are.
    """
    states, valid = rollout.observations.flatten(1, 2), rollout.valid.flatten(1)  # B = E T
    actions, advantages = rollout.actions.flatten(1, 2), advantages.flatten(1)
    parameters = list(policy.parameters())
    with torch.no_grad():
        old, old_log_probs = policy.parameters_of(states), policy.log_prob(states, actions)

    def objective() -> torch.Tensor:
        log_probs = policy.log_prob(states, actions)  # (R, B)
        return mean_per_run(surrogate(log_probs, old_log_probs, advantages), valid)

    @torch.no_grad()
    def evaluate(candidate: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assign(parameters, candidate)
        return objective(), mean_kl(policy, old, states, valid)

    before = objective()
    gradient = flatten_per_run(torch.autograd.grad(before.sum(), parameters))  # (R, P)
    usable = gradient.isfinite().all(dim=1) & (True if active is None else active)
    step = natural_gradient_step(
        fisher_of(policy, states, valid, config),
        torch.where(usable[:, None], gradient, 0.0),
        max_kl=config.max_kl,
        iterations=config.cg_iterations,
    )
    start, before = flatten_per_run(parameters).detach(), before.detach()
    if config.line_search:
        limits = {"start_value": before, "max_kl": config.max_kl}
        found = backtracking_line_search(evaluate, start, step, **limits)
    else:
        value, kl = evaluate(start + step)
        found = LineSearch(start + step, torch.ones_like(kl), value - before, kl)
    assign(parameters, found.parameters)
    return found, gradient


def fisher_of(policy: nn.Module, states: torch.Tensor, valid: torch.Tensor, config: Config):
    """v -> (F + damping) v at the present policy, from every fisher_stride-th state."""
    states, valid = states[:, :: config.fisher_stride], valid[:, :: config.fisher_stride]
    with torch.no_grad():
        old = policy.parameters_of(states)
    kl = mean_kl(policy, old, states, valid)
    return fisher_operator(kl, list(policy.parameters()), damping=config.damping)


@torch.no_grad()
def assign(parameters: list[torch.Tensor], vector: torch.Tensor) -> None:
    """Write one row of numbers for each run, (R, P), into the parameters."""
    for parameter, new in zip(parameters, unflatten_per_run(vector, parameters), strict=True):
        parameter.copy_(new)


def fit_values(training: Training, optimizer, rollout: Rollout, targets: torch.Tensor) -> None:
    """Regression of the values on the lambda-returns, in minibatches, each run its own."""
    config, value = training.config, training.networks["value"]
    runs = torch.arange(len(targets), device=targets.device)[:, None]
    states, valid = rollout.observations.flatten(1, 2), rollout.valid.flatten(1)
    targets = targets.flatten(1)  # (R, B)
    for _ in range(config.value_epochs):
        order = training.streams.permutations(targets.shape[1])
        for rows in order.split(config.value_batch_size, dim=1):
            error = value(states[runs, rows]).squeeze(-1) - targets[runs, rows]
            training.step(optimizer, mean_per_run(error**2, valid[runs, rows]))


def train(
    env,
    config: Config = Config(),  # noqa: B008
    *,
    num_runs: int = 10,
    run_ids=None,
    device=None,
    seed: int = 0,
    progress: bool = True,
    resume: Result | None = None,
) -> Result:
    """Train TRPO; the arguments are those of `rlbook.training.Training`.

    Logged for each update: kl, the mean KL(old || new) of the step taken; improvement, of the
    surrogate; fraction, of the full step, 0 where the line search found nothing.
    """
    options = {"num_runs": num_runs, "run_ids": run_ids, "device": device, "seed": seed}
    options |= {"progress": progress, "resume": resume}
    training = Training(env, config, make_networks, **options)
    policy, value = training.networks["policy"], training.networks["value"]
    optimizer = training.optimizer("value", value)
    with training:
        for _ in training.updates(config.total_steps // (config.num_envs * config.rollout_steps)):
            rollout = training.collect(config.rollout_steps)
            targets, advantages = advantages_of(value, rollout, config)
            active = torch.tensor([run not in training.frozen for run in training.run_ids])
            found, gradient = update_policy(
                policy, rollout, advantages, config, active.to(training.device)
            )
            training.freeze(~gradient.isfinite().all(dim=1), "its gradient is not finite")
            fit_values(training, optimizer, rollout, targets)
            if config.normalize_observations:
                policy.network[0].update(rollout.observations, rollout.valid)
            training.log(kl=found.kl, improvement=found.improvement, fraction=found.fraction)
    return training.result()
