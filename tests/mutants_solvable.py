"""Mutants of the solvable language model, its training, GRPO's fixed points, and KLs of answers."""

from mutation import Mutant


def _mutants(module: str, within: str, *changes: tuple[str, str, str], **more) -> list[Mutant]:
    more = TESTS.get(module, {}) | more
    return [Mutant(module, old, new, why, within=within, **more) for old, new, why in changes]


LM, TRAINING = "language.solvable.model", "language.solvable.training"
FIXED = "language.solvable.fixed_points"
TESTS = {LM: {"tests": "test_solvable.py"}, TRAINING: {"tests": "test_solvable_training.py"}}

SOLVABLE: list[Mutant] = [
    *_mutants(
        "formulas.divergences",
        "answer_kl_estimate",
        ("log_probs = torch.where(completion_mask, log_probs, 0.0)", "pass", "no mask"),
    ),
    *_mutants(
        "formulas.divergences",
        "answer_kl_estimate",
        (
            "kl_estimate(log_probs, ref_log_probs, kind).sum(-1)",
            "kl_estimate(log_probs, ref_log_probs, kind).mean(-1)",
            "the mean over tokens is no KL of answers",
        ),
        (
            "kl_estimate(log_probs.sum(-1), ref_log_probs.sum(-1), kind)",
            "kl_estimate(log_probs, ref_log_probs, kind).sum(-1)",
            "the sum over tokens for the estimate of the answer",
        ),
        (
            "kl_estimate(log_probs.sum(-1), ref_log_probs.sum(-1), kind)",
            "kl_estimate(ref_log_probs.sum(-1), log_probs.sum(-1), kind)",
            "the two policies of a whole answer swapped",
        ),
        chapters=("20",),
    ),
    *_mutants(
        "formulas.divergences",
        "kl_regularized_optimum",
        ("rewards / kl_coef[..., None]", "rewards * kl_coef[..., None]", "beta R for R / beta"),
        ("ref_log_probs + rewards", "rewards", "the optimum without the reference"),
        ("tilted - log_z[..., None]", "tilted", "not normalised"),
        ("kl_coef * log_z", "log_z", "log Z for beta log Z"),
        chapters=("19",),
    ),
    *_mutants(
        LM,
        "AnswerTree.__post_init__",
        ("if len(prefix) == T - 1", "if len(prefix) >= 0", "answers that stop without a reason"),
        ("< lengths[:, None]", "< lengths[:, None] - 1", "the end-of-answer word masked out"),
        ("index[a[:t]]", "index[a[: max(t - 1, 0)]]", "the context of one token before"),
    ),
    *_mutants(
        LM,
        "AnswerTree.num_answers",
        ("len(self.tokens)", "len(self.tokens) - 1", "one answer less"),
    ),
    *_mutants(
        LM,
        "AnswerTree.num_contexts",
        ("len(self.prefixes)", "len(self.prefixes) + 1", "one context more"),
    ),
    *_mutants(
        LM,
        "AnswerTree.num_words",
        ("len(self.words)", "len(self.words) - 1", "the end-of-answer word not counted"),
    ),
    *_mutants(
        LM,
        "AnswerTree.text",
        ("[answer, : self.lengths[answer]]", "[answer]", "padding read as words"),
    ),
    *_mutants(
        LM,
        "SolvableLM.word_log_probs",
        ("log_softmax(-1)", "log_softmax(-2)", "normalised over contexts, not over words"),
    ),
    *_mutants(
        LM,
        "SolvableLM.token_log_probs",
        ("torch.where(self.completion_mask, taken, 0.0)", "taken", "padding has a probability"),
    ),
    *_mutants(
        LM,
        "SolvableLM.answer_log_probs",
        ("sum(-1)", "mean(-1)", "the mean over tokens for the sum"),
    ),
    *_mutants(
        LM,
        "SolvableLM.log_probs_of",
        (
            "torch.where(self.completion_mask[answers], taken.view_as(entries), 0.0)",
            "taken.view_as(entries)",
            "padding of drawn answers has a probability",
        ),
        ("self.entry[answers]", "self.entry[answers.flip(-1)]", "the tokens of another answer"),
    ),
    *_mutants(
        LM,
        "SolvableLM.sample",
        ("right=True", "right=False", "at u = 0 an answer of probability 0"),
        ("answer_log_probs().exp()", "answer_log_probs().exp().sqrt()", "a flatter law"),
    ),
    *_mutants(
        LM,
        "SolvableLM.context_values",
        (
            "torch.where(self.completion_mask, rewards, 0.0).flip(-1).cumsum(-1).flip(-1)",
            "torch.where(self.completion_mask, rewards, 0.0).cumsum(-1)",
            "rewards so far for rewards to come",
        ),
        (
            "self.token_log_probs().flip(-1).cumsum(-1).flip(-1).exp()",
            "self.token_log_probs().cumsum(-1).exp()",
            "the probability of the beginning for that of the rest",
        ),
        chapters=("19",),
    ),
    *_mutants(
        LM,
        "SolvableLM.represent",
        ("(mass - shift.gather(2, entry)).exp()", "mass.exp()", "tiny probabilities underflow"),
        ("torch.where(impossible, 0.0, logits)", "logits", "NaN where no answer passes"),
    ),
    *_mutants(
        LM,
        "expected_reward",
        ("log_probs.exp() * ", "log_probs * ", "log pi for pi"),
        chapters=("19",),
    ),
    *_mutants(
        LM,
        "exact_kl",
        (
            "kl_categorical(log_probs, ref_log_probs.expand_as(log_probs)",
            "kl_categorical(ref_log_probs.expand_as(log_probs), log_probs",
            "KL(pi_ref || pi)",
        ),
        chapters=("19",),
    ),
    *_mutants(
        LM,
        "frontier",
        ("exact_kl(best, ref_log_probs)", "exact_kl(ref_log_probs, best)", "KL(pi_ref || pi*)"),
    ),
    *_mutants(
        LM,
        "World.model",
        (".represent(self.reference)", "", "uniform words for the reference"),
    ),
    *_mutants(
        LM,
        "small_world",
        ("torch.where(wanted & new, 0.5, -0.5)", "torch.where(wanted, 0.5, -0.5)", "milk twice"),
        ("(tree.tokens != end)", "(tree.tokens != 0)", "an end is punished, milk is worth nothing"),
    ),
    *_mutants(
        TRAINING,
        "train_solvable",
        (
            "1 - step / num_steps if config.anneal_learning_rate else 1",
            "1",
            "the step does not fall",
        ),
        ("except KeyboardInterrupt", "except ZeroDivisionError", "Ctrl-C loses what was learned"),
    ),
    *_mutants(
        TRAINING,
        "_Trainer.learn",
        ("range(self.config.inner_steps)", "range(1)", "one inner step only"),
        ("replace(batch, log_probs=", "replace(batch, old_log_probs=", "pi_theta is never new"),
    ),
    *_mutants(
        TRAINING,
        "_Trainer.draw",
        (
            "ref_log_probs=self.ref_log_probs[prompts, answers]",
            "ref_log_probs=log_probs",
            "pi_old for pi_ref",
        ),
        ("self.world.rewards[prompts, answers]", "self.world.rewards[0][answers]", "of tea only"),
    ),
    *_mutants(
        TRAINING,
        "_Trainer.values",
        ("tree.contexts[batch.answers]", "tree.contexts[batch.answers].roll(-1, -1)", "V(next)"),
    ),
    *_mutants(
        TRAINING,
        "_Trainer.gradient_step",
        ("loss.sum().backward()", "loss.mean().backward()", "a mean over runs couples them"),
    ),
    *_mutants(
        "ground.frozen_step",
        "frozen_step",
        (
            "torch.where(row, before, p.data)",
            "torch.where(row, torch.nan, p.data)",
            "a frozen run loses its weights",
        ),
        ("p.grad.masked_fill_(row, 0.0)", "p.grad.zero_()", "all runs stop with one"),
        tests="test_solvable_training.py",
    ),
    *_mutants(
        TRAINING,
        "_Trainer.record",
        ("self.records.pop()", "pass", "a step recorded twice"),
        ("torch.where(going, x, torch.nan)", "x", "a frozen run is recorded as if it went on"),
    ),
    *_mutants(
        FIXED,
        "_groups",
        ("- torch.lgamma(counts + 1).sum(-1)", "", "multisets counted as if ordered alike"),
        (
            "outcome_advantages(values[groups])[..., 0]",
            "outcome_advantages(values[groups])[..., 1]",
            "the advantage of another member",
        ),
    ),
    *_mutants(
        FIXED,
        "expected_normalized_advantages",
        ("_groups(values, group_size)", "_groups(values, group_size + 1)", "one answer too many"),
    ),
    *_mutants(
        FIXED,
        "ExpectedGRPO.advantages",
        ("self.shrinkage * (rewards", "(rewards", "the lost 1 - 1/G"),
        ("rewards - self.kl_coef", "rewards + self.kl_coef", "the sign of the KL reward"),
    ),
    *_mutants(
        FIXED,
        "ExpectedGRPO.surrogate",
        ("log_probs.detach().exp() * self.weight", "log_probs.detach().exp()", "the lost 1/|o|"),
        ("gained - self.kl_coef * kl", "gained + self.kl_coef * kl", "the KL is sought"),
        (
            "law = log_probs.detach().exp()",
            "law = log_probs.exp()",
            "the law of the samples differentiated",
        ),
    ),
    *_mutants(
        FIXED,
        "ExpectedGRPO.update",
        ("self.surrogate(lm).sum()", "-self.surrogate(lm).sum()", "downhill"),
    ),
    *_mutants(
        FIXED,
        "ExpectedGRPO.fixed_point",
        (
            "(residual < tolerance).all():\n                break",
            "True:\n                break",
            "no step",
        ),
    ),
    *_mutants(
        FIXED,
        "frontier_gap",
        ("exact_kl(best, world.reference).mean(-1) > kl", "kl > 0", "not at the same KL"),
        ("- reward", "", "the frontier for the gap"),
    ),
]

MODULES = (LM, TRAINING, FIXED)
