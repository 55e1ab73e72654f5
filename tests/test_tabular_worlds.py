"""The batched world against Gymnasium itself, step by step, and the streams of its runs."""

import math

import gymnasium as gym
import pytest
import torch

from rlbook.ground.draws import thresholds
from rlbook.ground.require import check_memory
from rlbook.planning.mdp import MDP
from rlbook.tabular.examples import maximisation_bias, random_walk
from rlbook.tabular.tasks import TabularTask, as_task, tabular_task
from rlbook.tabular.worlds import Outcomes, RunNoise, TabularWorld


def world_of(task, run_ids, seed=0):
    world = TabularWorld(task)
    noise = RunNoise(run_ids, world.noise_columns, seed=seed)
    world.reset(noise.next()[0])
    return world, noise


# --- against Gymnasium


@pytest.mark.parametrize("name", ["CliffWalking-v1", "Taxi-v4"])
def test_every_step_of_a_deterministic_environment(name):
    task, env = tabular_task(name, discount=0.9), gym.make(name)
    S, A = task.mdp.num_states - 1, task.mdp.num_actions
    pairs = torch.arange(S * A)
    world, noise = world_of(task, [0] * (S * A))
    world.states = pairs // A
    step = world.step(pairs % A, noise.next())
    env.reset(seed=0)
    for s in range(S):
        for a in range(A):
            env.unwrapped.s = s
            state, reward, terminated, _, _ = env.unwrapped.step(a)
            k = s * A + a
            assert bool(step.terminated[k]) == terminated
            assert int(step.next_states[k]) == (S if terminated else state)
            assert float(step.rewards[k]) == reward


def test_outcomes_of_a_slippery_lake_have_gymnasiums_frequencies():
    task, env, N = tabular_task("FrozenLake-v1", discount=0.9), gym.make("FrozenLake-v1"), 150
    env.reset(seed=0)
    world, noise = world_of(task, range(N))
    for s in range(16):
        for a in range(4):
            world.states = torch.full((N,), s)
            step = world.step(torch.full((N,), a), noise.next())
            theirs = []
            for _ in range(N):
                env.unwrapped.s = s
                state, reward, terminated, _, _ = env.unwrapped.step(a)
                theirs.append((16 if terminated else state, reward, terminated))
            columns = (step.next_states, step.rewards, step.terminated)
            ours = list(zip(*(x.tolist() for x in columns), strict=True))
            assert set(ours) == set(theirs)
            for outcome in set(ours):
                p, q = ours.count(outcome) / N, theirs.count(outcome) / N
                assert abs(p - q) < 5 * math.sqrt(2 * 0.25 / N)


@pytest.mark.parametrize("name", ["CliffWalking-v1", "Taxi-v4"])
def test_whole_episodes_with_resets_and_time_limits(name):
    task, R = tabular_task(name, discount=0.9), 3
    assert task.max_episode_steps == {"CliffWalking-v1": None, "Taxi-v4": 200}[name]
    world, noise = world_of(task, range(R))
    envs = [gym.make(name) for _ in range(R)]
    generator, ends = torch.Generator().manual_seed(0), 0
    for k, env in enumerate(envs):
        env.reset(seed=k)
        env.unwrapped.s = int(world.states[k])
    for _ in range(650):
        actions = torch.randint(0, task.mdp.num_actions, (R,), generator=generator)
        step = world.step(actions, noise.next())
        for k, env in enumerate(envs):
            state, reward, terminated, truncated, _ = env.step(int(actions[k]))
            ours = (float(step.rewards[k]), bool(step.terminated[k]), bool(step.truncated[k]))
            assert ours == (reward, terminated, truncated)
            assert int(step.next_states[k]) == (task.mdp.num_states - 1 if terminated else state)
            assert bool(world.ended[k]) == (terminated or truncated)
            if terminated or truncated:
                ends += 1
                env.reset()
                assert float(task.mdp.start[world.states[k]]) > 0
                env.unwrapped.s = int(world.states[k])
    assert ends >= (9 if name == "Taxi-v4" else 0)


def test_both_flags_can_be_set():
    task = TabularTask(random_walk(1), max_episode_steps=1)
    world, noise = world_of(task, range(4))
    step = world.step(torch.zeros(4, dtype=torch.int64), noise.next())
    assert step.terminated.all() and step.truncated.all()


def test_the_true_next_state_is_kept_when_a_limit_cuts():
    task = TabularTask(random_walk(9), max_episode_steps=2)
    world, noise = world_of(task, range(50))
    action = torch.zeros(50, dtype=torch.int64)
    world.step(action, noise.next())
    step = world.step(action, noise.next())
    assert step.truncated.all() and not step.terminated.any()
    assert set(step.next_states.tolist()) == {3, 5, 7}
    assert (world.states == 5).all()  # reset to the middle


# --- streams


@pytest.mark.parametrize("task", [TabularTask(random_walk()), maximisation_bias()], ids=str)
def test_a_run_alone_is_the_run_of_many(task):
    actions = torch.zeros(4, dtype=torch.int64)
    many, noise = world_of(task, range(4), seed=3)
    alone, other = world_of(task, [2], seed=3)
    for _ in range(600):  # beyond a block of noise
        step, own = many.step(actions, noise.next()), alone.step(actions[:1], other.next())
        assert all(torch.equal(x[2:3], y) for x, y in zip(step, own, strict=True))
        assert torch.equal(many.states[2:3], alone.states)


