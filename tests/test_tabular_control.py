"""The control learners against dynamic programming on the same model, and run by run."""

import inspect
import math

import pytest
import torch

from rlbook.formulas.exploration import epsilon_greedy_policy
from rlbook.formulas.returns import td_targets
from rlbook.ground.statistics import mean_interval
from rlbook.planning.bellman import action_values
from rlbook.planning.dynamic_programming import policy_iteration, q_value_iteration
from rlbook.planning.epsilon_soft import epsilon_soft_model
from rlbook.planning.grids import GridWorld
from rlbook.planning.mdp import MDP
from rlbook.tabular import (
    ControlConfig,
    double_q_learning,
    evaluate_policies,
    expected_sarsa,
    expected_value,
    greedy_returns,
    monte_carlo_control,
    n_step_sarsa,
    q_learning,
    sarsa,
    sarsa_lambda,
)
from rlbook.tabular.control_loop import ControlLoop, QTable, epsilon_greedy_actions
from rlbook.tabular.examples import maximisation_bias
from rlbook.tabular.schedules import linear, one_over_k, one_over_n
from rlbook.tabular.tasks import TabularTask, tabular_task

QUIET = {"progress": False}
LEARNERS = [
    (q_learning, {}),
    (double_q_learning, {}),
    (sarsa, {}),
    (expected_sarsa, {}),
    (n_step_sarsa, {"n": 3}),
    (sarsa_lambda, {"lambda_": 0.7}),
    (sarsa_lambda, {"lambda_": 0.7, "traces": "accumulating"}),
]
OFF_POLICY, ON_POLICY = LEARNERS[:2], LEARNERS[2:]


def names(parameter):
    return getattr(parameter, "__name__", None) or str(parameter)


def small_grid() -> MDP:
    """Four slippery cells, one of them the end."""
    return GridWorld.from_text("S.\n.G", rewards={"G": 1.0}, slip=0.2).mdp(discount=0.9)


# --- choosing actions: first, as some mistakes in it let the learners walk for ever


def test_epsilon_greedy_actions_have_the_policys_chances():
    q = torch.tensor([1.0, 3.0, 3.0, -torch.inf]).unsqueeze(1)
    N, generator = 200_000, torch.Generator().manual_seed(0)
    noise = torch.rand(2, N, generator=generator)
    actions = epsilon_greedy_actions(q.expand(4, N), 0.3, *noise)
    policy = epsilon_greedy_policy(q[:, 0], 0.3)
    drawn = torch.bincount(actions, minlength=4) / N
    torch.testing.assert_close(drawn, policy, atol=0.005, rtol=0)
    assert drawn[3] == 0
    all_but_one = q[:3].expand(3, N)
    fast = epsilon_greedy_actions(all_but_one, 0.3, *noise, all_allowed=True)
    assert torch.equal(fast, epsilon_greedy_actions(all_but_one, 0.3, *noise))


# --- against a plain loop, and against each other


def plain_update(rule, mdp, steps, alpha, epsilon, initial, n=1, lambda_=0.0, traces="replacing"):
    """One run's steps, one after another, in the most ordinary way."""
    q = torch.full(mdp.reward.shape, initial, dtype=torch.float64)
    z, episode = torch.zeros_like(q), []
    for s, a, r, s2, end, cut, a2 in steps:
        if rule == "q_learning":
            ahead = float(q[s2].max())
        elif rule == "expected_sarsa":
            ahead = float((epsilon_greedy_policy(q[s2], epsilon) * q[s2]).sum())
        else:
            ahead = float(q[s2, a2])
        ahead = 0.0 if end else mdp.discount * ahead
        if rule == "sarsa_lambda":
            error = r + ahead - float(q[s, a])
            z *= mdp.discount * lambda_
            z[s, a] = 1.0 if traces == "replacing" else z[s, a] + 1
            q += alpha * error * z
            z *= 0.0 if end or cut else 1.0
            continue
        episode.append((s, a, r))
        due = len(episode) - n  # the first step whose return is known now
        for t in range(0 if end or cut else due, len(episode) if end or cut else due + 1):
            if t < max(due, 0):
                continue  # long updated
            G = sum(mdp.discount ** (k - t) * episode[k][2] for k in range(t, len(episode)))
            G += mdp.discount ** (len(episode) - 1 - t) * ahead
            q[episode[t][:2]] += alpha * (G - float(q[episode[t][:2]]))
        episode = [] if end or cut else episode
    return q


