"""Replay: what goes in comes out, each run draws its own, and the ring forgets the oldest."""

import pytest
import torch

from rlbook.deep.parts.replay import Replay, Transitions, n_step_transitions
from rlbook.deep.parts.rollouts import Rollout
from rlbook.formulas.returns import n_step_returns
from rlbook.ground.seeding import Streams, generator


def transitions(run_ids, times, size=3):
    """Transition number t of run k says so in every field: value 1000 k + t."""
    label = 1000.0 * torch.tensor(run_ids).unsqueeze(1) + torch.tensor(times)  # (R, n)
    seen = label.unsqueeze(-1) + torch.tensor([0.0, 0.1, 0.2])[:size]
    odd = torch.tensor(times).remainder(2).bool().expand(len(run_ids), -1)
    return Transitions(seen, label.long(), -label, seen + 0.5, odd, label / 2, ~odd)


def filled(run_ids=(0, 1), capacity=50, times=range(20)):
    replay = Replay(len(run_ids), capacity, 3)
    replay.add(transitions(run_ids, list(times)))
    return replay


def test_what_goes_in_comes_out():
    replay = filled(times=range(5))
    for got, want in zip(replay.latest(5), transitions((0, 1), range(5)), strict=True):
        assert torch.equal(got, want)
    assert [x.shape for x in replay.latest(2)][:2] == [(2, 2, 3), (2, 2)]


def test_every_field_of_a_drawn_transition_belongs_together():
    batch = filled().sample(200, Streams(0, [0, 1]))
    label = -batch.rewards
    assert torch.equal(batch.actions, label.long())
    assert torch.equal(batch.observations[..., 0], label)
    assert torch.equal(batch.next_observations[..., 0], label + 0.5)
    assert torch.equal(batch.terminated, label.long().remainder(2).bool())
    assert torch.equal(batch.valid, ~batch.terminated)
    assert torch.equal(batch.discounts, label / 2)


