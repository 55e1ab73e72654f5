"""Deep Q-learning, with replay and a target network; double and dueling if you like.

R runs learn at once: every parameter has a leading run axis, and no run sees another.

Logged for each round of learning, a number for each run; none before `learning_starts`:
    loss: the mean loss of the round's last minibatch, in squared units of the scaled reward
        (rewards times reward_scale). It need not fall: its targets move while Q learns. Growing
        without an end, it says that Q diverges.
    value: the mean of max_a Q(s, a) over the same minibatch of remembered states, in units of the
        reward. It should rise to what discounted returns can be, and stay: with rewards of 1 and
        a discount of 0.99 at most 100. Above what is possible, Q overestimates.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import torch
from torch import nn
from torch.nn.functional import huber_loss, mse_loss

from rlbook.deep.parts.config import TrainingConfig
from rlbook.deep.parts.envs.interface import Sizes
from rlbook.deep.parts.envs.make import Env
from rlbook.deep.parts.keeping import Keep
from rlbook.deep.parts.networks import MLP, DuelingMLP, polyak_update, run_module
from rlbook.deep.parts.normalization import RunningNormalizer, normalizer_of
from rlbook.deep.parts.replay import Replay, Transitions, n_step_transitions
from rlbook.deep.parts.results import Result
from rlbook.deep.parts.training import Training
from rlbook.ground.masking import mean_per_run
from rlbook.ground.seeding import Streams


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """The settings of deep Q-learning; all steps are counted for one run."""

    total_steps: int = 50_000
    """Environment steps of each run."""
    learning_rate: float = 4e-3
    """Of Adam, at first."""
    anneal_learning_rate: bool = True
    """The learning rate falls in a straight line to 0 at total_steps."""
    rollout_steps: int = 32
    """Steps of each environment between two rounds of learning."""
    gradient_steps: int = 32
    """Of each round of learning."""
    batch_size: int = 64
    """B, transitions of each run in a gradient step."""
    replay_capacity: int = 50_000
    """Transitions that are remembered. num_envs * rollout_steps is no replay: only the newest."""
    learning_starts: int = 1_000
    """Transitions that are collected before the first gradient step."""
    n_step: int = 6
    """Rewards in a target; 1 is the target of Q-learning."""
    tau: float = 0.05
    """Share of the online network in each update of the target network; 1 copies it."""
    target_period: int = 1
    """Gradient steps between updates of the target. With tau = 1, 1 is no target network."""
    double: bool = False
    """The online network chooses the action that the target network values."""
    dueling: bool = False
    """Two heads, V and A, in place of one."""
    activation: str = "relu"
    """"relu" or "tanh"."""
    huber_delta: float | None = 1.0
    """Where the loss turns from a parabola into a line; None for the squared error."""
    reward_scale: float = 0.02
    """The rewards are multiplied by it, and so is Q: networks learn numbers near 1 best."""
    epsilon_start: float = 1.0
    """The share of random actions at first; it falls in a straight line."""
    epsilon_end: float = 0.05
    """The share of random actions at the end, and once exploration_fraction is over."""
    exploration_fraction: float = 0.2
    """The part of the training in which the share of random actions falls."""
    max_gradient_norm: float = 10.0
    """Longer gradients are shortened, each run's by itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive_integers("total_steps", "rollout_steps", "gradient_steps")
        self.require_positive_integers("batch_size", "replay_capacity", "target_period", "n_step")
        self.require_one_update("total_steps", "num_envs", "rollout_steps")
        self.require_within(0, 1, "epsilon_start", "epsilon_end", "tau")
        self.require_within(1e-9, 1, "exploration_fraction")
        self.require_within(0, self.total_steps, "learning_starts")
        self.require_positive("reward_scale", "max_gradient_norm")
        if self.huber_delta is not None:
            self.require_positive("huber_delta")
        if self.replay_capacity < self.transitions_per_rollout:
            raise ValueError(
                f"replay_capacity must hold a rollout of {self.transitions_per_rollout}, "
                f"got {self.replay_capacity}"
            )

    @property
    def transitions_per_rollout(self) -> int:
        return self.num_envs * self.rollout_steps

    def epsilon(self, fraction: float) -> float:
        """The share of random actions when this fraction of the training is done."""
        way = min(1.0, fraction / self.exploration_fraction)
        return self.epsilon_start + (self.epsilon_end - self.epsilon_start) * way