@pytest.mark.parametrize("limit", [None, 4])
@pytest.mark.parametrize(
    ("learner", "key"),
    [
        (q_learning, {}),
        (sarsa, {}),
        (expected_sarsa, {}),
        (n_step_sarsa, {"n": 3}),
        (sarsa_lambda, {"lambda_": 0.7}),
        (sarsa_lambda, {"lambda_": 0.7, "traces": "accumulating"}),
    ],
    ids=names,
)
def test_the_update_of_a_plain_loop(learner, key, limit, monkeypatch):
    mdp, recorded = small_grid(), []
    original = ControlLoop.steps

    def recording(self, q, **arguments):
        for step in original(self, q, **arguments):
            a2 = int(step.next_actions[0]) if len(step.next_actions) else 0
            recorded.append((*(x[0].item() for x in step[:6]), a2))
            yield step

    monkeypatch.setattr(ControlLoop, "steps", recording)
    config = ControlConfig(num_steps=300, step_size=0.3, epsilon=0.4, initial_q=2.0)
    result = learner(TabularTask(mdp, limit), config, num_runs=1, **key, **QUIET)
    plain = plain_update(learner.__name__, mdp, recorded, 0.3, 0.4, 2.0, **key)
    plain[mdp.terminal] = 0
    torch.testing.assert_close(result.q[0], plain, atol=1e-12, rtol=0)
    if learner is sarsa:  # the action that was chosen is the one that is taken
        for (*_, s2, end, cut, a2), (s, a, *_) in zip(recorded, recorded[1:], strict=False):
            assert end or cut or (s2, a2) == (s, a)


@pytest.mark.parametrize(
    ("learner", "key"), [(n_step_sarsa, {"n": 1}), (sarsa_lambda, {"lambda_": 0.0})], ids=names
)
def test_limits_are_sarsa(learner, key):
    config = ControlConfig(num_episodes=30, step_size=0.3, initial_q=1.0)
    expected = sarsa(small_grid(), config, num_runs=4, **QUIET)
    result = learner(small_grid(), config, num_runs=4, **key, **QUIET)
    torch.testing.assert_close(result.q, expected.q, atol=1e-12, rtol=0)
    assert torch.equal(result.returns, expected.returns)


def test_n_step_sarsa_beyond_the_episode_is_monte_carlo():
    """One episode of the cliff-free corridor, alpha 1: each pair gets its last return."""
    corridor = GridWorld.from_text("S...G", rewards={"G": 0.0}).mdp(discount=1.0)
    config = ControlConfig(num_episodes=1, step_size=1.0, epsilon=1.0)
    result = n_step_sarsa(corridor, config, n=50, num_runs=5, **QUIET)
    for k in range(5):
        assert float(result.returns[k, 0]) == -float(result.lengths[k, 0])
        start = int(corridor.start.argmax())
        first = result.q[k, start][result.visits[k, start] > 0]
        assert (first >= result.returns[k, 0]).all() and (first <= -4).all()


def test_maximisation_bias_draws_q_learning_to_the_left():
    task, config, left = maximisation_bias(), ControlConfig(num_episodes=100), {}
    for learner in (q_learning, double_q_learning):
        lengths = learner(task, config, num_runs=400, **QUIET).lengths
        left[learner] = float((lengths[:, :30] == 2).double().mean())
    assert left[q_learning] > 0.65 > 0.5 > left[double_q_learning]


# --- parts


