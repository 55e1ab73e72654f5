"""Monte Carlo prediction and control, and the ten-armed testbed."""

import math

import pytest
import torch

from rlbook.planning.bellman import action_values
from rlbook.planning.blackjack import HANDS, blackjack_mdp, exploring_starts, on_table, stick_from
from rlbook.planning.dynamic_programming import policy_evaluation, policy_iteration
from rlbook.planning.epsilon_soft import epsilon_soft_model
from rlbook.planning.grids import GridWorld
from rlbook.planning.mdp import MDP
from rlbook.tabular import (
    MonteCarloConfig,
    epsilon_greedy_bandit,
    first_visits,
    incremental_mean,
    monte_carlo_control,
    monte_carlo_prediction,
    monte_carlo_sums,
    return_sums,
    ucb_bandit,
    upper_confidence_bounds,
)
from rlbook.tabular.bandits import Arms
from rlbook.tabular.episodes import Episodes, Recorder, record_episodes
from rlbook.tabular.schedules import one_over_k
from rlbook.tabular.tasks import TabularTask


def one_state(end: float = 0.3) -> MDP:
    """Reward 1 a step; each step ends with this probability: V = 1 / end."""
    return MDP.from_arrays(
        torch.tensor([[[1 - end, end]], [[0.0, 0.0]]], dtype=torch.float64),
        torch.tensor([[1.0], [0.0]], dtype=torch.float64),
        discount=1.0,
        terminal=[False, True],
    )


def episodes_of_lengths(lengths: torch.Tensor) -> Episodes:
    """Episodes (R, N, T) of the one state, of these lengths (R, N)."""
    t = torch.arange(int(lengths.max()))
    mask = t < lengths.unsqueeze(-1)
    states, no = torch.zeros(mask.shape, dtype=torch.int64), torch.zeros_like(mask)
    ends = t >= lengths.unsqueeze(-1) - 1
    return Episodes(states, states, mask.double(), ends.long(), ends, no, mask)


# --- prediction


@pytest.mark.parametrize("end", [0.3, 0.5])
def test_the_bias_of_every_visit_is_exact(end):
    """After one episode E[V_every] = (1/p + 1) / 2, after two, by enumeration; V_first is right.

    Singh and Sutton 1996: the bias falls like 1 / (n + 1) with the number n of episodes.
    """
    mdp, T = one_state(end), 80
    chance = end * (1 - end) ** torch.arange(T, dtype=torch.float64)  # of length 1 .. T
    lengths = torch.arange(1, T + 1)
    one = episodes_of_lengths(lengths.unsqueeze(1))
    for first_visit, expected in ((True, 1 / end), (False, (1 / end + 1) / 2)):
        sums, counts = monte_carlo_sums(mdp, one, first_visit=first_visit)
        mean = (chance * (sums / counts.clamp(min=1))[:, 0]).sum()
        assert math.isclose(float(mean), expected, abs_tol=1e-8)
    pairs = torch.cartesian_prod(lengths, lengths)
    two = episodes_of_lengths(pairs)
    weight = torch.outer(chance, chance).flatten()
    errors = []
    for first_visit in (True, False):
        sums, counts = monte_carlo_sums(mdp, two, first_visit=first_visit)
        errors.append(float((weight * sums[:, 0] / counts[:, 0]).sum()) - 1 / end)
    one_episode = (1 / end + 1) / 2 - 1 / end
    assert abs(errors[0]) < 1e-8
    assert math.isclose(errors[1], one_episode * 2 / 3, abs_tol=1e-8)


