"""The small language models: what is trained, and a cache that never hands out a broken one."""

import ast
import functools
import json
import multiprocessing
import os
import sys
import warnings
from dataclasses import replace

import pytest
import torch

from rlbook.ground import seeding, sources
from rlbook.ground.seeding import generator
from rlbook.language import models, pretraining
from rlbook.language.pretraining import Recipe, cache_folder, checksum, pretrain, pretrained
from rlbook.language.tasks import arithmetic
from rlbook.language.tasks.arithmetic import Arithmetic
from rlbook.language.tasks.reviews import Reviews

TINY = Recipe(hidden_size=16, layers=1, heads=2, num_steps=3, batch_size=4, num_pairs=20)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RLBOOK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make(task=None, **settings):
    """A model of the tiny recipe, by `pretrained`; no warning may be given."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return pretrained(task or Arithmetic(), recipe=replace(TINY, **settings))


def weights(lm) -> dict:
    return {name: tensor.clone() for name, tensor in lm.model.state_dict().items()}


def same(one, other) -> bool:
    pairs = zip(weights(one).items(), weights(other).items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def count_trainings(monkeypatch) -> list:
    calls, train = [], pretraining.pretrain
    monkeypatch.setattr(pretraining, "pretrain", lambda *a, **k: calls.append(a) or train(*a, **k))
    return calls


# ---------------------------------------------------------------- training


def test_the_seed_decides_and_nothing_else():
    torch.manual_seed(5)
    one = pretrain(Arithmetic(), TINY, seed=3, progress=False)
    torch.manual_seed(6)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    assert same(one, pretrain(Arithmetic(), TINY, seed=3, progress=False))
    assert torch.equal(state, torch.get_rng_state()) and threads == torch.get_num_threads()
    assert not same(one, pretrain(Arithmetic(), TINY, seed=4, progress=False))
    assert not one.model.training


def test_the_text_is_scored_where_it_is_an_answer():
    class Uneven(Reviews):
        """Prompts of different lengths."""

        def pairs(self, n, generator):
            return [("the", "it is odd"), ("review of the phone", "it is very odd")]

    task = Uneven()
    tokenizer = models.make_tokenizer(task)
    tokens, targets = pretraining._text(task, tokenizer, 2, generator(0))
    assert [tokenizer.decode(row) for row in tokens] == [
        "<bos> the it is odd <eos> <pad> <pad> <pad> <pad>",
        "<bos> review of the phone it is very odd <eos>",
    ]
    assert [tokenizer.decode(row[row >= 0]) for row in targets] == [
        "it is odd <eos>",
        "it is very odd <eos>",
    ]
    assert torch.equal(tokens[targets >= 0], targets[targets >= 0])


def test_the_learning_rate_rises_and_falls():
    rates = [pretraining._schedule(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 6) and max(rates) == rates[5] > 0.98
    assert rates[5:] == sorted(rates[5:], reverse=True) and 0.05 < rates[-1] < 0.06


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_it_learns(architecture):
    task, losses = Reviews(), []
    recipe = replace(TINY, architecture=architecture, hidden_size=32, num_pairs=500)
    for steps in (1, 60):
        lm = pretrain(task, replace(recipe, num_steps=steps, batch_size=16), seed=0, progress=False)
        tokens, targets = pretraining._text(task, lm.tokenizer, 100, generator(1))
        with torch.no_grad():
            logits = lm.model(input_ids=tokens[:, :-1]).logits.flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, targets[:, 1:].flatten())
        losses.append(float(loss))
    assert losses[0] > 3.5 and losses[1] < 2.2


def test_default_recipes():
    for task in (Arithmetic(), Reviews()):
        recipe = pretraining.default_recipe(task)
        assert recipe.num_steps == pretraining.STEPS[task.name]
        assert replace(recipe, num_steps=1) == Recipe(num_steps=1)


# ---------------------------------------------------------------- the cache


def test_the_checksum_knows_the_source_and_the_libraries(monkeypatch):
    before = checksum(Arithmetic(), TINY)
    assert before == checksum(Arithmetic(), TINY) != checksum(Reviews(), TINY)
    assert before != checksum(Arithmetic(careless_share=0.5), TINY)
    assert before != checksum(Arithmetic(), replace(TINY, num_steps=4))

    def after(module, old, new):
        """The checksum with one module's source edited."""

        class Edited(sources.Modules):
            def read(self, name):
                if name != module.__name__:
                    return super().read(name)
                text = sources.module_path(name).read_text(encoding="utf-8")
                assert old in text
                return sources.Source(ast.parse(text.replace(old, new)))

        reach = functools.partial(sources.reach, modules=Edited())
        monkeypatch.setattr(pretraining, "reach", reach)
        return checksum(Arithmetic(), TINY)

    assert after(arithmetic, "\nWITH_CARRY", "\n# more\nWITH_CARRY") == before
    for module, functions in (
        (models, ("make_tokenizer", "make_model", "encode", "encode_answers", "_ids")),
        (pretraining, ("_text", "_schedule", "pretrain")),
        (seeding, ("generator",)),
        (arithmetic, ("prompts",)),
    ):
        for name in functions:
            assert after(module, f"def {name}(", f"def {name}(_, ") != before, name
    for function in ("pretrained", "_store"):  # how it is kept
        assert after(pretraining, f"def {function}(", f"def {function}(_, ") == before, function
    monkeypatch.undo()
    monkeypatch.setattr(torch, "__version__", "0")
    assert checksum(Arithmetic(), TINY) != before


