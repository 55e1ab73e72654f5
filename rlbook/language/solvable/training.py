"""One training loop for every algorithm on the solvable language model: only the loss differs.

    config = SolvableConfig(num_steps=300, group_size=16, learning_rate=0.05)
    result = train_solvable(world, loss, config, num_runs=10)

R runs learn at once, and nothing couples two of them: run k depends on (seed, k) only. What is
recorded on the way is exact, computed from all answers.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from rlbook.ground import require
from rlbook.ground.frozen_step import frozen_step
from rlbook.ground.progress import finish_imports
from rlbook.ground.progress import progress as progress_bar
from rlbook.ground.seeding import Streams
from rlbook.language.grpo_loss import Config, Steps, grpo_loss, make_advantages
from rlbook.language.solvable.model import SolvableLM, World, exact_kl, expected_reward


@dataclass(frozen=True, kw_only=True)
class SolvableConfig:
    """Settings of train_solvable."""

    num_steps: int = 300
    """Rounds of drawing answers and learning from them."""
    group_size: int = 16
    """G, answers to each prompt in a step."""
    inner_steps: int = 1
    """Gradient steps on the answers of one step, all of them each time."""
    learning_rate: float = 0.05
    """Of the optimizer, at first."""
    anneal_learning_rate: bool = True
    """It falls to 0 in a straight line."""
    critic: bool = False
    """Learn V(q, context) too, a table of zeros at first; the loss must ask for it."""
    optimizer: type[torch.optim.Optimizer] = torch.optim.Adam
    """Adam, or another that treats each number by itself."""
    record_every: int | None = None
    """Steps between two records; by default 20 of them are kept."""

    def __post_init__(self):
        for name in ("num_steps", "group_size", "inner_steps"):
            require.at_least(name, getattr(self, name), 1)
        require.positive("learning_rate", self.learning_rate)
        if self.record_every is not None:
            require.at_least("record_every", self.record_every, 1)


@dataclass(frozen=True, eq=False)
class DrawnAnswers:
    """G answers to each of Q prompts in each of R runs, drawn from pi_old, of T tokens at most."""

    answers: torch.Tensor
    """(R, Q, G) long: rows of the tree."""
    log_probs: torch.Tensor
    """(R, Q, G, T): log pi_theta of the tokens, with gradient. All of these are 0 off the mask."""
    old_log_probs: torch.Tensor
    """(R, Q, G, T): log pi_old, of the policy that drew the answers."""
    ref_log_probs: torch.Tensor
    """(R, Q, G, T): log pi_ref."""
    completion_mask: torch.Tensor
    """(R, Q, G, T) bool."""
    rewards: torch.Tensor
    """(R, Q, G): of the answers."""
    step_rewards: torch.Tensor
    """(R, Q, G, T): of the words."""
    values: torch.Tensor | None = None
    """(R, Q, G, T): the critic's V(context of token t), with gradient; None without a critic."""
    old_values: torch.Tensor | None = None
    """(R, Q, G, T): the same before the first inner step, without gradient."""


@dataclass(frozen=True, eq=False)
class SolvableResult:
    """What train_solvable returns."""

    lm: SolvableLM
    steps: torch.Tensor
    """(num_records,) long: how many steps were done when the next two were computed."""
    kl: torch.Tensor
    """(R, num_records): KL(pi_theta || pi_ref) of whole answers, exact, the mean over prompts."""
    reward: torch.Tensor
    """(R, num_records): E[R] under pi_theta, exact, the mean over prompts."""
    run_ids: tuple[int, ...]
    frozen: dict[int, str]
    """{run id: why it was stopped}; what was recorded of it afterwards is NaN."""
    interrupted: bool
    critic: torch.Tensor | None
    """(R, Q, N): the learned values of the contexts."""


