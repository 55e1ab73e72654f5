"""RLHF with PPO: the loss against the exact gradient, masks, the critic, and training."""

import copy
import math
from functools import partial

import pytest
import torch

from rlbook.formulas.divergences import kl_regularized_optimum
from rlbook.formulas.token_rewards import token_advantages, token_rewards
from rlbook.ground.seeding import generator
from rlbook.language import rlhf
from rlbook.language.models import LanguageModel, encode, make_model, make_tokenizer
from rlbook.language.reward_model import RewardModel
from rlbook.language.rlhf import Critic
from rlbook.language.sampling import Answers, decode, sample, token_log_probs
from rlbook.language.scoring import prompt_source, score
from rlbook.language.solvable.model import AnswerTree, SolvableLM, World, exact_kl, expected_reward
from rlbook.language.solvable.training import SolvableConfig, train_solvable
from rlbook.language.tasks.reviews import Reviews

F64 = {"dtype": torch.float64}
SETTINGS = {"clip_epsilon": 0.2, "value_coef": 0.5}
SMALL = rlhf.Config(num_steps=3, batch_size=8, max_new_tokens=6)
TASK = Reviews()
TOKENIZER = make_tokenizer(TASK)


def tiny(architecture: str = "llama", seed: int = 0) -> LanguageModel:
    sizes = {"hidden_size": 16, "layers": 1, "heads": 2, "context": 32}
    model = make_model(TOKENIZER, architecture=architecture, seed=seed, **sizes)
    return LanguageModel(model, TOKENIZER)


def count_great(prompts, answers) -> torch.Tensor:
    return torch.tensor([float(answer.split().count("great")) for answer in answers])


def train(policy, reward=count_great, prompts=TASK, config=SMALL, **options):
    return rlhf.train(policy, reward, prompts, config, progress=False, **options)


def loss_of(log_probs, old, A, V, G, mask):
    numbers = {"old_log_probs": old, "advantages": A, "values": V, "returns": G}
    return rlhf.rlhf_loss(log_probs, **numbers, completion_mask=mask, **SETTINGS)


def random_batch():
    rng = generator(190)
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
    old, step, A, V, G = torch.randn(5, 3, 4, generator=rng, **F64)
    return old + step / 3, old, A, V, G, mask


# --- the loss


def test_loss_by_hand():
    numbers = (torch.tensor([x], **F64) for x in ([0.5, 0.0], [0.0, 0.0], [2.0, -1.0]))
    V, G = torch.tensor([[1.0, 0.0]], **F64), torch.tensor([[3.0, 0.5]], **F64)
    mask = torch.tensor([[True, True]])
    loss = loss_of(*numbers, V, G, mask)
    expected = -1.2 * 2.0 + 0.5 * 4.0 + 1.0 + 0.5 * 0.25  # the first ratio is clipped
    torch.testing.assert_close(loss, torch.tensor([expected], **F64))


def test_loss_does_not_see_the_padding():
    batch = random_batch()
    right = loss_of(*batch)
    spoiled = [torch.where(batch[-1], x, 100.0) for x in batch[:-1]]
    assert torch.equal(right, loss_of(*spoiled, batch[-1]))


def test_gradients_of_the_loss_go_to_policy_and_critic_only():
    *numbers, mask = random_batch()
    numbers = [x.requires_grad_() for x in numbers]
    loss = loss_of(*numbers, mask).sum()
    found = torch.autograd.grad(loss, numbers, allow_unused=True)
    assert found[0].any() and found[3].any()
    assert all(g is None or not g.any() for g in (found[1], found[2], found[4]))
    torch.testing.assert_close(found[3], torch.where(mask, (numbers[3] - numbers[4]), 0.0))


def test_the_numbers_of_the_loss_are_told_apart_by_name():
    with pytest.raises(TypeError, match="positional"):
        rlhf.rlhf_loss(*random_batch(), **SETTINGS)


