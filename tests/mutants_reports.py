"""What went wrong elsewhere, done here on purpose: each must be caught by test_reports.py."""

from mutation import Mutant


def wrong(module: str, old: str, new: str, why: str, within: str | None = None) -> Mutant:
    return Mutant(module, old, new, why, within=within, tests="test_reports.py")


_RETURNS = [
    wrong("formulas.returns", "terminated | truncated, decay", "terminated, decay",
          "advantages leak over a time limit", "generalized_advantage_estimate"),
    wrong("formulas.returns", "mixed = torch.where(truncated[..., t], next_values[..., t], mixed)",
          "mixed = torch.where(truncated[..., t], 0.0, mixed)",
          "no future behind a time limit", "lambda_returns"),
    wrong("formulas.returns", "values, next_values, terminated, discount=discount)",
          "values, next_values, terminated.roll(1, -1), discount=discount)",
          "the end is read one step late", "generalized_advantage_estimate"),
    wrong("formulas.returns", "terminated | truncated, decay", "truncated, decay",
          "advantages leak over an end", "generalized_advantage_estimate"),
    wrong("formulas.returns", "torch.where(terminated, 0.0, next_values)", "next_values",
          "the state behind the end has a value", "td_targets"),
    wrong("formulas.returns", "rewards + discount * torch.where(terminated, 0.0, next_values)",
          "torch.where(terminated, 0.0, rewards + discount * next_values)",
          "the last reward is dropped", "td_targets"),
    wrong("formulas.returns", 'require.real("rewards", rewards, "(..., T)")', "pass",
          "whole rewards make whole returns", "_check_steps"),
    wrong("tabular.td_prediction",
          "trace, changes = torch.zeros_like(rows.values), torch.zeros_like(rows.values)",
          "changes = torch.zeros_like(rows.values)\n"
          "            trace = locals().get('trace', torch.zeros_like(rows.values))",
          "traces live on in the next episode", "td_lambda"),
]  # fmt: skip

_ACTIONS = [
    wrong("formulas.exploration", "maxima / maxima.sum(dim=-1, keepdim=True)",
          "torch.zeros_like(q).scatter(-1, q.argmax(-1, keepdim=True), 1.0)",
          "of equal values the first wins", "greedy_policy"),
    wrong("tabular.control_loop", "order <= pick * order[-1]",
          "order <= (pick * (order[-1] + 1) - 1).clamp(min=0)",
          "a tie with the first action counts twice", "epsilon_greedy_actions"),
    wrong("ground.draws", "(cumulative > threshold.unsqueeze(-1))",
          "(cumulative >= threshold.unsqueeze(-1))", "probability zero is drawn", "inverse_cdf"),
    wrong("tabular.schedules", "(count / over).clamp(max=1)", "(count / over * 3).clamp(max=1)",
          "near its end after a third of the way", "linear"),
    wrong("deep.dqn", "fraction / self.exploration_fraction", "fraction",
          "falls over the whole training", "Config.epsilon"),
    wrong("formulas.exploration", "if not q.is_floating_point():", "if False:",
          "an epsilon like whole numbers", "epsilon_greedy_policy"),
]  # fmt: skip

_ENVIRONMENTS = [
    wrong("deep.parts.envs.gymnasium_envs",
          'next_observations[run, env] = steps[run][4]["final_obs"][env]', "pass",
          "the last observation is that of the reset", "GymnasiumEnvs.step"),
    wrong("deep.parts.envs.gymnasium_envs", "valid = ~self._ended",
          "valid = np.ones_like(self._ended)", "a reset is a step", "GymnasiumEnvs.step"),
    wrong("deep.parts.envs.gymnasium_envs", "return numbers + self.action_start", "return numbers",
          "actions begin at 0", "GymnasiumEnvs._actions"),
    wrong("deep.parts.envs.gymnasium_envs", "numbers.clip(space.low, space.high)", "numbers",
          "actions leave the box", "GymnasiumEnvs._actions"),
    wrong("deep.parts.rollouts", "= observations, chosen, step.rewards",
          "= observations, chosen.clamp(-1, 1), step.rewards",
          "clipped actions are remembered", "collect"),
    wrong("deep.parts.envs.gymnasium_envs", "self.streams.integers(MAX_SEED, self.num_envs)",
          "self.streams.integers(MAX_SEED, 1).expand(-1, self.num_envs)",
          "one seed for all", "GymnasiumEnvs.reset"),
    wrong("deep.parts.results", "not running.any()", "not running.all()",
          "the first episodes that end", "evaluate"),
]  # fmt: skip

