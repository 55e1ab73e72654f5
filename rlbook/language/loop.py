"""What every learner of a language model needs and no reader wants to see in it: progress,
interruption, a loss that is NaN, a log, checkpoints that continue exactly.

    loop = Loop({"policy": model}, num_steps=200, learning_rate=1e-3, seed=0)
    with loop:
        for step in loop.steps():
            loop.minimize(loss_of(model, loop.generator))
            loop.log(reward=..., kl=...)
    return loop.result()
"""

import math
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from rlbook.progress import progress as progress_bar
from rlbook.results import load_optimizer, optimizer_state
from rlbook.saving import load_tensors, save_tensors
from rlbook.seeding import generator

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True, eq=False)
class LoopResult:
    """What a training of language models hands back."""

    models: dict[str, nn.Module]
    """As they are after the last good step."""
    log: dict[str, torch.Tensor]
    """name -> (steps,) float64; NaN where a step did not log it."""
    interrupted: bool
    """By Ctrl-C, or by the stop button of a notebook."""
    stopped: str | None
    """Why the training stopped early: a loss or gradient that is not finite."""
    seconds: float
    """Of all steps, earlier ones of a continued training included."""


class NotFinite(ArithmeticError):
    """A loss or a gradient is NaN or infinite."""


class Loop:
    """The steps of one training of one or several models, each with an AdamW of its own.

    Args:
        models: name -> module. They are trained in place. A frozen reference is none of them:
            copy it from the policy before the Loop is made, which may load other weights.
        learning_rate: a number, or name -> number.
        schedule: "constant", or "linear" or "cosine": down to 0 over num_steps.
        warmup_steps: over which the learning rate rises to its full size.
        max_gradient_norm: of each model.
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
        seed: int = 0,
        schedule: str = "constant",
        warmup_steps: int = 0,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        max_gradient_norm: float = 1.0,
        progress: bool = True,
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 50,
        resume: str | Path | None = None,
    ):
        if schedule not in ("constant", "linear", "cosine"):
            raise ValueError(f'schedule must be "constant", "linear" or "cosine": {schedule!r}')
        if num_steps < 1 or checkpoint_every < 1:
            raise ValueError("num_steps and checkpoint_every must be at least 1")
        rates = dict(learning_rate) if isinstance(learning_rate, Mapping) else None
        self.rates = rates or {name: learning_rate for name in models}
        if set(self.rates) != set(models) or not all(rate > 0 for rate in self.rates.values()):
            raise ValueError(f"learning_rate must be positive for each model: {learning_rate}")
        self.models, self.num_steps, self.seed = dict(models), num_steps, seed
        self.schedule, self.warmup_steps = schedule, warmup_steps
        self.max_gradient_norm, self.show_progress = max_gradient_norm, progress
        options = {"betas": betas, "weight_decay": weight_decay, "fused": True}
        self.optimizers = {
            name: torch.optim.AdamW(trainable(model), lr=self.rates[name], **options)
            for name, model in models.items()
        }
        self.generator = generator(seed)
        self.interrupted, self.stopped = False, None
        self.step, self.seconds = 0, 0.0
        self.logged: dict[str, dict[int, float]] = {}
        self.tensors: dict[str, torch.Tensor] = {}
        self.resumed: dict[str, torch.Tensor] = {}
        self.checkpoint, self.checkpoint_every = checkpoint and Path(checkpoint), checkpoint_every
        if resume is not None:
            self._load(Path(resume) / CHECKPOINT)
        elif self.checkpoint and (self.checkpoint / CHECKPOINT).exists():
            raise ValueError(f"{checkpoint} holds a training: resume it, or take another folder")

    def __enter__(self) -> "Loop":
        return self

    def __exit__(self, kind, error, traceback) -> bool:
        """Ctrl-C and a loss that is not finite end the training, and what was learned stays."""
        if isinstance(error, NotFinite):
            self.stopped = str(error)
            warnings.warn(self.stopped, stacklevel=2)
        self.interrupted = isinstance(error, KeyboardInterrupt)
        return isinstance(error, NotFinite | KeyboardInterrupt)

    def steps(self) -> Iterator[int]:
        """The steps that are left of 0 .. num_steps - 1."""
        with progress_bar(total=self.num_steps, show=self.show_progress) as bar:
            bar.update(self.step)
            while self.step < self.num_steps:
                started = time.perf_counter()
                self._set_learning_rates()
                yield self.step
                self.step += 1
                self.seconds += time.perf_counter() - started
                if self.step % self.checkpoint_every == 0 or self.step == self.num_steps:
                    self._save()
                last = {name: row.get(self.step - 1) for name, row in self.logged.items()}
                shown = [f"{name} {x:.3g}" for name, x in last.items() if x is not None]
                bar.set_postfix_str(", ".join(shown), refresh=False)
                bar.update()

    def minimize(self, loss: torch.Tensor, *names: str) -> float:
        """One step down the gradient of a loss (): of all models, or of those named.

        Returns:
            The norm of the gradient before it was clipped.
        """
        if loss.ndim:
            raise ValueError(f"loss must be one number, got shape {tuple(loss.shape)}")
        optimizers = [self.optimizers[name] for name in names or self.models]
        if not loss.isfinite():
            self._refuse("the loss", loss)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        groups = [trainable(self.models[name]) for name in names or self.models]
        norms = [nn.utils.clip_grad_norm_(g, self.max_gradient_norm) for g in groups]
        norm = torch.stack([x.cpu() for x in norms]).norm()
        if not norm.isfinite():
            self._refuse("the norm of the gradient", norm)
        for optimizer in optimizers:
            optimizer.step()
        return float(norm)

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
        return LoopResult(self.models, self._log(), self.interrupted, self.stopped, self.seconds)

    # --- inside

    def _set_learning_rates(self) -> None:
        done = self.step / self.num_steps
        factor = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}
        factor = factor[self.schedule] * min(1.0, (self.step + 1) / (self.warmup_steps + 1))
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rates[name] * factor

    def _refuse(self, what: str, value: torch.Tensor) -> None:
        kept = "the weights of before it are kept"
        raise NotFinite(f"{what} of step {self.step} is {float(value.detach())}: {kept}")

    def _log(self) -> dict[str, torch.Tensor]:
        rows = {n: [x.get(t, math.nan) for t in range(self.step)] for n, x in self.logged.items()}
        return {name: torch.tensor(row, dtype=torch.float64) for name, row in rows.items()}

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        tensors = {"generator": self.generator.get_state()} | optimizer_state(self.optimizers)
        for name, model in self.models.items():
            tensors |= {f"model.{name}.{key}": x for key, x in model.state_dict().items()}
        tensors |= {f"tensor.{name}": x for name, x in self.tensors.items()}
        tensors |= {f"log.{name}": x for name, x in self._log().items()}
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        about = {"step": self.step, "seed": self.seed, "seconds": self.seconds}
        save_tensors(self.checkpoint / CHECKPOINT, tensors, about)

    def _load(self, path: Path) -> None:
        device = next(p.device for model in self.models.values() for p in model.parameters())
        tensors, about = load_tensors(path, device)
        if about["seed"] != self.seed:
            raise ValueError(f"{path} is of seed {about['seed']}, asked for is {self.seed}")
        self.step, self.seconds, self.resumed = about["step"], about["seconds"], tensors
        self.generator.set_state(tensors["generator"].cpu())
        for name, model in self.models.items():
            try:
                model.load_state_dict(_part(tensors, f"model.{name}."))
            except RuntimeError as error:
                raise ValueError(f"{path} does not fit the model {name!r}: {error}") from error
            load_optimizer(name, self.optimizers[name], tensors)
        for name, row in _part(tensors, "log.").items():
            self.logged[name] = dict(enumerate(row.tolist()))


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that are not frozen."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): x for k, x in tensors.items() if k.startswith(prefix)}
