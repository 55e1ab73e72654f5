"""RLHF with PPO: a language model learns what a reward says, held near the one it started from.

Ziegler et al. 2019, "Fine-tuning language models from human preferences"; Ouyang et al. 2022,
"Training language models to follow instructions with human feedback". Three policies that must
not be confused: pi_theta is trained, pi_old wrote the answers of this step, and pi_ref is the
anchor, which never changes: the objective is E[reward] - kl_coef KL(pi_theta || pi_ref).
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel

from rlbook.formulas.divergences import proportional_kl_coef
from rlbook.formulas.policy_gradients import clipped_surrogate_loss
from rlbook.formulas.token_rewards import token_advantages, token_rewards
from rlbook.ground import require
from rlbook.ground.masking import masked_mean, standardise_per_run
from rlbook.language.loop import Loop, LoopResult
from rlbook.language.models import LanguageModel, Prompts, config_of
from rlbook.language.reader import answer_outputs
from rlbook.language.sampling import token_log_probs, write
from rlbook.language.scoring import Reward, prompt_source, score

if TYPE_CHECKING:
    from rlbook.language.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of PPO for a language model."""

    num_steps: int = 60
    """Rounds of sampling and learning."""
    batch_size: int = 128
    """B, answers that are sampled in a round."""
    max_new_tokens: int = 24
    """Where an answer is cut that has not ended; the episode ends there, too."""
    kl_coef: float = 0.1
    """beta, the price of KL(pi_theta || pi_ref); of whole answers, in units of the reward."""
    kl_target: float | None = None
    """With a target, kl_coef follows the proportional rule, Eq. (16.11)."""
    kl_horizon: float = 10.0
    """Rounds after which an error of the KL counts in full; read with kl_target only."""
    clip_epsilon: float = 0.2
    """How far a token's ratio pi_theta / pi_old may go with profit."""
    num_epochs: int = 2
    """Passes over the answers of a round."""
    num_minibatches: int = 2
    """Gradient steps in a pass."""
    lambda_: float = 0.95
    """Of the advantages; the discount is 1."""
    normalize_advantages: bool = True
    """To mean 0 and variance 1 over the tokens of a round."""
    value_coef: float = 0.5
    """c_v, the weight of the critic's squared error."""
    learning_rate: float = 1e-3
    """Of AdamW, for the policy, at first; it falls in a straight line to 0."""
    critic_learning_rate: float = 2e-3
    """The same for the critic."""
    max_gradient_norm: float = 1.0
    """Longer gradients are shortened, those of the policy and of the critic each by itself."""

    def __post_init__(self):
        for name in ("num_steps", "batch_size", "max_new_tokens", "num_epochs", "num_minibatches"):
            require.at_least(name, getattr(self, name), 1)
        require.within("lambda_", self.lambda_, 0, 1)
        require.at_least("kl_coef", self.kl_coef, 0)
        require.at_least("value_coef", self.value_coef, 0)
        for name in ("clip_epsilon", "kl_horizon", "max_gradient_norm"):
            require.positive(name, getattr(self, name))
        if self.kl_target is not None:
            require.positive("kl_target", self.kl_target)
        if self.num_minibatches > self.batch_size:
            raise ValueError(f"num_minibatches must be at most batch_size = {self.batch_size}")


