"""Planning: against every policy, against each other, at the limits, and when stopped."""

import itertools

import pytest
import torch

from rlbook.ground.seeding import generator
from rlbook.planning import dynamic_programming
from rlbook.planning.bellman import action_values, bellman_optimality_backup, greedy_actions
from rlbook.planning.dynamic_programming import (
    modified_policy_iteration,
    policy_evaluation,
    policy_iteration,
    q_value_iteration,
    value_iteration,
)
from rlbook.planning.grids import GridWorld
from rlbook.planning.mazes import random_maze
from rlbook.planning.mdp import MDP

PLANNERS = [value_iteration, q_value_iteration, policy_iteration, modified_policy_iteration]
every_planner = pytest.mark.parametrize("plan", PLANNERS, ids=lambda f: f.__name__)
SWEEPING = [value_iteration, q_value_iteration, modified_policy_iteration]
every_sweeping = pytest.mark.parametrize("plan", SWEEPING, ids=lambda f: f.__name__)


def tensor(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def stay_or_go(discount=0.5, **options) -> MDP:
    """Two states; action 0 stays and pays 1 or 3, action 1 goes to the other and pays 0."""
    transition = torch.zeros(2, 2, 2, dtype=torch.float64)
    transition[0, 0, 0] = transition[1, 0, 1] = transition[0, 1, 1] = transition[1, 1, 0] = 1
    return MDP.from_arrays(transition, [[1.0, 0.0], [3.0, 0.0]], discount=discount, **options)


def corridor(discount: float) -> MDP:
    """Five cells between two ends; action 0 left, 1 right; the right end pays 1."""
    following = torch.tensor([[max(s - 1, 0), min(s + 1, 6)] for s in range(7)])
    transition = torch.nn.functional.one_hot(following, 7).double()
    reward = torch.zeros(7, 2, dtype=torch.float64)
    reward[5, 1] = 1
    ends = torch.tensor([True, *[False] * 5, True])
    transition[ends] = 0
    return MDP.from_arrays(transition, reward, discount=discount, terminal=ends)


def random_model(seed, states=20, actions=4, discount=0.9, dtype=torch.float64) -> MDP:
    mdp = MDP.random(states, actions, discount=discount, generator=generator(seed))
    return MDP.from_arrays(mdp.transition.to(dtype), mdp.reward.to(dtype), discount=discount)


def deterministic_model(seed, states=20, actions=4, discount=0.9) -> MDP:
    """Every pair leads to one state: here plans matter, and greedy policies change often."""
    rng = generator(seed)
    following = torch.randint(states, (states, actions), generator=rng)
    reward = torch.randn(states, actions, generator=rng, dtype=torch.float64)
    transition = torch.nn.functional.one_hot(following, states).double()
    return MDP.from_arrays(transition, reward, discount=discount)


def with_forbidden(seed) -> MDP:
    """Some actions are not allowed, among them the best ones."""
    mdp = random_model(seed)
    allowed = torch.rand(20, 4, generator=generator(seed + 100)) < 0.6
    allowed[torch.arange(20), policy_iteration(mdp).policy] = False
    allowed[:, 0] |= ~allowed.any(dim=1)
    return MDP.from_arrays(mdp.transition, mdp.reward, discount=0.9, allowed=allowed)


def best_by_enumeration(mdp: MDP) -> torch.Tensor:
    """The largest value of each state over all deterministic policies."""
    choices = [row.nonzero().flatten().tolist() for row in mdp.allowed]
    S, best = mdp.num_states, torch.full((mdp.num_states,), -torch.inf, dtype=torch.float64)
    for actions in itertools.product(*choices):
        step = torch.stack([mdp.transition[s, a] for s, a in enumerate(actions)])
        reward = torch.stack([mdp.reward[s, a] for s, a in enumerate(actions)])
        system = torch.eye(S, dtype=torch.float64) - mdp.discount * step
        best = torch.maximum(best, torch.linalg.solve(system, reward))
    return best


# --- policy iteration ends: first, since what follows would wait for it


def test_it_ends_on_grids_full_of_ties():
    for n in range(3, 9):
        for slip in (0.0, 0.2):
            text = "\n".join(["." * n] * (n - 1) + ["." * (n - 1) + "G"])
            mdp = GridWorld.from_text(text, slip=slip).mdp(discount=0.95)
            for action in range(4):
                start = torch.full((n * n,), action)
                assert policy_iteration(mdp, initial_policy=start, max_iterations=60).sweeps < 60


def test_policy_iteration_ends_in_float32():
    for seed in range(10):
        mdp = random_model(seed, discount=0.99, dtype=torch.float32)
        assert policy_iteration(mdp, max_iterations=60).sweeps < 60


# --- evaluation


@pytest.mark.parametrize("method", ["exact", "iterative"])
def test_evaluation_by_hand(method):
    found = policy_evaluation(stay_or_go(), [0, 1], method=method, tolerance=1e-12)
    assert found.values.tolist() == pytest.approx([2, 1])
    assert found.policy.tolist() == [0, 1] and found.residual < 1e-11
    mixed = torch.full((2, 2), 0.5, dtype=torch.float64)
    found = policy_evaluation(stay_or_go(), mixed, method=method, tolerance=1e-12)
    assert found.values.tolist() == pytest.approx([1.5, 2.5])
    assert found.policy.equal(mixed)


@pytest.mark.parametrize("seed", range(5))
def test_exact_and_iterative_evaluation_agree(seed):
    mdp = with_forbidden(seed)
    policy = mdp.allowed.double() / mdp.allowed.sum(dim=1, keepdim=True)
    exact = policy_evaluation(mdp, policy)
    swept = policy_evaluation(mdp, policy, method="iterative", tolerance=1e-10)
    assert exact.sweeps == 1 and swept.sweeps > 100
    assert (swept.values - exact.values).abs().max() <= 9 * swept.residual


def test_evaluation_starts_where_it_is_told_and_hands_back_after_max_sweeps():
    mdp = stay_or_go()
    found = policy_evaluation(
        mdp, [0, 1], method="iterative", max_sweeps=2, initial_values=[4.0, 0.0]
    )
    assert found.values.tolist() == [2.5, 1.5]  # (4, 0) -> (3, 2) -> (2.5, 1.5)
    assert found.sweeps == 2 and found.residual == 0.5


def test_evaluation_at_discount_one_with_an_end():
    half = torch.full((7, 2), 0.5, dtype=torch.float64)
    for method in ("exact", "iterative"):
        values = policy_evaluation(corridor(1), half, method=method, tolerance=1e-13).values
        assert values.tolist() == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 0])


