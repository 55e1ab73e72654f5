"""AdamW for each of several models, with one schedule, and steps that refuse what is not finite."""

import math
from collections.abc import Mapping

import torch
from torch import nn

from rlbook.results import load_optimizer, optimizer_state

SCHEDULES = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}
"""The learning rate, as a share of its full size, when a share of the steps is done."""


class NotFinite(ArithmeticError):
    """A loss, a gradient or a reward is NaN or infinite."""


class Optimizers:
    """One AdamW a model.

    Args:
        models: name -> module; no parameter in two of them.
        learning_rate: a number, or name -> number.
        schedule: "constant", or "linear" or "cosine": down to 0 over the training.
        warmup_steps: over which the learning rate rises to its full size.
        max_gradient_norm: of each model by itself.

    Raises:
        ValueError: a setting out of range, or a parameter that two models share.
    """

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        *,
        learning_rate: float | Mapping[str, float],
        schedule: str = "constant",
        warmup_steps: int = 0,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        max_gradient_norm: float = 1.0,
    ):
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {list(SCHEDULES)}, got {schedule!r}")
        if not max_gradient_norm > 0:
            raise ValueError(f"max_gradient_norm must be positive, got {max_gradient_norm}")
        self.schedule, self.warmup_steps = SCHEDULES[schedule], warmup_steps
        self.rates = _rates(models, learning_rate)
        self.max_gradient_norm = max_gradient_norm
        self.parameters = _parameters(models)
        options = {"betas": betas, "weight_decay": weight_decay, "fused": True}
        self.by_name = {
            name: torch.optim.AdamW(parameters, lr=self.rates[name], **options)
            for name, parameters in self.parameters.items()
        }

    def set_learning_rates(self, step: int, num_steps: int) -> None:
        """For this step of so many."""
        warm = min(1.0, (step + 1) / (self.warmup_steps + 1))
        factor = warm * self.schedule(step / num_steps)
        for name, optimizer in self.by_name.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rates[name] * factor

    def minimize(self, loss: torch.Tensor, *names: str) -> float:
        """One step down the gradient of a loss (): of all models, or of those named.

        Returns:
            The norm of the gradient before it was clipped.

        Raises:
            NotFinite: then no weight has moved.
        """
        if loss.ndim:
            raise ValueError(f"loss must be one number, got shape {tuple(loss.shape)}")
        if not loss.isfinite():
            raise NotFinite(f"the loss is {float(loss.detach())}")
        names = names or tuple(self.by_name)
        for name in names:
            self.by_name[name].zero_grad()
        loss.backward()
        clip, most = nn.utils.clip_grad_norm_, self.max_gradient_norm
        norm = math.hypot(*(float(clip(self.parameters[name], most)) for name in names))
        if not math.isfinite(norm):
            raise NotFinite(f"the norm of the gradient is {norm}")
        for name in names:
            self.by_name[name].step()
        return norm

    def state(self) -> dict[str, torch.Tensor]:
        """Moments and step counts, for `load_state`."""
        return optimizer_state(self.by_name)

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave, on the device of the weights."""
        for name, optimizer in self.by_name.items():
            load_optimizer(name, optimizer, state)


def _rates(models: Mapping[str, nn.Module], learning_rate) -> dict[str, float]:
    given = learning_rate if isinstance(learning_rate, Mapping) else None
    rates = dict.fromkeys(models, learning_rate) if given is None else dict(given)
    if set(rates) != set(models) or not all(rate > 0 for rate in rates.values()):
        raise ValueError(f"learning_rate must be positive for each model, got {learning_rate}")
    return rates


def _parameters(models: Mapping[str, nn.Module]) -> dict[str, list[nn.Parameter]]:
    """Those that are not frozen. Two optimizers would move a shared one twice."""
    found = {name: [p for p in m.parameters() if p.requires_grad] for name, m in models.items()}
    owner: dict[nn.Parameter, str] = {}
    for name, parameters in found.items():
        for parameter in parameters:
            if owner.setdefault(parameter, name) != name:
                raise ValueError(f"{name} shares parameters with {owner[parameter]}")
    return found
