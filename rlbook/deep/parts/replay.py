"""Replay: the last transitions of R runs, from which every run draws batches of its own."""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from rlbook.deep.parts.rollouts import Rollout
from rlbook.ground import require
from rlbook.ground.require import require_shape
from rlbook.ground.seeding import Streams


class Transitions(NamedTuple):
    """B transitions of each run, drawn uniformly, with replacement, from its own memory.

    Of n steps each, if `n_step_transitions` made them: then s' is s_{t+m}, m steps later.
    """

    observations: torch.Tensor
    """(R, B, obs), s_t."""
    actions: torch.Tensor
    """(R, B) long, a_t."""
    rewards: torch.Tensor
    """(R, B), r_t, or the discounted sum of r_t .. r_{t+m-1}."""
    next_observations: torch.Tensor
    """(R, B, obs), the true s'."""
    terminated: torch.Tensor
    """(R, B) bool: s' is terminal. A truncation is no termination, and is not kept."""
    discounts: torch.Tensor
    """(R, B), what multiplies the value of s': discount^m."""
    valid: torch.Tensor
    """(R, B) bool: False where no step was taken; leave these out of the loss."""


def n_step_transitions(rollout: Rollout, n: int, *, discount: float) -> Transitions:
    """Transitions that span n steps: their target is G + discount^m max_a Q(s_{t+m}, a).

    G = r_t + discount r_{t+1} + ... + discount^(m-1) r_{t+m-1}, where m = n, or less where the
    episode ends, or the rollout does. Eq. (13.13). With n = 1 they are the steps themselves.

    Args:
        rollout: (R, E, T) and so on.

    Returns:
        R x E x T transitions.

    Raises:
        ValueError: n < 1, or rewards that are not floating point.

    Source: Sutton & Barto (2018), Eq. 7.1; Hessel et al. 2018, "Rainbow".
    """
    require.at_least("n", n, 1)
    require.real("rewards", rollout.rewards, "(R, E, T)")
    T = rollout.rewards.shape[-1]
    goes_on = ~(rollout.terminated | rollout.truncated)  # (R, E, T)
    goes_on[..., -1] = False
    last = torch.arange(T, device=goes_on.device).expand_as(goes_on)  # the step that ends each
    rewards = rollout.rewards.clone()
    discounts = torch.full_like(rewards, discount)
    for _ in range(n - 1):
        longer = goes_on.gather(-1, last)
        last = torch.where(longer, last + 1, last)
        rewards += torch.where(longer, discounts * rollout.rewards.gather(-1, last), 0.0)
        discounts = torch.where(longer, discount * discounts, discounts)
    where = last.unsqueeze(-1).expand_as(rollout.next_observations)
    return Transitions(
        observations=rollout.observations,
        actions=rollout.actions,
        rewards=rewards,
        next_observations=rollout.next_observations.gather(2, where),
        terminated=rollout.terminated.gather(-1, last),
        discounts=discounts,
        valid=rollout.valid,
    )


