"""What part IV claims of its estimators, proved on the solvable language model.

Nothing is sampled: each expectation is a sum over all answers, or over all groups of answers, and
is compared with another route to the same number. Where a claim names a bias, the test
computes this bias too, and the test fails if there is none.
"""

from itertools import product

import pytest
import torch

from rlbook.formulas.divergences import (
    answer_kl_estimate,
    kl_categorical,
    kl_estimate,
    kl_regularized_optimum,
)
from rlbook.formulas.group_advantages import (
    aggregate_token_losses,
    leave_one_out_advantages,
    outcome_advantages,
    process_advantages,
)
from rlbook.formulas.policy_gradients import clipped_surrogate_loss
from rlbook.formulas.preferences import bradley_terry_loss, dpo_loss, preference_probability
from rlbook.formulas.token_rewards import token_advantages, token_rewards
from rlbook.language.solvable.model import AnswerTree, SolvableLM, exact_kl, expected_reward

F64 = {"dtype": torch.float64}
TREE = AnswerTree(("a", "b", "end"), 3)
O, T = TREE.num_answers, TREE.max_length
MASK, LENGTHS = TREE.completion_mask, TREE.lengths
KINDS = ("k1", "k2", "k3")


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **F64)


def model(seed):
    """One run, one prompt."""
    lm = SolvableLM(TREE, 1)
    lm.logits.data = normal(*lm.logits.shape, seed=seed)
    return lm


LM, REF, OLD = model(0), model(1), model(2)
TOKENS = LM.token_log_probs()[0, 0]  # (O, T), with gradient; so are the next two
ANSWERS = TOKENS.sum(-1)
PI = ANSWERS.exp()
LAW = PI.detach()
REF_TOKENS = REF.token_log_probs().detach()[0, 0]
REF_ANSWERS = REF_TOKENS.sum(-1)
REWARDS = normal(O, seed=3)
WORDS, REF_WORDS = LM.word_log_probs()[0, 0], REF.word_log_probs().detach()[0, 0]  # (N, V)
BETA = 0.3


def grad(x):
    """The gradient in the logits, (N, V); zeros if there is none."""
    (g,) = torch.autograd.grad(x, LM.logits, retain_graph=True, allow_unused=True)
    return torch.zeros_like(LM.logits)[0, 0] if g is None else g[0, 0]


def close(left, right, atol=1e-13):
    torch.testing.assert_close(left, right, atol=atol, rtol=1e-10)


def cosine(a, b):
    return float((a * b).sum() / (a.norm() * b.norm()))


def visits(answers_log_probs):
    """P(context): the probabilities of the answers that pass, (N,)."""
    mass = torch.where(MASK, answers_log_probs.exp()[:, None], 0.0)
    return mass.new_zeros(TREE.num_contexts).index_add(0, TREE.contexts.flatten(), mass.flatten())


KL = exact_kl(ANSWERS, REF_ANSWERS)  # KL(pi || pi_ref)
FORWARD_KL = exact_kl(REF_ANSWERS, ANSWERS)  # KL(pi_ref || pi)


def estimate(kind, level):
    return answer_kl_estimate(TOKENS, REF_TOKENS, MASK, kind, level)


# --- KL estimates: values


@pytest.mark.parametrize("level", ["token", "answer"])
def test_means_of_the_estimates(level):
    """k1 and k3 have the mean KL(pi || pi_ref) at both levels; k2 misses it, of whole answers
    by (Var k1 + KL^2) / 2 - KL."""
    means = {kind: (PI * estimate(kind, level)).sum() for kind in KINDS}
    close(means["k1"], KL)
    close(means["k3"], KL)
    assert (means["k2"] - KL).abs() > 0.05
    if level == "answer":
        log_ratio = ANSWERS - REF_ANSWERS
        variance = (PI * (log_ratio - KL) ** 2).sum()
        close(means["k2"], (variance + KL**2) / 2)


def test_means_per_context():
    """In each context, over the words: KL(pi(.|context) || pi_ref(.|context))."""
    exact = kl_categorical(WORDS, REF_WORDS)
    for kind in ("k1", "k3"):
        close((WORDS.exp() * kl_estimate(WORDS, REF_WORDS, kind)).sum(-1), exact)
    law = visits(ANSWERS)
    close((law * exact).sum(), KL)  # and their sum under the contexts' law is that of answers