@pytest.mark.parametrize("method", ["exact", "iterative"])
def test_an_improper_policy_at_discount_one_raises_and_names_a_state(method):
    there_and_back = torch.tensor([0, 1, 0, 1, 1, 1, 0])  # 1 and 2 send the agent to each other
    with pytest.raises(ValueError, match="state 1 cannot reach a terminal state under this policy"):
        policy_evaluation(corridor(1), there_and_back, method=method)
    assert policy_evaluation(corridor(0.9), there_and_back, method=method).values[1] == 0


def test_bad_arguments_of_evaluation():
    with pytest.raises(ValueError, match="'exact' or 'iterative', got 'magic'"):
        policy_evaluation(stay_or_go(), [0, 0], method="magic")
    with pytest.raises(ValueError, match=r"policy\[1\] is 2; there are 2 actions"):
        policy_evaluation(stay_or_go(), [0, 2])


# --- the planners against the truth


@every_planner
def test_planners_by_hand(plan):
    found = plan(stay_or_go())
    assert found.values.tolist() == pytest.approx([3, 6], abs=1e-7)
    assert found.policy.tolist() == [1, 0]
    assert found.policy.dtype == torch.long


@every_planner
@pytest.mark.parametrize("seed", range(4))
def test_planners_find_the_best_of_all_policies(plan, seed):
    mdp = random_model(seed, states=4, actions=3)
    if seed % 2:
        allowed = torch.ones(4, 3, dtype=torch.bool)
        allowed[torch.arange(4), policy_iteration(mdp).policy] = False
        mdp = MDP.from_arrays(mdp.transition, mdp.reward, discount=0.9, allowed=allowed)
    best = best_by_enumeration(mdp)
    found = plan(mdp)
    torch.testing.assert_close(found.values, best, atol=1e-7, rtol=0)
    assert mdp.allowed[torch.arange(4), found.policy].all()
    torch.testing.assert_close(policy_evaluation(mdp, found.policy).values, best)