def solvable():
    tree, rng = AnswerTree(("yes", "no", "stop"), max_length=3), generator(191)
    lm, ref = (SolvableLM(tree, num_prompts=2) for _ in range(2))
    for model in (lm, ref):
        model.logits.data += torch.randn(model.logits.shape, generator=rng, **F64)
    rewards = torch.randn(2, tree.num_answers, generator=rng, **F64)
    return tree, lm, ref, rewards, rng


@pytest.mark.parametrize("critic", ["any", "exact"])
def test_expected_gradient_is_that_of_the_objective(critic):
    """lambda 1: with any critic; lambda 0.5: with the exact one."""
    tree, lm, ref, rewards, rng = solvable()
    mask = tree.completion_mask.expand(2, -1, -1)
    logs, refs = lm.token_log_probs()[0], ref.token_log_probs()[0].detach()
    r = token_rewards(rewards, logs, refs, mask, kl_coef=0.4)
    if critic == "any":
        V, lambda_ = torch.randn(2, tree.num_contexts, generator=rng, **F64), 1.0
    else:
        V, lambda_ = lm.context_values(r).detach()[0], 0.5
    values = V[:, tree.contexts]
    A, G = token_advantages(r, values, mask, lambda_=lambda_)
    losses = loss_of(logs, logs.detach(), A, values, G, mask)
    log_pi = lm.answer_log_probs()[0]
    (found,) = torch.autograd.grad((log_pi.detach().exp() * losses).sum(), lm.logits)
    J = expected_reward(log_pi, rewards) - 0.4 * exact_kl(log_pi, refs.sum(-1))
    (exact,) = torch.autograd.grad(J.sum(), lm.logits)
    torch.testing.assert_close(found, -exact)


def test_ppo_reaches_the_exact_optimum():
    tree, _, ref, rewards, _ = solvable()
    reference = ref.answer_log_probs().detach()[0]
    world = World(tree, ("a", "b"), reference, rewards, torch.zeros(2, tree.num_answers, 3, **F64))

    def loss(batch):
        numbers = batch.rewards, batch.old_log_probs, batch.ref_log_probs, batch.completion_mask
        r = token_rewards(*numbers, kl_coef=0.3)
        A, G = token_advantages(r, batch.old_values, batch.completion_mask, lambda_=1.0)
        numbers = batch.log_probs, batch.old_log_probs, A, batch.values, G, batch.completion_mask
        return loss_of(*numbers).mean((1, 2))

    config = SolvableConfig(
        num_steps=150, group_size=32, learning_rate=0.05, inner_steps=2, critic=True
    )
    result = train_solvable(world, loss, config, num_runs=2, progress=False)
    best = kl_regularized_optimum(reference, rewards, kl_coef=0.3)[1].mean()
    gap = best - (result.reward - 0.3 * result.kl)
    assert (gap[:, -1] < 0.05 * gap[:, 0]).all()


# --- the critic


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_the_critic_reads_what_stands_before_a_token(architecture):
    language_model = tiny(architecture)
    critic = Critic(language_model.model)
    prompts = encode(TOKENIZER, ["review of the camera", "review"])
    tokens = torch.randint(5, 20, (2, 4), generator=generator(0))
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    assert not critic(prompts, tokens, mask).any()  # begins at 0
    critic.head.weight.data.normal_(generator=generator(1))
    values = critic(prompts, tokens, mask)
    assert not values[1, 2:].any()
    changed = tokens.clone()
    changed[0, 2], changed[1, 2:] = 30, 31
    again = critic(prompts, changed, mask)
    torch.testing.assert_close(again[0, :3], values[0, :3])
    torch.testing.assert_close(again[1], values[1])
    assert (again[0, 3] - values[0, 3]).abs() > 1e-4
    alone = encode(TOKENIZER, ["review"])
    torch.testing.assert_close(critic(alone, tokens[1:], mask[1:])[0], values[1])