_MEMORIES = [
    wrong("deep.parts.replay", "terminated=rollout.terminated.gather(-1, last)",
          "terminated=(rollout.terminated | rollout.truncated).gather(-1, last)",
          "a time limit is kept as an end", "n_step_transitions"),
    wrong("deep.parts.replay", "goes_on = ~(rollout.terminated | rollout.truncated)",
          "goes_on = torch.ones_like(rollout.valid)", "n steps cross an end", "n_step_transitions"),
    wrong("deep.parts.replay", "torch.where(longer, discount * discounts, discounts)", "discounts",
          "n steps have the discount of one", "n_step_transitions"),
    wrong("deep.parts.replay", "min(self.added, self.capacity)", "self.capacity",
          "the ring is full too early", "Replay.size"),
    wrong("deep.parts.replay", "kept[:, : count - split] = x[:, split:]", "pass",
          "what goes around is lost", "Replay.add"),
    wrong("deep.parts.replay", "self._next + back)", "self._next + back + 1)",
          "the newest transition leads to the oldest", "Replay.latest"),
    wrong("deep.parts.replay", "kept[:, :size] = state[name]", "pass",
          "a training goes on without its memory", "Replay.load_state"),
]  # fmt: skip

_STATISTICS = [
    wrong("deep.parts.normalization", "new = keep.sum(1)", "new = keep.sum(1).clamp(max=1)",
          "a batch counts as one observation", "RunningNormalizer.update"),
    wrong("deep.parts.normalization", "delta.square() * self.count * share",
          "(delta * (1 - share)).square() * self.count * share",
          "the distance of the new mean", "RunningNormalizer.update"),
    wrong("deep.parts.normalization", "squares = self.count * self.var + deviation",
          "squares = deviation", "the sum of squares is overwritten", "RunningNormalizer.update"),
    wrong("deep.parts.normalization", "valid.flatten(1) & x.isfinite().all(-1)",
          "valid.flatten(1)", "NaN enters the statistics", "RunningNormalizer.update"),
    wrong("ground.masking", "mean_per_run(centred**2, mask).sqrt()", "x.flatten(1).std(1)",
          "the sample deviation of one", "standardise_per_run"),
    wrong("formulas.group_advantages", "mask & (high > low)", "mask & (high > -torch.inf)",
          "rounding errors by rounding errors", "_normalized"),
    wrong("formulas.group_advantages", "return _normalized(rewards, everywhere, normalize_std)",
          "return _normalized(rewards.flatten(), everywhere.flatten(), normalize_std)"
          ".view_as(rewards)", "groups are compared with each other", "outcome_advantages"),
]  # fmt: skip

_NETWORKS = [
    wrong("deep.dqn", "copy.deepcopy(online).requires_grad_(False)", "online",
          "the target is the online network", "make_networks"),
    wrong("deep.parts.networks", "old.copy_(new)", "old.data = new.data",
          "the target is handed the network itself", "polyak_update"),
    wrong("deep.parts.networks", "advantage.mean(-1, keepdim=True)", "advantage.mean()",
          "one mean for a batch", "_dueling"),
    wrong("deep.parts.networks", "gradient.mul_(scale.view(",
          "gradient.mul_((max_norm / _norms([gradient])).clamp(max=1.0).view(",
          "clipped tensor by tensor", "clip_gradients_per_run"),
    wrong("deep.parts.networks", 'require.positive("max_norm", max_norm)', "pass",
          "a bound of 0 or less", "clip_gradients_per_run"),
    wrong("formulas.policy_gradients",
          "require.same_shape(log_probs=log_probs, old_log_probs=old_log_probs, "
          "advantages=advantages)", "pass", "all pairs of a batch", "clipped_surrogate_loss"),
    wrong("deep.ppo", "- config.entropy_coef * entropy", "+ config.entropy_coef * entropy",
          "exploring costs", "ppo_loss"),
]  # fmt: skip

