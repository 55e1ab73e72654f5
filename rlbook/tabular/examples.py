"""Small worked models of Sutton & Barto's chapters 6 and 7."""

import torch

from rlbook.ground.require import check_at_least
from rlbook.planning.mdp import MDP
from rlbook.tabular.episodes import Episodes
from rlbook.tabular.tasks import TabularTask


def random_walk(num_states: int = 5, *, left_reward: float = 0.0, right_reward: float = 1.0) -> MDP:
    """A walk left or right with equal chances from the middle, that ends off either side.

    One action; states 0 (left end), 1 .. num_states, num_states + 1 (right end); discount 1.
    The values of the states in between lie on a line. Example 6.2 is `random_walk()`, with
    values 1/6 .. 5/6; example 7.1 is `random_walk(19, left_reward=-1.0)`, -0.9 .. 0.9.

    Args:
        left_reward, right_reward: of the step off that side; all others are 0.

    Raises:
        ValueError: num_states not odd and positive: there is no middle.

    Source: Sutton & Barto (2018), examples 6.2 and 7.1.
    """
    if num_states < 1 or num_states % 2 == 0:
        raise ValueError(f"num_states must be odd and positive, got {num_states}")
    S = num_states + 2
    here = torch.arange(S)
    next_states = torch.stack([here - 1, here + 1], dim=-1).clamp(0, S - 1).unsqueeze(1)
    reward = torch.zeros(S, 1, 2, dtype=torch.float64)
    reward[1, 0, 0], reward[num_states, 0, 1] = left_reward, right_reward
    terminal = (here == 0) | (here == S - 1)
    start = (here == S // 2).to(torch.float64)
    chances = torch.full((S, 1, 2), 0.5, dtype=torch.float64)
    chances[terminal] = 0
    return MDP.from_successors(
        next_states, chances, reward, discount=1.0, start=start, terminal=terminal
    )


def maximisation_bias(num_actions: int = 10) -> TabularTask:
    """Two choices: right ends with 0; left leads to a state whose every action pays N(-0.1, 1).

    States 0 (A, the start), 1 (B) and 2 (the end). In A action 0 is right, 1 is left, others do
    not exist; B has `num_actions`. Left is worse, -0.1, but the largest of several noisy
    estimates in B is above it: Q-learning is drawn to the left. Discount 1.

    Source: Sutton & Barto (2018), example 6.7.
    """
    check_at_least("num_actions", num_actions, 2)
    A, B, end = range(3)
    next_states = torch.full((3, num_actions, 1), end)
    next_states[A, 1] = B
    reward, std = torch.zeros(2, 3, num_actions, dtype=torch.float64)
    reward[B], std[B] = -0.1, 1.0
    allowed = torch.ones(3, num_actions, dtype=torch.bool)
    allowed[A, 2:] = False
    mdp = MDP.from_successors(
        next_states,
        torch.ones(3, num_actions, 1, dtype=torch.float64),
        reward,
        discount=1.0,
        start=torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64),
        terminal=torch.tensor([False, False, True]),
        allowed=allowed,
    )
    return TabularTask(mdp, reward_std=std)


def predictor() -> tuple[MDP, Episodes]:
    """The eight episodes of "you are the predictor", and the model that makes them most likely.

    States 0 (A), 1 (B), 2 (the end). One episode is A, 0, B, 0; six are B, 1; one is B, 0. What
    is V(A)? Batch Monte Carlo says 0, batch TD says 3/4. Discount 1.

    Returns:
        the model, and the record with R = 1, N = 8, T = 2.

    Source: Sutton & Barto (2018), example 6.4.
    """
    A, B, end = range(3)
    next_states = torch.tensor([[B, B], [end, end], [end, end]]).unsqueeze(1)
    chances = torch.tensor([[1.0, 0.0], [0.75, 0.25], [0.0, 0.0]], dtype=torch.float64)
    reward = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    mdp = MDP.from_successors(
        next_states,
        chances.unsqueeze(1),
        reward.unsqueeze(1),
        discount=1.0,
        terminal=torch.tensor([False, False, True]),
    )
    states = torch.full((1, 8, 2), end)
    states[0, :, 0] = B
    states[0, 0] = torch.tensor([A, B])
    mask = states != end
    rewards = torch.zeros(1, 8, 2, dtype=torch.float64)
    rewards[0, 1:7, 0] = 1.0
    ends = states != A  # every step from B ends, and so does the padding
    after = torch.where(ends, end, B)
    no = torch.zeros_like(mask)
    return mdp, Episodes(torch.where(mask, states, 0), no.long(), rewards, after, ends, no, mask)