def test_the_critic_is_a_copy():
    language_model = tiny()
    before = copy.deepcopy(language_model.model.state_dict())
    critic = Critic(language_model.model)
    for parameter in critic.parameters():
        parameter.data += 1
    after = language_model.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


# --- scores and prompts


def answers_of(model, prompts, n: int = 5) -> Answers:
    ids = {"eos_token_id": TOKENIZER.eos_token_id, "pad_token_id": TOKENIZER.pad_token_id}
    return sample(model, prompts, max_new_tokens=n, generator=generator(3), **ids)


def test_scores_of_a_reward_model_are_those_of_its_text():
    language_model = tiny()
    judge = RewardModel(language_model.model, TOKENIZER)
    judge.head.weight.data.normal_(generator=generator(1))
    texts = ["review of the camera", "review of the novel"]
    prompts = encode(TOKENIZER, texts)
    answers = answers_of(language_model.model, prompts)
    found = score(judge, texts, decode(TOKENIZER, answers), prompts, answers)
    rows = zip(prompts.tokens, prompts.mask, answers.tokens, answers.completion_mask, strict=True)
    for value, (p, p_mask, a, a_mask) in zip(found, rows, strict=True):
        tokens = torch.cat([p[p_mask], a[a_mask]])[None]
        alone = judge(tokens, torch.ones_like(tokens, dtype=torch.bool))[0]
        torch.testing.assert_close(value, alone.detach())
    assert not found.requires_grad


@pytest.mark.parametrize(
    "reward, fragment",
    [
        (lambda p, a: torch.zeros(len(p), 1), r"a tensor \(8,\), one number an answer; got \(8, 1"),
        (lambda p, a: torch.zeros(3), r"got \(3,\)"),
        (lambda p, a: [0.0] * len(p), "got list"),
    ],
)
def test_a_reward_of_the_wrong_shape_is_refused(reward, fragment):
    with pytest.raises(ValueError, match=fragment):
        train(tiny(), reward)


@pytest.mark.parametrize(
    "prompts, fragment",
    [
        ([], "at least one"),
        ("review", "must be a list"),
        (["review of the camera " * 10], "prompt 0"),
        (["review of the camera", "review of the zebra"], "prompt 1"),
    ],
)
def test_bad_prompts_are_refused_before_the_training(prompts, fragment):
    with pytest.raises(ValueError, match=fragment):
        train(tiny(), prompts=prompts)


def test_prompts_of_a_list_are_drawn_from_it():
    pool = ["review of the camera", "review of the novel"]
    draw = prompt_source(tiny(), pool, 6)
    assert set(draw(50, generator(0))) == set(pool)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_steps": 0},
        {"lambda_": 1.5},
        {"kl_coef": -0.1},
        {"clip_epsilon": 0.0},
        {"kl_target": 0.0},
        {"num_minibatches": 200},
    ],
)
def test_bad_settings(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        rlhf.Config(**wrong)


# --- training


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_it_learns(architecture):
    policy = tiny(architecture)
    before = copy.deepcopy(policy.model.state_dict())
    config = rlhf.Config(
        num_steps=25, batch_size=64, max_new_tokens=6, kl_coef=0.02, learning_rate=3e-3
    )
    watch = {"words": lambda p, a: torch.tensor([float(len(x.split())) for x in a])}
    result = train(policy, config=config, watch=watch)
    assert result.log["reward"][-3:].mean() > result.log["reward"][:3].mean() + 0.5
    assert abs(result.log["kl"][0]) < 1e-5 and result.log["kl"][-1] > 0.1
    assert set(result.log) == {"reward", "kl", "length", "critic_error", "kl_coef", "words"}
    after = policy.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)  # the reference


