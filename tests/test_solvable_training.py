"""The training loop of the solvable language model: what it draws, records, freezes and keeps."""

from dataclasses import replace

import pytest
import torch

from rlbook.formulas.divergences import answer_kl_estimate, kl_regularized_optimum
from rlbook.formulas.group_advantages import leave_one_out_advantages
from rlbook.formulas.policy_gradients import clipped_surrogate_loss
from rlbook.formulas.token_rewards import token_advantages, token_rewards
from rlbook.language.solvable.model import exact_kl, expected_reward, small_world
from rlbook.language.solvable.training import SolvableConfig, train_solvable

WORLD = small_world()
SHORT = SolvableConfig(num_steps=10, group_size=6, learning_rate=0.5)
SGD = replace(SHORT, optimizer=torch.optim.SGD)


def train(loss, config=SHORT, world=WORLD, **options):
    return train_solvable(world, loss, config, progress=False, **options)


def reinforce(kl_coef):
    """REINFORCE on R - kl_coef k1, k1 of the whole answer and detached, less the mean of the
    group's other answers."""

    def loss(batch):
        k1 = (batch.log_probs.detach() - batch.ref_log_probs).sum(-1)
        advantages = leave_one_out_advantages(batch.rewards - kl_coef * k1)
        return -(advantages * batch.log_probs.sum(-1)).mean((1, 2))

    return loss


# --- what the loss is given


def test_batch_by_the_tables():
    seen = []

    def loss(batch):
        seen.append(batch)
        return reinforce(0.1)(batch)

    train(loss, num_runs=2)
    assert len(seen) == 10
    batch = seen[0]
    tokens = WORLD.model(2).token_log_probs().detach()
    for r, q, g in ((0, 0, 0), (1, 2, 5)):
        o = batch.answers[r, q, g]
        torch.testing.assert_close(batch.log_probs[r, q, g].detach(), tokens[r, q, o])
        torch.testing.assert_close(batch.ref_log_probs[r, q, g], tokens[0, q, o])
        assert batch.rewards[r, q, g] == WORLD.rewards[q, o]
        assert (batch.step_rewards[r, q, g] == WORLD.step_rewards[q, o]).all()
        assert (batch.completion_mask[r, q, g] == WORLD.tree.completion_mask[o]).all()
    assert batch.answers.shape == (2, 3, 6) and batch.log_probs.requires_grad
    assert not batch.old_log_probs.requires_grad and batch.values is None
    later = seen[5]
    assert not torch.allclose(later.log_probs, later.ref_log_probs)
    torch.testing.assert_close(later.log_probs.detach(), later.old_log_probs)


def test_inner_steps_keep_the_answers_and_pi_old():
    seen = []

    def loss(batch):
        seen.append(batch)
        return reinforce(0.1)(batch)

    train(loss, replace(SHORT, inner_steps=3), num_runs=1)
    assert len(seen) == 30
    first, third, fourth = seen[0], seen[2], seen[3]
    assert (first.answers == third.answers).all() and (first.answers != fourth.answers).any()
    assert (first.old_log_probs == third.old_log_probs).all()
    assert not torch.allclose(third.log_probs, third.old_log_probs)


def test_the_critic_learns_the_values_of_contexts():
    """Trained alone, on the rewards of whole answers: V(q, context) = E[R | context]."""

    last = []

    def loss(batch):
        last[:] = [batch]
        error = torch.where(batch.completion_mask, batch.values - batch.rewards[..., None], 0.0)
        return (error**2).sum(-1).mean((1, 2))

    config = SolvableConfig(num_steps=400, group_size=64, learning_rate=0.3, critic=True)
    result = train(loss, config, num_runs=2)
    exact = WORLD.model(2).context_values(WORLD.rewards).detach()
    often = torch.tensor([len(prefix) < 2 for prefix in WORLD.tree.prefixes])
    assert (result.critic - exact)[..., often].abs().max() < 0.1
    assert (result.kl[:, -1] < 1e-12).all()  # no gradient reached the policy
    first = last[0].values[..., 0].detach()  # of the empty context, whatever the answer
    assert (first == first[..., :1]).all() and (first.abs() > 0.01).all()
    assert (last[0].values[~last[0].completion_mask] == 0).all()
    assert (last[0].old_values == last[0].values).all() and not last[0].old_values.requires_grad


