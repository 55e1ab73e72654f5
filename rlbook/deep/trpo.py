"""TRPO: the longest step that raises the surrogate within a trust region of policies.

Schulman et al. 2015, "Trust region policy optimization". R runs at once; each run has its own
Fisher matrix, step and line search. Discrete and continuous actions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike

import torch
from torch import nn
from torch.func import functional_call

from rlbook.deep.parts.config import TrainingConfig
from rlbook.deep.parts.critics import make_networks, policy_and_critic, returns_and_advantages
from rlbook.deep.parts.envs.make import Env
from rlbook.deep.parts.keeping import Keep
from rlbook.deep.parts.policies import Parameters, Policy
from rlbook.deep.parts.results import Result
from rlbook.deep.parts.rollouts import Rollout
from rlbook.deep.parts.training import Training
from rlbook.formulas.policy_gradients import surrogate
from rlbook.formulas.trust_region import (
    LineSearch,
    backtracking_line_search,
    fisher_operator,
    flatten_per_run,
    natural_gradient_step,
    unflatten_per_run,
)
from rlbook.ground.masking import mean_per_run, standardise_per_run


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """Settings of TRPO; those of every agent are in TrainingConfig."""

    total_steps: int = 40_960
    """Environment steps of each run."""
    discount: float = 0.995
    """gamma."""
    num_envs: int = 8
    """E, parallel environments of each run."""
    rollout_steps: int = 128
    """T, steps in each environment between two updates."""
    lambda_: float = 0.98
    """Of the lambda-returns; advantages are lambda-returns minus values."""
    max_kl: float = 0.01
    """delta, the radius: the largest mean KL(old || new) of an update."""
    anneal_max_kl: bool = True
    """The radius falls in a straight line to 0 at total_steps."""
    damping: float = 0.01
    """Added to the Fisher matrix's diagonal."""
    cg_iterations: int = 10
    """Steps of conjugate gradients, one Fisher-vector product each."""
    fisher_stride: int = 4
    """Every how many-th state enters the Fisher matrix; all of them enter everything else."""
    line_search: bool = True
    """False takes the full step unseen: what the search is good for."""
    critic_epochs: int = 5
    """Passes over the rollout, fitting the critic to the lambda-returns."""
    critic_batch_size: int = 256
    """States in each step of that regression."""
    normalize_observations: bool = True
    """Bring observations to mean 0 and variance 1, by each run's own statistics."""
    normalize_advantages: bool = True
    """Bring advantages to mean 0 and variance 1, by each run's own batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive_integers("total_steps", "rollout_steps")
        self.require_one_update("total_steps", "num_envs", "rollout_steps")
        self.require_positive_integers("cg_iterations", "fisher_stride")
        self.require_positive_integers("critic_epochs", "critic_batch_size")
        self.require_within(0, 1, "lambda_")
        self.require_within(0, float("inf"), "damping")
        self.require_positive("max_kl")


def mean_kl(
    policy: Policy, old: Parameters, observations: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """The mean over states of KL(old || policy), (R,). Eq. (15.14).

    Args:
        old: what policy.parameters_of(observations) was before the update, detached.
    """
    return mean_per_run(policy.kl(old, policy.parameters_of(observations)), valid)


def update_policy(
    policy: Policy,
    rollout: Rollout,
    advantages: torch.Tensor,
    config: Config,
    active: torch.Tensor | None = None,
) -> tuple[LineSearch, torch.Tensor]:
    """One step within the trust region, in place: what came of it, and which runs are usable.

    Runs where `active` (R,) is False, or whose gradient is not finite, stay where they are.
    """
    states, valid = rollout.observations.flatten(1, 2), rollout.valid.flatten(1)  # B = E T
    actions, advantages = rollout.actions.flatten(1, 2), advantages.flatten(1)
    parameters = list(policy.parameters())
    with torch.no_grad():
        old, old_log_probs = policy.parameters_of(states), policy.log_prob(states, actions)

    def objective(new: Parameters) -> torch.Tensor:
        log_probs, _ = policy.log_prob_and_entropy_of(new, actions)  # (R, B)
        return mean_per_run(surrogate(log_probs, old_log_probs, advantages), valid)

    @torch.no_grad()
    def evaluate(candidate: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        new = functional_call(policy, named_parameters(policy, candidate), states)
        return objective(new), mean_per_run(policy.kl(old, new), valid)

    before = objective(policy.parameters_of(states))
    gradient = flatten_per_run(torch.autograd.grad(before.sum(), parameters))  # (R, P)
    usable = gradient.isfinite().all(dim=1) & (True if active is None else active)
    gradient = torch.where(usable[:, None], gradient, 0.0)
    fisher = fisher_of(policy, states, valid, config)
    step = natural_gradient_step(
        fisher, gradient, max_kl=config.max_kl, iterations=config.cg_iterations
    )
    start, start_value = flatten_per_run(parameters).detach(), before.detach()
    if config.line_search:
        found = backtracking_line_search(
            evaluate, start, step, start_value=start_value, max_kl=config.max_kl
        )
    else:
        found = full_step(evaluate, start, step, start_value=start_value)
    policy.load_state_dict(named_parameters(policy, found.parameters), strict=False)
    return found, usable


def full_step(
    evaluate: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    start: torch.Tensor,
    step: torch.Tensor,
    *,
    start_value: torch.Tensor,
) -> LineSearch:
    """No search: the whole step, wherever it leads."""
    value, kl = evaluate(start + step)
    return LineSearch(start + step, torch.ones_like(kl), value - start_value, kl)


def fisher_of(
    policy: Policy, states: torch.Tensor, valid: torch.Tensor, config: Config
) -> Callable[[torch.Tensor], torch.Tensor]:
    """v -> (F + damping) v at the present policy, from every fisher_stride-th state."""
    states, valid = states[:, :: config.fisher_stride], valid[:, :: config.fisher_stride]
    with torch.no_grad():
        old = policy.parameters_of(states)
    kl = mean_kl(policy, old, states, valid)
    return fisher_operator(kl, list(policy.parameters()), damping=config.damping)


def named_parameters(policy: nn.Module, vector: torch.Tensor) -> dict[str, torch.Tensor]:
    """One row of numbers for each run, (R, P), as parameters of the policy, which keeps its own.

    Laid out in memory as its own are, so that products round alike.
    """
    own = dict(policy.named_parameters())
    new = unflatten_per_run(vector, list(own.values()))
    return {name: x.contiguous() for name, x in zip(own, new, strict=True)}


def fit_critic(
    run: Training,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    targets: torch.Tensor,
    config: Config,
) -> None:
    """Regression of the values on the lambda-returns, in minibatches, each run its own."""
    _, critic = policy_and_critic(run.networks)
    rows_of_runs = torch.arange(len(targets), device=run.device)
    states, valid = rollout.observations.flatten(1, 2), rollout.valid.flatten(1)
    targets = targets.flatten(1)  # (R, B)
    critic.rescale(targets, valid)
    for _ in range(config.critic_epochs):
        order = run.streams.permutations(targets.shape[1])
        for columns in order.split(config.critic_batch_size, dim=1):
            some = rows_of_runs[:, None], columns
            error = critic.squared_error(states[some], targets[some])
            run.gradient_step(optimizer, mean_per_run(error, valid[some]))


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
        kl: the mean over states of KL(old || new) of the step taken, in nats. With the line
            search at most the radius, which falls from max_kl to 0 with `anneal_max_kl`; most steps
            should come near it. 0 where the line search found nothing.
        improvement: what the surrogate, the mean of ratio times advantage, gained on the rollout;
            in standard deviations of the advantages if they are normalized, else in units of the
            reward. Above 0 where a step was accepted; it shrinks with the radius.
        fraction: the part of the full step that was taken, from 1 down by factors of 0.8; without
            a unit. Mostly 1 or a few factors below; 0 where nothing was accepted. Many zeros
            say that too few samples, or too little damping, gave a wrong step.
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
        optimizer = run.optimizer("critic", critic)
        for _ in run.updates(config.total_steps // (config.num_envs * config.rollout_steps)):
            rollout = run.collect(config.rollout_steps)
            targets, advantages = returns_and_advantages(critic, rollout, config)  # (R, E, T)
            if config.normalize_advantages:
                advantages = standardise_per_run(advantages, rollout.valid)
            radius = config.max_kl * (1 - run.fraction if config.anneal_max_kl else 1)
            now = replace(config, max_kl=radius)
            search, usable = update_policy(policy, rollout, advantages, now, ~run.resting)
            run.freeze(~usable, "its policy gradient is not finite")
            fit_critic(run, optimizer, rollout, targets, config)
            if config.normalize_observations:
                policy.normalizer.update(rollout.observations, rollout.valid)
            run.log(kl=search.kl, improvement=search.improvement, fraction=search.fraction)
    return run.result()