@pytest.mark.parametrize("seed", range(3))
def test_planners_agree_with_each_other(seed):
    for mdp in (
        random_model(seed, discount=0.99),
        with_forbidden(seed),
        GridWorld.from_text("S..#\n.#..\n...G", slip=0.2).mdp(discount=1),
    ):
        exact = policy_iteration(mdp)
        for plan in SWEEPING:
            found = plan(mdp, tolerance=1e-11)
            torch.testing.assert_close(found.values, exact.values, atol=1e-8, rtol=0)
            worth = policy_evaluation(mdp, found.policy).values
            torch.testing.assert_close(worth, exact.values, atol=1e-8, rtol=0)


@every_planner
def test_discount_zero_and_one_state(plan):
    blind = random_model(0, discount=0)
    torch.testing.assert_close(plan(blind).values, blind.reward.amax(dim=1))
    assert plan(blind).policy.equal(blind.reward.argmax(dim=1))
    lonely = MDP.from_arrays(torch.ones(1, 2, 1).double(), [[1.0, 2.0]], discount=0.75)
    assert plan(lonely).values.tolist() == pytest.approx([8], abs=1e-6)
    assert plan(lonely).policy.tolist() == [1]


@every_sweeping
def test_values_that_fall_are_followed_down(plan):
    costs = MDP.from_arrays(torch.ones(1, 1, 1).double(), [[-1.0]], discount=0.5)
    assert plan(costs).values.tolist() == pytest.approx([-2], abs=1e-6)
    if plan is not q_value_iteration:
        found = plan(random_model(1), initial_values=torch.full((20,), 1e3))
        torch.testing.assert_close(
            found.values, policy_iteration(random_model(1)).values, atol=1e-6, rtol=0
        )


@every_sweeping
def test_the_residual_bounds_the_error(plan):
    mdp = random_model(2)
    found = plan(mdp, tolerance=1e-3)
    error = (found.values - policy_iteration(mdp).values).abs().max()
    assert found.residual < 1e-3 and error <= 0.9 / 0.1 * found.residual


@every_planner
def test_float32_ends(plan):
    small, large = random_model(3, dtype=torch.float32), random_model(3)
    options = {} if plan is policy_iteration else {"tolerance": 1e-4}
    found, exact = plan(small, **options), policy_iteration(large)
    assert found.values.dtype == torch.float32 and found.sweeps < 300
    torch.testing.assert_close(found.values, exact.values.float(), atol=2e-3, rtol=0)
    assert found.policy.equal(exact.policy)


# --- value iteration, and its like for action values


@pytest.mark.parametrize("k", [0, 1, 2, 5])
def test_so_many_sweeps_and_no_more(k):
    mdp = random_model(4)
    values = [torch.zeros(20, dtype=torch.float64)]
    for _ in range(k):
        values.append((mdp.reward + 0.9 * mdp.transition @ values[-1]).amax(dim=1))
    found = value_iteration(mdp, max_sweeps=k)
    torch.testing.assert_close(found.values, values[k])
    assert found.sweeps == k and found.policy.equal(greedy_actions(mdp, values[k]))
    last = float((values[k] - values[k - 1]).abs().max()) if k else torch.inf
    assert found.residual == pytest.approx(last)
    q = q_value_iteration(mdp, max_sweeps=k)
    torch.testing.assert_close(q.action_values, action_values(mdp, values[k]))
    assert q.sweeps == k and q.policy.equal(found.policy)