def train_solvable(
    world: World,
    loss: Callable[[DrawnAnswers], torch.Tensor],
    config: SolvableConfig | None = None,
    *,
    init: torch.Tensor | None = None,
    num_runs: int = 10,
    run_ids: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> SolvableResult:
    """Draw answers, take `inner_steps` gradient steps on them, and again, `num_steps` times.

    An interruption (the stop button) keeps what was learned. A run whose rewards, loss or
    gradient are not finite is frozen with a warning; the others go on.

    Args:
        loss: batch -> (R,), to be minimised; each entry from its own run only.
        init: log-probabilities of answers, (Q, O) or (R, Q, O), to begin with; by default the
            reference's.
        num_runs, run_ids: runs 0 .. num_runs - 1, or these ones.
        progress: show a bar.

    Recorded some 20 times, exact, from all answers, so that nothing in them is noise of sampling:
        steps: how many steps were done, a count; the first is 0, the last num_steps.
        kl: KL(pi_theta || pi_ref) of whole answers, the mean over prompts, in nats. 0 at first,
            unless `init` says otherwise; then it grows, and comes to rest where the loss prices it.
        reward: E[R] under pi_theta, the mean over prompts, in units of the reward. It should rise
            to what the best policy at this price earns, and rest; together with kl it is a point
            on or below the frontier.

    Raises:
        ValueError: a loss that is not (R,), or what World and SolvableLM refuse.
    """
    finish_imports()
    config = config or SolvableConfig()
    num_steps = config.num_steps
    streams = Streams(seed, range(num_runs) if run_ids is None else run_ids)
    trainer = _Trainer(world, loss, config, tuple(streams.run_ids), init)
    noise = streams.uniform(num_steps, len(world.prompts), config.group_size, dtype=torch.float64)
    every = config.record_every or max(1, num_steps // 20)
    interrupted = False
    try:
        for step in progress_bar(range(num_steps), description="steps", show=progress):
            if step % every == 0:
                trainer.record(step)
            rest = 1 - step / num_steps if config.anneal_learning_rate else 1
            trainer.learn(noise[:, step], config.learning_rate * rest)
    except KeyboardInterrupt:
        interrupted = True
    trainer.record(trainer.steps_done)
    return trainer.result(interrupted)


class _Trainer:
    def __init__(
        self,
        world: World,
        loss: Callable[[DrawnAnswers], torch.Tensor],
        config: SolvableConfig,
        run_ids: tuple[int, ...],
        init: torch.Tensor | None,
    ):
        self.world, self.loss, self.config, self.run_ids = world, loss, config, run_ids
        R, Q = len(self.run_ids), len(world.prompts)
        self.lm = SolvableLM(world.tree, Q, R).represent(world.reference if init is None else init)
        self.ref_log_probs = world.model().token_log_probs().detach()[0]  # (Q, O, T)
        zeros = torch.zeros(R, Q, world.tree.num_contexts, dtype=torch.float64)
        self.critic = nn.Parameter(zeros) if config.critic else None
        self.parameters = [self.lm.logits] + ([] if self.critic is None else [self.critic])
        optimizer: Callable[..., torch.optim.Optimizer] = config.optimizer
        self.optimizer = optimizer(self.parameters, lr=config.learning_rate)
        self.frozen: dict[int, str] = {}
        self.records: list[tuple[int, torch.Tensor, torch.Tensor]] = []
        self.steps_done = 0

    def learn(self, uniforms: torch.Tensor, learning_rate: float) -> None:
        """One batch of answers, and the gradient steps on it."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        batch = self.draw(uniforms)
        for _ in range(self.config.inner_steps):
            batch = replace(batch, log_probs=self.lm.log_probs_of(batch.answers))
            if self.critic is not None:
                batch = replace(batch, values=self.values(self.critic, batch))
            self.gradient_step(self.loss(batch))
        self.steps_done += 1

    def draw(self, uniforms: torch.Tensor) -> DrawnAnswers:
        """(R, Q, G) uniform numbers -> answers and all that is known of them."""
        answers = self.lm.sample(uniforms)
        prompts = torch.arange(answers.shape[1])[:, None]  # beside (R, Q, G): the row of a table
        log_probs = self.lm.log_probs_of(answers).detach()
        rewards = self.world.rewards[prompts, answers]
        step_rewards = self.world.step_rewards[prompts, answers]
        bad = ~(rewards.isfinite().flatten(1).all(1) & step_rewards.isfinite().flatten(1).all(1))
        self.freeze(bad, "a reward is not finite")
        batch = DrawnAnswers(
            answers=answers,
            log_probs=log_probs,
            old_log_probs=log_probs,
            ref_log_probs=self.ref_log_probs[prompts, answers],
            completion_mask=self.world.tree.completion_mask[answers],
            rewards=torch.where(rewards.isfinite(), rewards, 0.0),  # of frozen runs
            step_rewards=torch.where(step_rewards.isfinite(), step_rewards, 0.0),
        )
        if self.critic is None:
            return batch
        return replace(batch, old_values=self.values(self.critic, batch).detach())

    def values(self, critic: torch.Tensor, batch: DrawnAnswers) -> torch.Tensor:
        """The critic's values of the contexts of all tokens, 0 off the mask: (R, Q, G, T)."""
        contexts = self.world.tree.contexts[batch.answers]
        found = critic.gather(2, contexts.flatten(2)).view(contexts.shape)
        return torch.where(batch.completion_mask, found, 0.0)

    def gradient_step(self, loss: torch.Tensor) -> None:
        """One step on the sum of the losses (R,), which share no parameter."""
        R = len(self.run_ids)
        if loss.shape != (R,):
            raise ValueError(f"loss must be ({R},), one number a run, got {tuple(loss.shape)}")
        self.optimizer.zero_grad()
        loss.sum().backward()
        finite = loss.detach().isfinite()
        for p in self.parameters:
            if p.grad is not None:
                finite = finite & p.grad.flatten(1).isfinite().all(1)
        self.freeze(~finite, "its loss or its gradient is not finite")
        frozen = [run in self.frozen for run in self.run_ids]
        frozen_step(self.optimizer, finite.new_tensor(frozen) if any(frozen) else None)

    def freeze(self, bad: torch.Tensor, reason: str) -> None:
        for row in bad.nonzero().flatten().tolist():
            run = self.run_ids[row]
            if run not in self.frozen:
                self.frozen[run] = f"{reason}, after {self.steps_done} steps"
                warnings.warn(f"run {run} is frozen: {self.frozen[run]}", stacklevel=5)

    @torch.no_grad()
    def record(self, step: int) -> None:
        """What is exact, now; an interruption may come twice at the same step."""
        if self.records and self.records[-1][0] == step:
            self.records.pop()
        log_probs = self.lm.answer_log_probs()
        going = torch.tensor([run not in self.frozen for run in self.run_ids])
        kl = exact_kl(log_probs, self.world.reference).mean(-1)
        reward = expected_reward(log_probs, self.world.rewards).mean(-1)
        kl, reward = (torch.where(going, x, torch.nan) for x in (kl, reward))
        self.records.append((step, kl, reward))

    def result(self, interrupted: bool) -> SolvableResult:
        steps, kl, reward = zip(*self.records, strict=True)
        return SolvableResult(
            lm=self.lm,
            steps=torch.tensor(steps),
            kl=torch.stack(kl, dim=1),
            reward=torch.stack(reward, dim=1),
            run_ids=self.run_ids,
            frozen=self.frozen,
            interrupted=interrupted,
            critic=None if self.critic is None else self.critic.detach(),
        )


def solvable_loss(config: Config, *, num_groups: int = 1) -> Callable[[DrawnAnswers], torch.Tensor]:
    """What `train_solvable` minimises for GRPO: a batch with R runs -> (R,), the mean over prompts.

    Every word is a step of its own for supervision "process". The numbers of steps, answers and
    so on are those of train_solvable's config, not of this one.

    Args:
        num_groups: into which the answers to a prompt are divided; their losses are averaged.
    """

    def in_groups(x: torch.Tensor) -> torch.Tensor:  # (R, Q, groups, G, ...)
        return x.unflatten(2, (num_groups, -1))

    def loss(batch: DrawnAnswers) -> torch.Tensor:
        old_log_probs = in_groups(batch.old_log_probs)
        ref_log_probs = in_groups(batch.ref_log_probs)
        mask = in_groups(batch.completion_mask)
        ends = torch.arange(mask.shape[-1], device=mask.device).expand(mask.shape)
        advantages = make_advantages(
            in_groups(batch.rewards),
            old_log_probs=old_log_probs,
            ref_log_probs=ref_log_probs,
            completion_mask=mask,
            config=config,
            steps=Steps(rewards=in_groups(batch.step_rewards), ends=ends, mask=mask),
        )
        losses = grpo_loss(
            in_groups(batch.log_probs),
            old_log_probs=old_log_probs,
            ref_log_probs=ref_log_probs,
            advantages=advantages,
            completion_mask=mask,
            config=config,
        )
        return losses.mean((1, 2))

    return loss