@pytest.mark.parametrize("kind", KINDS)
def test_variances_of_token_sums_by_the_martingale(kind):
    """Var of a sum over tokens = E sum over t of Var(x_t + V(next context) | context of t)."""
    per_token = torch.where(MASK, kl_estimate(TOKENS, REF_TOKENS, kind), 0.0).detach()
    mean = (LAW * per_token.sum(-1)).sum()
    direct = (LAW * (per_token.sum(-1) - mean) ** 2).sum()
    values = LM.context_values(per_token[None])[0, 0].detach()  # (N,)
    after = torch.zeros_like(per_token)  # V of the context that follows, 0 at the end
    after[:, :-1] = torch.where(MASK[:, 1:], values[TREE.contexts[:, 1:]], 0.0)
    surprise = torch.where(MASK, per_token + after - values[TREE.contexts], 0.0)
    close((LAW * (surprise**2).sum(-1)).sum(), direct)


def test_k3_varies_less_than_k1_near_the_reference_and_may_vary_more_far_away():
    """One step from the reference k3 varies a hundred times less. Where pi has left an answer
    that pi_ref likes, its ratio pi_ref / pi makes k3 the wild one."""

    def variances(log_pi):
        found = []
        for kind in ("k1", "k3"):
            k = kl_estimate(log_pi, REF_ANSWERS, kind)
            found.append(float((log_pi.exp() * (k - (log_pi.exp() * k).sum()) ** 2).sum()))
        return found

    near = (REF_ANSWERS + 0.05 * normal(O, seed=4)).log_softmax(-1)
    k1, k3 = variances(near)
    assert 100 * k3 < k1
    k1, k3 = variances((REF_ANSWERS - 6 * (REF_ANSWERS > REF_ANSWERS.median())).log_softmax(-1))
    assert k3 > k1


# --- KL estimates: gradients, as a loss on samples of pi


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_per_context(kind):
    """In one context: k1 zero, k2 that of KL(pi || pi_ref), k3 that of KL(pi_ref || pi)."""
    loss = (WORDS.exp().detach() * kl_estimate(WORDS, REF_WORDS, kind)).sum()
    exact = {
        "k1": 0 * WORDS.sum(),
        "k2": kl_categorical(WORDS, REF_WORDS).sum(),
        "k3": kl_categorical(REF_WORDS, WORDS).sum(),
    }
    close(grad(loss), grad(exact[kind]))
    assert (grad(exact["k2"]) - grad(exact["k3"])).abs().max() > 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_whole_answers(kind):
    """The same three, of whole answers: k2 is the loss whose gradient is that of the KL."""
    exact = {"k1": 0 * ANSWERS.sum(), "k2": KL, "k3": FORWARD_KL}
    close(grad((LAW * estimate(kind, "answer")).sum()), grad(exact[kind]))
    assert (grad(KL) - grad(FORWARD_KL)).abs().max() > 0.05


def test_gradients_of_token_sums_miss_by_the_law_of_the_contexts():
    """Summed over tokens, k2 and k3 differentiate the KLs of the contexts, with the law of pi over
    contexts held fixed. k2 so misses sum over contexts of grad P(context) times their KL; k3
    weighs the contexts as pi, not as pi_ref."""
    law, ref_law = visits(ANSWERS), visits(REF_ANSWERS)
    per_context = kl_categorical(WORDS, REF_WORDS)
    k2 = grad((LAW * estimate("k2", "token")).sum())
    close(k2, grad((law.detach() * per_context).sum()))
    close(grad(KL) - k2, grad((law * per_context.detach()).sum()))
    forward = kl_categorical(REF_WORDS, WORDS)
    k3 = grad((LAW * estimate("k3", "token")).sum())
    close(k3, grad((law.detach() * forward).sum()))
    close(grad(FORWARD_KL), grad((ref_law * forward).sum()))
    close(grad((LAW * estimate("k1", "token")).sum()), 0 * k2)
    for missed in (grad(KL) - k2, grad(FORWARD_KL) - k3, grad(KL) - k3):
        assert missed.abs().max() > 0.01


