"""Part I: a known model, what its policies are worth, and how to find the best one."""

from rlbook.planning.bellman import (
    action_values,
    bellman_expectation_backup,
    bellman_optimality_backup,
    discounted_visitation,
    greedy_actions,
    policy_values,
)
from rlbook.planning.blackjack import HIT, STICK, blackjack_mdp, on_table, state_index
from rlbook.planning.car_rental import MAX_MOVES, capped_poisson, car_rental, location
from rlbook.planning.dynamic_programming import (
    Solution,
    asynchronous_value_iteration,
    modified_policy_iteration,
    policy_evaluation,
    policy_iteration,
    q_value_iteration,
    value_iteration,
)
from rlbook.planning.epsilon_soft import epsilon_soft_model, epsilon_soft_policy
from rlbook.planning.exact_gradients import (
    discounted_visits,
    policy_objective,
    softmax_policy_gradient,
)
from rlbook.planning.features import on_policy_distribution, tile_features
from rlbook.planning.grids import GridWorld
from rlbook.planning.mazes import random_maze
from rlbook.planning.mdp import MDP
from rlbook.planning.sampling import sample_starts, sample_trajectories, sample_transitions
from rlbook.planning.trajectories import all_trajectories

__all__ = [
    "GridWorld",
    "HIT",
    "MAX_MOVES",
    "MDP",
    "STICK",
    "Solution",
    "action_values",
    "all_trajectories",
    "asynchronous_value_iteration",
    "bellman_expectation_backup",
    "bellman_optimality_backup",
    "blackjack_mdp",
    "capped_poisson",
    "car_rental",
    "discounted_visitation",
    "discounted_visits",
    "epsilon_soft_model",
    "epsilon_soft_policy",
    "greedy_actions",
    "location",
    "modified_policy_iteration",
    "on_policy_distribution",
    "on_table",
    "policy_evaluation",
    "policy_iteration",
    "policy_objective",
    "policy_values",
    "q_value_iteration",
    "random_maze",
    "sample_starts",
    "sample_trajectories",
    "sample_transitions",
    "softmax_policy_gradient",
    "state_index",
    "tile_features",
    "value_iteration",
]
