"""Rewards and advantages of tokens."""

import pytest
import torch

from rlbook.formulas.token_rewards import last_tokens, token_advantages, token_rewards
from rlbook.ground.seeding import generator

F64 = {"dtype": torch.float64}
MASK = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)


def random_answers(rows: int = 3):
    rng = generator(19)
    log_probs, ref_log_probs, values = torch.randn(3, rows, 4, generator=rng, **F64)
    return torch.randn(rows, generator=rng, **F64), log_probs, ref_log_probs, values


def test_by_hand():
    log_probs = torch.tensor([[-1.0, -2.0, 7.0]], **F64)
    ref_log_probs = torch.tensor([[-1.5, -1.0, -7.0]], **F64)
    mask = torch.tensor([[True, True, False]])
    rewards = token_rewards(torch.tensor([3.0], **F64), log_probs, ref_log_probs, mask, kl_coef=0.1)
    torch.testing.assert_close(rewards, torch.tensor([[-0.05, 0.1 + 3, 0]], **F64))
    advantages, returns = token_advantages(
        rewards, torch.tensor([[1.0, 2.0, 9.0]], **F64), mask, lambda_=0.5
    )
    deltas = [-0.05 + 2 - 1, 3.1 - 2]
    expected = torch.tensor([[deltas[0] + 0.5 * deltas[1], deltas[1], 0]], **F64)
    torch.testing.assert_close(advantages, expected)
    torch.testing.assert_close(returns, expected + torch.tensor([[1.0, 2.0, 0]], **F64))


def test_rewards_of_an_answer_add_up():
    scores, log_probs, ref_log_probs, _ = random_answers()
    rewards = token_rewards(scores, log_probs, ref_log_probs, MASK, kl_coef=0.3)
    ratio = torch.stack(
        [(a - b)[m].sum() for a, b, m in zip(log_probs, ref_log_probs, MASK, strict=True)]
    )
    torch.testing.assert_close(rewards.sum(-1), scores - 0.3 * ratio)
    assert (rewards[~MASK] == 0).all()


def test_the_score_arrives_with_the_last_token():
    scores, log_probs, ref_log_probs, _ = random_answers()
    rewards = token_rewards(scores, log_probs, ref_log_probs, MASK, kl_coef=0.0)
    assert torch.equal(rewards != 0, last_tokens(MASK))
    assert torch.equal(last_tokens(MASK).nonzero()[:, 1], torch.tensor([2, 0, 3]))
    torch.testing.assert_close(rewards.sum(-1), scores)


def test_padding_changes_nothing():
    scores, log_probs, ref_log_probs, values = random_answers()
    spoiled = [torch.where(MASK, x, torch.nan) for x in (log_probs, ref_log_probs, values)]
    rewards = token_rewards(scores, log_probs, ref_log_probs, MASK, kl_coef=0.3)
    again = token_rewards(scores, spoiled[0], spoiled[1], MASK, kl_coef=0.3)
    assert torch.equal(rewards, again)
    ours = token_advantages(rewards, values, MASK, lambda_=0.9)
    for x, y in zip(ours, token_advantages(rewards, spoiled[2], MASK, lambda_=0.9), strict=True):
        assert torch.equal(x, y) and (x[~MASK] == 0).all()
    alone = token_rewards(
        scores[:1], log_probs[:1, :3], ref_log_probs[:1, :3], MASK[:1, :3], kl_coef=0.3
    )
    torch.testing.assert_close(alone, rewards[:1, :3])


@pytest.mark.parametrize("lambda_", [0.0, 1.0])
def test_limits_of_lambda(lambda_):
    """lambda 1: the rewards to come; lambda 0: one step, then the critic."""
    scores, log_probs, ref_log_probs, values = random_answers()
    rewards = token_rewards(scores, log_probs, ref_log_probs, MASK, kl_coef=0.3)
    _, returns = token_advantages(rewards, values, MASK, lambda_=lambda_)
    for row, length in enumerate(MASK.sum(-1).tolist()):
        for t in range(length):
            follows = values[row, t + 1] if t + 1 < length else 0.0
            expected = rewards[row, t:].sum() if lambda_ else rewards[row, t] + follows
            torch.testing.assert_close(returns[row, t], torch.as_tensor(expected, **F64))


