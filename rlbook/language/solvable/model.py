"""The solvable language model: so few words that every answer is a row of a table.

Each probability, expectation, KL and gradient is a finite sum here, so that estimators and
trainers of language models can be compared with the truth. R runs and Q prompts are
axes of one table of logits, in float64.
"""

from dataclasses import dataclass, field
from itertools import product

import torch
from torch import nn

from rlbook.formulas.divergences import kl_categorical, kl_regularized_optimum
from rlbook.ground.require import require_shape


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


# ---------------------------------------------------------------- the model, and worlds


class SolvableLM(nn.Module):
    """pi(word | prompt, context) = softmax of a table: one logit for each run, prompt, context
    and word. All words are equally likely at first.

    Args:
        tree: the answers.
        num_prompts, num_runs: Q and R.

    Attributes:
        logits: (R, Q, N, V) float64.
    """

    entry: torch.Tensor
    completion_mask: torch.Tensor

    def __init__(self, tree: AnswerTree, num_prompts: int, num_runs: int = 1):
        super().__init__()
        self.tree = tree
        shape = (num_runs, num_prompts, tree.num_contexts, tree.num_words)
        self.logits = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        entry = tree.contexts * tree.num_words + tree.tokens  # (O, T): its place among N * V
        self.register_buffer("entry", entry, persistent=False)
        self.register_buffer("completion_mask", tree.completion_mask, persistent=False)

    def word_log_probs(self) -> torch.Tensor:
        """log pi(word | context): (R, Q, N, V)."""
        return self.logits.log_softmax(-1)

    def token_log_probs(self) -> torch.Tensor:
        """log pi(o_t | q, o_<t) of every token of every answer, 0 off the mask: (R, Q, O, T)."""
        taken = self.word_log_probs().flatten(2)[..., self.entry]
        return torch.where(self.completion_mask, taken, 0.0)

    def answer_log_probs(self) -> torch.Tensor:
        """log pi(o|q) = sum_t log pi(o_t|q, o_<t), of every answer: (R, Q, O). Eq. (19.1)."""
        return self.token_log_probs().sum(-1)

    def log_probs_of(self, answers: torch.Tensor) -> torch.Tensor:
        """Those of the tokens of these answers, 0 off the mask.

        Args:
            answers: (R, Q, G) long.

        Returns:
            (R, Q, G, T), with gradient.

        Raises:
            ValueError: other numbers of runs or prompts.
        """
        R, Q = self.logits.shape[:2]
        if answers.ndim != 3 or answers.shape[:2] != (R, Q):
            raise ValueError(f"answers must be ({R}, {Q}, G), got {tuple(answers.shape)}")
        entries = self.entry[answers]  # (R, Q, G, T)
        taken = self.word_log_probs().flatten(2).gather(2, entries.flatten(2))
        return torch.where(self.completion_mask[answers], taken.view_as(entries), 0.0)

    @torch.no_grad()
    def sample(self, uniforms: torch.Tensor) -> torch.Tensor:
        """Answers o with probability pi(o | q), by the inverse of the distribution function.

        Args:
            uniforms: (R, Q, G), from [0, 1).

        Returns:
            (R, Q, G) long.
        """
        cumulative = self.answer_log_probs().exp().cumsum(-1)
        scaled = uniforms.to(cumulative.dtype) * cumulative[..., -1:]
        found = torch.searchsorted(cumulative, scaled.contiguous(), right=True)
        return found.clamp_max(self.tree.num_answers - 1)  # rounding of the product

    def context_values(self, rewards: torch.Tensor) -> torch.Tensor:
        """V(q, context), exactly: what answers that pass there gain from there on. Eq. (19.15).

        Args:
            rewards: (..., Q, O), for whole answers: V = E[reward | context]. Or (..., Q, O, T),
                for tokens: V = E[the rewards of this token and the later ones | context].
                What stands before Q may be R.

        Returns:
            (R, Q, N), with gradient.

        Raises:
            ValueError: another shape.
        """
        R, Q, N, _ = self.logits.shape
        O, T = self.entry.shape
        if rewards.shape[-2:] == (Q, O):
            to_go = rewards[..., None]
        elif rewards.shape[-3:] == (Q, O, T):
            to_go = torch.where(self.completion_mask, rewards, 0.0).flip(-1).cumsum(-1).flip(-1)
        else:
            shapes = f"(..., {Q}, {O}) or (..., {Q}, {O}, {T})"
            raise ValueError(f"rewards must be {shapes}, got {tuple(rewards.shape)}")
        rest = self.token_log_probs().flip(-1).cumsum(-1).flip(-1).exp()  # pi(o_t ... | o_<t)
        gains = torch.where(self.completion_mask, rest * to_go, 0.0).flatten(2)
        contexts = torch.div(self.entry, self.tree.num_words, rounding_mode="floor").flatten()
        return gains.new_zeros(R, Q, N).index_add(2, contexts, gains)

    @torch.no_grad()
    def represent(self, log_probs: torch.Tensor) -> "SolvableLM":
        """Set the logits so that the answers have exactly these probabilities.

        Args:
            log_probs: (Q, O), the same for all runs, or (R, Q, O).

        Raises:
            ValueError: another shape, or probabilities that do not sum to 1.
        """
        R, Q, N, V = self.logits.shape
        O = self.tree.num_answers
        require_shape("log_probs", log_probs, (Q, O), (R, Q, O))
        log_probs = log_probs.to(self.logits)
        if not ((log_probs.exp().sum(-1) - 1).abs() < 1e-6).all():
            raise ValueError("the probabilities exp(log_probs) must sum to 1 over the answers")
        mask = self.completion_mask
        entry = self.entry[mask].expand(R, Q, -1)
        mass = torch.where(mask, log_probs[..., None], 0.0)[..., mask].expand(R, Q, -1)
        largest = torch.full((R, Q, N * V), -torch.inf).to(mass)
        largest = largest.scatter_reduce(2, entry, mass, "amax")  # for a sum of tiny numbers
        shift = largest.clamp_min(-1e300)
        total = torch.zeros_like(shift).scatter_add(2, entry, (mass - shift.gather(2, entry)).exp())
        logits = (total.log() + shift).view(R, Q, N, V)
        impossible = (logits == -torch.inf).all(-1, keepdim=True)  # no answer passes: any policy
        self.logits.copy_(torch.where(impossible, 0.0, logits))
        return self


