"""The curves of a training so far: evaluations, and what an agent logs in each update."""

from typing import Any

import numpy as np
import torch

from rlbook.deep.parts.results import Result
from rlbook.ground.require import require_shape


class Record:
    """Evaluations of R runs, and what an agent logs in each update."""

    def __init__(self, num_runs: int):
        self.num_runs = num_runs
        self.evaluations: list[torch.Tensor] = []
        self.cut: list[torch.Tensor] = []
        self.run_steps: list[torch.Tensor] = []
        self.logged: dict[str, list[torch.Tensor]] = {}

    def add_evaluation(
        self, returns: torch.Tensor, cut: torch.Tensor, run_steps: torch.Tensor
    ) -> None:
        """(R,) each: returns, cut episodes, and the environment steps of each run before."""
        self.evaluations.append(returns)
        self.cut.append(cut)
        self.run_steps.append(run_steps.clone())

    def log(self, **values: torch.Tensor) -> None:
        """Numbers of one update, (R,) each."""
        for name, value in values.items():
            require_shape(name, value, (self.num_runs,))
            self.logged.setdefault(name, []).append(value.detach().clone())

    def lengths(self) -> dict[str, int]:
        """How many updates have logged each name."""
        return {name: len(values) for name, values in self.logged.items()}

    def back_to(self, lengths: dict[str, int], rows: list[int] | None = None) -> None:
        """What was logged since then is dropped, or is NaN in these rows."""
        for name, values in self.logged.items():
            since = lengths.get(name, 0)
            if rows is None:
                del values[since:]
            else:
                nan = [value.to(torch.get_default_dtype()) for value in values[since:]]
                for value in nan:
                    value[rows] = torch.nan
                values[since:] = nan

    def arrays(self, earlier: Result | None = None) -> dict[str, Any]:
        """The fields of a Result; of a training that was continued, after the `earlier` ones."""
        curves = {
            "evaluation_returns": self._stack(self.evaluations),
            "cut_episodes": self._stack(self.cut),
            "run_steps": self._stack(self.run_steps).astype(np.int64),
        }
        log = {name: self._stack(values) for name, values in self.logged.items()}
        if earlier is not None:
            for name, new in curves.items():
                curves[name] = np.concatenate([getattr(earlier, name), new], axis=-1)
            for name, old in earlier.log.items():
                log[name] = np.concatenate([old, log[name]], axis=-1) if name in log else old
        return curves | {"log": log}

    def _stack(self, values: list[torch.Tensor]) -> np.ndarray:
        """[(R,), (R,), ...] -> (R, N)."""
        if not values:
            return np.zeros((self.num_runs, 0))
        return torch.stack(values, dim=1).cpu().numpy()
