"""What the control learners of chapters 09 and 10 share: R tables, an epsilon-greedy behaviour,
and the loop that acts, counts and evaluates. The update itself is each learner's own line.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import torch
from tqdm.auto import tqdm

from rlbook.ground import require
from rlbook.ground.progress import Interruptible, carry
from rlbook.ground.progress import progress as progress_bar
from rlbook.ground.require import check_memory
from rlbook.ground.seeding import chosen_runs
from rlbook.tabular.env_tasks import EnvTask
from rlbook.tabular.evaluation import greedy_returns, sampled_returns
from rlbook.tabular.schedules import Schedule, as_schedule
from rlbook.tabular.tasks import Tables, Task, as_task
from rlbook.tabular.worlds import RunNoise, world_of


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """How a control learner learns, for how long, and how it is evaluated on the way."""

    num_steps: int | None = None
    """Each run takes so many steps, whatever its episodes."""
    num_episodes: int | None = None
    """Instead: each run learns for so many episodes, then waits for the others."""
    step_size: float | torch.Tensor | Schedule = 0.1
    """alpha: a number, one for each run (R,), or a schedule of N(s, a)."""
    epsilon: float | torch.Tensor | Schedule = 0.1
    """Of the epsilon-greedy behaviour: a number, (R,), or a schedule of finished episodes
    (with num_episodes) or steps (with num_steps)."""
    initial_q: float | torch.Tensor = 0.0
    """A number, (S, A), or (R, S, A)."""
    evaluate_every: int | None = None
    """Evaluate after each so many steps, and before the first."""
    evaluate: Callable[[torch.Tensor], torch.Tensor] | None = None
    """(R, S, A) -> (R,); by default the exact mean return of the greedy policy, or, without a
    model, its mean in `evaluation_episodes`, played in environments of their own."""
    evaluation_episodes: int = 20
    """Of each run in each evaluation, where there is no model; cut after 1,000 steps if the
    task has no time limit."""

    def __post_init__(self) -> None:
        if (self.num_steps is None) == (self.num_episodes is None):
            raise ValueError("give exactly one of num_steps and num_episodes")
        for name in ("num_steps", "num_episodes", "evaluate_every", "evaluation_episodes"):
            number = getattr(self, name)
            if number is not None:
                require.positive_integer(name, number)


@dataclass(frozen=True, eq=False)
class ControlResult:
    """What a control learner hands back, also when it is interrupted."""

    q: torch.Tensor
    """(R, S, A); -inf where an action is not allowed."""
    visits: torch.Tensor
    """(R, S, A), N(s, a)."""
    returns: torch.Tensor | None
    """(R, num_episodes), the plain sum of the rewards of each episode while learning; NaN where
    an interruption came first. None if the length was given by num_steps."""
    lengths: torch.Tensor | None
    """(R, num_episodes), the number of steps of each episode."""
    steps: int
    """How many steps the longest run took."""
    evaluations: torch.Tensor | None
    """(R, num_evals), by `evaluate`: exact, or means of `config.evaluation_episodes`."""
    evaluation_steps: torch.Tensor | None
    """(num_evals,), the steps per run before each evaluation."""
    interrupted: bool
    """Ended by Ctrl-C."""


class ControlStep(NamedTuple):
    """One step of R runs, with what an update needs; every field (R,)."""

    states: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    next_states: torch.Tensor
    """The true ones, also where the episode ended."""
    terminated: torch.Tensor
    truncated: torch.Tensor
    next_actions: torch.Tensor
    """a_{t+1}, chosen in next_states before anything is updated; empty unless asked for."""
    pairs: torch.Tensor
    """Where Q(s, a) of each run stands in `QTable.flat`."""
    alpha: float | torch.Tensor
    """The step size; 0 in runs that have finished their episodes."""
    epsilon: float | torch.Tensor
    """Of the epsilon-greedy policy that acted."""
    noise: list[torch.Tensor]
    """More uniform numbers: two that chose next_actions, and as many as asked for."""


class QTable:
    """Q(s, a) of R runs, stored action first: what a step reads is then A vectors of length R."""

    def __init__(self, num_runs: int, mdp: Tables, initial: float | torch.Tensor = 0.0):
        S, A = mdp.reward.shape
        check_memory("the table Q (R, S, A)", num_runs, S, A)
        start = torch.as_tensor(initial, dtype=mdp.reward.dtype).expand(num_runs, S, A)
        start = start.to(mdp.reward.device).masked_fill(~mdp.allowed, -torch.inf)
        self.by_action = start.permute(2, 0, 1).reshape(A, num_runs * S).contiguous()
        self.flat = self.by_action.view(-1)
        self.first_row = torch.arange(num_runs, device=start.device) * S
        self.shape = (num_runs, S, A)
        self.terminal = mdp.terminal.unsqueeze(1) & mdp.allowed  # (S, A)

    def rows(self, states: torch.Tensor) -> torch.Tensor:
        """Q(s, .) of each run's own state, (R,) -> (A, R)."""
        return self.by_action.index_select(1, self.first_row + states)

    def index(self, states: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Where Q(s, a) of each run stands in `flat`, (R,)."""
        return torch.add(self.first_row + states, actions, alpha=self.by_action.shape[1])

    def of(self, states: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Q(s, a) of each run's own pair, (R,)."""
        return self.flat.index_select(0, self.index(states, actions))

    def move(self, pairs: torch.Tensor, alpha: float | torch.Tensor, target: torch.Tensor) -> None:
        """Q(s, a) <- Q(s, a) + alpha (target - Q(s, a)), all arguments (R,), pairs by `index`."""
        error = target - self.flat.index_select(0, pairs)
        self.flat.index_add_(0, pairs, alpha * error)

    def count(self, pairs: torch.Tensor, counted: torch.Tensor) -> None:
        """N(s, a) <- N(s, a) + counted, all arguments (R,), pairs by `index`."""
        self.flat.index_add_(0, pairs, counted)

    def tensor(self) -> torch.Tensor:
        """(R, S, A), with 0 at terminal states: what stands there in the table means nothing."""
        R, S, A = self.shape
        return self.by_action.view(A, R, S).permute(1, 2, 0).masked_fill(self.terminal, 0.0)


def epsilon_greedy_actions(
    q: torch.Tensor,
    epsilon: float | torch.Tensor,
    explore: torch.Tensor,
    pick: torch.Tensor,
    *,
    all_allowed: bool = False,
) -> torch.Tensor:
    """Draw actions from exploration.epsilon_greedy_policy, in one go. Eq. (6.12).

    With probability epsilon every allowed action is eligible, otherwise only the best ones;
    among those that are eligible all are equally likely.

    Args:
        q: (A, R); -inf where an action is not allowed.
        epsilon: a number or (R,).
        explore, pick: (R,) each, uniform in [0, 1).
        all_allowed: every action exists, so that there is no -inf to look for.

    Returns:
        (R,) int64.
    """
    eligible = q == q.amax(0)
    eligible |= explore < epsilon if all_allowed else (explore < epsilon) & (q > -torch.inf)
    order = eligible.cumsum(0, dtype=pick.dtype)
    return (order <= pick * order[-1]).sum(0)


class EpisodeLog:
    """The plain sum of rewards and the length of each run's first N episodes.

    A run that has finished them acts on, and whatever comes then falls into an extra column.
    """

    def __init__(self, num_runs: int, num_episodes: int | None, like: torch.Tensor):
        self.num_episodes, columns = num_episodes, (num_episodes or 0) + 1
        check_memory("the returns (R, num_episodes)", num_runs, columns)
        self._returns = like.new_zeros(num_runs * columns)
        self._lengths = like.new_zeros(num_runs * columns)
        self.first = torch.arange(num_runs, device=like.device) * columns
        self.episodes = torch.zeros_like(self.first)
        self.active = torch.ones_like(self.first, dtype=torch.bool)
        self.counted = like.new_ones(num_runs)
        """(R,), 1 where the run still learns, else 0."""

    def add(self, rewards: torch.Tensor, ended: torch.Tensor) -> None:
        if self.num_episodes is None:
            return
        place = self.first + self.episodes
        self._returns.index_add_(0, place, rewards)
        self._lengths.index_add_(0, place, torch.ones_like(rewards))
        self.episodes = (self.episodes + ended).clamp_(max=self.num_episodes)
        self.active = self.episodes < self.num_episodes
        self.counted = self.active.to(rewards.dtype)

    def returns(self) -> torch.Tensor | None:
        """(R, N), NaN in episodes that did not end; None where episodes are not recorded."""
        return self._finished(self._returns)

    def lengths(self) -> torch.Tensor | None:
        return self._finished(self._lengths)

    def _finished(self, table: torch.Tensor) -> torch.Tensor | None:
        if self.num_episodes is None:
            return None
        table = table.view(len(self.first), -1)[:, :-1]
        index = torch.arange(self.num_episodes, device=table.device)
        return table.masked_fill(index >= self.episodes.unsqueeze(1), torch.nan)


class ControlLoop(Interruptible):
    """Acts in R runs and counts; `steps` yields what happened, and the learner updates.

    Ctrl-C ends a block `with` the loop, and `result` hands back what was learned until then. Any
    other exception in it carries that result away, as `error.result`.
    """

    def __init__(
        self,
        task: Task,
        config: ControlConfig,
        *,
        num_runs: int | None = None,
        run_ids: Sequence[int] | None = None,
        seed: int = 0,
        progress: bool = True,
    ):
        """
        Args:
            task: what is learned; `tabular_task` makes one of a Gymnasium environment, with its
                model or without.
            config: how it is learned, and for how long.
            num_runs: R independent runs, 0 .. R - 1.
            run_ids: instead, these runs. An id may occur more than once, for a sweep over step
                sizes that gives every step size the same random numbers.
            seed: the random numbers of run k depend on (seed, k) only.
            progress: show a bar.

        Raises:
            ValueError: not exactly one of num_runs and run_ids; no task; a step size or an
                epsilon that is not in [0, 1]; more than fits in memory.
        """
        self.task, self.config, self.progress = as_task(task), config, progress
        self.mdp, self.discount = self.task.tables, self.task.tables.discount
        self.seed, self.runs = seed, chosen_runs(num_runs, run_ids)
        R = self.num_runs = len(self.runs)
        self.epsilon = as_schedule("epsilon", config.epsilon, R, self.mdp.reward)
        self.step_size = as_schedule("step_size", config.step_size, R, self.mdp.reward)
        self.visits = self.counts()
        self.log = EpisodeLog(R, config.num_episodes, self.mdp.reward)
        self.world = world_of(self.task, self.runs, seed=seed)
        self.taken = 0
        self.q: QTable | None = None
        self.evaluations: list[torch.Tensor] = []
        self.evaluation_steps: list[int] = []

    def __exit__(self, kind, error, trace) -> bool:
        if isinstance(error, Exception) and self.q is not None:
            carry(error, self.result(self.q.tensor()))
        return super().__exit__(kind, error, trace)

    def table(self) -> QTable:
        return QTable(self.num_runs, self.mdp, self.config.initial_q)

    def counts(self) -> QTable:
        """N(s, a), all 0."""
        counts = QTable(self.num_runs, self.mdp)
        counts.flat.zero_()
        return counts

    def steps(
        self, q: QTable, *, next_actions: bool = False, extra_noise: int = 0
    ) -> Iterator[ControlStep]:
        """Step after step, until every run has learned for long enough.

        Args:
            q: the behaviour is epsilon-greedy in it.
            next_actions: also choose a_{t+1}, and act by it in the next step, as SARSA does.
            extra_noise: how many uniform numbers a step hands to the learner.

        Raises:
            ValueError: an environment that answers what no table can learn: see RunEnv.
        """
        self.q = q
        with closing(self.world):
            yield from self._steps(q, next_actions, extra_noise)

    def _steps(self, q: QTable, next_actions: bool, extra_noise: int) -> Iterator[ControlStep]:
        world, carried = self.world, torch.empty(0, dtype=torch.int64)
        choose = partial(epsilon_greedy_actions, all_allowed=self.mdp.all_allowed)
        columns = 2 + world.noise_columns + 2 * next_actions + extra_noise
        numbers = RunNoise(self.runs, columns, seed=self.seed, device=self.mdp.reward.device)
        world.reset(numbers.next()[0])
        while self._goes_on(q):
            explore, pick, *noise = numbers.next()
            epsilon = self._epsilon_now()
            actions = choose(q.rows(world.states), epsilon, explore, pick)
            if next_actions and self.taken > 0:
                actions = torch.where(world.ended, actions, carried)
            step = world.step(actions, noise)
            extra = noise[world.noise_columns :]
            if next_actions:
                carried = choose(q.rows(step.next_states), epsilon, *extra[:2])
            pairs = q.index(step.states, actions)
            self.visits.count(pairs, self.log.counted)
            alpha = self.alpha(self.visits, pairs)
            yield ControlStep(*step, carried, pairs, alpha, epsilon, extra)
            self.log.add(step.rewards, world.ended)
            world.active = self.log.active
            self.taken += 1

    def _goes_on(self, q: QTable) -> bool:
        """Evaluate and show progress where it is time; is there more to learn?"""
        every, num_steps = self.config.evaluate_every, self.config.num_steps
        if every is not None and self.taken % every == 0:
            evaluate = self.config.evaluate or self._evaluate
            self.evaluations.append(evaluate(q.tensor()))
            self.evaluation_steps.append(self.taken)
        if self.progress and self.taken % 256 == 0:
            learned = self.taken if num_steps else int(self.log.episodes.min())
            self.bar.update(learned - self.bar.n)
        return self.taken < num_steps if num_steps else bool(self.log.active.any())

    def _evaluate(self, q: torch.Tensor) -> torch.Tensor:
        if not isinstance(self.task, EnvTask):
            return greedy_returns(self.task, q)
        number, runs = self.config.evaluation_episodes, self.runs
        return sampled_returns(self.task, q, num_episodes=number, run_ids=runs, seed=self.seed)

    @cached_property
    def bar(self) -> tqdm:
        config = self.config
        unit = "steps" if config.num_steps else "episodes of the slowest run"
        return progress_bar(total=config.num_steps or config.num_episodes, description=unit)

    def _epsilon_now(self) -> float | torch.Tensor:
        if not callable(self.epsilon):
            return self.epsilon
        learned = self.log.episodes
        if self.config.num_steps is not None:
            learned = torch.full_like(learned, self.taken)
        return self.epsilon(learned * 1.0)

    def alpha(self, visits: QTable, pairs: torch.Tensor) -> float | torch.Tensor:
        """The step size after so many visits of the pairs (R,); 0 in runs that have finished."""
        alpha = self.step_size
        if callable(alpha):
            alpha = alpha(visits.flat.index_select(0, pairs))
        everyone_learns = self.config.num_steps is not None
        return alpha if everyone_learns else alpha * self.log.counted

    def result(self, q: torch.Tensor) -> ControlResult:
        """What to hand back, from Q (R, S, A)."""
        if self.progress:
            self.bar.close()
        evaluations = torch.stack(self.evaluations, dim=1) if self.evaluations else None
        return ControlResult(
            q=q,
            visits=self.visits.tensor(),
            returns=self.log.returns(),
            lengths=self.log.lengths(),
            steps=self.taken,
            evaluations=evaluations,
            evaluation_steps=torch.tensor(self.evaluation_steps) if self.evaluations else None,
            interrupted=self.interrupted,
        )
