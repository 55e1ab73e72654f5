"""TD, n-step TD, TD(lambda), batch methods: against plain loops, exact values, and each other."""

import math

import pytest
import torch

from rlbook.planning.dynamic_programming import policy_evaluation
from rlbook.planning.grids import GridWorld
from rlbook.planning.mdp import MDP
from rlbook.tabular import (
    batch_monte_carlo,
    batch_td,
    certainty_equivalence,
    constant_alpha_monte_carlo,
    count_transitions,
    n_step_td,
    offline_lambda_return,
    td_lambda,
    td_zero,
)
from rlbook.tabular.episodes import Episodes, record_episodes
from rlbook.tabular.examples import maximisation_bias, predictor, random_walk
from rlbook.tabular.tasks import TabularTask
from rlbook.tabular.td_prediction import Rows

ONLY = torch.zeros(7, dtype=torch.int64)  # the walk has one action
LEARNERS = [
    (td_zero, {}),
    (constant_alpha_monte_carlo, {}),
    (n_step_td, {"n": 3}),
    (td_lambda, {"lambda_": 0.8}),
    (td_lambda, {"lambda_": 0.8, "traces": "replacing"}),
    (td_lambda, {"lambda_": 0.8, "online": False}),
    (offline_lambda_return, {"lambda_": 0.8}),
    (offline_lambda_return, {"lambda_": 0.8, "in_order": False}),
]


def names(parameter):
    return getattr(parameter, "__name__", None) or str(parameter)


def walk(discount: float = 0.9, limit: int | None = None) -> TabularTask:
    """The walk with a discount, and a time limit that cuts some of its episodes."""
    mdp = random_walk(left_reward=-0.5)
    rows = (mdp.kernel.next_states, mdp.kernel.probabilities)
    rows = [x.permute(2, 0, 1) for x in rows]
    model = MDP.from_successors(
        rows[0].long(), rows[1], mdp.successor_reward, discount=discount, start=mdp.start,
        terminal=mdp.terminal,
    )  # fmt: skip
    return TabularTask(model, limit)


def plain(rule, task, episodes, alpha, initial, n=1, lambda_=0.0):
    """The algorithms' boxes in Sutton & Barto, one run, one step after another."""
    discount, V = task.mdp.discount, [initial] * task.mdp.num_states
    for e in range(episodes.states.shape[1]):
        T = int(episodes.lengths()[0, e])
        s, s2 = episodes.states[0, e].tolist(), episodes.next_states[0, e].tolist()
        r, end = episodes.rewards[0, e].tolist(), bool(episodes.terminated[0, e, T - 1])

        def ahead(t, s2=s2, T=T, end=end, V=V):
            """V of the state after step t."""
            return 0.0 if t == T - 1 and end else V[s2[t]]

        if rule == "n_step":
            for t in range(T):
                last = min(t + n, T) - 1
                G = sum(discount ** (k - t) * r[k] for k in range(t, last + 1))
                G += discount ** (last - t + 1) * ahead(last)
                V[s[t]] += alpha * (G - V[s[t]])
        elif rule in ("accumulating", "replacing"):
            z = [0.0] * len(V)
            for t in range(T):
                error = r[t] + discount * ahead(t) - V[s[t]]
                z = [discount * lambda_ * x for x in z]
                z[s[t]] = 1.0 if rule == "replacing" else z[s[t]] + 1
                for state in range(len(V)):
                    V[state] += alpha * error * z[state]
        else:
            G, targets = ahead(T - 1), []
            for t in reversed(range(T)):
                G = r[t] + discount * ((1 - lambda_) * ahead(t) + lambda_ * G)
                targets.insert(0, G)
            for t in range(T):
                V[s[t]] += alpha * (targets[t] - V[s[t]])
    return torch.tensor(V, dtype=torch.float64).masked_fill(task.mdp.terminal, 0.0)


# --- the algorithms, against plain loops