@pytest.mark.parametrize("first_visit", [True, False])
def test_a_plain_loop(first_visit):
    mdp = GridWorld.from_text("S..\n..G", slip=0.3).mdp(discount=0.9)
    policy = torch.full((6, 4), 0.25, dtype=torch.float64)
    record = record_episodes(mdp, policy, num_episodes=20, num_runs=2, seed=1)
    sums, counts = monte_carlo_sums(mdp, record, first_visit=first_visit)
    for run in range(2):
        returns: dict[int, list[float]] = {}
        for e in range(20):
            T = int(record.lengths()[run, e])
            s, r = record.states[run, e, :T].tolist(), record.rewards[run, e, :T].tolist()
            for t in range(T):
                if not first_visit or s[t] not in s[:t]:
                    G = sum(0.9 ** (k - t) * r[k] for k in range(t, T))
                    returns.setdefault(s[t], []).append(G)
        for state in range(6):
            seen = returns.get(state, [])
            assert float(counts[run, state]) == len(seen)
            assert math.isclose(float(sums[run, state]), sum(seen), abs_tol=1e-9)


@pytest.mark.parametrize("first_visit", [True, False])
def test_prediction_finds_the_exact_values(first_visit):
    mdp = blackjack_mdp()
    exact = policy_evaluation(mdp, stick_from(20)).values
    result = monte_carlo_prediction(
        mdp, stick_from(20), num_episodes=20_000, num_runs=4, first_visit=first_visit
    )
    often = result.counts > 50
    error = (result.values - exact).abs() * result.counts.sqrt()  # rewards are within 1
    assert often.sum() > 400 and error[often].max() < 4.8


def test_prediction_does_not_depend_on_what_is_sampled_together():
    mdp, settings = one_state(), {"num_episodes": 50, "num_runs": 3, "episodes_at_a_time": 50}
    ten = monte_carlo_prediction(mdp, torch.zeros(2).long(), **{**settings, "num_runs": 10})
    alone = monte_carlo_prediction(
        mdp, torch.zeros(2).long(), run_ids=[7], num_episodes=50, episodes_at_a_time=50
    )
    assert torch.equal(ten.values[7:8], alone.values) and torch.equal(ten.counts[7:8], alone.counts)
    three = monte_carlo_prediction(mdp, torch.zeros(2).long(), num_episodes=120, num_runs=3,
                                   episodes_at_a_time=50)  # fmt: skip
    assert (three.counts[:, 0] == 120).all()


def test_episodes_that_were_cut_have_no_return():
    task = TabularTask(one_state(0.05), max_episode_steps=3)
    with pytest.raises(ValueError, match="needs next_values"):
        monte_carlo_prediction(task, torch.zeros(2).long(), num_episodes=9, num_runs=2)


def test_first_visits_worked_by_hand():
    keys = torch.tensor([[2, 0, 2, 1, 0]])
    mask = torch.tensor([[True, True, True, True, False]])
    assert first_visits(keys, mask, 3).tolist() == [[True, True, False, True, False]]
    later = torch.tensor([[False, True, True, True, True]])
    assert first_visits(keys, later, 3)[0, 1]
    keys, returns = keys.unsqueeze(0), torch.arange(5.0).view(1, 1, 5)
    sums, counts = return_sums(keys, returns, mask.unsqueeze(0), 4)
    assert sums.tolist() == [[1.0, 3.0, 2.0, 0.0]] and counts.tolist() == [[1.0, 1.0, 2.0, 0.0]]


# --- control


def test_exploring_starts_find_the_optimal_policy_where_it_can_be_told():
    mdp = blackjack_mdp()
    optimal = policy_iteration(mdp)
    config = MonteCarloConfig(
        num_episodes=80_000,
        epsilon=0.0,
        start_pairs=exploring_starts(),
        episodes_per_update=400,
    )
    result = monte_carlo_control(mdp, config, num_runs=4)
    gap = action_values(mdp, optimal.values)
    clear = on_table((gap[:, 0] - gap[:, 1]).abs()) > 0.3
    chosen = on_table(result.q.argmax(-1))
    assert clear.sum() > 60
    assert (chosen == on_table(optimal.policy))[:, clear].double().mean() > 0.99
    assert result.returns.shape == (4, 80_000)


