"""The formulas of the book: one equation, one pure function, which samples nothing."""

from rlbook.formulas.divergences import (
    adapt_kl_coef,
    answer_kl_estimate,
    kl_categorical,
    kl_estimate,
    kl_gaussian,
    kl_regularized_optimum,
    proportional_kl_coef,
)
from rlbook.formulas.exploration import epsilon_greedy_policy, greedy_policy
from rlbook.formulas.group_advantages import (
    aggregate_token_losses,
    leave_one_out_advantages,
    outcome_advantages,
    process_advantages,
)
from rlbook.formulas.policy_gradients import (
    clipped_surrogate_loss,
    entropy_bonus,
    policy_gradient_loss,
    surrogate,
)
from rlbook.formulas.preferences import (
    bayes_accuracy,
    bradley_terry_loss,
    dpo_loss,
    fit_bradley_terry,
    outcome_probabilities,
    preference_information,
    preference_probability,
    ranking_log_prob,
    ranking_pairs,
)
from rlbook.formulas.returns import (
    discounted_returns,
    discounted_sums,
    generalized_advantage_estimate,
    lambda_returns,
    n_step_returns,
    td_errors,
    td_targets,
)
from rlbook.formulas.token_rewards import token_advantages, token_rewards
from rlbook.formulas.trust_region import (
    backtracking_line_search,
    conjugate_gradient,
    fisher_operator,
    fisher_vector_product,
    natural_gradient_step,
)

__all__ = [
    "adapt_kl_coef",
    "aggregate_token_losses",
    "answer_kl_estimate",
    "backtracking_line_search",
    "bayes_accuracy",
    "bradley_terry_loss",
    "clipped_surrogate_loss",
    "conjugate_gradient",
    "discounted_returns",
    "discounted_sums",
    "dpo_loss",
    "entropy_bonus",
    "epsilon_greedy_policy",
    "fisher_operator",
    "fisher_vector_product",
    "fit_bradley_terry",
    "generalized_advantage_estimate",
    "greedy_policy",
    "kl_categorical",
    "kl_estimate",
    "kl_gaussian",
    "kl_regularized_optimum",
    "lambda_returns",
    "leave_one_out_advantages",
    "n_step_returns",
    "natural_gradient_step",
    "outcome_advantages",
    "outcome_probabilities",
    "policy_gradient_loss",
    "preference_information",
    "preference_probability",
    "process_advantages",
    "proportional_kl_coef",
    "ranking_log_prob",
    "ranking_pairs",
    "surrogate",
    "td_errors",
    "td_targets",
    "token_advantages",
    "token_rewards",
]
