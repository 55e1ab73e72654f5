"""Mutants of what chapters 11 to 20 add."""

from mutants_actor_critic import ACTOR_CRITIC
from mutants_dqn import DQN
from mutants_envs import ENVS
from mutants_keeping import KEEPING
from mutants_language_grpo import GRPO
from mutants_language_grpo import MODULES as GRPO_MODULES
from mutants_language_preferences import MODULES as PREFERENCE_MODULES
from mutants_language_preferences import PREFERENCES
from mutants_language_rlhf import MODULES as RLHF_MODULES
from mutants_language_rlhf import RLHF
from mutants_language_sampling import LANGUAGE_SAMPLING
from mutants_language_sampling import MODULES as SAMPLING_MODULES
from mutants_language_tasks import LANGUAGE_TASKS
from mutants_language_tasks import MODULES as TASK_MODULES
from mutants_networks import NETWORKS
from mutants_policy_gradient import MODULES as POLICY_GRADIENT_MODULES
from mutants_policy_gradient import POLICY_GRADIENT
from mutants_ppo import PPO
from mutants_reinforce import MODULES as REINFORCE_MODULES
from mutants_reinforce import REINFORCE
from mutants_reports import REPORTS
from mutants_solvable import MODULES as SOLVABLE_MODULES
from mutants_solvable import SOLVABLE
from mutants_training import TRAINING
from mutation import Mutant

TRUST_REGION = [
    Mutant(
        "formulas.policy_gradients",
        "(log_probs - old_log_probs.detach()).exp() * advantages",
        "(old_log_probs.detach() - log_probs).exp() * advantages",
        "the ratio upside down",
        within="surrogate",
        chapters=("15",),
        tests="test_trust_region.py",
    ),
    Mutant(
        "formulas.policy_gradients",
        "old_log_probs.detach()",
        "log_probs",
        "the live policy in the denominator: ratio 1, no gradient",
        within="surrogate",
        chapters=("15",),
        tests="test_trust_region.py",
    ),
    Mutant(
        "deep.parts.policies",
        "kl_categorical(old, new",
        "kl_categorical(new, old",
        "KL(new || old)",
        within="CategoricalPolicy.kl",
    ),
    Mutant(
        "deep.parts.policies",
        "kl_gaussian(*old, *new)",
        "kl_gaussian(*new, *old)",
        "KL(new || old) of Gaussians",
        within="GaussianPolicy.kl",
    ),
    Mutant(
        "deep.trpo",
        "policy.kl(old, policy.parameters_of(observations))",
        "policy.kl(policy.parameters_of(observations), old)",
        "KL(new || old)",
        within="mean_kl",
        tests="test_trpo.py",
    ),
    Mutant(
        "deep.trpo",
        "policy.kl(old, new)",
        "policy.kl(new, old)",
        "the line search measures KL(new || old)",
        within="update_policy",
        tests="test_trpo.py",
    ),
    Mutant(
        "deep.trpo",
        "gradient = torch.where(usable[:, None], gradient, 0.0)",
        "gradient = gradient.nan_to_num()",
        "runs that rest are moved",
        within="update_policy",
        tests="test_trpo.py",
    ),
    Mutant(
        "formulas.trust_region",
        "x.flatten(1) if x.ndim > 1 else x[:, None]",
        "x.flatten(1).flip(1) if x.ndim > 1 else x[:, None]",
        "the numbers of a tensor in another order",
        within="flatten_per_run",
    ),
    Mutant(
        "formulas.trust_region",
        "vector.split(sizes, dim=1)",
        "vector.roll(1, 0).split(sizes, dim=1)",
        "a run gets its neighbour's numbers",
        within="unflatten_per_run",
    ),
    Mutant(
        "formulas.trust_region",
        "+ damping * vector",
        "+ damping * vector.norm(dim=1, keepdim=True)",
        "damping along another direction",
        stands_for=("fisher_operator", "fisher_vector_product"),
    ),
    Mutant(
        "formulas.trust_region",
        "inner = (gradient * vector).sum()",
        "inner = (gradient * gradient * vector).sum()",
        "the gradient twice: zero where old = new",
        stands_for=("fisher_operator", "fisher_vector_product"),
        chapters=("15",),
    ),
    Mutant(
        "formulas.trust_region",
        "return (x * y).sum(dim=1, keepdim=True)",
        "return (x * y).sum(dim=1, keepdim=True).mean(dim=0, keepdim=True).expand(len(x), 1)",
        "one dot product for all runs",
        chapters=("15",),
    ),
    Mutant(
        "formulas.trust_region",
        "active = squared > enough",
        "active = (squared > enough).any() & (squared == squared)",
        "a run that is done goes on with the others",
        within="conjugate_gradient",
    ),
    Mutant(
        "formulas.trust_region",
        "residual - size * product",
        "residual + size * product",
        "the residual with the wrong sign",
        within="conjugate_gradient",
        chapters=("15",),
    ),
    Mutant(
        "formulas.trust_region",
        "squared / before * direction",
        "before / squared * direction",
        "the new direction's weight upside down",
        within="conjugate_gradient",
        chapters=("15",),
    ),
    Mutant(
        "formulas.trust_region",
        "residual + squared / before * direction",
        "residual",
        "steepest descent",
        within="conjugate_gradient",
        chapters=("15",),
    ),
    Mutant(
        "formulas.trust_region",
        "enough = tolerance * squared",
        "enough = tolerance",
        "an absolute tolerance",
        within="conjugate_gradient",
    ),
    Mutant(
        "formulas.trust_region",
        "active &= curvature > 0",
        "active &= curvature == curvature",
        "along a negative curvature",
        within="conjugate_gradient",
    ),
    Mutant(
        "formulas.trust_region",
        "torch.sqrt(2 * max_kl / curvature)",
        "torch.sqrt(max_kl / curvature)",
        "lost factor 2 in the step",
        within="natural_gradient_step",
        chapters=("15",),
    ),
    Mutant(
        "formulas.trust_region",
        "curvature = dot_per_run(x, matvec(x))",
        "curvature = dot_per_run(x, x)",
        "a ball in parameters, not in policies",
        within="natural_gradient_step",
        chapters=("15",),
    ),
    Mutant(
        "formulas.trust_region",
        "(value > start_value) & (kl <= max_kl)",
        "(kl <= max_kl)",
        "no test of improvement",
        within="backtracking_line_search",
    ),
    Mutant(
        "formulas.trust_region",
        "(value > start_value) & (kl <= max_kl)",
        "(value > start_value)",
        "no test of the KL",
        within="backtracking_line_search",
        chapters=("15",),
    ),
    Mutant(
        "formulas.trust_region",
        "accept = searching & (value > start_value) & (kl <= max_kl)",
        "accept = searching & ((value > start_value) & (kl <= max_kl)).all()",
        "one decision for all runs",
        within="backtracking_line_search",
    ),
    Mutant(
        "formulas.trust_region",
        "accept = searching & ",
        "accept = ",
        "the last acceptable step in place of the first",
        within="backtracking_line_search",
        chapters=("15",),
    ),
]