def test_action_values_of_forbidden_actions_are_minus_infinity():
    mdp = with_forbidden(0)
    found = q_value_iteration(mdp, tolerance=1e-12)
    assert (found.action_values == -torch.inf).equal(~mdp.allowed)
    torch.testing.assert_close(found.action_values.amax(dim=1), found.values)
    exact = action_values(mdp, policy_iteration(mdp).values)
    torch.testing.assert_close(found.action_values, exact)
    assert value_iteration(mdp).action_values is None


# --- policy iteration


def slow_policy_iteration(mdp, policy, rounds):
    """The policy after so many rounds; an action stays unless another is better."""
    for _ in range(rounds):
        chain, states = mdp.transition, torch.arange(mdp.num_states)
        system = torch.eye(mdp.num_states, dtype=torch.float64)
        system = system - mdp.discount * chain[states, policy]
        q = mdp.reward + mdp.discount * chain @ torch.linalg.solve(
            system, mdp.reward[states, policy]
        )
        better = q.amax(dim=1) > q[states, policy] + 1e-9
        policy = torch.where(better, q.argmax(dim=1), policy)
    return policy


def test_rounds_by_hand():
    """Exercise 5.1: stay and go; stay and stay; go and stay."""
    start = torch.tensor([0, 1])
    for rounds, policy, values in (
        (1, [0, 0], [2, 1]),  # the policy is one round ahead of the values
        (2, [1, 0], [2, 6]),
        (3, [1, 0], [3, 6]),
        (None, [1, 0], [3, 6]),
    ):
        found = policy_iteration(stay_or_go(), initial_policy=start, max_iterations=rounds)
        assert found.policy.tolist() == policy and found.values.tolist() == pytest.approx(values)
    assert found.sweeps == 3 and found.residual == pytest.approx(0, abs=1e-12)


def test_every_round_is_the_slow_one():
    mdp = corridor(0.5)  # all its values are exact
    left = torch.zeros(7, dtype=torch.long)
    for rounds in range(1, 8):
        found = policy_iteration(mdp, initial_policy=left, max_iterations=rounds)
        assert found.policy.equal(slow_policy_iteration(mdp, left, rounds))
        assert found.sweeps == min(rounds, 6)
    assert found.policy[1:6].tolist() == [1] * 5


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_tie_keeps_the_old_action(kept):
    mdp = MDP.from_arrays(torch.ones(1, 4, 1).double(), [[2.0, 2.0, 2.0, 1.0]], discount=0.5)
    found = policy_iteration(mdp, initial_policy=torch.tensor([kept]))
    assert found.policy.tolist() == [kept] and found.sweeps == 1
    assert policy_iteration(mdp, initial_policy=torch.tensor([3])).policy.tolist() == [0]


def test_a_tie_in_one_state_stays_while_another_state_improves():
    mdp = corridor(0.5)
    mdp = MDP.from_arrays(
        mdp.transition.repeat(1, 2, 1), mdp.reward.repeat(1, 2), discount=0.5, terminal=mdp.terminal
    )  # actions 2 and 3 do the same as 0 and 1
    start = torch.tensor([3, 3, 3, 3, 3, 2, 3])  # right, but for the last cell
    found = policy_iteration(mdp, initial_policy=start)
    assert found.policy[1:6].tolist() == [3, 3, 3, 3, 1]


def test_by_default_it_starts_from_the_uniform_policy_and_honours_max_iterations():
    mdp = with_forbidden(1)
    uniform = mdp.allowed.double() / mdp.allowed.sum(dim=1, keepdim=True)
    first = policy_iteration(mdp, max_iterations=1)
    expected = policy_evaluation(mdp, uniform).values
    torch.testing.assert_close(first.values, expected)
    assert first.sweeps == 1 and first.policy.equal(greedy_actions(mdp, expected))
    stochastic = policy_iteration(mdp, initial_policy=uniform)
    assert stochastic.policy.equal(policy_iteration(mdp).policy)
    assert policy_iteration(corridor(1)).policy[1:6].tolist() == [1] * 5


