"""Learning without a model, in tables, R runs at once: chapters 07 to 10."""

from rlbook.tabular.control import ControlConfig, ControlResult
from rlbook.tabular.evaluation import Evaluation, evaluate_policies, greedy_returns
from rlbook.tabular.multi_step_control import n_step_sarsa, sarsa_lambda
from rlbook.tabular.q_learning import double_q_learning, q_learning
from rlbook.tabular.sarsa import expected_sarsa, expected_value, sarsa

__all__ = [
    "ControlConfig",
    "ControlResult",
    "Evaluation",
    "double_q_learning",
    "evaluate_policies",
    "expected_sarsa",
    "expected_value",
    "greedy_returns",
    "n_step_sarsa",
    "q_learning",
    "sarsa",
    "sarsa_lambda",
]
