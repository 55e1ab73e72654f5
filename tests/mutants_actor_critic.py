"""Mutants of the actor-critic's agent."""

from mutation import Mutant

ACTOR_CRITIC = [
    Mutant(
        "agents.actor_critic",
        "ends = rollout.terminated, rollout.truncated",
        "ends = rollout.terminated & False, rollout.terminated | rollout.truncated",
        "bootstraps through a terminal state",
        within="targets",
        chapters=("14",),
    ),
    Mutant(
        "agents.actor_critic",
        "ends = rollout.terminated, rollout.truncated",
        "ends = rollout.terminated | rollout.truncated, rollout.truncated",
        "a time limit taken for a termination",
        within="targets",
    ),
    Mutant(
        "agents.actor_critic",
        "critic(rollout.next_observations)",
        "critic(rollout.observations)",
        "the value of this state in place of the next",
        within="targets",
        chapters=("14",),
    ),
    Mutant(
        "agents.actor_critic",
        "return returns, returns - values",
        "return returns, values - returns",
        "the sign of the advantage",
        within="targets",
        chapters=("14",),
    ),
    Mutant(
        "agents.actor_critic",
        "- entropy_coef * entropies",
        "+ entropy_coef * entropies",
        "entropy is punished",
        within="actor_loss",
        chapters=("14",),
    ),
    Mutant(
        "agents.actor_critic",
        "returns = returns.detach().flatten(1)",
        "returns = returns.flatten(1)",
        "a gradient flows into the critic's target",
        within="critic_loss",
    ),
    Mutant(
        "agents.actor_critic",
        "0.5 * errors",
        "errors",
        "lost half of the critic's loss",
        within="critic_loss",
        chapters=("14",),
    ),
    Mutant(
        "agents.actor_critic",
        "masked_mean(x, valid, dims).view(shape)",
        "x.mean()",
        "advantages centred over all runs",
        within="standardised",
    ),
    Mutant(
        "agents.actor_critic",
        "critic.rescale(returns.flatten(1), rollout.valid.flatten(1))",
        "None",
        "the critic's units are never set",
        within="train",
    ),
    Mutant(
        "agents.actor_critic",
        "weights = standardised(advantages, rollout.valid)",
        "weights = advantages",
        "advantages are not standardised",
        within="train",
    ),
    Mutant(
        "agents.actor_critic",
        "run.anneal(critic_optimizer, config.value_learning_rate)",
        "run.anneal(critic_optimizer, config.learning_rate)",
        "the actor's step size for the critic",
        within="train",
    ),
]
