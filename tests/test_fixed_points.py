"""GRPO's expected update against all groups one by one, and where it is zero."""

from itertools import product

import pytest
import torch

from rlbook.formulas.divergences import answer_kl_estimate, kl_regularized_optimum
from rlbook.formulas.group_advantages import outcome_advantages
from rlbook.language.solvable.fixed_points import (
    ExpectedGRPO,
    expected_normalized_advantages,
    frontier_gap,
)
from rlbook.language.solvable.model import (
    AnswerTree,
    SolvableLM,
    World,
    exact_kl,
    expected_reward,
    small_world,
)
from rlbook.language.solvable.training import SolvableConfig, train_solvable

F64 = {"dtype": torch.float64}
WORLD = small_world()
UNBIASED = {"advantage": "leave_one_out", "aggregate": "constant"}
ANSWER_K2 = {"kl_kind": "k2", "kl_level": "answer"}


def tiny_world():
    """Seven answers to each of two prompts, rewards 0, 1 and 3, a reference that is not uniform."""
    tree = AnswerTree(("a", "b", "end"), 2)
    rewards = torch.tensor([[0.0, 1, 3, 0, 1, 3, 1], [3.0, 0, 0, 1, 1, 0, 3]], **F64)
    reference = random_model(tree, 1, 5).answer_log_probs()[0].detach()
    return World(tree, ("q", "p"), reference, rewards, torch.zeros(2, 7, 2, **F64))


def random_model(tree, num_runs, seed):
    lm = SolvableLM(tree, 2, num_runs)
    generator = torch.Generator().manual_seed(seed)
    lm.logits.data = torch.randn(lm.logits.shape, generator=generator, **F64)
    return lm


# --- the expected update, by two routes


@pytest.mark.parametrize("group_size", [2, 3, 4])
def test_expected_advantages_over_all_groups(group_size):
    """Three values, all ordered groups, the published formula in plain Python."""
    p, values = [0.5, 0.3, 0.2], [0.0, 1.0, 5.0]
    expected = []
    for mine in range(3):
        mean = 0.0
        for others in product(range(3), repeat=group_size - 1):
            group = [values[k] for k in (mine, *others)]
            centre = sum(group) / group_size
            std = (sum((r - centre) ** 2 for r in group) / group_size) ** 0.5
            chance = 1.0
            for k in others:
                chance *= p[k]
            mean += chance * (group[0] - centre) / std if std else 0.0
        expected.append(mean)
    got = expected_normalized_advantages(
        torch.tensor([p, [1.0, 0.0, 0.0]], **F64), torch.tensor(values, **F64), group_size
    )
    torch.testing.assert_close(got[0], torch.tensor(expected, **F64))
    alone = (group_size - 1) ** 0.5  # one other value among equal ones
    torch.testing.assert_close(got[1], torch.tensor([0.0, alone, alone], **F64))


def loss_of_a_group(tokens, ref, lengths, rewards, config):
    """Minus the objective of one group, as the papers write it: (G, T), (G, T), (G,), (G,)."""
    d = tokens - ref
    if config.get("kl_as") == "reward":
        rewards = rewards - 0.3 * d.detach().sum(-1)
    advantages = rewards - rewards.mean()
    G = len(rewards)
    if config.get("advantage", "normalized") == "normalized":
        std = (advantages**2).mean().sqrt()
        advantages = advantages / std if std > 0 else advantages
    if config.get("advantage") == "leave_one_out":
        advantages = advantages * G / (G - 1)
    d = d.sum(-1) if config.get("kl_level") == "answer" else d
    kinds = {"k1": d, "k2": d**2 / 2, "k3": (-d).exp() - 1 + d}
    kl = kinds[config.get("kl_kind", "k3")]
    kl = kl if config.get("kl_level") == "answer" else kl.sum(-1)
    kl = kl if config.get("kl_as") != "reward" else 0 * kl
    by = lengths if config.get("aggregate", "answer_mean") == "answer_mean" else 1
    return -((advantages.detach() * tokens.sum(-1) - 0.3 * kl) / by).mean()


