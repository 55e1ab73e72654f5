"""Samples against the model: frequencies, rewards, ends."""

import gymnasium as gym
import pytest
import torch
from scipy import stats

from rlbook.ground.draws import draw
from rlbook.ground.seeding import generator
from rlbook.planning.grids import GridWorld
from rlbook.planning.mdp import MDP
from rlbook.planning.sampling import (
    SampledTrajectories,
    sample_starts,
    sample_trajectories,
    sample_transitions,
)


def uniform(mdp):
    return mdp.allowed.to(mdp.reward) / mdp.allowed.sum(1, keepdim=True)


def p_value(counts, probabilities) -> float:
    """Of the chi-square test; outcomes of probability 0 must not occur at all."""
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    if possible.sum() == 1:
        return 1.0
    expected = probabilities[possible] / probabilities.sum() * counts.sum()
    return stats.chisquare(counts[possible].numpy(), expected.numpy()).pvalue


def models() -> dict[str, MDP]:
    grid = GridWorld.from_text("S..\n.#.\n..G", rewards={"G": 5.0}, slip=0.4)
    lake = gym.make("FrozenLake-v1")
    return {
        "dense": MDP.random(5, 3, discount=0.9, generator=generator(0)),
        "successors": MDP.from_gymnasium(lake, discount=0.9),
        "grid table": grid.mdp(discount=0.9),
        "grid shifts": grid.mdp(discount=0.9, table=False),
    }


KINDS = pytest.mark.parametrize("kind", ["dense", "successors", "grid table", "grid shifts"])


# --- single draws


def test_draw_has_the_right_frequencies():
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3, 0.0], dtype=torch.float64)
    for dtype in (torch.float64, torch.float32):
        rows = probabilities.to(dtype).expand(20_000, 5)
        counts = torch.bincount(draw(rows, generator(1)), minlength=5)
        assert p_value(counts, probabilities) > 1e-3


def test_draw_never_takes_probability_zero_even_at_the_ends(monkeypatch):
    rows = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 3.0, 0.0, 0.0]])
    for number, first in ((0.0, 1), (0.5, 3), (1 - 2**-53, 3)):
        fixed = torch.full((2, 1), number, dtype=torch.float64)
        monkeypatch.setattr(torch, "rand", lambda *shape, fixed=fixed, **options: fixed)
        assert draw(rows, generator(0)).tolist() == [first, 2]


def test_draw_of_one_choice_and_of_any_shape():
    assert draw(torch.ones(3, 1), generator(0)).tolist() == [0, 0, 0]
    assert draw(torch.ones(2, 3, 4), generator(0)).shape == (2, 3)


def test_starts_follow_the_start_distribution():
    start = torch.tensor([0.0, 0.2, 0.5, 0.0, 0.3], dtype=torch.float64)
    mdp = MDP.random(5, 2, discount=0.9, generator=generator(0))
    mdp = MDP.from_arrays(mdp.transition, mdp.reward, discount=0.9, start=start)
    counts = torch.bincount(sample_starts(mdp, 20_000, generator(2)), minlength=5)
    assert p_value(counts, start) > 1e-3


# --- transitions


@KINDS
def test_transition_frequencies(kind):
    mdp, n = models()[kind], 2_000
    pairs = [(s, a) for s in range(mdp.num_states) for a in range(mdp.num_actions)]
    states, actions = torch.tensor(pairs).repeat_interleave(n, dim=0).T
    next_states, _, _ = sample_transitions(mdp, states, actions, generator(3))
    P, smallest = mdp.transition, 1.0
    for (s, a), row in zip(pairs, next_states.view(-1, n), strict=True):
        counts = torch.bincount(row, minlength=mdp.num_states)
        smallest = min(smallest, p_value(counts, P[s, a]))
    assert smallest > 1e-3 / len(pairs)  # Bonferroni