def test_an_improper_start_at_discount_one_raises():
    back_and_forth = torch.tensor([0, 1, 0, 1, 1, 1, 0])
    with pytest.raises(ValueError, match="state 1 cannot reach a terminal state"):
        policy_iteration(corridor(1), initial_policy=back_and_forth)


@pytest.mark.parametrize("discount", [0.99, 1.0])
@pytest.mark.parametrize("where", ["random", "maze"])
def test_five_thousand_sparse_states(where, discount):
    """No dense solve: it would take minutes here."""
    rng = generator(0)
    if where == "maze":
        goals = [(69, 69)]
        mdp = random_maze(71, 71, goals=goals, openings=0.1, slip=0.2, generator=rng).mdp(
            discount=discount
        )
    else:
        following = torch.randint(5_000, (5_000, 4, 3), generator=rng)
        pay = torch.randn(5_000, 4, generator=rng, dtype=torch.float64) - 3 * (discount == 1)
        ends = torch.arange(5_000) < 50
        mdp = MDP.from_successors(
            torch.where(ends[:, None, None], torch.arange(5_000)[:, None, None], following),
            torch.full((5_000, 4, 3), 1 / 3, dtype=torch.float64),
            pay.masked_fill(ends[:, None], 0.0),
            discount=discount,
            terminal=ends,
        )
    found = policy_iteration(mdp)
    assert found.residual < 1e-9 * found.values.abs().max()


# --- modified policy iteration


@pytest.mark.parametrize("m", [0, 1, 5])
@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_each_round_is_a_greedy_backup_and_m_more_of_its_policy(m, rounds):
    mdp = deterministic_model(5)
    values, states = torch.zeros(20, dtype=torch.float64), torch.arange(20)
    for _ in range(rounds):
        policy = (mdp.reward + 0.9 * mdp.transition @ values).argmax(dim=1)
        for _ in range(m + 1):
            values = mdp.reward[states, policy] + 0.9 * mdp.transition[states, policy] @ values
    last = (mdp.reward + 0.9 * mdp.transition @ values).amax(dim=1)
    cap = rounds * (m + 1) + 1  # it ends with a greedy backup
    found = modified_policy_iteration(mdp, evaluation_sweeps=m, max_sweeps=cap)
    torch.testing.assert_close(found.values, last)
    assert found.sweeps == cap


def test_no_evaluation_is_value_iteration_bit_for_bit():
    mdp = random_model(6)
    one, other = modified_policy_iteration(mdp, evaluation_sweeps=0), value_iteration(mdp)
    assert one.values.equal(other.values) and one.policy.equal(other.policy)
    assert (one.sweeps, one.residual) == (other.sweeps, other.residual)


def test_very_much_evaluation_is_policy_iteration():
    mdp = random_model(7)
    start = greedy_actions(mdp, torch.zeros(20, dtype=torch.float64))
    evaluations = policy_iteration(mdp, initial_policy=start).sweeps
    found = modified_policy_iteration(mdp, evaluation_sweeps=400, tolerance=1e-9)
    assert found.sweeps == 401 * evaluations + 1


@pytest.mark.parametrize("cap", [1, 2, 20, 21, 22, 23, 50])
def test_max_sweeps_is_a_cap(cap):
    assert modified_policy_iteration(random_model(8), max_sweeps=cap).sweeps == cap


def test_policies_that_never_end_are_no_problem_on_the_way_at_discount_one():
    world = GridWorld.from_text("S...\n.#..\n...G", slip=0.0).mdp(discount=1)
    found = modified_policy_iteration(world)
    assert found.values[0] == -5


# --- bad arguments, divergence, the stop button


@every_sweeping
def test_the_tolerance_must_be_positive(plan):
    for tolerance in (0, -1e-3, float("nan")):
        with pytest.raises(ValueError, match="tolerance must be positive"):
            plan(stay_or_go(), tolerance=tolerance)