def test_a_stored_model_is_the_trained_one(cache, monkeypatch):
    calls = count_trainings(monkeypatch)
    one, other = make(), make()
    assert len(calls) == 1 and same(one, other) and other.model.dtype == torch.float32
    prompts = models.encode(one.tokenizer, ["47+85=", "11+11="])
    assert torch.equal(prompts.tokens, models.encode(other.tokenizer, ["47+85=", "11+11="]).tokens)
    logits = [lm.model(input_ids=prompts.tokens).logits for lm in (one, other)]
    assert torch.equal(*logits)
    files = {path.suffix for path in next(cache.iterdir()).iterdir()}
    assert len(list(cache.iterdir())) == 1 and files == {".json", ".safetensors"}


def test_every_cause_has_its_own_model(cache, monkeypatch):
    calls = count_trainings(monkeypatch)
    make(), make(num_steps=2), make(task=Reviews()), make(task=Arithmetic(careless_share=0.5))
    pretrained(Arithmetic(), recipe=TINY, seed=1)
    assert len(calls) == len(list(cache.iterdir())) == 5
    make(), make(num_steps=2), make(task=Reviews()), make(task=Arithmetic(careless_share=0.5))
    pretrained(Arithmetic(), recipe=TINY, seed=1)
    assert len(calls) == 5


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: cut(place / "model.safetensors"),
        lambda place: flip(place / "model.safetensors"),
        lambda place: flip(place / "tokenizer.json"),
        lambda place: (place / "model.safetensors").unlink(),
        lambda place: (place / "contents.json").unlink(),  # half written
        lambda place: (place / "contents.json").write_text("{"),
        lambda place: (place / "contents.json").write_text("{}"),
        lambda place: (place / "pytorch_model.bin").write_bytes(b"a pickle"),
        lambda place: place.rename(place.with_name("away")) and place.mkdir(),
        lambda place: place.rename(place.with_name("away")) and place.write_text("a file"),
    ],
    ids=["cut", "flip", "tokenizer", "no weights", "half", "json", "empty", "extra", "dir", "file"],
)
def test_a_damaged_model_is_made_anew(cache, monkeypatch, damage):
    one = make()
    (place,) = cache.iterdir()
    damage(place)
    calls = count_trainings(monkeypatch)
    with pytest.warns(UserWarning, match="is damaged .*: made anew"):
        assert same(one, pretrained(Arithmetic(), recipe=TINY))
    assert same(one, make()) and len(calls) == 1  # whole again
    assert {path.name for path in cache.iterdir()} <= {place.name, "away"}


