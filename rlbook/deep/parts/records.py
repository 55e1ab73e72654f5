"""The curves of a training in progress."""

import numpy as np
import torch


class Record:
    """Evaluations of R runs, and what an agent logs in each update."""

    def __init__(self, num_runs: int):
        self.num_runs = num_runs
        self.evaluations: list[torch.Tensor] = []
        self.cut: list[torch.Tensor] = []
        self.env_steps: list[int] = []
        self.logged: dict[str, list[torch.Tensor]] = {}

    def add_evaluation(self, returns: torch.Tensor, cut: torch.Tensor, env_steps: int) -> None:
        """returns and cut: (R,), after so many environment steps of each run."""
        self.evaluations.append(returns)
        self.cut.append(cut)
        self.env_steps.append(env_steps)

    def log(self, **values: torch.Tensor) -> None:
        """Numbers of one update, (R,) each."""
        for name, value in values.items():
            if value.shape != (self.num_runs,):
                raise ValueError(f"{name} must be ({self.num_runs},), got {tuple(value.shape)}")
            self.logged.setdefault(name, []).append(value.detach().clone())

    def arrays(self, earlier=None) -> dict:
        """The fields of a Result; of a training that was continued, after the `earlier` ones."""
        curves = {
            "evaluation_returns": self._stack(self.evaluations),
            "cut_episodes": self._stack(self.cut),
            "env_steps": np.array(self.env_steps, dtype=np.int64),
        }
        log = {name: self._stack(values) for name, values in self.logged.items()}
        if earlier is not None:  # its last evaluation is the first of this one
            for name, new in curves.items():
                curves[name] = np.concatenate([getattr(earlier, name), new[..., 1:]], axis=-1)
            for name, new in log.items():
                log[name] = np.concatenate([earlier.log[name], new], axis=-1)
        return curves | {"log": log}

    def _stack(self, values: list[torch.Tensor]) -> np.ndarray:
        """[(R,), (R,), ...] -> (R, N)."""
        if not values:
            return np.zeros((self.num_runs, 0))
        return torch.stack(values, dim=1).cpu().numpy()
