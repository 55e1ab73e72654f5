"""Acting in R x E environments for T steps, with everything that an update needs kept."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rlbook.deep.parts.envs.interface import BatchedEnvs, scale_to_bounds
from rlbook.ground import require
from rlbook.ground.require import require_shape


@dataclass(frozen=True, eq=False)
class Rollout:
    """T steps of R x E environments; time is the last axis of what is one number a step.

    A step is an end if terminated or truncated; the next step then begins another episode.
    """

    observations: torch.Tensor
    """(R, E, T, obs), s_t."""
    actions: torch.Tensor
    """(R, E, T) long, or (R, E, T, A), as the policy gave them: not scaled to the bounds."""
    rewards: torch.Tensor
    """(R, E, T), r_t, the reward for a_t."""
    next_observations: torch.Tensor
    """(R, E, T, obs), the true s_{t+1}, never that of a reset."""
    terminated: torch.Tensor
    """(R, E, T) bool: s_{t+1} is terminal, and nothing follows."""
    truncated: torch.Tensor
    """(R, E, T) bool: the episode was cut here, and would have gone on."""
    valid: torch.Tensor
    """(R, E, T) bool: False where no step was taken; leave these out of losses and means."""
    last_observations: torch.Tensor
    """(R, E, obs), from which the next rollout goes on."""


@torch.no_grad()
def collect(
    envs: BatchedEnvs,
    observations: torch.Tensor,
    act: Callable[[torch.Tensor, int], torch.Tensor],
    steps: int,
    *,
    whole_episodes: bool = False,
) -> Rollout:
    """Act for T steps, episode after episode.

    Args:
        envs: R x E environments, see `rlbook.deep.parts.envs.make`.
        observations: (R, E, obs), where they stand.
        act: (observations (R, E, obs), t) -> actions, (R, E) or (R, E, A), for which -1 to 1
            spans the bounds: see `scale_to_bounds`.
        steps: T.
        whole_episodes: keep the first episode of each environment only; what comes after its
            end is not valid. The environments must have been reset, and T should be their
            longest episode. Stops early once all episodes have ended.

    Raises:
        ValueError: steps is not positive, or observations do not fit the environments.
    """
    require.at_least("steps", steps, 1)
    R, E, T = envs.num_runs, envs.num_envs, steps
    require_shape("observations", observations, (R, E, envs.observation_size))
    seen = observations.new_zeros(R, E, T, envs.observation_size)
    following = torch.zeros_like(seen)
    rewards = observations.new_zeros(R, E, T)
    terminated, truncated, valid = torch.zeros(3, R, E, T, dtype=torch.bool, device=seen.device)
    actions = seen  # until the first step shows their shape
    running = torch.ones(R, E, dtype=torch.bool, device=seen.device)
    scale = scale_to_bounds(envs.action_low, envs.action_high)
    if whole_episodes and hasattr(envs, "one_episode"):
        envs.one_episode()
    for t in range(T):
        chosen = act(observations, t)
        step = envs.step(scale(chosen))
        if t == 0:
            actions = chosen.new_zeros(R, E, T, *chosen.shape[2:])
        seen[:, :, t], actions[:, :, t], rewards[:, :, t] = observations, chosen, step.rewards
        following[:, :, t] = step.next_observations
        terminated[:, :, t], truncated[:, :, t] = step.terminated, step.truncated
        valid[:, :, t] = step.valid & running
        observations = step.observations
        if whole_episodes:
            running = running & ~(step.terminated | step.truncated)
            if t % 16 == 15 and not running.any():  # one look from the host in 16 steps
                break
    taken = slice(t + 1)
    return Rollout(
        observations=seen[:, :, taken],
        actions=actions[:, :, taken],
        rewards=rewards[:, :, taken],
        next_observations=following[:, :, taken],
        terminated=terminated[:, :, taken],
        truncated=truncated[:, :, taken],
        valid=valid[:, :, taken],
        last_observations=observations,
    )


# ---------------------------------------------------------------- what an environment must not give


def not_finite(rollout: Rollout) -> torch.Tensor:
    """(R,) bool: the run's environments gave a number that is NaN or infinite."""
    finite = rollout.rewards.isfinite() & rollout.next_observations.isfinite().all(-1)
    finite = finite & rollout.observations.isfinite().all(-1)
    return ~finite.flatten(1).all(1)


def first_not_finite(rollout: Rollout, row: int) -> tuple[int, int, str]:
    """Of a run with such a number, the first: its environment, its step in the rollout, and what
    it is, "reward nan" or "observation[2] inf"."""
    fields = {"reward": rollout.rewards[row].unsqueeze(-1)}  # (E, T, 1)
    fields |= {"observation": rollout.next_observations[row]}
    fields |= {"observation after a reset:": rollout.observations[row]}
    found = []
    for name, values in fields.items():
        for t, env, index in (~values.isfinite()).transpose(0, 1).nonzero()[:1].tolist():
            where = f"[{index}]" if values.shape[-1] > 1 else ""
            found.append((t, env, f"{name}{where} {values[env, t, index].item()}"))
    step, env, what = min(found, key=lambda one: one[0])
    return env, step, what