def test_a_high_price_holds_the_policy():
    settings = {"num_steps": 10, "batch_size": 32, "max_new_tokens": 6, "learning_rate": 3e-3}
    free, held = (
        train(tiny(), config=rlhf.Config(**settings, kl_coef=price)).log["kl"][-3:].mean()
        for price in (0.0, 10.0)
    )
    assert held < free / 2


def test_the_reference_may_be_another_model():
    result = train(tiny(), reference=tiny(seed=1))
    assert result.log["kl"][0] > 0.01


def test_the_price_follows_a_target():
    config = rlhf.Config(
        num_steps=4, batch_size=8, max_new_tokens=6, kl_target=1.0, kl_horizon=10.0
    )
    prices = train(tiny(), config=config).log["kl_coef"]
    assert prices[1] == pytest.approx(prices[0] * 0.98)  # far below the target


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_reward_that_is_no_number_stops_and_keeps_what_was_learned(value):
    rounds = iter([0.0, 0.0, value])

    def reward(prompts, answers):
        scores = count_great(prompts, answers)
        scores[2] += next(rounds)
        return scores

    with pytest.warns(UserWarning, match="the reward of answer 2"):
        result = train(tiny(), reward)
    assert "the reward of answer 2" in result.frozen and len(result.log["reward"]) == 2
    expected = train(tiny(), interrupted_after(2))  # same steps, other reason to stop
    same(result.models["policy"], expected.models["policy"])


def interrupted_after(rounds: int):
    left = iter(range(rounds))

    def reward(prompts, answers):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return count_great(prompts, answers)

    return reward


def same(one, other) -> None:
    state = other.state_dict()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_an_interruption_keeps_what_was_learned():
    result = train(tiny(), interrupted_after(2))
    assert result.interrupted and len(result.log["kl"]) == 2


def test_a_break_changes_nothing(tmp_path, monkeypatch):
    config = rlhf.Config(num_steps=4, batch_size=8, max_new_tokens=6, kl_target=1.0)
    whole = train(tiny(), config=config)
    monkeypatch.setattr(rlhf, "Loop", partial(rlhf.Loop, checkpoint_every=2))
    train(tiny(), interrupted_after(3), config=config, checkpoint=tmp_path)
    again = train(tiny(), config=config, checkpoint=tmp_path, resume=tmp_path)
    same(whole.models["policy"], again.models["policy"])
    same(whole.models["critic"], again.models["critic"])
    assert (whole.log["kl_coef"] == again.log["kl_coef"]).all()


def test_what_is_collected_is_what_the_formulas_say():
    """Rewards and advantages of a round, answer by answer, without padding."""
    policy = tiny()
    config = rlhf.Config(
        num_steps=1, batch_size=4, max_new_tokens=5, num_epochs=1, num_minibatches=1,
        normalize_advantages=False, kl_coef=0.2,
    )  # fmt: skip
    texts = ["review of the camera"] * 2 + ["review"] * 2
    critic = Critic(policy.model)
    reference = tiny(seed=1).model
    batch, _, written = rlhf.collect(
        policy,
        critic=critic,
        reference=reference,
        texts=texts,
        reward=count_great,
        kl_coef=0.2,
        config=config,
        generator=generator(0),
    )
    scores = count_great(texts, written)
    for row in range(4):
        n = int(batch.completion_mask[row].sum())
        alone = encode(TOKENIZER, texts[row : row + 1])
        own = batch.tokens[row : row + 1, :n], batch.completion_mask[row : row + 1, :n]
        refs = token_log_probs(reference, alone, *own)[0].detach()
        r = -0.2 * (batch.log_probs[row, :n] - refs)
        r[-1] += scores[row]
        decay = config.lambda_ ** torch.arange(n)
        slow = torch.stack([(decay[: n - t] * r[t:]).sum() for t in range(n)])  # V = 0
        torch.testing.assert_close(batch.advantages[row, :n], slow, atol=1e-5, rtol=1e-4)
        assert not batch.advantages[row, n:].any()
