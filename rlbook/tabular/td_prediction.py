"""Values of a policy from its episodes: TD(0), n-step TD, constant-alpha Monte Carlo.

All learn from a record of episodes (`rlbook.episodes`), one after another, in R runs at once.
A sweep over step sizes is one call: step_size may have axes in front of the runs.
"""

from contextlib import suppress
from typing import NamedTuple

import torch

from rlbook.episodes import Episodes
from rlbook.mdp import MDP
from rlbook.progress import progress
from rlbook.returns import n_step_returns
from rlbook.tabular_tasks import TabularTask, as_task
from rlbook.tabular_worlds import check_memory


class Prediction(NamedTuple):
    values: torch.Tensor
    """(..., R, S), after the last episode; `...` are the axes of step_size in front of R."""
    history: torch.Tensor
    """(..., R, N + 1, S), before the first episode and after each; fewer where interrupted."""


class Steps(NamedTuple):
    """One episode of every row, time first: (T, rows)."""

    states: torch.Tensor
    rewards: torch.Tensor
    next_states: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor
    mask: torch.Tensor


class Rows:
    """Values of all runs and step sizes in one table of rows, and the episodes beside them.

    Attributes:
        values: (rows, S); a row is one run with one step size.
        alpha: (rows,).
    """

    def __init__(self, task: MDP | TabularTask, episodes: Episodes, step_size, initial_values):
        mdp = as_task(task).mdp
        R, N, _ = episodes.states.shape
        alpha = torch.as_tensor(step_size, dtype=mdp.reward.dtype, device=mdp.reward.device)
        if not ((alpha >= 0) & (alpha <= 1)).all():
            raise ValueError(f"step_size must be in [0, 1], got {step_size}")
        if alpha.ndim and alpha.shape[-1] not in (1, R):
            raise ValueError(f"step_size must be a number or (..., {R}), got {tuple(alpha.shape)}")
        self.shape = torch.broadcast_shapes(alpha.shape, (R,))
        self.alpha = alpha.expand(self.shape).reshape(-1)
        self.discount, self.S, self.episodes = mdp.discount, mdp.num_states, episodes
        check_memory("history (rows, N + 1, S)", len(self.alpha), N + 1, self.S)
        start = torch.as_tensor(initial_values, dtype=mdp.reward.dtype).to(mdp.reward.device)
        start = start.expand(*self.shape, self.S).reshape(-1, self.S)
        self.values, self.terminal = start.contiguous().clone(), mdp.terminal
        self.first = torch.arange(len(self.alpha), device=alpha.device) * self.S
        self.history = [self.values.clone()]

    def __iter__(self):
        """The steps of each row's first episode, of its second, ..., without padding of all."""
        longest = self.episodes.lengths().amax(0).tolist()
        for e, T in enumerate(progress(longest, description="episodes")):
            fields = (x[:, e, :T] for x in self._fields())
            rows = (x.expand(*self.shape, T).reshape(-1, T).T.contiguous() for x in fields)
            yield Steps(*rows)
            self.history.append(self.values.clone())

    def _fields(self):
        return (getattr(self.episodes, name) for name in Steps._fields)

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
        return Prediction(history[..., -1, :], history)


def td_zero(
    task: MDP | TabularTask, episodes: Episodes, *, step_size=0.1, initial_values=0.0
) -> Prediction:
    """V(s_t) <- V(s_t) + alpha [r_t + discount V(s_{t+1}) - V(s_t)]. Eq. (8.3).

    Args:
        episodes: of the policy whose values are wanted.
        step_size: alpha, a number, (R,), or with further axes in front, (..., R) or (..., 1).
        initial_values: a number, (S,), or (R, S); the result is 0 at terminal states.

    Source: Sutton 1988; Sutton & Barto (2018), Eq. 6.2.
    """
    return n_step_td(task, episodes, n=1, step_size=step_size, initial_values=initial_values)


def constant_alpha_monte_carlo(
    task: MDP | TabularTask, episodes: Episodes, *, step_size=0.1, initial_values=0.0
) -> Prediction:
    """V(s_t) <- V(s_t) + alpha [G_t - V(s_t)] for every visit. Eq. (7.9).

    It is n-step TD with n beyond the longest episode. Arguments as in `td_zero`.

    Source: Sutton & Barto (2018), Eq. 6.1.
    """
    n = episodes.states.shape[-1]
    return n_step_td(task, episodes, n=n, step_size=step_size, initial_values=initial_values)


def n_step_td(
    task: MDP | TabularTask, episodes: Episodes, *, n: int, step_size=0.1, initial_values=0.0
) -> Prediction:
    """V(s_t) <- V(s_t) + alpha [G^(n)_t - V(s_t)]. Eq. (8.14).

    As if online: the update of s_t is made when s_{t+n} is reached, with the values of that
    moment, and at the end of the episode for all that still wait, the oldest first.

    Args:
        n: at least 1. The other arguments are those of `td_zero`.

    Source: Sutton & Barto (2018), section 7.1.
    """
    rows = Rows(task, episodes, step_size, initial_values)
    with suppress(KeyboardInterrupt):
        for steps in rows:
            known, weight, ahead, bootstraps = _split_target(
                steps, rows.discount, n, rows.shape[-1]
            )
            for t in range(len(known)):
                guess = torch.where(bootstraps[t], weight[t] * rows.at(ahead[t]), 0.0)
                rows.move(steps.states[t], known[t] + guess, steps.mask[t])
    return rows.result()


def _split_target(steps: Steps, discount: float, n: int, num_runs: int):
    """G^(n)_t = known_t + weight_t V(ahead_t), the last where bootstraps_t: each (T, rows).

    Rows beyond the first num_runs are the same episodes at other step sizes.
    """
    rows = steps.mask.shape[1]
    steps = Steps(*(x[:, :num_runs] for x in steps))
    zeros = torch.zeros_like(steps.rewards)
    flags = (steps.terminated.T, steps.truncated.T)
    known = n_step_returns(steps.rewards.T, zeros.T, *flags, discount=discount, n=n).T
    t = torch.arange(len(known), device=known.device).unsqueeze(1)
    final = steps.mask.sum(0) - 1  # (runs,)
    last = torch.minimum(t + n - 1, final).clamp(min=0)  # the last step of G^(n)_t
    last = torch.where(steps.mask, last, t)
    weight = discount ** (last - t + 1).to(known.dtype)
    ahead, bootstraps = steps.next_states.gather(0, last), ~steps.terminated.gather(0, last)
    return (x.repeat(1, rows // num_runs) for x in (known, weight, ahead, bootstraps))
