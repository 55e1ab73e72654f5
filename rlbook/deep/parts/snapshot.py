"""A copy of everything that an update changes."""

from typing import Protocol

import torch
from torch import nn

from rlbook.deep.parts.record import Record


class Stateful(Protocol):
    """What a snapshot is taken of: a training."""

    networks: nn.ModuleDict
    record: Record

    def small_state(self) -> dict[str, torch.Tensor]: ...

    def load_state(self, state: dict[str, torch.Tensor]) -> None: ...


class Snapshot:
    """A training as it stands now, to go back to: as a whole, or for some of its runs."""

    def __init__(self, training: Stateful):
        self.networks = {k: v.clone() for k, v in training.networks.state_dict().items()}
        self.state = {name: x.clone() for name, x in training.small_state().items()}
        self.logged = training.record.lengths()

    def restore(self, training: Stateful, rows: list[int] | None = None) -> None:
        """Everything as it was, or the networks, optimisers and what else an agent remembers of
        these runs; what they logged since then is NaN."""
        training.record.back_to(self.logged, rows)
        if rows is None:
            training.networks.load_state_dict(self.networks)
            training.load_state(self.state)
            return
        for name, now in training.networks.state_dict().items():
            now[rows] = self.networks[name][rows]
        for name, now in training.small_state().items():
            if name.startswith(("optimizer.", "tensor.")) and now.ndim:
                # an optimiser that had taken no step had no moments: they begin at 0
                now[rows] = self.state[name][rows] if name in self.state else 0
