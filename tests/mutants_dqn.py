"""Mutants of replay and of deep Q-learning, chapter 13."""

from mutation import Mutant

_REPLAY = [
    Mutant(
        "deep.parts.replay",
        "(indices + self._first).flatten()",
        "(indices + 0 * self._first).flatten()",
        "every run draws from run 0's memory",
    ),
    Mutant(
        "deep.parts.replay",
        "streams.integers(self.size, count, batch_size)",
        "streams.integers(self.capacity, count, batch_size)",
        "draws from the part that is still empty",
        stands_for=("Replay.sample",),
    ),
    Mutant(
        "deep.parts.replay",
        "streams.integers(self.size, count, batch_size)",
        "streams.integers(self.size, count, batch_size)[:1].expand(len(self._first), -1, -1)",
        "all runs draw the same places",
    ),
    Mutant(
        "deep.parts.replay",
        "return self.added % self.capacity",
        "return 0",
        "writes over the newest",
    ),
    Mutant(
        "deep.parts.replay",
        "kept[:, : count - split] = x[:, split:]",
        "pass",
        "what does not fit before the ring's end is lost",
    ),
    Mutant(
        "deep.parts.replay",
        "return min(self.added, self.capacity)",
        "return self.capacity",
        "counts what is not there",
        stands_for=("Replay.__init__",),
    ),
    Mutant(
        "deep.parts.replay",
        "torch.arange(-count, 0",
        "torch.arange(-count - 1, -1",
        "one step late",
        within="Replay.latest",
    ),
]

_N_STEPS = [
    Mutant(
        "deep.parts.replay",
        "~(rollout.terminated | rollout.truncated)",
        "~rollout.terminated",
        "n steps run on behind a time limit",
        within="n_step_transitions",
        chapters=("13",),
    ),
    Mutant(
        "deep.parts.replay",
        "goes_on[..., -1] = False",
        "pass",
        "n steps run on behind the rollout's end",
        within="n_step_transitions",
    ),
    Mutant(
        "deep.parts.replay",
        "torch.where(longer, discount * discounts, discounts)",
        "discounts",
        "the value is discounted once, whatever n is",
        within="n_step_transitions",
        chapters=("13",),
    ),
    Mutant(
        "deep.parts.replay",
        "rollout.next_observations.gather(2, where)",
        "rollout.next_observations",
        "the value of s_{t+1}, not of s_{t+n}",
        within="n_step_transitions",
        chapters=("13",),
    ),
    Mutant(
        "deep.parts.replay",
        "rollout.terminated.gather(-1, last)",
        "rollout.terminated",
        "the flag of the first step",
        within="n_step_transitions",
        chapters=("13",),
    ),
]

_DQN = [
    Mutant(
        "deep.dqn",
        "values)).detach()",
        "values))",
        "a gradient through the target",
        within="q_targets",
        chapters=("13",),
    ),
    Mutant(
        "deep.dqn",
        "torch.where(terminated, 0.0, values)",
        "values",
        "no terminal mask",
        within="q_targets",
        chapters=("13",),
    ),
    Mutant(
        "deep.dqn",
        "target_q if online_q is None else online_q",
        "target_q",
        "Double DQN chooses by the target network",
        within="q_targets",
    ),
    Mutant(
        "deep.dqn",
        "target_q.gather(-1, best)",
        "(target_q if online_q is None else online_q).gather(-1, best)",
        "Double DQN values by the online network",
        within="q_targets",
        chapters=("13",),
    ),
    Mutant(
        "deep.dqn",
        'mse_loss(chosen, targets, reduction="none") / 2',
        'mse_loss(chosen, targets, reduction="none")',
        "twice the loss",
        within="q_loss",
        chapters=("13",),
    ),
    Mutant(
        "deep.dqn",
        "delta=huber_delta",
        "delta=1.0",
        "the bend of the Huber loss is ignored",
        within="q_loss",
        chapters=("13",),
    ),
    Mutant(
        "deep.dqn",
        "q.gather(-1, actions.unsqueeze(-1)).squeeze(-1)",
        "q.amax(-1)",
        "the best action's value in place of the taken one's",
        within="q_loss",
        chapters=("13",),
    ),
    Mutant(
        "deep.dqn",
        "target(batch.next_observations)",
        "online(batch.next_observations)",
        "no target network",
        within="batch_loss",
        chapters=("13",),
    ),
    Mutant(
        "deep.dqn",
        "config.reward_scale * batch.rewards",
        "batch.rewards",
        "the scale of the rewards is lost",
        within="batch_loss",
        chapters=("13",),
    ),
    Mutant(
        "deep.dqn",
        "mean_per_run(loss, batch.valid)",
        "mean_per_run(loss)",
        "dummy steps count",
        within="batch_loss",
    ),
    Mutant(
        "deep.dqn",
        "mean_per_run(loss, batch.valid)",
        "mean_per_run(loss, batch.valid).mean() + 0 * loss[:, 0]",
        "a mean over runs",
        within="batch_loss",
        chapters=("13",),
    ),
    Mutant(
        "deep.dqn",
        "noise[..., 0] < self.epsilon",
        "noise[..., 0] > self.epsilon",
        "greedy where it should explore",
    ),
    Mutant(
        "deep.dqn",
        "polyak_update(target, policy.network, config.tau)",
        "polyak_update(policy.network, target, config.tau)",
        "the online network follows the target",
    ),
    Mutant(
        "deep.dqn",
        "run.gradient_steps % config.target_period == 0",
        "True",
        "the period of the target is ignored",
    ),
    Mutant(
        "deep.dqn",
        "requires_grad_(False)",
        "requires_grad_(True)",
        "the target network can be trained",
    ),
]

DQN: list[Mutant] = [*_REPLAY, *_N_STEPS, *_DQN]
