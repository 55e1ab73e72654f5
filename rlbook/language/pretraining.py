"""The book's small language models: trained once, and kept in the user's cache folder.

A stored model is a folder of safetensors and JSON, named by the task, the seed and a checksum
of all that made it. It is written beside its place and then renamed, so that it is there whole
or not at all, and the checksums of its files are verified before it is read.
"""

import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import transformers
from torch.nn.functional import cross_entropy

from rlbook.ground.progress import progress as progress_bar
from rlbook.ground.seeding import generator
from rlbook.ground.sources import reach, source_hash
from rlbook.language import models
from rlbook.language.models import LanguageModel, encode, encode_answers
from rlbook.language.tasks.task import Task

CONTENTS = "contents.json"
"""File -> SHA-256, of a stored model."""
IGNORED = -100
"""The target of a position that the loss leaves out."""
STEPS = {"arithmetic": 800, "reviews": 600}
NO_WEIGHTS = {"rlbook.ground.progress"}
"""Modules that no stored model depends on."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a small model is made."""

    architecture: str = "llama"
    """Or "gpt2"."""
    hidden_size: int = 64
    """The model's width."""
    layers: int = 2
    """Its blocks."""
    heads: int = 4
    """Of attention, in each."""
    num_steps: int = 800
    """Of AdamW; the learning rate rises over a twentieth of them and falls along a cosine."""
    batch_size: int = 32
    """Pairs of prompt and answer in a step."""
    learning_rate: float = 4e-3
    """At its highest."""
    num_pairs: int = 20_000
    """Written before the training, which draws its batches from them."""


def default_recipe(task: Task) -> Recipe:
    """The recipe of `pretrained`: ten seconds or so on two quiet cores."""
    return Recipe(num_steps=STEPS.get(task.name, Recipe.num_steps))


def pretrained(
    task: Task, *, recipe: Recipe | None = None, seed: int = 0, progress: bool = True
) -> LanguageModel:
    """The task's small model: from the cache if it is there and whole, else trained and stored.

    The cache is the folder RLBOOK_CACHE, or rlbook in the user's cache folder. A damaged model
    in it is replaced. Where the cache cannot be written, the model is trained every time.

    Args:
        recipe: the task's default_recipe by default.
        seed: of the first weights, of the text and of its order. The same seed gives the same
            weights on the same machine with the same number of threads.
    """
    recipe = recipe or default_recipe(task)
    place = _place(task, recipe, seed)
    try:
        if place is not None and (found := _read(place)) is not None:
            return found
    except Exception as error:  # whatever is wrong with a stored model, a new one is not
        warnings.warn(f"the stored model {place} is damaged ({error}): made anew", stacklevel=2)
    lm = pretrain(task, recipe, seed=seed, progress=progress)
    try:
        if place is not None:
            _store(lm, place)
    except Exception as error:  # of the disk, or of safetensors
        warnings.warn(f"the model could not be stored in {place}: {error}", stacklevel=2)
    return lm


def pretrain(task: Task, recipe: Recipe, *, seed: int, progress: bool = True) -> LanguageModel:
    """Train a small model on the task's text, without the cache.

    The loss is the mean of -log pi over the tokens of the answers of a batch, their ends included.
    """
    draw = generator(seed)
    tokenizer = models.make_tokenizer(task)
    model = models.make_model(
        tokenizer,
        architecture=recipe.architecture,
        hidden_size=recipe.hidden_size,
        layers=recipe.layers,
        heads=recipe.heads,
        seed=seed,
    )
    tokens, targets = _text(task, tokenizer, recipe.num_pairs, draw)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    model.train()
    steps = progress_bar(
        range(recipe.num_steps), description=f"pretraining ({task.name})", show=progress
    )
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, recipe.num_steps)
        rows = torch.randint(len(tokens), (recipe.batch_size,), generator=draw)
        logits = model(input_ids=tokens[rows, :-1], use_cache=False).logits  # (B, L - 1, V)
        loss = cross_entropy(
            logits.flatten(0, 1), targets[rows, 1:].flatten(), ignore_index=IGNORED
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return LanguageModel(model.eval(), tokenizer)


def _text(task, tokenizer, n: int, draw) -> tuple[torch.Tensor, torch.Tensor]:
    """n prompts with their answers as tokens (n, L), and the same with IGNORED off the answers.
    All padding stands on the right, where a causal model does not see it."""
    prompts, answers = zip(*task.pairs(n, draw), strict=True)
    before, (after, mask) = encode(tokenizer, prompts), encode_answers(tokenizer, answers)
    tokens = torch.cat([before.tokens, after], dim=1)
    is_answer = torch.cat([torch.zeros_like(before.mask), mask], dim=1)
    is_text = torch.cat([before.mask, mask], dim=1)
    order = (~is_text).byte().argsort(dim=1, stable=True)[:, : int(is_text.sum(1).max())]
    targets = tokens.masked_fill(~is_answer, IGNORED)
    return tokens.gather(1, order), targets.gather(1, order)


def _schedule(step: int, num_steps: int) -> float:
    warmup = 1 + num_steps // 20
    fall = 0.5 * (1 + math.cos(math.pi * step / num_steps))
    return min(1.0, (step + 1) / warmup) * (0.05 + 0.95 * fall)


# ---------------------------------------------------------------- the cache


def cache_folder() -> Path:
    """Where models are stored: RLBOOK_CACHE, or "rlbook" in the user's cache folder."""
    if chosen := os.environ.get("RLBOOK_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "rlbook" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "rlbook"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlbook"


def checksum(task: Task, recipe: Recipe) -> str:
    """Of all that a stored model depends on: the task with its settings, the recipe, the source
    of the task and of the training, and the versions of the libraries.

    Raises:
        ValueError: the task's class has no source file.
    """
    module, name = type(task).__module__, type(task).__qualname__
    reached = reach([(__name__, "pretrain"), (module, name)], {module}, NO_WEIGHTS)
    parts = [source_hash(reached), name, repr(vars(task)), json.dumps(asdict(recipe))]
    parts += [torch.__version__, transformers.__version__]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _place(task: Task, recipe: Recipe, seed: int) -> Path | None:
    """The folder of a model; None for a task whose source is not known, from a notebook's cell."""
    try:
        key = checksum(task, recipe)
    except ValueError:
        warnings.warn(f"{type(task).__name__} has no source file: not stored", stacklevel=3)
        return None
    return cache_folder() / f"{task.name}-{seed}-{key[:16]}"


def _read(place: Path) -> LanguageModel | None:
    """A stored model, None if there is none; raises if it is not whole."""
    if not place.exists():
        return None
    listed = json.loads((place / CONTENTS).read_text(encoding="utf-8"))
    if listed != _contents(place):
        raise ValueError("its files are not those that were written")
    with _quiet_transformers():
        return models.load(place)


def _store(lm: LanguageModel, place: Path) -> None:
    """Write a model beside its place and move it there; another process may do the same."""
    place.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    new = room / "new"
    try:
        new.mkdir()
        with _quiet_transformers():
            lm.save(new)
        (new / CONTENTS).write_text(json.dumps(_contents(new)), encoding="utf-8")
        if place.exists() and not _is_whole(place):
            place.rename(room / "damaged")
        try:
            new.rename(place)
        except OSError:
            if not _is_whole(place):  # whole: another process was first
                raise
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != CONTENTS)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _is_whole(place: Path) -> bool:
    try:
        return _read(place) is not None
    except Exception:  # as in `pretrained`
        return False


@contextmanager
def _quiet_transformers():
    """No bar over the reading and writing of a few hundred kilobytes."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()
