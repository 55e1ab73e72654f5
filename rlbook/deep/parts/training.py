"""What every deep learner needs and no reader wants to see in it: progress, evaluation,
interruption, runs whose numbers are NaN, saving and continuing.

An update is all or nothing. Before each, a copy is kept of everything that it changes: an
interruption, or an error, goes back to it, and so does a run that is frozen, to the last bit.

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

import torch
from torch import nn
from tqdm.auto import tqdm

from rlbook.deep.parts.config import TrainingConfig
from rlbook.deep.parts.envs.interface import close
from rlbook.deep.parts.envs.make import Env, make_envs
from rlbook.deep.parts.keeping import Keep, Keeper
from rlbook.deep.parts.networks import clip_gradients_per_run
from rlbook.deep.parts.policies import acting
from rlbook.deep.parts.record import Record
from rlbook.deep.parts.replay import Replay
from rlbook.deep.parts.results import Result, Spaces, evaluate, read_result
from rlbook.deep.parts.rollouts import Rollout, collect, first_not_finite, not_finite
from rlbook.deep.parts.snapshot import Snapshot, resume_state, saves_episodes, small_state, undone
from rlbook.ground.frozen_step import frozen_step
from rlbook.ground.progress import carry, finish_imports
from rlbook.ground.progress import progress as progress_bar
from rlbook.ground.require import check_device, require_shape
from rlbook.ground.saving import load_optimizer
from rlbook.ground.seeding import Streams, different_runs

INITIAL_WEIGHTS, LEARNING, EVALUATION = range(3)
"""Families of random streams, beside the agent's own."""
GIVEN = "its environment gave a number that is not finite"


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
            where one was saved. A training that was cut short goes on to its end; one that had
            ended takes the config's number of steps once more, its schedules from the start.
            Networks, optimisers, memories and random numbers go on where they stood, and so do
            environments that can be saved: those of this package in torch. Then half and half
            are the whole, to the bit. Gymnasium's cannot: they begin new episodes, and the
            result's `exact` is False.
        keep: a folder for curves and checkpoints; see `Keep`.

    Attributes:
        envs, networks, device, run_ids; streams: the agent's own random numbers.
        frozen: {run id: why it was stopped}; stopped: {run id: when it had learned enough};
            resting: (R,) bool, both on the device.
        further: this training continues one that had ended.

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
        keep: Keep | None = None,
    ):
        self.started = time.perf_counter()
        finish_imports()
        self.config, self.env, self.show_progress = config, env, progress
        self.run_ids = different_runs(num_runs if run_ids is None else None, run_ids)
        self.device = check_device(device or "cpu")
        self.streams = Streams(seed, self.run_ids, self.device)
        if resume is not None and not isinstance(resume, Result):
            resume = read_result(resume, type(config), make_networks, self.device)
        self.resume, self.keeper = resume, Keeper(keep, self.result, resume)
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.observations: torch.Tensor | None = None
        self.record = Record(len(self.run_ids))
        self.tensors: dict[str, torch.Tensor] = {}
        self.replays: dict[str, Replay] = {}
        self.frozen: dict[int, str] = {}
        self.stopped: dict[int, str] = {}
        self.resting = torch.zeros(len(self.run_ids), dtype=torch.bool, device=self.device)
        self.env_steps = torch.zeros(len(self.run_ids), dtype=torch.long, device=self.device)
        self.updates_done, self.gradient_steps, self.fraction = 0, 0, 0.0
        self.further = self.interrupted = self._evaluated = False
        self._suspects: dict[str, torch.Tensor] = {}
        self._rollout: Rollout | None = None
        self._before: Snapshot | None = None
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
        adam = torch.optim.Adam(parameters, lr=rate)
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

    def remember_replay(self, name: str, replay: Replay) -> Replay:
        """A memory of transitions that is saved and continued."""
        if self.resume is not None:
            replay.load_state(
                {field: self.resume.state[f"{name}.{field}"] for field in replay.state()},
                int(self.resume.state[f"{name}.added"]),
            )
        self.replays[name] = replay
        return replay

    def __enter__(self) -> "Training":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Ctrl-C, or the stop button of a notebook, ends the training and keeps what it learned.
        An error passes on, and carries it: `error.result`. However it ends, the environments
        that it made are closed, or a warning says why not; those that came in are not."""
        self.interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        if self._before is not None:
            self._before.restore(self)
        try:
            self._made.close()
        except Exception as failed:
            warnings.warn(f"an environment could not be closed: {failed!r}", stacklevel=2)
        if isinstance(error, Exception) and self.updates_done:
            carry(error, self.result(), "`train(..., resume=result)` goes on.")
        if self.updates_done or self.further:
            self.keeper.ended(error)
        return self.interrupted

    def updates(self, count: int) -> Iterator[int]:
        """0 .. count - 1, with progress and evaluations; `fraction` says how much is done.

        Ends early where all runs rest, frozen or stopped.
        """
        if count < 1:
            raise ValueError("total_steps must be enough for one update of all environments")
        if self.updates_done > count or (self.updates_done == count and self._evaluated):
            # continues one that had ended
            self.updates_done, self.further = 0, True
        due = torch.linspace(0, count, self.config.num_evals).round().long().tolist()
        with progress_bar(total=count, description="updates", show=self.show_progress) as bar:
            bar.update(self.updates_done)
            for update in range(self.updates_done, count):
                self.fraction = update / count
                if update in due:
                    self._evaluate(bar)
                if len(self.at_rest) == len(self.run_ids):
                    if not self.stopped:
                        warnings.warn("all runs are frozen: the training ends", stacklevel=2)
                    return
                self._before = Snapshot(self)
                yield update
                self._settle(self._before)
                self.updates_done, self._before, self._evaluated = update + 1, None, False
                self.keeper.updated()
                bar.update()
            self._evaluate(bar)

    def _settle(self, before: Snapshot) -> None:
        """The end of an update, the one place that waits for the device: runs with bad numbers
        are named and frozen, and those that rest go back to what they were before."""
        reasons, self._suspects = list(self._suspects), self._suspects
        if reasons:
            found = torch.stack([self._suspects[reason] for reason in reasons]).tolist()
            for reason, rows in zip(reasons, found, strict=True):
                for row in (row for row, bad in enumerate(rows) if bad):
                    self._freeze_run(row, reason)
        self._suspects = {}
        at_rest = self.at_rest
        rows = [row for row, run in enumerate(self.run_ids) if run in at_rest]
        if rows:
            before.restore(self, rows)

    def _freeze_run(self, row: int, reason: str) -> None:
        run = self.run_ids[row]
        if run in self.at_rest:
            return
        if reason == GIVEN and self._rollout is not None:
            env, step, what = first_not_finite(self._rollout, row)
            taken = f"step {step + 1} of its {self._rollout.rewards.shape[-1]} in this update"
            reason = f"environment {env} gave {what} in {taken}"
        self.resting[row] = True
        self.frozen[run] = f"{reason}, after {int(self.env_steps[row])} environment steps"
        warnings.warn(f"run {run} is frozen: {self.frozen[run]}", stacklevel=4)

    @property
    def at_rest(self) -> dict[int, str]:
        """{run id: why it learns no more}."""
        return self.frozen | self.stopped

    def _stop_runs(self, returns: torch.Tensor) -> None:
        """Those whose evaluation (R,) reached `stop_at_return` rest from now on."""
        wanted = self.config.stop_at_return
        if wanted is None:
            return
        for row in ((returns >= wanted) & ~self.resting).nonzero().flatten().tolist():
            self.resting[row] = True
            reached = f"{float(returns[row]):g} >= {wanted:g} in an evaluation"
            steps = f"after {int(self.env_steps[row])} environment steps"
            self.stopped[self.run_ids[row]] = f"{reached}, {steps}"

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
        self.env_steps += rollout.valid.flatten(1).sum(1)
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

        A run whose loss or gradient is not finite is frozen at the end of the update: it goes
        back to what it was before, and the others go on. Nothing here waits for the device.

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
        frozen_step(optimizer, None if active is None else ~active)
        self.gradient_steps += 1
        return norms

    def anneal(self, optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
        """The step size falls from `learning_rate` to 0 in a straight line over the training."""
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (1 - self.fraction)

    def freeze(self, bad: torch.Tensor, reason: str) -> None:
        """At the end of this update, stop the runs where `bad` (R,) is True: they are named, and
        the others go on."""
        known = self._suspects.get(reason)
        self._suspects[reason] = bad if known is None else known | bad

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
            stopped=self.stopped,
            interrupted=self.interrupted,
            wall_time=time.perf_counter() - self.started + (earlier.wall_time if earlier else 0),
            run_ids=self.run_ids,
            seed=self.streams.seed,
            config=self.config,
            env=self.env,
            spaces=Spaces.of(self.envs),
            continuations=earlier.continuations + 1 if earlier else 0,
            exact=saves_episodes(self.envs),
            state=self._state(),
        )

    # --- inside

    def _make_envs(self, made: ExitStack) -> None:
        config = self.config
        learning = self.streams.spawn(LEARNING).spawn(0)  # another family: other draws
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
            earlier.check_fits(self.config, self.run_ids, self.streams.seed, self.networks)
            self.networks.load_state_dict(earlier.networks.state_dict())
            self.frozen = dict(earlier.frozen)
            if earlier.config.stop_at_return == self.config.stop_at_return:
                self.stopped = dict(earlier.stopped)
            at_rest = self.at_rest
            self.resting |= self.resting.new_tensor([run in at_rest for run in self.run_ids])
            resume_state(self, earlier.state)
            if earlier.run_steps.size:
                there = self.env_steps.cpu().numpy() == earlier.run_steps[:, -1]
                self._evaluated = bool((there | self.resting.cpu().numpy()).all())

    def _collect(
        self, observations: torch.Tensor, steps: int, *, whole_episodes: bool = False
    ) -> Rollout:
        policy, E = acting(self.networks), self.envs.num_envs
        noise = policy.draw_noise(self.streams, steps, E)  # (R, T, E, ...), in one block
        act = lambda seen, t: policy.sample(seen, noise[:, t])  # noqa: E731
        rollout = collect(self.envs, observations, act, steps, whole_episodes=whole_episodes)
        self.freeze(not_finite(rollout), GIVEN)
        self._rollout = rollout
        return rollout

    def _state(self) -> dict[str, torch.Tensor]:
        """What a Result needs to go on from, beside the networks: numbers that all runs share have
        no axis, everything else has the runs first."""
        state = small_state(self)
        for name, replay in self.replays.items():
            state |= {f"{name}.{field}": kept for field, kept in replay.state().items()}
        return state

    def _evaluate(self, bar: tqdm) -> None:
        policy, cap = acting(self.networks), self.config.evaluation_step_cap
        if self._evaluated:
            return  # the last evaluation of a training that goes on is the first of this one
        with undone(self.evaluation_envs):
            evaluation = evaluate(policy.greedy, self.evaluation_envs, step_cap=cap)
            returns = evaluation.returns.mean(dim=1)
            for row in (~returns.isfinite()).nonzero().flatten().tolist():
                env = int((~evaluation.returns[row].isfinite()).int().argmax())
                given = f"{float(evaluation.returns[row, env])} in environment {env}"
                self._freeze_run(row, f"its return in an evaluation is not finite, {given}")
            frozen = self.resting.new_tensor([run in self.frozen for run in self.run_ids])
            returns = returns.masked_fill(frozen, torch.nan)
            self._stop_runs(returns)
        self.record.add_evaluation(returns, evaluation.cut.sum(dim=1), self.env_steps)
        self.keeper.evaluated()
        speed = int(self.env_steps.sum()) / (time.perf_counter() - self.started)
        bar.set_postfix_str(f"return {float(returns.nanmean()):.1f}, {speed:,.0f} steps/s")
