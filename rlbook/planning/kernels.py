"""How an MDP stores P(s'|s, a), and the one thing every backup asks of it: an expectation.

The classes answer the calls of `Kernel`, so that the formulas above them are written once.
An expectation is handed out for a slice of the states, the actions first in memory: a backup
that goes through `blocks` never holds large temporaries, which at 10^6 states cost more time
than the arithmetic.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

MAX_DENSE_ENTRIES = 10**8
STATES_AT_A_TIME = 65_536  # temporaries of this size stay in the cache: 4 times faster at 10^6
EVERY = slice(None)


def blocks(num_states: int) -> Iterator[slice]:
    """The states 0 .. S - 1 in slices of `STATES_AT_A_TIME`."""
    for start in range(0, num_states, STATES_AT_A_TIME):
        yield slice(start, start + STATES_AT_A_TIME)


def check_size(num_states: int, num_actions: int) -> None:
    """Refuse to build a dense (S, A, S) array that does not fit in memory."""
    if num_states**2 * num_actions > MAX_DENSE_ENTRIES:
        raise ValueError(
            f"a dense (S, A, S) array of ({num_states}, {num_actions}, {num_states}) is too large; "
            "build the MDP from K successors per state, MDP.from_successors"
        )


class Kernel(Protocol):
    """P(s'|s, a), however it is stored."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the probabilities."""

    def expectations(self, values: torch.Tensor, states: slice = EVERY) -> torch.Tensor:
        """sum_s' P(s'|s, a) V(s') of these states s and every action: (..., S) -> (..., s, A)."""

    def under(self, policy: torch.Tensor) -> "Kernel":
        """The kernel of the chain, with one action, that a policy (S,) or (S, A) induces."""

    def dense(self) -> torch.Tensor:
        """P as one array (S, A, S); raises ValueError where that would not fit."""

    def gather(
        self, states: torch.Tensor, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The successors (N, K) and their probabilities (N, K) of N state-action pairs."""

    def to(self, device: str | torch.device) -> "Kernel":
        """The same on another device."""


@dataclass(frozen=True)
class DenseKernel:
    """P as one array, `transition` (S, A, S)."""

    transition: torch.Tensor

    @property
    def dtype(self) -> torch.dtype:
        return self.transition.dtype

    def expectations(self, values: torch.Tensor, states: slice = EVERY) -> torch.Tensor:
        actions = range(self.transition.shape[1])
        ahead = [values @ self.transition[states, a].T for a in actions]
        return torch.stack(ahead).movedim(0, -1)

    def under(self, policy: torch.Tensor) -> "DenseKernel":
        """The kernel of the chain that a policy induces, (S, 1, S): see SuccessorKernel."""
        if policy.ndim == 1:
            states = torch.arange(len(policy), device=policy.device)
            return DenseKernel(self.transition[states, policy.long()].unsqueeze(1))
        return DenseKernel(torch.einsum("sa,sat->st", policy, self.transition).unsqueeze(1))

    def dense(self) -> torch.Tensor:
        return self.transition

    def gather(
        self, states: torch.Tensor, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        probabilities = self.transition[states, actions]
        successors = torch.arange(probabilities.shape[-1], device=states.device)
        return successors.expand_as(probabilities), probabilities

    def to(self, device: str | torch.device) -> "DenseKernel":
        return DenseKernel(self.transition.to(device))


@dataclass(frozen=True)
class SuccessorKernel:
    """P as K successors for each pair, stored action first: (A, K, S).

    The last axis runs over states, so that each of the A K gathers of a sweep reads and
    writes memory in order; with the states first a sweep over 10^6 states takes three
    times as long. A state may appear twice among the successors of a pair.
    """

    next_states: torch.Tensor  # (A, K, S) int32
    probabilities: torch.Tensor  # (A, K, S)

    @classmethod
    def from_rows(cls, next_states: torch.Tensor, probabilities: torch.Tensor) -> "SuccessorKernel":
        """The kernel from arrays that put the state first, (S, A, K)."""
        next_states = next_states.permute(1, 2, 0).to(torch.int32).contiguous()
        return cls(next_states, probabilities.permute(1, 2, 0).contiguous())

    @property
    def dtype(self) -> torch.dtype:
        return self.probabilities.dtype

    def expectations(self, values: torch.Tensor, states: slice = EVERY) -> torch.Tensor:
        """sum_k p_k(s, a) V(s'_k) of these states s and every action: (..., S) -> (..., s, A)."""
        chances = self.probabilities[..., states]  # (A, K, s)
        total = chances[:, 0] * self._ahead(values, 0, states)
        for k in range(1, chances.shape[1]):
            total = total.addcmul_(chances[:, k], self._ahead(values, k, states))
        return total.movedim(-2, -1)

    def _ahead(self, values: torch.Tensor, k: int, states: slice) -> torch.Tensor:
        """V of the successors of number k, (..., A, s)."""
        successors = self.next_states[:, k, states]
        return values.index_select(-1, successors.flatten()).unflatten(-1, successors.shape)

    def under(self, policy: torch.Tensor) -> "SuccessorKernel":
        """The kernel of the chain that a policy induces: one action, K or A K successors.

        `policy` is (S,), one action a state, or (S, A), probabilities.
        """
        A, K, S = self.next_states.shape
        if policy.ndim == 1:
            chosen = policy.to(torch.int64).expand(1, K, S)
            return SuccessorKernel(
                self.next_states.gather(0, chosen), self.probabilities.gather(0, chosen)
            )
        weights = policy.T.unsqueeze(1) * self.probabilities  # (A, K, S)
        return SuccessorKernel(self.next_states.reshape(1, A * K, S), weights.reshape(1, A * K, S))

    def dense(self) -> torch.Tensor:
        A, K, S = self.next_states.shape
        check_size(S, A)
        dense = self.probabilities.new_zeros(S, A, S)
        index = self.next_states.permute(2, 0, 1).to(torch.int64)  # (S, A, K)
        return dense.scatter_add_(-1, index, self.probabilities.permute(2, 0, 1))

    def gather(
        self, states: torch.Tensor, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        successors = self.next_states[actions, :, states].to(torch.int64)
        return successors, self.probabilities[actions, :, states]

    def to(self, device: str | torch.device) -> "SuccessorKernel":
        return SuccessorKernel(self.next_states.to(device), self.probabilities.to(device))