GAE = [
    Mutant(
        "formulas.returns",
        "alpha=decay**span",
        "alpha=decay",
        "every pass discounts by one step",
        chapters=("17",),
        tests="test_scans.py",
    ),
    Mutant(
        "formulas.returns",
        "goes_on[..., :-span] & goes_on[..., span:]",
        "goes_on[..., :-span]",
        "an end in the second half of a span is overlooked",
        chapters=("17",),
        tests="test_scans.py",
    ),
    Mutant(
        "formulas.returns",
        "torch.where(goes_on, sums[..., span:], 0.0)",
        "sums[..., span:] * goes_on",
        "a mask by a product lets NaN into sums",
        chapters=("17",),
        tests="test_scans.py",
    ),
    Mutant(
        "formulas.returns",
        "terminated | truncated, decay",
        "terminated, decay",
        "GAE leaks through a truncation",
        chapters=("17",),
        within="generalized_advantage_estimate",
        tests="test_scans.py",
    ),
    Mutant(
        "formulas.returns",
        "decay=discount * lambda_",
        "decay=lambda_",
        "GAE lost gamma",
        chapters=("17",),
        within="generalized_advantage_estimate",
        tests="test_scans.py",
    ),
    Mutant(
        "formulas.returns",
        "td_errors(rewards, values, next_values, terminated,",
        "td_errors(rewards, values, next_values, terminated | truncated,",
        "a time limit cuts the bootstrap",
        chapters=("17",),
        within="generalized_advantage_estimate",
        tests="test_scans.py",
    ),
    Mutant(
        "formulas.returns",
        "td_errors(rewards, values, next_values, terminated,",
        "td_errors(rewards, values, next_values, truncated & False,",
        "GAE bootstraps through terminal states",
        chapters=("17",),
        within="generalized_advantage_estimate",
        tests="test_scans.py",
    ),
]

