"""One state at a time: against a plain loop, in every order, and where it must fail."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbook.ground.seeding import generator
from rlbook.planning.bellman import bellman_optimality_backup
from rlbook.planning.dynamic_programming import (
    asynchronous_value_iteration,
    policy_iteration,
    value_iteration,
)
from rlbook.planning.grids import GridWorld
from rlbook.planning.mdp import MDP


def loop(mdp, values, states):
    """The updates one by one, in the order of `states`, on the dense model."""
    values, P = values.clone(), mdp.transition
    for s in states:
        q = mdp.reward[s] + mdp.discount * P[s] @ values
        values[s] = q[mdp.allowed[s]].max()
    return values


def islands(start: int, discount: float = 0.9) -> MDP:
    """Stay for 1 in state 0 or for 10 in state 1; go to the other for nothing."""
    transition = torch.zeros(2, 2, 2, dtype=torch.float64)
    transition[0, 0, 0] = transition[0, 1, 1] = 1
    transition[1, 0, 1] = transition[1, 1, 0] = 1
    reward = torch.tensor([[1.0, 0.0], [10.0, 0.0]], dtype=torch.float64)
    where = torch.eye(2, dtype=torch.float64)[start]
    return MDP.from_arrays(transition, reward, discount=discount, start=where)


def random_model(seed, states=5, discount=0.9) -> MDP:
    """Dense, some actions not allowed, the last state terminal."""
    rng = generator(seed)
    P = torch.rand(states, 3, states, generator=rng, dtype=torch.float64) ** 4
    P, r = P / P.sum(-1, keepdim=True), torch.randn(states, 3, generator=rng).double()
    P[-1], r[-1] = 0, 0
    allowed = torch.rand(states, 3, generator=rng) < 0.7
    allowed[:, 1] = True
    return MDP.from_arrays(
        P, r, discount=discount, terminal=torch.arange(states) == states - 1, allowed=allowed
    )


def sparse(mdp: MDP) -> MDP:
    """The same model, stored by successors."""
    S, A = mdp.num_states, mdp.num_actions
    return MDP.from_successors(
        torch.arange(S).expand(S, A, S),
        mdp.transition,
        mdp.reward,
        discount=mdp.discount,
        terminal=mdp.terminal,
        allowed=mdp.allowed,
    )


# --- orders


@pytest.mark.parametrize("layout", [lambda mdp: mdp, sparse])
@pytest.mark.parametrize("num_updates", [1, 4, 5, 12])
def test_in_place_goes_through_the_states_again_and_again(num_updates, layout):
    mdp = random_model(1)
    start = torch.tensor([3.0, -2.0, 1.0, 5.0, 0.0], dtype=torch.float64)
    got = asynchronous_value_iteration(layout(mdp), num_updates=num_updates, initial_values=start)
    expected = loop(mdp, start, [u % 5 for u in range(num_updates)])
    torch.testing.assert_close(got.values, expected)
    assert got.sweeps == -(-num_updates // 5)
    residual = (bellman_optimality_backup(mdp, expected) - expected).abs().max()
    assert got.residual == pytest.approx(float(residual))
    assert start.tolist() == [3, -2, 1, 5, 0]  # the caller's values are left alone


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_random_order_draws_the_states_uniformly(seed):
    mdp = random_model(seed)
    draws = torch.randint(5, (40,), generator=generator(seed)).tolist()
    got = asynchronous_value_iteration(
        mdp, order="random", num_updates=40, generator=generator(seed)
    )
    torch.testing.assert_close(got.values, loop(mdp, torch.zeros(5).double(), draws))


def test_a_trajectory_follows_the_greedy_action():
    """A corridor without slips: every state is known beforehand, in both directions."""
    mdp = GridWorld.from_text("..S.G").mdp(discount=0.9)
    got = asynchronous_value_iteration(
        mdp, order="trajectory", num_updates=60, generator=generator(0)
    )
    values, s, P = torch.zeros(5, dtype=torch.float64), 2, mdp.transition
    for _ in range(60):
        if s == 4:
            s = 2
        q = mdp.reward[s] + 0.9 * P[s] @ values
        a = int(q.argmax())
        values[s], s = q[a], int(P[s, a].argmax())
    torch.testing.assert_close(got.values, values)


def test_the_same_generator_gives_the_same_run():
    mdp = random_model(3)
    once, again = (
        asynchronous_value_iteration(
            mdp, order="trajectory", num_updates=50, generator=generator(5)
        ).values
        for _ in range(2)
    )
    assert torch.equal(once, again)


# --- where they lead


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["in_place", "random"]))
def test_every_state_updated_again_and_again_leads_to_the_optimum(seed, order):
    mdp = random_model(seed, discount=0.7)
    best = policy_iteration(mdp)
    got = asynchronous_value_iteration(mdp, order=order, num_updates=600, generator=generator(seed))
    torch.testing.assert_close(got.values, best.values, atol=1e-8, rtol=0)
    assert got.residual < 1e-8


@pytest.mark.parametrize(("start", "found"), [(0, [10.0, 0.0]), (1, [0.0, 100.0])])
def test_from_zero_both_islands_get_stuck(start, found):
    got = asynchronous_value_iteration(
        islands(start), order="trajectory", num_updates=1000, generator=generator(0)
    )
    torch.testing.assert_close(got.values, torch.tensor(found, dtype=torch.float64))
    optimal = torch.tensor([90.0, 100.0], dtype=torch.float64)
    assert (got.values - optimal).abs().max() >= 90 - 1e-9


def test_optimism_repairs_it():
    hope = torch.full((2,), 100.0)
    got = asynchronous_value_iteration(
        islands(0), order="trajectory", num_updates=10, generator=generator(0), initial_values=hope
    )
    torch.testing.assert_close(got.values, torch.tensor([90.0, 100.0], dtype=torch.float64))
    assert got.policy.tolist() == [1, 0]


def test_a_horizon_starts_afresh():
    """Start in either island: with restarts each start state is updated again and again."""
    both = MDP.from_arrays(
        islands(0).transition, islands(0).reward, discount=0.9, start=torch.tensor([0.5, 0.5])
    )
    options = {"order": "trajectory", "num_updates": 1000}
    stuck = asynchronous_value_iteration(both, **options, generator=generator(1))
    assert (stuck.values == 0).any()
    free = asynchronous_value_iteration(both, **options, generator=generator(1), horizon=5)
    torch.testing.assert_close(free.values, torch.tensor([90.0, 100.0], dtype=torch.float64))


def test_a_horizon_counts_steps():
    """S is updated every `horizon` steps, and cells farther than that never."""
    mdp = GridWorld.from_text("S......G").mdp(discount=0.9)
    hope = torch.zeros(8)
    for horizon, touched in ((1, 1), (2, 2), (3, 3)):
        got = asynchronous_value_iteration(
            mdp,
            order="trajectory",
            num_updates=50 * horizon,
            horizon=horizon,
            generator=generator(1),
            initial_values=hope,
        )
        assert (got.values != 0).sum() == touched


def test_trajectories_from_zero_costs_are_exact_on_their_way():
    grid = GridWorld.from_text("S....\n.###.\n....G")
    mdp = grid.mdp(discount=0.95)
    got = asynchronous_value_iteration(
        mdp, order="trajectory", num_updates=2000, generator=generator(2)
    )
    best, s = value_iteration(mdp, tolerance=1e-12).values, 0
    assert (got.values >= best - 1e-9).all()  # optimism lasts
    for _ in range(6):
        assert got.values[s].item() == pytest.approx(best[s].item())
        s = int(mdp.transition[s, got.policy[s]].argmax())
    assert mdp.terminal[s]


# --- arguments


def test_bad_arguments():
    mdp = islands(0)
    with pytest.raises(ValueError, match="order must be"):
        asynchronous_value_iteration(mdp, order="backwards", num_updates=1)
    for order in ("random", "trajectory"):
        with pytest.raises(ValueError, match="give a generator"):
            asynchronous_value_iteration(mdp, order=order, num_updates=1)
    with pytest.raises(ValueError, match="initial_values must have shape"):
        asynchronous_value_iteration(mdp, num_updates=1, initial_values=torch.zeros(3))
    ended = GridWorld.from_text(".G").mdp(discount=0.9)
    with pytest.raises(ValueError, match="state 1 is terminal"):
        asynchronous_value_iteration(ended, num_updates=1, initial_values=torch.ones(2))


def test_the_stop_button_keeps_the_updates_that_were_made():
    mdp, gathered = random_model(4), []

    class Stopped:
        def gather(self, states, actions):
            gathered.append(states)
            if len(gathered) == 4:
                raise KeyboardInterrupt
            return mdp.kernel.gather(states, actions)

        expectations = mdp.kernel.expectations

    stopped = copy.copy(mdp)
    object.__setattr__(stopped, "kernel", Stopped())
    found = asynchronous_value_iteration(stopped, num_updates=20)
    assert found.interrupted and found.sweeps == 1
    torch.testing.assert_close(found.values, loop(mdp, torch.zeros(5).double(), [0, 1, 2]))
