"""Recorded episodes of R runs that follow fixed policies, padded to one length.

What a policy earns does not depend on what we learn from it, so prediction learns from a record:
every method, every step size, and every n or lambda then sees the same episodes.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import torch

from rlbook.ground import require
from rlbook.ground.draws import from_thresholds, thresholds
from rlbook.ground.progress import carry
from rlbook.ground.require import check_memory
from rlbook.ground.seeding import Streams, chosen_runs
from rlbook.tabular.env_tasks import EnvTask, RunEnv, RunEnvs
from rlbook.tabular.tasks import Task, as_task
from rlbook.tabular.worlds import STEPS_PER_BLOCK, Outcomes

ENDLESS = 100_000  # an episode of so many steps, without a limit, is taken not to end
NUMBERS_PER_BLOCK = 4_096


class Episodes(NamedTuple):
    """Episodes, every field (R, N, T): runs, episodes, steps.

    After the end of an episode `mask` is False, rewards are 0, and `terminated` is True, so that
    the functions of `rlbook.formulas.returns` need no mask.
    """

    states: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    next_states: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    """The time limit, or max_steps, was reached; both flags may be set."""
    mask: torch.Tensor
    """The step belongs to the episode."""

    def lengths(self) -> torch.Tensor:
        """(R, N), the number of steps of each episode."""
        return self.mask.sum(-1)


def record_episodes(
    task: Task,
    policy: torch.Tensor,
    *,
    num_episodes: int,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    start_pairs: torch.Tensor | None = None,
    max_steps: int | None = None,
) -> Episodes:
    """num_episodes episodes of every run, from the start distribution.

    Args:
        policy: (S,) integers, (S, A) probabilities, or one policy for each run, (R, S, A).
        start_pairs: (S, A), a distribution of (s_0, a_0): exploring starts.
        max_steps: truncate here; by default the task's time limit.

    Raises:
        ValueError: no valid policy; an episode that does not end, and no limit to cut it;
            start_pairs for an environment without a model.
        Exception: of an environment; `error.result` holds the episodes that all runs had ended.
    """
    with Recorder(task, num_runs=num_runs, run_ids=run_ids, seed=seed) as recorder:
        return recorder.record(policy, num_episodes, start_pairs=start_pairs, max_steps=max_steps)


class Recorder:
    """Records one batch of episodes after another; each run has a stream of its own.

    Environments without a model are closed at the end of a block `with` the recorder, or by
    `close`.
    """

    def __init__(
        self,
        task: Task,
        *,
        num_runs: int | None = None,
        run_ids: Sequence[int] | None = None,
        seed: int = 0,
        family: tuple[int, ...] = (),
    ):
        """
        Args:
            family: recorders of different families draw independent numbers, as Streams do.
        """
        self.task = as_task(task)
        self.mdp, run_ids = self.task.tables, chosen_runs(num_runs, run_ids)
        self.generators = Streams(seed, run_ids, family=family).generators
        self.num_runs = len(self.generators)
        self.envs: RunEnvs | None = None
        if isinstance(self.task, EnvTask):
            self.envs = RunEnvs(self.task, run_ids, seed=seed, family=family)
            self.uniforms = [_uniforms(generator) for generator in self.generators]
        else:
            self.outcomes, self.start = Outcomes.of(self.task.mdp), self.task.mdp.start
            self.reward_std = self.task.reward_std

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the environments, if there are any."""
        if self.envs is not None:
            self.envs.close()

    def record(
        self,
        policy: torch.Tensor,
        num_episodes: int,
        *,
        start_pairs: torch.Tensor | None = None,
        max_steps: int | None = None,
    ) -> Episodes:
        """The next num_episodes episodes of each run: see record_episodes."""
        require.positive_integer("num_episodes", num_episodes)
        check_memory("episodes (R, N)", self.num_runs, num_episodes)
        limit = max_steps or self.task.max_episode_steps
        policy = self._policy(policy)
        if self.envs is not None:
            return self._played(self.envs, policy, num_episodes, start_pairs, limit)
        numbers = self._numbers(num_episodes)
        states, first_actions = self._starts(next(numbers), start_pairs)
        walkers = torch.arange(len(states), device=states.device)
        steps: list[tuple[torch.Tensor, ...]] = []
        while len(walkers):
            noise = next(numbers)[:, walkers]
            rows = (
                states
                if policy.ndim == 2
                else states + self.mdp.num_states * (walkers // num_episodes)
            )
            actions = (noise[0].unsqueeze(1) >= policy.flatten(0, -2)[rows]).sum(1)
            actions = actions if steps or first_actions is None else first_actions
            step = self._step(states, actions, noise)
            cut = torch.full_like(step[-1], len(steps) + 1 == limit)
            steps.append((walkers, *step, cut))
            goes_on = ~(step[-1] | cut)
            walkers, states = walkers[goes_on], step[3][goes_on]
            _check_length(len(steps), limit)
        return self._padded(steps, num_episodes)

    def _played(
        self,
        envs: RunEnvs,
        policy: torch.Tensor,
        num_episodes: int,
        start_pairs: torch.Tensor | None,
        limit: int | None,
    ) -> Episodes:
        """The same from environments, one episode of each run after another."""
        if start_pairs is not None:
            raise ValueError(
                f"start_pairs needs a model: {self.task} begins where its reset() puts it"
            )
        limits = policy.expand(self.num_runs, *policy.shape[-2:]).numpy()
        episodes: list[list[Row]] = []
        try:
            for _ in range(num_episodes):
                for env, own, uniforms in zip(envs.open(), limits, self.uniforms, strict=True):
                    episodes.append(_episode(env, own, uniforms, limit))
        except BaseException as error:
            if whole := len(episodes) // self.num_runs:
                carry(error, self._lined_up(episodes[: whole * self.num_runs]))
            raise
        return self._lined_up(episodes)

    def _lined_up(self, episodes: list[list["Row"]]) -> Episodes:
        """Episodes of run 0, 1, ..., R - 1, 0, ... as tensors."""
        N, T = len(episodes) // self.num_runs, max(len(episode) for episode in episodes)
        in_order = [episodes[e * self.num_runs + k] for k in range(self.num_runs) for e in range(N)]
        steps: list[tuple[torch.Tensor, ...]] = []
        for t in range(T):
            walkers = [k for k, episode in enumerate(in_order) if len(episode) > t]
            columns = zip(*(in_order[k][t] for k in walkers), strict=True)
            states, actions, rewards, *others = (torch.tensor(column) for column in columns)
            steps.append((torch.tensor(walkers), states, actions, rewards.double(), *others))
        return self._padded(steps, N)

    def _numbers(self, num_episodes: int) -> Iterator[torch.Tensor]:
        """(4, R N) uniform numbers for one step after another.

        Each run draws one number from its own stream, the seed of this batch: how long the
        other runs' episodes last cannot matter then.
        """
        seeds = [int(torch.randint(2**62, (), generator=g)) for g in self.generators]
        streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        steps = max(1, NUMBERS_PER_BLOCK // num_episodes)
        block = torch.empty(self.num_runs, steps * 4 * num_episodes)
        while True:
            for row, stream in zip(block, streams, strict=True):
                row.uniform_(generator=stream)
            by_step = block.view(self.num_runs, steps, 4, num_episodes).permute(1, 2, 0, 3)
            yield from by_step.reshape(steps, 4, -1).contiguous().to(self.mdp.reward.device)

    def _policy(self, policy: torch.Tensor) -> torch.Tensor:
        """Thresholds of the policy's actions, (S, A - 1) or (R, S, A - 1)."""
        policy = torch.as_tensor(policy, device=self.mdp.reward.device)
        if policy.ndim < 3:
            return thresholds(self.mdp.policy_probabilities(policy))
        if len(policy) != self.num_runs:
            raise ValueError(f"policy has {len(policy)} runs; there are {self.num_runs}")
        return thresholds(torch.stack([self.mdp.policy_probabilities(one) for one in policy]))

    def _starts(
        self, noise: torch.Tensor, start_pairs: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """s_0 (R N,), and a_0 where the starts explore, else None."""
        if start_pairs is None:
            return from_thresholds(thresholds(self.start), noise[0]), None
        if start_pairs.shape != self.mdp.reward.shape or not (start_pairs >= 0).all():
            raise ValueError(f"start_pairs must be {tuple(self.mdp.reward.shape)}, not negative")
        pairs = from_thresholds(thresholds(start_pairs.flatten()), noise[0])
        return pairs // self.mdp.num_actions, pairs % self.mdp.num_actions

    def _step(
        self, states: torch.Tensor, actions: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """states, actions, rewards, next_states, terminated, all of the walkers that go on."""
        pairs = states * self.mdp.num_actions + actions
        outcomes = self.outcomes.draw(pairs, noise[1])
        next_states, rewards = self.outcomes.next_states[outcomes], self.outcomes.rewards[outcomes]
        if self.reward_std is not None:
            normal = torch.special.ndtri(noise[2].double().clamp(min=2.0**-25))
            rewards = rewards + self.reward_std.flatten()[pairs] * normal
        return states, actions, rewards, next_states, self.mdp.terminal[next_states]

    def _padded(self, steps: list[tuple[torch.Tensor, ...]], num_episodes: int) -> Episodes:
        N, T = self.num_runs * num_episodes, len(steps)
        check_memory("episodes (R, N, T)", self.num_runs, num_episodes, T)
        fields = [torch.zeros(T, N, dtype=x.dtype, device=x.device) for x in steps[0][1:]]
        fields[4].fill_(True)  # terminated, in the padding
        mask = torch.zeros_like(fields[4])
        for t, (walkers, *values) in enumerate(steps):
            mask[t, walkers] = True
            for field, value in zip(fields, values, strict=True):
                field[t, walkers] = value
        shape = (self.num_runs, num_episodes, T)
        return Episodes(*(x.T.reshape(shape) for x in (*fields, mask)))


Row = tuple[int, int, float, int, bool, bool]
"""A step of one environment: state, action, reward, next state, terminated, truncated."""


def _episode(
    env: RunEnv, limits: np.ndarray, uniforms: Iterator[float], limit: int | None
) -> list[Row]:
    """One episode under a policy, given as thresholds (S, A - 1) of its actions."""
    steps: list[Row] = []
    state, ended = env.reset(), False
    while not ended:
        action = bisect_right(limits[state], next(uniforms))
        reward, next_state, terminated, truncated = env.step(action)
        truncated |= len(steps) + 1 == limit
        steps.append((state, action, reward, next_state, terminated, truncated))
        state, ended = next_state, terminated or truncated
        if not ended:
            _check_length(len(steps), limit)
    return steps


def _uniforms(generator: torch.Generator) -> Iterator[float]:
    """Numbers in [0, 1) without end, drawn in blocks."""
    while True:
        yield from torch.rand(STEPS_PER_BLOCK, generator=generator).tolist()


def _check_length(steps: int, limit: int | None) -> None:
    if limit is None and steps >= ENDLESS:
        raise ValueError(f"an episode has not ended in {ENDLESS:,} steps; give max_steps")
