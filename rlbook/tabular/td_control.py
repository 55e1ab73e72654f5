"""Q-learning and double Q-learning, R runs at once.

Both take the keyword arguments of `rlbook.tabular.control.ControlConfig`: num_runs or run_ids,
num_steps or num_episodes, step_size, epsilon, initial_q, seed, evaluate_every.
"""

from contextlib import suppress

from rlbook.mdp import MDP
from rlbook.returns import td_targets
from rlbook.tabular.control import ControlConfig, ControlLoop, ControlResult
from rlbook.tabular_tasks import TabularTask


def q_learning(task: MDP | TabularTask, **config) -> ControlResult:
    """Q(s, a) <- Q(s, a) + alpha [r + discount max_a' Q(s', a') - Q(s, a)]. Eq. (9.2).

    Source: Watkins 1989; Sutton & Barto (2018), section 6.5.
    """
    loop = ControlLoop(task, ControlConfig(**config))
    q = loop.table()
    with suppress(KeyboardInterrupt):
        for step in loop.steps(q):
            best = q.rows(step.next_states).amax(0)
            target = td_targets(step.rewards, best, step.terminated, discount=loop.discount)
            q.move(step.pairs, step.alpha, target)
    return loop.result(q.tensor())


def double_q_learning(task: MDP | TabularTask, **config) -> ControlResult:
    """Q1(s, a) <- Q1(s, a) + alpha [r + discount Q2(s', argmax_a' Q1(s', a')) - Q1(s, a)].
    Eq. (9.12).

    A coin decides in each step whether Q1 or Q2 is updated, with the other's value. The
    behaviour is epsilon-greedy in their mean, which is the result's `q`. A step size of N(s, a)
    counts the updates of each table by itself.

    Source: van Hasselt 2010, "Double Q-learning"; Sutton & Barto (2018), section 6.7.
    """
    loop = ControlLoop(task, ControlConfig(**config), extra_noise=1)
    mean = loop.table()
    tables = (loop.table(), loop.counts()), (loop.table(), loop.counts())
    with suppress(KeyboardInterrupt):
        for step in loop.steps(mean):
            heads = step.noise[0] < 0.5
            for (own, counts), (other, _), turn in (
                (*tables, heads),
                (*reversed(tables), ~heads),
            ):
                best = own.rows(step.next_states).argmax(0)
                value = other.of(step.next_states, best)
                target = td_targets(step.rewards, value, step.terminated, discount=loop.discount)
                own.move(step.pairs, loop.alpha(counts, step.pairs, turn), target)
            mean.flat[step.pairs] = sum(table.flat[step.pairs] for table, _ in tables) / 2
    return loop.result(mean.tensor())