def expected_reward(log_probs: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
    """E[R(q, o)] = sum over all answers o of pi(o|q) R(q, o), exactly.

    Args:
        log_probs: (..., Q, O).
        rewards: (Q, O).

    Returns:
        (..., Q): only the answers are reduced.
    """
    return (log_probs.exp() * rewards).sum(-1)


def exact_kl(log_probs: torch.Tensor, ref_log_probs: torch.Tensor) -> torch.Tensor:
    """KL(pi || pi_ref) of whole answers, sum_o pi(o) [log pi(o) - log pi_ref(o)]. Eq. (19.3).

    Args:
        log_probs: (..., Q, O), of pi.
        ref_log_probs: (Q, O), of pi_ref.

    Returns:
        (..., Q): only the answers are reduced.
    """
    return kl_categorical(log_probs, ref_log_probs.expand_as(log_probs), checked=False)


def frontier(
    ref_log_probs: torch.Tensor, rewards: torch.Tensor, kl_coefs: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest expected reward for each KL(pi || pi_ref): along pi* of Eq. (19.6).

    Args:
        ref_log_probs, rewards: (Q, O).
        kl_coefs: (n,), positive.

    Returns:
        kl (n,), reward (n,): means over the prompts.
    """
    kl_coefs = torch.as_tensor(kl_coefs, dtype=ref_log_probs.dtype)
    optima = [kl_regularized_optimum(ref_log_probs, rewards, kl_coef=c)[0] for c in kl_coefs]
    best = torch.stack(optima)  # (n, Q, O)
    return exact_kl(best, ref_log_probs).mean(-1), expected_reward(best, rewards).mean(-1)


@dataclass(frozen=True, eq=False)
class World:
    """What a solvable language model is trained on."""

    tree: AnswerTree
    prompts: tuple[str, ...]
    """Q of them."""
    reference: torch.Tensor
    """(Q, O): log pi_ref of whole answers."""
    rewards: torch.Tensor
    """(Q, O): of whole answers."""
    step_rewards: torch.Tensor
    """(Q, O, T): of single words, 0 off the mask; in small_world they add up to `rewards`."""

    def model(self, num_runs: int = 1) -> SolvableLM:
        """A model with these prompts that begins as the reference."""
        return SolvableLM(self.tree, len(self.prompts), num_runs).represent(self.reference)


RECIPES = {"tea": {"milk", "sugar"}, "cake": {"milk", "sugar", "salt"}, "soup": {"salt", "garlic"}}
HABITS = {  # of the reference: the logits of the words in RECIPES' order of mention, and of "serve"
    "tea": (0.3, 0.6, -0.2, -0.5, -0.4),
    "cake": (0.4, 0.9, -0.1, -0.6, -0.8),
    "soup": (-0.3, 0.1, 0.5, 0.2, -0.4),
}


def small_world() -> World:
    """What goes into tea, cake and soup? 341 answers of at most four words, such as
    "milk sugar serve".

    A word earns 1/2 if it names an ingredient of the recipe for the first time, and costs 1/2 if
    it names anything else; "serve", which ends an answer, earns nothing. The reward of an
    answer is the sum. The reference knows the recipes a little, seldom says a word twice, and
    is the readier to serve the more it has said.
    """
    tree = AnswerTree(("milk", "sugar", "salt", "garlic", "serve"), max_length=4)
    end = tree.num_words - 1
    said = torch.zeros(tree.num_contexts, tree.num_words, dtype=torch.float64)
    for n, prefix in enumerate(tree.prefixes):
        said[n].index_add_(0, torch.tensor(prefix, dtype=torch.long), said.new_ones(len(prefix)))
    bonus = -1.2 * said
    bonus[:, end] = 0.7 * said.sum(-1)
    model = SolvableLM(tree, len(RECIPES))
    with torch.no_grad():
        model.logits.add_(torch.tensor(list(HABITS.values())).to(bonus)[:, None] + bonus)
    named = [[word in recipe for word in tree.words] for recipe in RECIPES.values()]
    wanted = torch.tensor(named)[:, tree.tokens]  # (Q, O, T)
    new = said[tree.contexts, tree.tokens] == 0  # (O, T)
    earned = torch.where(wanted & new, 0.5, -0.5).double()
    earned = torch.where(tree.completion_mask & (tree.tokens != end), earned, 0.0)
    reference = model.answer_log_probs().detach()[0]
    return World(tree, tuple(RECIPES), reference, earned.sum(-1), earned)