@pytest.mark.parametrize("limit", [None, 5])
@pytest.mark.parametrize(
    ("learner", "key", "rule"),
    [
        (td_zero, {}, {"rule": "n_step", "n": 1}),
        (n_step_td, {"n": 2}, {"rule": "n_step", "n": 2}),
        (n_step_td, {"n": 5}, {"rule": "n_step", "n": 5}),
        (n_step_td, {"n": 500}, {"rule": "n_step", "n": 500}),
        (constant_alpha_monte_carlo, {}, {"rule": "n_step", "n": 1000}),
        (td_lambda, {"lambda_": 0.7}, {"rule": "accumulating", "lambda_": 0.7}),
        (
            td_lambda,
            {"lambda_": 0.7, "traces": "replacing"},
            {"rule": "replacing", "lambda_": 0.7},
        ),
        (offline_lambda_return, {"lambda_": 0.7}, {"rule": "forward", "lambda_": 0.7}),
    ],
    ids=names,
)
def test_a_plain_loop(learner, key, rule, limit):
    task = walk(limit=limit)
    record = record_episodes(task, ONLY, num_episodes=12, num_runs=3, seed=1)
    if limit:
        assert record.truncated.any() and record.terminated[record.truncated].any()
    ours = learner(task, record, step_size=0.3, initial_values=2.0, **key)
    for run in range(3):
        one = Episodes(*(x[run : run + 1] for x in record))
        expected = plain(task=task, episodes=one, alpha=0.3, initial=2.0, **rule)
        torch.testing.assert_close(ours.values[run], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("learner", "key", "rule"),
    [
        (n_step_td, {"n": 2}, {"rule": "n_step", "n": 2}),
        (td_lambda, {"lambda_": 0.7}, {"rule": "accumulating", "lambda_": 0.7}),
        (offline_lambda_return, {"lambda_": 0.7}, {"rule": "forward", "lambda_": 0.7}),
    ],
    ids=names,
)
def test_a_plain_loop_where_the_padding_names_a_real_state(learner, key, rule):
    task = TabularTask(GridWorld.from_text("S.\n.G", slip=0.4).mdp(discount=0.9))
    policy = torch.full((4, 4), 0.25, dtype=torch.float64)
    record = record_episodes(task, policy, num_episodes=6, num_runs=4, seed=1)
    assert not task.mdp.terminal[record.states[~record.mask]].any()
    ours = learner(task, record, step_size=0.3, initial_values=2.0, **key)
    for run in range(4):
        one = Episodes(*(x[run : run + 1] for x in record))
        expected = plain(task=task, episodes=one, alpha=0.3, initial=2.0, **rule)
        torch.testing.assert_close(ours.values[run], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("limit", [None, 5])
@pytest.mark.parametrize("lambda_", [0.0, 0.4, 0.9, 1.0])
def test_forward_view_is_backward_view_offline(lambda_, limit):
    task = walk(limit=limit)
    record = record_episodes(task, ONLY, num_episodes=10, num_runs=20, seed=2)
    settings = {"step_size": 0.05, "initial_values": 0.5, "lambda_": lambda_}
    backward = td_lambda(task, record, online=False, **settings).history
    forward = offline_lambda_return(task, record, in_order=False, **settings).history
    torch.testing.assert_close(backward, forward, atol=1e-10, rtol=0)
    replacing = td_lambda(task, record, online=False, traces="replacing", **settings).history
    assert lambda_ == 0 or (replacing - forward).abs().max() > 1e-3


@pytest.mark.parametrize("traces", ["accumulating", "replacing"])
def test_lambda_0_is_td_0(traces):
    task = walk()
    record = record_episodes(task, ONLY, num_episodes=10, num_runs=4)
    one = td_lambda(task, record, lambda_=0.0, traces=traces).history
    torch.testing.assert_close(one, td_zero(task, record).history, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("learner", "key"), LEARNERS, ids=names)
def test_run_k_of_ten_is_run_k_alone(learner, key):
    task = walk()
    ten = record_episodes(task, ONLY, num_episodes=8, num_runs=10, seed=5)
    alone = record_episodes(task, ONLY, num_episodes=8, run_ids=[7], seed=5)
    T = alone.states.shape[-1]
    for theirs, own in zip(ten, alone, strict=True):
        assert torch.equal(theirs[7:8, :, :T], own)
    assert not ten.mask[7, :, T:].any()
    expected = learner(task, alone, **key).history
    assert torch.equal(learner(task, ten, **key).history[7:8], expected)


@pytest.mark.parametrize(("learner", "key"), LEARNERS, ids=names)
def test_the_values_of_dynamic_programming(learner, key):
    """The mean of 200 runs after 50 episodes: within 0.04 of the exact values, -0.3 to 0.7."""
    task = walk()
    exact = policy_evaluation(task.mdp, ONLY).values
    record = record_episodes(task, ONLY, num_episodes=50, num_runs=200, seed=0)
    values = learner(task, record, step_size=0.1, **key).values
    assert (values.mean(0) - exact).abs().max() < 0.04
    assert (values[:, task.mdp.terminal] == 0).all()


@pytest.mark.parametrize(("learner", "key"), LEARNERS, ids=names)
def test_a_sweep_over_step_sizes_is_one_call(learner, key):
    task = walk()
    record = record_episodes(task, ONLY, num_episodes=5, num_runs=3)
    sizes = torch.tensor([0.1, 0.4])
    both = learner(task, record, step_size=sizes[:, None], **key)
    assert both.values.shape == (2, 3, 7) and both.history.shape == (2, 3, 6, 7)
    for k, alpha in enumerate((0.1, 0.4)):
        single = learner(task, record, step_size=alpha, **key).history
        torch.testing.assert_close(both.history[k], single, atol=1e-7, rtol=0)
    assert (both.history[..., 0, :] == 0).all()


# --- batches


def test_you_are_the_predictor():
    mdp, record = predictor()
    torch.testing.assert_close(
        certainty_equivalence(mdp, record)[0, -1], torch.tensor([0.75, 0.75, 0.0]).double()
    )
    torch.testing.assert_close(
        batch_td(mdp, record)[0], torch.tensor([0.75, 0.75, 0.0]).double(), atol=1e-6, rtol=0
    )
    assert batch_monte_carlo(mdp, record)[0, -1].tolist() == [0.0, 0.75, 0.0]
    exact = policy_evaluation(mdp, torch.zeros(3, dtype=torch.int64)).values
    torch.testing.assert_close(exact, certainty_equivalence(mdp, record)[0, -1])


@pytest.mark.parametrize("limit", [None, 5])
def test_batch_td_is_certainty_equivalence(limit):
    task = walk(limit=limit)
    record = record_episodes(task, ONLY, num_episodes=15, num_runs=20, seed=3)
    exact = certainty_equivalence(task, record, initial_values=0.5)
    batch = batch_td(task, record, initial_values=0.5, tolerance=1e-12)
    torch.testing.assert_close(batch, exact[:, -1], atol=1e-8, rtol=0)
    first_four = Episodes(*(x[:, :4] for x in record))
    torch.testing.assert_close(certainty_equivalence(task, first_four, initial_values=0.5),
                               exact[:, :4])  # fmt: skip


def test_batch_td_is_where_presenting_the_episodes_again_and_again_ends():
    task = walk()
    record = record_episodes(task, ONLY, num_episodes=6, num_runs=2, seed=4)
    again = Episodes(*(x.repeat(1, 100, 1) for x in record))
    slow = td_lambda(task, again, lambda_=0.0, online=False, step_size=0.05).values
    torch.testing.assert_close(slow, batch_td(task, record), atol=5e-2, rtol=0)


def test_batch_monte_carlo_is_the_mean_of_the_returns():
    task = walk()
    record = record_episodes(task, ONLY, num_episodes=9, num_runs=2, seed=6)
    ours = batch_monte_carlo(task, record, initial_values=0.5)
    for run in range(2):
        returns: dict[int, list[float]] = {}
        for e in range(9):
            G, T = 0.0, int(record.lengths()[run, e])
            for t in reversed(range(T)):
                G = float(record.rewards[run, e, t]) + 0.9 * G
                returns.setdefault(int(record.states[run, e, t]), []).append(G)
        for s in range(1, 6):
            expected = sum(returns[s]) / len(returns[s]) if s in returns else 0.5
            assert math.isclose(float(ours[run, -1, s]), expected, abs_tol=1e-12)


def test_counts_leave_out_the_padding_and_the_ends():
    mdp, record = predictor()
    counts = count_transitions(mdp, record)
    assert counts.visits[0, -1].tolist() == [1, 8, 0]
    assert counts.moves[0, -1].sum() == 1 and counts.moves[0, -1, 0, 1] == 1
    assert counts.rewards[0].sum(-1).tolist() == [0, 1, 2, 3, 4, 5, 6, 6]


# --- the record


def test_a_record_follows_the_model_and_the_policy():
    mdp = GridWorld.from_text("S..\n..G", slip=0.2).mdp(discount=0.9)
    generator = torch.Generator().manual_seed(0)
    policy = torch.rand(6, 4, generator=generator, dtype=torch.float64)
    policy /= policy.sum(1, keepdim=True)
    record = record_episodes(mdp, policy, num_episodes=3_000, num_runs=2)
    pairs = (record.states * 4 + record.actions)[record.mask]
    after = record.next_states[record.mask]
    counts = torch.bincount(pairs * 6 + after, minlength=144).view(6, 4, 6).double()
    live = ~mdp.terminal
    chosen = counts.sum(-1)[live]
    torch.testing.assert_close(
        chosen / chosen.sum(1, keepdim=True), policy[live], atol=0.03, rtol=0
    )
    moves = counts[live] / counts[live].sum(-1, keepdim=True)
    torch.testing.assert_close(moves, mdp.transition[live], atol=0.06, rtol=0)
    within = record.mask[..., 1:]
    assert (record.states[..., 1:] == record.next_states[..., :-1])[within].all()
    assert (record.states[..., 0] == 0).all() and record.mask[..., 0].all()
    assert not record.rewards[~record.mask].any() and record.terminated[~record.mask].all()
    assert torch.equal(record.lengths(), (record.terminated & record.mask).long().argmax(-1) + 1)


def test_one_policy_for_each_run_and_exploring_starts():
    mdp = GridWorld.from_text("S.\n.G").mdp(discount=0.9)
    always = torch.eye(4, dtype=torch.float64)[[1, 2]].unsqueeze(1).expand(2, 4, 4)
    starts = torch.zeros(4, 4)
    starts[2, 3] = starts[1, 0] = 0.5
    record = record_episodes(
        mdp, always, num_episodes=400, num_runs=2, start_pairs=starts, max_steps=5
    )
    first = record.states[..., 0] * 4 + record.actions[..., 0]
    assert set(first.unique().tolist()) == {4, 11}
    assert abs(float((first == 4).double().mean()) - 0.5) < 0.1
    for run, action in enumerate((1, 2)):
        later = record.actions[run, :, 1:][record.mask[run, :, 1:]]
        assert (later == action).all() and len(later)


def test_a_limit_cuts_and_the_last_step_may_be_both():
    record = record_episodes(walk(), ONLY, num_episodes=200, num_runs=2, max_steps=3)
    assert record.states.shape[-1] == 3
    assert record.truncated[..., 2][record.mask[..., 2]].all()
    assert (record.terminated & record.truncated & record.mask).any()
    assert (~record.terminated & record.truncated & record.mask).any()


def test_noise_on_rewards_is_recorded():
    task = maximisation_bias()
    left = torch.tensor([1, 4, 0])
    rewards = record_episodes(task, left, num_episodes=5_000, num_runs=1).rewards
    assert (rewards[..., 0] == 0).all()
    assert abs(float(rewards[..., 1].mean()) + 0.1) < 0.06
    assert abs(float(rewards[..., 1].std()) - 1) < 0.05


def test_an_interruption_hands_back_what_there_is(monkeypatch):
    task, calls = walk(), []
    record = record_episodes(task, ONLY, num_episodes=9, num_runs=3)
    whole = td_zero(task, record).history
    move = Rows.move

    def interrupted(self, *arguments):
        calls.append(len(self.history))
        if calls[-1] == 5:
            raise KeyboardInterrupt
        move(self, *arguments)

    monkeypatch.setattr(Rows, "move", interrupted)
    result = td_zero(task, record, progress=False)
    assert result.interrupted and torch.equal(result.history, whole[:, :5])
    monkeypatch.undo()
    assert not td_zero(task, record).interrupted


# --- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t, r: td_zero(t, r, step_size=1.2), "step_size must be in"),
        (lambda t, r: td_zero(t, r, step_size=torch.zeros(4)), "step_size must be a number or"),
        (lambda t, r: n_step_td(t, r, n=0), "n must be at least 1"),
        (lambda t, r: td_lambda(t, r, lambda_=-0.1), "lambda_ must be in"),
        (lambda t, r: td_lambda(t, r, lambda_=0.5, traces="dutch"), "traces must be one of"),
        (lambda t, r: offline_lambda_return(t, r, lambda_=2), "lambda_ must be in"),
        (lambda t, r: batch_td(t, r, step_size=2.0), "step_size must be in"),
        (lambda t, r: record_episodes(t, ONLY, num_episodes=0, num_runs=1), "num_episodes"),
        (lambda t, r: record_episodes(t, ONLY, num_episodes=1), "num_runs and run_ids"),
        (lambda t, r: record_episodes(t, ONLY, num_episodes=10**9, num_runs=5), "would hold"),
        (lambda t, r: record_episodes(t, ONLY[:3], num_episodes=1, num_runs=1), "policy"),
        (
            lambda t, r: record_episodes(
                t, ONLY, num_episodes=1, num_runs=1, start_pairs=torch.ones(2, 2)
            ),
            "start_pairs",
        ),
    ],
)
def test_bad_arguments(call, message):
    task = walk()
    record = record_episodes(task, ONLY, num_episodes=2, num_runs=3)
    with pytest.raises(ValueError, match=message):
        call(task, record)


def test_a_cut_episode_has_no_monte_carlo_return():
    task = walk(limit=3)
    record = record_episodes(task, ONLY, num_episodes=9, num_runs=2)
    with pytest.raises(ValueError, match="needs next_values"):
        batch_monte_carlo(task, record)


def test_a_policy_that_never_ends_needs_a_limit(monkeypatch):
    monkeypatch.setattr("rlbook.tabular.episodes.ENDLESS", 1_000)
    wall = GridWorld.from_text("S.\n.G").mdp(discount=0.9)
    up = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="has not ended in 1,000 steps; give max_steps"):
        record_episodes(wall, up, num_episodes=1, num_runs=1)
    record = record_episodes(wall, up, num_episodes=1, num_runs=1, max_steps=4)
    assert record.truncated[0, 0].tolist() == [False, False, False, True]