def test_a_crash_while_storing_leaves_nothing(cache, monkeypatch):
    def disk_is_full(self, folder):
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError("disk is full")

    monkeypatch.setattr(models.LanguageModel, "save", disk_is_full)
    with pytest.warns(UserWarning, match="could not be stored in .*disk is full"):
        lm = pretrained(Arithmetic(), recipe=TINY)
    assert lm.model is not None and list(cache.iterdir()) == []


def test_an_interrupted_training_stores_nothing(cache, monkeypatch):
    def interrupt(step, num_steps):
        raise KeyboardInterrupt

    monkeypatch.setattr(pretraining, "_schedule", interrupt)
    with pytest.raises(KeyboardInterrupt):
        pretrained(Arithmetic(), recipe=TINY)
    assert not cache.exists()


def test_no_permission_to_write(cache, monkeypatch):
    def denied(*args, **kwargs):  # the superuser may write everywhere
        raise PermissionError("not yours")

    monkeypatch.setattr(pretraining.Path, "mkdir", denied)
    with pytest.warns(UserWarning, match="could not be stored in .*not yours"):
        lm = pretrained(Arithmetic(), recipe=TINY)
    assert same(lm, pretrain(Arithmetic(), TINY, seed=0, progress=False))


def test_a_cache_that_is_a_file(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv("RLBOOK_CACHE", str(tmp_path / "cache"))
    with pytest.warns(UserWarning, match="could not be stored"):
        pretrained(Arithmetic(), recipe=TINY)


def test_another_process_may_be_first(cache, monkeypatch):
    one = make()
    (place,) = cache.iterdir()
    monkeypatch.setattr(pretraining, "_read", lambda place: None)  # it was not there yet
    monkeypatch.setattr(pretraining, "_is_whole", lambda place: True)
    other = make()
    monkeypatch.undo()
    monkeypatch.setenv("RLBOOK_CACHE", str(cache))
    assert same(one, other) and same(one, make()) and list(cache.iterdir()) == [place]


def race(folder, barrier, results):
    os.environ["RLBOOK_CACHE"] = folder
    torch.set_num_threads(1)
    store = pretraining._store

    def together(lm, place):
        barrier.wait(timeout=60)
        store(lm, place)

    pretraining._store = together
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*could not be stored")
        lm = pretrained(Arithmetic(), recipe=TINY, progress=False)
    results.put(float(sum(p.abs().sum() for p in lm.model.parameters())))


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [False, True])
def test_two_processes_store_at_once(cache, damaged):
    one = make()
    (place,) = cache.iterdir()
    if damaged:
        cut(place / "model.safetensors")
    else:
        pretraining.shutil.rmtree(place)
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    barrier, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=race, args=(str(cache), barrier, results)) for _ in "ab"]
    for process in processes:
        process.start()
    sums = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    assert sums[0] == sums[1] and all(process.exitcode == 0 for process in processes)
    assert same(one, make())


# ---------------------------------------------------------------- where it is, and for whom


def test_where_the_cache_is(monkeypatch, tmp_path):
    for name in ("RLBOOK_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pretraining.Path, "home", lambda: tmp_path)
    monkeypatch.setattr(pretraining.sys, "platform", "linux")
    assert cache_folder() == tmp_path / ".cache" / "rlbook"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "rlbook"
    monkeypatch.setattr(pretraining.sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "rlbook"
    monkeypatch.setattr(pretraining.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "rlbook" / "cache"
    monkeypatch.setenv("RLBOOK_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_a_task_without_a_source_file_is_trained_every_time(cache):
    scope = {}
    exec("from rlbook.language.tasks import Arithmetic\nclass Own(Arithmetic): pass", scope)
    scope["Own"].__module__ = "__main__of_a_notebook"
    with pytest.warns(UserWarning, match="Own has no source file: not stored"):
        lm = pretrained(scope["Own"](), recipe=TINY)
    assert lm.tokenizer.eos_token_id == 2 and not cache.exists()


def test_bars_of_transformers_are_as_before(cache, capfd):
    shown = pretraining.transformers.utils.logging.is_progress_bar_enabled
    before = shown()
    make(), make()
    assert shown() == before and capfd.readouterr().err == ""
    assert json.loads((next(cache.iterdir()) / "contents.json").read_text())
