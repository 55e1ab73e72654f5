"""TD(lambda), seen backward with eligibility traces, and forward with lambda-returns."""

from contextlib import suppress

import torch

from rlbook.episodes import Episodes
from rlbook.mdp import MDP
from rlbook.returns import lambda_returns, td_errors
from rlbook.tabular.prediction import Prediction, Rows
from rlbook.tabular_tasks import TabularTask

TRACES = ("accumulating", "replacing")


def td_lambda(
    task: MDP | TabularTask,
    episodes: Episodes,
    *,
    lambda_: float,
    traces: str = "accumulating",
    online: bool = True,
    step_size=0.1,
    initial_values=0.0,
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
    _check(lambda_, traces)
    rows = Rows(task, episodes, step_size, initial_values)
    with suppress(KeyboardInterrupt):
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
    task: MDP | TabularTask,
    episodes: Episodes,
    *,
    lambda_: float,
    in_order: bool = True,
    step_size=0.1,
    initial_values=0.0,
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
    _check(lambda_, TRACES[0])
    rows = Rows(task, episodes, step_size, initial_values)
    with suppress(KeyboardInterrupt):
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


def _check(lambda_: float, traces: str) -> None:
    if not 0 <= lambda_ <= 1:
        raise ValueError(f"lambda_ must be in [0, 1], got {lambda_}")
    if traces not in TRACES:
        raise ValueError(f"traces must be one of {TRACES}, got {traces!r}")
