"""Chapter 15: TRPO with and without its line search; how many of other runs solve CartPole.

How the settings of the chapter were found: ten runs each with seed 100, 50 greedy episodes of the
final policy. Everything that is not named stays: damping 0.01, rollouts of 128 steps, two layers
of 64, Adam at 1e-3 for the critic, 5 epochs, minibatches of 256. On CartPole-v1:

    envs  discount  lambda  radius      steps   solved  worst run
     8    0.99      0.95    0.01       51,200     9     215
    16    0.99      0.95    0.02       81,920     8     396
     8    0.99      0.98    0.01       81,920     9     468
    16    0.98      0.98    0.02       81,920     9     458
    16    0.995     0.98    0.02       49,152     9     441
    16    0.995     0.98    0.03 to 0  65,536    10     492
     8    0.995     0.98    0.02 to 0  40,960     9     236
     8    0.995     0.98    0.01 to 0  40,960    10     500     the defaults

Without the scaling of the critic, at 80,000 steps, between 3 and 8 of ten runs were solved. On
Pendulum-v1 (mean of the final returns in place of solved runs):

    envs  discount  lambda  radius      steps   mean   worst run
     8    0.9       0.95    0.02       51,200   -345    -601
     8    0.9       0.95    0.02       81,920   -409    -999
     8    0.9       0.95    0.05       81,920   -384    -778
    16    0.95      0.95    0.02       81,920   -268    -538    taken
     8    0.95      0.95    0.02 to 0  81,920   -324    -587
    16    0.95      0.95    0.02 to 0  81,920   -338    -930    (10 epochs of the critic)
"""

import numpy as np
import torch

from rlbook.book.experiments import Experiment
from rlbook.deep import trpo


def line_search(config: dict, progress) -> dict:
    """The same steps with and without the line search, for several radii.

    Returns:
        returns: (radii, 2, R, evaluations), greedy; [:, 0] with the search, [:, 1] without.
        kl: (radii, 2, R, updates), the mean KL(old || new) of each update, NaN if a run broke.
        env_steps: (evaluations,).
    """
    torch.set_num_threads(1)
    cases = [(radius, search) for radius in config["radii"] for search in (True, False)]
    results = []
    for radius, search in progress(cases):
        settings = trpo.Config(
            max_kl=radius,
            line_search=search,
            total_steps=config["total_steps"],
            num_evals=config["num_evals"],
            **config["settings"],
        )
        results.append(_train(config, settings, list(range(config["runs"]))))
    shape = (len(config["radii"]), 2, config["runs"], -1)
    stack = lambda arrays: np.stack(arrays).reshape(shape)  # noqa: E731
    return {
        "returns": stack([r.evaluation_returns for r in results]),
        "kl": stack([r.log["kl"] for r in results]),
        "env_steps": results[0].env_steps,
    }


def solved(config: dict, progress) -> dict:
    """The chapter's training of CartPole, with other runs than the chapter's, some at a time.

    Returns:
        returns: (runs,), the mean of 100 greedy episodes of the final policy.
    """
    torch.set_num_threads(1)
    settings, returns = trpo.Config(num_evals=2, evaluation_episodes=100), []
    for first in progress(range(0, config["runs"], config["at_once"])):
        run_ids = [100 + first + k for k in range(config["at_once"])]
        returns.append(_train(config, settings, run_ids).evaluation_returns[:, -1])
    return {"returns": np.concatenate(returns)}


def _train(config: dict, settings: trpo.Config, run_ids: list[int]):
    seed = config["seed"]
    return trpo.train(config["env"], settings, run_ids=run_ids, seed=seed, progress=False)


def held_and_learning(stored: dict, recomputed: dict) -> list[str]:
    """From the second update on, single precision decides which step the line search accepts."""
    kl, returns = recomputed["kl"], recomputed["returns"]
    radii = np.array(EXPERIMENTS["line_search"].short["radii"])
    found = []
    if (kl[:, 0] > radii[:, None, None]).any():
        found.append("kl: with the line search, an update leaves the trust region")
    if not (kl[:, 1] > radii[:, None, None]).any():
        found.append("kl: without the line search, no update leaves the trust region")
    if not (returns[..., -1].mean(-1) > 2 * returns[..., 0].mean(-1)).all():
        found.append("returns: not twice what they were before training")
    return found


EXPERIMENTS = {
    "line_search": Experiment(
        line_search,
        {
            "env": "CartPole-v1",
            "seed": 15,
            "runs": 10,
            "radii": [0.01, 0.1, 0.5],
            "total_steps": 20_480,
            "num_evals": 5,
            "settings": {
                "num_envs": 8,
                "discount": 0.995,
                "lambda_": 0.98,
                "damping": 0.01,
                "anneal_max_kl": False,
                "evaluation_episodes": 20,
            },
        },
        {"radii": [0.01], "total_steps": 5_120, "num_evals": 2},
        rtol=1e-3,  # single precision; a batch of fewer runs would round differently
        determined=lambda arrays: {
            "kl": arrays["kl"][..., 0],  # of the first update
            "returns": arrays["returns"][..., 0],  # before it
            "env_steps": arrays["env_steps"],
        },
        claim=held_and_learning,
    ),
    "solved": Experiment(
        solved,
        {"env": "CartPole-v1", "seed": 15, "runs": 100, "at_once": 20},
        {"runs": 2, "at_once": 2},
        rtol=0.05,  # single precision: forty updates of two runs, or of twenty, round differently
    ),
}
