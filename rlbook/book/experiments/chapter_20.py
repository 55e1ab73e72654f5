"""Chapter 20: GRPO against the exact frontier, and four learners of arithmetic.

All learners of arithmetic see 128 answers a step, with the learning rate of the chapter's GRPO;
PPO's other settings are its defaults.
"""

from typing import Any

import numpy as np

from rlbook.book.experiments import Experiment
from rlbook.book.experiments.short_runs import interrupted_after
from rlbook.language import grpo, rlhf
from rlbook.language.grpo_loss import Config
from rlbook.language.pretraining import pretrained
from rlbook.language.scoring import each_answer
from rlbook.language.solvable.model import small_world
from rlbook.language.solvable.training import SolvableConfig, solvable_loss, train_solvable
from rlbook.language.tasks.arithmetic import Arithmetic

UNBIASED: dict[str, Any] = {"advantage": "leave_one_out", "aggregate": "constant", "max_length": 1}
FORMS: dict[str, dict[str, Any]] = {
    "KL as reward": UNBIASED | {"kl_as": "reward"},
    "k2 of the answer": UNBIASED | {"kl_kind": "k2", "kl_level": "answer"},
    "published": {},
}
"""What differs from the Config's defaults, which are the published form."""
SUPERVISION: dict[str, Any] = {
    "aggregate": "constant",
    "max_length": 1,
    "advantage": "centred",
    "kl_coef": 0.0,
}


def without_gradient(config: Config, **options):
    """The published loss, with its KL computed from numbers that carry no gradient."""
    with_kl = solvable_loss(config, **options)
    without = solvable_loss(Config(kl_coef=0.0), **options)

    def loss(batch):
        surrogate = without(batch)
        return surrogate + (with_kl(batch) - surrogate).detach()

    return loss


def learn(loss, config: dict, group_size: int, num_steps: int, record_every: int):
    """R runs; everything that is not an argument comes from the experiment's config."""
    settings = SolvableConfig(
        num_steps=num_steps,
        group_size=group_size,
        learning_rate=config["learning_rate"],
        record_every=record_every,
    )
    return train_solvable(
        small_world(),
        interrupted_after(config.get("stop_after"), loss),
        settings,
        num_runs=config["runs"],
        seed=config["seed"],
        progress=False,
    )


def against_frontier(config: dict, progress) -> dict:
    """FORMS at several prices of the KL, and the published form with a KL without gradient.

    Returns:
        kl, reward: (forms, prices, runs, records), exact.
        kl_without, reward_without: (runs, records), without gradient, at the last price.
        steps: (records,).
    """
    groups = {"num_groups": config["num_groups"]}
    sizes = config["num_groups"] * config["group_size"], config["num_steps"]
    every = config["record_every"]
    found = []
    for form, beta in progress([(form, beta) for form in FORMS for beta in config["prices"]]):
        loss = solvable_loss(Config(kl_coef=beta, **FORMS[form]), **groups)
        found.append(learn(loss, config, *sizes, every))
    loss = without_gradient(Config(kl_coef=config["prices"][-1]), **groups)
    without = learn(loss, config, *sizes, every)
    stack = lambda rows: np.stack(rows).reshape(len(FORMS), -1, *rows[0].shape)  # noqa: E731
    return {
        "kl": stack([x.kl.numpy() for x in found]),
        "reward": stack([x.reward.numpy() for x in found]),
        "kl_without": without.kl.numpy(),
        "reward_without": without.reward.numpy(),
        "steps": found[0].steps.numpy(),
    }


def groups_and_supervision(config: dict, progress) -> dict:
    """The same number of answers in all, in groups of several sizes; outcome and process.

    Returns:
        reward: (2, sizes, runs, records), exact expected outcomes; first outcome supervision.
    """
    rows = []
    for supervision in progress(("outcome", "process")):
        loss = solvable_loss(Config(supervision=supervision, **SUPERVISION))
        for size in config["sizes"]:
            steps = config["answers"] // size
            result = learn(loss, config, size, steps, steps // config["records"])
            rows.append(result.reward.numpy())
    return {"reward": np.stack(rows).reshape(2, len(config["sizes"]), *rows[0].shape)}


ARITHMETIC: dict[str, Any] = {"num_prompts": 16, "kl_coef": 0.0, "schedule": "linear"}
LEARNERS: dict[str, dict[str, Any]] = {
    "GRPO, outcome": {},
    "GRPO, process": {"supervision": "process"},
    "REINFORCE, group": UNBIASED | {"clip_epsilon": float("inf")},
}


def four_learners(config: dict, progress) -> dict:
    """LEARNERS and PPO on arithmetic: (learners, runs, steps), the share of right answers."""
    task = Arithmetic()
    start = pretrained(task, progress=False)
    stop = config["stop_after"]

    def learn(name: str, run: int):
        sizes = {"num_steps": config["num_steps"], "learning_rate": config["learning_rate"]}
        options = {"seed": config["seed"] + run, "progress": False}
        settings: grpo.Config | rlhf.Config
        if name in LEARNERS:
            settings = grpo.Config(**sizes, **ARITHMETIC, **LEARNERS[name])
            end = interrupted_after(stop, lambda step, values: None)
            result = grpo.train(start, task, settings, on_step=end, **options)
            return result.log["pass@1"][:stop]
        settings = rlhf.Config(**sizes, batch_size=128, kl_coef=0.0)
        result = rlhf.train(start, each_answer(task.reward), task, settings, **options)
        return result.log["reward"][:stop]

    names = config["learners"]
    found = [learn(name, run) for name in progress(names) for run in range(config["runs"])]
    return {"right": np.stack(found).reshape(len(names), config["runs"], -1)}


EXPERIMENTS = {
    "against_frontier": Experiment(
        against_frontier,
        {
            "seed": 20,
            "runs": 10,
            "prices": [1.2, 0.4, 0.15],
            "group_size": 8,
            "num_groups": 8,
            "num_steps": 250,
            "record_every": 25,
            "learning_rate": 0.05,
        },
        {"runs": 2, "prices": [1.2], "stop_after": 25},
        rtol=1e-6,
    ),
    "groups_and_supervision": Experiment(
        groups_and_supervision,
        {
            "seed": 200,
            "runs": 10,
            "sizes": [2, 4, 8, 16, 32],
            "answers": 3200,
            "records": 10,
            "learning_rate": 0.05,
        },
        {"runs": 2, "sizes": [2], "stop_after": 320},
        rtol=1e-6,
    ),
    "four_learners": Experiment(
        four_learners,
        {
            "seed": 20,
            "runs": 3,
            "num_steps": 40,
            "learning_rate": 5e-4,
            "learners": [*LEARNERS, "PPO"],
            "stop_after": None,
        },
        {"runs": 1, "learners": ["GRPO, outcome"], "stop_after": 2},
        rtol=0.5,  # shares of right answers, which another machine samples from other weights
    ),
}