def test_gradients_as_a_reward():
    """E[k grad log pi], k a number: k1 of the answer gives the gradient of KL(pi || pi_ref). k3
    has the right mean, and yet misses by the gradient of KL(pi_ref || pi)."""

    def score(k):
        return grad((LAW * k.detach() * ANSWERS).sum())

    close(score(estimate("k1", "answer")), grad(KL))
    close(score(estimate("k1", "token")), grad(KL))
    close(score(estimate("k3", "answer")), grad(KL) - grad(FORWARD_KL))
    assert (score(estimate("k3", "answer")) - grad(KL)).abs().max() > 0.05


def test_answers_of_another_policy():
    """Drawn from pi_old, k3 is biased; weighted by pi / pi_old of the whole answer it is not, nor
    token by token by the product of the ratios so far; one token's own ratio is not enough."""
    old = OLD.token_log_probs().detach()[0, 0]
    old_law, ratio = old.sum(-1).exp(), (TOKENS - old)
    per_token = torch.where(MASK, kl_estimate(TOKENS, REF_TOKENS, "k3"), 0.0)
    mean = {
        "none": (old_law * per_token.sum(-1)).sum(),
        "token": (old_law * (ratio.exp() * per_token).sum(-1)).sum(),
        "prefix": (old_law * (ratio.cumsum(-1).exp() * per_token).sum(-1)).sum(),
        "answer": (old_law * ratio.sum(-1).exp() * per_token.sum(-1)).sum(),
    }
    close(mean["prefix"], KL)
    close(mean["answer"], KL)
    assert (mean["none"] - KL).abs() > 0.05 and (mean["token"] - KL).abs() > 0.05


# --- the policy gradient of tokens, with the KL as a reward


EXACT = grad((PI * REWARDS).sum() - BETA * KL)


def test_the_policy_gradient_with_rewards_of_tokens():
    """E[sum over t of grad log pi(o_t) times the rewards from t on] = grad(E[R] - beta KL)."""
    rewards = token_rewards(REWARDS, TOKENS, REF_TOKENS, MASK, kl_coef=BETA)
    assert not rewards.requires_grad
    close((LAW * rewards.sum(-1)).sum(), (LAW * REWARDS).sum() - BETA * KL.detach())
    to_go = rewards.flip(-1).cumsum(-1).flip(-1)
    close(grad((LAW * (to_go * TOKENS).sum(-1)).sum()), EXACT)


@pytest.mark.parametrize("critic", ["wrong", "exact"])
@pytest.mark.parametrize("lambda_", [1.0, 0.7, 0.0])
def test_ppos_first_gradient(lambda_, critic):
    """The clipped surrogate at pi = pi_old with GAE over tokens: exact for lambda 1 whatever the
    critic says, and for every lambda if the critic is exact. Else it is biased."""
    rewards = token_rewards(REWARDS, TOKENS, REF_TOKENS, MASK, kl_coef=BETA)
    values = LM.context_values(rewards[None])[0, 0].detach()
    values = values if critic == "exact" else normal(TREE.num_contexts, seed=5)
    advantages, _ = token_advantages(rewards, values[TREE.contexts], MASK, lambda_=lambda_)
    loss = clipped_surrogate_loss(TOKENS, TOKENS.detach(), advantages, clip_epsilon=0.2)
    got = -grad((LAW * torch.where(MASK, loss, 0.0).sum(-1)).sum())
    if lambda_ == 1 or critic == "exact":
        close(got, EXACT)
    else:
        assert (got - EXACT).abs().max() > 0.05


def test_the_optimum_is_stationary_and_maximal():
    best, value = kl_regularized_optimum(REF_ANSWERS, REWARDS, kl_coef=BETA)
    lm = SolvableLM(TREE, 1).represent(best[None])
    log_probs = lm.answer_log_probs()[0]
    objective = expected_reward(log_probs, REWARDS) - BETA * exact_kl(log_probs, REF_ANSWERS)
    close(objective[0], value)
    assert torch.autograd.grad(objective.sum(), lm.logits)[0].abs().max() < 1e-13
    assert EXACT.abs().max() > 0.01


# --- groups


