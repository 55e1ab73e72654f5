"""Mutants of GRPO: the advantages of a group, the objective, and the learner."""

from mutation import Mutant

_OBJECTIVE = {"module": "language.group_objective", "tests": "test_grpo.py"}
_LEARNER = {"module": "language.grpo", "tests": "test_grpo.py"}

GRPO = [
    Mutant(
        "group_advantages",
        "differ = mask & (high > low)",
        "differ = mask",
        "0/0 in a group of equal rewards",
        within="_normalized",
        stands_for=("outcome_advantages",),
        chapters=("20",),
    ),
    Mutant(
        "group_advantages",
        "/ count).sqrt()",
        "/ (count - 1)).sqrt()",
        "the deviation divides by G - 1",
        within="_normalized",
        chapters=("20",),
    ),
    Mutant(
        "group_advantages",
        "if normalize_std:",
        "if not normalize_std:",
        "divided where it should not be",
        within="_normalized",
        chapters=("20",),
    ),
    Mutant(
        "group_advantages",
        "x = _wide(x.detach())",
        "x = x.detach()",
        "sums of squares in half precision",
        within="_normalized",
    ),
    Mutant(
        "group_advantages",
        "(G / (G - 1))",
        "((G - 1) / G)",
        "the factor of leave-one-out upside down",
        chapters=("20",),
        within="leave_one_out_advantages",
    ),
    Mutant(
        "group_advantages",
        "at_end.flip(-1).cumsum(-1).flip(-1)",
        "at_end.cumsum(-1)",
        "steps that are over, in place of those to come",
        chapters=("20",),
        within="process_advantages",
    ),
    Mutant(
        "group_advantages",
        "at_end.flip(-1).cumsum(-1).flip(-1)",
        "at_end.flip(-1).cumsum(-1).flip(-1) - at_end",
        "the last token of a step is not part of it",
        chapters=("20",),
        within="process_advantages",
    ),
    Mutant(
        "group_advantages",
        "steps = step_rewards.flatten(-2), step_mask.flatten(-2)\n"
        "    normal = _normalized(*steps, normalize_std).unflatten(-1, step_rewards.shape[-2:])",
        "normal = _normalized(step_rewards, step_mask, normalize_std)",
        "each answer normalised by itself",
        chapters=("20",),
        within="process_advantages",
    ),
    Mutant(
        "group_advantages",
        "torch.where(completion_mask, to_go, 0.0)",
        "to_go",
        "advantages off the mask",
        within="process_advantages",
    ),
    Mutant(
        "group_advantages",
        "total / lengths.clamp(min=1)",
        "total / losses.shape[-1]",
        "divided by the padded length",
        chapters=("20",),
        within="aggregate_token_losses",
    ),
    Mutant(
        "group_advantages",
        "total / max_length",
        "total / lengths.clamp(min=1)",
        "the length in place of the constant",
        chapters=("20",),
        within="aggregate_token_losses",
    ),
    Mutant(
        "group_advantages",
        "torch.where(completion_mask, losses, 0.0).sum(-1)",
        "losses.sum(-1)",
        "padding in the sum",
        within="aggregate_token_losses",
    ),
    Mutant(
        **_OBJECTIVE,
        old="kl_estimate(log_probs, anchor, config.kl_kind)",
        new="kl_estimate(anchor, log_probs, config.kl_kind)",
        why="the arguments of the KL swapped",
        chapters=("20",),
        within="grpo_loss",
    ),
    Mutant(
        **_OBJECTIVE,
        old="kl_estimate(log_probs, anchor, config.kl_kind)",
        new="kl_estimate(log_probs.detach(), anchor, config.kl_kind)",
        why="a KL without gradient",
        chapters=("20",),
        within="grpo_loss",
    ),
    Mutant(
        **_OBJECTIVE,
        old="losses + config.kl_coef * kl",
        new="losses - config.kl_coef * kl",
        why="the KL is rewarded",
        chapters=("20",),
        within="grpo_loss",
    ),
    Mutant(
        **_OBJECTIVE,
        old="ratio_from = log_probs, old_log_probs, advantages",
        new="ratio_from = log_probs, log_probs, advantages",
        why="pi_old is pi_theta: the ratio is 1",
        chapters=("20",),
        within="grpo_loss",
    ),
    Mutant(
        **_OBJECTIVE,
        old="[..., None] / lengths",
        new="[..., None]",
        why="the answer's KL counted once for each token",
        within="grpo_loss",
    ),
    Mutant(
        **_OBJECTIVE,
        old="rewards - config.kl_coef * log_ratio",
        new="rewards + config.kl_coef * log_ratio",
        why="the KL as a reward, with the wrong sign",
        within="make_advantages",
    ),
    Mutant(
        **_LEARNER,
        old="if inner == 0:",
        new="if inner >= 0:",
        why="pi_old is computed anew in each inner step",
        within="train",
    ),
    Mutant(
        **_LEARNER,
        old="token_log_probs(reference, prompts,",
        new="token_log_probs(model, prompts,",
        why="the policy as its own reference",
        within="collect",
    ),
    Mutant(
        **_LEARNER,
        old="if not found.isfinite().all():",
        new="if found.isinf().any():",
        why="a reward of NaN goes through",
        within="rewards_of",
    ),
]

MODULES: tuple[str, ...] = ("group_advantages",)
"""Every public function of these has a mutant above; see FORMULA_MODULES."""