_GOING_ON = [
    wrong("ground.saving", "if k.startswith(prefix)", "if k is None", "Adam begins anew",
          "load_optimizer"),
    wrong("deep.parts.training", "range(self.updates_done, count)",
          "range(count - self.updates_done)", "schedules begin anew", "Training.updates"),
    wrong("deep.dqn", "config.epsilon(1.0 if run.further else run.fraction)",
          "config.epsilon(run.fraction)", "exploration begins anew", "train"),
    wrong("deep.parts.normalization", 'torch.zeros(num_runs, size, dtype=F64, device=device))',
          'torch.zeros(num_runs, size, dtype=F64, device=device), persistent=False)',
          "the mean is not saved", "RunningNormalizer.__init__"),
    wrong("deep.parts.normalization", "self._check(observations)", "self.update(observations)",
          "an evaluation changes the statistics", "RunningNormalizer.forward"),
]  # fmt: skip

_LANGUAGE = [
    wrong("formulas.divergences", "torch.expm1(-difference) + difference",
          "torch.expm1(difference) - difference", "the ratio upside down", "kl_estimate"),
    wrong("formulas.divergences", "return difference**2 / 2", "return difference",
          "k2 may be negative", "kl_estimate"),
    wrong("formulas.token_rewards", "ends = last_tokens(completion_mask)",
          "ends = torch.zeros_like(completion_mask)", "padding leaks into advantages",
          "token_advantages"),
    wrong("ground.masking", "count = mask.sum(dim)", "count = torch.ones_like(mask).sum(dim)",
          "divided by the padding too", "_mean_where"),
    wrong("formulas.group_advantages", "return total / max_length", "return total / lengths",
          "long answers count less", "aggregate_token_losses"),
    wrong("formulas.group_advantages", "total / lengths.clamp(min=1)", "total / losses.shape[-1]",
          "a mean over the padding", "aggregate_token_losses"),
    wrong("formulas.preferences", "return bradley_terry_loss(chosen_rewards, rejected_rewards)",
          "return bradley_terry_loss(chosen_rewards / 2, rejected_rewards / 4)",
          "lengths are divided out", "dpo_loss"),
    wrong("language.grpo_loss", "torch.where(completion_mask, log_probs, 0.0)", "log_probs",
          "a gradient through the padding", "grpo_loss"),
    wrong("language.rlhf", "(torch.where(completion_mask, x, 0.0) for x in (log_probs, values))",
          "(log_probs, values)", "a gradient through the padding", "rlhf_loss"),
    wrong("language.reader", "(mask.cumsum(-1) - 1).clamp(min=0)",
          "(torch.ones_like(mask).cumsum(-1) - 1)", "padding moves the positions", "last_outputs"),
    wrong("language.reader", "[:, -keep:]", "[:, -keep - 1 : -1]",
          "read one place too early", "last_outputs"),
    wrong("language.sampling", "mask[rows, t] = going",
          "mask[rows, t] = going & (drawn != pad_token_id)", "the end is padding", "sample"),
    wrong("language.reward_model", "tokens, lengths = move_left(tokens, mask)",
          "lengths = mask.sum(-1)", "a reward is read on padding", "RewardModel.forward"),
    wrong("language.rlhf", "trained, critic = policy.copy()", "trained, critic = policy",
          "the reference is trained", "train"),
]  # fmt: skip

_CURED = [
    wrong("deep.parts.envs.watched", "observation = np.array(observation)", "pass",
          "the reset writes over the last observation", "Watched.step"),
    wrong("ground.masking", "torch.where(low == high, 0.0, standard)", "standard",
          "rounding errors by rounding errors", "standardise_per_run"),
    wrong("deep.dqn", "require.same_shape(rewards=rewards, terminated=terminated)", "pass",
          "targets of all pairs", "q_targets"),
    wrong("deep.dqn", "require.same_shape(actions=actions, targets=targets)", "pass",
          "losses of all pairs", "q_loss"),
    wrong("deep.parts.replay", 'require.real("rewards", rollout.rewards, "(R, E, T)")', "pass",
          "a discount like whole rewards", "n_step_transitions"),
]  # fmt: skip

REPORTS = [
    *_RETURNS,
    *_ACTIONS,
    *_ENVIRONMENTS,
    *_MEMORIES,
    *_STATISTICS,
    *_NETWORKS,
    *_GOING_ON,
    *_LANGUAGE,
    *_CURED,
]
