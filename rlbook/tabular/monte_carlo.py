"""Monte Carlo prediction and control: means of the returns that were seen.

R runs at once, and in each many episodes at a time: episodes under one policy are independent,
so for prediction nothing depends on how many are sampled together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from rlbook.formulas.exploration import epsilon_greedy_policy
from rlbook.formulas.returns import discounted_returns
from rlbook.ground import require
from rlbook.ground.progress import Interruptible, carry
from rlbook.ground.progress import progress as progress_bar
from rlbook.ground.require import check_memory
from rlbook.tabular.episodes import Episodes, Recorder
from rlbook.tabular.schedules import Schedule, as_schedule
from rlbook.tabular.tasks import Tables, Task

EPISODES_AT_A_TIME = 1_000


class MonteCarloValues(NamedTuple):
    values: torch.Tensor
    """(R, S), means of returns; 0 where a state was never visited."""
    counts: torch.Tensor
    """(R, S), N(s), how many returns each is the mean of."""
    interrupted: bool
    """Ended by Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class MonteCarloConfig:
    """How Monte Carlo control learns, and for how long."""

    num_episodes: int
    """Of each run."""
    epsilon: float | torch.Tensor | Schedule = 0.1
    """Of the epsilon-greedy behaviour: a number, (R,), or a schedule of the episodes so far."""
    step_size: float | None = None
    """None for 1 / N(s, a); else constant, with one episode per update only."""
    initial_q: float = 0.0
    start_pairs: torch.Tensor | None = None
    """(S, A), the distribution of (s_0, a_0): exploring starts. None for the start distribution."""
    episodes_per_update: int = 1
    """Sampled with one policy before it is improved."""
    max_steps: int | None = None
    """Cut longer episodes; a return that was cut counts as it is, as if nothing more had been
    earned."""

    def __post_init__(self) -> None:
        require.positive_integer("num_episodes", self.num_episodes)
        require.positive_integer("episodes_per_update", self.episodes_per_update)
        if self.step_size is not None and self.episodes_per_update != 1:
            raise ValueError("a constant step_size needs episodes_per_update=1")


class MonteCarloControl(NamedTuple):
    q: torch.Tensor
    """(R, S, A); -inf where an action is not allowed."""
    visits: torch.Tensor
    """(R, S, A), N(s, a)."""
    returns: torch.Tensor
    """(R, num_episodes), the plain sum of the rewards of each episode while learning; NaN where
    an interruption came first."""
    interrupted: bool
    """Ended by Ctrl-C."""


def first_visits(keys: torch.Tensor, mask: torch.Tensor, num_keys: int) -> torch.Tensor:
    """Where a key occurs for the first time in its episode, and within the mask.

    Args:
        keys: (..., T) integers in [0, num_keys): states, or state-action pairs.
        mask: (..., T) bool.

    Returns:
        (..., T) bool.
    """
    check_memory("visits (episodes, keys)", keys[..., 0].numel(), num_keys)
    first = torch.zeros_like(mask)
    seen = torch.zeros(*keys.shape[:-1], num_keys, dtype=torch.bool, device=keys.device)
    for t in range(keys.shape[-1]):
        key = keys[..., t : t + 1]
        first[..., t] = mask[..., t] & ~seen.gather(-1, key)[..., 0]
        seen.scatter_(-1, key, True)
    return first