class EpsilonGreedy(nn.Module):
    """The behaviour: with probability epsilon a uniform action, otherwise argmax_a Q(s, a)."""

    def __init__(self, network: nn.Module, num_actions: int):
        super().__init__()
        self.network, self.num_actions, self.epsilon = network, num_actions, 1.0

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Q(s, .) in units of reward_scale: (R, ..., obs) -> (R, ..., A)."""
        return self.network(observations)

    @property
    def normalizer(self) -> RunningNormalizer:
        """Of the observations."""
        return normalizer_of(self.network)

    @torch.no_grad()
    def greedy(self, observations: torch.Tensor) -> torch.Tensor:
        """(R, ..., obs) -> (R, ...) long."""
        return self.network(observations).argmax(-1)

    def draw_noise(self, streams: Streams, *shape: int) -> torch.Tensor:
        """Uniform on [0, 1), (R, *shape, 2): whether to explore, and what to try."""
        return streams.uniform(*shape, 2)

    def sample(self, observations: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """(R, ..., obs), (R, ..., 2) -> (R, ...) long. Eq. (6.12)."""
        random = (noise[..., 1] * self.num_actions).long()
        return torch.where(noise[..., 0] < self.epsilon, random, self.greedy(observations))

    def run(self, k: int) -> nn.Module:
        return run_module(self.network, k)


def make_networks(
    envs: Sizes, config: Config, generators: Sequence[torch.Generator]
) -> dict[str, nn.Module]:
    """The policy, which holds the online network, and the target network: a copy at first."""
    if envs.num_actions is None:
        raise ValueError("DQN takes a maximum over actions, so it needs a finite number of them")
    kind = DuelingMLP if config.dueling else MLP
    sizes = (envs.observation_size, *config.hidden_sizes, envs.num_actions)
    normalizer = RunningNormalizer(len(generators), envs.observation_size)
    online = nn.Sequential(normalizer, kind(sizes, generators, activation=config.activation))
    target = copy.deepcopy(online).requires_grad_(False)
    return {"policy": EpsilonGreedy(online, envs.num_actions), "target": target}


def q_targets(
    rewards: torch.Tensor,
    target_q: torch.Tensor,
    terminated: torch.Tensor,
    *,
    discount: float | torch.Tensor,
    online_q: torch.Tensor | None = None,
) -> torch.Tensor:
    """y = r + discount (1 - d) max_a' Q_target(s', a'), d = 1 at a termination. Eq. (13.1).

    With online_q, Double DQN: y = r + discount (1 - d) Q_target(s', argmax_a' Q_online(s', a')).
    Eq. (13.15).

    Args:
        rewards: (...).
        target_q: (..., A), the target network at s'.
        terminated: (...) bool. Behind it target_q may hold anything.
        discount: a number, or (...), the discount^m of transitions of m steps.
        online_q: (..., A), the online network at s'.

    Returns:
        (...), without a gradient.

    Source: Mnih et al. 2015; van Hasselt, Guez and Silver 2016.
    """
    best = (target_q if online_q is None else online_q).argmax(-1, keepdim=True)
    values = target_q.gather(-1, best).squeeze(-1)
    return (rewards + discount * torch.where(terminated, 0.0, values)).detach()


def q_loss(
    q: torch.Tensor, actions: torch.Tensor, targets: torch.Tensor, *, huber_delta: float | None
) -> torch.Tensor:
    """The loss of each transition: half the squared error Q(s, a) - y, a line beyond
    huber_delta. Eqs. (13.2) and (13.12).

    Args:
        q: (..., A), the online network at s.
        actions: (...) long.
        targets: (...), constants.

    Returns:
        (...).
    """
    chosen = q.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    if huber_delta is None:
        return mse_loss(chosen, targets, reduction="none") / 2
    return huber_loss(chosen, targets, reduction="none", delta=huber_delta)


def batch_loss(
    online: nn.Module, target: nn.Module, batch: Transitions, config: Config
) -> torch.Tensor:
    """The mean loss of each run's batch, (R,)."""
    with torch.no_grad():
        targets = q_targets(
            config.reward_scale * batch.rewards,
            target(batch.next_observations),
            batch.terminated,
            discount=batch.discounts,
            online_q=online(batch.next_observations) if config.double else None,
        )
    q = online(batch.observations)  # (R, B, A)
    loss = q_loss(q, batch.actions, targets, huber_delta=config.huber_delta)
    return mean_per_run(loss, batch.valid)


@torch.no_grad()
def mean_value(policy: EpsilonGreedy, batch: Transitions, config: Config) -> torch.Tensor:
    """The mean of max_a Q(s, a) over each run's batch, in the units of the rewards: (R,)."""
    best = policy(batch.observations).amax(-1)
    return mean_per_run(best, batch.valid) / config.reward_scale


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
    """Deep Q-learning of R runs. The arguments are those of rlbook.deep.parts.training.Training.

    To continue (`resume`) a training that had ended is to act with epsilon_end.

    Source: Mnih et al. 2015, "Human-level control through deep reinforcement learning".
    """
    config = Config() if config is None else config
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
        policy, target = run.networks["policy"], run.networks["target"]
        assert isinstance(policy, EpsilonGreedy)
        optimizer = run.optimizer("q", policy)
        size = run.envs.observation_size
        memory = Replay(len(run.run_ids), config.replay_capacity, size, device=run.device)
        replay = run.remember_replay("replay", memory)
        for _ in run.updates(config.total_steps // config.transitions_per_rollout):
            policy.epsilon = config.epsilon(1.0 if run.further else run.fraction)
            if config.anneal_learning_rate:
                run.anneal(optimizer, config.learning_rate)
            rollout = run.collect(config.rollout_steps)
            policy.normalizer.update(rollout.observations, rollout.valid)
            replay.add(n_step_transitions(rollout, config.n_step, discount=config.discount))
            if replay.added < config.learning_starts:
                continue
            for batch in replay.batches(config.gradient_steps, config.batch_size, run.streams):
                loss = batch_loss(policy.network, target, batch, config)
                run.gradient_step(optimizer, loss, max_gradient_norm=config.max_gradient_norm)
                if run.gradient_steps % config.target_period == 0:
                    polyak_update(target, policy.network, config.tau)
            run.log(loss=loss, value=mean_value(policy, batch, config))
    return run.result()
