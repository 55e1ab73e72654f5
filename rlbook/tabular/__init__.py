"""Part II: learning without a model, in tables, R runs at once. Chapters 07 to 10.

Every learner takes an MDP, or what `tabular_task` makes of a Gymnasium environment: with its model
(`tabular_task("Taxi-v4", discount=0.99)`, millions of steps a second), or without one
(`tabular_task("Blackjack-v1", discount=1.0, model=False)`, or a class of your own).
"""

from rlbook.tabular.bandits import (
    BanditResult,
    epsilon_greedy_bandit,
    incremental_mean,
    ucb_bandit,
    upper_confidence_bounds,
)
from rlbook.tabular.batch import (
    batch_monte_carlo,
    batch_td,
    certainty_equivalence,
    count_transitions,
)
from rlbook.tabular.control_loop import (
    ControlConfig,
    ControlLoop,
    ControlResult,
    epsilon_greedy_actions,
)
from rlbook.tabular.env_tasks import EnvTask
from rlbook.tabular.episodes import Episodes, Recorder, record_episodes
from rlbook.tabular.evaluation import (
    ExactEvaluation,
    evaluate_policies,
    greedy_returns,
    sampled_returns,
)
from rlbook.tabular.examples import long_walk, maximisation_bias, predictor, random_walk
from rlbook.tabular.monte_carlo import (
    MonteCarloConfig,
    MonteCarloControl,
    MonteCarloValues,
    first_visits,
    monte_carlo_control,
    monte_carlo_prediction,
    monte_carlo_sums,
    return_sums,
)
from rlbook.tabular.schedules import linear, one_over_k, one_over_n
from rlbook.tabular.tasks import TabularTask, tabular_task
from rlbook.tabular.td_control import (
    double_q_learning,
    expected_sarsa,
    expected_value,
    n_step_sarsa,
    q_learning,
    sarsa,
    sarsa_lambda,
)
from rlbook.tabular.td_prediction import (
    Prediction,
    constant_alpha_monte_carlo,
    n_step_td,
    offline_lambda_return,
    td_lambda,
    td_zero,
)
from rlbook.tabular.worlds import RunNoise

__all__ = [
    "BanditResult",
    "ControlConfig",
    "ControlLoop",
    "ControlResult",
    "EnvTask",
    "Episodes",
    "ExactEvaluation",
    "MonteCarloConfig",
    "MonteCarloControl",
    "MonteCarloValues",
    "Prediction",
    "Recorder",
    "RunNoise",
    "TabularTask",
    "batch_monte_carlo",
    "batch_td",
    "certainty_equivalence",
    "constant_alpha_monte_carlo",
    "count_transitions",
    "double_q_learning",
    "epsilon_greedy_actions",
    "epsilon_greedy_bandit",
    "evaluate_policies",
    "expected_sarsa",
    "expected_value",
    "first_visits",
    "greedy_returns",
    "incremental_mean",
    "linear",
    "long_walk",
    "maximisation_bias",
    "monte_carlo_control",
    "monte_carlo_prediction",
    "monte_carlo_sums",
    "n_step_sarsa",
    "n_step_td",
    "offline_lambda_return",
    "one_over_k",
    "one_over_n",
    "predictor",
    "q_learning",
    "random_walk",
    "record_episodes",
    "return_sums",
    "sampled_returns",
    "sarsa",
    "sarsa_lambda",
    "tabular_task",
    "td_lambda",
    "td_zero",
    "ucb_bandit",
    "upper_confidence_bounds",
]
