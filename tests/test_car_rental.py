"""Jack's car rental is what playing its days gives: by enumeration, by simulation, by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import poisson

from rlbook.planning.car_rental import MAX_MOVES, capped_poisson, car_rental, location
from rlbook.planning.dynamic_programming import policy_iteration
from rlbook.planning.mdp import MDP


@pytest.fixture(scope="module")
def jack() -> MDP:
    return car_rental()


def state(first: int, second: int) -> int:
    return 21 * first + second


def day_by_day(max_cars: int, requests: float, returns: float):
    """One location, every pair of numbers up to 40 played out in turn."""
    N = max_cars + 1
    chances, rentals = np.zeros((N, N)), np.zeros(N)
    asked, brought = (poisson(mean).pmf(range(41)) for mean in (requests, returns))
    for n in range(N):
        for x in range(41):
            for y in range(41):
                rented = min(x, n)
                evening = min(n - rented + y, max_cars)
                chances[n, evening] += asked[x] * brought[y]
                rentals[n] += asked[x] * brought[y] * rented
    return chances, rentals


@pytest.mark.parametrize("mean", [0.0, 0.5, 4.0])
@pytest.mark.parametrize("cap", [0, 1, 7, 30])
def test_capped_poisson_is_poisson_with_its_tail_in_the_last_entry(mean, cap):
    got = capped_poisson(mean, cap)
    assert got.dtype == torch.float64 and got.shape == (cap + 1,)
    want = poisson(mean).pmf(range(cap + 1))
    want[cap] = poisson(mean).sf(cap - 1)
    np.testing.assert_allclose(got, want, atol=1e-14)


@pytest.mark.parametrize("max_cars, requests, returns", [(20, 3, 3), (20, 4, 2), (3, 1.5, 0.2)])
def test_location_is_every_day_played_out(max_cars, requests, returns):
    chances, rentals = location(max_cars, requests, returns)
    slow_chances, slow_rentals = day_by_day(max_cars, requests, returns)
    np.testing.assert_allclose(chances, slow_chances, atol=1e-12)
    np.testing.assert_allclose(rentals, slow_rentals, atol=1e-12)
    np.testing.assert_allclose(chances.sum(1), 1)


def test_the_whole_model_is_two_locations_and_a_night():
    mdp = car_rental(max_cars=3, max_moves=2, requests=(1, 2), returns=(0.5, 1), discount=0.8)
    one, two = day_by_day(3, 1, 0.5), day_by_day(3, 2, 1)
    assert (mdp.num_states, mdp.num_actions, mdp.discount) == (16, 5, 0.8)
    for first in range(4):
        for second in range(4):
            s = 4 * first + second
            for a, moved in enumerate(range(-2, 3)):
                assert bool(mdp.allowed[s, a]) == (-second <= moved <= first)
                if not mdp.allowed[s, a]:
                    continue
                m1, m2 = min(first - moved, 3), min(second + moved, 3)
                chances = np.outer(one[0][m1], two[0][m2]).ravel()
                np.testing.assert_allclose(mdp.transition[s, a], chances, atol=1e-12)
                reward = 10 * (one[1][m1] + two[1][m2]) - 2 * abs(moved)
                assert float(mdp.reward[s, a]) == pytest.approx(reward)


def test_rewards_by_hand(jack):
    def earns(first, second, moved):
        return float(jack.reward[state(first, second), moved + MAX_MOVES])

    assert earns(0, 0, 0) == 0
    assert earns(1, 0, 0) == pytest.approx(10 * (1 - math.exp(-3)))  # unless nobody comes
    assert earns(1, 0, 1) == pytest.approx(10 * (1 - math.exp(-4)) - 2)
    assert earns(0, 1, -1) == pytest.approx(10 * (1 - math.exp(-3)) - 2)


def test_cars_beyond_twenty_are_taken_away(jack):
    packed, over = jack.transition[state(15, 20), MAX_MOVES], state(20, 18)
    assert jack.allowed[over, MAX_MOVES + 5]
    torch.testing.assert_close(jack.transition[over, MAX_MOVES + 5], packed)


@pytest.mark.parametrize("first, second, moved", [(10, 10, 0), (2, 14, -2), (20, 18, 5)])
def test_transitions_agree_with_simulated_days(jack, first, second, moved):
    days, rng = 200_000, np.random.default_rng(first)
    morning = np.minimum([first - moved, second + moved], 20)
    rented = np.minimum(rng.poisson((3, 4), (days, 2)), morning)
    evening = np.minimum(morning - rented + rng.poisson((3, 2), (days, 2)), 20)
    s, a = state(first, second), moved + MAX_MOVES
    frequency = np.bincount(evening @ (21, 1), minlength=441) / days
    chance = jack.transition[s, a].numpy()
    slack = 6 * np.sqrt(chance * (1 - chance) / days) + 1e-5  # six standard errors
    assert (np.abs(frequency - chance) < slack).all()
    earned = 10 * rented.sum(1) - 2 * abs(moved)
    assert abs(earned.mean() - float(jack.reward[s, a])) < 6 * earned.std() / days**0.5


def test_two_equal_locations_are_worth_the_same_either_way_round():
    mdp = car_rental(max_cars=6, max_moves=3, requests=(2, 2), returns=(1, 1))
    values = policy_iteration(mdp).values.view(7, 7)
    torch.testing.assert_close(values, values.T)


def test_policy_iteration_reaches_the_optimum_at_the_fourth_improvement(jack):
    nothing = torch.full((441,), MAX_MOVES)
    found = policy_iteration(jack, initial_policy=nothing)
    assert found.sweeps == 5 and found.residual < 1e-9
    moved = (found.policy - MAX_MOVES).view(21, 21)
    assert moved[20, 0] == 5 and moved[0, 20] == -4 and moved[10, 10] == 0


def test_a_location_without_customers_or_returns_keeps_its_cars():
    mdp = car_rental(max_cars=4, max_moves=1, requests=(0, 0), returns=(0, 0))
    assert mdp.transition[:, 1].equal(torch.eye(25, dtype=torch.float64))
    assert mdp.reward[:, 1].abs().max() == 0 and mdp.reward[12].tolist() == [-2, 0, -2]
