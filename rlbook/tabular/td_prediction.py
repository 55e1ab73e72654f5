"""Values of a policy from its episodes: TD(0), n-step TD, constant-alpha Monte Carlo, TD(lambda).

All learn from a record of episodes (`tabular.episodes`), one after another, in R runs at once.
A sweep over step sizes is one call: step_size may have axes in front of the runs.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from rlbook.formulas.returns import lambda_returns, n_step_returns, td_errors
from rlbook.ground import require
from rlbook.ground.progress import Interruptible
from rlbook.ground.progress import progress as progress_bar
from rlbook.ground.require import check_memory
from rlbook.tabular.episodes import Episodes
from rlbook.tabular.tasks import Task, as_task


class Prediction(NamedTuple):
    values: torch.Tensor
    """(..., R, S), after the last episode; `...` are the axes of step_size in front of R."""
    history: torch.Tensor
    """(..., R, N + 1, S), before the first episode and after each; fewer where interrupted."""
    interrupted: bool
    """Ended by Ctrl-C."""


class EpisodeSteps(NamedTuple):
    """One episode of every row, time first: (T, rows)."""

    states: torch.Tensor
    rewards: torch.Tensor
    next_states: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    mask: torch.Tensor


class Rows(Interruptible):
    """Values of all runs and step sizes in one table of rows, and the episodes beside them.

    Attributes:
        values: (rows, S); a row is one run with one step size.
        alpha: (rows,).
    """

    def __init__(
        self,
        task: Task,
        episodes: Episodes,
        step_size: float | torch.Tensor,
        initial_values: float | torch.Tensor,
        progress: bool,
    ):
        mdp = as_task(task).tables
        R, N, _ = episodes.states.shape
        alpha = torch.as_tensor(step_size, dtype=mdp.reward.dtype, device=mdp.reward.device)
        if not ((alpha >= 0) & (alpha <= 1)).all():
            raise ValueError(f"step_size must be in [0, 1], got {step_size}")
        if alpha.ndim and alpha.shape[-1] not in (1, R):
            raise ValueError(f"step_size must be a number or (..., {R}), got {tuple(alpha.shape)}")
        self.shape = torch.broadcast_shapes(alpha.shape, (R,))
        self.alpha = alpha.expand(self.shape).reshape(-1)
        self.discount, self.S, self.episodes = mdp.discount, mdp.num_states, episodes
        self.progress = progress
        check_memory("history (rows, N + 1, S)", len(self.alpha), N + 1, self.S)
        start = torch.as_tensor(initial_values, dtype=mdp.reward.dtype).to(mdp.reward.device)
        start = start.expand(*self.shape, self.S).reshape(-1, self.S)
        self.values, self.terminal = start.contiguous().clone(), mdp.terminal
        self.first = torch.arange(len(self.alpha), device=alpha.device) * self.S
        self.history = [self.values.clone()]

    def __iter__(self) -> Iterator[EpisodeSteps]:
        """The steps of each row's first episode, of its second, ..., without padding of all."""
        longest = self.episodes.lengths().amax(0).tolist()
        shown = progress_bar(longest, description="episodes", show=self.progress)
        for e, T in enumerate(shown):
            fields = (getattr(self.episodes, name)[:, e, :T] for name in EpisodeSteps._fields)
            rows = (x.expand(*self.shape, T).reshape(-1, T).T.contiguous() for x in fields)
            yield EpisodeSteps(*rows)
            self.history.append(self.values.clone())

    def at(self, states: torch.Tensor) -> torch.Tensor:
        """V(s) of each row's own state, (..., rows) -> (..., rows)."""
        return self.values.view(-1).take(self.first + states)

    def move(self, states: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> None:
        """V(s) <- V(s) + alpha (target - V(s)), all (rows,), where the mask says so."""
        errors = torch.where(mask, targets - self.at(states), 0.0)
        self.values.view(-1).index_add_(0, self.first + states, self.alpha * errors)

    def result(self) -> Prediction:
        history = torch.stack(self.history, dim=1).view(*self.shape, -1, self.S)
        history = history.masked_fill(self.terminal, 0.0)  # what stood there means nothing
        return Prediction(history[..., -1, :], history, self.interrupted)


def td_zero(
    task: Task,
    episodes: Episodes,
    *,
    step_size: float | torch.Tensor = 0.1,
    initial_values: float | torch.Tensor = 0.0,
    progress: bool = True,
) -> Prediction:
    """V(s_t) <- V(s_t) + alpha [r_t + discount V(s_{t+1}) - V(s_t)]. Eq. (8.3).

    Args:
        episodes: of the policy whose values are wanted.
        step_size: alpha, a number, (R,), or with further axes in front, (..., R) or (..., 1).
        initial_values: a number, (S,), or (R, S); the result is 0 at terminal states.
        progress: show a bar.

    Source: Sutton 1988; Sutton & Barto (2018), Eq. 6.2.
    """
    return n_step_td(
        task, episodes, n=1, step_size=step_size, initial_values=initial_values, progress=progress
    )


def constant_alpha_monte_carlo(
    task: Task,
    episodes: Episodes,
    *,
    step_size: float | torch.Tensor = 0.1,
    initial_values: float | torch.Tensor = 0.0,
    progress: bool = True,
) -> Prediction:
    """V(s_t) <- V(s_t) + alpha [G_t - V(s_t)] for every visit. Eq. (7.14).

    It is n-step TD with n beyond the longest episode. Arguments as in `td_zero`.

    Source: Sutton & Barto (2018), Eq. 6.1.
    """
    n = episodes.states.shape[-1]
    return n_step_td(
        task, episodes, n=n, step_size=step_size, initial_values=initial_values, progress=progress
    )


def n_step_td(
    task: Task,
    episodes: Episodes,
    *,
    n: int,
    step_size: float | torch.Tensor = 0.1,
    initial_values: float | torch.Tensor = 0.0,
    progress: bool = True,
) -> Prediction:
    """V(s_t) <- V(s_t) + alpha [G^(n)_t - V(s_t)]. Eq. (8.14).

    As if online: the update of s_t is made when s_{t+n} is reached, with the values of that
    moment, and at the end of the episode for all that still wait, the oldest first.

    Args:
        n: at least 1. The other arguments are those of `td_zero`.

    Source: Sutton & Barto (2018), section 7.1.
    """
    rows = Rows(task, episodes, step_size, initial_values, progress)
    with rows:
        for steps in rows:
            known, weight, ahead, bootstraps = _split_target(
                steps, rows.discount, n, rows.shape[-1]
            )
            for t in range(len(known)):
                guess = torch.where(bootstraps[t], weight[t] * rows.at(ahead[t]), 0.0)
                rows.move(steps.states[t], known[t] + guess, steps.mask[t])
    return rows.result()


def _split_target(
    steps: EpisodeSteps, discount: float, n: int, num_runs: int
) -> list[torch.Tensor]:
    """G^(n)_t = known_t + weight_t V(ahead_t), the last where bootstraps_t: each (T, rows).

    Rows beyond the first num_runs are the same episodes at other step sizes.
    """
    rows = steps.mask.shape[1]
    steps = EpisodeSteps(*(x[:, :num_runs] for x in steps))
    zeros = torch.zeros_like(steps.rewards)
    flags = (steps.terminated.T, steps.truncated.T)
    known = n_step_returns(steps.rewards.T, zeros.T, *flags, discount=discount, n=n).T
    t = torch.arange(len(known), device=known.device).unsqueeze(1)
    final = steps.mask.sum(0) - 1  # (runs,)
    last = torch.minimum(t + n - 1, final).clamp(min=0)  # the last step of G^(n)_t
    last = torch.where(steps.mask, last, t)
    weight = discount ** (last - t + 1).to(known.dtype)
    ahead, bootstraps = steps.next_states.gather(0, last), ~steps.terminated.gather(0, last)
    return [x.repeat(1, rows // num_runs) for x in (known, weight, ahead, bootstraps)]


# ---------------------------------------------------------------- TD(lambda), back and forth


TRACES = ("accumulating", "replacing")


def td_lambda(
    task: Task,
    episodes: Episodes,
    *,
    lambda_: float,
    traces: str = "accumulating",
    online: bool = True,
    step_size: float | torch.Tensor = 0.1,
    initial_values: float | torch.Tensor = 0.0,
    progress: bool = True,
) -> Prediction:
    """V <- V + alpha delta_t z_t in all states at once, z_t an eligibility trace. Eq. (8.21).

    z_t(s) = discount lambda z_{t-1}(s), and then z_t(s_t) + 1 (accumulating) or 1 (replacing);
    z is 0 at the start of an episode.

    Args:
        lambda_: in [0, 1]; 0 is TD(0).
        online: change V in every step; else the changes are summed, and made at the end of the
            episode. With accumulating traces they are then exactly those of the forward view.

    The other arguments are those of `td_zero`.

    Source: Sutton & Barto (2018), section 12.2.
    """
    require.within("lambda_", lambda_, 0, 1)
    require.one_of("traces", traces, *TRACES)
    rows = Rows(task, episodes, step_size, initial_values, progress)
    with rows:
        for steps in rows:
            trace, changes = torch.zeros_like(rows.values), torch.zeros_like(rows.values)
            for t in range(len(steps.states)):
                old, ahead = rows.at(steps.states[t]), rows.at(steps.next_states[t])
                error = td_errors(
                    steps.rewards[t], old, ahead, steps.terminated[t], discount=rows.discount
                )
                error = torch.where(steps.mask[t], error, 0.0)
                trace *= rows.discount * lambda_
                here = rows.first + steps.states[t]
                visited = 1.0 if traces == "replacing" else trace.view(-1)[here] + 1
                trace.view(-1)[here] = visited
                moved = rows.values if online else changes
                moved.addcmul_((rows.alpha * error).unsqueeze(1), trace)
            rows.values += changes
    return rows.result()


def offline_lambda_return(
    task: Task,
    episodes: Episodes,
    *,
    lambda_: float,
    in_order: bool = True,
    step_size: float | torch.Tensor = 0.1,
    initial_values: float | torch.Tensor = 0.0,
    progress: bool = True,
) -> Prediction:
    """V(s_t) <- V(s_t) + alpha [G^lambda_t - V(s_t)], at the end of each episode. Eq. (8.19).

    The lambda-returns are computed from the values before the episode.

    Args:
        lambda_: in [0, 1]; 0 is a TD(0) that waits, 1 is Monte Carlo.
        in_order: make the updates one after another, so that the second visit of a state
            starts from what the first has changed; else all changes are computed from the
            values before the episode and summed: the forward view of TD(lambda).

    The other arguments are those of `td_zero`.

    Source: Sutton & Barto (2018), section 12.1.
    """
    require.within("lambda_", lambda_, 0, 1)
    rows = Rows(task, episodes, step_size, initial_values, progress)
    with rows:
        for steps in rows:
            targets = lambda_returns(
                steps.rewards.T,
                rows.at(steps.next_states).T,
                steps.terminated.T,
                steps.truncated.T,
                discount=rows.discount,
                lambda_=lambda_,
            ).T
            if in_order:
                for t in range(len(targets)):
                    rows.move(steps.states[t], targets[t], steps.mask[t])
            else:
                errors = torch.where(steps.mask, targets - rows.at(steps.states), 0.0)
                places = (rows.first + steps.states).flatten()
                rows.values.view(-1).index_add_(0, places, (rows.alpha * errors).flatten())
    return rows.result()
