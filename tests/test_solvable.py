"""The solvable language model: its tables by hand, and its exact quantities by two routes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbook.formulas.divergences import kl_categorical, kl_regularized_optimum
from rlbook.language.solvable.model import (
    AnswerTree,
    SolvableLM,
    exact_kl,
    expected_reward,
    frontier,
    small_world,
)

F64 = {"dtype": torch.float64}
SEEDS = st.integers(0, 10_000)


def random_model(tree, num_prompts=2, num_runs=3, seed=0, scale=1.0):
    lm = SolvableLM(tree, num_prompts, num_runs)
    lm.logits.data = scale * torch.randn(
        lm.logits.shape, generator=torch.Generator().manual_seed(seed), **F64
    )
    return lm


# --- the answers


def test_tree_by_hand():
    """a and b, then the end, two words at most: 7 answers, 3 contexts."""
    tree = AnswerTree(("a", "b", "end"), max_length=2)
    assert (tree.num_answers, tree.num_contexts, tree.num_words) == (7, 3, 3)
    texts = ["end", "a end", "b end", "a a", "a b", "b a", "b b"]
    assert [tree.text(o) for o in range(7)] == texts
    assert tree.prefixes == ((), (0,), (1,))
    assert tree.lengths.tolist() == [1, 2, 2, 2, 2, 2, 2]
    assert tree.tokens.tolist() == [[2, 0], [0, 2], [1, 2], [0, 0], [0, 1], [1, 0], [1, 1]]
    assert tree.contexts.tolist() == [[0, 0], [0, 1], [0, 2], [0, 1], [0, 1], [0, 2], [0, 2]]
    assert tree.completion_mask.tolist() == [[True, False]] + 6 * [[True, True]]


@pytest.mark.parametrize(("words", "length"), [(2, 1), (2, 4), (3, 3), (4, 1), (5, 4)])
def test_tree_lists_every_answer_once(words, length):
    tree = AnswerTree(tuple("abcde"[:words]), length)
    u = words - 1
    assert tree.num_contexts == sum(u**t for t in range(length))
    assert tree.num_answers == sum(u**t for t in range(length)) + u**length
    assert len({tree.text(o) for o in range(tree.num_answers)}) == tree.num_answers
    ends = tree.tokens.gather(1, tree.lengths[:, None] - 1).squeeze(1) == u
    assert ((tree.lengths == length) | ends).all()  # nothing stops without a reason
    early = torch.arange(length) < tree.lengths[:, None] - 1
    assert (tree.tokens[early] != u).all()  # nothing goes on after the end


@pytest.mark.parametrize(("words", "length"), [(("a",), 2), (("a", "a"), 2), (("a", "b"), 0)])
def test_tree_refuses(words, length):
    with pytest.raises(ValueError, match="two different words and one token"):
        AnswerTree(words, length)


# --- probabilities


def test_probabilities_by_hand():
    """Uniform words: 1/3 for "end", 1/9 for each of the six answers of two tokens."""
    lm = SolvableLM(AnswerTree(("a", "b", "end"), 2), num_prompts=1)
    expected = torch.tensor([3.0] + 6 * [9.0], **F64)
    torch.testing.assert_close(lm.answer_log_probs()[0, 0].exp(), 1 / expected)
    assert lm.token_log_probs()[0, 0, 0].tolist() == pytest.approx([-math.log(3), 0.0])


@given(SEEDS, st.sampled_from([(2, 1), (2, 3), (3, 3), (4, 2)]))
@settings(max_examples=20, deadline=None)
def test_probabilities_of_all_answers_sum_to_one(seed, sizes):
    lm = random_model(AnswerTree(tuple("abcd"[: sizes[0]]), sizes[1]), seed=seed, scale=3)
    total = lm.answer_log_probs().exp().sum(-1)
    torch.testing.assert_close(total, torch.ones(3, 2, **F64), atol=1e-12, rtol=0)


def test_every_answer_by_the_chain_rule_in_plain_python():
    lm = random_model(AnswerTree(("a", "b", "end"), 3))
    tables, got = lm.logits.softmax(-1), lm.answer_log_probs().exp()
    for o in range(lm.tree.num_answers):
        words = [lm.tree.words.index(word) for word in lm.tree.text(o).split()]
        for r, q in ((0, 0), (2, 1)):
            chance = 1.0
            for t, word in enumerate(words):
                chance *= tables[r, q, lm.tree.prefixes.index(tuple(words[:t])), word].item()
            assert got[r, q, o].item() == pytest.approx(chance, rel=1e-12)


def test_log_probs_of_sampled_answers_are_rows_of_the_table():
    lm = random_model(small_world().tree)
    answers = torch.randint(0, 341, (3, 2, 5), generator=torch.Generator().manual_seed(0))
    got = lm.log_probs_of(answers)
    every = lm.token_log_probs()
    for r, q, g in ((0, 0, 0), (2, 1, 4), (1, 0, 3)):
        torch.testing.assert_close(got[r, q, g], every[r, q, answers[r, q, g]])
    (first,) = torch.autograd.grad(got.sin().sum(), lm.logits)
    rows = every.gather(2, answers[..., None].expand(-1, -1, -1, 4))
    (second,) = torch.autograd.grad(rows.sin().sum(), lm.logits)
    torch.testing.assert_close(first, second)
    with pytest.raises(ValueError, match=r"answers must be \(3, 2, G\)"):
        lm.log_probs_of(answers[:1])


def test_sampling_inverts_the_distribution_function():
    """A fine even grid of uniforms meets each answer in proportion to its probability."""
    lm = random_model(AnswerTree(("a", "b", "end"), 2))
    n = 20_000
    uniforms = ((torch.arange(n, **F64) + 0.5) / n).expand(3, 2, n)
    counts = torch.nn.functional.one_hot(lm.sample(uniforms), 7).sum(2)
    torch.testing.assert_close(
        counts.double() / n, lm.answer_log_probs().exp().detach(), atol=1.01 / n, rtol=0
    )


def test_sampling_at_the_edges():
    """An answer of probability 0 is never drawn, at u = 0 and just below 1 either."""
    lm = SolvableLM(AnswerTree(("a", "b", "end"), 1), num_prompts=1)
    lm.logits.data[0, 0, 0] = torch.tensor([0.0, -torch.inf, -torch.inf])  # only "a"
    answers = lm.sample(torch.tensor([[[0.0, 0.5, 1 - 2**-53]]], **F64))
    assert [lm.tree.text(o) for o in answers.flatten().tolist()] == ["a", "a", "a"]


@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
def test_represent_gives_every_answer_its_probability(scale):
    tree = AnswerTree(("a", "b", "end"), 3)
    wanted = scale * torch.randn(2, 3, 15, generator=torch.Generator().manual_seed(0), **F64)
    wanted = wanted.log_softmax(-1)
    lm = SolvableLM(tree, num_prompts=3, num_runs=2).represent(wanted)
    torch.testing.assert_close(lm.answer_log_probs().detach(), wanted, atol=1e-9, rtol=1e-12)
    lm.represent(wanted[1])
    torch.testing.assert_close(lm.answer_log_probs()[0].detach(), wanted[1], atol=1e-9, rtol=1e-12)


def test_represent_a_certain_answer():
    tree = AnswerTree(("a", "b", "end"), 2)
    certain = torch.full((1, 7), -torch.inf, **F64)
    certain[0, 4] = 0.0
    lm = SolvableLM(tree, num_prompts=1).represent(certain)
    assert (lm.answer_log_probs().exp()[0] == certain.exp()).all()
    uniform = torch.full((1, 7), -math.log(7), **F64)
    torch.testing.assert_close(exact_kl(certain, uniform), torch.tensor([math.log(7)], **F64))
    assert not lm.logits.isnan().any()


def test_represent_refuses():
    lm = SolvableLM(AnswerTree(("a", "b", "end"), 2), num_prompts=2, num_runs=3)
    with pytest.raises(ValueError, match=r"\(2, 7\) or \(3, 2, 7\), got \(1, 7\)"):
        lm.represent(torch.zeros(1, 7))
    with pytest.raises(ValueError, match="must sum to 1"):
        lm.represent(torch.zeros(2, 7))


# --- exact quantities


def test_context_values_by_two_routes():
    """The value of a context is the mean over the answers that pass, with their probabilities;
    and what is earned from its token on, if rewards stand at tokens."""
    lm = random_model(AnswerTree(("a", "b", "end"), 3))
    tree, generator = lm.tree, torch.Generator().manual_seed(1)
    rewards = torch.randn(2, tree.num_answers, generator=generator, **F64)
    steps = torch.randn(3, 2, tree.num_answers, 3, generator=generator, **F64)
    values, step_values = lm.context_values(rewards), lm.context_values(steps)
    probabilities = lm.answer_log_probs().exp()
    assert values.shape == step_values.shape == (3, 2, tree.num_contexts)
    for n, prefix in enumerate(tree.prefixes):
        t = len(prefix)
        passes = (tree.lengths > t) & (tree.tokens[:, :t] == torch.tensor(prefix)).all(-1)
        here = probabilities * passes
        mean = (here * rewards).sum(-1) / here.sum(-1)
        torch.testing.assert_close(values[..., n], mean)
        later = (steps * tree.completion_mask)[..., t:].sum(-1)
        torch.testing.assert_close(step_values[..., n], (here * later).sum(-1) / here.sum(-1))
    torch.testing.assert_close(values[..., 0], expected_reward(lm.answer_log_probs(), rewards))
    with pytest.raises(ValueError, match=r"rewards must be \(..., 2, 15\)"):
        lm.context_values(rewards[:1])


def test_exact_kl_and_reward():
    lm = random_model(AnswerTree(("a", "b", "end"), 3))
    reference = random_model(lm.tree, num_runs=1, seed=1).answer_log_probs()[0]
    kl = exact_kl(lm.answer_log_probs(), reference)
    torch.testing.assert_close(
        kl, kl_categorical(lm.answer_log_probs(), reference.expand(3, 2, -1))
    )
    assert (kl > 0).all() and (exact_kl(reference, reference) == 0).all()
    ones = torch.ones(2, lm.tree.num_answers, **F64)
    torch.testing.assert_close(expected_reward(reference, 3 * ones), 3 * torch.ones(2, **F64))


def test_kl_of_answers_is_that_of_the_contexts_under_their_law():
    """The chain rule: KL of answers = E sum over t of KL(pi(.|o_<t) || pi_ref(.|o_<t))."""
    lm = random_model(AnswerTree(("a", "b", "end"), 3))
    reference = random_model(lm.tree, num_runs=1, seed=1)
    words, ref_words = lm.word_log_probs(), reference.word_log_probs().expand_as(lm.logits)
    per_context = kl_categorical(words, ref_words)  # (R, Q, N)
    at_tokens = per_context[..., lm.tree.contexts] * lm.tree.completion_mask
    total = (lm.answer_log_probs().exp() * at_tokens.sum(-1)).sum(-1)
    kl = exact_kl(lm.answer_log_probs(), reference.answer_log_probs()[0])
    torch.testing.assert_close(total, kl)


def test_the_frontier_bounds_every_policy():
    world = small_world()
    coefs = torch.logspace(-2, 1, 30, **F64)
    kl, reward = frontier(world.reference, world.rewards, coefs)
    down = torch.stack([kl.diff(), reward.diff()])
    assert (down < 1e-12).all() and (down[:, 5:] < 0).all()  # the first differ by rounding only
    for k, coef in ((5, coefs[5]), (20, coefs[20])):
        _, value = kl_regularized_optimum(world.reference, world.rewards, kl_coef=coef.item())
        torch.testing.assert_close(reward[k] - coef * kl[k], value.mean())
        rivals = random_model(world.tree, 3, 20, scale=0.3)
        rivals.logits.data += world.model().represent(world.reference).logits.data
        log_probs = rivals.answer_log_probs()
        objective = expected_reward(log_probs, world.rewards) - coef * exact_kl(
            log_probs, world.reference
        )
        assert (objective < value).all()


# --- the world


def test_small_world_by_hand():
    world = small_world()
    tree = world.tree
    texts = [tree.text(o) for o in range(tree.num_answers)]
    assert tree.num_answers == 341 and world.prompts == ("tea", "cake", "soup")
    reward = {
        (prompt, text): world.rewards[q, o].item()
        for q, prompt in enumerate(world.prompts)
        for o, text in enumerate(texts)
    }
    assert reward["tea", "milk sugar serve"] == 1.0
    assert reward["tea", "sugar sugar serve"] == 0.0
    assert reward["tea", "garlic garlic garlic garlic"] == -2.0
    assert reward["cake", "milk sugar salt serve"] == 1.5
    assert reward["soup", "salt garlic serve"] == 1.0
    assert reward["soup", "serve"] == 0.0
    o = texts.index("salt milk serve")
    assert world.step_rewards[0, o].tolist() == [-0.5, 0.5, 0.0, 0.0]


def test_small_world_is_fit_for_its_purpose():
    world = small_world()
    torch.testing.assert_close(world.reference.exp().sum(-1), torch.ones(3, **F64))
    assert world.reference.exp().max() < 0.2 and (world.reference.exp().min() > 0)
    torch.testing.assert_close(world.step_rewards.sum(-1), world.rewards)
    assert (world.step_rewards[:, ~world.tree.completion_mask] == 0).all()
    assert all(len(row.unique()) >= 3 for row in world.rewards)
    shares = [world.reference.exp()[:, world.tree.lengths == n].sum(-1) for n in (1, 2, 3, 4)]
    assert (torch.stack(shares) > 0.05).all()  # every length is met
    torch.testing.assert_close(
        world.model(2).answer_log_probs().detach(), world.reference.expand(2, -1, -1)
    )
