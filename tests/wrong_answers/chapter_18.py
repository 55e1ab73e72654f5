"""Typical wrong answers of chapter 18, and what the checker must say to each."""

RANKING = """
import torch
from torch.nn.functional import logsigmoid

def ranking_loss(rewards):
    K = rewards.shape[1]
    better, worse = torch.triu_indices(K, K, offset=1)
    return {}
"""

REWARD = """
import torch

def reward_loss(hidden, mask, head):
    rows = torch.arange(len(hidden))
    rewards = hidden[rows, mask.sum(1) - 1] @ head
    chosen, rejected = rewards.chunk(2)
    return -torch.nn.functional.logsigmoid(chosen - rejected).mean()
"""

ZERMELO = """
def zermelo_step(wins, strength):
    compared = wins + wins.T
    both = strength[:, None] + strength[None, :]
    new = wins.sum(1) / (compared / both).sum(1)
    return new / new.sum()
"""
IN_TURN = """
def zermelo_step(wins, strength):
    new = strength.clone()
    for a in range(len(new)):
        new[a] = wins[a].sum() / ((wins[a] + wins[:, a]) / (new[a] + new)).sum()
    return new / new.sum()
"""

DIFFERENCE = "rewards[:, better] - rewards[:, worse]"
READ = "hidden[rows, mask.sum(1) - 1]"
HALVES = "rewards.chunk(2)"
LOSS = "torch.nn.functional.logsigmoid(chosen - rejected)"


def reward(*changes: tuple[str, str]) -> str:
    source = REWARD
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return source


def zermelo(old: str, new: str) -> str:
    assert old in ZERMELO
    return ZERMELO.replace(old, new)


POSITION = (READ, "hidden[:, -1]")
ALTERNATING = (HALVES, "rewards[0::2], rewards[1::2]")
NO_LOG = (LOSS, "torch.sigmoid(chosen - rejected)")

WRONG = {
    "18.2": [
        (RANKING.format(f"-logsigmoid({DIFFERENCE}).sum(1)"), "That is the sum"),
        (
            RANKING.format("-logsigmoid(rewards[:, worse] - rewards[:, better]).mean(1)"),
            "wrong way round",
        ),
        (RANKING.format("-logsigmoid(rewards[:, :-1] - rewards[:, 1:]).mean(1)"), "neighbours"),
        (
            RANKING.format("-logsigmoid(rewards[:, :, None] - rewards[:, None]).mean((1, 2))"),
            "All K x K differences",
        ),
        (
            RANKING.replace("offset=1", "offset=0").format(f"-logsigmoid({DIFFERENCE}).mean(1)"),
            "an answer with itself, 0 each",
        ),
        (RANKING.format(f"-logsigmoid({DIFFERENCE}).mean()"), "mean over all rankings"),
        (RANKING.format(f"-torch.sigmoid({DIFFERENCE}).mean(1)"), "The logarithm is missing"),
        (RANKING.format(f"logsigmoid({DIFFERENCE}).mean(1)"), "The sign"),
    ],
    "18.3": [
        (reward(POSITION), "which is padding in short rows"),
        (reward(ALTERNATING), "do not belong together"),
        (reward(NO_LOG), "The logarithm is missing"),
        (reward((READ, "hidden[:, 0]")), "the first token"),
        (reward((READ, "hidden[rows, mask.sum(1) - 2]")), "one position before"),
        (reward(("chosen, rejected =", "rejected, chosen =")), "are exchanged"),
        (reward(("return -", "return ")), "The sign"),
        (reward(POSITION, ALTERNATING, NO_LOG), "all of its mistakes"),
        (reward(POSITION, NO_LOG), "the position, and the missing logarithm"),
        (reward((LOSS, "torch.log(torch.sigmoid(chosen - rejected))")), "underflows"),
        (reward(("@ head", "@ head.detach()")), "has no gradient"),
    ],
    "18.4": [
        (zermelo("new / new.sum()", "new"), "Normalise"),
        (zermelo("wins.sum(1) /", "wins.sum(0) /"), "losses in the numerator"),
        (zermelo("wins + wins.T", "wins"), "counts the comparisons of both sides"),
        (zermelo("(compared / both)", "compared"), "the strength of the others is missing"),
        (zermelo("new / new.sum()", "(new / new.sum()).log()"), "return the strengths"),
        (IN_TURN, "you have used new ones"),
    ],
}
