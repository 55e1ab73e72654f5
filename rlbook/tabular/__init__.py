"""Learning without a model, in tables, R runs at once: chapters 07 to 10."""

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
from rlbook.tabular.control import ControlConfig, ControlResult
from rlbook.tabular.evaluation import Evaluation, evaluate_policies, greedy_returns
from rlbook.tabular.monte_carlo import (
    MonteCarloControl,
    MonteCarloValues,
    first_visits,
    monte_carlo_control,
    monte_carlo_prediction,
    monte_carlo_sums,
    return_sums,
)
from rlbook.tabular.multi_step_control import n_step_sarsa, sarsa_lambda
from rlbook.tabular.prediction import (
    Prediction,
    constant_alpha_monte_carlo,
    n_step_td,
    td_zero,
)
from rlbook.tabular.q_learning import double_q_learning, q_learning
from rlbook.tabular.sarsa import expected_sarsa, expected_value, sarsa
from rlbook.tabular.traces import offline_lambda_return, td_lambda

__all__ = [
    "BanditResult",
    "ControlConfig",
    "ControlResult",
    "Evaluation",
    "MonteCarloControl",
    "MonteCarloValues",
    "Prediction",
    "batch_monte_carlo",
    "batch_td",
    "certainty_equivalence",
    "constant_alpha_monte_carlo",
    "count_transitions",
    "double_q_learning",
    "epsilon_greedy_bandit",
    "evaluate_policies",
    "expected_sarsa",
    "expected_value",
    "first_visits",
    "greedy_returns",
    "incremental_mean",
    "monte_carlo_control",
    "monte_carlo_prediction",
    "monte_carlo_sums",
    "n_step_sarsa",
    "n_step_td",
    "offline_lambda_return",
    "q_learning",
    "return_sums",
    "sarsa",
    "sarsa_lambda",
    "td_lambda",
    "td_zero",
    "ucb_bandit",
    "upper_confidence_bounds",
]
