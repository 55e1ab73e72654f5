"""Checkers of appendix C, debugging: here the answers are tests, and are tested."""

import torch

from rlbook.book.exercises.expectations import WrongAnswer, describe
from rlbook.formulas.returns import generalized_advantage_estimate
from rlbook.ground.seeding import generator

F64 = torch.float64


def _gae(mistake: str = ""):
    """A function that computes GAE with a loop, with one mistake, or with none."""

    def gae(rewards, values, next_values, terminated, truncated, gamma, lambda_):
        advantages, after = torch.zeros_like(rewards), 0.0
        if mistake == "gamma":
            gamma = 1.0
        if mistake == "exchanged":
            gamma, lambda_ = lambda_, gamma
        decay = {"lambda": gamma, "swapped": lambda_}.get(mistake, gamma * lambda_)
        for t in reversed(range(len(rewards))):
            no_guess = bool(terminated[t]) and mistake != "mask"
            if mistake == "done":
                no_guess = bool(terminated[t] or truncated[t])
            stop = bool(terminated[t] or truncated[t])
            if mistake == "leak at a cut":
                stop = bool(terminated[t])
            if mistake == "leak":
                stop = False
            guess = 0.0 if no_guess else gamma * next_values[t]
            after = rewards[t] + guess - values[t] + (0.0 if stop else decay * after)
            advantages[t] = after
        return advantages

    return gae


def _package(rewards, values, next_values, terminated, truncated, gamma, lambda_):
    case = (rewards, values, next_values, terminated, truncated)
    return generalized_advantage_estimate(*case, discount=gamma, lambda_=lambda_)


GAE_MISTAKES = {
    "done": "takes a time limit for an end (bug 1). Cut an episode where the value behind "
    "the cut is not 0, and set truncated, not terminated.",
    "mask": "bootstraps through a termination (bug 3). Terminate an episode where the value "
    "behind the end is not 0.",
    "leak at a cut": "lets the trace run through a time limit (bug 14). Cut an episode before the "
    "last step, so that something follows that can leak.",
    "leak": "never stops the trace (bug 14). End an episode before the last step.",
    "gamma": "lost the discount (bug 5). Try a gamma other than 1.",
    "lambda": "lost lambda. Try a lambda other than 1.",
    "swapped": "lets the trace fade by lambda and not by gamma lambda. Try a gamma other than 1, "
    "and look at more than the last step.",
    "exchanged": "exchanges gamma and lambda. Try two different numbers.",
}


def check_is_sound(attempt) -> str:
    """is_sound(gae) -> bool."""
    for words, gae in (("a right version, a loop", _gae()), ("another, the package's", _package)):
        if not _flag(attempt(gae), words):
            raise WrongAnswer(
                f"It said no to {words}. Are its numbers compared without a tolerance, or with "
                "numbers that are not right themselves?"
            )
    for mistake, why in GAE_MISTAKES.items():
        if _flag(attempt(_gae(mistake)), "a wrong version"):
            raise WrongAnswer(f"It said yes to a version that {why}")
    return "Eight bugs, eight times no, and a test that you can keep."


def _flag(answer, words: str) -> bool:
    if isinstance(answer, torch.Tensor) and answer.numel() == 1:
        answer = answer.item()
    if not isinstance(answer, bool | int | float):
        raise WrongAnswer(f"For {words}: return True or False, not {describe(answer)}.")
    return bool(answer)


def _pick(log_probs, tokens):
    return log_probs.gather(-1, tokens[:, None])[:, 0]


def _shifted(model, tokens):
    return _pick(model(tokens)[:-1].log_softmax(-1), tokens[1:])


def _sees_itself(model, tokens):
    return _pick(model(tokens)[1:].log_softmax(-1), tokens[1:])


def _raw(model, tokens):
    return _pick(model(tokens)[:-1], tokens[1:])


def _over_time(model, tokens):
    return _pick(model(tokens)[:-1].log_softmax(0), tokens[1:])


def _probabilities(model, tokens):
    return _pick(model(tokens)[:-1].softmax(-1), tokens[1:])


def _first_only(model, tokens):
    """Right for the last token, and wrong before: it scores with the logits of the end."""
    last = model(tokens[:-1])[-1].log_softmax(-1)
    return last[tokens[1:]]


SCORE_MISTAKES = (
    (_sees_itself, "scores a token with logits that have read it (bug 26)."),
    (_raw, "returns logits, not log-probabilities."),
    (_over_time, "takes the softmax over the places, not over the tokens."),
    (_probabilities, "returns probabilities, not their logarithms: take exp of the score."),
    (
        _first_only,
        "is right at the last place only: before it, it scores with logits that have read later "
        "tokens. Try every place.",
    ),
)


def check_sees_no_future(attempt) -> str:
    """sees_no_future(score, model, tokens, V) -> bool."""
    rng, V = generator(6702), 6
    embed, head = torch.randn(2, V, 4, generator=rng, dtype=F64)
    tokens = torch.randint(V, (5,), generator=rng)

    def model(x):
        return embed[x].cumsum(0) @ head.T

    if not _flag(attempt(_shifted, model, tokens, V), "a right score"):
        raise WrongAnswer(
            "It said no to a right score. At place t of the tokens look at entry t - 1 of the "
            "score, add up exp of it over all V tokens, and compare with 1, with a tolerance."
        )
    longer = torch.randint(V, (8,), generator=rng)
    if not _flag(attempt(_shifted, lambda x: 0 * model(x), longer, V), "a uniform model"):
        raise WrongAnswer(f"It said no to a model that gives each token {1 / V:.4f}: that is right")
    for score, why in SCORE_MISTAKES:
        if _flag(attempt(score, model, tokens, V), "a wrong score"):
            raise WrongAnswer(f"It said yes to a score that {why}")
    return "No look inside the model was needed: a sum that must be one."


CHECKERS = {"C.1": check_is_sound, "C.2": check_sees_no_future}
