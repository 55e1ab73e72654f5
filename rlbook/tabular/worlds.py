"""R runs of a tabular task at once, each with a random stream of its own.

A step of all runs is a dozen operations on vectors of length R, whatever R is: with a thousand
runs the cost of Python is shared by a thousand steps. Run k's noise depends on (seed, k) only.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from rlbook.ground.draws import from_thresholds, thresholds
from rlbook.ground.seeding import run_generators
from rlbook.planning.mdp import MDP
from rlbook.tabular.env_tasks import EnvTask, RunEnvs
from rlbook.tabular.tasks import TabularTask

STEPS_PER_BLOCK = 256  # noise is drawn for so many steps of one run in one call


class WorldStep(NamedTuple):
    """One step of R runs, every field (R,)."""

    states: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    next_states: torch.Tensor
    """The state that was entered, also where the episode ended there; never a reset one."""
    terminated: torch.Tensor
    truncated: torch.Tensor
    """The time limit was reached; both flags may be set."""


class RunNoise:
    """Uniform numbers in [0, 1), `columns` for each step of each run, drawn in blocks."""

    def __init__(
        self,
        run_ids: Sequence[int],
        columns: int,
        *,
        seed: int,
        device: str | torch.device = "cpu",
    ):
        unique = sorted(set(run_ids))
        self.generators = run_generators(seed, run_ids=unique)
        self.rows = torch.empty(len(unique), STEPS_PER_BLOCK * columns)
        place = {run: row for row, run in enumerate(unique)}
        repeated = list(run_ids) != unique
        self.places = torch.tensor([place[run] for run in run_ids]) if repeated else None
        self.columns, self.device = columns, device
        self.block: list[tuple[torch.Tensor, ...]] = []

    def next(self) -> tuple[torch.Tensor, ...]:
        """The noise of the next step: `columns` vectors (R,), float32."""
        if not self.block:
            for row, generator in zip(self.rows, self.generators, strict=True):
                row.uniform_(generator=generator)
            rows = self.rows if self.places is None else self.rows[self.places]
            block = rows.T.contiguous().to(self.device)
            block = block.view(STEPS_PER_BLOCK, self.columns, -1).flip(0)  # pop takes the last
            self.block = [step.unbind() for step in block.unbind()]
        return self.block.pop()


class TabularWorld:
    """R walkers in one task. A run that ends is reset at once, and `step` still tells the truth
    about the state that it entered.

    Attributes:
        noise_columns: how many uniform numbers a step takes; fewer where nothing is random.
        states: (R,) int64, where each run is now.
        ended: (R,) bool, whether the last step ended an episode.
        active: (R,) bool, the runs that still learn; here all act on, as that costs nothing.
    """

    active: torch.Tensor

    def __init__(self, task: TabularTask):
        mdp = task.mdp
        self.task, self.num_actions, self.terminal = task, mdp.num_actions, mdp.terminal
        self.outcomes = Outcomes.of(mdp)
        self.start = thresholds(mdp.start)
        self.random_step = len(self.outcomes.thresholds) > 0
        self.only_start = int(mdp.start.argmax()) if mdp.start.max() == 1 else None
        self.reward_std = None if task.reward_std is None else task.reward_std.flatten()
        self.noise_columns = 1 + self.random_step + (self.reward_std is not None)

    def reset(self, noise: torch.Tensor) -> None:
        """Begin an episode in every run, from noise (R,) in [0, 1)."""
        self.states = from_thresholds(self.start, noise)
        self.elapsed = torch.zeros_like(self.states)
        self.ended = self.never = torch.zeros_like(self.states, dtype=torch.bool)

    def step(self, actions: torch.Tensor, noise: Sequence[torch.Tensor]) -> WorldStep:
        """Act in every run.

        Args:
            actions: (R,) int64.
            noise: `noise_columns` vectors (R,), uniform in [0, 1): the first for the start of
                the next episode, then for the successor, then for the reward's noise.
        """
        states, pairs = self.states, torch.add(actions, self.states, alpha=self.num_actions)
        outcomes = self.outcomes.draw(pairs, noise[1]) if self.random_step else pairs
        next_states = self.outcomes.next_states.index_select(0, outcomes)
        rewards = self.outcomes.rewards.index_select(0, outcomes)
        if self.reward_std is not None:
            normal = torch.special.ndtri(noise[self.noise_columns - 1].double().clamp(min=2.0**-25))
            rewards = rewards + self.reward_std[pairs] * normal
        terminated, truncated = self.terminal.index_select(0, next_states), self.never
        self.ended = terminated
        if self.task.max_episode_steps is not None:
            self.elapsed += 1
            truncated = self.elapsed >= self.task.max_episode_steps
            self.ended = terminated | truncated
            self.elapsed.masked_fill_(self.ended, 0)
        if self.only_start is None:
            starts = from_thresholds(self.start, noise[0])
            self.states = torch.where(self.ended, starts, next_states)
        else:
            self.states = torch.where(self.ended, self.only_start, next_states)
        return WorldStep(states, actions, rewards, next_states, terminated, truncated)

    def close(self) -> None:
        """Nothing to close."""


class EnvWorld:
    """A TabularWorld of R environments, one for each run, stepped in turn.

    Attributes: those of TabularWorld. Noise is the environments' own. A run that is not active
    rests: its environment is not stepped.
    """

    noise_columns = 0
    active: torch.Tensor

    def __init__(self, task: EnvTask, run_ids: Sequence[int], *, seed: int):
        self.envs = RunEnvs(task, run_ids, seed=seed)

    def reset(self, noise: torch.Tensor) -> None:
        """Make the environments, and begin an episode in each; the noise is not used."""
        self.states = torch.tensor([env.reset() for env in self.envs.open()])
        self.ended = torch.zeros_like(self.states, dtype=torch.bool)
        self.active = torch.ones_like(self.ended)

    def step(self, actions: torch.Tensor, noise: Sequence[torch.Tensor]) -> WorldStep:
        """Act in every run that is active, (R,) int64.

        Raises:
            ValueError: an environment that answers what no table can learn: see RunEnv.
        """
        before, after, rows = self.states, self.states.tolist(), []
        active = self.active.tolist()
        for k, (env, action) in enumerate(zip(self.envs.made, actions.tolist(), strict=True)):
            row = env.step(action) if active[k] else (0.0, after[k], False, False)
            rows.append(row)
            _, next_state, terminated, truncated = row
            after[k] = env.reset() if terminated or truncated else next_state
        rewards, next_states, terminations, truncations = map(list, zip(*rows, strict=True))
        terminated, truncated = torch.tensor([terminations, truncations])
        self.states, self.ended = torch.tensor(after), terminated | truncated
        return WorldStep(
            states=before,
            actions=actions,
            rewards=torch.tensor(rewards, dtype=torch.float64),
            next_states=torch.tensor(next_states),
            terminated=terminated,
            truncated=truncated,
        )

    def close(self) -> None:
        self.envs.close()


def world_of(
    task: TabularTask | EnvTask, run_ids: Sequence[int], *, seed: int
) -> TabularWorld | EnvWorld:
    """The world in which these runs learn a task."""
    if isinstance(task, EnvTask):
        return EnvWorld(task, run_ids, seed=seed)
    return TabularWorld(task)


class Outcomes(NamedTuple):
    """What can follow each state-action pair (s, a), numbered s A + a, in flat tables."""

    thresholds: torch.Tensor
    """(K - 1, S A) float32: outcome k is drawn by a number from threshold k - 1 up to k."""
    next_states: torch.Tensor
    """(S A K,) int64."""
    rewards: torch.Tensor
    """(S A K,)."""

    @classmethod
    def of(cls, mdp: MDP) -> "Outcomes":
        S, A = mdp.reward.shape
        pairs = torch.arange(S * A, device=mdp.reward.device)
        next_states, probabilities = mdp.kernel.gather(pairs // A, pairs % A)  # (S A, K)
        rewards = mdp.reward.reshape(S * A, 1).expand_as(probabilities)
        if mdp.successor_reward is not None:
            rewards = mdp.successor_reward.reshape(S * A, -1)
        order = (probabilities <= 0).long().argsort(dim=1, stable=True)  # possible ones first
        order = order[:, : int((probabilities > 0).sum(1).max())]
        tables = [x.gather(1, order) for x in (probabilities, next_states, rewards)]
        probabilities, next_states, rewards = tables
        limits = thresholds(probabilities).T.contiguous()
        return cls(limits, next_states.flatten().long(), rewards.flatten())

    def draw(self, pairs: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Where in the tables the outcomes of pairs (R,) stand, from noise (R,) in [0, 1)."""
        drawn = (noise >= self.thresholds.index_select(1, pairs)).sum(0)
        return torch.add(drawn, pairs, alpha=len(self.thresholds) + 1)
