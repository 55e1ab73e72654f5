"""Mutants of what chapter 12 adds: trajectories by enumeration, and REINFORCE."""

from mutation import Mutant

MODULES: tuple[str, ...] = ("planning.trajectories",)

REINFORCE = [
    Mutant(
        "planning.trajectories",
        "torch.where(self.valid, taken, 1.0).log()",
        "taken.log()",
        "probabilities of steps behind the end",
        within="Trajectories.log_probs",
    ),
    Mutant(
        "planning.trajectories",
        "self.world * torch.where(self.valid, taken, 1.0)",
        "self.world * taken",
        "factors of steps behind the end",
        within="Trajectories.probability",
        chapters=("12",),
    ),
    Mutant(
        "planning.trajectories",
        "return self.world * torch.where",
        "return torch.where",
        "the world's part of the probability is lost",
        within="Trajectories.probability",
        chapters=("12",),
    ),
    Mutant(
        "planning.trajectories",
        "discount=discount)",
        "discount=1.0)",
        "lost gamma",
        within="Trajectories.rewards_to_go",
        chapters=("12",),
    ),
    Mutant(
        "planning.trajectories",
        "world = world[i] * P[s, a, after]",
        "world = P[s, a, after]",
        "only the last step counts",
        within="all_trajectories",
        chapters=("12",),
    ),
    Mutant(
        "planning.trajectories",
        "R[s, a, after][:, None]",
        "mdp.reward[s, a][:, None]",
        "the mean reward in place of the one received",
        within="all_trajectories",
    ),
    Mutant(
        "deep.reinforce",
        "policy_gradient_loss(log_probs, weights).sum(-1)",
        "policy_gradient_loss(log_probs, weights).mean(-1)",
        "a mean over steps",
        within="policy_loss",
        chapters=("12",),
    ),
    Mutant(
        "deep.reinforce",
        "torch.where(rollout.valid, rollout.rewards, 0.0)",
        "rollout.rewards",
        "rewards of the next episode",
        within="rewards_to_go",
    ),
    Mutant(
        "deep.reinforce",
        "discount=discount)",
        "discount=1.0)",
        "lost gamma",
        within="rewards_to_go",
        chapters=("12",),
    ),
    Mutant(
        "deep.reinforce",
        "mean_per_run(0.5 * errors.square(), rollout.valid)",
        "mean_per_run(0.5 * errors.square())",
        "the baseline is fitted to padding",
        within="value_loss",
    ),
    Mutant(
        "deep.reinforce",
        "mean_per_run(returns, rollout.valid)",
        "returns.mean(dim=(1, 2))",
        "a mean that counts padding",
        within="baseline",
    ),
    Mutant(
        "deep.reinforce",
        "returns - baseline(",
        "returns + baseline(",
        "the baseline is added",
        within="train",
    ),
    Mutant(
        "deep.reinforce",
        "config.discount**steps",
        "config.discount ** (steps + 1)",
        "one gamma too many",
        within="train",
    ),
    Mutant(
        "deep.reinforce",
        "weights = torch.where(rollout.valid, weights, 0.0)",
        "weights = weights * 1.0",
        "steps behind the end are praised, too",
        within="train",
    ),
]