def over_groups(advantages_of, G=2, weights=None):
    """The expected gradient of the mean over G answers of advantage times log pi: all groups.

    advantages_of: (O^G, G) answers -> (O^G, G), or (O^G, G, T) for tokens.
    """
    groups = torch.tensor(list(product(range(O), repeat=G)))
    chance = LAW[groups].prod(-1)
    advantages = advantages_of(groups)
    if advantages.ndim == 2:
        advantages = torch.where(MASK[groups], advantages[..., None], 0.0)
    losses = aggregate_token_losses(
        advantages * TOKENS[groups], MASK[groups], weights or "constant", max_length=1
    )
    return grad((chance * losses.mean(-1)).sum())


REWARD_GRADIENT = grad((PI * REWARDS).sum())


@pytest.mark.parametrize("G", [2, 3])
def test_group_baselines(G):
    """r - mean gives (1 - 1/G) of the gradient of E[R]; less the mean of the others, all of it."""
    centred = over_groups(lambda g: outcome_advantages(REWARDS[g], normalize_std=False), G)
    close(centred, (1 - 1 / G) * REWARD_GRADIENT)
    close(over_groups(lambda g: leave_one_out_advantages(REWARDS[g]), G), REWARD_GRADIENT)


def test_the_std_of_a_group_turns_three_values_but_not_two():
    two, three = (REWARDS > 0).to(REWARDS), (REWARDS * 1.5).round()
    assert len(two.unique()) == 2 and len(three.unique()) >= 3
    for rewards, turned in ((two, False), (three, True)):
        exact = grad((PI * rewards).sum())
        got = over_groups(lambda g, r=rewards: outcome_advantages(r[g]), 3)
        angle = 1 - cosine(got, exact)
        assert (angle > 1e-3) if turned else (abs(angle) < 1e-12), angle


def test_the_std_of_a_group_weighs_prompts_by_their_difficulty():
    """0/1 rewards, G = 2: a mixed group has std 1/2 whatever the prompt, so the gradient of p is
    kept; for G = 3 it is multiplied by sqrt(2) instead of 2/3, and for G = 4 by a function of p."""
    rewards = (REWARDS > 0).to(REWARDS)
    p, exact = float((LAW * rewards).sum()), grad((PI * rewards).sum())

    def factor(G):
        got = over_groups(lambda g: outcome_advantages(rewards[g]), G)
        close(got, exact * cosine(got, exact) * (got.norm() / exact.norm()))
        return float(got.norm() / exact.norm())

    assert factor(2) == pytest.approx(1.0)
    assert factor(3) == pytest.approx(2**0.5)
    # the mean of sqrt(k (G - k)) / G over k right ones, over p (1 - p)
    mean = 4 * (p * (1 - p) ** 3 + p**3 * (1 - p)) * 3**0.5 / 4 + 6 * (p * (1 - p)) ** 2 * 0.5
    groups = list(product((0.0, 1.0), repeat=4))
    advantages = outcome_advantages(torch.tensor(groups, **F64))
    chance = torch.tensor([p ** sum(g) * (1 - p) ** (4 - sum(g)) for g in groups], **F64)
    got = (chance[:, None] * advantages * torch.tensor(groups, **F64)).sum(0)[0]
    assert float(got) == pytest.approx(mean)
    assert abs(mean / (p * (1 - p)) - 3 / 4) > 0.1


def test_the_length_of_an_answer_as_a_divisor_is_another_objective():
    """E[(R/|o|) grad log pi] = grad E[R/|o|]: even a constant reward moves pi, to shorter
    answers. In a group without std: (1 - 1/G) (grad E[R/|o|] - E[R] grad E[1/|o|])."""
    inverse = 1 / LENGTHS.to(REWARDS)
    drift = grad((PI * inverse).sum())
    ones = torch.ones_like(REWARDS)
    close(over_groups(lambda g: ones[g], 2, "answer_mean"), drift)
    assert drift.abs().max() > 0.01
    shorter = SolvableLM(TREE, 1)
    shorter.logits.data = LM.logits.data + 0.01 * drift
    before, after = ((lm.answer_log_probs().exp() * LENGTHS).sum() for lm in (LM, shorter))
    assert after < before
    got = over_groups(
        lambda g: outcome_advantages(REWARDS[g], normalize_std=False), 2, "answer_mean"
    )
    mean = float((LAW * REWARDS).sum())
    close(got, 0.5 * (grad((PI * REWARDS * inverse).sum()) - mean * drift))
    assert 1 - cosine(got, REWARD_GRADIENT) > 1e-3


