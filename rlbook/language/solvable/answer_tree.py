"""All answers that a vocabulary of a few words allows, and the contexts that they share."""

from dataclasses import dataclass, field
from itertools import product

import torch


@dataclass(frozen=True, eq=False)
class AnswerTree:
    """All O answers of at most T words. The last word of the vocabulary ends an answer; an
    answer is also cut after T words.

    Args:
        words: V of them, two or more, the end-of-answer word last.
        max_length: T, the end-of-answer word counted.

    Raises:
        ValueError: fewer than two words, one of them twice, or max_length below 1.
    """

    words: tuple[str, ...]
    max_length: int
    prefixes: tuple[tuple[int, ...], ...] = field(init=False, repr=False)
    """(N,): the words that a context has behind it, the empty context first, shorter ones first."""
    tokens: torch.Tensor = field(init=False, repr=False)
    """(O, T) long, shorter answers first, 0 behind the end."""
    contexts: torch.Tensor = field(init=False, repr=False)
    """(O, T) long: the context in which token t is chosen, 0 behind the end."""
    lengths: torch.Tensor = field(init=False, repr=False)
    """(O,) long: the tokens of the answer, its end-of-answer word included."""
    completion_mask: torch.Tensor = field(init=False, repr=False)
    """(O, T) bool: True on these."""

    def __post_init__(self):
        V, T = len(self.words), self.max_length
        if V < 2 or len(set(self.words)) < V or T < 1:
            raise ValueError(f"two different words and one token at least; got {self.words}, {T}")
        end = V - 1
        prefixes = [prefix for t in range(T) for prefix in product(range(end), repeat=t)]
        answers = [(*prefix, end) for prefix in prefixes]
        answers += [(*prefix, v) for prefix in prefixes if len(prefix) == T - 1 for v in range(end)]
        index = {prefix: n for n, prefix in enumerate(prefixes)}
        tokens = torch.tensor([answer + (0,) * (T - len(answer)) for answer in answers])
        contexts = [[index[a[:t]] if t < len(a) else 0 for t in range(T)] for a in answers]
        lengths = torch.tensor([len(answer) for answer in answers])
        values = {
            "words": tuple(self.words),
            "prefixes": tuple(prefixes),
            "tokens": tokens,
            "contexts": torch.tensor(contexts),
            "lengths": lengths,
            "completion_mask": torch.arange(T) < lengths[:, None],
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def num_answers(self) -> int:
        return len(self.tokens)

    @property
    def num_contexts(self) -> int:
        return len(self.prefixes)

    @property
    def num_words(self) -> int:
        return len(self.words)

    def text(self, answer: int) -> str:
        """An answer in words."""
        row = self.tokens[answer, : self.lengths[answer]].tolist()
        return " ".join(self.words[v] for v in row)
