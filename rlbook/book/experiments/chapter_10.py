"""Chapter 10: SARSA, expected SARSA and Q-learning on the cliff, against the step size.

Sutton & Barto (2018), figure 6.3, with fewer runs and fewer episodes than published (50,000
runs of 100 episodes, and 10 runs of 100,000).
"""

import torch

from rlbook.book.experiments import Experiment
from rlbook.tabular.control_loop import ControlConfig
from rlbook.tabular.tasks import tabular_task
from rlbook.tabular.td_control import expected_sarsa, q_learning, sarsa

METHODS = {"SARSA": sarsa, "expected SARSA": expected_sarsa, "Q-learning": q_learning}


def online_returns(config: dict, progress) -> dict:
    """The mean return while learning, in blocks of 100 episodes.

    Returns:
        interim: (methods, step sizes, runs), over the first 100 episodes.
        long: (methods, step sizes, long_runs, blocks), the same runs, learning for longer.
    """
    cliff = tabular_task("CliffWalking-v1", discount=1.0)
    torch.set_num_threads(1)

    def learn(method, runs: int, episodes: int) -> torch.Tensor:
        alphas = torch.tensor(config["step_sizes"], dtype=torch.float64)
        sweep = ControlConfig(
            num_episodes=episodes,
            step_size=alphas.repeat_interleave(runs),
            epsilon=config["epsilon"],
        )
        run_ids = list(range(runs)) * len(alphas)
        result = method(cliff, sweep, run_ids=run_ids, seed=config["seed"], progress=False)
        return result.returns.view(len(alphas), runs, -1, 100).mean(-1)

    methods = list(METHODS.values())
    size = {"runs": config["runs"], "episodes": 100}
    interim = [learn(method, **size)[..., 0] for method in progress(methods)]
    size = {"runs": config["long_runs"], "episodes": config["long_episodes"]}
    long = [learn(method, **size) for method in progress(methods)]
    return {"interim": torch.stack(interim).numpy(), "long": torch.stack(long).numpy()}


EXPERIMENTS = {
    "step_sizes": Experiment(
        online_returns,
        {
            "seed": 10,
            "epsilon": 0.1,
            "step_sizes": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
            "runs": 200,
            "long_runs": 10,
            "long_episodes": 2000,
        },
        {"step_sizes": [0.1, 0.2], "runs": 2, "long_runs": 2, "long_episodes": 200},
    )
}
