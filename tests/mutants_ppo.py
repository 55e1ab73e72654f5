"""Mutants of PPO's agent, and of the critic that scales itself."""

from mutation import Mutant

PPO = [
    Mutant(
        "deep.ppo",
        "loss + kl_coef.unsqueeze(1) * kl",
        "loss - kl_coef.unsqueeze(1) * kl",
        "the penalty as a reward",
        chapters=("16",),
        within="ppo_loss",
    ),
    Mutant(
        "deep.ppo",
        "policy.kl(batch.parameters, parameters)",
        "policy.kl(parameters, batch.parameters)",
        "the arguments of the KL swapped: KL(new || old)",
        chapters=("16",),
        within="ppo_loss",
    ),
    Mutant(
        "deep.ppo",
        "- config.entropy_coef * entropy",
        "+ config.entropy_coef * entropy",
        "entropy is punished",
        chapters=("16",),
        within="ppo_loss",
    ),
    Mutant(
        "deep.ppo",
        "mean_per_run(loss, batch.valid)",
        "mean_per_run(loss, batch.valid).mean().expand(len(loss))",
        "a mean over the runs",
        chapters=("16",),
        within="ppo_loss",
    ),
    Mutant(
        "deep.ppo",
        "return mean_per_run(loss, batch.valid), ",
        "return mean_per_run(loss), ",
        "steps that were none enter the loss",
        within="ppo_loss",
    ),
    Mutant(
        "deep.ppo",
        "near = near & (kl <= config.stop_kl)",
        "near = near & (kl <= config.stop_kl).all()",
        "one run's early stop stops them all",
        within="improve",
    ),
    Mutant(
        "deep.ppo",
        'adapt_kl_coef(kl_coef, distance["kl"], config.kl_target)',
        'adapt_kl_coef(kl_coef, distance["kl"].mean(), config.kl_target)',
        "one coefficient's rule for all runs",
        within="train",
    ),
    Mutant(
        "deep.parts.training",
        "None if active is None else ~active",
        "None",
        "a run that rests steps by its momentum",
        within="Training.gradient_step",
        tests="test_ppo.py",
    ),
    Mutant(
        "deep.parts.critics",
        "- returns) / self._std(returns)",
        "- returns) / 1.0",
        "an error in the units of the rewards",
        within="ScaledCritic.squared_error",
        stands_for=("ScaledCritic.forward",),
    ),
    Mutant(
        "deep.parts.normalization",
        "valid.flatten(1) & x.isfinite().all(-1)",
        "valid.flatten(1)",
        "one NaN spoils the statistics of its run",
        within="RunningNormalizer.update",
    ),
    Mutant(
        "deep.parts.policies",
        "self._log_std_for(observations).clone()",
        "self._log_std_for(observations)",
        "the old policy's log_std moves with the new one",
        within="GaussianPolicy.forward",
    ),
]
