"""GRPO: several answers to one prompt, each judged against the others; no critic. Chapter 20.

Q prompts, G answers to each, T tokens. The objective and its settings are in grpo_loss;
here answers are drawn and learned from. From the command line:

    python -m rlbook.language --task arithmetic --steps 100 --output runs/grpo
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from rlbook.language.grpo_loss import Config, Steps, grpo_loss, make_advantages
from rlbook.language.loop import Loop, LoopResult
from rlbook.language.models import LanguageModel, Prompts
from rlbook.language.sampling import Answers, token_log_probs, write
from rlbook.language.scoring import each_answer, score
from rlbook.language.tasks.task import Task, steps_of_tokens

__all__ = ["Config", "Steps", "collect", "grpo_loss", "make_advantages", "train"]


class AnswerGroups(NamedTuple):
    """Q groups of G answers, those to one prompt side by side; no gradients in it."""

    prompts: Prompts
    answers: Answers
    rewards: torch.Tensor
    """(Q, G), of the verifier."""
    ref_log_probs: torch.Tensor
    """(Q, G, T)."""
    advantages: torch.Tensor
    """(Q, G, T)."""


@torch.no_grad()
def collect(
    policy: LanguageModel,
    reference: nn.Module,
    task: Task,
    config: Config,
    generator: torch.Generator,
) -> AnswerGroups:
    """Draw G answers to each of Q new prompts, and judge them.

    Raises:
        NotFinite: a reward is NaN or infinite; the message says of which answer.
    """
    sizes = Q, G = config.num_prompts, config.group_size
    questions = [question for question in task.prompts(Q, generator) for _ in range(G)]
    prompts, answers, texts = write(
        policy,
        questions,
        max_new_tokens=config.max_new_tokens or task.max_new_tokens,
        generator=generator,
        temperature=config.temperature,
    )
    rewards = score(each_answer(task.reward), questions, texts, prompts, answers)
    rewards, mask = rewards.unflatten(0, sizes), answers.completion_mask
    ref_log_probs = token_log_probs(
        reference, prompts, answers.tokens, mask, temperature=config.temperature
    ).unflatten(0, sizes)
    steps = None
    if config.supervision == "process":
        of_answers = steps_of_tokens(task, questions, answers, policy.tokenizer)
        steps = Steps(*(x.unflatten(0, sizes) for x in of_answers))
    advantages = make_advantages(
        rewards,
        old_log_probs=answers.log_probs.unflatten(0, sizes),
        ref_log_probs=ref_log_probs,
        completion_mask=mask.unflatten(0, sizes),
        config=config,
        steps=steps,
    )
    return AnswerGroups(prompts, answers, rewards, ref_log_probs, advantages.to(ref_log_probs))


def train(
    policy: LanguageModel,
    task: Task,
    config: Config | None = None,
    *,
    seed: int = 0,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 50,
    resume: str | Path | None = None,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
) -> LoopResult:
    """GRPO from `policy`, which stays as it is; the trained copy is `result.models["policy"]`.

    `policy` is the reference, too, so that no more than one copy is made.

    Logged for each step, a mean over the answers drawn in it, before it learns from them:
        reward: of the verifier, in its own units. It should rise; level from the beginning, all
            answers of a group are equally good or bad, and teach nothing.
        kl: the log-ratio to the reference, log pi_theta - log pi_ref, summed over an answer's
            tokens: an estimate of KL(pi_theta || pi_ref) in nats. 0 in the first step, then it
            grows, slowly; a few answers may give a number below 0.
        length: of an answer, in tokens. Steadily at max_new_tokens, answers are cut; a growth
            without a growth of reward says that length pays.
        pass@1: the share of answers with a reward of exactly 1. It should rise with the reward,
            and stays 0 for a verifier that never gives 1.

    Args:
        checkpoint, checkpoint_every, resume: see Loop. Resume with the policy that the training
            began with, as it is the reference.
        on_step: is told each step's number and log.
    """
    config = config or Config()
    trained, reference = policy.copy(), policy.model
    loop = Loop(
        {"policy": trained.model},
        num_steps=config.num_steps,
        learning_rate=config.learning_rate,
        schedule=config.schedule,
        warmup_steps=config.warmup_steps,
        max_gradient_norm=config.max_gradient_norm,
        seed=seed,
        progress=progress,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        resume=resume,
    )
    with loop:
        for step in loop.steps():
            groups = collect(trained, reference, task, config, loop.generator)
            tokens, mask = groups.answers.tokens, groups.answers.completion_mask
            for inner in range(config.inner_steps):
                log_probs = token_log_probs(
                    trained.model, groups.prompts, tokens, mask, temperature=config.temperature
                ).view_as(groups.advantages)
                if inner == 0:
                    old_log_probs = log_probs.detach()  # the policy that drew the answers
                loss = grpo_loss(
                    log_probs,
                    old_log_probs=old_log_probs,
                    ref_log_probs=groups.ref_log_probs,
                    advantages=groups.advantages,
                    completion_mask=mask.view_as(log_probs),
                    config=config,
                )
                loop.gradient_step(loss.mean())
            measured = {
                "reward": groups.rewards,
                "kl": (old_log_probs - groups.ref_log_probs).sum(-1),
                "length": mask.sum(-1).float(),
                "pass@1": (groups.rewards == 1).float(),
            }
            means = {name: float(x.mean()) for name, x in measured.items()}
            loop.log(**means)
            if on_step is not None:
                on_step(step, means)
    return loop.result()
