"""The reward model: padding, mates, two architectures, both gradients, training, bad input."""

import math

import pytest
import torch

from rlbook.formulas.preferences import preference_probability
from rlbook.ground.seeding import generator
from rlbook.language.annotators import Tone, annotate, compare
from rlbook.language.models import LanguageModel, make_model, make_tokenizer
from rlbook.language.reward_model import Config, RewardModel, move_left, to_tokens, train
from rlbook.language.tasks.reviews import Reviews

close = torch.testing.assert_close
TASK = Reviews()
TOKENIZER = make_tokenizer(TASK)
SMALL = {"hidden_size": 16, "layers": 1, "heads": 2}
PROMPTS = ["review of the novel", "review of the diner", "review of the novel"]
ANSWERS = ["it is dull", "the food is very fresh but the coffee is stale", ""]


def base(architecture="llama", seed=0):
    return make_model(TOKENIZER, architecture=architecture, seed=seed, **SMALL)


def reward_model(architecture="llama", seed=0):
    model = RewardModel(base(architecture, seed), TOKENIZER)
    torch.nn.init.normal_(model.head.weight, generator=generator(seed))
    return model


def pairs(n=64, seed=0):
    """Preferences without noise worth mentioning: utilities are far apart."""
    rng = generator(seed)
    rows = [(p, a, b) for (p, a), b in zip(TASK.pairs(n, rng), ["it is fine"] * n, strict=True)]
    return annotate(TASK, [r for r in rows if r[1] != r[2]], rng, random_share=0.0)


def learned(model, rows, config, **options) -> RewardModel:
    return train(model, rows, config, progress=False, **options).models["reward_model"]


architectures = pytest.mark.parametrize("architecture", ["llama", "gpt2"])


# --- what a reward is read from


@architectures
def test_reward_is_read_at_the_last_real_token(architecture):
    model = reward_model(architecture)
    (tokens, mask), rewards = to_tokens(TOKENIZER, PROMPTS, ANSWERS), []
    for row, real in zip(tokens, mask, strict=True):
        alone = row[real][None]
        assert alone[0, -1] == TOKENIZER.eos_token_id
        hidden = model.body(input_ids=alone).last_hidden_state
        rewards.append(hidden[0, -1] @ model.head.weight[0])
    close(model(tokens, mask), torch.stack(rewards))
    close(model.score(PROMPTS, ANSWERS, batch_size=2), torch.stack(rewards))


@architectures
def test_padding_and_mates_change_nothing(architecture):
    model = reward_model(architecture)
    tokens, mask = to_tokens(TOKENIZER, PROMPTS, ANSWERS)
    rewards = model(tokens, mask)
    for left, right in ((5, 0), (0, 5), (3, 2)):
        widened = torch.nn.functional.pad(tokens, (left, right), value=7)
        real = torch.nn.functional.pad(mask, (left, right), value=False)
        close(model(widened, real), rewards)
    behind = torch.where(mask, tokens, 9)  # what stands behind the end
    close(model(behind, mask), rewards)
    for i in range(3):
        close(model(tokens[i : i + 1], mask[i : i + 1]), rewards[i : i + 1])
    close(model(tokens.flip(0), mask.flip(0)), rewards.flip(0))


def test_left_padded_prompts_are_read_as_they_are():
    tokens = torch.tensor([[0, 0, 5, 6, 2, 0], [0, 7, 8, 9, 5, 2]])
    mask = torch.tensor([[0, 0, 1, 1, 1, 0], [0, 1, 1, 1, 1, 1]]).bool()
    moved, lengths = move_left(tokens, mask)
    assert lengths.tolist() == [3, 5]
    assert moved[0, :3].tolist() == [5, 6, 2] and moved[1].tolist() == [7, 8, 9, 5, 2]


def test_a_new_model_is_indifferent_and_leaves_its_base_alone():
    lm = base()
    before = {name: x.clone() for name, x in lm.state_dict().items()}
    model = RewardModel(lm, TOKENIZER)
    close(model.score(PROMPTS, ANSWERS), torch.zeros(3))
    trained = learned(model, pairs().pairs(), Config(num_steps=3, learning_rate=0.1))
    assert all((x == before[name]).all() for name, x in lm.state_dict().items())
    assert (trained.body.embed_tokens.weight != lm.model.embed_tokens.weight).any()


def test_it_shares_no_weights_with_its_base():
    lm = base()
    own = {id(p) for p in RewardModel(lm, TOKENIZER).parameters()}
    assert not own & {id(p) for p in lm.parameters()}