def test_evaluation_sweeps_must_not_be_negative():
    with pytest.raises(ValueError, match="evaluation_sweeps must be at least 0, got -1"):
        modified_policy_iteration(stay_or_go(), evaluation_sweeps=-1)


@pytest.mark.parametrize("plan", [value_iteration, modified_policy_iteration])
def test_initial_values_are_checked_and_left_alone(plan):
    with pytest.raises(ValueError, match=r"initial_values must have shape \(7,\), got \(3,\)"):
        plan(corridor(0.9), initial_values=torch.zeros(3))
    with pytest.raises(ValueError, match=r"initial_values\[6\] is 7.0, but state 6 is terminal"):
        plan(corridor(0.9), initial_values=[0.0, 1, 1, 1, 1, 1, 7])
    start = torch.ones(2, dtype=torch.float64)
    plan(stay_or_go(), initial_values=start)
    assert start.tolist() == [1, 1]


@every_sweeping
def test_what_does_not_settle_raises(plan, monkeypatch):
    monkeypatch.setattr(dynamic_programming, "MAX_SWEEPS", 10)
    with pytest.raises(ValueError, match="not settled after 10 rounds; do the values diverge"):
        plan(stay_or_go(0.999))


@every_planner
@pytest.mark.parametrize("calls", [1, 2, 3])
def test_the_stop_button_hands_back_what_there_is(plan, calls, monkeypatch):
    """Interrupted in the backup of that number, the planner returns the work of those before."""
    name = "action_values" if plan is q_value_iteration else "bellman_optimality_backup"
    original, made = getattr(dynamic_programming, name), []

    def interrupted(mdp, values):
        made.append(1)
        if len(made) == calls + (plan is q_value_iteration):  # its first call is before
            raise KeyboardInterrupt
        return original(mdp, values)

    mdp = random_model(9, discount=0.99)
    monkeypatch.setattr(dynamic_programming, name, interrupted)
    options = {"evaluation_sweeps": 0} if plan is modified_policy_iteration else {}
    if plan is policy_iteration:
        options = {"initial_policy": torch.zeros(20, dtype=torch.long)}
    found = plan(mdp, **options)
    assert found.interrupted and found.values.shape == found.policy.shape == (20,)
    assert found.values.isfinite().all() and found.sweeps == calls - 1
    if plan in (value_iteration, modified_policy_iteration):
        values = torch.zeros(20, dtype=torch.float64)
        for _ in range(calls - 1):
            values = bellman_optimality_backup(mdp, values)
        torch.testing.assert_close(found.values, values)
    if plan is policy_iteration:
        rounds = slow_policy_iteration(mdp, torch.zeros(20, dtype=torch.long), calls - 1)
        torch.testing.assert_close(found.values, policy_evaluation(mdp, rounds).values)


@every_planner
def test_without_a_sweep_the_start_comes_back(plan):
    limit = "max_iterations" if plan is policy_iteration else "max_sweeps"
    found = plan(stay_or_go(), **{limit: 0})
    assert found.sweeps == 0 and found.residual == torch.inf and not found.interrupted
    start = [1.0, 3.0] if plan is q_value_iteration else [0.0, 0.0]
    assert found.values.tolist() == start


def test_a_stop_between_the_sweeps_of_an_evaluation_keeps_them(monkeypatch):
    """Interrupted in backup 5: one of the maximum and three of the policy are done."""
    original, made = dynamic_programming.bellman_optimality_backup, []

    def interrupted(mdp, values):
        made.append(values)
        if len(made) == 5:
            raise KeyboardInterrupt
        return original(mdp, values)

    monkeypatch.setattr(dynamic_programming, "bellman_optimality_backup", interrupted)
    found = modified_policy_iteration(random_model(9, discount=0.99), evaluation_sweeps=10)
    assert found.interrupted and found.sweeps == 4 and found.values.equal(made[-1])