@KINDS
def test_rewards_belong_to_the_transition(kind):
    mdp = models()[kind]
    states = torch.randint(mdp.num_states, (4_000,), generator=generator(4))
    actions = torch.randint(mdp.num_actions, (4_000,), generator=generator(5))
    next_states, rewards, terminated = sample_transitions(mdp, states, actions, generator(6))
    assert torch.equal(terminated, mdp.terminal[next_states])
    if kind == "successors":  # FrozenLake pays 1 for the goal only, in one transition of three
        assert set(rewards.tolist()) == {0.0, 1.0}
        assert terminated[rewards == 1].all()
    elif kind == "grid table":
        from_live = ~mdp.terminal[states]
        wanted = torch.where(from_live, torch.where(next_states == 8, 4.0, -1.0), 0.0)
        assert torch.equal(rewards, wanted.to(rewards))
    else:  # no reward of a transition is known: the mean of the pair
        assert torch.equal(rewards, mdp.reward[states, actions])


def test_realised_rewards_average_to_r():
    mdp = MDP.from_arrays(
        [[[0.25, 0.75]], [[0.5, 0.5]]], [[[8.0, 4.0]], [[-1.0, 1.0]]], discount=0.5
    )
    states = torch.zeros(20_000, dtype=torch.int64)
    _, rewards, _ = sample_transitions(mdp, states, states, generator(7))
    assert set(rewards.tolist()) == {4.0, 8.0}
    share = stats.binomtest(int((rewards == 8).sum()), 20_000, 0.25)
    assert share.pvalue > 1e-3 and mdp.reward[0, 0] == 5.0


def test_terminated_belongs_to_the_transition():
    """Taxi-v4's state 0 is entered by a drop-off that ends, and by ordinary moves that do not."""
    taxi = gym.make("Taxi-v4")
    mdp = MDP.from_gymnasium(taxi, discount=0.9)
    table = taxi.unwrapped.P
    pairs = [(s, a) for s in range(500) for a in range(6)]
    states, actions = torch.tensor(pairs).T
    next_states, rewards, terminated = sample_transitions(mdp, states, actions, generator(0))
    entered = {False: 0, True: 0}
    for n, (s, a) in enumerate(pairs):
        ((_, next_state, reward, done),) = table[s][a]
        assert bool(terminated[n]) == done and rewards[n] == reward
        assert next_states[n] == (500 if done else next_state)
        entered[done] += next_state == 0
    assert entered[True] > 0 and entered[False] > 0


def test_any_shape_goes_in_and_comes_out():
    mdp = models()["dense"]
    states, actions = torch.zeros(2, 3, 4, dtype=torch.int64), torch.ones(2, 3, 4).long()
    for part in sample_transitions(mdp, states, actions, generator(0)):
        assert part.shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("states", "actions", "message"),
    [
        ([0, 1], [0], r"actions must have shape \(2,\), got \(1,\)"),
        ([0, 5], [0, 0], r"states\[1\] is 5; there are 5 states"),
        ([0, -1], [0, 0], r"states\[1\] is -1; there are 5 states"),
        ([0, 1], [3, 0], r"actions\[0\] is 3; there are 3 actions"),
        ([0.0, 1.0], [0, 0], "states must be integers, got torch.float32"),
        ([0, 1], [True, False], "actions must be integers, got torch.bool"),
        ([0, 2], [0, 1], "action 1 is not allowed in state 2"),
    ],
)
def test_bad_pairs_are_refused(states, actions, message):
    mdp = models()["dense"]
    allowed = torch.ones(5, 3, dtype=torch.bool)
    allowed[2, 1] = False
    mdp = MDP.from_arrays(mdp.transition, mdp.reward, discount=0.9, allowed=allowed)
    with pytest.raises(ValueError, match=message):
        sample_transitions(mdp, torch.tensor(states), torch.tensor(actions), generator(0))


# --- trajectories


@KINDS
def test_trajectories_follow_the_exact_distributions(kind):
    mdp, n, steps = models()[kind], 20_000, 6
    weights = torch.rand(mdp.num_states, mdp.num_actions, generator=generator(8)).double()
    policy = weights / weights.sum(1, keepdim=True)
    walk = sample_trajectories(mdp, policy, n, steps, generator(9))
    assert isinstance(walk, SampledTrajectories)
    assert walk.states.shape == (n, steps + 1) and walk.actions.shape == (n, steps)
    step = torch.einsum("sa,sat->st", policy, mdp.transition)
    exact = mdp.start
    for t in range(steps + 1):
        counts = torch.bincount(walk.states[:, t], minlength=mdp.num_states)
        assert p_value(counts, exact.where(exact > 1e-15, 0)) > 1e-4
        exact = exact @ step
    joint = (mdp.start.unsqueeze(1) * policy).flatten()  # of s_0 and a_0
    counts = torch.bincount(
        walk.states[:, 0] * mdp.num_actions + walk.actions[:, 0], minlength=joint.numel()
    )
    assert p_value(counts, joint) > 1e-4