class Replay:
    """A ring of `capacity` transitions a run, allocated at once on one device.

    The transition is (s, a, r, s', terminated), and the discount of what follows: without the
    flag the target of Q-learning cannot be masked. Neither adding nor drawing waits for the host.

    Args:
        num_runs: R.
        capacity: transitions of each run; the oldest is overwritten.
        observation_size: the size of s.

    Attributes:
        added: how many transitions of each run were ever added; the last `size` are there.

    Raises:
        ValueError: a size that is not a positive whole number.

    Source: Lin 1992, "Self-improving reactive agents based on reinforcement learning, planning
    and teaching"; Mnih et al. 2015, Algorithm 1.
    """

    def __init__(
        self,
        num_runs: int,
        capacity: int,
        observation_size: int,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        require.positive_integer("num_runs", num_runs)
        require.positive_integer("capacity", capacity)
        require.positive_integer("observation_size", observation_size)
        self.capacity, self.added = capacity, 0
        one, vector = (num_runs, capacity), (num_runs, capacity, observation_size)
        self._memory = Transitions(
            observations=torch.zeros(vector, dtype=dtype, device=device),
            actions=torch.zeros(one, dtype=torch.long, device=device),
            rewards=torch.zeros(one, dtype=dtype, device=device),
            next_observations=torch.zeros(vector, dtype=dtype, device=device),
            terminated=torch.zeros(one, dtype=torch.bool, device=device),
            discounts=torch.zeros(one, dtype=dtype, device=device),
            valid=torch.zeros(one, dtype=torch.bool, device=device),
        )
        self._first = torch.arange(num_runs, device=device).unsqueeze(1) * capacity  # (R, 1)

    @property
    def size(self) -> int:
        """How many transitions of each run are there now."""
        return min(self.added, self.capacity)

    @property
    def _next(self) -> int:
        return self.added % self.capacity

    def state(self) -> dict[str, torch.Tensor]:
        """What is there, (R, size, ...) of each field: with `added`, to go on from."""
        memory = zip(Transitions._fields, self._memory, strict=True)
        return {name: kept[:, : self.size] for name, kept in memory}

    def load_state(self, state: dict[str, torch.Tensor], added: int) -> None:
        """Go on from what `state` returned, after so many additions.

        Raises:
            ValueError: another capacity.
        """
        size = state["rewards"].shape[1]
        if size != min(added, self.capacity):
            raise ValueError(f"replay_capacity must be as before, got {self.capacity}")
        for name, kept in zip(Transitions._fields, self._memory, strict=True):
            kept[:, :size] = state[name]
        self.added = added

    def add(self, new: Transitions) -> None:
        """Store transitions, oldest first.

        Args:
            new: (R, ..., obs), such as the (R, E, T, obs) of a rollout, and (R, ...). The axes
                between are flattened.

        Raises:
            ValueError: other shapes, or more transitions than the capacity.
        """
        middle = new.rewards.shape[1:]
        for name, kept, x in zip(Transitions._fields, self._memory, new, strict=True):
            require_shape(name, x, (kept.shape[0], *middle, *kept.shape[2:]))
        count = middle.numel()
        if count > self.capacity:
            raise ValueError(f"{count} transitions do not fit a capacity of {self.capacity}")
        split = min(count, self.capacity - self._next)  # what fits before the ring's end
        for kept, x in zip(self._memory, new, strict=True):
            x = x.reshape(kept.shape[0], count, *kept.shape[2:])
            kept[:, self._next : self._next + split] = x[:, :split]
            kept[:, : count - split] = x[:, split:]
        self.added += count

    def sample(self, batch_size: int, streams: Streams) -> Transitions:
        """B transitions of each run, uniformly and with replacement; see `batches`."""
        return next(self.batches(1, batch_size, streams))

    def batches(self, count: int, batch_size: int, streams: Streams) -> Iterator[Transitions]:
        """`count` batches one after another, their random numbers drawn in one block.

        Args:
            streams: run k draws from its own stream, so that its batches depend on nothing else.

        Raises:
            ValueError: nothing is stored yet, or a stream too many or too few.
        """
        if self.size == 0:
            raise ValueError("nothing is stored yet: add transitions before drawing them")
        if streams.num_runs != len(self._first):
            raise ValueError(f"{streams.num_runs} streams for a replay of {len(self._first)} runs")
        drawn = streams.integers(self.size, count, batch_size).to(self._first.device)
        for indices in drawn.unbind(1):
            yield self._rows((indices + self._first).flatten())

    def latest(self, count: int) -> Transitions:
        """The last `count` transitions of each run, in the order in which they were added.

        Raises:
            ValueError: fewer are stored.
        """
        if not 1 <= count <= self.size:
            raise ValueError(f"count must be in 1 .. {self.size}, got {count}")
        back = torch.arange(-count, 0, device=self._first.device)
        return self._rows(((self._next + back) % self.capacity + self._first).flatten())

    def _rows(self, flat: torch.Tensor) -> Transitions:
        """Transitions by their place in all runs' rings one behind another, (R * B,)."""
        R = len(self._first)
        return Transitions(
            *(x.flatten(0, 1).index_select(0, flat).view(R, -1, *x.shape[2:]) for x in self._memory)
        )
