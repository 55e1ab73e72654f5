"""Control by temporal differences, R runs at once: Q-learning, SARSA, and their relatives.

All take the arguments of `rlbook.tabular.ControlLoop`: a task, a `ControlConfig`, and which runs.
The task may be an environment without a model: `tabular_task(env, discount=..., model=False)`.
"""

from collections.abc import Sequence

import torch

from rlbook.formulas.exploration import epsilon_greedy_policy
from rlbook.formulas.returns import td_errors, td_targets
from rlbook.ground import require
from rlbook.tabular.control_loop import (
    ControlConfig,
    ControlLoop,
    ControlResult,
    ControlStep,
    QTable,
)
from rlbook.tabular.tasks import Task
from rlbook.tabular.td_prediction import TRACES


def q_learning(
    task: Task,
    config: ControlConfig,
    *,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> ControlResult:
    """Q(s, a) <- Q(s, a) + alpha [r + discount max_a' Q(s', a') - Q(s, a)]. Eq. (9.2).

    Arguments: see `ControlLoop`.

    Source: Watkins 1989; Sutton & Barto (2018), section 6.5.
    """
    loop = ControlLoop(
        task, config, num_runs=num_runs, run_ids=run_ids, seed=seed, progress=progress
    )
    q = loop.table()
    with loop:
        for step in loop.steps(q):
            best = q.rows(step.next_states).amax(0)
            target = td_targets(step.rewards, best, step.terminated, discount=loop.discount)
            q.move(step.pairs, step.alpha, target)
    return loop.result(q.tensor())


def double_q_learning(
    task: Task,
    config: ControlConfig,
    *,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> ControlResult:
    """Q1(s, a) <- Q1(s, a) + alpha [r + discount Q2(s', argmax_a' Q1(s', a')) - Q1(s, a)].
    Eq. (9.10).

    A coin decides in each step whether Q1 or Q2 is updated, with the other's value. The
    behaviour is epsilon-greedy in their mean, which is the result's `q`. A step size of N(s, a)
    counts the updates of each table by itself.

    Arguments: see `ControlLoop`.

    Source: van Hasselt 2010, "Double Q-learning"; Sutton & Barto (2018), section 6.7.
    """
    loop = ControlLoop(
        task, config, num_runs=num_runs, run_ids=run_ids, seed=seed, progress=progress
    )
    mean = loop.table()
    first, second = (loop.table(), loop.counts()), (loop.table(), loop.counts())
    with loop:
        for step in loop.steps(mean, extra_noise=1):
            heads = (step.noise[0] < 0.5).to(mean.flat)
            for (own, counts), (other, _), turn in (
                (first, second, heads),
                (second, first, 1 - heads),
            ):
                counts.count(step.pairs, turn * loop.log.counted)
                best = own.rows(step.next_states).argmax(0)
                value = other.of(step.next_states, best)
                target = td_targets(step.rewards, value, step.terminated, discount=loop.discount)
                own.move(step.pairs, turn * loop.alpha(counts, step.pairs), target)
            total = first[0].flat[step.pairs] + second[0].flat[step.pairs]
            mean.flat[step.pairs] = total / 2
    return loop.result(mean.tensor())


# ---------------------------------------------------------------- SARSA and expected SARSA


def sarsa(
    task: Task,
    config: ControlConfig,
    *,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> ControlResult:
    """Q(s, a) <- Q(s, a) + alpha [r + discount Q(s', a') - Q(s, a)]. Eq. (10.2).

    a' is the action that the behaviour takes next, chosen before the update. Where a time limit
    cuts the episode, a' is drawn in the true next state, and not taken.

    Arguments: see `ControlLoop`.

    Source: Rummery and Niranjan 1994; Sutton & Barto (2018), section 6.4.
    """
    loop = ControlLoop(
        task, config, num_runs=num_runs, run_ids=run_ids, seed=seed, progress=progress
    )
    q = loop.table()
    with loop:
        for step in loop.steps(q, next_actions=True):
            value = q.of(step.next_states, step.next_actions)
            target = td_targets(step.rewards, value, step.terminated, discount=loop.discount)
            q.move(step.pairs, step.alpha, target)
    return loop.result(q.tensor())


def expected_sarsa(
    task: Task,
    config: ControlConfig,
    *,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> ControlResult:
    """Q(s, a) <- Q(s, a) + alpha [r + discount sum_a' pi(a'|s') Q(s', a') - Q(s, a)]. Eq. (10.5).

    pi is the epsilon-greedy policy in Q, which also acts.

    Arguments: see `ControlLoop`.

    Source: van Seijen et al. 2009; Sutton & Barto (2018), section 6.6.
    """
    loop = ControlLoop(
        task, config, num_runs=num_runs, run_ids=run_ids, seed=seed, progress=progress
    )
    q = loop.table()
    with loop:
        for step in loop.steps(q):
            value = expected_value(q.rows(step.next_states), step.epsilon)
            target = td_targets(step.rewards, value, step.terminated, discount=loop.discount)
            q.move(step.pairs, step.alpha, target)
    return loop.result(q.tensor())


def expected_value(q: torch.Tensor, epsilon: float | torch.Tensor) -> torch.Tensor:
    """sum_a pi(a|s) Q(s, a), pi epsilon-greedy in Q: (A, R) -> (R,). In Eq. (10.5).

    Args:
        q: (A, R); -inf where an action is not allowed.
        epsilon: a number or (R,).
    """
    epsilon = torch.as_tensor(epsilon, dtype=q.dtype, device=q.device).unsqueeze(-1)
    policy = epsilon_greedy_policy(q.T, epsilon).T
    return (policy * q.masked_fill(policy == 0, 0.0)).sum(0)


# ---------------------------------------------------------------- n-step SARSA and SARSA(lambda)


def n_step_sarsa(
    task: Task,
    config: ControlConfig,
    *,
    n: int,
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> ControlResult:
    """Q(s_t, a_t) <- Q(s_t, a_t) + alpha [G_t - Q(s_t, a_t)] with n rewards in G_t. Eq. (10.7).

    G_t = r_t + ... + discount^(n-1) r_{t+n-1} + discount^n Q(s_{t+n}, a_{t+n}); it is known, and
    the update made, n steps later, or at the end of the episode, for all that still wait.

    Args:
        n: at least 1; 1 is SARSA.

    The other arguments: see `ControlLoop`.

    Source: Sutton & Barto (2018), section 7.2.
    """
    require.at_least("n", n, 1)
    loop = ControlLoop(
        task, config, num_runs=num_runs, run_ids=run_ids, seed=seed, progress=progress
    )
    q, waiting = loop.table(), Waiting(n, loop)
    with loop:
        for step in loop.steps(q, next_actions=True):
            value = q.of(step.next_states, step.next_actions)
            last = td_targets(step.rewards, value, step.terminated, discount=loop.discount)
            waiting.add(step, last)
            waiting.update(q, step.terminated | step.truncated)
    return loop.result(q.tensor())


class Waiting:
    """The last n pairs of each run that still wait for their return, the newest in slot 0.

    `returns` holds the return of each as it is if the sum stops with the last step.
    """

    def __init__(self, n: int, loop: ControlLoop):
        R, like = loop.num_runs, loop.mdp.reward
        self.discount, self.n = loop.discount, n
        self.pairs = torch.zeros(n, R, dtype=torch.int64, device=like.device)
        self.rewards, self.alpha = like.new_zeros(2, n, R)
        self.length = torch.zeros(R, dtype=torch.int64, device=like.device)

    def add(self, step: ControlStep, last: torch.Tensor) -> None:
        """A new step; `last`, (R,), is its one-step target r + discount Q(s', a')."""
        for buffer, new in ((self.pairs, step.pairs), (self.alpha, step.alpha)):
            buffer.copy_(buffer.roll(1, 0))
            buffer[0] = new
        self.rewards.copy_(self.rewards.roll(1, 0))
        self.rewards[0] = step.rewards
        self.length = (self.length + 1).clamp_(max=self.n)
        self.returns = torch.empty_like(self.rewards)
        self.returns[0] = last
        for k in range(1, self.n):  # G_t = r_t + discount G_{t+1}
            self.returns[k] = self.rewards[k] + self.discount * self.returns[k - 1]

    def update(self, q: QTable, ended: torch.Tensor) -> None:
        """Move Q for the pair that has waited n steps; at an end for all, the oldest first."""
        for k in reversed(range(self.n)):
            due = (self.length > k) & (ended | (k == self.n - 1))
            if k < self.n - 1 and not due.any():
                continue
            alpha = torch.where(due, self.alpha[k], 0.0)
            q.move(self.pairs[k], alpha, self.returns[k])
        self.length = torch.where(ended, 0, self.length)


def sarsa_lambda(
    task: Task,
    config: ControlConfig,
    *,
    lambda_: float,
    traces: str = "replacing",
    num_runs: int | None = None,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> ControlResult:
    """Q <- Q + alpha delta_t z_t for all pairs at once, z_t a trace of those visited. Eq. (10.11).

    delta_t = r_t + discount Q(s', a') - Q(s, a); z <- discount lambda z, then z(s, a) <- z(s, a)
    + 1 (accumulating) or 1 (replacing); z is 0 at the start of an episode.

    Args:
        lambda_: in [0, 1]; 0 is SARSA.
        traces: "accumulating" or "replacing".

    The other arguments: see `ControlLoop`.

    Source: Sutton & Barto (2018), section 12.7, with one feature a pair.
    """
    require.within("lambda_", lambda_, 0, 1)
    require.one_of("traces", traces, *TRACES)
    loop = ControlLoop(
        task, config, num_runs=num_runs, run_ids=run_ids, seed=seed, progress=progress
    )
    q, trace = loop.table(), torch.zeros_like(loop.table().flat)
    by_run = trace.view(-1, *q.shape[:2])  # (A, R, S)
    with loop:
        for step in loop.steps(q, next_actions=True):
            old, value = q.flat[step.pairs], q.of(step.next_states, step.next_actions)
            error = td_errors(step.rewards, old, value, step.terminated, discount=loop.discount)
            trace *= loop.discount * lambda_
            trace[step.pairs] = 1.0 if traces == "replacing" else trace[step.pairs] + 1
            q.by_action.view_as(by_run).add_((step.alpha * error).unsqueeze(-1) * by_run)
            by_run.masked_fill_((step.terminated | step.truncated).unsqueeze(-1), 0.0)
    return loop.result(q.tensor())
