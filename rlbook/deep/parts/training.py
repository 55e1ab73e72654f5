"""What every deep learner needs and no reader wants to see in it: progress, evaluation,
interruption, runs whose loss is NaN, saving and continuing.

An agent's `train` is a page: collect, targets, loss, step.

    training = Training(env, config, make_networks, num_runs=num_runs, seed=seed, ...)
    with training:
        for _ in training.updates(number):
            training.gradient_step(optimizer, loss_of(training.collect(config.rollout_steps)))
    return training.result()
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from rlbook.deep.parts.config import TrainingConfig
from rlbook.deep.parts.envs.interface import close
from rlbook.deep.parts.envs.make import Env, make_envs
from rlbook.deep.parts.networks import clip_gradients_per_run
from rlbook.deep.parts.policies import acting
from rlbook.deep.parts.results import Result, Spaces, evaluate, read_result
from rlbook.deep.parts.rollouts import Rollout, collect
from rlbook.ground.frozen_step import frozen_step
from rlbook.ground.progress import finish_imports
from rlbook.ground.progress import progress as progress_bar
from rlbook.ground.require import check_device, require_shape
from rlbook.ground.saving import load_optimizer, optimizer_state
from rlbook.ground.seeding import Streams

INITIAL_WEIGHTS, LEARNING, EVALUATION = range(3)
"""Families of random streams, beside the agent's own."""