# --- runs


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_a_run_alone_is_that_run_of_ten(optimizer):
    config = replace(SHORT, optimizer=optimizer)
    ten = train(reinforce(0.1), config, num_runs=10)
    one = train(reinforce(0.1), config, run_ids=[3])
    torch.testing.assert_close(one.lm.logits[0], ten.lm.logits[3], atol=1e-12, rtol=0)
    torch.testing.assert_close(one.kl[0], ten.kl[3], atol=1e-12, rtol=0)
    assert not torch.allclose(ten.kl[3], ten.kl[4]) and one.run_ids == (3,)
    other = train(reinforce(0.1), run_ids=[3], seed=1)
    assert not torch.allclose(other.kl[:, -1], one.kl[:, -1])


def test_records_are_exact():
    result = train(reinforce(0.1), replace(SHORT, record_every=4), num_runs=2)
    assert result.steps.tolist() == [0, 4, 8, 10]
    assert result.kl.shape == result.reward.shape == (2, 4)
    log_probs = result.lm.answer_log_probs()
    torch.testing.assert_close(result.kl[:, -1], exact_kl(log_probs, WORLD.reference).mean(-1))
    torch.testing.assert_close(
        result.reward[:, -1], expected_reward(log_probs, WORLD.rewards).mean(-1)
    )
    assert (result.kl[:, 0].abs() < 1e-12).all()
    assert not result.frozen and not result.interrupted


def test_init_and_anneal():
    best, _ = kl_regularized_optimum(WORLD.reference, WORLD.rewards, kl_coef=0.5)
    result = train(reinforce(0.1), SGD, num_runs=1, init=best)
    torch.testing.assert_close(result.kl[0, 0], exact_kl(best, WORLD.reference).mean())

    def constant(batch):  # a gradient of -1 for every entry of one row of logits
        return -batch.log_probs.sum((1, 2, 3)) * 0 - trained[0].sum((1, 2, 3))

    for anneal, moved in ((True, 0.5 * 5.5), (False, 0.5 * 10)):  # 1 + .9 + ... + .1, and 10
        trained = []
        moves = _moves(constant, trained, replace(SGD, anneal_learning_rate=anneal))
        torch.testing.assert_close(moves, torch.full_like(moves, moved))


def _moves(loss, trained, config):
    """How far each logit goes under a loss that sees the logits, which `trained` will hold."""
    from rlbook.language.solvable import training as module

    class Spy(module.SolvableLM):
        def __init__(self, *args):
            super().__init__(*args)
            trained.append(self.logits)

    before = module.SolvableLM
    module.SolvableLM = Spy
    try:
        result = train(loss, config, num_runs=1)
    finally:
        module.SolvableLM = before
    return (result.lm.logits - WORLD.model().logits).detach()


# --- accidents


def test_a_run_whose_loss_is_nan_freezes_alone():
    steps = []

    def loss(batch):
        steps.append(1)
        spoiled = torch.zeros(4, dtype=torch.float64)
        spoiled[2] = torch.nan if len(steps) == 5 else 0.0
        return reinforce(0.1)(batch) + spoiled

    config = replace(SHORT, record_every=2)
    with pytest.warns(UserWarning, match="run 2 is frozen: its loss .* not finite, after 4 steps"):
        result = train(loss, config, num_runs=4)
    clean = train(reinforce(0.1), config, num_runs=4)
    assert list(result.frozen) == [2]
    others = [0, 1, 3]
    torch.testing.assert_close(result.lm.logits[others], clean.lm.logits[others])
    assert result.lm.logits[2].isfinite().all()
    assert result.kl[2].isnan().tolist() == [False, False, False, True, True, True]
    assert exact_kl(result.lm.answer_log_probs(), WORLD.reference)[2].mean() > 0  # kept