@KINDS
def test_every_step_of_a_trajectory_is_possible(kind):
    mdp = models()[kind]
    walk = sample_trajectories(mdp, uniform(mdp), 500, 20, generator(10))
    assert (mdp.transition[walk.states[:, :-1], walk.actions, walk.states[:, 1:]] > 0).all()
    assert torch.equal(walk.terminated, mdp.terminal[walk.states[:, 1:]])
    assert walk.rewards.dtype == mdp.reward.dtype


@pytest.mark.parametrize("kind", ["successors", "grid table", "grid shifts"])
def test_nobody_leaves_a_terminal_state(kind):
    mdp = models()[kind]
    walk = sample_trajectories(mdp, uniform(mdp), 2_000, 60, generator(11))
    ended = mdp.terminal[walk.states]
    assert ended[:, -1].any() and not ended[:, 0].any()
    assert (ended[:, 1:] >= ended[:, :-1]).all()
    stays = ended[:, :-1]
    assert (walk.rewards[stays] == 0).all() and walk.terminated[stays].all()
    assert torch.equal(walk.states[:, 1:][stays], walk.states[:, :-1][stays])


def test_a_deterministic_policy_is_followed():
    mdp = models()["successors"]
    policy = torch.arange(17) % 4
    walk = sample_trajectories(mdp, policy, 100, 10, generator(12))
    assert torch.equal(walk.actions, policy[walk.states[:, :-1]])


def test_actions_that_are_not_allowed_are_not_taken():
    base = models()["dense"]
    allowed = torch.ones(5, 3, dtype=torch.bool)
    allowed[:, 1] = False
    mdp = MDP.from_arrays(base.transition, base.reward, discount=0.9, allowed=allowed)
    walk = sample_trajectories(mdp, uniform(mdp), 200, 20, generator(13))
    assert set(walk.actions.unique().tolist()) == {0, 2}


def test_the_same_generator_gives_the_same_walk():
    mdp = models()["dense"]
    first, second = (sample_trajectories(mdp, uniform(mdp), 9, 9, generator(14)) for _ in "ab")
    other = sample_trajectories(mdp, uniform(mdp), 9, 9, generator(15))
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))
    assert not torch.equal(first.states, other.states)


def test_float32_models_can_be_walked():
    mdp = models()["dense"]
    mdp = MDP.from_arrays(mdp.transition.float(), mdp.reward.float(), discount=0.9)
    walk = sample_trajectories(mdp, uniform(mdp), 50, 5, generator(16))
    assert walk.rewards.dtype == torch.float32 and walk.states.dtype == torch.int64


def test_bad_sizes_and_policies_are_refused():
    mdp = models()["dense"]
    with pytest.raises(ValueError, match="needs a walker and a step, got 0 and 3"):
        sample_trajectories(mdp, uniform(mdp), 0, 3, generator(0))
    with pytest.raises(ValueError, match="needs a walker and a step, got 3 and 0"):
        sample_trajectories(mdp, uniform(mdp), 3, 0, generator(0))
    with pytest.raises(ValueError, match=r"policy\[0\] is no distribution"):
        sample_trajectories(mdp, torch.zeros(5, 3), 1, 1, generator(0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@KINDS
def test_walks_on_a_gpu(kind):
    mdp, n = models()[kind].to("cuda"), 20_000
    walk = sample_trajectories(mdp, uniform(mdp), n, 5, generator(17, device="cuda"))
    assert {part.device.type for part in walk} == {"cuda"}
    exact = mdp.start @ torch.linalg.matrix_power(
        mdp.induced_chain(uniform(mdp)).transition[:, 0], 5
    )
    counts = torch.bincount(walk.states[:, 5], minlength=mdp.num_states).cpu()
    assert p_value(counts, exact.cpu().where(exact.cpu() > 1e-15, 0)) > 1e-4