def return_sums(
    keys: torch.Tensor, returns: torch.Tensor, counted: torch.Tensor, num_keys: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum and the number of the returns of each key, over the episodes of each run.

    Args:
        keys, returns, counted: (R, N, T).

    Returns:
        sums, counts: (R, num_keys) each.
    """
    sums, counts = torch.zeros(2, len(keys), num_keys, dtype=returns.dtype, device=returns.device)
    keys = keys.flatten(1)
    sums.scatter_add_(1, keys, torch.where(counted, returns, 0.0).flatten(1))
    counts.scatter_add_(1, keys, counted.to(returns.dtype).flatten(1))
    return sums, counts


def monte_carlo_prediction(
    task: Task,
    policy: torch.Tensor,
    *,
    num_episodes: int,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    first_visit: bool = True,
    seed: int = 0,
    episodes_at_a_time: int = EPISODES_AT_A_TIME,
    progress: bool = True,
) -> MonteCarloValues:
    """V(s) <- V(s) + [G - V(s)] / N(s), for first or for all visits. Eq. (7.6).

    Written as sums and counts, which is the same mean.

    Args:
        policy: (S,) integers or (S, A) probabilities; its episodes must end.
        first_visit: count only the first visit of a state in an episode.
        episodes_at_a_time: how many episodes are held in memory.

    Raises:
        ValueError: episodes cut by a time limit: their returns are not known.
        Exception: of an environment; `error.result` holds the means until then.

    Source: Sutton & Barto (2018), section 5.1.
    """
    recorder = Recorder(task, num_runs=num_runs, run_ids=run_ids, seed=seed)
    tables, starts = recorder.mdp, range(0, num_episodes, episodes_at_a_time)
    sums, counts = tables.reward.new_zeros(2, recorder.num_runs, tables.num_states)

    def learn(episodes: Episodes) -> None:
        new = monte_carlo_sums(tables, episodes, first_visit=first_visit)
        sums.add_(new[0])
        counts.add_(new[1])

    def result() -> MonteCarloValues:
        return MonteCarloValues(sums / counts.clamp(min=1), counts, learning.interrupted)

    with _Learning(recorder, learn, result) as learning:
        for start in progress_bar(starts, description="episodes", show=progress):
            size = min(episodes_at_a_time, num_episodes - start)
            learn(recorder.record(policy, size))
    return result()


class _Learning(Interruptible):
    """A block that ends as Interruptible does; any other exception carries its result away.

    What had been recorded when it came is learned from, and environments are closed.
    """

    def __init__(
        self,
        recorder: Recorder,
        learn: Callable[[Episodes], None],
        result: Callable[[], NamedTuple],
    ):
        self.recorder, self.learn, self.result = recorder, learn, result

    def __exit__(self, kind, error, trace) -> bool:
        interrupted = super().__exit__(kind, error, trace)
        self.recorder.close()
        if isinstance(recorded := getattr(error, "result", None), Episodes):
            self.learn(recorded)
        if isinstance(error, Exception):
            carry(error, self.result())
        return interrupted


def monte_carlo_sums(
    mdp: Tables, episodes: Episodes, *, first_visit: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums (R, S) and numbers (R, S) of the returns of each state in a record."""
    flags = (episodes.terminated, episodes.truncated)
    returns = discounted_returns(episodes.rewards, *flags, discount=mdp.discount)
    counted = episodes.mask
    if first_visit:
        counted = first_visits(episodes.states, counted, mdp.num_states)
    return return_sums(episodes.states, returns, counted, mdp.num_states)


def monte_carlo_control(
    task: Task,
    config: MonteCarloConfig,
    *,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> MonteCarloControl:
    """Q(s, a) <- Q(s, a) + [G - Q(s, a)] / N(s, a) for first visits, then improve. Eq. (7.16).

    The policy is epsilon-greedy in Q. With start_pairs and epsilon 0 this is Monte Carlo with
    exploring starts; with an epsilon such as `one_over_k()` it is greedy in the limit.

    The arguments but `config` are those of `ControlLoop`.

    Source: Sutton & Barto (2018), sections 5.3 and 5.4.
    """
    recorder = Recorder(task, num_runs=num_runs, run_ids=run_ids, seed=seed)
    R, tables = recorder.num_runs, recorder.mdp
    learner = _Averages(tables, R, config.initial_q, config.step_size)
    epsilon = as_schedule("epsilon", config.epsilon, R)
    starts = range(0, config.num_episodes, config.episodes_per_update)
    returns = tables.reward.new_full((R, config.num_episodes), torch.nan)

    def learn(episodes: Episodes) -> None:
        learner.learn(episodes)
        returns[:, start : start + episodes.rewards.shape[1]] = episodes.rewards.sum(-1)

    def result() -> MonteCarloControl:
        return MonteCarloControl(learner.q, learner.visits, returns, learning.interrupted)

    with _Learning(recorder, learn, result) as learning:
        for start in progress_bar(starts, description="episodes", show=progress):
            size = min(config.episodes_per_update, config.num_episodes - start)
            share = epsilon(torch.tensor(float(start))) if callable(epsilon) else epsilon
            policy = epsilon_greedy_policy(learner.q, torch.as_tensor(share).view(-1, 1, 1))
            episodes = recorder.record(
                policy, size, start_pairs=config.start_pairs, max_steps=config.max_steps
            )
            learn(episodes)
    return result()


class _Averages:
    """Q as the mean of first-visit returns, or with a constant step size."""

    def __init__(self, mdp: Tables, num_runs: int, initial_q: float, step_size: float | None):
        S, A = mdp.reward.shape
        check_memory("Q (R, S, A)", num_runs, S, A)
        self.mdp, self.step_size = mdp, step_size
        if step_size is not None:
            as_schedule("step_size", step_size, num_runs)
        self.q = mdp.reward.new_full((num_runs, S, A), float(initial_q))
        self.q.masked_fill_(~mdp.allowed, -torch.inf)
        self.visits = torch.zeros_like(self.q)

    def learn(self, episodes: Episodes) -> None:
        pairs = episodes.states * self.mdp.num_actions + episodes.actions
        ends = episodes.terminated | episodes.truncated
        returns = discounted_returns(
            episodes.rewards, ends, episodes.truncated, discount=self.mdp.discount
        )
        num_pairs = self.mdp.reward.numel()
        counted = first_visits(pairs, episodes.mask, num_pairs)
        sums, counts = return_sums(pairs, returns, counted, num_pairs)
        sums, counts = sums.view_as(self.q), counts.view_as(self.q)
        self.visits += counts
        share = 1 / self.visits.clamp(min=1) if self.step_size is None else self.step_size
        self.q = torch.where(counts > 0, self.q + share * (sums - counts * self.q), self.q)