def test_a_constant_epsilon_finds_the_best_exploring_policy():
    mdp, epsilon = GridWorld.from_text("S.\n.G", slip=0.2).mdp(discount=0.9), 0.3
    soft = policy_iteration(epsilon_soft_model(mdp, epsilon)).values
    config = MonteCarloConfig(num_episodes=4_000, epsilon=epsilon, episodes_per_update=20)
    result = monte_carlo_control(mdp, config, num_runs=5)
    exact = action_values(mdp, soft)
    often = result.visits > 200
    assert often.sum() > 15
    assert (result.q - exact)[often].abs().max() < 0.3
    assert (result.q - exact)[often].abs().mean() < 0.1


@pytest.mark.parametrize("step_size", [None, 0.2])
def test_run_k_of_ten_is_run_k_alone(step_size):
    mdp = GridWorld.from_text("S.\n.G", slip=0.2).mdp(discount=0.9)
    config = MonteCarloConfig(num_episodes=25, epsilon=one_over_k(5), step_size=step_size)
    ten = monte_carlo_control(mdp, config, num_runs=10, seed=2)
    alone = monte_carlo_control(mdp, config, run_ids=[7], seed=2)
    for name in ("q", "visits", "returns"):
        assert torch.equal(getattr(ten, name)[7:8], getattr(alone, name))


def test_first_visit_updates_of_one_episode():
    """A corridor, alpha 0.5 from 0: every pair of the episode moves half way to its return."""
    mdp = GridWorld.from_text("S..G").mdp(discount=1.0)
    config = MonteCarloConfig(num_episodes=1, epsilon=1.0, step_size=0.5)
    result = monte_carlo_control(mdp, config, num_runs=6, progress=False)
    for k in range(6):
        start = int(mdp.start.argmax())
        tried = result.q[k, start][result.visits[k, start] > 0]
        assert float(tried.min()) == float(result.returns[k, 0]) / 2
        assert result.visits[k].max() == 1  # first visits only


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_size": 0.1, "episodes_per_update": 2}, "episodes_per_update=1"),
        ({"step_size": 1.1}, "step_size must be in"),
        ({"epsilon": -1}, "epsilon must be in"),
        ({"num_episodes": 0}, "num_episodes must be a positive"),
        ({"episodes_per_update": 0.5}, "episodes_per_update must be a positive"),
    ],
)
def test_bad_configurations(settings, message):
    with pytest.raises(ValueError, match=message):
        config = MonteCarloConfig(**{"num_episodes": 3, **settings})
        monte_carlo_control(one_state(), config, num_runs=2)


@pytest.mark.parametrize("runs", [{}, {"num_runs": 2, "run_ids": [1]}], ids=str)
def test_exactly_one_of_num_runs_and_run_ids(runs):
    with pytest.raises(ValueError, match="exactly one of num_runs and run_ids"):
        monte_carlo_control(one_state(), MonteCarloConfig(num_episodes=3), **runs)


def interrupt_call(number: int, function):
    """The function, with Ctrl-C in its call of this number, counted from 1."""
    calls = iter(range(1, number + 1))

    def interrupted(*arguments, **keywords):
        if next(calls) == number:
            raise KeyboardInterrupt
        return function(*arguments, **keywords)

    return interrupted


@pytest.mark.parametrize("batches", [0, 2])
def test_an_interruption_hands_back_what_there_is(batches, monkeypatch):
    mdp, policy = one_state(), torch.zeros(2).long()
    monkeypatch.setattr(Recorder, "record", interrupt_call(batches + 1, Recorder.record))
    result = monte_carlo_prediction(mdp, policy, num_episodes=9, num_runs=3, episodes_at_a_time=2)
    assert result.interrupted and (result.counts[:, 0] == 2 * batches).all()
    monkeypatch.undo()
    monkeypatch.setattr(Recorder, "record", interrupt_call(batches + 1, Recorder.record))
    config = MonteCarloConfig(num_episodes=9, episodes_per_update=2)
    result = monte_carlo_control(mdp, config, num_runs=3, progress=False)
    assert result.interrupted and result.returns.shape == (3, 9)
    known = 2 * batches
    assert not result.returns[:, :known].isnan().any() and result.returns[:, known:].isnan().all()
    monkeypatch.undo()
    config = MonteCarloConfig(num_episodes=1)
    assert not monte_carlo_control(mdp, config, num_runs=1).interrupted


