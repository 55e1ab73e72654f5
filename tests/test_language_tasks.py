"""Tasks of language: their text, their verifiers, and where steps end in tokens."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from rlbook.ground.seeding import generator
from rlbook.language.models import encode_answers, make_tokenizer
from rlbook.language.tasks import reviews
from rlbook.language.tasks.arithmetic import Arithmetic
from rlbook.language.tasks.reviews import Reviews
from rlbook.language.tasks.task import TASKS, steps_of_tokens

RIGHT = "7+5=12;4+8+1=13;132"
ANY_TEXT = (
    st.text()
    | st.text("0123456789+=;")
    | st.lists(st.sampled_from(Reviews.vocabulary)).map(" ".join)
)


# ---------------------------------------------------------------- text


@pytest.mark.parametrize("task", [Arithmetic(), Reviews()], ids=lambda task: task.name)
def test_text_is_what_the_task_says(task):
    pairs = task.pairs(500, generator(0))
    assert TASKS[task.name]() == task
    assert pairs == task.pairs(500, generator(0)) and pairs != task.pairs(500, generator(1))
    assert task.prompts(3, generator(0)) == task.prompts(3, generator(0))
    tokenizer = make_tokenizer(task)
    for prompt, answer in pairs:
        assert len(tokenizer(prompt)["input_ids"]) <= task.max_prompt_tokens
        assert len(tokenizer(answer)["input_ids"]) <= task.max_new_tokens  # <bos> for the end
        assert 1 <= len(task.step_rewards(prompt, answer)) <= task.max_steps


def test_two_writers():
    task = Arithmetic()
    assert task.write("47+85=") == RIGHT
    assert task.write("47+85=", careless=True) == "7+5=12;4+8=12;122"
    assert task.write("12+61=") == task.write("12+61=", careless=True) == "2+1=3;1+6=7;73"
    assert task.write("99+91=") == "9+1=10;9+9+1=19;190"


@pytest.mark.parametrize("prompt", ["", "7+85=", "47+85", "47+85=1", "07+85=", "４7+85=", "a"])
def test_what_is_not_a_problem(prompt):
    with pytest.raises(ValueError, match="a problem looks like"):
        Arithmetic().write(prompt)
    assert Arithmetic().reward(prompt, RIGHT) == 0.0
    assert [r for _, r in Arithmetic().step_rewards(prompt, RIGHT)] == [0.0, 0.0, 0.0]


def test_shares_are_what_they_are_called():
    task = Arithmetic(carry_share=0.8, careless_share=0.25)
    pairs = task.pairs(4000, generator(3))
    carries = [int(prompt[1]) + int(prompt[4]) >= 10 for prompt, _ in pairs]
    wrong = [task.reward(*pair) == 0.0 for pair in pairs]
    assert sum(carries) / 4000 == pytest.approx(0.8, abs=0.03)
    assert sum(wrong) / 4000 == pytest.approx(0.2, abs=0.03)
    assert all(carry for carry, one in zip(carries, wrong, strict=True) if one)
    assert {prompt[0] for prompt, _ in pairs} == set("123456789")


def test_shares_must_be_shares():
    for name in ("carry_share", "careless_share"):
        with pytest.raises(ValueError, match=rf"{name} must be in \[0, 1\], got 1.5"):
            Arithmetic(**{name: 1.5})


# ---------------------------------------------------------------- arithmetic: the verifiers


def test_the_outcome_is_the_last_of_three_steps():
    reward = Arithmetic().reward
    for answer in (RIGHT, "7+5=12;4+8=12;132", "0+0=9;1+1+1=0;132"):  # a result, not its way
        assert reward("47+85=", answer) == 1.0
    for answer in (
        *("", ";", ";;", ";;132", "132", "7+5=12;132", "garbage", "7+5=12;4+8+1=13;122"),
        *(RIGHT + ";", RIGHT + ";132", "0;" + RIGHT, RIGHT + " ", RIGHT + "2", " " + RIGHT),
        *("7+5=12;4+8+1=13;0132", "7+5=12;4+8+1=13;1３2", "7+5=12;4+8+1=13;+132", RIGHT[:-1]),
    ):
        assert reward("47+85=", answer) == 0.0, answer


@pytest.mark.parametrize(
    "answer, expected",
    [
        (RIGHT, [(7, 1), (16, 1), (19, 1)]),
        ("7+5=12;4+8=12;122", [(7, 1), (14, 0), (17, 0)]),  # careless
        ("7+5=12;4+8=12;132", [(7, 1), (14, 0), (17, 0)]),  # the right result by a wrong step
        ("5+7=12;4+8+1=13;132", [(7, 0), (16, 0), (19, 0)]),
        ("7+5=12;4+8+1=13", [(7, 1), (15, 1)]),  # cut
        ("7+5=12;", [(7, 1), (7, 0)]),
        (RIGHT + ";", [(7, 1), (16, 1), (20, 1), (20, 0)]),
        (RIGHT + ";132;1;;", [(7, 1), (16, 1), (20, 1), (27, 0)]),
        ("132", [(3, 0)]),
        ("", [(0, 0)]),
        (";;;;;;", [(1, 0), (2, 0), (3, 0), (6, 0)]),
    ],
)
def test_a_step_is_right_where_all_before_it_are(answer, expected):
    assert Arithmetic().step_rewards("47+85=", answer) == expected


@given(ANY_TEXT, ANY_TEXT | st.just("47+85="))
def test_verifiers_judge_any_text(answer, prompt):
    for task in (Arithmetic(), Reviews()):
        reward, steps = task.reward(prompt, answer), task.step_rewards(prompt, answer)
        assert reward in (0.0, 1.0) and isinstance(reward, float)
        assert 1 <= len(steps) <= task.max_steps
        ends = [end for end, _ in steps]
        assert ends == sorted(ends) and ends[-1] == len(answer)
        assert all(r in (0.0, 1.0) and isinstance(r, float) for _, r in steps)


@given(st.integers(0, 10_000))
def test_careful_answers_are_right_and_careless_ones_where_nothing_is_carried(seed):
    task = Arithmetic()
    (prompt,) = task.prompts(1, generator(seed))
    carry = int(prompt[1]) + int(prompt[4]) >= 10
    a, b = prompt[:-1].split("+")
    assert task.write(prompt).split(";")[2] == str(int(a) + int(b))
    assert task.reward(prompt, task.write(prompt)) == 1.0
    assert task.reward(prompt, task.write(prompt, careless=True)) == 1.0 - carry
    assert [r for _, r in task.step_rewards(prompt, task.write(prompt))] == [1.0, 1.0, 1.0]
    careless = task.step_rewards(prompt, task.write(prompt, careless=True))
    assert [r for _, r in careless] == [1.0, 1.0 - carry, 1.0 - carry]


# ---------------------------------------------------------------- reviews


def test_reviews_are_well_formed_and_their_utility_spreads():
    task = Reviews()
    pairs = task.pairs(2000, generator(0))
    utilities = torch.tensor([task.utility(*pair) for pair in pairs])
    lengths = [len(answer.split()) for _, answer in pairs]
    assert all(task.reward(*pair) == 1.0 for pair in pairs)
    assert 3 <= min(lengths) and max(lengths) <= 23
    assert 1.0 < utilities.std() < 1.7 and abs(utilities.mean()) < 0.5
    for pair in pairs:
        terms = task.utility_terms(*pair)
        assert terms["repetition"] == terms["out of place"] == terms["grammar"] == 0


@pytest.mark.parametrize(
    "answer, expected",
    [
        ("the screen is bright", 1.0),
        ("it is very bright", 1.5),
        ("it is fairly bright", 0.7),
        ("the screen is dark", -0.9),
        ("it is bright but it is heavy", 1.0 - 0.8 + 0.5),
        ("it is bright and it is bright", 2.0 - 0.8),
        ("the screen is bright and the screen is fast", 2.2 - 0.8),
        ("it is stale", -0.8),  # of food, not of cameras
        ("the coffee is bright", 1.0 - 0.8),
        ("it is unreal", -1.0),
        ("bright", 1.0 - 2.0),
        ("", -2.0),
    ],
)
def test_utility_by_hand(answer, expected):
    assert Reviews().utility("review of the camera", answer) == pytest.approx(expected)


def test_the_same_word_pleases_here_and_displeases_there():
    utility = Reviews().utility
    assert utility("review of the novel", "it is dark") == pytest.approx(0.7)
    assert utility("review of the diner", "it is dark") == pytest.approx(-0.6)


def test_annotators_lose_patience():
    short = " and ".join(["it is odd"] * 3) + " and it is"  # 14 words
    terms = Reviews().utility_terms("review of the camera", short)
    assert len(short.split()) == reviews.PATIENCE and terms["length"] == 0
    terms = Reviews().utility_terms("review of the camera", short + " odd and it")
    assert terms["length"] == pytest.approx(-0.6)


def test_what_is_no_review():
    task = Reviews()
    for answer in (
        *("", "it", "it is", "is bright", "it is bright and", "and it is bright", "it is very"),
        *("it is bright it is fast", "it is very very bright", "the it is bright"),
        *("it is  bright", "it is bright ", "it is bright.", "the screen is it"),
    ):
        assert not task.well_formed(answer) and task.reward("review of the phone", answer) == 0.0
    assert task.well_formed("the screen is very bright and it is slow but the plot is odd")


def test_every_text_has_a_utility():
    for prompt in ("", "review of the moon", "review of the phone"):
        for answer in ("", "bright", "words that nobody knows", "very very very", "the the"):
            assert isinstance(Reviews().utility(prompt, answer), float)


# ---------------------------------------------------------------- steps in tokens


def several_characters() -> PreTrainedTokenizerFast:
    """Byte-level tokens of one to three characters, as GPT-2's are; some hold a separator."""
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<pad>", "<eos>"]
    trainer = BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=3,
        show_progress=False,
    )
    backend.train_from_iterator([a for _, a in Arithmetic().pairs(300, generator(0))], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>")


class Spaced(Arithmetic):
    """Tokens that a space joins: their text is not that of each of them, one after another."""

    separator = " "


def answers_of(tokenizer, texts) -> SimpleNamespace:
    tokens, mask = encode_answers(tokenizer, texts)
    return SimpleNamespace(tokens=tokens, completion_mask=mask)


TEXTS = [RIGHT, "7+5=12;4+8=12;122", "", ";;;;;;", "7", RIGHT + ";132;1", "12;12;12;", ";"]


def test_steps_end_at_characters():
    task, tokenizer = Arithmetic(), make_tokenizer(Arithmetic())
    answers = answers_of(tokenizer, TEXTS)
    rewards, ends, mask = steps_of_tokens(task, ["47+85="] * len(TEXTS), answers, tokenizer)
    assert ends[0].tolist() == [6, 15, 19, 0]  # two separators, the end of the sequence
    assert mask[0].tolist() == [True, True, True, False] and rewards[0].tolist() == [1, 1, 1, 0]
    assert rewards[1].tolist() == [1, 0, 0, 0] and ends[1].tolist() == [6, 13, 17, 0]
    assert ends[2].tolist() == [0, 0, 0, 0] and mask[2].tolist() == [True, False, False, False]
    assert ends[3].tolist() == [0, 1, 2, 6] and mask[3].all() and not rewards[3].any()
    assert ends[7].tolist() == [0, 1, 0, 0] and mask[7].tolist() == [True, True, False, False]
    assert ends.dtype == torch.long and mask.dtype == torch.bool


@pytest.mark.parametrize(
    "tokenizer, joint",
    [(several_characters(), ""), (make_tokenizer(Spaced()), " ")],
    ids=["several characters", "spaces"],
)
def test_steps_end_inside_longer_tokens(tokenizer, joint):
    task, texts = Arithmetic(), [joint.join(text) for text in TEXTS]
    answers = answers_of(tokenizer, texts)
    rewards, ends, mask = steps_of_tokens(task, ["47+85="] * len(TEXTS), answers, tokenizer)
    assert answers.completion_mask[0].sum() < len(texts[0])  # a token for several characters
    for row, tokens in enumerate(answers.tokens):
        length = int(answers.completion_mask[row].sum())
        text = tokenizer.decode(tokens[:length], skip_special_tokens=True)
        steps = task.step_rewards("47+85=", text)
        assert rewards[row, mask[row]].tolist() == [reward for _, reward in steps]
        assert ends[row, len(steps) - 1] == length - 1
        for (end, _), t in list(zip(steps, ends[row].tolist(), strict=False))[:-1]:
            here = tokenizer.decode(tokens[: t + 1], skip_special_tokens=True)
            before = tokenizer.decode(tokens[:t], skip_special_tokens=True)
            assert len(before) < end <= len(here) and text.startswith(here)


def test_an_answer_that_was_cut_ends_at_its_last_token():
    task, tokenizer = Arithmetic(), make_tokenizer(Arithmetic())
    answers = answers_of(tokenizer, [RIGHT])
    answers.completion_mask[:, 12:] = False
    rewards, ends, mask = steps_of_tokens(task, ["47+85="], answers, tokenizer)
    assert ends[0, :2].tolist() == [6, 11] and mask[0].tolist() == [True, True, False, False]


def test_a_review_is_one_step():
    task, tokenizer = Reviews(), make_tokenizer(Reviews())
    texts = ["it is very bright", "it is"]
    prompts = ["review of the phone"] * 2
    rewards, ends, mask = steps_of_tokens(task, prompts, answers_of(tokenizer, texts), tokenizer)
    assert ends.tolist() == [[4], [2]] and rewards.tolist() == [[1.0], [0.0]] and mask.all()


def test_steps_refuse_what_does_not_fit():
    task, tokenizer = Arithmetic(), make_tokenizer(Arithmetic())
    answers = answers_of(tokenizer, [RIGHT, ";;;"])
    with pytest.raises(ValueError, match="1 prompts for 2 answers"):
        steps_of_tokens(task, ["47+85="], answers, tokenizer)
    with pytest.raises(ValueError, match="answer 1 has 4 steps, above max_steps=3"):
        steps_of_tokens(task, ["47+85="] * 2, answers, tokenizer, max_steps=3)
    answers.completion_mask[1] = False
    with pytest.raises(ValueError, match="answer 1 has no token"):
        steps_of_tokens(task, ["47+85="] * 2, answers, tokenizer)