def rlhf_loss(
    log_probs: torch.Tensor,
    *,
    old_log_probs: torch.Tensor,
    advantages: torch.Tensor,
    values: torch.Tensor,
    returns: torch.Tensor,
    completion_mask: torch.Tensor,
    clip_epsilon: float,
    value_coef: float,
) -> torch.Tensor:
    """PPO's: sum over an answer's tokens of -min(rho A, clip(rho) A) + c_v (V - G)^2. Eq. (19.17).

    To be minimised. At pi_theta = pi_old the gradient of the mean over answers is minus the
    policy gradient, Eq. (19.12), plus that of the critic's error.

    Args:
        log_probs: (..., T), log pi_theta of each token, with gradient.
        old_log_probs: (..., T), log pi_old, of the policy that wrote the answers.
        advantages, returns: (..., T), of `token_advantages`; numbers.
        values: (..., T), of the critic, with gradient.
        completion_mask: (..., T) bool. What is off the mask does not enter, nor does its
            gradient, NaN included.

    Returns:
        (...), one for each answer.

    Raises:
        ValueError: different shapes, or a mask that is not bool.

    Source: Schulman et al. 2017, "Proximal policy optimization algorithms", Eqs. 7 and 9;
    Ouyang et al. 2022, appendix C.
    """
    require.same_shape(log_probs=log_probs, values=values, returns=returns)
    require.mask("completion_mask", completion_mask, log_probs.shape)
    log_probs, values = (torch.where(completion_mask, x, 0.0) for x in (log_probs, values))
    policy = clipped_surrogate_loss(log_probs, old_log_probs, advantages, clip_epsilon=clip_epsilon)
    error = (values - returns.detach()) ** 2
    return torch.where(completion_mask, policy + value_coef * error, 0.0).sum(-1)


class Critic(nn.Module):
    """V(prompt and tokens so far): a copy of the model's body, and one number for each token.

    The estimate is of the shaped rewards that are still to come, the price of the KL included,
    Eq. (19.15). It begins at 0.
    """

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.body = copy.deepcopy(model.base_model)
        size = config_of(model).get_text_config().hidden_size
        dtype = torch.promote_types(model.dtype, torch.float32)
        self.head = nn.Linear(size, 1, dtype=dtype, device=model.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, prompts: Prompts, answers: torch.Tensor, completion_mask: torch.Tensor
    ) -> torch.Tensor:
        """V of the context in which each token of the answers was chosen: (B, T), 0 off the mask.

        The value for token t has read the prompt and the tokens before t, not t itself.
        """
        hidden = answer_outputs(self.body, prompts, answers, completion_mask)  # (B, T, hidden)
        values = self.head(hidden)[..., 0]
        return torch.where(completion_mask, values, 0.0)


class JudgedAnswers(NamedTuple):
    """The answers of a round, and what the updates need of them; no gradients in it."""

    prompts: Prompts
    tokens: torch.Tensor
    completion_mask: torch.Tensor
    log_probs: torch.Tensor
    """log pi_old."""
    advantages: torch.Tensor
    returns: torch.Tensor

    def take(self, rows: torch.Tensor) -> "JudgedAnswers":
        return JudgedAnswers(
            prompts=Prompts(self.prompts.tokens[rows], self.prompts.mask[rows]),
            tokens=self.tokens[rows],
            completion_mask=self.completion_mask[rows],
            log_probs=self.log_probs[rows],
            advantages=self.advantages[rows],
            returns=self.returns[rows],
        )


@torch.no_grad()
def collect(
    policy: LanguageModel,
    *,
    critic: Critic,
    reference: nn.Module,
    texts: list[str],
    reward: Reward | nn.Module,
    kl_coef: float,
    config: Config,
    generator: torch.Generator,
) -> tuple[JudgedAnswers, dict[str, torch.Tensor], list[str]]:
    """One answer to each prompt, scored; what to learn from it, what to log, and the answers."""
    prompts, answers, written = write(
        policy, texts, max_new_tokens=config.max_new_tokens, generator=generator
    )
    mask = answers.completion_mask
    scores = score(reward, texts, written, prompts, answers)
    ref_log_probs = token_log_probs(reference, prompts, answers.tokens, mask)
    rewards = token_rewards(scores, answers.log_probs, ref_log_probs, mask, kl_coef=kl_coef)
    values = critic(prompts, answers.tokens, mask)
    advantages, returns = token_advantages(rewards, values, mask, lambda_=config.lambda_)
    if config.normalize_advantages:
        standard = standardise_per_run(advantages[None], mask[None])[0]  # all tokens are one run's
        advantages = torch.where(mask, standard, 0.0)
    batch = JudgedAnswers(
        prompts=prompts,
        tokens=answers.tokens,
        completion_mask=mask,
        log_probs=answers.log_probs,
        advantages=advantages,
        returns=returns,
    )
    measured = {
        "reward": scores.mean(),
        "kl": (answers.log_probs - ref_log_probs).sum(-1).mean(),  # k1 of whole answers
        "length": mask.sum(-1).float().mean(),
        "critic_error": masked_mean((values - returns) ** 2, mask),
    }
    return batch, measured, written


