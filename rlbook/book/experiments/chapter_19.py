"""Chapter 19: a language model that maximises a reward model too hard.

The settings of PPO are the first that were tried (64 answers a round, two epochs of two
minibatches, learning rates 1e-3 and 2e-3), on seed 0 and with the hidden utility as reward; the
numbers of comparisons and the price are those of the chapter's text.
"""

from functools import partial

import numpy as np
from transformers import PreTrainedModel

from rlbook.book.experiments import Experiment
from rlbook.book.experiments.short_runs import interrupted_after
from rlbook.ground.seeding import generator
from rlbook.language import reward_model, rlhf
from rlbook.language.annotators import compare
from rlbook.language.models import LanguageModel
from rlbook.language.pretraining import pretrained
from rlbook.language.sampling import write
from rlbook.language.scoring import each_answer
from rlbook.language.tasks.reviews import Reviews

annotate = partial(compare, noise=0.4, random_share=0.05)
"""The annotators of the chapter's live run, too."""
PROMPTS = ["review of the camera", "review of the novel", "review of the bakery"]


def train_judge(sft, task, num_pairs: int, run: int, num_steps: int):
    """A reward model from this many comparisons."""
    judge = reward_model.RewardModel(sft.model, sft.tokenizer)
    pairs = annotate(sft, task, num_pairs, seed=1000 + run).pairs()
    settings = reward_model.Config(num_steps=num_steps)
    result = reward_model.train(judge, pairs, settings, seed=run, progress=False)
    return result.models["reward_model"]


def overoptimisation(config: dict, progress) -> dict:
    """PPO against reward models from few and from many comparisons, with and without a price.

    Returns:
        reward, utility, kl: (cases, runs, rounds): proxy, truth and sampled KL to the reference,
            means over the answers of a round.
        samples: (cases, runs, prompts), what the trained models write to PROMPTS.
    """
    task = Reviews()
    sft = pretrained(task, progress=False)
    found: dict[str, list] = {name: [] for name in ("reward", "utility", "kl", "samples")}
    judges, watch = {}, {"utility": each_answer(task.utility)}
    for pairs, price in progress(config["cases"]):
        rows: dict[str, list] = {name: [] for name in found}
        for run in range(config["runs"]):
            if (pairs, run) not in judges:
                judges[pairs, run] = train_judge(sft, task, pairs, run, config["judge_steps"])
            reward = interrupted_after(config["stop_after"], judges[pairs, run].score)
            settings = rlhf.Config(num_steps=config["rounds"], batch_size=64, kl_coef=price)
            result = rlhf.train(sft, reward, task, settings, watch=watch, seed=run, progress=False)
            assert isinstance(result.models["policy"], PreTrainedModel)
            for name in ("reward", "utility", "kl"):
                rows[name].append(result.log[name])
            trained = LanguageModel(result.models["policy"], sft.tokenizer)
            limit, rng = task.max_new_tokens, generator(1)
            rows["samples"].append(write(trained, PROMPTS, max_new_tokens=limit, generator=rng)[2])
        for name, row in rows.items():
            found[name].append(np.array(row))
    return {name: np.stack(rows) for name, rows in found.items()}


EXPERIMENTS = {
    "overoptimisation": Experiment(
        overoptimisation,
        {
            "cases": [[200, 0.0], [3000, 0.0], [3000, 0.25]],
            "runs": 3,
            "rounds": 50,
            "judge_steps": 200,
            "stop_after": None,
        },
        {"cases": [[200, 0.0]], "runs": 1, "stop_after": 1},
        measured=("samples",),
        rtol=0.5,  # the mean of 64 answers that another machine samples from other weights
    ),
}