# --- bandits


@pytest.mark.parametrize("learner", [epsilon_greedy_bandit, ucb_bandit])
def test_an_interrupted_bandit_hands_back_what_there_is(learner, monkeypatch):
    monkeypatch.setattr(Arms, "pull", interrupt_call(4, Arms.pull))
    result = learner(num_steps=9, num_runs=2, progress=False)
    assert result.interrupted and (result.counts.sum(1) == 3).all()
    assert not result.rewards[:, :3].isnan().any() and result.rewards[:, 3:].isnan().all()


def test_incremental_mean_is_the_mean():
    samples = torch.randn(7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean = torch.tensor(123.0, dtype=torch.float64)
    for n, sample in enumerate(samples, start=1):
        mean = incremental_mean(mean, sample, torch.tensor(n))
        torch.testing.assert_close(mean, samples[:n].mean())
    with pytest.raises(ValueError, match="count"):
        incremental_mean(mean, mean, torch.tensor(0))


def test_upper_confidence_bounds_by_hand():
    bounds = upper_confidence_bounds(
        torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 0.0, 1.0]), 9, 2.0
    )
    expected = [1 + 2 * math.sqrt(math.log(9) / 4), math.inf, 3 + 2 * math.sqrt(math.log(9))]
    torch.testing.assert_close(bounds, torch.tensor(expected))


def test_the_testbed_has_the_published_shape():
    """Figures 2.2 and 2.4, after 400 steps: epsilon 0.1 is above epsilon 0, UCB above both."""
    settings = {"num_steps": 500, "num_runs": 300}
    greedy, tenth = (epsilon_greedy_bandit(epsilon=e, **settings) for e in (0.0, 0.1))
    ucb = ucb_bandit(**settings)
    late = [float(x.rewards[:, 400:].mean()) for x in (greedy, tenth, ucb)]
    assert 0.8 < late[0] < 1.15 < 1.2 < late[1] < 1.45 < late[2] < 1.6
    right = float(tenth.optimal[:, 400:].double().mean())
    assert 0.65 < right < 0.85
    assert torch.equal(greedy.true_values, ucb.true_values)
    assert (ucb.counts.sum(1) == 500).all() and (ucb.counts > 0).all()
    mean = tenth.estimates - tenth.true_values
    assert (mean.abs() * tenth.counts.sqrt()).max() < 6


def test_optimism_tries_every_arm_and_constant_steps_weigh_recent_rewards():
    result = epsilon_greedy_bandit(
        num_steps=10, num_runs=50, epsilon=0.0, step_size=0.1, initial_value=50.0
    )
    assert (result.counts == 1).all()
    expected = 50 + 0.1 * (result.rewards.sum(1) - 500)
    torch.testing.assert_close(result.estimates.sum(1), expected + 450)


@pytest.mark.parametrize("learner", [epsilon_greedy_bandit, ucb_bandit])
def test_bandit_k_of_ten_is_bandit_k_alone(learner):
    ten = learner(num_steps=80, num_runs=10, seed=3)
    alone = learner(num_steps=80, run_ids=[7], seed=3)
    for name in ("rewards", "optimal", "estimates", "counts", "true_values"):
        assert torch.equal(getattr(ten, name)[7:8], getattr(alone, name))
    assert not ten.interrupted


def test_bad_bandits():
    for bad in ({"num_steps": 0}, {"num_steps": 9, "num_arms": 0}, {"num_steps": 10**9}):
        with pytest.raises(ValueError):
            ucb_bandit(num_runs=2, **bad)
    with pytest.raises(ValueError, match="exploration"):
        ucb_bandit(num_runs=2, num_steps=3, exploration=-1.0)
    with pytest.raises(ValueError, match="epsilon"):
        epsilon_greedy_bandit(num_runs=2, num_steps=3, epsilon=1.1)
    assert len(HANDS) == 290
