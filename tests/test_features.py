"""Linear features, tile coding, and the fixed point of semi-gradient TD(0)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlbook.ground.seeding import generator
from rlbook.planning.bellman import bellman_expectation_backup, policy_values
from rlbook.planning.features import (
    best_linear_fit,
    lstd,
    on_policy_distribution,
    state_aggregation,
    td_fixed_point,
    td_system,
    tile_features,
    tile_indices,
)
from rlbook.planning.mdp import MDP
from rlbook.tabular.examples import random_walk

F64 = {"dtype": torch.float64}
ONLY = torch.zeros(8, dtype=torch.long)


def chain_with_an_end(seed, *, discount=0.9, states=8):
    """A random chain that may end from every state, with a random start."""
    rng = generator(seed)
    step = torch.rand(states, 1, states, generator=rng, **F64)
    step /= step.sum(-1, keepdim=True)
    step[-1] = 0
    reward = torch.randn(states, 1, generator=rng, **F64)
    reward[-1] = 0
    start = torch.rand(states, generator=rng, **F64)
    start[-1] = 0
    ends = torch.arange(states) == states - 1
    return MDP.from_arrays(
        step, reward, discount=discount, start=start / start.sum(), terminal=ends
    )


def endless_chain(seed, *, discount=0.9, states=8):
    return MDP.random(states, 1, discount=discount, generator=generator(seed))


CHAINS = [chain_with_an_end(1), chain_with_an_end(2, discount=1.0), endless_chain(3)]


# ---------------------------------------------------------------- features


def test_aggregation_by_hand():
    expected = torch.tensor([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], **F64)
    torch.testing.assert_close(state_aggregation(5, 2), expected)
    torch.testing.assert_close(state_aggregation(4, 4), torch.eye(4, **F64))


@given(st.integers(1, 60), st.data())
def test_groups_are_consecutive_and_of_nearly_equal_size(states, data):
    groups = data.draw(st.integers(1, states))
    X = state_aggregation(states, groups)
    assert X.shape == (states, groups) and (X.sum(1) == 1).all()
    assert (X.argmax(1).diff() >= 0).all()
    sizes = X.sum(0)
    assert sizes.max() - sizes.min() <= 1 and sizes.min() >= 1


def test_tiles_by_hand_in_one_dimension():
    """Bounds 0 and 1, 2 tiles, 2 tilings, the second shifted by half a tile of width 1/2."""
    points = torch.tensor([[0.0], [0.2], [0.3], [0.6], [0.8], [1.0], [7.0], [-3.0]], **F64)
    first = [0, 0, 0, 1, 1, 1, 1, 0]
    second = [3, 3, 4, 4, 5, 5, 5, 3]
    got = tile_indices(points, low=0.0, high=1.0, tiles=2, tilings=2)
    assert got.tolist() == [list(both) for both in zip(first, second, strict=True)]


def test_tiles_by_hand_in_two_dimensions():
    """Width 1 on both axes; tiling 1 of 4 is shifted by 1/4 and 3/4, tiling 3 by 3/4 and 1/4."""
    point = torch.tensor([0.5, 1.5], **F64)
    got = tile_indices(point, low=[0.0, 0.0], high=[2.0, 2.0], tiles=2, tilings=4)
    cells = [(0, 1), (0, 2), (1, 2), (1, 1)]  # floor(0.5 + shift), floor(1.5 + shift)
    assert got.tolist() == [9 * k + a + 3 * b for k, (a, b) in enumerate(cells)]


@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 8), st.integers(0, 9))
def test_tiles_are_in_range_and_in_their_own_tiling(axes, tiles, tilings, seed):
    points = 3 * torch.randn(20, axes, generator=generator(seed), **F64)
    indices = tile_indices(points, low=-1.0, high=2.0, tiles=tiles, tilings=tilings)
    size = (tiles + 1) ** axes
    assert (indices // size == torch.arange(tilings)).all()
    X = tile_features(points, low=-1.0, high=2.0, tiles=tiles, tilings=tilings)
    assert X.shape == (20, tilings * size) and (X.sum(-1) == tilings).all()
    assert (X.gather(-1, indices) == 1).all()


def test_near_points_share_more_tiles_than_far_ones():
    x = torch.tensor([[0.40], [0.42], [0.55], [0.90]], **F64)
    X = tile_features(x, low=0.0, high=1.0, tiles=4, tilings=8)
    shared = (X @ X.T)[0].tolist()
    assert shared == [8.0, 7.0, 3.0, 0.0]


def test_float32_points_keep_their_dtype():
    X = tile_features(torch.rand(3, 2), low=0.0, high=1.0, tiles=3, tilings=2)
    assert X.dtype == torch.float32


# ---------------------------------------------------------------- the on-policy distribution


def test_on_policy_distribution_by_hand():
    """A start, then one of two states, then the end: 1/2 of the steps in 0, 1/4 in 1 and 2."""
    step = torch.tensor([[0, 0.5, 0.5, 0], [0, 0, 0, 1.0], [0, 0, 0, 1.0], [0, 0, 0, 0]], **F64)
    chain = MDP.from_arrays(
        step.unsqueeze(1),
        torch.zeros(4, 1, **F64),
        discount=1.0,
        start=torch.tensor([1.0, 0, 0, 0], **F64),
        terminal=torch.arange(4) == 3,
    )
    expected = torch.tensor([0.5, 0.25, 0.25, 0.0], **F64)
    torch.testing.assert_close(on_policy_distribution(chain), expected)


@pytest.mark.parametrize("chain", CHAINS)
def test_on_policy_distribution_is_the_long_run_share(chain):
    here, total = chain.start.clone(), torch.zeros_like(chain.start)
    for _ in range(4000):
        total += here
        here = here @ chain.transition[:, 0]
        ended = torch.where(chain.terminal, here, 0.0).sum()
        here = torch.where(chain.terminal, 0.0, here) + ended * chain.start
    torch.testing.assert_close(on_policy_distribution(chain), total / 4000, atol=1e-3, rtol=0)


def test_on_policy_distribution_knows_no_discount():
    low, high = (on_policy_distribution(chain_with_an_end(1, discount=g)) for g in (0.1, 1.0))
    torch.testing.assert_close(low, high)


# ---------------------------------------------------------------- semi-gradient TD(0)


@pytest.mark.parametrize("chain", CHAINS)
def test_expected_update_by_enumerating_transitions(chain):
    rng = generator(4)
    X = torch.randn(8, 3, generator=rng, **F64)
    w = torch.randn(3, generator=rng, **F64)
    mu = torch.rand(8, generator=rng, **F64)
    expected = torch.zeros(3, **F64)
    for s in range(8):
        if chain.terminal[s]:
            continue
        for t in range(8):
            ahead = 0.0 if chain.terminal[t] else X[t] @ w
            delta = chain.reward[s, 0] + chain.discount * ahead - X[s] @ w
            expected += mu[s] * chain.transition[s, 0, t] * delta * X[s]
    A, b = td_system(chain, X, mu)
    torch.testing.assert_close(b - A @ w, expected)


@pytest.mark.parametrize("chain", CHAINS)
def test_fixed_point_is_a_projected_backup(chain):
    X = torch.randn(8, 3, generator=generator(5), **F64)
    mu = on_policy_distribution(chain)
    w = td_fixed_point(chain, X, mu)
    values = torch.where(chain.terminal, 0.0, X @ w)
    backup = bellman_expectation_backup(chain, values, ONLY)
    torch.testing.assert_close(w, best_linear_fit(X, backup, mu))
    assert not torch.allclose(w, best_linear_fit(X, policy_values(chain), mu), atol=1e-3)


@pytest.mark.parametrize("chain", CHAINS)
def test_a_table_is_exact_for_both(chain):
    V, mu = policy_values(chain), on_policy_distribution(chain)
    for w in (td_fixed_point(chain, torch.eye(8, **F64), mu), best_linear_fit(torch.eye(8), V, mu)):
        torch.testing.assert_close(torch.where(chain.terminal, 0.0, w), V)


def test_dependent_features_change_nothing_but_the_weights():
    chain, rng = CHAINS[0], generator(6)
    X, mu = torch.randn(8, 3, generator=rng, **F64), on_policy_distribution(CHAINS[0])
    more = torch.cat([X, X @ torch.randn(3, 4, generator=rng, **F64)], dim=1)
    torch.testing.assert_close(
        more @ td_fixed_point(chain, more, mu), X @ td_fixed_point(chain, X, mu)
    )


@given(st.integers(0, 200))
def test_error_bound(seed):
    chain = (chain_with_an_end if seed % 2 else endless_chain)(seed)
    X = torch.randn(8, 3, generator=generator(seed + 1), **F64)
    mu, V = on_policy_distribution(chain), policy_values(chain)

    def error(w):
        return (mu * (X @ w - V).square()).sum().sqrt()

    best, td = error(best_linear_fit(X, V, mu)), error(td_fixed_point(chain, X, mu))
    assert best <= td + 1e-12 and td <= best / (1 - 0.9**2) ** 0.5 + 1e-12


def test_error_bound_is_attained():
    """Twelve hours, values sin, one feature cos, discount cos(30 degrees): twice the best error."""
    angle = torch.arange(12, **F64) * torch.pi / 6
    step, V, X = torch.eye(12, **F64).roll(1, 1), angle.sin(), angle.cos().unsqueeze(1)
    discount = float(torch.cos(angle[1]))
    reward = V - discount * step @ V
    clock = MDP.from_arrays(step.unsqueeze(1), reward.unsqueeze(1), discount=discount)
    mu = torch.full((12,), 1 / 12, **F64)
    torch.testing.assert_close(td_fixed_point(clock, X, mu), torch.tensor([-(3**0.5)], **F64))
    torch.testing.assert_close(best_linear_fit(X, V, mu), torch.zeros(1, **F64))


# ---------------------------------------------------------------- least squares from records


def record(seed, *, steps=400, states=8):
    """Steps of a random chain that may end from every state; the last state is the end."""
    rng = generator(seed)
    s, s_next = (
        torch.randint(states - 1, (steps,), generator=rng),
        torch.randint(states, (steps,), generator=rng),
    )
    return s, s_next, torch.randn(steps, generator=rng, **F64), s_next == states - 1


def likely_model(s, s_next, rewards, *, discount, states=8):
    """The model that makes a record most likely, and how often it visits each state."""
    moves = torch.zeros(states, states, **F64)
    moves.index_put_((s, s_next), torch.ones_like(rewards), accumulate=True)
    earned = torch.zeros(states, **F64).index_add(0, s, rewards)
    visits = moves.sum(1)
    seen = visits.clamp(min=1)
    chain = MDP.from_arrays(
        (moves / seen.unsqueeze(1)).unsqueeze(1),
        (earned / seen).unsqueeze(1),
        discount=discount,
        terminal=torch.arange(states) == states - 1,
    )
    return chain, visits / len(s)


@pytest.mark.parametrize("discount", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("num_features", [1, 3, 10])
def test_lstd_is_the_fixed_point_of_the_likely_model(discount, num_features):
    """With more features than states, too: they depend on each other."""
    s, s_next, rewards, terminated = record(11)
    X = torch.randn(8, num_features, generator=generator(12), **F64)
    w = lstd(X[s], X[s_next], rewards, terminated, discount=discount)
    chain, visits = likely_model(s, s_next, rewards, discount=discount)
    torch.testing.assert_close((X @ w)[:7], (X @ td_fixed_point(chain, X, visits))[:7])


def test_lstd_by_hand():
    """The corridor S...G in two groups: cells 0 to 3, -1 a step. TD rests at -4 and -2."""
    X = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1], [9, 9]], **F64)
    end = torch.arange(4) == 3
    w = lstd(X[:4], X[1:], torch.full((4,), -1.0, **F64), end, discount=1.0)
    torch.testing.assert_close(w, torch.tensor([-4.0, -2.0], **F64))


def test_lstd_reads_nothing_behind_an_end():
    s, s_next, rewards, terminated = record(13)
    X = torch.randn(8, 3, generator=generator(14), **F64)
    behind = X[s_next].clone()
    w = lstd(X[s], behind, rewards, terminated, discount=0.9)
    behind[terminated] = torch.nan
    torch.testing.assert_close(lstd(X[s], behind, rewards, terminated, discount=0.9), w)


def test_lstd_without_an_end_at_discount_1():
    X, no = torch.ones(3, 1, **F64), torch.zeros(3, dtype=torch.bool)
    with pytest.raises(ValueError, match="do not determine w"):
        lstd(X, X, X[:, 0], no, discount=1.0)


def test_best_fit_equals_weighted_least_squares():
    rng = generator(7)
    X, V = torch.randn(8, 3, generator=rng, **F64), torch.randn(8, generator=rng, **F64)
    mu = torch.rand(8, generator=rng, **F64)
    root = mu.sqrt()
    expected = torch.linalg.lstsq(root.unsqueeze(1) * X, (root * V).unsqueeze(1)).solution[:, 0]
    torch.testing.assert_close(best_linear_fit(X, V, mu), expected)


def test_walk_with_one_group_by_hand():
    """All five states share one weight: A = 1/9, the share of steps that end, and b = 1/18."""
    walk = random_walk(5)
    mu = on_policy_distribution(walk)
    torch.testing.assert_close(mu[1:6], torch.tensor([1, 2, 3, 2, 1], **F64) / 9)
    w = td_fixed_point(walk, torch.ones(7, 1, **F64), mu)
    torch.testing.assert_close(w, torch.tensor([0.5], **F64))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: state_aggregation(3, 4), "num_groups must be in \\[1, 3\\]"),
        (lambda: tile_indices(torch.tensor(1.0), low=0, high=1, tiles=2, tilings=2), "points must"),
        (lambda: tile_indices(torch.ones(2, 1), low=1, high=1, tiles=2, tilings=2), "low must be"),
        (
            lambda: tile_indices(torch.ones(2, 1), low=0, high=1, tiles=0, tilings=2),
            "tiles must be",
        ),
        (
            lambda: on_policy_distribution(MDP.random(3, 2, discount=0.9, generator=generator(1))),
            "one action",
        ),
        (lambda: td_system(CHAINS[0], torch.ones(7, 2), torch.ones(8)), "features must be"),
        (lambda: td_system(CHAINS[0], torch.ones(8, 2), torch.ones(7)), "weighting must be"),
        (lambda: best_linear_fit(torch.ones(8, 2), torch.ones(8), torch.ones(7)), "must be"),
        (
            lambda: lstd(*torch.ones(2, 8, 3), torch.ones(8), torch.zeros(7).bool(), discount=0.9),
            r"must be \(N, F\), \(N, F\), \(N,\), \(N,\), got",
        ),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_chain_in_two_parts_has_no_unique_distribution():
    chain = MDP.from_arrays(
        torch.eye(2, **F64).unsqueeze(1), torch.zeros(2, 1, **F64), discount=0.5
    )
    with pytest.raises(ValueError, match="no unique mu"):
        on_policy_distribution(chain)