def test_half_precision_bodies_give_float32_rewards():
    model = RewardModel(base().to(torch.bfloat16), TOKENIZER)
    assert model.score(PROMPTS, ANSWERS).dtype == torch.float32


def test_centre_moves_all_rewards_by_one_number():
    model = reward_model()
    before = model.score(PROMPTS, ANSWERS)
    model.centre(PROMPTS, ANSWERS)
    close(model.score(PROMPTS, ANSWERS), before - before.mean())
    model.centre(PROMPTS, ANSWERS)
    close(model.score(PROMPTS, ANSWERS), before - before.mean())


# --- training


def test_a_step_follows_the_gradient_of_bradley_terry():
    """The gradient is that of -log sigma(R_w - R_l), with both answers alone in their batch."""
    model, data = reward_model(), pairs(n=4)
    rows = data.pairs()
    config = Config(num_steps=1, batch_size=1, learning_rate=1e-3)
    twin = reward_model()
    result = train(model, rows[:1], config, progress=False)
    r = [twin(*to_tokens(TOKENIZER, [rows[0][0]], [rows[0][side]])) for side in (1, 2)]
    expected = -preference_probability(*r).log()
    close(torch.from_numpy(result.log["loss"]), expected.double().detach())
    expected.backward()
    moved = result.models["reward_model"].head.weight - twin.head.weight
    assert (moved.sign() == -twin.head.weight.grad.sign()).all()


def test_the_loss_of_a_batch_compares_answers_of_one_prompt():
    """Each pair by itself, its two answers alone in their batches, in the order of the draw."""
    model, twin, rows = reward_model(), reward_model(), pairs(n=4).pairs()
    result = train(model, rows, Config(num_steps=1, batch_size=4), seed=3, progress=False)
    drawn = torch.randint(len(rows), (4,), generator=generator(3)).tolist()
    assert len(set(drawn)) > 1
    losses = []
    for prompt, *answers in (rows[i] for i in drawn):
        r = [twin(*to_tokens(TOKENIZER, [prompt], [answer])) for answer in answers]
        losses.append(-preference_probability(*r).log())
    loss = torch.cat(losses).mean().item()
    assert result.log["loss"] == pytest.approx([loss], abs=1e-6)


