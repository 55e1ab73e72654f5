"""Tables learned from step() alone: the same results as with a model, and nothing bad gets in."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Tuple

from rlbook.planning import blackjack, policy_evaluation
from rlbook.tabular import (
    ControlConfig,
    ControlLoop,
    EnvTask,
    MonteCarloConfig,
    Recorder,
    certainty_equivalence,
    double_q_learning,
    evaluate_policies,
    expected_sarsa,
    greedy_returns,
    monte_carlo_control,
    monte_carlo_prediction,
    n_step_sarsa,
    q_learning,
    record_episodes,
    sampled_returns,
    sarsa,
    sarsa_lambda,
    tabular_task,
    td_lambda,
    td_zero,
)
from rlbook.tabular.env_tasks import Numbering, RunEnv

LEARNERS = [
    (q_learning, {}),
    (double_q_learning, {}),
    (sarsa, {}),
    (expected_sarsa, {}),
    (n_step_sarsa, {"n": 3}),
    (sarsa_lambda, {"lambda_": 0.8}),
]
NAMES = [learner.__name__ for learner, _ in LEARNERS]


class Walk(gym.Env):
    """Five cells; 0 stays, 1 goes right; 1 in ten steps slips. The last cell ends it and pays 1."""

    observation_space, action_space = Discrete(5), Discrete(2)
    made: list["Walk"] = []

    def __init__(self, fault=None, run=1, at=7):
        self.fault = fault if len(self.made) == run + 1 else None  # the first is looked at only
        self.at, self.steps, self.seeds, self.closed, self.seen = at, 0, [], 0, []
        self.made.append(self)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.cell = 0
        if self.fault == "reset" and self.steps > 3:
            return 99, {}
        return 0, {}

    def step(self, action):
        self.steps += 1
        before = self.cell
        self.cell += int(action == 1 and self.np_random.random() < 0.9)
        end = self.cell == 4
        self.seen.append((before, int(action), float(end), self.cell, end))
        if self.steps == self.at and self.fault is not None:
            return self.fault(self.cell) if callable(self.fault) else (self.cell, 0.0, end, False)
        return self.cell, float(end), end, False, {}

    def close(self):
        self.closed += 1


@pytest.fixture(autouse=True)
def every_walk_is_closed():
    Walk.made = []
    yield
    assert all(walk.closed == 1 for walk in Walk.made)


def walk_task(discount=0.9, limit=None, **fault) -> EnvTask:
    assert all(walk.closed == 1 for walk in Walk.made)
    Walk.made = []
    more = {} if limit is None else {"max_episode_steps": limit}
    return tabular_task(lambda: Walk(**fault), discount=discount, model=False, **more)


# --- against the batched world


LAKE = {"discount": 0.95, "max_episode_steps": 8}
RUNS, TOO_FAR = 40, 4.0
"""Runs of each route, and the z of a difference of means that no statistic may reach."""


def of_control(learner):
    def statistics(task, seed):
        config = ControlConfig(num_episodes=120, initial_q=0.3, step_size=0.2, epsilon=0.3)
        result = learner(task, config, num_runs=RUNS, seed=seed)
        return *of_tables(result.q), result.lengths.mean(1)

    return statistics


def of_tables(q):
    """The exact value of the greedy policy, and what Q says at the start and in the middle."""
    model = tabular_task("FrozenLake-v1", **LAKE)
    with_end = torch.cat([q[:, :16], torch.zeros(RUNS, 1, 4, dtype=q.dtype)], dim=1)
    return greedy_returns(model, with_end), q[:, 0].amax(-1), q[:, 9].mean(-1)


def of_monte_carlo(task, seed):
    config = MonteCarloConfig(num_episodes=120, initial_q=0.3, epsilon=0.3)
    result = monte_carlo_control(task, config, num_runs=RUNS, seed=seed)
    return *of_tables(result.q), result.returns.mean(1)


def of_prediction(task, seed):
    uniform = torch.full((task.tables.num_states, 4), 0.25)
    episodes = record_episodes(task, uniform, num_episodes=120, num_runs=RUNS, seed=seed)
    values = td_zero(task, episodes, initial_values=0.3).values
    traced = td_lambda(task, episodes, lambda_=0.8, initial_values=0.3).values
    return *values[:, [0, 8, 14]].unbind(1), traced[:, 4], episodes.lengths().double().mean(1)


def distances(statistics) -> list[float]:
    """|z| of each statistic between the two routes."""
    batched = statistics(tabular_task("FrozenLake-v1", **LAKE), 5)
    stepped = statistics(tabular_task("FrozenLake-v1", **LAKE, model=False), 6)
    found = []
    for ours, theirs in zip(stepped, batched, strict=True):
        spread = torch.sqrt((ours.var() + theirs.var()) / RUNS)
        found.append(float((ours.mean() - theirs.mean()).abs() / spread))
    return found


STATISTICS = {
    "q_learning": of_control(q_learning),
    "sarsa": of_control(sarsa),
    "monte_carlo_control": of_monte_carlo,
    "td": of_prediction,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STATISTICS)
def test_results_are_those_of_the_batched_world(name):
    assert max(distances(STATISTICS[name])) < TOO_FAR


@pytest.mark.slow
@pytest.mark.parametrize("name", ["q_learning", "td"])
@pytest.mark.parametrize("planted", ["through a termination", "truncation is termination"])
def test_and_wrong_flags_are_not(name, planted, monkeypatch):
    real = RunEnv.step

    def wrong(self, action):
        reward, state, terminated, truncated = real(self, action)
        ended = terminated or truncated
        through = planted == "through a termination"
        return reward, state, ended and not through, ended and through

    monkeypatch.setattr(RunEnv, "step", wrong)
    assert max(distances(STATISTICS[name])) > TOO_FAR


# --- an environment of one's own


@pytest.mark.parametrize(("learner", "more"), LEARNERS, ids=NAMES)
def test_every_learner_learns_an_environment_of_ones_own(learner, more):
    config = ControlConfig(num_episodes=60, step_size=0.3, epsilon=0.2, initial_q=0.5)
    result = learner(walk_task(), config, num_runs=3, **more)
    assert result.q.shape == (3, 5, 2)
    assert (result.q[:, :4].argmax(-1) == 1).all()
    assert (result.q[:, 4] == 0.5).all()  # where it ends nothing is learned
    assert (result.q[:, 3, 1] > 0.8).all()
    assert float(result.visits.sum()) == float(result.lengths.sum())


def test_monte_carlo_learns_it_too():
    result = monte_carlo_control(walk_task(), MonteCarloConfig(num_episodes=60), num_runs=3)
    assert (result.q[:, :4].argmax(-1) == 1).all()
    right = torch.ones(5, dtype=torch.int64)
    values = monte_carlo_prediction(walk_task(), right, num_episodes=400, num_runs=3).values
    record = record_episodes(walk_task(), right, num_episodes=400, num_runs=3)
    solved = certainty_equivalence(walk_task(), record)[:, -1]
    share = 0.9 * 0.9 / (1 - 0.1 * 0.9)  # E[0.9^(steps in a cell)]
    expected = torch.tensor([share**4, share**3, share**2, share, 0]) / 0.9
    expected[4] = 0
    for found in (values, solved):
        torch.testing.assert_close(found.mean(0), expected.double(), atol=0.012, rtol=0)


def test_each_step_is_what_the_environment_said():
    task = walk_task(limit=6)
    loop = ControlLoop(task, ControlConfig(num_steps=40, epsilon=0.8), num_runs=2)
    q, steps = loop.table(), []
    with loop:
        for step in loop.steps(q):
            steps.append(torch.stack([x.double() for x in step[:6]]))
    for k, walk in enumerate(Walk.made[1:]):
        mine = torch.stack(steps)[:, :, k]
        assert mine[:, :5].tolist() == [list(map(float, row)) for row in walk.seen]
        ends = (mine[:, 4] + mine[:, 5]) > 0
        lengths = ends.nonzero().flatten().diff(prepend=torch.tensor([-1]))
        assert (lengths <= 6).all() and (mine[:, 5] == 1).any()
        cut = mine[:-1][mine[:-1, 5] == 1]
        assert (cut[:, 3] > 0).any()  # the true next state, and not the one after the reset
        assert (mine[1:, 0] == torch.where(ends[:-1], 0.0, mine[:-1, 3])).all()


def test_environments_are_seeded_once_from_seed_and_run():
    seeds = []
    for runs, seed in (([0, 1], 3), ([1], 3), ([1], 4)):
        q_learning(walk_task(), ControlConfig(num_episodes=5), run_ids=runs, seed=seed)
        assert all(walk.seeds[1:] == [None] * (len(walk.seeds) - 1) for walk in Walk.made)
        seeds.append([walk.seeds[0] for walk in Walk.made[1:]])
    assert seeds[0][1:] == seeds[1] != seeds[2]
    assert seeds[0][0] != seeds[0][1]


@pytest.mark.parametrize(("learner", "more"), LEARNERS, ids=NAMES)
def test_a_run_alone_is_the_run_among_others(learner, more):
    config = ControlConfig(num_episodes=25, epsilon=0.4, evaluate_every=20, evaluation_episodes=3)
    many = learner(walk_task(limit=9), config, run_ids=[4, 0, 2], seed=8, **more)
    alone = learner(walk_task(limit=9), config, run_ids=[2], seed=8, **more)
    for field in ("q", "visits", "returns", "lengths"):
        assert torch.equal(getattr(many, field)[2:], getattr(alone, field))
    shared = alone.evaluations.shape[1]
    assert torch.equal(many.evaluations[2:, :shared], alone.evaluations)
    assert not torch.equal(many.q[0], many.q[1])
    twice = learner(walk_task(limit=9), config, run_ids=[2, 2], seed=8, **more)
    assert torch.equal(twice.q, alone.q.expand(2, -1, -1))


def test_a_recorded_run_alone_is_the_run_among_others():
    task, policy = walk_task(limit=9), torch.full((5, 2), 0.5)
    with (
        Recorder(task, run_ids=[4, 0, 2], seed=8) as many,
        Recorder(task, run_ids=[2], seed=8) as alone,
    ):
        for _ in range(2):  # the second batch goes on where the first ended
            ours, own = many.record(policy, 6), alone.record(policy, 6)
            for field, single in zip(ours, own, strict=True):
                T = single.shape[-1]
                assert torch.equal(field[2:, :, :T], single)
    config = MonteCarloConfig(num_episodes=9)
    ours = monte_carlo_control(task, config, run_ids=[1, 3]).q
    assert torch.equal(ours[1:], monte_carlo_control(task, config, run_ids=[3]).q)


def test_a_run_that_has_finished_rests():
    q_learning(walk_task(), ControlConfig(num_episodes=5, epsilon=0.5), num_runs=4)
    ends = [sum(end for *_, end in walk.seen) for walk in Walk.made[1:]]
    assert ends == [5] * 4


def test_a_limit_cuts_what_would_not_end():
    still = torch.zeros(5, dtype=torch.int64)
    episodes = record_episodes(walk_task(limit=7), still, num_episodes=2, num_runs=1)
    assert episodes.lengths().tolist() == [[7, 7]]
    assert episodes.truncated[..., -1].all() and not episodes.terminated.any()
    episodes = record_episodes(walk_task(), still, num_episodes=2, num_runs=1, max_steps=3)
    assert episodes.lengths().tolist() == [[3, 3]]
    assert episodes.truncated[..., -1].all() and not episodes.terminated.any()
    lake = tabular_task("FrozenLake-v1", discount=0.9, model=False)
    config = MonteCarloConfig(num_episodes=1, initial_q=0.0)
    assert monte_carlo_control(lake, config, num_runs=2).returns.shape == (2, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rlbook.tabular.episodes.ENDLESS", 50)
        with pytest.raises(ValueError, match="has not ended in 50 steps; give max_steps"):
            record_episodes(walk_task(), still, num_episodes=2, num_runs=1)


def test_evaluation_plays_greedy_episodes_in_environments_of_its_own():
    right = torch.tensor([0.0, 1.0]).expand(2, 5, 2)
    returns = sampled_returns(walk_task(), right, num_episodes=4, num_runs=2, seed=3)
    assert torch.equal(returns, torch.ones(2, dtype=torch.float64))
    stay = sampled_returns(walk_task(), -right, num_episodes=2, num_runs=2, max_steps=5)
    assert torch.equal(stay, torch.zeros(2, dtype=torch.float64))
    config = ControlConfig(num_steps=40, evaluate_every=20, evaluation_episodes=2, epsilon=0.5)
    with_evaluations = q_learning(walk_task(), config, num_runs=2)
    assert with_evaluations.evaluations.shape == (2, 3)
    per_run = 2  # seeds: the learning's, and the same one in each of the three evaluations
    seeds = [walk.seeds[0] for walk in Walk.made if walk.seeds]
    assert len(seeds) == 4 * 2 and len(set(seeds)) == 2 * per_run
    alike = q_learning(walk_task(), ControlConfig(num_steps=40, epsilon=0.5), num_runs=2)
    assert torch.equal(with_evaluations.q, alike.q)
    lake = tabular_task("FrozenLake-v1", discount=1.0)
    q = torch.rand(1, 17, 4, generator=torch.Generator().manual_seed(0)).double()
    sampled = sampled_returns(lake, q, num_episodes=4000, num_runs=1)
    assert abs(float(sampled - greedy_returns(lake, q))) < 0.02


# --- Blackjack


def hands(task: EnvTask) -> list[int]:
    """The number of each state of the exact model, as Gymnasium shows it."""
    return [task.state_of((hand.player_sum, hand.dealer_card, hand.usable_ace))
            for hand in blackjack.HANDS]  # fmt: skip


@pytest.mark.slow
def test_monte_carlo_finds_the_exact_values_of_sticking_on_20():
    # Gymnasium deals from an endless deck too, and by default plays Sutton and Barto's rules.
    task, model = tabular_task("Blackjack-v1", discount=1.0, model=False), blackjack.blackjack_mdp()
    policy = torch.zeros(task.num_states, dtype=torch.int64)
    policy[hands(task)] = blackjack.stick_from(20)[:-1]
    found = monte_carlo_prediction(task, policy, num_episodes=1500, num_runs=10)
    exact = policy_evaluation(model, blackjack.stick_from(20)).values[:-1]
    counts = found.counts.sum(0)[hands(task)]
    values = (found.values * found.counts).sum(0)[hands(task)] / counts
    seen = [hand[:3] != (21, hand.dealer_card, 1) for hand in blackjack.HANDS]  # natural or not?
    seen = torch.tensor(seen) & (counts >= 30)
    # Returns lie in [-1, 1], so their variance is at most 1 - V^2.
    z = ((values - exact) / torch.sqrt((1 - exact**2) / counts))[seen]
    assert int(seen.sum()) > 150
    assert float(z.abs().max()) < 4 and abs(float(z.mean())) < 0.3


@pytest.mark.slow
def test_q_learning_plays_blackjack():
    task = tabular_task("Blackjack-v1", discount=1.0, model=False)
    config = ControlConfig(num_steps=8_000, step_size=0.05, epsilon=0.3)
    q = q_learning(task, config, num_runs=2).q
    best = torch.cat([q[:, hands(task)].argmax(-1), torch.zeros(2, 1, dtype=torch.int64)], dim=1)
    policies = torch.nn.functional.one_hot(best, 2).double()
    returns = evaluate_policies(blackjack.blackjack_mdp(), policies).returns
    assert float(returns.min()) > -0.15  # -0.39 at random, -0.05 at best


@pytest.mark.parametrize(("learner", "more"), LEARNERS[1:], ids=NAMES[1:])
def test_every_learner_plays_blackjack(learner, more):
    task = tabular_task("Blackjack-v1", discount=1.0, model=False)
    result = learner(task, ControlConfig(num_steps=60), num_runs=2, **more)
    assert result.q.shape == (2, 704, 2) and int(result.visits.sum()) == 120


# --- numbering


SPACES = [
    Discrete(4, start=-2),
    MultiDiscrete([2, 3, 4]),
    MultiDiscrete([[2, 3], [1, 2]], start=[[5, 0], [7, -1]]),
    Tuple([Discrete(3), Tuple([Discrete(2, start=1), MultiDiscrete([2, 2])])]),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_numbers_and_values_are_each_others_inverse(space):
    numbering = Numbering("observations", space)
    values = [numbering.value(number) for number in range(numbering.size)]
    assert all(value in space for value in values)
    assert [numbering.number(value) for value in values] == list(range(numbering.size))
    assert len({str(value) for value in values}) == numbering.size
    with pytest.raises(ValueError, match=f"no number {numbering.size}"):
        numbering.value(numbering.size)


def test_the_last_component_changes_fastest():
    numbering = Numbering("observations", MultiDiscrete([2, 3, 4]))
    assert numbering.number(np.array([1, 2, 3])) == np.ravel_multi_index((1, 2, 3), (2, 3, 4))
    task = tabular_task("Blackjack-v1", discount=1.0, model=False)
    assert task.state_of((13, 10, 1)) == (13 * 11 + 10) * 2 + 1
    assert task.observation_of(task.state_of((13, 10, 1))) == (13, 10, 1)
    with pytest.raises(ValueError, match="is not in Tuple"):
        task.state_of((13, 11, 1))


def test_actions_are_numbered_too():
    class Pairs(Walk):
        action_space = MultiDiscrete([2, 2], start=[0, 3])

        def step(self, action):
            assert action in self.action_space
            return super().step(int(action[0]))

    task = tabular_task(Pairs, discount=0.9, model=False)
    assert task.num_actions == 4 and task.action_of(3).tolist() == [1, 4]
    result = q_learning(
        task, ControlConfig(num_episodes=60, epsilon=0.3, initial_q=0.5), run_ids=[0]
    )
    assert (result.q[:, :4].argmax(-1) >= 2).all()


# --- what an environment must not answer


def answer(**changed):
    """A step that says something else."""

    def fault(cell):
        fields = {"observation": cell, "reward": 0.0, "terminated": cell == 4, "truncated": False}
        return *(fields | changed).values(), {}

    return fault


def explodes(cell):
    raise RuntimeError("the shop is closed")


FAULTS = [
    (answer(reward=float("nan")), ": the reward must be one finite number, got nan"),
    (answer(reward=float("inf")), ": the reward must be one finite number, got inf"),
    (answer(reward=None), ": the reward must be one finite number, got None"),
    (answer(reward="1"), ": the reward must be one finite number, got '1'"),
    (answer(reward=np.array([1.0])), r": the reward must be one .*, got array\(\[1\.\]\)"),
    (answer(observation=5), r": the observation 5 is not in Discrete\(5\)"),
    (answer(observation=1.0), r": the observation 1.0 is not in Discrete\(5\)"),
    (answer(observation=None), r": the observation None is not in Discrete\(5\)"),
    (answer(terminated=0), ": terminated must be True or False, got 0"),
    (answer(truncated=None), ": truncated must be True or False, got None"),
    ("old", r": it must return \(observation, .*, info\), got 4 values"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[str(k) for k in range(len(FAULTS))])
def test_bad_values_are_named_and_what_was_learned_is_kept(fault, message):
    config = ControlConfig(num_steps=50, epsilon=0.5)
    with pytest.raises(ValueError, match="Walk, run 1, step 7" + message) as caught:
        q_learning(walk_task(fault=fault), config, num_runs=3)
    same = q_learning(walk_task(), ControlConfig(num_steps=6, epsilon=0.5), num_runs=3)
    assert torch.equal(caught.value.result.q, same.q)
    assert int(caught.value.result.visits.sum()) == 3 * 6
    assert "error.result" in caught.value.__notes__[-1]


def test_good_rewards_of_other_types():
    for reward in (1, True, np.float32(0.5), np.array(2.0), np.int64(3)):
        fault = answer(reward=reward)
        result = q_learning(walk_task(fault=fault), ControlConfig(num_steps=9), num_runs=2)
        assert torch.isfinite(result.q).all()


def test_a_bad_reset_is_named():
    message = r"Walk, run 1, reset\(\) after \d+ steps: the observation 99 is not in"
    with pytest.raises(ValueError, match=message):
        q_learning(walk_task(fault="reset", at=-1), ControlConfig(num_steps=500), num_runs=3)
    with pytest.raises(ValueError, match=message):
        monte_carlo_control(
            walk_task(fault="reset", at=-1), MonteCarloConfig(num_episodes=9), num_runs=3
        )


def test_an_exception_of_the_environment_keeps_what_was_learned():
    config = ControlConfig(num_episodes=50, epsilon=0.5)
    with pytest.raises(RuntimeError, match="the shop is closed") as caught:
        sarsa(walk_task(fault=explodes, at=30), config, num_runs=3)
    assert "in Walk, run 1, step 30, action" in caught.value.__notes__[0]
    assert float(caught.value.result.visits[1].sum()) == 29
    with pytest.raises(RuntimeError) as caught:
        monte_carlo_prediction(
            walk_task(fault=explodes, at=30),
            torch.full((5, 2), 0.5),
            num_episodes=50,
            num_runs=3,
        )
    whole = Walk.made[-2].seen
    ended = sum(end for *_, end in whole[:29])
    assert 0 < ended == int(caught.value.result.counts[1, 0])  # each begins in cell 0
    with pytest.raises(RuntimeError) as caught:
        config = MonteCarloConfig(num_episodes=50, initial_q=1.0, epsilon=0.5)
        monte_carlo_control(walk_task(fault=explodes, at=30), config, num_runs=3)
    done = (~caught.value.result.returns.isnan()).sum(1).tolist()
    assert done == [done[0]] * 3 and 0 < done[0] < 50
    with pytest.raises(RuntimeError) as caught:
        policy = torch.full((5, 2), 0.5)
        record_episodes(walk_task(fault=explodes, at=30), policy, num_episodes=50, num_runs=3)
    assert caught.value.result.mask.any(-1).all()


def test_ctrl_c_keeps_it_and_closes():
    def interrupts(cell):
        raise KeyboardInterrupt

    task = walk_task(fault=interrupts, at=30)
    result = q_learning(task, ControlConfig(num_steps=100, epsilon=0.5), num_runs=3)
    assert result.interrupted and int(result.visits.sum()) == 3 * 29
    Walk.made = Walk.made[:1]
    result = monte_carlo_prediction(task, torch.full((5, 2), 0.5), num_episodes=50, num_runs=3)
    assert result.interrupted and 0 < int(result.counts[0, 0]) < 50
    Walk.made = Walk.made[:1]
    result = monte_carlo_control(task, MonteCarloConfig(num_episodes=99, epsilon=0.5), num_runs=3)
    assert result.interrupted and result.returns.isnan().any()


def test_an_exception_of_the_learner_closes_too():
    loop = ControlLoop(walk_task(), ControlConfig(num_steps=9), num_runs=2)
    with pytest.raises(ZeroDivisionError) as caught, loop:
        for _ in loop.steps(loop.table()):
            raise ZeroDivisionError
    assert caught.value.result.q.shape == (2, 5, 2)
    loop = ControlLoop(walk_task(), ControlConfig(num_steps=9), num_runs=2)
    for _ in loop.steps(loop.table()):
        pass  # without a block `with` the loop


def test_a_close_that_fails_loses_nothing():
    class Stubborn(Walk):
        def close(self):
            super().close()
            if len(self.made) > 1:
                raise OSError("no socket")

    task = tabular_task(Stubborn, discount=0.9, model=False)
    with pytest.warns(UserWarning, match=r"Stubborn, run 0: close\(\): OSError"):
        result = q_learning(task, ControlConfig(num_steps=9), num_runs=1)
    assert int(result.visits.sum()) == 9


# --- the way in


def test_what_is_no_task_is_told_the_call():
    config = ControlConfig(num_steps=5)
    for given, call in (
        ("Blackjack-v1", "tabular_task('Blackjack-v1', discount=..., model=False)"),
        (Walk, "tabular_task(Walk, discount=..., model=False)"),
        (lambda: Walk(), "tabular_task(your_function, discount=..., model=False)"),
        (gym.make("Blackjack-v1"), "tabular_task(lambda: BlackjackEnv(...), discount=..., model=F"),
    ):
        for learn in (
            lambda given: q_learning(given, config, num_runs=1),
            lambda given: monte_carlo_control(given, MonteCarloConfig(num_episodes=1), num_runs=1),
            lambda given: record_episodes(given, torch.zeros(5), num_episodes=1, num_runs=1),
        ):
            with pytest.raises(ValueError) as caught:
                learn(given)
            assert call in str(caught.value)
    with pytest.raises(ValueError, match="got int$"):
        q_learning(5, config, num_runs=1)


def test_what_no_table_can_learn():
    class Vectors(Walk):
        observation_space = Box(0, 1, (3,))

    class Huge(Walk):
        observation_space = MultiDiscrete([10_000] * 3)

    one = Walk()
    for make, message in (
        (Vectors, "the observations of Vectors are Box.*continuous.*TransformObservation"),
        (Huge, "a table .S, A. for Huge would hold 1000000000000 x 2"),
        ("CartPole-v1", "the observations of CartPole-v1 are Box.*rlbook.deep.dqn"),
        ("Blackjack-v7", "cannot make 'Blackjack-v7'"),
        (lambda: 3, "must build a gymnasium.Env, but built 3"),
        (3, "env must be an id, an environment or a function, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            tabular_task(make, discount=0.9, model=False)
    with pytest.raises(
        ValueError, match=r"tabular_task\(lambda: Walk\(...\), discount=..., model=F"
    ):
        tabular_task(one, discount=0.9, model=False)
    with pytest.raises(ValueError, match=r"Walk exposes no model.*lambda: Walk\(...\), discount"):
        tabular_task(one, discount=0.9)
    with pytest.raises(ValueError, match="one environment twice"):
        task = tabular_task(lambda: one, discount=0.9, model=False)
        one.closed = 0
        q_learning(task, ControlConfig(num_steps=5), num_runs=2)
    with pytest.raises(ValueError, match="'map_name'.*give them to the function"):
        tabular_task(Walk, discount=0.9, model=False, map_name="8x8")
    with pytest.raises(ValueError, match="discount"):
        tabular_task("Blackjack-v1", discount=1.5, model=False)
    with pytest.raises(ValueError, match="max_episode_steps"):
        tabular_task(Walk, discount=1, model=False, max_episode_steps=0)


def test_what_needs_a_model_says_so():
    task = walk_task()
    with pytest.raises(ValueError, match="exact evaluation .sampled_returns .* EnvTask.Walk"):
        greedy_returns(task, torch.zeros(1, 5, 2))
    pairs = torch.full((5, 2), 0.1)
    with pytest.raises(ValueError, match="start_pairs needs a model"):
        record_episodes(
            task, torch.ones(5, dtype=int), num_episodes=1, num_runs=1, start_pairs=pairs
        )


def test_a_model_from_a_function_and_its_limit():
    task = tabular_task(lambda: gym.make("Taxi-v4"), discount=0.9, max_episode_steps=30)
    assert task.max_episode_steps == 30 and task.mdp.num_states == 501
    assert tabular_task("Taxi-v4", discount=0.9, max_episode_steps=30).max_episode_steps == 30
