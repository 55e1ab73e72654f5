"""Evaluations count the first episode of each environment, and report those that they cut."""

from test_rollouts import Counters

from rlbook.deep.parts.results import evaluate


def greedy(observations):
    return observations[..., 0]


class Limited(Counters):
    max_episode_steps = None


def test_the_first_episodes_count_and_no_other():
    envs = Limited([[2.0, 5.0], [3.0, 1.0]])
    result = evaluate(greedy, envs, step_cap=40)
    assert result.returns.tolist() == [[1 + 2, 15], [1 + 2 + 3, 1]]
    assert not result.cut.any()


def test_an_episode_that_does_not_end_is_cut_and_reported():
    envs = Limited([[2.0, 50.0]])
    result = evaluate(greedy, envs, step_cap=10)
    assert result.returns.tolist() == [[3.0, 55.0]]
    assert result.cut.tolist() == [[False, True]]


def test_the_time_limit_is_the_cap_by_default():
    envs = Limited([[2.0, 50.0]])
    envs.max_episode_steps = 4
    assert evaluate(greedy, envs).returns.tolist() == [[3.0, 10.0]]