@architectures
def test_it_learns_what_the_annotators_like(architecture):
    data = pairs(n=200)
    model = RewardModel(base(architecture), TOKENIZER)
    config = Config(num_steps=60, batch_size=32, learning_rate=1e-2)
    result = train(model, data.pairs(), config, seed=1, progress=False)
    assert not result.interrupted
    model = result.models["reward_model"]
    scores = [model.score(data.prompts, side) for side in (data.answers_a, data.answers_b)]
    assert data.accuracy(*scores) > 0.5 * (0.5 + data.bayes_accuracy())
    close(torch.cat(scores).mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    assert result.log["loss"][-10:].mean() < math.log(2) - 0.05


def test_the_same_seed_gives_the_same_model():
    rewards = []
    for seed in (0, 0, 1):
        model = RewardModel(base(), TOKENIZER)
        model = learned(model, pairs().pairs(), Config(num_steps=3), seed=seed)
        rewards.append(model.score(PROMPTS, ANSWERS))
    assert (rewards[0] == rewards[1]).all() and (rewards[0] != rewards[2]).any()


def test_saved_and_loaded(tmp_path):
    model = reward_model("gpt2")
    model.centre(PROMPTS, ANSWERS)
    model.save(tmp_path)
    again = RewardModel.load(tmp_path)
    assert (again.score(PROMPTS, ANSWERS) == model.score(PROMPTS, ANSWERS)).all()
    with pytest.raises(FileNotFoundError, match="no reward model"):
        RewardModel.load(tmp_path / "other")


def test_each_step_can_be_watched_and_ended():
    told = []

    def watch(step, values):
        told.append(values)
        if step == 2:
            raise KeyboardInterrupt

    options = {"seed": 1, "progress": False, "on_step": watch}
    result = train(reward_model(), pairs().pairs(), Config(num_steps=5), **options)
    assert result.interrupted and len(told) == 3
    for name, row in result.log.items():
        assert row.tolist() == [values[name] for values in told[:2]]


# --- bad input


def test_two_equal_answers_are_left_out():
    rows, equal = pairs().pairs(), (PROMPTS[0], "it is dull", "it is dull")
    found = []
    for data in (rows, [equal, *rows[:7], equal, *rows[7:]]):
        model = learned(RewardModel(base(), TOKENIZER), data, Config(num_steps=3))
        found.append(model.score(PROMPTS, ANSWERS))
    assert (found[0] == found[1]).all()
    with pytest.raises(ValueError, match="no pairs"):
        train(reward_model(), [equal], progress=False)


def test_nan_keeps_what_was_learned():
    model = reward_model()
    with torch.no_grad():
        model.head.weight[0, 0] = torch.nan
    before = model.body.embed_tokens.weight.clone()
    with pytest.warns(UserWarning, match="nan"):
        result = train(model, pairs().pairs(), progress=False)
    after = result.models["reward_model"].body.embed_tokens.weight
    assert "step 0" in result.frozen and (after == before).all()


def test_no_pairs_no_text_too_much_text():
    model = reward_model()
    with pytest.raises(ValueError, match="no pairs"):
        train(model, [], progress=False)
    with pytest.raises(ValueError, match="row 1 has no real token"):
        model(torch.ones(2, 3, dtype=torch.long), torch.tensor([[True] * 3, [False] * 3]))
    with pytest.raises(ValueError, match="one shape"):
        model(torch.ones(2, 3, dtype=torch.long), torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="row 0 has more than 64 tokens"):
        model(torch.ones(2, 65, dtype=torch.long), torch.ones(2, 65, dtype=torch.bool))
    with pytest.raises(ValueError, match="one answer for each prompt"):
        model.score(PROMPTS, ANSWERS[:2])


# --- annotators


def test_comparisons_are_of_different_answers_and_their_probabilities_are_known():
    lm = LanguageModel(base(), TOKENIZER)
    data = compare(lm, TASK, 50, seed=3, noise=0.5, random_share=0.2)
    assert len(data.prompts) == len(data.pairs()) == 50
    assert all(a != b for a, b in zip(data.answers_a, data.answers_b, strict=True))
    utilities = [
        torch.tensor([TASK.utility(p, x) for p, x in zip(data.prompts, side, strict=True)]).double()
        for side in (data.answers_a, data.answers_b)
    ]
    doubled = [2 * u for u in utilities]
    close(data.probability, preference_probability(*doubled, random_share=0.2))
    close(data.accuracy(*utilities), data.bayes_accuracy())
    close(data.accuracy(*(-u for u in utilities)), 1 - data.bayes_accuracy())
    assert data.accuracy(torch.zeros(50), torch.zeros(50)) == 0.5
    for (_, chosen, rejected), wins, a in zip(
        data.pairs(), data.a_wins.tolist(), data.answers_a, strict=True
    ):
        assert (chosen == a) == wins and rejected != chosen


def test_annotators_choose_with_these_probabilities():
    row = ("review of the novel", "it is gripping", "it is fine")
    data = annotate(TASK, [row] * 4000, generator(5), random_share=0.5)
    share = data.a_wins.double().mean()
    assert abs(share - data.probability[0]) < 4 * math.sqrt(0.25 / 4000)


def test_a_model_that_says_one_thing_gives_no_pairs():
    lm = LanguageModel(base(), TOKENIZER)
    with pytest.raises(ValueError, match="different answers"):
        compare(lm, TASK, 5, seed=0, temperature=0.0, batch_size=8)
    with pytest.raises(ValueError, match="num_pairs"):
        compare(lm, TASK, 0, seed=0)
    for rows, noise in (([], 1.0), ([("", "", "it")], 0.0)):
        with pytest.raises(ValueError, match="positive noise"):
            annotate(TASK, rows, generator(0), noise=noise)


def test_the_tone_of_a_review_by_hand():
    opinions = lambda product, text: Tone().utility_terms(f"review of the {product}", text)  # noqa: E731
    assert opinions("novel", "the plot is very clever")["opinions"] == pytest.approx(2 * 1.5 * 0.9)
    both = opinions("novel", "the plot is very clever and it is dull")
    assert both["opinions"] == pytest.approx(1.5 * 0.9 - 1.2)  # twice the mean of two
    assert opinions("novel", "it is very dark")["opinions"] == pytest.approx(2 * 1.5 * 0.7 / 3)
    assert opinions("phone", "it is dark")["opinions"] == pytest.approx(-2 * 0.9 / 3)
    again = opinions("phone", "it is fast and it is fast")
    assert again["opinions"] == pytest.approx(2.4) and again["repetition"] == pytest.approx(-0.4)
    assert Tone().utility("", "") == TASK.utility("", "")