def test_repeated_ids_share_their_numbers_and_others_do_not():
    first, second, again = torch.stack(RunNoise([5, 1, 5], 2, seed=0).next(), dim=1)
    assert torch.equal(first, again) and not torch.equal(first, second)
    alone = torch.stack(RunNoise([5], 2, seed=0).next(), dim=1)[0]
    assert torch.equal(alone, first)
    assert not torch.equal(torch.stack(RunNoise([5], 2, seed=1).next(), dim=1)[0], first)


# --- tables


def test_thresholds_never_draw_the_impossible():
    p = torch.tensor([0.0, 1 / 3, 0.0, 2 / 3, 0.0], dtype=torch.float64)
    limits = thresholds(p)
    almost_one = torch.tensor([0.0, 0.33, 0.34, 1 - 2.0**-24], dtype=torch.float32)
    drawn = torch.searchsorted(limits, almost_one, right=True)
    assert drawn.tolist() == [1, 1, 3, 3]
    one = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    assert torch.searchsorted(thresholds(one), almost_one, right=True).tolist() == [1] * 4


def test_outcomes_of_a_random_model_have_its_probabilities():
    generator = torch.Generator().manual_seed(0)
    mdp = MDP.random(6, 2, discount=0.9, generator=generator)
    outcomes, N = Outcomes.of(mdp), 200_000
    noise = torch.rand(N, generator=generator)
    for pair in range(12):
        rows = outcomes.draw(torch.full((N,), pair), noise)
        counts = torch.bincount(outcomes.next_states[rows], minlength=6) / N
        expected = mdp.transition[pair // 2, pair % 2]
        torch.testing.assert_close(counts.double(), expected, atol=0.006, rtol=0)
        assert (outcomes.rewards[rows] == mdp.reward[pair // 2, pair % 2]).all()


def test_outcomes_of_rows_with_few_and_with_many_successors():
    rows = torch.tensor([[0, 0, 0, 1.0, 0], [0.25, 0, 0.25, 0, 0.5]], dtype=torch.float64)
    transition = rows[[0, 1, 0, 1, 1]].unsqueeze(1)
    mdp = MDP.from_arrays(transition, torch.zeros(5, 1), discount=0.9)
    outcomes, noise = Outcomes.of(mdp), torch.arange(0, 1, 1 / 64)
    assert len(outcomes.thresholds) == 2
    for state in range(5):
        drawn = outcomes.next_states[outcomes.draw(torch.full((64,), state), noise)]
        counts = torch.bincount(drawn, minlength=5).double() / 64
        assert torch.equal(counts, transition[state, 0])


def test_noise_on_rewards_has_its_standard_deviation():
    task = maximisation_bias()
    world, noise = world_of(task, range(20_000))
    world.states = torch.ones_like(world.states)
    step = world.step(torch.full_like(world.states, 3), noise.next())
    assert abs(float(step.rewards.mean()) + 0.1) < 0.03
    assert abs(float(step.rewards.std()) - 1) < 0.03
    world.states = torch.zeros_like(world.states)
    assert (world.step(torch.zeros_like(world.states), noise.next()).rewards == 0).all()


# --- bad input


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("FrozenSea-v1", "cannot make 'FrozenSea-v1'"),
        pytest.param(
            "CliffWalking-v0",
            "cannot make 'CliffWalking-v0'",
            marks=pytest.mark.filterwarnings("ignore:.*CliffWalking-v0 is out of date"),
        ),
        ("CartPole-v1", "continuous space"),
        ("Blackjack-v1", r"tabular_task\('Blackjack-v1', discount=..., model=False\)"),
    ],
)
def test_environments_without_a_table(name, message):
    with pytest.raises(ValueError, match=message):
        tabular_task(name, discount=0.9)


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CartPole-v1"])
def test_an_environment_that_was_made_is_closed(name, monkeypatch):
    closed, make = [], gym.make

    def make_and_watch(*arguments, **keywords):
        env = make(*arguments, **keywords)
        monkeypatch.setattr(env, "close", lambda: closed.append(env))
        return env

    monkeypatch.setattr(gym, "make", make_and_watch)
    if name == "FrozenLake-v1":
        tabular_task(name, discount=0.9)
    else:
        with pytest.raises(ValueError, match="continuous space"):
            tabular_task(name, discount=0.9)
    assert len(closed) == 1
    tabular_task(make("FrozenLake-v1"), discount=0.9)
    assert len(closed) == 1


def test_a_name_is_no_task():
    with pytest.raises(ValueError, match="tabular_task\\('CliffWalking-v1', discount=...\\)"):
        as_task("CliffWalking-v1")
    with pytest.raises(ValueError, match="mdp must be an MDP"):
        TabularTask("CliffWalking-v1")
    with pytest.raises(ValueError, match="max_episode_steps"):
        TabularTask(random_walk(), 0)
    with pytest.raises(ValueError, match="reward_std"):
        TabularTask(random_walk(), reward_std=torch.ones(3))


def test_what_does_not_fit_in_memory_is_refused():
    with pytest.raises(ValueError, match="Q would hold 1000000 x 500 x 6 = 3,000,000,000 numbers"):
        check_memory("Q", 10**6, 500, 6)