# --- steps


# Every token is a step, with a reward for what is written so far.
STEPS = torch.where(MASK, normal(TREE.num_contexts * TREE.num_words, seed=6)[LM.entry], 0.0)
ENDS = torch.arange(T).expand(O, T)


@pytest.mark.parametrize("looks_ahead", [False, True])
def test_rewards_of_steps_from_here_on_give_the_exact_gradient(looks_ahead):
    """If a step is judged by what is written up to its end; not if by what comes after, too."""
    steps = torch.where(MASK, normal(O, T, seed=6), 0.0) if looks_ahead else STEPS
    to_go = steps.flip(-1).cumsum(-1).flip(-1)
    error = over_groups(lambda g: to_go[g]) - grad((PI * steps.sum(-1)).sum())
    assert (error.abs().max() < 1e-13) != looks_ahead


@pytest.mark.parametrize("normalize_std", [False, True])
def test_the_stated_bias_of_process_supervision(normalize_std):
    """The group's mean over steps, m, is taken off once for each step to come, and their number
    depends on the answer: without std the gradient of E[sum of steps] is missed by
    E[m sum over t of (steps from t on) grad log pi(o_t)]."""

    def advantages(g):
        parts = STEPS[g], ENDS[g], MASK[g], MASK[g]
        return process_advantages(*parts, normalize_std=normalize_std)

    exact = grad((PI * STEPS.sum(-1)).sum())
    to_come = MASK.flip(-1).cumsum(-1).flip(-1).to(STEPS)

    def taken_off(g):
        m = STEPS[g].sum((1, 2)) / MASK[g].sum((1, 2))
        return torch.where(MASK[g], m[:, None, None] * to_come[g], 0.0)

    got, bias = over_groups(advantages), over_groups(taken_off)
    if not normalize_std:
        close(got, exact - bias)
    assert bias.abs().max() > 0.01 and 1 - cosine(got, exact) > 1e-3


# --- preferences


def test_the_gradient_of_bradley_terry():
    """-log sigmoid(r_w - r_l) has the gradient -(1 - P) in r_w and 1 - P in r_l; in expectation
    over all pairs of answers it is zero at the true rewards, shifted or not, and only there."""
    fitted = normal(O, seed=7).requires_grad_()
    w, l = (x.flatten() for x in torch.meshgrid(torch.arange(O), torch.arange(O), indexing="ij"))
    (got,) = torch.autograd.grad(bradley_terry_loss(fitted[w], fitted[l]).sum(), fitted)
    wrong = 1 - preference_probability(fitted[w], fitted[l]).detach()
    by_hand = torch.zeros(O, **F64).index_add(0, w, -wrong).index_add(0, l, wrong)
    close(got, by_hand)
    chance = LAW[w] * LAW[l] * torch.sigmoid(REWARDS[w] - REWARDS[l])
    for at, zero in ((REWARDS, True), (REWARDS + 3, True), (1.1 * REWARDS, False)):
        r = at.clone().requires_grad_()
        (g,) = torch.autograd.grad((chance * bradley_terry_loss(r[w], r[l])).sum(), r)
        assert (g.abs().max() < 1e-15) == zero


def test_dpo_rests_at_the_optimum():
    """Preferences of the true rewards over all pairs: DPO's expected gradient is zero at pi*."""
    w, l = (x.flatten() for x in torch.meshgrid(torch.arange(O), torch.arange(O), indexing="ij"))
    chance = LAW[w] * LAW[l] * torch.sigmoid(REWARDS[w] - REWARDS[l])
    for factor, zero in ((1.0, True), (1.5, False)):
        best, _ = kl_regularized_optimum(REF_ANSWERS, REWARDS, kl_coef=factor * BETA)
        lm = SolvableLM(TREE, 1).represent(best[None])
        answers = lm.answer_log_probs()[0, 0]
        of_pairs = answers[w], answers[l], REF_ANSWERS[w], REF_ANSWERS[l]
        loss = (chance * dpo_loss(*of_pairs, kl_coef=BETA)).sum()
        residual = torch.autograd.grad(loss, lm.logits)[0].abs().max()
        assert (residual < 1e-14) == zero, residual
