"""SARSA and expected SARSA, R runs at once.

Both take the keyword arguments of `rlbook.tabular.control.ControlConfig`: num_runs or run_ids,
num_steps or num_episodes, step_size, epsilon, initial_q, seed, evaluate_every.
"""

from contextlib import suppress

import torch

from rlbook.exploration import epsilon_greedy_policy
from rlbook.mdp import MDP
from rlbook.returns import td_targets
from rlbook.tabular.control import ControlConfig, ControlLoop, ControlResult
from rlbook.tabular_tasks import TabularTask


def sarsa(task: MDP | TabularTask, **config) -> ControlResult:
    """Q(s, a) <- Q(s, a) + alpha [r + discount Q(s', a') - Q(s, a)]. Eq. (10.2).

    a' is the action that the behaviour takes next, chosen before the update. Where a time limit
    cuts the episode, a' is drawn in the true next state, and not taken.

    Source: Rummery and Niranjan 1994; Sutton & Barto (2018), section 6.4.
    """
    loop = ControlLoop(task, ControlConfig(**config), extra_noise=2)
    q = loop.table()
    with suppress(KeyboardInterrupt):
        for step in loop.steps(q, next_actions=True):
            value = q.of(step.next_states, step.next_actions)
            target = td_targets(step.rewards, value, step.terminated, discount=loop.discount)
            q.move(step.pairs, step.alpha, target)
    return loop.result(q.tensor())


def expected_sarsa(task: MDP | TabularTask, **config) -> ControlResult:
    """Q(s, a) <- Q(s, a) + alpha [r + discount sum_a' pi(a'|s') Q(s', a') - Q(s, a)]. Eq. (10.5).

    pi is the epsilon-greedy policy in Q, which also acts.

    Source: van Seijen et al. 2009; Sutton & Barto (2018), section 6.6.
    """
    loop = ControlLoop(task, ControlConfig(**config))
    q = loop.table()
    with suppress(KeyboardInterrupt):
        for step in loop.steps(q):
            value = expected_value(q.rows(step.next_states), loop.current_epsilon)
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
