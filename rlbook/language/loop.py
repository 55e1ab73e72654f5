"""What every learner of a language model needs and no reader wants to see in it: progress,
interruption, a loss that is NaN, a log, checkpoints that continue exactly.

    loop = Loop({"policy": model}, num_steps=200, learning_rate=1e-3, seed=0)
    with loop:
        for step in loop.steps():
            loop.gradient_step(loss_of(model, loop.generator))
            loop.log(reward=..., kl=...)
    return loop.result()
"""

import math
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import nn

from rlbook.ground import require
from rlbook.ground.progress import progress as progress_bar
from rlbook.ground.saving import load_optimizer, load_tensors, optimizer_state, save_tensors
from rlbook.ground.seeding import generator

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True, eq=False)
class LoopResult:
    """What a training of language models hands back."""

    models: dict[str, Any]
    """name -> module, as it is after the last good step. What was handed to the training is as it
    was before."""
    log: dict[str, np.ndarray]
    """name -> (steps,) float64; NaN where a step did not log it."""
    interrupted: bool
    """By Ctrl-C, or by the stop button of a notebook."""
    frozen: str | None
    """Why it was stopped early: a reward, loss or gradient that is not finite."""
    wall_time: float
    """In seconds, of all steps, earlier ones of a continued training included."""