def test_no_gradient_flows():
    scores, log_probs, ref_log_probs, values = (x.requires_grad_() for x in random_answers())
    rewards = token_rewards(scores, log_probs, ref_log_probs, MASK, kl_coef=0.3)
    advantages, returns = token_advantages(rewards, values, MASK, lambda_=0.9)
    assert not (rewards.requires_grad or advantages.requires_grad or returns.requires_grad)


def test_a_coefficient_for_each_run():
    scores, log_probs, ref_log_probs, _ = random_answers()
    prices = torch.tensor([0.0, 0.1, 0.5], **F64)
    together = token_rewards(scores, log_probs, ref_log_probs, MASK, kl_coef=prices.unsqueeze(-1))
    for row, price in enumerate(prices.tolist()):
        part = (x[row : row + 1] for x in (scores, log_probs, ref_log_probs, MASK))
        torch.testing.assert_close(token_rewards(*part, kl_coef=price)[0], together[row])


def test_one_answer_alone_and_batches_of_batches():
    scores, log_probs, ref_log_probs, values = random_answers()
    assert last_tokens(MASK[0]).tolist() == [False, False, True, False]

    def both(*parts):
        scores, log_probs, ref_log_probs, values, mask = parts
        rewards = token_rewards(scores, log_probs, ref_log_probs, mask, kl_coef=0.3)
        return rewards, *token_advantages(rewards, values, mask, lambda_=0.9)

    parts = scores, log_probs, ref_log_probs, values, MASK
    want = both(*parts)
    for x, y in zip(both(*(part[2] for part in parts)), want, strict=True):
        torch.testing.assert_close(x, y[2])
    for x, y in zip(both(*(torch.stack([p, p.flip(0)]) for p in parts)), want, strict=True):
        torch.testing.assert_close(x, torch.stack([y, y.flip(0)]))


def test_bad_input():
    scores, log_probs, ref_log_probs, _ = random_answers()
    with pytest.raises(ValueError, match=r"scores must have shape \(3,\), got \(3, 1\)"):
        token_rewards(scores.unsqueeze(1), log_probs, ref_log_probs, MASK, kl_coef=0.1)
    with pytest.raises(ValueError, match=r"^log_probs must have shape \(3, 4\), got \(3, 1\)"):
        token_rewards(scores, log_probs[:, :1], ref_log_probs, MASK, kl_coef=0.1)
    with pytest.raises(ValueError, match=r"ref_log_probs must have shape \(3, 4\)"):
        token_rewards(scores, log_probs, ref_log_probs[:, :3], MASK, kl_coef=0.1)
    with pytest.raises(ValueError, match="must be bool"):
        token_rewards(scores, log_probs, ref_log_probs, MASK.double(), kl_coef=0.1)
    with pytest.raises(ValueError, match=r"must be bool \(\.\.\., T\), got torch.bool \(\)"):
        last_tokens(torch.tensor(True))
    empty = MASK.clone()
    empty[1] = False
    with pytest.raises(ValueError, match=r"completion_mask\[1\] has no True"):
        token_rewards(scores, log_probs, ref_log_probs, empty, kl_coef=0.1)


def test_a_mask_that_begins_late():
    """As in a batch padded on the left: what stands before the answer gets nothing."""
    mask = torch.tensor([[False, True, True, False]])
    rewards, values = torch.tensor([[0.0, 1.0, 2.0, 0.0], [9.0, 4.0, 8.0, 9.0]], **F64).split(1)
    advantages, returns = token_advantages(rewards, values, mask, lambda_=0.5)
    last = 2.0 - 8.0
    first = 1.0 + 8.0 - 4.0 + 0.5 * last
    assert advantages.tolist() == [[0.0, first, last, 0.0]]
    assert returns.tolist() == [[0.0, first + 4.0, last + 8.0, 0.0]]
