"""Grid worlds and mazes written as text, and a kernel that walks them without any table.

States are the cells in reading order, walls included: state = row * columns + column, so that
values reshape to the picture. A wall is never entered and its value is 0.
Actions follow Gymnasium's FrozenLake: 0 left, 1 down, 2 right, 3 up.
"""

from dataclasses import dataclass

import torch

from rlbook.ground import require
from rlbook.planning.kernels import EVERY, SuccessorKernel, check_size
from rlbook.planning.mdp import MDP
from rlbook.planning.mdp_checks import check_reachability, check_rewards

MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # (row, column): left, down, right, up
FREE, WALL, START = ".", "#", "S"


@dataclass(frozen=True, eq=False)
class GridKernel:
    """P of a grid by the four neighbours of each cell, for grids too large for a table.

    With probability 1 - slip the agent moves as it wants, with slip / 2 to either side: the
    twelve successors of a state are the same four cells again and again, so a sweep looks
    each of them up once.
    """

    near: torch.Tensor  # (4, S) int32: the cell this move ends in, itself where it is blocked
    slip: float
    dtype: torch.dtype = torch.float64

    def expectations(self, values: torch.Tensor, states: slice = EVERY) -> torch.Tensor:
        cells = self.near[:, states]
        near = values.index_select(-1, cells.flatten()).unflatten(-1, cells.shape)  # (..., 4, s)
        sides = [near[..., 1, :] + near[..., 3, :], near[..., 0, :] + near[..., 2, :]]
        near.mul_(1 - self.slip)
        for a in range(4):
            near[..., a, :].add_(sides[a % 2], alpha=self.slip / 2)
        return near.movedim(-2, -1)

    def rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The three successors (S, 4, 3) of each pair, and their probabilities."""
        order = torch.tensor([[a, (a - 1) % 4, (a + 1) % 4] for a in range(4)])
        next_states = self.near[order.to(self.near.device)].permute(2, 0, 1)
        chances = [1 - self.slip, self.slip / 2, self.slip / 2]
        probabilities = torch.tensor(chances, dtype=self.dtype, device=self.near.device)
        return next_states, probabilities.expand(next_states.shape)

    def under(self, policy: torch.Tensor) -> SuccessorKernel:
        """The kernel of the chain that a policy, (S,) or (S, 4), induces."""
        return SuccessorKernel.from_rows(*self.rows()).under(policy)

    def dense(self) -> torch.Tensor:
        check_size(self.near.shape[1], 4)
        return SuccessorKernel.from_rows(*self.rows()).dense()

    def gather(
        self, states: torch.Tensor, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        next_states, probabilities = self.rows()
        return next_states[states, actions].long(), probabilities[states, actions]

    def to(self, device: str | torch.device) -> "GridKernel":
        return GridKernel(self.near.to(device), self.slip, self.dtype)


@dataclass(frozen=True, eq=False)
class GridWorld:
    """A grid world: where its walls, ends and starts are, and what entering a cell pays.

    Attributes:
        walls, ends, starts: (H, W) bool.
        entry_reward: (H, W), added to the step reward on entering the cell.
        step_reward: the reward of every step, blocked ones included.
        slip: the probability of not moving as intended; half of it to either side.
    """

    walls: torch.Tensor
    ends: torch.Tensor
    starts: torch.Tensor
    entry_reward: torch.Tensor
    step_reward: float = -1.0
    slip: float = 0.0

    def __post_init__(self) -> None:
        require.within("slip", self.slip, 0, 1)

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        rewards: dict[str, float] | None = None,
        step_reward: float = -1.0,
        slip: float = 0.0,
    ) -> "GridWorld":
        """A grid from a drawing: `.` free, `#` wall, `S` start, and any symbol named in
        `rewards` ({"G": 0.0} by default) an end that pays this much on entering.

        Raises:
            ValueError: lines of different lengths, or an unknown symbol (row and column named).
        """
        rewards = {"G": 0.0} if rewards is None else rewards
        lines = text.strip().split()
        if len({len(line) for line in lines}) != 1:
            raise ValueError(f"all lines must be of one length, got {[len(x) for x in lines]}")
        for row, line in enumerate(lines):
            for column, symbol in enumerate(line):
                if symbol not in (FREE, WALL, START, *rewards):
                    raise ValueError(f"unknown symbol {symbol!r} at row {row}, column {column}")
        where = {
            symbol: torch.tensor([[x == symbol for x in line] for line in lines])
            for symbol in (WALL, START, *rewards)
        }
        ends = torch.zeros_like(where[WALL])
        pay = torch.zeros(ends.shape, dtype=torch.float64)
        for symbol, reward in rewards.items():
            ends = ends | where[symbol]
            pay = torch.where(where[symbol], reward, pay)
        return cls(where[WALL], ends, where[START], pay, step_reward, slip)

    @property
    def shape(self) -> tuple[int, int]:
        H, W = self.walls.shape
        return H, W

    def state(self, row: int, column: int) -> int:
        """The number of a cell."""
        H, W = self.shape
        if not (0 <= row < H and 0 <= column < W):
            raise ValueError(f"({row}, {column}) lies outside a grid of {H} x {W}")
        return row * W + column

    def mdp(self, *, discount: float, table: bool = True) -> MDP:
        """The grid as an MDP.

        Args:
            table: True stores three successors for each pair, with the reward of each; False
                only the four neighbours of each cell, a third of the time and of the memory.
        """
        require.check_discount(discount)
        terminal = (self.walls | self.ends).flatten()
        kernel = GridKernel(self._near(), self.slip)
        starts = self.starts if self.starts.any() else ~(self.walls | self.ends)
        start = starts.flatten().to(torch.float64) / starts.sum()
        entry = self.entry_reward.flatten()
        if table:
            next_states, probabilities = kernel.rows()
            reward = torch.where(terminal.view(-1, 1, 1), 0, self.step_reward + entry[next_states])
            return MDP.from_successors(
                next_states,
                probabilities,
                reward,
                discount=discount,
                start=start,
                terminal=terminal,
            )
        paid = kernel.expectations(entry).T  # (4, S)
        reward = torch.where(terminal, 0, paid + self.step_reward).T
        allowed = torch.ones_like(reward, dtype=torch.bool)
        check_rewards(reward, ~terminal.unsqueeze(1) & allowed)
        if discount == 1:
            check_reachability(kernel, terminal, allowed)
        return MDP._checked(kernel, reward, discount, start, terminal, allowed)

    def _near(self) -> torch.Tensor:
        """(4, S) int32: where each move leads, from each cell.

        It leads nowhere at the border, before a wall, and where all has ended.
        """
        H, W = self.shape
        cells = torch.arange(H * W, dtype=torch.int32, device=self.walls.device).view(H, W)
        padded = torch.nn.functional.pad(self.walls, (1, 1, 1, 1), value=True)
        near = []
        for row, column in MOVES:
            ahead = padded[1 + row : 1 + row + H, 1 + column : 1 + column + W]
            reached = torch.roll(cells, (-row, -column), dims=(0, 1))
            near.append(torch.where(ahead | self.walls | self.ends, cells, reached).flatten())
        return torch.stack(near)
