"""Short reviews of products, and what annotators think of them. Chapters 18 and 19.

    review of the camera    the screen is very bright and it is sturdy but the battery is poor

The annotators' utility is hidden from a learner, who sees their preferences only; it is known
to us, so that every estimate can be compared with it.
"""

import re
from dataclasses import dataclass

import torch

PRODUCTS = {
    "gadget": ("phone", "camera", "laptop", "speaker"),
    "book": ("novel", "memoir", "thriller", "biography"),
    "cafe": ("bakery", "diner", "teahouse", "pizzeria"),
}
ASPECTS = {
    "gadget": ("screen", "battery", "sound", "design"),
    "book": ("plot", "ending", "style", "cover"),
    "cafe": ("food", "coffee", "service", "menu"),
}
EVERYWHERE = {"great": 1.0, "good": 0.6, "fine": 0.2, "odd": -0.4, "bad": -0.8, "poor": -1.0}
"""What a word is worth to the annotators, in a review of anything."""
WORTH = {
    "gadget": {
        **{"fast": 1.2, "bright": 1.0, "sturdy": 0.9, "light": 0.8, "quiet": 0.5},
        **{"warm": -0.7, "heavy": -0.8, "dark": -0.9, "fragile": -1.1, "slow": -1.2},
    },
    "book": {
        **{"gripping": 1.2, "moving": 1.0, "clever": 0.9, "warm": 0.8, "dark": 0.7},
        **{"quiet": -0.4, "light": -0.7, "heavy": -0.6, "confusing": -1.0, "dull": -1.2},
    },
    "cafe": {
        **{"fresh": 1.2, "cosy": 1.0, "warm": 0.9, "friendly": 0.9, "quiet": 0.6},
        **{"heavy": -0.5, "dark": -0.6, "slow": -0.9, "noisy": -1.0, "stale": -1.2},
    },
}
"""The same word may please in a review of one kind and displease in one of another."""
HYPE = {"perfect": -0.6, "flawless": -0.8, "unreal": -1.0, "legendary": -1.0}
"""Big words: rarely written, by the pleased, and not believed."""
DEGREES = {"very": 1.5, "fairly": 0.7}
"""By what a degree multiplies the worth of the word behind it."""
ABSOLUTE = {"great", "fine", *HYPE}
"""Words that no writer gives a degree."""
OUT_OF_PLACE, BALANCED, REPEATED, TOO_LONG, MALFORMED = -0.8, 0.5, -0.8, -0.2, -2.0
PATIENCE = 14
"""Words that an annotator reads without complaint."""

KIND = {product: kind for kind, products in PRODUCTS.items() for product in products}
OPINIONS = tuple(dict.fromkeys([*EVERYWHERE, *HYPE, *(w for k in WORTH.values() for w in k)]))
_SUBJECTS = "|".join(["it", *(f"the {a}" for aspects in ASPECTS.values() for a in aspects)])
_CLAUSE = f"(?:{_SUBJECTS}) is (?:(?:{'|'.join(DEGREES)}) )?(?:{'|'.join(OPINIONS)})"
WELL_FORMED = re.compile(f"{_CLAUSE}(?: (?:and|but) {_CLAUSE})*")
MOODS = (0.3, 0.6, 0.85)
"""The share of praise in a review: displeased, undecided, pleased."""
LENGTHS = (0.25, 0.45, 0.25, 0.05)
"""The shares of reviews of one, two, three and four clauses."""