class Loop:
    """The steps of one training of one or several models, each with an AdamW of its own.

    Args:
        models: name -> module. They are trained in place, and `resume` loads other weights into
            them: so they are copies that the learner has made, and a frozen reference is none.
        learning_rate, schedule, warmup_steps, betas, weight_decay, max_gradient_norm: see
            `Optimizers`.
        checkpoint: a folder, made if missing, in which the state is written every
            `checkpoint_every` steps and after the last one, whole or not at all.
        resume: a folder with a checkpoint. The same calls with the same num_steps then give what
            they would have given without a break, bit for bit.

    Attributes:
        generator: on the CPU, of this seed; draw all random numbers from it.

    Raises:
        FileNotFoundError: no checkpoint in `resume`.
        ValueError: a checkpoint of another seed or of other models; a folder `checkpoint` that
            holds a training which is not continued here; a setting out of range.
    """

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        *,
        num_steps: int,
        learning_rate: float | Mapping[str, float],
        schedule: str = "constant",
        warmup_steps: int = 0,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        max_gradient_norm: float = 1.0,
        seed: int = 0,
        progress: bool = True,
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 50,
        resume: str | Path | None = None,
    ):
        require.at_least("num_steps", num_steps, 1)
        require.at_least("checkpoint_every", checkpoint_every, 1)
        self.models, self.num_steps, self.seed = dict(models), num_steps, seed
        self.optimizers = Optimizers(
            self.models,
            learning_rate=learning_rate,
            schedule=schedule,
            warmup_steps=warmup_steps,
            betas=betas,
            weight_decay=weight_decay,
            max_gradient_norm=max_gradient_norm,
        )
        self.show_progress = progress
        self.checkpoint = Path(checkpoint) if checkpoint else None
        self.checkpoint_every = checkpoint_every
        self.generator = generator(seed)
        self.interrupted = False
        self.frozen: str | None = None
        self.step, self.wall_time = 0, 0.0
        self.logged: dict[str, dict[int, float]] = {}
        self.tensors: dict[str, torch.Tensor] = {}
        self.resumed: dict[str, torch.Tensor] = {}
        if resume is not None:
            self._load(Path(resume) / CHECKPOINT)
        if self.checkpoint and (self.checkpoint / CHECKPOINT).exists():
            if resume is None or Path(resume).resolve() != self.checkpoint.resolve():
                raise ValueError(
                    f"{checkpoint} holds a training: resume it, or name another folder"
                )

    def __enter__(self) -> "Loop":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Ctrl-C and a loss that is not finite end the training, and what was learned stays."""
        if isinstance(error, NotFinite):
            self.frozen = f"{error} in step {self.step}: the weights of before it are kept"
            warnings.warn(self.frozen, stacklevel=2)
        self.interrupted = isinstance(error, KeyboardInterrupt)
        return isinstance(error, NotFinite | KeyboardInterrupt)

    def steps(self) -> Iterator[int]:
        """The steps that are left of 0 .. num_steps - 1."""
        with progress_bar(total=self.num_steps, show=self.show_progress) as bar:
            bar.update(self.step)
            while self.step < self.num_steps:
                started = time.perf_counter()
                self.optimizers.set_learning_rates(self.step, self.num_steps)
                yield self.step
                self.step += 1
                self.wall_time += time.perf_counter() - started
                if self.step % self.checkpoint_every == 0 or self.step == self.num_steps:
                    self._save()
                last = {name: row.get(self.step - 1) for name, row in self.logged.items()}
                shown = [f"{name} {x:.3g}" for name, x in last.items() if x is not None]
                bar.set_postfix_str(", ".join(shown), refresh=False)
                bar.update()

    def gradient_step(self, loss: torch.Tensor, *names: str) -> float:
        """One step down the gradient of a loss (): of all models, or of those named.

        Returns:
            The norm of the gradient before it was clipped.
        """
        return self.optimizers.gradient_step(loss, *names)

    def log(self, **values: float | torch.Tensor) -> None:
        """Keep numbers of this step: `result().log` holds them as (steps,)."""
        for name, value in values.items():
            self.logged.setdefault(name, {})[self.step] = float(torch.as_tensor(value).detach())

    def remember(self, name: str, initial: torch.Tensor) -> torch.Tensor:
        """A tensor that is part of the checkpoints; change it in place."""
        self.tensors[name] = self.resumed.get(f"tensor.{name}", initial).clone()
        return self.tensors[name]

    def result(self) -> LoopResult:
        """What was learned so far."""
        return LoopResult(
            models=self.models,
            log=self._log(),
            interrupted=self.interrupted,
            frozen=self.frozen,
            wall_time=self.wall_time,
        )

    # --- inside

    def _log(self) -> dict[str, np.ndarray]:
        return {
            name: np.array([row.get(t, math.nan) for t in range(self.step)])
            for name, row in self.logged.items()
        }

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        tensors = {"generator": self.generator.get_state()} | self.optimizers.state()
        for name, model in self.models.items():
            tensors |= {f"model.{name}.{key}": x for key, x in model.state_dict().items()}
        tensors |= {f"tensor.{name}": x for name, x in self.tensors.items()}
        tensors |= {f"log.{name}": torch.from_numpy(x) for name, x in self._log().items()}
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        about = {"step": self.step, "seed": self.seed, "seconds": self.wall_time}
        save_tensors(self.checkpoint / CHECKPOINT, tensors, about)

    def _load(self, path: Path) -> None:
        device = next(p.device for model in self.models.values() for p in model.parameters())
        tensors, about = load_tensors(path, device)
        if about["seed"] != self.seed:
            raise ValueError(f"{path} is of seed {about['seed']}, asked for is {self.seed}")
        self.step, self.wall_time, self.resumed = about["step"], about["seconds"], tensors
        self.generator.set_state(tensors["generator"].cpu())
        for name, model in self.models.items():
            try:
                model.load_state_dict(_part(tensors, f"model.{name}."))
            except RuntimeError as error:
                raise ValueError(f"{path} does not fit the model {name!r}: {error}") from error
        self.optimizers.load_state(tensors)
        for name, row in _part(tensors, "log.").items():
            self.logged[name] = dict(enumerate(row.tolist()))


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that are not frozen."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): x for k, x in tensors.items() if k.startswith(prefix)}


# ---------------------------------------------------------------- optimizers


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
        schedule: str,
        warmup_steps: int,
        betas: tuple[float, float],
        weight_decay: float,
        max_gradient_norm: float,
    ):
        require.one_of("schedule", schedule, *SCHEDULES)
        require.positive("max_gradient_norm", max_gradient_norm)
        self.schedule, self.warmup_steps = SCHEDULES[schedule], warmup_steps
        self.rates = _rates(models, learning_rate)
        self.max_gradient_norm = max_gradient_norm
        self.parameters = _parameters(models)
        self.by_name = {
            name: torch.optim.AdamW(
                parameters,
                lr=self.rates[name],
                betas=betas,
                weight_decay=weight_decay,
                fused=True,
            )
            for name, parameters in self.parameters.items()
        }

    def set_learning_rates(self, step: int, num_steps: int) -> None:
        """For this step of so many."""
        warm = min(1.0, (step + 1) / (self.warmup_steps + 1))
        factor = warm * self.schedule(step / num_steps)
        for name, optimizer in self.by_name.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rates[name] * factor

    def gradient_step(self, loss: torch.Tensor, *names: str) -> float:
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


def _rates(
    models: Mapping[str, nn.Module], learning_rate: float | Mapping[str, float]
) -> dict[str, float]:
    if isinstance(learning_rate, Mapping):
        rates = dict(learning_rate)
    else:
        rates = dict.fromkeys(models, learning_rate)
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
