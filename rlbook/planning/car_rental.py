"""Jack's car rental as an MDP, exactly: Sutton & Barto (2018), example 4.2.

Jack runs two locations. In the evening he counts the cars of each, at most 20; that pair is
the state. Overnight he may move up to 5 cars, for 2 dollars a car. The next day customers ask
for cars and others bring theirs back, each a Poisson number; a car rented out pays 10 dollars,
and a car brought back can be rented from the next day on. A car beyond 20 is taken away.
"""

from collections.abc import Sequence

import torch

from rlbook.planning.mdp import MDP

MAX_CARS = 20
MAX_MOVES = 5


def car_rental(
    *,
    discount: float = 0.9,
    max_cars: int = MAX_CARS,
    max_moves: int = MAX_MOVES,
    rental_reward: float = 10.0,
    move_cost: float = 2.0,
    requests: Sequence[float] = (3.0, 4.0),
    returns: Sequence[float] = (3.0, 2.0),
) -> MDP:
    """Jack's two locations as an MDP of (max_cars + 1)^2 states and 2 max_moves + 1 actions.

    State (max_cars + 1) n_1 + n_2 is n_1 cars at the first and n_2 at the second location in
    the evening; action a moves a - max_moves cars from the first to the second (a negative
    number: the other way), and is allowed where there are so many. No Poisson sum is cut
    short: what lies beyond the last state is added to it.

    Args:
        requests, returns: the expected numbers a day, for the first and the second location.

    Source: Sutton & Barto (2018), example 4.2.
    """
    N, M = max_cars + 1, max_moves
    days = [location(max_cars, requests[i], returns[i]) for i in (0, 1)]
    first, second = torch.meshgrid(torch.arange(N), torch.arange(N), indexing="ij")
    transition = torch.zeros(N * N, 2 * M + 1, N * N, dtype=torch.float64)
    reward = torch.zeros(N * N, 2 * M + 1, dtype=torch.float64)
    allowed = torch.zeros(N * N, 2 * M + 1, dtype=torch.bool)
    for a, moved in enumerate(range(-M, M + 1)):
        allowed[:, a] = ((moved <= first) & (-moved <= second)).flatten()
        # Cars in the morning: at most max_cars; the clamp at 0 touches only forbidden moves.
        morning = [cars.flatten().clamp(0, max_cars) for cars in (first - moved, second + moved)]
        next_1, next_2 = (chances[cars] for (chances, _), cars in zip(days, morning, strict=True))
        transition[:, a] = (next_1.unsqueeze(2) * next_2.unsqueeze(1)).flatten(1)
        rented = sum(rentals[cars] for (_, rentals), cars in zip(days, morning, strict=True))
        reward[:, a] = rental_reward * rented - move_cost * abs(moved)
    return MDP.from_arrays(transition, reward, discount=discount, allowed=allowed)


def location(max_cars: int, requests: float, returns: float) -> tuple[torch.Tensor, torch.Tensor]:
    """One location's day. Eqs. (5.14) and (5.15).

    Returns:
        chances: (N, N), Pr[n' cars in the evening | n in the morning], N = max_cars + 1.
        rentals: (N,), the expected number of cars rented out, E[min(requests, n)].
    """
    N = max_cars + 1
    numbers = torch.arange(N, dtype=torch.float64)
    chances = torch.zeros(N, N, dtype=torch.float64)
    rentals = torch.zeros(N, dtype=torch.float64)
    for n in range(N):
        rented = capped_poisson(requests, n)  # (n + 1,): 0 .. n cars leave
        rentals[n] = rented @ numbers[: n + 1]
        for k, chance in enumerate(rented):
            left = n - k
            chances[n, left:] += chance * capped_poisson(returns, max_cars - left)
    return chances, rentals


def capped_poisson(mean: float, cap: int) -> torch.Tensor:
    """Pr[min(X, cap) = k] for k = 0 .. cap, (cap + 1,), where X is Poisson. Eq. (5.13)."""
    k = torch.arange(cap, dtype=torch.float64)
    expected = torch.tensor(mean, dtype=torch.float64)
    below = torch.exp(torch.xlogy(k, expected) - expected - torch.lgamma(k + 1))
    return torch.cat([below, (1 - below.sum()).clamp_min(0).reshape(1)])
