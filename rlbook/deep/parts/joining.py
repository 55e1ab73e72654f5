"""Shards put together: runs of one training that several processes or machines have trained."""

import copy
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from rlbook.deep.parts.results import Result


def join(results: Iterable[Result], *, run_ids: Iterable[int] | None = None) -> Result:
    """One result of the runs of several: what one training of all of them would have given.

    Run k depends on (seed, k) only, so a training can be shared out: `train(..., run_ids=[0, 1])`
    here, `train(..., run_ids=[2, 3])` there. On one kind of processor, with one number of threads,
    shards of two or more runs hold the bits of one training; a shard of a single run rounds its
    products otherwise, and parts from it with time.

    Args:
        results: of one agent, config, seed, environment and length. Only a shard whose runs were
            all frozen, or stopped at a return, may be shorter: its curves end in NaN.
        run_ids: the runs that there should be. A warning names those that no result has.

    Returns:
        All runs, in the order of their ids, to save, evaluate or resume. `wall_time` is the sum
        over the shards, and `env`, if it has no id, that of one of them.

    Raises:
        ValueError: no result; what differs, with both values; a run that is in two of them, or
            not in run_ids; a shard that ended early: resume it, and join it then.
    """
    shards = list(results)
    for k, shard in enumerate(shards):
        if not isinstance(shard, Result):
            raise ValueError(f"results[{k}] must be a Result, got {type(shard).__name__}")
    order = _order([run for shard in shards for run in shard.run_ids], run_ids)
    first = max(shards, key=_length)
    for shard in shards:
        _check_alike(first, shard)
    return replace(
        first,
        networks=_join_networks(shards, order),
        evaluation_returns=_rows([s.evaluation_returns for s in shards], order, np.nan),
        run_steps=_rows([s.run_steps for s in shards], order, first.env_steps),
        cut_episodes=_rows([s.cut_episodes for s in shards], order, 0),
        log={name: _rows([_logged(s, name) for s in shards], order, np.nan) for name in first.log},
        frozen={run: reason for shard in shards for run, reason in shard.frozen.items()},
        stopped={run: when for shard in shards for run, when in shard.stopped.items()},
        interrupted=any(shard.interrupted for shard in shards),
        wall_time=sum(shard.wall_time for shard in shards),
        continuations=max(shard.continuations for shard in shards),
        run_ids=sorted(run for shard in shards for run in shard.run_ids),
        spaces=replace(first.spaces, num_runs=len(order)),
        exact=all(shard.exact for shard in shards),
        state=_join_state(first.state, shards, order),
    )


# ---------------------------------------------------------------- do they belong together?


def _order(joined: list[int], wanted: Iterable[int] | None) -> list[int]:
    """Where in `joined` the runs stand, from the lowest id to the highest."""
    if not joined:
        raise ValueError("results must hold at least one Result, got none")
    if twice := sorted({run for run in joined if joined.count(run) > 1}):
        raise ValueError(f"runs {twice} are in two of the results")
    expected = set(joined if wanted is None else wanted)
    if others := sorted(set(joined) - expected):
        raise ValueError(f"runs {others} are in the results, but not in run_ids")
    if missing := sorted(expected - set(joined)):
        message = f"runs {missing} are missing; train(..., run_ids={missing}) trains them"
        warnings.warn(message, stacklevel=3)
    return sorted(range(len(joined)), key=joined.__getitem__)


def _check_alike(first: Result, shard: Result) -> None:
    """A ValueError names the first thing in which a shard differs from the longest one."""
    _check_equal(first, shard, _settings)
    (evaluations, updates), (wanted, whole) = _length(shard), _length(first)
    if (evaluations, updates) == (wanted, whole):
        _check_equal(first, shard, _progress)
    elif set(shard.run_ids) - set(shard.frozen | shard.stopped):
        raise ValueError(
            f"runs {shard.run_ids} ended early, after {evaluations} evaluations and {updates} "
            f"updates; runs {first.run_ids} have {wanted} and {whole}: finish them with "
            f"train(..., resume=result), and join then"
        )


def _check_equal(first: Result, shard: Result, facts: Callable[[Result], dict[str, Any]]) -> None:
    ours, theirs = facts(first), facts(shard)
    for name in {**ours, **theirs}:
        one, other = ours.get(name), theirs.get(name)
        if one != other:
            raise ValueError(
                f"results must agree in {name}: "
                f"runs {first.run_ids} have {one!r}, runs {shard.run_ids} have {other!r}"
            )


def _length(shard: Result) -> tuple[int, int]:
    """How many evaluations there were, and how many updates."""
    return shard.evaluation_returns.shape[1], int(shard.state["updates"])


def _settings(shard: Result) -> dict[str, Any]:
    """What all shards of a training have in common."""
    config, spaces = shard.config, shard.spaces.plain() | {"device": str(shard.spaces.device)}
    networks = shard.networks.state_dict().items()
    return {
        "agent": type(config).__module__,
        **{f"config.{name}": value for name, value in asdict(config).items()},
        "seed": shard.seed,
        "env": shard.env if isinstance(shard.env, str) else "one without an id",
        **{f"spaces.{name}": value for name, value in spaces.items() if name != "num_runs"},
        **{f"networks.{name}": tuple(x.shape[1:]) for name, x in networks},
    }


def _progress(shard: Result) -> dict[str, Any]:
    """What those have in common that came equally far; of tensors with a run axis, the shapes."""
    state = shard.state.items()
    return {
        **{f"log.{name}": values.shape[1] for name, values in shard.log.items()},
        **{f"state.{name}": tuple(x.shape[1:]) if x.ndim else x.item() for name, x in state},
    }


# ---------------------------------------------------------------- rows of all shards, in one order


def _rows(parts: list[np.ndarray], order: list[int], rest: float | np.ndarray) -> np.ndarray:
    """[(R_1, N_1), (R_2, N_2), ...] -> (R, N). Shorter ones go on as `rest`, a number or (N,)."""
    longest, filled = max(part.shape[1] for part in parts), []
    for part in parts:
        missing = np.broadcast_to(rest, longest)[part.shape[1] :]
        columns = [part, np.tile(missing, (len(part), 1))]
        filled.append(np.hstack(columns, dtype=np.result_type(part, rest)))
    return np.concatenate(filled)[order]


def _logged(shard: Result, name: str) -> np.ndarray:
    return shard.log.get(name, np.zeros((len(shard.run_ids), 0)))


def _join_networks(shards: list[Result], order: list[int]) -> nn.ModuleDict:
    """New ones: every parameter and buffer begins with the run axis."""
    joined, states = copy.deepcopy(shards[0].networks), [s.networks.state_dict() for s in shards]
    for name, x in (*joined.named_parameters(), *joined.named_buffers()):
        x.grad = None
        x.data = torch.cat([state[name] for state in states])[order]
    return joined


def _join_state(
    state: dict[str, torch.Tensor], shards: list[Result], order: list[int]
) -> dict[str, torch.Tensor]:
    """Tensors with axes have the run axis first; numbers are the same for all runs.

    A shard that was frozen before an optimiser began, or a memory was as full, gets zeros there:
    its runs learn no more.
    """
    joined = {}
    for name, x in state.items():
        parts = []
        for shard in shards if x.ndim else []:
            rows = shard.state.get(name)
            if rows is None or rows.shape[1:] != x.shape[1:]:
                rows = x.new_zeros(len(shard.run_ids), *x.shape[1:])
            parts.append(rows)
        joined[name] = torch.cat(parts)[order] if parts else x.clone()
    return joined