class Training:
    """R runs of one agent in one environment.

    Args:
        env: a Gymnasium id, a zero-argument factory, or batched environments (`deep.parts.envs`).
        config: the agent's.
        make_networks: (envs, config, generators) -> {name: module with a run axis}; the one
            called "policy" has `greedy(observations)`, and that is what evaluations run.
        num_runs, run_ids: runs 0 .. num_runs - 1, or these ones. Run k depends on (seed, k) only.
        device: where all tensors live; by default "cpu".
        progress: show a bar.
        resume: a Result of the same agent, environment and runs, to continue from, or the path
            where one was saved.

    Attributes:
        envs, networks, device, run_ids; streams: the agent's own random numbers.
        frozen: {run id: why it was stopped}.

    Raises:
        ValueError: before anything is trained, on whatever does not fit.
        FileNotFoundError: no such file to resume from.
    """

    def __init__(
        self,
        env: Env,
        config: TrainingConfig,
        make_networks: Callable[..., dict[str, nn.Module]],
        *,
        num_runs: int = 10,
        run_ids: Sequence[int] | None = None,
        device: str | torch.device | None = None,
        seed: int = 0,
        progress: bool = True,
        resume: Result | str | os.PathLike | None = None,
    ):
        self.started = time.perf_counter()
        finish_imports()
        self.config, self.env, self.show_progress = config, env, progress
        self.run_ids = list(range(num_runs) if run_ids is None else run_ids)
        self.device = check_device(device or "cpu")
        self.streams = Streams(seed, self.run_ids, self.device)
        if resume is not None and not isinstance(resume, Result):
            resume = read_result(resume, type(config), make_networks, self.device)
        self.resume = resume
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.observations: torch.Tensor | None = None
        self.frozen: dict[int, str] = {}
        self.record = Record(len(self.run_ids))
        self.env_steps, self.fraction, self.interrupted = 0, 0.0, False
        self.tensors: dict[str, torch.Tensor] = {}
        with ExitStack() as made:  # closes what was made if something below fails
            self._make_envs(made)
            self._make_networks(make_networks)
            self._made = made.pop_all()

    # --- what an agent calls, in this order

    def optimizer(
        self, name: str, *networks: nn.Module, learning_rate: float | None = None
    ) -> torch.optim.Adam:
        """Adam on the parameters of these networks, saved and continued under `name`."""
        parameters = [p for network in networks for p in network.parameters()]
        rate = self.config.learning_rate if learning_rate is None else learning_rate
        adam = torch.optim.Adam(parameters, lr=rate, fused=True)
        self.optimizers[name] = adam
        if self.resume is not None:
            load_optimizer(name, adam, self.resume.state)
        return adam

    def remember(self, name: str, initial: torch.Tensor) -> torch.Tensor:
        """A tensor that is saved and continued; change it in place."""
        if self.resume is not None:
            initial = self.resume.state[f"tensor.{name}"].clone()
        self.tensors[name] = initial
        return initial

    def __enter__(self) -> "Training":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Ctrl-C, or the stop button of a notebook, ends the training and keeps what it learned.
        However it ends, the environments that it made are closed; those that came in are not."""
        self.interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self._made.close()
        return self.interrupted

    def updates(self, count: int) -> Iterator[int]:
        """0 .. count - 1, with progress and evaluations; `fraction` says how much is done."""
        if count < 1:
            raise ValueError("total_steps must be enough for one update of all environments")
        due = torch.linspace(0, count, self.config.num_evals).round().long().tolist()
        with progress_bar(total=count, description="updates", show=self.show_progress) as bar:
            for update in range(count):
                self.fraction = update / count
                if update in due:
                    self._evaluate(bar)
                yield update
                bar.update()
            self._evaluate(bar)

    def collect(self, steps: int) -> Rollout:
        """T steps of the current policy in all environments, where the last ones ended."""
        if self.observations is None:
            self.observations = self.envs.reset()
        rollout = self._collect(self.observations, steps)
        self.observations = rollout.last_observations
        self.env_steps += steps * self.envs.num_envs
        return rollout

    def collect_episodes(self, max_steps: int) -> Rollout:
        """One whole episode in each environment; what comes after its end is not valid."""
        rollout = self._collect(self.envs.reset(), max_steps, whole_episodes=True)
        self.env_steps += int(rollout.valid.sum()) // self.envs.num_runs
        return rollout

    def gradient_step(
        self,
        optimizer: torch.optim.Optimizer,
        loss: torch.Tensor,
        *,
        max_gradient_norm: float = torch.inf,
        active: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """One gradient step on the losses (R,) of all runs. They are summed: a sum of losses
        that share no parameter leaves every gradient what it is alone.

        A run whose loss or gradient is not finite is frozen: it keeps the parameters that it
        has, and the others go on.

        Args:
            max_gradient_norm: of each run by itself.
            active: (R,) bool; the other runs keep their parameters, too. All step by default.

        Returns:
            (R,): the norm of each run's gradient, before it was clipped.
        """
        require_shape("loss", loss, (len(self.run_ids),))
        optimizer.zero_grad()
        loss.sum().backward()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norms = clip_gradients_per_run(parameters, max_gradient_norm)
        self.freeze(~(loss.detach().isfinite() & norms.isfinite()), "its loss is not finite")
        frozen_step(optimizer, self._frozen_rows(active))
        return norms

    def anneal(self, optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
        """The step size falls from `learning_rate` to 0 in a straight line over the training."""
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (1 - self.fraction)

    def freeze(self, bad: torch.Tensor, reason: str) -> None:
        """Stop the runs where `bad` (R,) is True: they are named, and the others go on."""
        if not bad.any():
            return
        for row in bad.nonzero().flatten().tolist():
            run = self.run_ids[row]
            if run not in self.frozen:
                self.frozen[run] = f"{reason}, after {self.env_steps} environment steps"
                warnings.warn(f"run {run} is frozen: {self.frozen[run]}", stacklevel=3)

    def log(self, **values: torch.Tensor) -> None:
        """Keep numbers of this update, (R,) each; `result().log` holds them as (R, updates)."""
        self.record.log(**values)

    def result(self) -> Result:
        """What was learned so far; of a continued training, all of it."""
        earlier = self.resume
        return Result(
            networks=self.networks,
            **self.record.arrays(earlier),
            frozen=self.frozen,
            interrupted=self.interrupted,
            wall_time=time.perf_counter() - self.started + (earlier.wall_time if earlier else 0),
            run_ids=self.run_ids,
            seed=self.streams.seed,
            config=self.config,
            env=self.env,
            spaces=Spaces.of(self.envs),
            continuations=earlier.continuations + 1 if earlier else 0,
            state=self._state(),
        )

    # --- inside

    def _make_envs(self, made: ExitStack) -> None:
        config, earlier = self.config, self.resume.continuations + 1 if self.resume else 0
        learning = self.streams.spawn(LEARNING).spawn(earlier)
        evaluation = self.streams.spawn(EVALUATION)
        self.envs = make_envs(
            self.env, num_envs=config.num_envs, streams=learning, device=self.device
        )
        if self.envs is not self.env:
            made.callback(close, self.envs)
        self.evaluation_envs = self.envs.spawn(config.evaluation_episodes, evaluation)
        if self.evaluation_envs is not self.env:
            made.callback(close, self.evaluation_envs)

    def _make_networks(self, make_networks: Callable[..., dict[str, nn.Module]]) -> None:
        generators = self.streams.spawn(INITIAL_WEIGHTS, "cpu").generators
        networks = make_networks(self.envs, self.config, generators)
        self.networks = nn.ModuleDict(networks).to(self.device)
        if (earlier := self.resume) is not None:
            earlier.check_fits(self.run_ids, self.streams.seed, self.networks)
            self.networks.load_state_dict(earlier.networks.state_dict())
            self.streams.load_state(earlier.state["streams"])
            self.frozen = dict(earlier.frozen)
            self.env_steps = int(earlier.state["env_steps"])

    def _collect(
        self, observations: torch.Tensor, steps: int, *, whole_episodes: bool = False
    ) -> Rollout:
        policy, E = acting(self.networks), self.envs.num_envs
        noise = policy.draw_noise(self.streams, steps, E)  # (R, T, E, ...), in one block
        act = lambda seen, t: policy.sample(seen, noise[:, t])  # noqa: E731
        return collect(self.envs, observations, act, steps, whole_episodes=whole_episodes)

    def _state(self) -> dict[str, torch.Tensor]:
        state = {"streams": self.streams.state(), "env_steps": torch.tensor(self.env_steps)}
        state |= {f"tensor.{name}": tensor for name, tensor in self.tensors.items()}
        return state | optimizer_state(self.optimizers)

    def _frozen_rows(self, active: torch.Tensor | None = None) -> list[int]:
        going = [True] * len(self.run_ids) if active is None else active.tolist()
        return [k for k, run in enumerate(self.run_ids) if run in self.frozen or not going[k]]

    def _evaluate(self, bar: tqdm) -> None:
        policy, cap = acting(self.networks), self.config.evaluation_step_cap
        evaluation = evaluate(policy.greedy, self.evaluation_envs, step_cap=cap)
        returns = evaluation.returns.mean(dim=1)
        returns[self._frozen_rows()] = torch.nan
        self.record.add_evaluation(returns, evaluation.cut.sum(dim=1), self.env_steps)
        speed = self.env_steps * len(self.run_ids) / (time.perf_counter() - self.started)
        bar.set_postfix_str(f"return {float(returns.nanmean()):.1f}, {speed:,.0f} steps/s")


# ---------------------------------------------------------------- the curves so far


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
            require_shape(name, value, (self.num_runs,))
            self.logged.setdefault(name, []).append(value.detach().clone())

    def arrays(self, earlier: Result | None = None) -> dict[str, Any]:
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
