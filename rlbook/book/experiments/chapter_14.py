"""Chapter 14: forty runs of advantage actor-critic on CartPole-v1, and what its parts are for.

The settings were found on seed 1000, ten runs each, and evaluated on seed 2,000,000; the
chapter's runs and the stored ones have other seeds.
"""

import numpy as np

from rlbook.book.experiments import Experiment
from rlbook.book.experiments.chapter_17 import WrongFlags
from rlbook.book.experiments.short_runs import in_batches, learning_envs
from rlbook.deep import actor_critic

SEARCH = """
  steps   E x T   actor   hidden     discount  lambda  solved, mean return of each run
100,000  16 x 16  0.005   (64, 64)   0.99      0.95     1/10
200,000  16 x 16  0.003   (32, 32)   0.995     0.98     8/10
120,000   8 x 16  0.003   (32, 32)   0.995     0.98     7/10
300,000  16 x 16  0.003   (64, 64)   0.99      0.95     2/10  nothing normalised but advantages

The defaults are the second line with the environments of the third, which no search has seen.
Acrobot-v1, 60,000 steps, as below: ten runs between -93 and -82. Pendulum-v1, 100,000 steps, as
below: between -1133 and -1027, which is little.
"""

SETTINGS: dict[str, dict] = {
    "CartPole-v1": {},
    "Acrobot-v1": {
        "total_steps": 60_000,
        "num_envs": 16,
        "discount": 0.99,
        "lambda_": 0.95,
        "entropy_coef": 0.01,
    },
    "Pendulum-v1": {
        "total_steps": 100_000,
        "num_envs": 16,
        "discount": 0.95,
        "lambda_": 0.95,
    },
}
"""What differs from the defaults of `actor_critic.Config`."""
VARIANTS: dict[str, dict] = {
    "A2C": {},
    "no end": {},
    "one step": {"lambda_": 0.0},
}


def learn(settings, config: dict, run_ids: list[int], *, wrong: str = "nothing"):
    """Train these runs on CartPole-v1; `wrong` is what the environments say wrongly of ends."""
    seed, stop = config["seed"], config["stop_after"]
    envs = learning_envs("CartPole-v1", settings, run_ids, seed, WrongFlags, steps=stop)
    envs.wrong = wrong
    return actor_critic.train(envs, settings, run_ids=run_ids, seed=seed, progress=False)


def forty(config: dict, progress) -> dict:
    """Returns: (runs, evaluations), each a mean over 100 greedy episodes; the last one counts."""
    settings = actor_critic.Config(num_evals=2, evaluation_episodes=100)
    parts = in_batches(config["runs"], config["batch"])
    results = [learn(settings, config, ids) for ids in progress(parts)]
    return {"returns": np.concatenate([x.evaluation_returns for x in results])}


def variants(config: dict, progress) -> dict:
    """Each of VARIANTS, the same runs.

    Returns:
        returns: (variants, runs, evaluations), each a mean over 20 greedy episodes.
        env_steps: (evaluations,), of each run.
    """
    ids, results = list(range(config["runs"])), []
    for name in progress(config["variants"]):
        settings = actor_critic.Config(total_steps=40_960, evaluation_episodes=20, **VARIANTS[name])
        wrong = "terminations" if name == "no end" else "nothing"
        results.append(learn(settings, config, ids, wrong=wrong))
    return {
        "returns": np.stack([x.evaluation_returns for x in results]),
        "env_steps": results[0].env_steps,
    }


SOON = {"stop_after": 64}  # steps of each environment: four updates
EXPERIMENTS = {
    "forty": Experiment(
        forty,
        {"seed": 1414, "runs": 40, "batch": 40, "stop_after": None},
        SOON | {"runs": 10},
        rtol=1e-3,
    ),
    "variants": Experiment(
        variants,
        {"seed": 14, "runs": 10, "variants": list(VARIANTS), "stop_after": None},
        SOON | {"variants": ["A2C", "no end"]},
        rtol=1e-3,
    ),
}