def improve(loop: Loop, batch: JudgedAnswers, config: Config) -> None:
    """The epochs: gradient steps on minibatches of answers, for policy and critic."""
    model, critic = loop.models["policy"], loop.models["critic"]
    for _ in range(config.num_epochs):
        order = torch.randperm(len(batch.tokens), generator=loop.generator)
        for rows in order.to(batch.tokens.device).tensor_split(config.num_minibatches):
            part = batch.take(rows)
            log_probs = token_log_probs(model, part.prompts, part.tokens, part.completion_mask)
            values = critic(part.prompts, part.tokens, part.completion_mask)
            loss = rlhf_loss(
                log_probs,
                old_log_probs=part.log_probs,
                advantages=part.advantages,
                values=values,
                returns=part.returns,
                completion_mask=part.completion_mask,
                clip_epsilon=config.clip_epsilon,
                value_coef=config.value_coef,
            )
            loop.gradient_step(loss.mean())


def train(
    policy: LanguageModel,
    reward: Reward | nn.Module,
    prompts: "Sequence[str] | Task",
    config: Config | None = None,
    *,
    reference: LanguageModel | None = None,
    watch: Mapping[str, Reward] | None = None,
    seed: int = 0,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    resume: str | Path | None = None,
) -> LoopResult:
    """PPO from `policy`, which stays as it is; the trained copy is `result.models["policy"]`.

    Its critic is there, too, as "critic". No other argument is changed, either.

    Args:
        reward: a function of lists of prompts and answers, or a reward model; it is not trained.
        prompts: to draw from, or a task that makes them.
        reference: pi_ref; `policy` by default.
        watch: name -> another function like `reward`, which is logged and not learned from.
        checkpoint, resume: folders; see `Loop`.

    Logged in each round, of the answers drawn in it, before it learns from them:
        reward: the mean score, in units of `reward`, without the price of the KL. It should rise,
            and then level off.
        kl: the mean over answers of log pi_theta - log pi_ref, summed over tokens: an estimate of
            KL(pi_theta || pi_ref) in nats. 0 at first, then it grows to where another nat
            costs as much as it earns; without an end, kl_coef is too small.
        length: of an answer, the mean, in tokens. At max_new_tokens, answers are cut.
        kl_coef: the price of a nat in this round, in units of the reward; without kl_target
            always the same.
        critic_error: the mean over tokens of (V - lambda-return)^2, in squared units of the
            reward. V begins at 0: it should fall within some rounds, to below the variance of
            the rewards.
    Each name in `watch` is logged, too: the mean of that function, in its own units. One that
    falls while reward rises says that the reward is being exploited.
    """
    config = config or Config()
    draw = prompt_source(policy, prompts, config.max_new_tokens)
    anchor = (reference or policy).model
    trained, critic = policy.copy(), Critic(policy.model)
    loop = Loop(
        {"policy": trained.model, "critic": critic},
        num_steps=config.num_steps,
        learning_rate={"policy": config.learning_rate, "critic": config.critic_learning_rate},
        schedule="linear",
        max_gradient_norm=config.max_gradient_norm,
        seed=seed,
        progress=progress,
        checkpoint=checkpoint,
        resume=resume,
    )
    kl_coef = loop.remember("kl_coef", torch.tensor(config.kl_coef))
    with loop:
        for _ in loop.steps():
            texts = draw(config.batch_size, loop.generator)
            batch, measured, written = collect(
                trained,
                critic=critic,
                reference=anchor,
                texts=texts,
                reward=reward,
                kl_coef=kl_coef.item(),
                config=config,
                generator=loop.generator,
            )
            improve(loop, batch, config)
            watched = {n: watcher(texts, written).mean() for n, watcher in (watch or {}).items()}
            loop.log(**measured, **watched, kl_coef=kl_coef)
            if config.kl_target is not None:
                kl = measured["kl"].cpu()
                kl_coef.copy_(
                    proportional_kl_coef(kl_coef, kl, config.kl_target, config.kl_horizon)
                )
    return loop.result()