def test_each_run_draws_its_own_transitions():
    batch = filled(run_ids=(0, 1, 2)).sample(500, Streams(0, [0, 1, 2]))
    assert torch.equal((-batch.rewards).long() // 1000, torch.arange(3)[:, None].expand(3, 500))


def test_draws_are_uniform_over_all_that_is_stored():
    batch = filled(run_ids=(0,), times=range(20)).sample(20_000, Streams(1, [0]))
    counts = torch.bincount((-batch.rewards).long().flatten(), minlength=20)
    assert len(counts) == 20
    # 1000 expected of each, standard deviation 31: 5 of them leave one failure in 10^5 seeds
    assert (counts - 1000).abs().max() < 5 * 31


def test_the_oldest_are_overwritten():
    replay = Replay(1, 7, 3)
    for start in range(0, 20, 4):  # 0 .. 19, four at a time, across the ring's end
        replay.add(transitions((0,), range(start, start + 4)))
        held = sorted((-replay.latest(replay.size).rewards).flatten().tolist())
        assert held == [float(t) for t in range(max(0, start + 4 - 7), start + 4)]
    drawn = (-replay.sample(1000, Streams(0, [0])).rewards).unique().tolist()
    assert drawn == [float(t) for t in range(13, 20)]
    assert (-replay.latest(3).rewards).flatten().tolist() == [17.0, 18.0, 19.0]


def test_nothing_is_drawn_from_the_empty_part():
    batch = filled(capacity=1000).sample(2000, Streams(0, [0, 1]))
    assert (batch.next_observations[..., 0] > 0).all()


def test_middle_axes_are_flattened():
    replay, flat = Replay(2, 12, 3), transitions((0, 1), range(12))
    replay.add(Transitions(*(x.reshape(2, 4, 3, *x.shape[2:]) for x in flat)))
    assert all(torch.equal(got, want) for got, want in zip(replay.latest(12), flat, strict=True))


def test_run_3_alone_draws_what_run_3_of_ten_draws():
    ten = filled(run_ids=tuple(range(10))).batches(4, 16, Streams(5, range(10)))
    one = filled(run_ids=(3,)).batches(4, 16, Streams(5, [3]))
    for all_runs, alone in zip(ten, one, strict=True):
        assert all(torch.equal(x[3:4], y) for x, y in zip(all_runs, alone, strict=True))


def test_batches_differ_from_each_other():
    first, second = filled().batches(2, 16, Streams(0, [0, 1]))
    assert not torch.equal(first.rewards, second.rewards)


@pytest.mark.parametrize("name", ["num_runs", "capacity", "observation_size"])
@pytest.mark.parametrize("number", [0, -1, 2.5])
def test_bad_sizes(name, number):
    sizes = {"num_runs": 1, "capacity": 1, "observation_size": 1} | {name: number}
    with pytest.raises(ValueError, match=f"{name} must be a positive whole number"):
        Replay(**sizes)


def test_bad_input():
    replay, good = Replay(2, 10, 3), transitions((0, 1), range(4))
    with pytest.raises(ValueError, match="nothing is stored yet"):
        replay.sample(1, Streams(0, [0, 1]))
    with pytest.raises(ValueError, match=r"terminated must have shape \(2, 4\), got \(2,\)"):
        replay.add(good._replace(terminated=good.terminated[:, 0]))
    with pytest.raises(ValueError, match="12 transitions do not fit a capacity of 10"):
        replay.add(transitions((0, 1), range(12)))
    replay.add(good)
    with pytest.raises(ValueError, match="3 streams for a replay of 2 runs"):
        replay.sample(1, Streams(0, [0, 1, 2]))
    with pytest.raises(ValueError, match=r"count must be in 1 .. 4, got 5"):
        replay.latest(5)


# --- transitions of n steps


def rollout(runs=2, envs=3, steps=12):
    """Random rewards, ends and cuts; the observation after step t of environment e says so."""
    rng = generator(7)
    normal = lambda *shape: torch.randn(*shape, generator=rng, dtype=torch.float64)  # noqa: E731
    shape = (runs, envs, steps)
    after = torch.arange(runs * envs * steps, dtype=torch.float64).view(*shape, 1)
    ends, cuts = (torch.rand(2, *shape, generator=rng) < 0.15).unbind()
    actions = torch.randint(2, shape, generator=rng)
    return Rollout(
        observations=normal(*shape, 1), actions=actions, rewards=normal(*shape),
        next_observations=after, terminated=ends, truncated=cuts,
        valid=torch.rand(shape, generator=rng) < 0.9, last_observations=normal(runs, envs, 1),
    )  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 5, 12, 40])
def test_n_step_transitions_have_the_targets_of_n_step_returns(n):
    played, discount = rollout(), 0.9
    value = lambda x: torch.sin(x[..., 0])  # noqa: E731, any function of the observation
    got = n_step_transitions(played, n, discount=discount)
    target = got.rewards + got.discounts * torch.where(
        got.terminated, 0.0, value(got.next_observations)
    )
    want = n_step_returns(
        played.rewards, value(played.next_observations), played.terminated, played.truncated,
        discount=discount, n=n,
    )  # fmt: skip
    torch.testing.assert_close(target, want)
    assert torch.equal(got.observations, played.observations)
    assert torch.equal(got.actions, played.actions) and torch.equal(got.valid, played.valid)


def test_n_steps_by_hand():
    ends = torch.tensor([False, False, True, False, False])
    cuts = torch.tensor([False, False, False, False, False])
    one = lambda x: x.view(1, 1, *x.shape)  # noqa: E731
    steps = torch.arange(5.0)
    played = Rollout(
        one(steps[:, None]), one(steps.long()), one(torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])),
        one(steps[:, None] + 1), one(ends), one(cuts), one(~cuts), torch.zeros(1, 1, 1),
    )  # fmt: skip
    got = n_step_transitions(played, 3, discount=0.5)
    assert got.rewards.flatten().tolist() == [1 + 1 + 1, 2 + 2, 4, 8 + 8, 16]
    assert got.discounts.flatten().tolist() == [0.125, 0.25, 0.5, 0.25, 0.5]
    assert got.next_observations.flatten().tolist() == [3, 3, 3, 5, 5]
    assert got.terminated.flatten().tolist() == [True, True, True, False, False]
    assert torch.equal(played.rewards.flatten(), torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0]))
    with pytest.raises(ValueError, match="n must be at least 1"):
        n_step_transitions(played, 0, discount=0.5)
