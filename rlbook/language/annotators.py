"""People who compare two answers, with a taste that is hidden from the learner. Chapters 18, 19.

An annotator adds Gumbel noise to the utility of each answer and prefers the larger sum; a share
of the annotators does not read, and chooses at random. So the probability of each preference is
known to us, Eq. (18.11), and with it the best accuracy that any reward model can reach.
"""

from dataclasses import dataclass
from typing import Protocol

import torch

from rlbook.formulas.preferences import bayes_accuracy, preference_probability
from rlbook.ground import require
from rlbook.ground.seeding import generator
from rlbook.language.models import LanguageModel
from rlbook.language.sampling import write
from rlbook.language.tasks.reviews import DEGREES, KIND, WORTH, Reviews


@dataclass(frozen=True, eq=False)
class Comparisons:
    """N prompts with two different answers each, and which of them was preferred."""

    prompts: list[str]
    answers_a: list[str]
    answers_b: list[str]
    a_wins: torch.Tensor
    """(N,) bool: what the annotator said."""
    probability: torch.Tensor
    """(N,) float64, hidden: Pr[a is preferred], Eq. (18.11)."""

    def pairs(self) -> list[tuple[str, str, str]]:
        """(prompt, chosen answer, rejected answer): what a reward model is trained on."""
        rows = zip(self.prompts, self.answers_a, self.answers_b, self.a_wins.tolist(), strict=True)
        return [(prompt, a, b) if a_wins else (prompt, b, a) for prompt, a, b, a_wins in rows]

    def bayes_accuracy(self) -> float:
        """The share of new preferences on these pairs that the best guess predicts."""
        return float(bayes_accuracy(self.probability).mean())

    def accuracy(self, scores_a: torch.Tensor, scores_b: torch.Tensor) -> float:
        """The share of new preferences on these pairs that these scores predict, in expectation.

        Args:
            scores_a, scores_b: (N,); where they are equal, the guess is a coin.
        """
        ahead = (scores_a > scores_b).double() + (scores_a == scores_b).double() / 2
        ahead = ahead.to(self.probability.device)
        return float((ahead * self.probability + (1 - ahead) * (1 - self.probability)).mean())


class Taste(Protocol):
    """What annotators are asked, and the utility that they have in mind."""

    max_new_tokens: int

    def prompts(self, n: int, generator: torch.Generator) -> list[str]: ...
    def utility(self, prompt: str, answer: str) -> float: ...


def compare(
    language_model: LanguageModel,
    task: Taste,
    num_pairs: int,
    *,
    seed: int,
    noise: float = 1.0,
    random_share: float = 0.1,
    temperature: float = 1.0,
    batch_size: int = 512,
) -> Comparisons:
    """Sample two answers to each prompt, and let annotators with the utility of `task` choose.

    Pairs of two equal answers are left out, and others drawn in their place.

    Args:
        noise: by what the annotators' Gumbel noise is multiplied; rewards that explain their
            preferences are utilities divided by it.
        random_share: the share of annotators who do not read.

    Raises:
        ValueError: no pairs asked for; or a model that says the same thing again and again.
    """
    require.at_least("num_pairs", num_pairs, 1)
    rng = generator(seed)
    found: list[tuple[str, str, str]] = []
    for _ in range(10 + 10 * num_pairs // batch_size):
        prompts = task.prompts(batch_size, rng)
        _, _, text = write(
            language_model,
            prompts * 2,
            max_new_tokens=task.max_new_tokens,
            generator=rng,
            temperature=temperature,
        )
        rows = zip(prompts, text[:batch_size], text[batch_size:], strict=True)
        found += [row for row in rows if row[1] != row[2]]
        if len(found) >= num_pairs:
            return annotate(task, found[:num_pairs], rng, noise=noise, random_share=random_share)
    raise ValueError(f"of {num_pairs} pairs only {len(found)} with two different answers")


def annotate(
    task: Taste,
    rows: list[tuple[str, str, str]],
    rng: torch.Generator,
    *,
    noise: float = 1.0,
    random_share: float = 0.1,
) -> Comparisons:
    """Let annotators choose between the two answers of each (prompt, a, b); as in `compare`.

    Raises:
        ValueError: no rows; noise that is not positive; a share that is none.
    """
    if not rows or not noise > 0:
        raise ValueError(f"some rows and positive noise, got {len(rows)} rows, noise={noise}")
    prompts, a, b = map(list, zip(*rows, strict=True))
    utilities = torch.tensor(
        [[task.utility(p, x) for p, x in zip(prompts, side, strict=True)] for side in (a, b)],
        dtype=torch.float64,
    )
    of_a, of_b = utilities / noise  # (N,)
    probability = preference_probability(of_a, of_b, random_share=random_share)
    uniforms = torch.rand(len(rows), generator=rng, dtype=torch.float64)
    return Comparisons(prompts, a, b, uniforms < probability, probability)


class Tone(Reviews):
    """Reviews for annotators who go by the tone: by the mean of the opinions, not by their sum.

    Words that please in a review of one kind and displease in one of another, such as "dark",
    count a third; a repetition counts half.
    """

    def utility_terms(self, prompt: str, answer: str) -> dict[str, float]:
        """As in `Reviews`, but opinions: twice their mean over the clauses."""
        terms, words = super().utility_terms(prompt, answer), answer.split()
        worth = WORTH.get(KIND.get((prompt.split() or [""])[-1], ""), {})
        degrees = [DEGREES.get(before, 1.0) for before in ["", *words][: len(words)]]
        rows = zip(words, degrees, strict=True)
        less = sum(2 / 3 * d * worth[w] for w, d in rows if w in AMBIGUOUS and w in worth)
        terms["opinions"] = 2 * (terms["opinions"] - less) / max(1, words.count("is"))
        terms["repetition"] /= 2
        return terms


AMBIGUOUS = frozenset(
    word
    for one in WORTH.values()
    for other in WORTH.values()
    for word in one.keys() & other.keys()
    if one[word] * other[word] < 0
)
