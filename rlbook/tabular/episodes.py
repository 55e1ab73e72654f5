"""Recorded episodes of R runs that follow fixed policies, padded to one length.

What a policy earns does not depend on what we learn from it, so prediction learns from a record:
every method, every step size, and every n or lambda then sees the same episodes.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from rlbook.ground.draws import thresholds
from rlbook.ground.require import check_memory, check_positive_integer
from rlbook.ground.seeding import run_generators
from rlbook.planning.mdp import MDP
from rlbook.tabular.tasks import TabularTask, as_task
from rlbook.tabular.worlds import Outcomes

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
    task: MDP | TabularTask,
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
        ValueError: no valid policy; an episode that does not end, and no limit to cut it.
    """
    recorder = Recorder(task, num_runs=num_runs, run_ids=run_ids, seed=seed)
    return recorder.record(policy, num_episodes, start_pairs=start_pairs, max_steps=max_steps)


class Recorder:
    """Records one batch of episodes after another; each run has a stream of its own."""

    def __init__(
        self,
        task: MDP | TabularTask,
        *,
        num_runs: int | None = None,
        run_ids: Sequence[int] | None = None,
        seed: int = 0,
    ):
        self.task = as_task(task)
        self.mdp, self.outcomes = self.task.mdp, Outcomes.of(self.task.mdp)
        self.generators = run_generators(seed, num_runs, run_ids)
        self.num_runs = len(self.generators)

    def record(
        self,
        policy: torch.Tensor,
        num_episodes: int,
        *,
        start_pairs: torch.Tensor | None = None,
        max_steps: int | None = None,
    ) -> Episodes:
        """The next num_episodes episodes of each run: see record_episodes."""
        check_positive_integer("num_episodes", num_episodes)
        check_memory("episodes (R, N)", self.num_runs, num_episodes)
        limit = max_steps or self.task.max_episode_steps
        numbers, policy = self._numbers(num_episodes), self._policy(policy)
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
            if limit is None and len(steps) == ENDLESS:
                raise ValueError(f"an episode has not ended in {ENDLESS:,} steps; give max_steps")
        return self._padded(steps, num_episodes)

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
            return torch.searchsorted(thresholds(self.mdp.start), noise[0], right=True), None
        if start_pairs.shape != self.mdp.reward.shape or not (start_pairs >= 0).all():
            raise ValueError(f"start_pairs must be {tuple(self.mdp.reward.shape)}, not negative")
        pairs = torch.searchsorted(thresholds(start_pairs.flatten()), noise[0], right=True)
        return pairs // self.mdp.num_actions, pairs % self.mdp.num_actions

    def _step(
        self, states: torch.Tensor, actions: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """states, actions, rewards, next_states, terminated, all of the walkers that go on."""
        pairs = states * self.mdp.num_actions + actions
        outcomes = self.outcomes.draw(pairs, noise[1])
        next_states, rewards = self.outcomes.next_states[outcomes], self.outcomes.rewards[outcomes]
        if self.task.reward_std is not None:
            normal = torch.special.ndtri(noise[2].double().clamp(min=2.0**-25))
            rewards = rewards + self.task.reward_std.flatten()[pairs] * normal
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