CONFIGS = [
    {},
    {"kl_kind": "k1"},
    {"kl_kind": "k2"},
    {"kl_level": "answer"},
    {"aggregate": "constant"},
    {"advantage": "centred"},
    {**UNBIASED, **ANSWER_K2},
    {**UNBIASED, "kl_as": "reward"},
    {"advantage": "centred", "kl_as": "reward"},
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("group_size", [2, 3])
def test_expected_update_over_all_groups(config, group_size):
    """Every ordered group of the seven answers, with its probability, and autograd."""
    world = tiny_world()
    lm = random_model(world.tree, 2, 0)
    ref = world.model().token_log_probs().detach()[0]
    tokens = lm.token_log_probs()
    chances = tokens.detach().sum(-1).exp()
    total = 0.0
    for r, q in product(range(2), range(2)):
        for group in product(range(7), repeat=group_size):
            o = torch.tensor(group)
            loss = loss_of_a_group(
                tokens[r, q, o], ref[q, o], world.tree.lengths[o], world.rewards[q, o], config
            )
            total = total + chances[r, q, o].prod() * loss
    (gradient,) = torch.autograd.grad(-total, lm.logits)
    expected = ExpectedGRPO(world, group_size=group_size, kl_coef=0.3, **config).update(lm)
    torch.testing.assert_close(expected, gradient, atol=1e-13, rtol=1e-10)
    assert expected.abs().max() > 0.01


# --- the unbiased ones rest on the frontier


@pytest.mark.parametrize(
    "config",
    [
        {**UNBIASED, **ANSWER_K2},
        {**UNBIASED, "kl_as": "reward"},
        {**UNBIASED, "advantage": "centred", "kl_as": "reward"},
    ],
    ids=str,
)
@pytest.mark.parametrize("kl_coef", [0.1, 0.3, 1.0])
def test_the_optimum_is_stationary(config, kl_coef):
    best, _ = kl_regularized_optimum(WORLD.reference, WORLD.rewards, kl_coef=kl_coef)
    update = ExpectedGRPO(WORLD, group_size=8, kl_coef=kl_coef, **config).update
    at_best = update(WORLD.model().represent(best)).abs().max()
    assert at_best < 1e-13 < 1e-3 < update(WORLD.model()).abs().max()


def test_centred_rewards_with_a_loss_take_the_kl_for_dearer():
    """r - mean is (1 - 1/G) of the reward's gradient, the KL's loss is not: pi* of G / (G - 1)
    times the coefficient."""
    config = {"advantage": "centred", "aggregate": "constant", **ANSWER_K2}
    update = ExpectedGRPO(WORLD, group_size=8, kl_coef=0.3, **config).update
    for factor, stationary in ((8 / 7, True), (1.0, False)):
        best, _ = kl_regularized_optimum(WORLD.reference, WORLD.rewards, kl_coef=factor * 0.3)
        residual = update(WORLD.model().represent(best)).abs().max()
        assert (residual < 1e-13) == stationary, residual


@pytest.mark.parametrize(
    "change",
    [
        {"aggregate": "answer_mean"},
        {"advantage": "normalized"},
        {"kl_level": "token"},
        {"kl_kind": "k3"},
        {"kl_kind": "k1"},
    ],
    ids=str,
)
def test_one_change_and_the_optimum_is_not_stationary(change):
    best, _ = kl_regularized_optimum(WORLD.reference, WORLD.rewards, kl_coef=0.3)
    config = {**UNBIASED, **ANSWER_K2, **change}
    expected = ExpectedGRPO(WORLD, group_size=8, kl_coef=0.3, **config)
    assert expected.update(WORLD.model().represent(best)).abs().max() > 1e-3


@pytest.mark.parametrize("config", [ANSWER_K2, {"kl_as": "reward"}], ids=str)
def test_iteration_finds_the_optimum(config):
    coefs = torch.tensor([0.3, 1.0], **F64)
    found = ExpectedGRPO(WORLD, group_size=8, kl_coef=coefs, **UNBIASED, **config).fixed_point()
    for r, coef in enumerate(coefs):
        best, _ = kl_regularized_optimum(WORLD.reference, WORLD.rewards, kl_coef=coef)
        assert (found.lm.answer_log_probs()[r].exp() - best.exp()).abs().max() < 1e-8
    assert (found.residual < 1e-9).all() and found.residual.shape == (2, 3)
    gap = frontier_gap(WORLD, found.kl.mean(-1), found.reward.mean(-1))
    assert gap.abs().max() < 1e-8


# --- the published one does not


def test_the_published_fixed_point_is_off_the_frontier():
    """Residual below 1e-9 in every context; 0.01 to 0.02 of reward are missing at the same KL."""
    coefs = torch.tensor([0.3, 1.0], **F64)
    expected = ExpectedGRPO(WORLD, group_size=8, kl_coef=coefs)
    found = expected.fixed_point()
    assert (found.residual < 1e-9).all()
    assert expected.update(found.lm).abs().max() < 1e-9
    log_probs = found.lm.answer_log_probs().detach()
    torch.testing.assert_close(found.kl, exact_kl(log_probs, WORLD.reference))
    torch.testing.assert_close(found.reward, expected_reward(log_probs, WORLD.rewards))
    gap = frontier_gap(WORLD, found.kl.mean(-1), found.reward.mean(-1))
    assert (gap > 0.01).all() and (gap < 0.02).all(), gap


def test_the_fixed_point_does_not_depend_on_the_start():
    world = tiny_world()
    expected = ExpectedGRPO(world, group_size=4, kl_coef=0.2 * torch.ones(6))
    starts = random_model(world.tree, 6, 3).answer_log_probs().detach()
    found = expected.fixed_point(init=starts).lm.answer_log_probs().exp()
    assert (found - found[:1]).abs().max() < 1e-8
    assert (found[0] - expected.fixed_point().lm.answer_log_probs()[0].exp()).abs().max() < 1e-8


def test_frontier_gap_by_hand():
    """A policy that keeps the reference gains nothing at KL 0; pi* is on the frontier."""
    start = expected_reward(WORLD.reference, WORLD.rewards).mean()
    best, _ = kl_regularized_optimum(WORLD.reference, WORLD.rewards, kl_coef=0.4)
    kl = torch.stack([exact_kl(best, WORLD.reference).mean(), torch.tensor(0.0, **F64)])
    reward = torch.stack([expected_reward(best, WORLD.rewards).mean(), start])
    assert frontier_gap(WORLD, kl, reward).abs().max() < 1e-4
    torch.testing.assert_close(
        frontier_gap(WORLD, kl[:1], reward[:1] - 0.25), torch.tensor([0.25], **F64)
    )


@pytest.mark.slow
def test_trained_grpo_comes_to_its_own_fixed_point():
    """Published GRPO, ten of ten runs; 32 groups of 8 in each step, to have little noise."""

    def loss(batch):
        groups = batch.rewards.unflatten(-1, (32, 8))
        gained = outcome_advantages(groups).flatten(-2) * batch.log_probs.sum(-1)
        tokens = batch.log_probs, batch.ref_log_probs, batch.completion_mask
        kl = answer_kl_estimate(*tokens, "k3", "token")
        return ((0.3 * kl - gained) / batch.completion_mask.sum(-1)).mean((1, 2))

    found = ExpectedGRPO(WORLD, group_size=8, kl_coef=0.3).fixed_point()
    config = SolvableConfig(num_steps=300, group_size=256, learning_rate=0.05)
    result = train_solvable(WORLD, loss, config, progress=False)
    kl, reward = result.kl[:, -1], result.reward[:, -1]
    assert (kl - found.kl.mean()).abs().max() < 0.03
    assert (reward - found.reward.mean()).abs().max() < 0.01
    gap = frontier_gap(WORLD, kl, reward)
    exact = frontier_gap(WORLD, found.kl.mean(-1), found.reward.mean(-1))
    assert (gap - exact).abs().max() < 0.008 < 0.01 < exact


# --- refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group_size": 1}, "at least 2 answers to compare, got 1"),
        ({"group_size": 40}, "39 rewards of 8 values: more than 100,000 multisets"),
        ({"kl_coef": 0.0}, "kl_coef must be positive"),
        ({"advantage": "std"}, "advantage must be 'normalized'"),
        ({"aggregate": "token_mean"}, "aggregate must be 'answer_mean' or 'constant'"),
        ({"kl_as": "reward"}, r"kl_as must be 'loss', got 'reward'"),
    ],
)
def test_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ExpectedGRPO(WORLD, **{"group_size": 4, "kl_coef": 0.1, **change})


def test_shapes_are_checked_and_a_stop_before_the_end_warns():
    with pytest.raises(ValueError, match=r"\(..., K\) and \(K,\), got \(2,\) and \(3,\)"):
        expected_normalized_advantages(torch.ones(2, **F64) / 2, torch.ones(3, **F64), 2)
    with pytest.warns(UserWarning, match="the residual is still"):
        found = ExpectedGRPO(tiny_world(), group_size=2, kl_coef=0.1).fixed_point(max_iterations=3)
    assert found.iterations == 3 and (found.residual > 1e-6).all()
