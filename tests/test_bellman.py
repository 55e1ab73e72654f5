"""Bellman's backups and the linear equations behind them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlbook.ground.seeding import generator
from rlbook.planning import bellman, kernels
from rlbook.planning.bellman import (
    action_values,
    bellman_expectation_backup,
    bellman_optimality_backup,
    discounted_visitation,
    greedy_actions,
    policy_values,
)
from rlbook.planning.dynamic_programming import value_iteration
from rlbook.planning.grids import GridWorld
from rlbook.planning.mdp import MDP


def tensor(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def stay_or_go(discount=0.5, **options) -> MDP:
    """Two states; action 0 stays and pays 1 or 3, action 1 goes to the other and pays 0."""
    transition = torch.zeros(2, 2, 2)
    transition[0, 0, 0] = transition[1, 0, 1] = transition[0, 1, 1] = transition[1, 1, 0] = 1
    reward = [[1.0, 0.0], [3.0, 0.0]]
    return MDP.from_arrays(transition.double(), reward, discount=discount, **options)


def sparse(seed=0, states=7, actions=3, K=2, discount=0.9) -> MDP:
    """A random model with K successors of each pair."""
    rng = generator(seed)
    following = torch.randint(states, (states, actions, K), generator=rng)
    weights = torch.rand(states, actions, K, generator=rng, dtype=torch.float64)
    reward = torch.randn(states, actions, generator=rng, dtype=torch.float64)
    chances = weights / weights.sum(-1, keepdim=True)
    return MDP.from_successors(following, chances, reward, discount=discount)


def dense(mdp: MDP, **options) -> MDP:
    return MDP.from_arrays(
        mdp.transition, mdp.reward, discount=mdp.discount, terminal=mdp.terminal, **options
    )


def grid(table: bool) -> MDP:
    return GridWorld.from_text("S.#\n...\n.#G", slip=0.3).mdp(discount=0.9, table=table)


MODELS = {
    "dense": dense(sparse()),
    "successors": sparse(),
    "grid": grid(table=False),
    "table": grid(table=True),
}
every_model = pytest.mark.parametrize("mdp", MODELS.values(), ids=MODELS.keys())


def slow_action_values(mdp, values):
    P, r = mdp.transition, mdp.reward
    rows = [
        [r[s, a] + mdp.discount * P[s, a] @ values for a in range(mdp.num_actions)]
        for s in range(mdp.num_states)
    ]
    return torch.tensor(rows, dtype=torch.float64)


# --- backups


def test_backups_by_hand():
    mdp, values = stay_or_go(), tensor(2, 1)
    assert action_values(mdp, values).tolist() == [[2, 0.5], [3.5, 1]]
    assert bellman_optimality_backup(mdp, values).tolist() == [2, 3.5]
    assert greedy_actions(mdp, values).tolist() == [0, 0]
    assert greedy_actions(mdp, tensor(0, 6)).tolist() == [1, 0]
    mixed = [[0.5, 0.5], [0.25, 0.75]]
    assert bellman_expectation_backup(mdp, values, mixed).tolist() == [1.25, 1.625]
    assert bellman_expectation_backup(mdp, values, [1, 0]).tolist() == [0.5, 3.5]


@every_model
def test_action_values_are_the_sum_state_by_state(mdp):
    values = torch.randn(mdp.num_states, generator=generator(1), dtype=torch.float64)
    q = slow_action_values(mdp, values)
    torch.testing.assert_close(action_values(mdp, values), q)
    torch.testing.assert_close(bellman_optimality_backup(mdp, values), q.amax(1))
    assert greedy_actions(mdp, values).equal(q.argmax(1))
    policy = torch.rand(q.shape, generator=generator(2), dtype=torch.float64)
    policy = policy / policy.sum(1, keepdim=True)
    backed_up = bellman_expectation_backup(mdp, values, policy)
    torch.testing.assert_close(backed_up, (policy * q).sum(1))
    first = torch.zeros(mdp.num_states, dtype=torch.long)
    torch.testing.assert_close(bellman_expectation_backup(mdp, values, first), q[:, 0])


@every_model
def test_a_batch_is_backed_up_row_by_row(mdp):
    S, A = mdp.num_states, mdp.num_actions
    values = torch.randn(4, 2, S, generator=generator(3), dtype=torch.float64)
    policy = torch.full((S, A), 1 / A, dtype=torch.float64)
    for backup, tail in (
        (action_values, (S, A)),
        (bellman_optimality_backup, (S,)),
        (greedy_actions, (S,)),
        (lambda m, v: bellman_expectation_backup(m, v, policy), (S,)),
    ):
        together = backup(mdp, values)
        assert together.shape == (4, 2, *tail)
        torch.testing.assert_close(together[3, 1], backup(mdp, values[3, 1]))


@pytest.mark.parametrize("blocks", [2, 3])
@every_model
def test_blocks_of_states_change_nothing(mdp, blocks, monkeypatch):
    values = torch.randn(2, 3, mdp.num_states, generator=generator(4), dtype=torch.float64)
    whole = bellman_optimality_backup(mdp, values), greedy_actions(mdp, values)
    monkeypatch.setattr(kernels, "STATES_AT_A_TIME", -(-mdp.num_states // blocks))
    torch.testing.assert_close(bellman_optimality_backup(mdp, values), whole[0])
    assert greedy_actions(mdp, values).equal(whole[1])


def test_discount_zero_sees_the_reward_only():
    mdp = sparse(discount=0)
    values = torch.full((7,), 1e6)
    torch.testing.assert_close(action_values(mdp, values), mdp.reward)
    torch.testing.assert_close(bellman_optimality_backup(mdp, values), mdp.reward.amax(1))


def test_one_state_and_one_action():
    mdp = MDP.from_arrays([[[1.0]]], [[2.0]], discount=0.75)
    fixed = tensor(8)
    assert bellman_optimality_backup(mdp, fixed).equal(fixed)
    assert bellman_expectation_backup(mdp, fixed, [0]).equal(fixed)
    assert policy_values(mdp).equal(fixed)


def test_actions_that_are_not_allowed_are_minus_infinity_and_never_chosen():
    mdp = stay_or_go(allowed=torch.tensor([[False, True], [True, True]]))
    values = tensor(2, 1)
    assert action_values(mdp, values).tolist() == [[-torch.inf, 0.5], [3.5, 1]]
    assert bellman_optimality_backup(mdp, values).tolist() == [0.5, 3.5]
    assert greedy_actions(mdp, values).tolist() == [1, 0]
    backed_up = bellman_expectation_backup(mdp, values, [[0.0, 1.0], [0.5, 0.5]])
    assert backed_up.tolist() == [0.5, 2.25]  # not NaN: 0 times -inf is left out
    with pytest.raises(ValueError, match="action 0 in state 0, where it is not allowed"):
        bellman_expectation_backup(mdp, values, [0, 0])


def test_of_several_best_actions_the_first_is_greedy():
    mdp = MDP.from_arrays(torch.ones(1, 4, 1).double(), [[1.0, 2.0, 2.0, 2.0]], discount=0.5)
    assert greedy_actions(mdp, tensor(0)).tolist() == [1]


def test_wrong_shapes_are_named():
    for backup in (action_values, bellman_optimality_backup, greedy_actions):
        with pytest.raises(ValueError, match=r"values must be \(..., 2\), got \(3,\)"):
            backup(stay_or_go(), torch.zeros(3))
        with pytest.raises(ValueError, match=r"values must be"):
            backup(stay_or_go(), torch.tensor(0.0))


def test_float32_stays_float32():
    mdp = sparse()
    small = MDP.from_arrays(mdp.transition.float(), mdp.reward.float(), discount=0.9)
    values = torch.randn(7, generator=generator(5))
    for backup in (action_values, bellman_optimality_backup):
        got = backup(small, values)
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, backup(mdp, values.double()).float())
    chain = small.induced_chain([0] * 7)
    assert policy_values(chain).dtype == torch.float32
    exact = policy_values(mdp.induced_chain([0] * 7))
    torch.testing.assert_close(policy_values(chain), exact.float(), rtol=1e-4, atol=1e-4)


@every_model
def test_the_gradient_of_action_values_is_the_discounted_kernel(mdp):
    values = torch.randn(mdp.num_states, generator=generator(6), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: action_values(mdp, v), values)
    torch.testing.assert_close(jacobian, mdp.discount * mdp.transition)


@pytest.mark.parametrize("name", ["dense", "successors"])
def test_the_gradient_of_a_backup_is_the_discounted_chain(name):
    mdp = MODELS[name]
    values = torch.randn(7, generator=generator(7), dtype=torch.float64)
    best = torch.autograd.functional.jacobian(lambda v: bellman_optimality_backup(mdp, v), values)
    chain = mdp.induced_chain(greedy_actions(mdp, values))
    torch.testing.assert_close(best, 0.9 * chain.transition[:, 0])
    policy = torch.softmax(torch.randn(7, 3, generator=generator(8)).double(), dim=1)
    mean = torch.autograd.functional.jacobian(
        lambda v: bellman_expectation_backup(mdp, v, policy), values
    )
    torch.testing.assert_close(mean, 0.9 * mdp.induced_chain(policy).transition[:, 0])


@given(seed=st.integers(0, 2**31), scale=st.sampled_from([1e-3, 1.0, 1e4]))
def test_backups_contract_are_monotone_and_pass_constants_on(seed, scale):
    mdp = sparse(seed, discount=0.8)
    u, v = scale * torch.randn(2, 7, generator=generator(seed), dtype=torch.float64)
    policy = torch.softmax(torch.randn(7, 3, generator=generator(seed + 1)).double(), dim=1)
    for backup in (
        lambda x: bellman_optimality_backup(mdp, x),
        lambda x: bellman_expectation_backup(mdp, x, policy),
    ):
        slack = 1e-12 * scale
        assert (backup(u) - backup(v)).abs().max() <= 0.8 * (u - v).abs().max() + slack
        assert (backup(torch.minimum(u, v)) <= backup(u) + slack).all()
        torch.testing.assert_close(backup(u + scale), backup(u) + 0.8 * scale)


# --- linear equations


def test_values_of_a_chain_by_hand():
    mdp = stay_or_go()
    assert policy_values(mdp.induced_chain([0, 1])).tolist() == pytest.approx([2, 1])
    assert policy_values(mdp.induced_chain([1, 0])).tolist() == pytest.approx([3, 6])
    # in each state half of the time: V = r/2 + (V_0 + V_1)/4
    uniform = mdp.induced_chain([[0.5, 0.5], [0.5, 0.5]])
    assert policy_values(uniform).tolist() == pytest.approx([1.5, 2.5])


def random_walk() -> MDP:
    """Sutton & Barto, example 6.2: five states between two ends, 1 for the right one."""
    transition = torch.zeros(7, 1, 7, dtype=torch.float64)
    reward = torch.zeros(7, 1, 7, dtype=torch.float64)
    for s in range(1, 6):
        transition[s, 0, s - 1] = transition[s, 0, s + 1] = 0.5
    reward[5, 0, 6] = 1
    ends = torch.tensor([True, *[False] * 5, True])
    return MDP.from_arrays(transition, reward, discount=1, terminal=ends)


def test_discount_one_with_an_end():
    values = policy_values(random_walk().induced_chain([0] * 7))
    assert values.tolist() == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 0])


def test_values_of_a_chain_are_the_sum_over_time():
    for seed in range(20):
        chain = sparse(seed).induced_chain(torch.full((7, 3), 1 / 3, dtype=torch.float64))
        later, total = chain.reward[:, 0], torch.zeros(7, dtype=torch.float64)
        for t in range(400):
            total = total + 0.9**t * later
            later = chain.transition[:, 0] @ later
        torch.testing.assert_close(policy_values(chain), total)


def test_too_many_states_for_a_dense_solve(monkeypatch):
    chain = dense(sparse()).induced_chain([0] * 7)
    monkeypatch.setattr(bellman, "MAX_DIRECT_STATES", 7)
    policy_values(chain)
    monkeypatch.setattr(bellman, "MAX_DIRECT_STATES", 6)
    with pytest.raises(ValueError, match='7 states are too many.*"iterative".*from_successors'):
        policy_values(chain)


# --- linear equations, by their non-zeros


def corridor(ends_at_once=0.0) -> MDP:
    """Thirty states one after another, then an end; discount 1, each step costs 1."""
    states = torch.arange(31)
    following = torch.stack([(states + 1).clamp_max(30), torch.full_like(states, 30)], 1)
    following[29, 0] = 0 if ends_at_once else 30
    chances = tensor(1 - ends_at_once, ends_at_once).expand(31, 1, 2)
    reward, terminal = -(states < 30).double().unsqueeze(1), states == 30
    return MDP.from_successors(
        following.unsqueeze(1), chances, reward, discount=1, terminal=terminal
    )


@pytest.mark.parametrize("iterations", [0, 200], ids=["factors", "krylov"])
@pytest.mark.parametrize("seed", range(3))
def test_sparse_equations_have_the_values_of_dense_ones(iterations, seed, monkeypatch):
    monkeypatch.setattr(bellman, "MAX_SMALL_STATES", 0)
    monkeypatch.setattr(bellman, "MAX_DIRECT_STATES", 0)  # a dense solve would raise
    monkeypatch.setattr(bellman, "KRYLOV_ITERATIONS", iterations)
    for mdp in (sparse(seed), grid(table=False), grid(table=True), corridor()):
        S, A = mdp.num_states, mdp.num_actions
        uniform = torch.full((S, A), 1 / A, dtype=torch.float64)
        for policy in (uniform, torch.randint(A, (S,), generator=generator(seed))):
            chain = mdp.induced_chain(policy)
            live = ~chain.terminal
            system = torch.eye(S).double() - mdp.discount * chain.transition[:, 0]
            exact = torch.zeros(S, dtype=torch.float64)
            exact[live] = torch.linalg.solve(system[live][:, live], chain.reward[live, 0])
            torch.testing.assert_close(policy_values(chain), exact, rtol=1e-12, atol=1e-12)


def test_sparse_equations_in_float32_with_gradients_and_without_a_live_state(monkeypatch):
    monkeypatch.setattr(bellman, "MAX_SMALL_STATES", 0)
    policy = torch.full((7, 3), 1 / 3, dtype=torch.float64, requires_grad=True)
    values = policy_values(sparse().induced_chain(policy))  # a dense solve
    assert torch.autograd.grad(values.sum(), policy)[0].abs().min() > 0
    short = grid(table=False)
    short = MDP.from_successors(
        *(part.float() if part.is_floating_point() else part for part in short.kernel.rows()),
        short.reward.float(),
        discount=0.9,
        terminal=short.terminal,
    )
    found = policy_values(short.induced_chain([0] * 9))
    exact = policy_values(grid(table=False).induced_chain([0] * 9))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact.float(), rtol=1e-5, atol=1e-5)
    still = MDP.from_successors(
        torch.zeros(1, 1, 1, dtype=torch.long), torch.ones(1, 1, 1), torch.zeros(1, 1),
        discount=0.9, terminal=torch.tensor([True]),
    )  # fmt: skip
    assert policy_values(still).tolist() == [0]


def test_no_values_where_rounding_would_decide_them(monkeypatch):
    monkeypatch.setattr(bellman, "MAX_SMALL_STATES", 0)
    rare = policy_values(corridor(ends_at_once=1e-9))
    assert rare[0].item() == pytest.approx(-1e9, rel=1e-4)
    with pytest.raises(ValueError, match="no values: .* almost out of reach"):
        policy_values(corridor(ends_at_once=1e-20))
    monkeypatch.setattr(bellman, "SOLVED", 0.0)
    with pytest.raises(ValueError, match="no values: rounding decides them"):
        policy_values(sparse().induced_chain([0] * 7))


# --- the visitation distribution


def test_visitation_by_hand():
    mdp = stay_or_go(start=tensor(1, 0))
    visited = discounted_visitation(mdp, [1, 1])  # A, B, A, B, ...
    assert visited.tolist() == pytest.approx([2 / 3, 1 / 3])
    assert discounted_visitation(mdp, [0, 0]).tolist() == pytest.approx([1, 0])
    assert discounted_visitation(stay_or_go(0, start=tensor(0, 1)), [1, 1]).tolist() == [0, 1]


def test_visitation_is_the_weighted_sum_over_time_and_averages_rewards_to_the_value():
    mdp = sparse(9)
    policy = torch.softmax(torch.randn(7, 3, generator=generator(9)).double(), dim=1)
    chain = mdp.induced_chain(policy)
    law, total = mdp.start, torch.zeros(7, dtype=torch.float64)
    for t in range(400):
        total = total + 0.1 * 0.9**t * law
        law = law @ chain.transition[:, 0]
    visited = discounted_visitation(mdp, policy)
    torch.testing.assert_close(visited, total)
    assert float(visited.sum()) == pytest.approx(1)
    start_value = mdp.start @ policy_values(chain)
    torch.testing.assert_close(visited @ chain.reward[:, 0], 0.1 * start_value)


def test_visitation_needs_a_discount_below_one():
    with pytest.raises(ValueError, match="1 - discount, which is 0"):
        discounted_visitation(random_walk(), [0] * 7)


def test_lists_of_python_floats_keep_their_64_bits():
    mdp = MDP.random(3, 2, discount=0.9, generator=generator(1))
    values = [0.1, 0.2, 0.3]
    exact = torch.tensor(values, dtype=torch.float64)
    assert torch.equal(action_values(mdp, values), action_values(mdp, exact))
    one = value_iteration(mdp, initial_values=values, max_sweeps=1).values
    assert torch.equal(one, bellman_optimality_backup(mdp, exact))


def test_integer_values_are_those_numbers():
    whole, values = torch.tensor([2, 1]), tensor(2, 1)
    for backup in (action_values, bellman_optimality_backup, greedy_actions):
        assert backup(stay_or_go(), whole).equal(backup(stay_or_go(), values))
        assert backup(stay_or_go(), [2, 1]).equal(backup(stay_or_go(), values))
    mixed = [[0.5, 0.5], [0.25, 0.75]]
    assert bellman_expectation_backup(stay_or_go(), whole, mixed).tolist() == [1.25, 1.625]
