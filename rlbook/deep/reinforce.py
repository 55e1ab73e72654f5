"""REINFORCE, with or without a baseline, for R runs at once. Chapter 12.

Play whole episodes, weight the score of each action by the return that followed, Eq. (12.5), minus
a baseline, Eq. (12.12), and take a step.

Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement
learning", Machine Learning 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import torch
from torch import nn

from rlbook.deep.parts.config import TrainingConfig
from rlbook.deep.parts.envs.interface import Sizes
from rlbook.deep.parts.envs.make import Env
from rlbook.deep.parts.keeping import Keep
from rlbook.deep.parts.networks import MLP
from rlbook.deep.parts.policies import Policy, make_policy, policy_of
from rlbook.deep.parts.results import Result
from rlbook.deep.parts.rollouts import Rollout
from rlbook.deep.parts.training import Training
from rlbook.formulas.policy_gradients import policy_gradient_loss
from rlbook.formulas.returns import discounted_returns
from rlbook.ground import require
from rlbook.ground.masking import mean_per_run


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """The settings; the defaults solve CartPole-v1."""

    total_episodes: int = 1200
    """Of each run; every update takes num_envs of them."""
    num_envs: int = 16
    """E, episodes in an update."""
    max_steps: int = 500
    """Where an episode is cut that has not ended: at least the task's time limit."""
    hidden_sizes: tuple[int, ...] = (32,)
    """Of the policy and of the baseline."""
    learning_rate: float = 1e-2
    """Of Adam, for the policy, at first."""
    anneal_learning_rate: bool = True
    """The policy's step size falls in a straight line to 0 at total_episodes."""
    baseline: str = "value"
    """What is subtracted from the return: "none", "mean" (of all returns of the update, its own
    among them) or "value" (a network's estimate of V(s_t))."""
    value_learning_rate: float = 1e-2
    """Of Adam, for the baseline's network."""
    value_steps: int = 4
    """Gradient steps on the baseline in an update."""
    discount_the_state: bool = False
    """Weight step t by discount^t, as Eq. (12.5) has it; without, it is Eq. (12.7)."""
    max_gradient_norm: float = 1.0
    """Of each run's policy gradient."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive_integers("total_episodes", "max_steps", "value_steps")
        self.require_one_update("total_episodes", "num_envs")
        require.one_of("baseline", self.baseline, "none", "mean", "value")
        self.require_positive("value_learning_rate", "max_gradient_norm")


def make_networks(
    envs: Sizes, config: Config, generators: Sequence[torch.Generator]
) -> dict[str, nn.Module]:
    """The policy pi, and the critic V, which is the baseline."""
    sizes = (envs.observation_size, *config.hidden_sizes, 1)
    return {
        "policy": make_policy(envs, config.hidden_sizes, generators),
        "critic": MLP(sizes, generators),
    }


def rewards_to_go(rollout: Rollout, discount: float) -> torch.Tensor:
    """G_t = r_t + discount G_{t+1} of whole episodes, (R, E, T). Eq. (1.2).

    Where the time limit, or the end of the record, cuts an episode, its return ends: the
    objective is that of the task with its limit. Behind an episode's end it is 0.

    Args:
        rollout: of `collect(..., whole_episodes=True)`.
    """
    ended = rollout.terminated | rollout.truncated | ~rollout.valid
    rewards = torch.where(rollout.valid, rollout.rewards, 0.0)
    cut, after = torch.zeros_like(ended), torch.zeros_like(rewards)  # nothing follows the record
    return discounted_returns(rewards, ended, cut, after, discount=discount)


def policy_loss(policy: Policy, rollout: Rollout, weights: torch.Tensor) -> torch.Tensor:
    """-(1/E) sum_e sum_t weights log pi(a_t|s_t): (R,). Eq. (12.6).

    A sum over the steps of an episode, a mean over episodes. Minus its gradient estimates the
    policy gradient where the weights are returns with a baseline: Eqs. (12.5) and (12.12).

    Args:
        weights: (R, E, T), numbers; 0 for steps that are not valid.
    """
    log_probs = policy.log_prob(rollout.observations, rollout.actions)  # (R, E, T)
    return mean_per_run(policy_gradient_loss(log_probs, weights).sum(-1))


def value_loss(critic: nn.Module, rollout: Rollout, targets: torch.Tensor) -> torch.Tensor:
    """The mean of (V(s_t) - target_t)^2 / 2 over the steps taken: (R,). Eq. (12.14).

    Args:
        targets: (R, E, T), the returns G_t.
    """
    errors = critic(rollout.observations).squeeze(-1) - targets
    return mean_per_run(0.5 * errors.square(), rollout.valid)


def baseline(kind: str, critic: nn.Module, rollout: Rollout, returns: torch.Tensor) -> torch.Tensor:
    """b(s_t), (R, E, T): any function of the state leaves the mean gradient as it is, Eq. (12.12).

    Args:
        kind: "none", "mean" or "value"; the mean knows its own return, Eq. (12.13).
    """
    if kind == "value":
        with torch.no_grad():
            return critic(rollout.observations).squeeze(-1)
    if kind == "mean":
        mean = mean_per_run(returns, rollout.valid)
        return mean[:, None, None].expand_as(returns)
    return torch.zeros_like(returns)


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
        episode_return: the mean over the update's num_envs episodes of the plain sum of rewards,
            not discounted, in units of the reward. Of the policy that explores, so that it lies
            below the evaluations of the greedy one. It should rise, unsteadily: it is a mean
            of few episodes.
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
        policy, critic = policy_of(run.networks), run.networks["critic"]
        policy_optimizer = run.optimizer("policy", policy)
        critic_optimizer = run.optimizer("critic", critic, learning_rate=config.value_learning_rate)
        for _ in run.updates(config.total_episodes // config.num_envs):
            rollout = run.collect_episodes(config.max_steps)
            returns = rewards_to_go(rollout, config.discount)  # (R, E, T)
            weights = returns - baseline(config.baseline, critic, rollout, returns)
            if config.discount_the_state:
                steps = torch.arange(weights.shape[-1], device=weights.device)
                weights = weights * config.discount**steps
            weights = torch.where(rollout.valid, weights, 0.0)

            if config.anneal_learning_rate:
                run.anneal(policy_optimizer, config.learning_rate)
            loss = policy_loss(policy, rollout, weights)
            run.gradient_step(policy_optimizer, loss, max_gradient_norm=config.max_gradient_norm)
            for _ in range(config.value_steps if config.baseline == "value" else 0):
                run.gradient_step(critic_optimizer, value_loss(critic, rollout, returns))
            rewards = torch.where(rollout.valid, rollout.rewards, 0.0)
            run.log(episode_return=mean_per_run(rewards.sum(-1)))
    return run.result()