DIVERGENCES = [
    Mutant(
        "formulas.divergences",
        "(log_p.exp() * log_ratio)",
        "(log_q.exp() * log_ratio)",
        "the mean under q: minus KL(q || p)",
        chapters=("16",),
        within="kl_categorical",
    ),
    Mutant(
        "formulas.divergences",
        "possible = log_p > -torch.inf",
        "possible = log_p == log_p",
        "0 log 0 is NaN",
        within="kl_categorical",
    ),
    Mutant(
        "formulas.divergences",
        "if log.isnan().any():",
        "if log.isinf().all():",
        "a row without an action is a silent NaN",
        within="kl_categorical",
    ),
    Mutant(
        "formulas.divergences",
        "(2 * (log_std_p - log_std_q)).exp()",
        "(2 * (log_std_q - log_std_p)).exp()",
        "the variances swapped",
        chapters=("16",),
        within="kl_gaussian",
    ),
    Mutant(
        "formulas.divergences",
        "(log_std_q - log_std_p + (variance_ratio + distance - 1) / 2).sum(-1)",
        "(log_std_q - log_std_p + (variance_ratio + distance - 1) / 2).mean(-1)",
        "the mean over the action's components",
        chapters=("16",),
        within="kl_gaussian",
    ),
    Mutant(
        "formulas.divergences",
        "torch.expm1(-difference) + difference",
        "torch.expm1(difference) - difference",
        "the arguments of k3 swapped",
        chapters=("16",),
        within="kl_estimate",
    ),
    Mutant(
        "formulas.divergences",
        "        return difference\n",
        "        return -difference\n",
        "the sign of k1",
        chapters=("16",),
        within="kl_estimate",
    ),
    Mutant(
        "formulas.divergences",
        "difference**2 / 2",
        "difference**2",
        "lost half in k2",
        chapters=("16",),
        within="kl_estimate",
    ),
    Mutant(
        "formulas.divergences",
        "(1 + too_far) / (1 + too_near)",
        "(1 + too_near) / (1 + too_far)",
        "the adaptive coefficient in the wrong direction",
        chapters=("16",),
        within="adapt_kl_coef",
    ),
    Mutant(
        "formulas.divergences",
        ", kl < target / 1.5",
        ", kl < 1.5 * target",
        "no band in which the coefficient rests",
        chapters=("16",),
        within="adapt_kl_coef",
    ),
    Mutant(
        "formulas.divergences",
        "error = kl / target - 1",
        "error = 1 - kl / target",
        "the controller in the wrong direction",
        chapters=("16",),
        within="proportional_kl_coef",
    ),
    Mutant(
        "formulas.divergences",
        "error.clamp(-0.2, 0.2)",
        "error",
        "the error is not cut",
        within="proportional_kl_coef",
    ),
    Mutant(
        "formulas.policy_gradients",
        "torch.minimum(ratio * advantages, clipped * advantages)",
        "torch.maximum(ratio * advantages, clipped * advantages)",
        "the optimistic side of the clip",
        chapters=("16",),
        within="clipped_surrogate_loss",
    ),
    Mutant(
        "formulas.policy_gradients",
        "-torch.minimum(ratio * advantages, clipped * advantages)",
        "-clipped * advantages",
        "no minimum: what left on the wrong side never comes back",
        chapters=("16",),
        within="clipped_surrogate_loss",
    ),
    Mutant(
        "formulas.policy_gradients",
        "(log_probs - old_log_probs.detach()).exp()",
        "(log_probs - log_probs.detach()).exp()",
        "the live policy in the denominator: the ratio is 1",
        chapters=("16",),
        within="clipped_surrogate_loss",
    ),
    Mutant(
        "formulas.policy_gradients",
        "(log_probs - old_log_probs.detach()).exp()",
        "log_probs.exp()",
        "no ratio",
        chapters=("16",),
        within="clipped_surrogate_loss",
    ),
    Mutant(
        "formulas.policy_gradients",
        "advantages = advantages.detach()\n    ratio",
        "ratio",
        "a gradient flows into the critic's estimate",
        within="clipped_surrogate_loss",
    ),
]

PART_3: list[Mutant] = [
    *DIVERGENCES,
    *GAE,
    *TRUST_REGION,
    *POLICY_GRADIENT,
    *NETWORKS,
    *DQN,
    *PPO,
    *ACTOR_CRITIC,
    *ENVS,
    *KEEPING,
    *TRAINING,
    *REINFORCE,
    *PREFERENCES,
    *GRPO,
    *RLHF,
    *LANGUAGE_SAMPLING,
    *LANGUAGE_TASKS,
    *SOLVABLE,
    *REPORTS,
]

MODULES: tuple[str, ...] = (
    "deep.parts.envs.physics",
    "formulas.divergences",
    *POLICY_GRADIENT_MODULES,
    *REINFORCE_MODULES,
    *PREFERENCE_MODULES,
    *GRPO_MODULES,
    *RLHF_MODULES,
    *SAMPLING_MODULES,
    *TASK_MODULES,
    *SOLVABLE_MODULES,
    "formulas.returns",
    "formulas.trust_region",
)
"""Every public function of these has a mutant above; see FORMULA_MODULES."""