def test_a_nan_reward_freezes_the_runs_that_meet_it():
    rare = WORLD.reference[0].argsort()[300]  # few runs draw it
    rewards = WORLD.rewards.clone()
    rewards[0, rare] = torch.nan
    with pytest.warns(UserWarning, match="is frozen: a reward is not finite"):
        result = train(reinforce(0.1), world=replace(WORLD, rewards=rewards))
    clean = train(reinforce(0.1))
    assert 0 < len(result.frozen) < 10
    others = [k for k in range(10) if k not in result.frozen]
    torch.testing.assert_close(result.lm.logits[others], clean.lm.logits[others])
    assert result.lm.logits.isfinite().all()


@pytest.mark.parametrize(("at", "recorded"), [(8, [0, 3, 6, 7]), (7, [0, 3, 6])])
def test_an_interruption_keeps_what_was_learned(at, recorded):
    steps = []

    def loss(batch):
        steps.append(1)
        if len(steps) == at:
            raise KeyboardInterrupt
        return reinforce(0.1)(batch)

    try:
        result = train(loss, replace(SHORT, record_every=3), num_runs=2)
    except KeyboardInterrupt:
        pytest.fail("what was learned is lost")
    assert result.interrupted and result.steps.tolist() == recorded
    assert (result.kl[:, -1] > 1e-3).all()


@pytest.mark.parametrize("name", ["num_steps", "group_size", "inner_steps", "record_every"])
def test_counts_are_checked(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        SolvableConfig(**{name: 0})


def test_bad_arguments():
    with pytest.raises(ValueError, match="learning_rate must be positive, got 0.0"):
        SolvableConfig(learning_rate=0.0)
    with pytest.raises(ValueError, match=r"loss must be \(10,\), one number a run, got \(\)"):
        train(lambda batch: reinforce(0.1)(batch).mean())
    with pytest.raises(ValueError, match="must sum to 1"):
        train(reinforce(0.1), init=WORLD.rewards)


# --- trained: the frontier


def answer_k2(kl_coef):
    """GRPO without std and 1/|o|, its KL a loss: k2 of whole answers, which has the gradient."""

    def loss(batch):
        advantages = leave_one_out_advantages(batch.rewards)
        kl = answer_kl_estimate(
            batch.log_probs, batch.ref_log_probs, batch.completion_mask, "k2", "answer"
        )
        return (kl_coef * kl - advantages * batch.log_probs.sum(-1)).mean((1, 2))

    return loss


def ppo(kl_coef):
    """PPO-RLHF: k1 of each token, detached, as its reward; a critic; the clip."""

    def loss(batch):
        mask = batch.completion_mask
        of_pi_old = batch.old_log_probs, batch.ref_log_probs, mask
        rewards = token_rewards(batch.rewards, *of_pi_old, kl_coef=kl_coef)
        advantages, returns = token_advantages(rewards, batch.old_values, mask, lambda_=0.95)
        ratios = batch.log_probs, batch.old_log_probs, advantages
        losses = clipped_surrogate_loss(*ratios, clip_epsilon=0.2)
        losses = losses + 0.5 * (batch.values - returns) ** 2
        return torch.where(mask, losses, 0.0).sum(-1).mean((1, 2))

    return loss


@pytest.mark.slow
@pytest.mark.parametrize("kl_coef", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("make_loss", [reinforce, ppo, answer_k2])
def test_trained_runs_reach_the_exact_optimum(make_loss, kl_coef):
    """Ten of ten runs come within 0.01 of kl_coef log Z; the reference is 0.12 to 0.67 below it."""
    config = SolvableConfig(num_steps=600, group_size=32, learning_rate=0.05)
    if make_loss is ppo:
        config = replace(config, critic=True, inner_steps=2)
    result = train(make_loss(kl_coef), config)
    _, value = kl_regularized_optimum(WORLD.reference, WORLD.rewards, kl_coef=kl_coef)
    gap = value.mean() - (result.reward - kl_coef * result.kl)[:, -1]
    assert (gap > 0).all() and (gap < 0.01).all(), gap
