"""Chapter 18: reward models from more and fewer comparisons.

The settings were found with comparisons of other seeds, and with the annotators that SEARCH
names: the network learned the mean of the opinions soon, their sum and words that change sign
with the product slowly. So the chapter's annotators go by the mean (`annotators.Tone`).
"""

from functools import partial

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from rlbook.book.experiments import Experiment
from rlbook.book.experiments.short_runs import interrupted_after
from rlbook.language import reward_model
from rlbook.language.annotators import Comparisons, Tone, compare
from rlbook.language.pretraining import pretrained
from rlbook.language.tasks.reviews import Reviews

RANDOM_SHARE = 0.1
annotate = partial(compare, noise=1.0, random_share=RANDOM_SHARE, temperature=0.7)
"""The annotators of the chapter's live runs, too."""

SEARCH = """
noise, share, pairs   steps x pairs  learning rates  accuracy   bound   correlation
0.4  0.05  Reviews    150 x 64       2e-3  2e-3      0.687     0.866    0.66
0.4  0.05  Reviews    300 x 32       2e-3  2e-3      0.742     0.866    0.74
0.4  0.05  Reviews    300 x 32       3e-3  1e-2      0.726     0.866    0.73
0.4  0.05  Reviews    300 x 32       4e-3  4e-3      0.705     0.866    0.69
0.4  0.05  Reviews    300 x 32     1.5e-3  2e-2      0.783     0.866    0.82
0.5  0.05  Reviews    400 x 32       7e-4  4e-2      0.789     0.852    0.86
0.5  0.05  Reviews    600 x 16       1e-3  3e-2      0.791     0.852    0.85
0.4  0.05  Reviews   1000 x 16       7e-4  6e-2      0.815     0.875    0.89
0.4  0.05  Reviews   1000 x 16       4e-4  1e-1      0.807     0.875    0.88
0.4  0.05  Reviews    300 x 64     1.2e-3  5e-2      0.806     0.875    0.88
0.7  0.05  Tone       300 x 32     1.5e-3  2e-2      0.764     0.799    0.91
1.0  0.05  Tone       600 x 32     1.5e-3  2e-2      0.727     0.750    0.94
"""


def differences(model: reward_model.RewardModel, pairs: Comparisons) -> torch.Tensor:
    """R(a) - R(b) of each pair, (N,) float64."""
    sides = pairs.answers_a, pairs.answers_b
    scores = [model.score(pairs.prompts, side).double() for side in sides]
    return scores[0] - scores[1]


def number_of_pairs(config: dict, progress) -> dict:
    """The same training with different numbers of comparisons, for each run its own.

    Returns:
        accuracy, test_loss: (numbers, runs), on held-out pairs, expected.
        train_loss: (numbers, runs), on the comparisons that were trained on, as they came out.
        bayes_accuracy, floor: what no model can exceed, or get below, on the held-out pairs.
    """
    task, lm = Tone(), pretrained(Reviews(), progress=False)
    held_out = annotate(lm, task, 1000, seed=188)
    p = held_out.probability
    shape = len(config["numbers"]), config["runs"]
    found = {name: np.zeros(shape) for name in ("accuracy", "test_loss", "train_loss")}
    for run in progress(range(config["runs"])):
        pool = annotate(lm, task, config["pool"], seed=config["seed"] + run)
        for k, n in enumerate(config["numbers"]):
            model = reward_model.RewardModel(lm.model, lm.tokenizer)
            settings = reward_model.Config(num_steps=config["num_steps"], random_share=RANDOM_SHARE)
            result = reward_model.train(model, pool.pairs()[:n], settings, seed=run, progress=False)
            model = result.models["reward_model"]
            d = differences(model, held_out)
            found["accuracy"][k, run] = held_out.accuracy(d, torch.zeros_like(d))
            loss = -(p * logsigmoid(d) + (1 - p) * logsigmoid(-d))
            found["test_loss"][k, run] = loss.mean()
            d = differences(model, pool)[:n]
            came_out = torch.where(pool.a_wins[:n], d, -d)
            found["train_loss"][k, run] = -logsigmoid(came_out).mean()
    entropy = -(p * p.log() + (1 - p) * (1 - p).log())
    return found | {"bayes_accuracy": held_out.bayes_accuracy(), "floor": float(entropy.mean())}


def long_training(config: dict, progress) -> dict:
    """More comparisons and more steps than a notebook has time for.

    Returns:
        loss: (runs, steps), of each batch.
        accuracy: (runs,), on held-out pairs, expected; NaN where the training was interrupted.
        bayes_accuracy: what no model can exceed.
    """
    task, lm = Tone(), pretrained(Reviews(), progress=False)
    held_out = annotate(lm, task, 1000, seed=188)
    pool = annotate(lm, task, config["pool"], seed=config["seed"])
    settings = reward_model.Config(num_steps=config["num_steps"], random_share=RANDOM_SHARE)
    losses, accuracy = [], []
    for run in progress(range(config["runs"])):
        model = reward_model.RewardModel(lm.model, lm.tokenizer)
        end = interrupted_after(config["stop_after"], lambda step, values: None)
        options = {"seed": run, "progress": False, "on_step": end}
        result = reward_model.train(model, pool.pairs(), settings, **options)
        losses.append(result.log["loss"])
        d = differences(result.models["reward_model"], held_out)
        right = float(held_out.accuracy(d, torch.zeros_like(d)))
        accuracy.append(float("nan") if result.interrupted else right)
    return {
        "loss": np.stack(losses),
        "accuracy": np.array(accuracy),
        "bayes_accuracy": held_out.bayes_accuracy(),
    }


EXPERIMENTS = {
    "number_of_pairs": Experiment(
        number_of_pairs,
        {"seed": 180, "runs": 3, "numbers": [250, 1000, 4000], "pool": 4000, "num_steps": 300},
        {"runs": 1, "numbers": [250]},
        rtol=0.2,  # float32 training; on another machine from other pretrained weights
    ),
    "long_training": Experiment(
        long_training,
        {"seed": 1800, "runs": 3, "pool": 16_000, "num_steps": 1500, "stop_after": None},
        {"runs": 1, "stop_after": 40},
        corner=lambda stored, short: {
            "loss": stored["loss"][:1, : short["stop_after"]],
            "accuracy": np.full(1, np.nan),
            "bayes_accuracy": stored["bayes_accuracy"],
        },
        rtol=0.2,
    ),
}