def test_expected_value_is_the_mean_over_the_policy():
    q = torch.tensor([[1.0, 0.0], [3.0, 2.0], [-torch.inf, 2.0]])
    expected = [0.8 * 3 + 0.2 * (1 + 3) / 2, 2 * (0.8 + 0.4 / 3) + 0.0]
    torch.testing.assert_close(expected_value(q, 0.2), torch.tensor(expected))
    both = expected_value(q, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(both, torch.tensor([3.0, 4 / 3]))


def test_evaluation_is_exact_and_has_a_cap():
    task = tabular_task("CliffWalking-v1", discount=1.0)
    star = q_value_iteration(task.mdp).action_values
    up = torch.zeros_like(star)
    up[:, 0] = 1  # into the wall for ever
    policies = torch.stack([epsilon_greedy_policy(star, 0.0), up])
    evaluation = evaluate_policies(task, policies, max_steps=100)
    assert evaluation.returns.tolist() == [-13.0, -100.0]
    assert evaluation.unfinished.tolist() == [0.0, 1.0]
    lake = tabular_task("FrozenLake-v1", discount=0.99)
    star = q_value_iteration(lake.mdp).action_values
    within_100 = evaluate_policies(lake, epsilon_greedy_policy(star, 0.0).unsqueeze(0))
    assert 0.72 < float(within_100.returns[0]) < 0.75  # 0.82 without the time limit
    assert 0.05 < float(within_100.unfinished[0]) < 0.2


def test_taxi_has_the_optimal_mean_return():
    task = tabular_task("Taxi-v4", discount=0.99)
    star = q_value_iteration(task.mdp).action_values
    torch.testing.assert_close(
        greedy_returns(task, star.unsqueeze(0)), torch.tensor([7.93], dtype=torch.float64)
    )


def test_evaluations_and_what_is_counted():
    mdp = small_grid()
    config = ControlConfig(num_steps=100, evaluate_every=25)
    result = q_learning(mdp, config, num_runs=4, **QUIET)
    assert result.evaluation_steps.tolist() == [0, 25, 50, 75, 100]
    assert result.evaluations.shape == (4, 5)
    torch.testing.assert_close(result.evaluations[:, -1], greedy_returns(mdp, result.q))
    assert (result.visits.sum((1, 2)) == 100).all() and result.returns is None
    result = q_learning(mdp, ControlConfig(num_episodes=10), num_runs=4, **QUIET)
    assert torch.equal(result.visits.sum((1, 2)), result.lengths.sum(1))


def test_an_interruption_hands_back_what_there_is():
    calls = []

    def evaluate(q):
        calls.append(q)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return q.mean((1, 2))

    config = ControlConfig(num_episodes=10**6, evaluate_every=50, evaluate=evaluate)
    result = q_learning(small_grid(), config, num_runs=2, **QUIET)
    assert result.interrupted and result.steps == 150 and result.evaluations.shape == (2, 3)
    assert result.visits.sum() == 300
    assert result.returns[:, -1].isnan().all() and not result.returns[:, 0].isnan().any()
    finished = result.lengths.nansum(1)  # the episode that was cut off does not count
    assert (finished <= 150).all() and (finished < 150).any()


@pytest.mark.parametrize(
    "learner", [*(learner for learner, _ in LEARNERS), monte_carlo_control], ids=names
)
def test_every_learner_shows_the_same_arguments(learner):
    """What help and Shift-Tab show; n, lambda_ and traces are what two of the methods add."""
    shown = inspect.signature(learner).parameters
    common = [name for name in shown if name not in ("n", "lambda_", "traces")]
    assert common == ["task", "config", "num_runs", "run_ids", "seed", "progress"]
    assert all(p.kind is not p.VAR_KEYWORD for p in shown.values())
    assert all(p.annotation is not p.empty for p in shown.values())
    assert "see `ControlLoop`" in learner.__doc__ or "those of `ControlLoop`" in learner.__doc__


def test_schedules():
    count = torch.tensor([1.0, 4.0])
    assert one_over_n()(count).tolist() == [1, 0.25]
    assert one_over_n(0.5)(count).tolist() == [1, 0.5]
    assert one_over_k()(count - 1).tolist() == [1, 0.25]
    assert one_over_k(3)(count - 1).tolist() == [1, 0.5]
    assert linear(1.0, 0.5, 8)(count * 4).tolist() == [0.75, 0.5]
    for bad in (lambda: one_over_n(0), lambda: one_over_k(-1), lambda: linear(2, 0, 1)):
        with pytest.raises(ValueError):
            bad()


def one_pair() -> MDP:
    """One state, one action, reward 1, for ever."""
    return MDP.from_arrays(torch.ones(1, 1, 1), torch.ones(1, 1), discount=0.5)


@pytest.mark.parametrize(
    ("length", "learned"),
    [({"num_steps": 5}, [0, 1, 2, 3, 4]), ({"num_episodes": 2}, [0, 0, 1, 1])],
    ids=str,
)
def test_epsilon_is_a_function_of_steps_or_of_episodes(length, learned, monkeypatch):
    asked, told, original = [], [], ControlLoop.steps

    def recording(self, q, **arguments):
        for step in original(self, q, **arguments):
            told.append(step.epsilon)
            yield step
        assert self.log.episodes.tolist() == ([0] if self.config.num_steps else [2])

    def epsilon(count):
        asked.append(int(count))
        return torch.full_like(count, 1 / (1 + len(asked)))

    monkeypatch.setattr(ControlLoop, "steps", recording)
    config = ControlConfig(epsilon=epsilon, **length)
    result = q_learning(TabularTask(one_pair(), 2), config, num_runs=1, **QUIET)
    assert not result.interrupted
    assert asked == learned
    assert [float(e) for e in told] == pytest.approx([1 / (2 + k) for k in range(len(learned))])


def test_each_table_of_double_q_learning_counts_its_own_updates():
    counts = []

    def step_size(count):
        counts.append(int(count))
        return torch.full_like(count, 0.1)

    config = ControlConfig(num_steps=40, step_size=step_size)
    double_q_learning(one_pair(), config, num_runs=1, **QUIET)
    both, first, second = counts[-3:]
    assert both == 40 == first + second and 10 < first < 30


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_size": 1.5}, "step_size must be in"),
        ({"step_size": -0.1}, "step_size must be in"),
        ({"step_size": math.nan}, "step_size must be in"),
        ({"epsilon": 2}, "epsilon must be in"),
        ({"step_size": torch.zeros(3)}, r"step_size must be a number, \(2,\)"),
        ({"num_episodes": 5}, "num_steps and num_episodes"),
        ({"num_steps": 0}, "num_steps must be a positive"),
        ({"evaluate_every": 1.5}, "evaluate_every must be a positive"),
        ({"num_steps": None, "num_episodes": 10**9}, "returns .* would hold"),
    ],
)
def test_bad_configurations(settings, message):
    with pytest.raises(ValueError, match=message):
        config = ControlConfig(**{"num_steps": 5, **settings})
        q_learning(small_grid(), config, num_runs=2, **QUIET)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda *config: n_step_sarsa(*config, n=0, num_runs=1), "n must be at least 1"),
        (lambda *config: sarsa_lambda(*config, lambda_=1.1, num_runs=1), "lambda_ must be in"),
        (lambda *config: sarsa_lambda(*config, lambda_=1, traces="dutch", num_runs=1), "traces"),
        (lambda task, config: q_learning("Taxi-v4", config, num_runs=1), "tabular_task"),
        (lambda *config: q_learning(*config), "exactly one of num_runs and run_ids"),
        (lambda *config: q_learning(*config, num_runs=1, run_ids=[1]), "num_runs and run_ids"),
        (lambda *config: q_learning(*config, num_runs=0), "num_runs must be a positive"),
        (lambda *config: q_learning(*config, run_ids=[]), "run_ids is empty"),
        (lambda *config: q_learning(*config, num_runs=10**9), "Q .* would hold"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(small_grid(), ControlConfig(num_steps=1))


def test_td_targets_mask_is_used_by_the_tables():
    table = QTable(1, small_grid(), 7.0)
    end = int(small_grid().terminal.nonzero()[0])
    assert float(table.rows(torch.tensor([end]))[0]) == 7.0  # the mask alone keeps it out
    target = td_targets(
        torch.tensor([1.0]), torch.tensor([7.0]), torch.tensor([True]), discount=0.9
    )
    assert float(target) == 1.0


# --- ends and limits


@pytest.mark.parametrize(("learner", "key"), LEARNERS, ids=names)
def test_junk_behind_a_termination_stays_out(learner, key):
    """One step, reward 1, the end: a value in the table of the end must not leak."""
    mdp = MDP.from_arrays(
        torch.tensor([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]),
        torch.tensor([[1.0, 1.0], [0.0, 0.0]]),
        discount=1.0,
        terminal=[False, True],
    )
    config = ControlConfig(num_steps=200, step_size=0.5, epsilon=1.0, initial_q=100.0)
    result = learner(mdp, config, num_runs=3, **key, **QUIET)
    torch.testing.assert_close(result.q[:, 0], torch.ones(3, 2), atol=1e-5, rtol=0)
    assert (result.q[:, 1] == 0).all()


@pytest.mark.parametrize(("learner", "key"), LEARNERS, ids=names)
def test_a_time_limit_cuts_but_does_not_end(learner, key):
    """One state, reward 1 for ever, discount 0.5: the value is 2, whatever the limit."""
    endless = MDP.from_arrays(torch.ones(1, 2, 1), torch.ones(1, 2), discount=0.5)
    task = TabularTask(endless, max_episode_steps=3)
    config = ControlConfig(num_steps=1_000, step_size=0.1, epsilon=1.0)
    result = learner(task, config, num_runs=3, **key, **QUIET)
    torch.testing.assert_close(result.q, torch.full_like(result.q, 2.0), atol=0.01, rtol=0)


# --- run by run


@pytest.mark.parametrize(("learner", "key"), LEARNERS, ids=names)
@pytest.mark.parametrize("length", [{"num_steps": 700}, {"num_episodes": 25}], ids=str)
def test_run_k_of_ten_is_run_k_alone(learner, key, length):
    mdp, settings = small_grid(), {**key, **QUIET, "seed": 4}
    config = ControlConfig(step_size=one_over_n(0.6), epsilon=one_over_k(3), **length)
    ten = learner(mdp, config, num_runs=10, **settings)
    alone = learner(mdp, config, run_ids=[7], **settings)
    assert torch.equal(ten.q[7:8], alone.q)
    assert torch.equal(ten.visits[7:8], alone.visits)
    if ten.returns is not None:
        assert torch.equal(ten.returns[7:8], alone.returns)
        assert torch.equal(ten.lengths[7:8], alone.lengths)
    assert not torch.equal(ten.q[6], ten.q[7])


def test_a_sweep_over_step_sizes_is_the_runs_one_by_one():
    mdp = small_grid()
    sizes = torch.tensor([0.1, 0.1, 0.5, 0.5], dtype=torch.float64)
    config = ControlConfig(num_episodes=20, step_size=sizes)
    sweep = q_learning(mdp, config, run_ids=[0, 1, 0, 1], **QUIET)
    for k, alpha in ((0, 0.1), (1, 0.5)):
        config = ControlConfig(num_episodes=20, step_size=alpha)
        part = q_learning(mdp, config, num_runs=2, **QUIET)
        assert torch.equal(sweep.q[2 * k : 2 * k + 2], part.q)


@pytest.mark.parametrize(("learner", "key"), LEARNERS, ids=names)
def test_a_model_in_single_precision(learner, key):
    wide = small_grid()
    rows = [x.permute(2, 0, 1) for x in (wide.kernel.next_states, wide.kernel.probabilities)]
    mdp = MDP.from_successors(
        rows[0].long(), rows[1].float(), wide.reward.float(), discount=0.9,
        start=wide.start.float(), terminal=wide.terminal,
    )  # fmt: skip
    sizes = torch.tensor([0.1, 0.3], dtype=torch.float64)
    for step_size in (0.1, sizes, one_over_n()):
        config = ControlConfig(num_episodes=5, step_size=step_size, epsilon=sizes)
        result = learner(mdp, config, num_runs=2, **key, **QUIET)
        assert result.q.dtype == torch.float32 and result.q.isfinite().all()


# --- they learn what dynamic programming computes (last, as these take longest)


@pytest.mark.parametrize(("learner", "key"), OFF_POLICY, ids=names)
def test_off_policy_learners_find_the_optimal_values(learner, key):
    mdp = small_grid()
    star = q_value_iteration(mdp).action_values
    config = ControlConfig(num_steps=3_000, step_size=one_over_n(0.75), epsilon=0.5, initial_q=5.0)
    result = learner(mdp, config, num_runs=200, **key, **QUIET)
    assert (result.q - star).abs().mean() < 0.05
    low, high = mean_interval(result.q.flatten(1), 0.999)
    star = star.flatten().numpy()
    assert ((low - 0.05 < star) & (star < high + 0.05)).all()


@pytest.mark.parametrize(("learner", "key"), ON_POLICY, ids=names)
def test_on_policy_learners_find_the_values_of_the_best_exploring_policy(learner, key):
    mdp, epsilon = small_grid(), 0.3
    soft = policy_iteration(epsilon_soft_model(mdp, epsilon)).values
    exact = action_values(mdp, soft)
    config = ControlConfig(
        num_steps=3_000, step_size=one_over_n(0.75), epsilon=epsilon, initial_q=5.0
    )
    result = learner(mdp, config, num_runs=200, **key, **QUIET)
    often = result.visits.mean(0) > 50
    assert (result.q.mean(0) - exact)[often].abs().max() < 0.15
    assert often.sum() >= 10


def test_sarsa_and_q_learning_differ_where_exploring_costs():
    task = tabular_task("CliffWalking-v1", discount=1.0)
    config = ControlConfig(num_episodes=250, step_size=0.5)
    on, off = (learner(task, config, num_runs=20, **QUIET) for learner in (sarsa, q_learning))
    online = [result.returns[:, 100:].mean() for result in (on, off)]
    assert -32 < online[0] < -20 and -60 < online[1] < -40
    assert (greedy_returns(task, off.q) == -13).all()