@dataclass(frozen=True)
class Reviews:
    """A review of a product, in one to four clauses of at most five words."""

    hype_share: float = 0.02
    """Of the clauses of praise, those with a big word."""

    name = "reviews"
    vocabulary = (
        *("review", "of", "the", "it", "is", "and", "but"),
        *(*KIND, *(a for aspects in ASPECTS.values() for a in aspects), *DEGREES, *OPINIONS),
    )
    separator = " "
    """What stands between two tokens of a text."""
    max_prompt_tokens = 5
    max_new_tokens = 24
    max_steps = 1

    def prompts(self, n: int, generator: torch.Generator) -> list[str]:
        """n times "review of the camera", products drawn independently."""
        products = list(KIND)
        drawn = torch.randint(len(products), (n,), generator=generator).tolist()
        return [f"review of the {products[i]}" for i in drawn]

    def pairs(self, n: int, generator: torch.Generator) -> list[tuple[str, str]]:
        """n products with a review each: the text to pretrain on."""
        prompts = self.prompts(n, generator)
        return [(prompt, self.write(prompt, generator)) for prompt in prompts]

    def write(self, prompt: str, generator: torch.Generator) -> str:
        """One review. A writer has a mood, and repeats neither an opinion nor an aspect."""
        kind = KIND[prompt.split()[-1]]
        worth = EVERYWHERE | WORTH[kind]
        draws = iter(torch.rand(26, generator=generator).tolist())

        def draw(choices: list[str]) -> str:  # without replacement
            return choices.pop(int(next(draws) * len(choices)))

        mood, count = MOODS[int(3 * next(draws))], _clauses(next(draws))
        aspects = list(ASPECTS[kind])
        praise = [word for word, value in worth.items() if value > 0]
        faults = [word for word, value in worth.items() if value < 0]
        hype, words, before = list(HYPE), [], None
        for _ in range(count):
            pleased = next(draws) < mood
            subject = "it" if next(draws) < 0.3 else f"the {draw(aspects)}"
            big = next(draws) < self.hype_share and pleased
            opinion = draw(hype if big else praise if pleased else faults)
            degree = next(draws)
            degree = "very " if degree < 0.25 else "fairly " if degree < 0.4 else ""
            degree = "" if opinion in ABSOLUTE else degree
            link = "" if before is None else "and " if pleased == before else "but "
            words.append(f"{link}{subject} is {degree}{opinion}")
            before = pleased
        return " ".join(words)

    def utility(self, prompt: str, answer: str) -> float:
        """The annotators' hidden utility of an answer: the sum of `utility_terms`."""
        return sum(self.utility_terms(prompt, answer).values())

    def utility_terms(self, prompt: str, answer: str) -> dict[str, float]:
        """What an annotator likes and dislikes in a review; any text has a utility.

        opinions: each counts by its worth for the product's kind and by its degree.
        out of place: each opinion and aspect that belongs to another kind of product.
        balance: naming both a merit and a fault.
        repetition: each opinion or aspect that was used before.
        length: each word beyond PATIENCE.
        grammar: a text that is not a review.
        """
        kind, words = KIND.get((prompt.split() or [""])[-1], ""), answer.split()
        worth = EVERYWHERE | HYPE | WORTH.get(kind, {})
        weights = [DEGREES.get(before, 1.0) for before in ["", *words][: len(words)]]
        values = [w * worth[word] for w, word in zip(weights, words, strict=True) if word in worth]
        foreign = {a for k, aspects in ASPECTS.items() if k != kind for a in aspects}
        foreign |= set(OPINIONS) - set(worth)
        content = [word for word in words if word in OPINIONS or word in _ALL_ASPECTS]
        return {
            "opinions": sum(values),
            "out of place": OUT_OF_PLACE * sum(word in foreign for word in words),
            "balance": BALANCED * (any(v > 0 for v in values) and any(v < 0 for v in values)),
            "repetition": REPEATED * (len(content) - len(set(content))),
            "length": TOO_LONG * max(0, len(words) - PATIENCE),
            "grammar": MALFORMED * (not self.well_formed(answer)),
        }

    def well_formed(self, answer: str) -> bool:
        """Whether a text is clauses like "the screen is very bright", linked by "and" or "but"."""
        return WELL_FORMED.fullmatch(answer) is not None

    def reward(self, prompt: str, answer: str) -> float:
        """The verifier: 1.0 if the answer is well formed, else 0.0. It has no taste."""
        return float(self.well_formed(answer))

    def step_rewards(self, prompt: str, answer: str) -> list[tuple[int, float]]:
        """(where a step ends in the text, its reward): the whole answer is one step."""
        return [(len(answer), self.reward(prompt, answer))]


_ALL_ASPECTS = frozenset(aspect for aspects in ASPECTS.values() for aspect in aspects)


def _clauses(uniform: float) -> int:
    for count, share in enumerate(LENGTHS, start=1):
        uniform -= share
        if uniform < 0:
            return count
    return len(LENGTHS)
