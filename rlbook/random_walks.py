"""Small worked models of Sutton & Barto's chapters 6 and 7."""

import torch

from rlbook.mdp import MDP


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
