"""Models: built right from every source, and refused with a message that names the place."""

import dataclasses
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rlbook.ground.seeding import generator
from rlbook.planning.grids import GridWorld
from rlbook.planning.mdp import MDP

ENVIRONMENTS = ("FrozenLake-v1", "CliffWalking-v1", "Taxi-v4")


def for_random_seeds(test):
    """Try a test on random models; the first one imports much, so there is no deadline."""
    return settings(deadline=None, max_examples=30)(given(seed=st.integers(0, 10_000))(test))


def two_states(**changes):
    """State 0 goes on or ends in state 1, which is terminal; R depends on s'."""
    arguments = {
        "transition": [[[0.25, 0.75], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]],
        "reward": [[[8.0, 4.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]],
        "discount": 0.9,
        "terminal": [False, True],
    }
    arguments |= changes
    return MDP.from_arrays(**{k: v for k, v in arguments.items() if v is not ...})


def random_successors(seed, states=5, actions=3, successors=2):
    rng = generator(seed)
    shape = (states, actions, successors)
    next_states = torch.randint(states, shape, generator=rng)
    weights = torch.rand(shape, generator=rng, dtype=torch.float64)
    reward = torch.randn(shape, generator=rng, dtype=torch.float64)
    return next_states, weights / weights.sum(-1, keepdim=True), reward


def dense_of(next_states, probabilities, reward):
    """P and R(s, a, s') by loops; where s' is listed twice, the mean of its rewards."""
    S, A, K = next_states.shape
    P = torch.zeros(S, A, S, dtype=torch.float64)
    paid = torch.zeros_like(P)
    for s in range(S):
        for a in range(A):
            for k in range(K):
                P[s, a, next_states[s, a, k]] += probabilities[s, a, k]
                paid[s, a, next_states[s, a, k]] += probabilities[s, a, k] * reward[s, a, k]
    return P, torch.where(P > 0, paid / P, 0)


# --- what is stored


def test_a_model_worked_by_hand():
    mdp = two_states()
    assert (mdp.num_states, mdp.num_actions) == (2, 2)
    assert mdp.reward.tolist() == [[0.25 * 8 + 0.75 * 4, 1.0], [0.0, 0.0]]
    assert mdp.transition[1].tolist() == [[0.0, 1.0], [0.0, 1.0]]  # the zero row is filled in
    assert mdp.start.tolist() == [1.0, 0.0]  # uniform over what is not terminal
    assert mdp.successor_reward.shape == (2, 2, 2)
    assert mdp.all_allowed and mdp.reward.dtype == torch.float64
    assert repr(mdp) == "MDP(2 states (1 terminal), 2 actions, discount 0.9)"


def test_a_reward_of_the_pair_needs_no_successors():
    mdp = two_states(reward=[[3.0, 1.0], [0.0, 0.0]])
    assert mdp.successor_reward is None and mdp.reward.tolist() == [[3.0, 1.0], [0.0, 0.0]]


@for_random_seeds
def test_reward_is_the_mean_of_the_transition_rewards(seed):
    P, R = dense_of(*random_successors(seed))
    mdp = MDP.from_arrays(P, R, discount=0.5)
    for s in range(5):
        for a in range(3):
            wanted = sum(P[s, a, t] * R[s, a, t] for t in range(5))
            torch.testing.assert_close(mdp.reward[s, a], wanted)


@for_random_seeds
def test_dense_and_successors_agree(seed):
    rows = random_successors(seed)
    P, R = dense_of(*rows)
    some = MDP.from_successors(*rows, discount=0.5)
    every = MDP.from_arrays(P, R, discount=0.5)
    torch.testing.assert_close(some.transition, every.transition)
    torch.testing.assert_close(some.reward, every.reward)
    values = torch.randn(4, 5, generator=generator(seed), dtype=torch.float64)
    ahead = [mdp.kernel.expectations(values) for mdp in (some, every)]
    torch.testing.assert_close(*ahead)


@pytest.mark.parametrize("layout", ["dense", "successors"])
def test_terminal_states_and_missing_actions_stay_put(layout):
    """Whatever stands in a row that does not count, NaN included, is not read."""
    next_states, probabilities, reward = random_successors(1)
    terminal = torch.tensor([False, False, False, False, True])
    allowed = torch.ones(5, 3, dtype=torch.bool)
    allowed[1, 2] = False
    if layout == "dense":
        probabilities, reward = dense_of(next_states, probabilities, reward)
    probabilities[4], reward[4] = 0, 0
    probabilities[1, 2], reward[1, 2] = torch.nan, torch.inf
    kwargs = {"discount": 0.9, "terminal": terminal, "allowed": allowed}
    if layout == "dense":
        mdp = MDP.from_arrays(probabilities, reward, **kwargs)
    else:
        mdp = MDP.from_successors(next_states, probabilities, reward, **kwargs)
    eye = torch.eye(5, dtype=torch.float64)
    assert torch.equal(mdp.transition[4], eye[4].expand(3, 5))
    assert torch.equal(mdp.transition[1, 2], eye[1])
    assert (mdp.reward[4] == 0).all() and mdp.reward[1, 2] == 0
    assert (mdp.successor_reward[4] == 0).all() and (mdp.successor_reward[1, 2] == 0).all()
    assert not mdp.all_allowed and torch.equal(mdp.allowed, allowed)
    torch.testing.assert_close(mdp.transition.sum(-1), torch.ones(5, 3, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_float32_stays_and_everything_else_becomes_float64(dtype):
    P = torch.tensor([[[0.1, 0.9]], [[0.7, 0.3]]], dtype=dtype)
    mdp = MDP.from_arrays(P, torch.ones(2, 1), discount=0.9)  # the reward follows
    tensors = (mdp.transition, mdp.reward, mdp.start, mdp.induced_chain([0, 0]).reward)
    assert {tensor.dtype for tensor in tensors} == {dtype}
    whole = MDP.from_arrays(np.array([[[1]]]), np.array([[2]]), discount=0.9)
    assert whole.reward.dtype == torch.float64 and whole.reward.item() == 2


@pytest.mark.parametrize(
    "build",
    [
        two_states,
        lambda: MDP.from_successors(*random_successors(0), discount=0.9),
        lambda: GridWorld.from_text("S.G").mdp(discount=0.9, table=False),
    ],
    ids=["dense", "successors", "shifts"],
)
def test_to_moves_every_tensor(build, monkeypatch):
    mdp = build()
    moved, to = set(), torch.Tensor.to

    def remember(self, *args, **kwargs):
        moved.add(id(self))
        return to(self, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "to", remember)
    copy = mdp.to("cuda" if torch.cuda.is_available() else "cpu")
    parts = [*vars(mdp).values(), *vars(mdp.kernel).values()]
    tensors = [part for part in parts if isinstance(part, torch.Tensor)]
    assert len(tensors) >= 5 and {id(tensor) for tensor in tensors} <= moved
    assert copy.discount == mdp.discount and type(copy.kernel) is type(mdp.kernel)
    torch.testing.assert_close(copy.reward, mdp.reward, check_device=False)


def test_a_large_model_stays_small():
    S = 200_000
    next_states = torch.arange(S).view(S, 1, 1)
    mdp = MDP.from_successors(next_states, torch.ones(S, 1, 1), torch.zeros(S, 1), discount=0.9)
    with pytest.raises(ValueError, match="is too large; build the MDP from K successors"):
        _ = mdp.transition


# --- random models


def test_random_rows_are_uniform_on_the_simplex():
    mdp = MDP.random(5, 400, discount=0.9, generator=generator(3))
    torch.testing.assert_close(mdp.transition.sum(-1), torch.ones(5, 400, dtype=torch.float64))
    one = mdp.transition[:, :, 0].flatten().numpy()  # each entry is Beta(1, S - 1)
    assert stats.kstest(one, stats.beta(1, 4).cdf).pvalue > 1e-3
    assert stats.kstest(mdp.reward.flatten().numpy(), "norm").pvalue > 1e-3
    again = MDP.random(5, 400, discount=0.9, generator=generator(3))
    assert torch.equal(mdp.transition, again.transition)


def test_random_needs_positive_sizes():
    with pytest.raises(ValueError, match="states must be at least 1, got 0"):
        MDP.random(0, 2, discount=0.9, generator=generator(0))


# --- what is refused, and how


NEVER = [[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]  # nothing ever reaches state 1
REFUSED = [
    ({"discount": 1.1}, r"discount must be in \[0, 1\], got 1.1"),
    ({"discount": -0.1}, r"discount must be in \[0, 1\], got -0.1"),
    ({"discount": float("nan")}, r"discount must be in \[0, 1\], got nan"),
    ({"transition": torch.zeros(2, 2)}, r"transition must be \(S, A, S\), got \(2, 2\)"),
    ({"transition": torch.zeros(2, 2, 3)}, r"transition must be \(S, A, S\), got \(2, 2, 3\)"),
    ({"transition": torch.zeros(2, 2, 2) * 1j}, "transition must be real, got torch.complex64"),
    (
        {"transition": [[[0.25, 0.75], [0.3, 0.6]], [[0.0, 1.0], [0.0, 0.0]]]},
        "the row of state 0, action 1 sums to 0.9, not 1",
    ),
    (
        {"transition": [[[-0.25, 1.25], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]]},
        "probability -0.25 at state 0, action 0, entry 0: probabilities must be 0 or more",
    ),
    (
        {"transition": [[[0.25, 0.75], [float("nan"), 1.0]], [[0.0, 1.0], [0.0, 0.0]]]},
        "probability nan at state 0, action 1, entry 0",
    ),
    (
        {"transition": [[[0.25, 0.75], [0.0, 1.0]], [[0.0, 1.0], [0.5, 0.5]]]},
        "state 1 is terminal, but its action 1 leads elsewhere",
    ),
    (
        {"reward": [[0.0, 0.0], [0.0, 2.0]]},
        "state 1 is terminal, but its action 1 has a reward",
    ),
    (
        {"reward": [[0.0, float("inf")], [0.0, 0.0]]},
        "reward inf at state 0, action 1: rewards must be finite",
    ),
    (
        {"reward": [[[0.0, float("nan")], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]},
        "reward nan at state 0, action 0",
    ),
    ({"reward": torch.zeros(2)}, r"reward must have shape \(2, 2\) or \(2, 2, 2\), got \(2,\)"),
    ({"start": [0.5, 0.4]}, "start is no distribution: it sums to 0.9"),
    ({"start": [1.5, -0.5]}, "start is no distribution"),
    ({"start": [1.0]}, r"start must have shape \(2,\), got \(1,\)"),
    ({"terminal": [0, 1]}, "terminal must be bool, got torch.int64"),
    ({"terminal": [True]}, r"terminal must have shape \(2,\), got \(1,\)"),
    ({"allowed": [True, True]}, r"allowed must have shape \(2, 2\), got \(2,\)"),
    ({"allowed": [[1, 1], [1, 1]]}, "allowed must be bool"),
    ({"allowed": [[False, False], [True, True]]}, "state 0 allows no action at all"),
    (
        {"discount": 1, "transition": NEVER},
        "discount 1 needs an end: state 0 cannot reach a terminal state",
    ),
    (
        {"discount": 1, "terminal": ..., "transition": NEVER},
        "discount 1 needs an end: state 0 cannot reach a terminal state",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_bad_arrays_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        two_states(**changes)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, 7, r"next_states\[1, 2, 0\] is 7 \(state 1, action 2\); there are 5 states"),
        (0, -1, r"next_states\[1, 2, 0\] is -1"),
        (1, 3.0, r"the row of state 1, action 2 sums to 3\.\d+, not 1"),
        (2, torch.inf, "reward inf at state 1, action 2: rewards must be finite"),
    ],
)
def test_bad_successors_are_refused(place, value, message):
    rows = random_successors(2)
    rows[place][1, 2, 0] = value
    with pytest.raises(ValueError, match=message):
        MDP.from_successors(*rows, discount=0.9)


def test_successors_of_the_wrong_kind_are_refused():
    next_states, probabilities, reward = random_successors(2)
    with pytest.raises(ValueError, match=r"next_states must be integers \(S, A, K\), got torch.f"):
        MDP.from_successors(next_states.float(), probabilities, reward, discount=0.9)
    with pytest.raises(ValueError, match=r"next_states must be integers \(S, A, K\), got torch.i"):
        MDP.from_successors(next_states[0], probabilities, reward, discount=0.9)
    with pytest.raises(ValueError, match=r"probabilities must have shape \(5, 3, 2\), got \(5, 3"):
        MDP.from_successors(next_states, probabilities[:, :, :1], reward, discount=0.9)
    terminal = torch.arange(5) == 4
    with pytest.raises(ValueError, match="state 4 is terminal, but its action 0 leads elsewhere"):
        MDP.from_successors(
            torch.zeros_like(next_states), probabilities, reward, discount=0.9, terminal=terminal
        )


def test_rounded_rows_are_accepted_within_the_tolerance_of_their_dtype():
    thirds = [[[0.333333] * 3], [[0.333333] * 3], [[0.333333] * 3]]
    with pytest.raises(ValueError, match="sums to 0.999999, not 1"):
        MDP.from_arrays(thirds, torch.zeros(3, 1), discount=0.9)
    MDP.from_arrays(torch.tensor(thirds), torch.zeros(3, 1), discount=0.9)  # float32


# --- discount 1


def corridor(**kwargs):
    """0 - 1 - 2 - 3: left and right, state 3 ends; the left wall is at 0."""
    P = torch.zeros(4, 2, 4)
    for s in range(3):
        P[s, 0, max(s - 1, 0)] = P[s, 1, s + 1] = 1
    terminal = torch.arange(4) == 3
    return MDP.from_arrays(P, -1.0 * ~terminal.view(4, 1).expand(4, 2), terminal=terminal, **kwargs)


def test_discount_one_is_accepted_where_every_state_can_reach_an_end():
    assert corridor(discount=1).discount == 1
    allowed = torch.ones(4, 2, dtype=torch.bool)
    allowed[1, 1] = False  # the only way past state 1
    with pytest.raises(ValueError, match="state 0 cannot reach a terminal state"):
        corridor(discount=1, allowed=allowed)
    assert corridor(discount=0.99, allowed=allowed).discount == 0.99


def test_a_policy_that_never_ends_is_named_at_discount_one():
    mdp = corridor(discount=1)
    left = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="state 0 cannot reach a terminal state under this policy"):
        mdp.induced_chain(left)
    assert mdp.induced_chain(left, must_end=False).num_actions == 1
    assert mdp.induced_chain(torch.ones(4, dtype=torch.int64)).discount == 1
    assert corridor(discount=0.9).induced_chain(left).num_states == 4


# --- policies and their chains


@for_random_seeds
def test_the_induced_chain_averages_over_actions(seed):
    rng = generator(seed)
    rows = random_successors(seed)
    weights = torch.rand(5, 3, generator=rng, dtype=torch.float64)
    policy = weights / weights.sum(1, keepdim=True)
    for mdp in (
        MDP.from_successors(*rows, discount=0.9),
        MDP.random(5, 3, discount=0.9, generator=rng),
    ):
        P, r, chain = mdp.transition, mdp.reward, mdp.induced_chain(policy)
        assert chain.num_actions == 1 and chain.discount == 0.9
        for s in range(5):
            row = sum(policy[s, a] * P[s, a] for a in range(3))
            torch.testing.assert_close(chain.transition[s, 0], row)
            torch.testing.assert_close(
                chain.reward[s, 0], sum(policy[s, a] * r[s, a] for a in range(3))
            )
        assert torch.equal(chain.start, mdp.start) and torch.equal(chain.terminal, mdp.terminal)


def test_python_floats_keep_their_64_bits():
    P, start = [[[0.1, 0.9]], [[0.7, 0.3]]], [0.1, 0.9]
    mdp = MDP.from_arrays(P, [[0.1], [0.2]], discount=0.9, start=start)
    assert mdp.transition.tolist() == P and mdp.start.tolist() == start
    assert mdp.reward.tolist() == [[0.1], [0.2]]
    other = MDP.random(2, 2, discount=0.9, generator=generator(0))
    assert other.policy_probabilities([[0.1, 0.9], [0.7, 0.3]]).tolist() == [[0.1, 0.9], [0.7, 0.3]]
    chain = other.induced_chain([[0.1, 0.9], [0.7, 0.3]])
    wanted = 0.1 * other.reward[0, 0] + 0.9 * other.reward[0, 1]
    assert chain.reward[0, 0].item() == pytest.approx(wanted.item(), rel=1e-14)


def test_actions_and_their_one_hot_rows_are_the_same_policy():
    mdp = MDP.random(4, 3, discount=0.9, generator=generator(0))
    actions = torch.tensor([2, 0, 1, 1])
    rows = torch.nn.functional.one_hot(actions, 3).double()
    assert torch.equal(mdp.policy_probabilities(actions), rows)
    torch.testing.assert_close(
        mdp.induced_chain(actions).transition, mdp.induced_chain(rows).transition
    )
    assert mdp.policy_probabilities([2, 0, 1, 1]).dtype == torch.float64


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ([0, 1, 3, 0], r"policy\[2\] is 3; there are 3 actions"),
        ([0, 1, -1, 0], r"policy\[2\] is -1; there are 3 actions"),
        ([0, 1, 2], r"policy must have shape \(4,\), got \(3,\)"),
        ([0.0, 1.0, 2.0, 0.0], r"policy must have shape \(4, 3\), got \(4,\)"),
        ([[0.5, 0.5, 0.0]] * 3 + [[0.5, 0.4, 0.0]], r"policy\[3\] is no distribution over actions"),
        ([[0.5, 0.5, 0.0]] * 3 + [[1.5, -0.5, 0.0]], r"policy\[3\] is no distribution"),
        ([0, 1, 2, 2], "policy takes action 2 in state 3, where it is not allowed"),
    ],
)
def test_bad_policies_are_refused(policy, message):
    base = MDP.random(4, 3, discount=0.9, generator=generator(0))
    allowed = torch.ones(4, 3, dtype=torch.bool)
    allowed[3, 2] = False
    mdp = MDP.from_arrays(base.transition, base.reward, discount=0.9, allowed=allowed)
    with pytest.raises(ValueError, match=message):
        mdp.induced_chain(torch.tensor(policy))


# --- Gymnasium


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_from_gymnasium_reads_the_table(name):
    env = gym.make(name).unwrapped
    mdp = MDP.from_gymnasium(env, discount=0.95)
    end, table = len(env.P), env.P
    assert mdp.num_states == end + 1 and mdp.num_actions == env.action_space.n
    assert mdp.terminal.nonzero().flatten().tolist() == [end]
    np.testing.assert_allclose(mdp.start[:end], env.initial_state_distrib)
    P = mdp.transition
    for s, actions in table.items():
        for a, rows in actions.items():
            wanted, paid = torch.zeros(end + 1, dtype=torch.float64), 0.0
            for probability, next_state, reward, done in rows:
                wanted[end if done else next_state] += probability
                paid += probability * reward
            torch.testing.assert_close(P[s, a], wanted)
            assert mdp.reward[s, a] == pytest.approx(paid)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_model_describes_what_the_environment_does(name):
    """A random walk in the environment itself: each of its steps is in the model, and
    `terminated` is exactly a step into the added state."""
    env = gym.make(name).unwrapped  # without its time limit
    mdp = MDP.from_gymnasium(env, discount=0.95)
    P, end = mdp.transition, mdp.num_states - 1
    state, _ = env.reset(seed=0)
    env.action_space.seed(0)
    ends = 0
    for _ in range(3_000):
        action = int(env.action_space.sample())
        next_state, reward, terminated, truncated, info = env.step(action)
        assert not truncated
        reached = end if terminated else int(next_state)
        assert P[state, action, reached] > 0
        successors, chances = mdp.kernel.gather(torch.tensor([state]), torch.tensor([action]))
        possible = (successors[0] == reached) & (chances[0] > 0)
        assert float(reward) in mdp.successor_reward[state, action][possible].tolist()
        assert info["prob"] == pytest.approx(float(chances[0][possible].max()))
        ends += terminated
        state = int(env.reset()[0]) if terminated else int(next_state)
    assert ends > 0 or name == "CliffWalking-v1"  # which a random walk rarely finishes


def test_an_environment_without_a_model_is_refused():
    with pytest.raises(ValueError, match="exposes no model: it has no attribute P"):
        MDP.from_gymnasium(gym.make("CartPole-v1"), discount=0.9)


def test_discount_one_on_gymnasium():
    assert MDP.from_gymnasium(gym.make("FrozenLake-v1"), discount=1).discount == 1


def test_the_constructor_skips_no_check():
    mdp = MDP.random(3, 2, discount=0.9, generator=generator(0))
    with pytest.raises(TypeError, match="build an MDP with MDP.from_arrays, from_successors"):
        MDP(mdp.kernel, mdp.reward, 0.9, mdp.start, mdp.terminal, mdp.allowed)
    again = pickle.loads(pickle.dumps(mdp))
    assert again.transition.equal(mdp.transition) and again.all_allowed
    with pytest.raises(dataclasses.FrozenInstanceError):
        mdp.discount = 1.0
