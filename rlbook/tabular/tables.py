"""R tables of action values, drawing actions from them, and counting episodes."""

import torch

from rlbook.mdp import MDP
from rlbook.tabular_worlds import check_memory


class QTable:
    """Q(s, a) of R runs, stored action first: what a step reads is then A vectors of length R."""

    def __init__(self, num_runs: int, mdp: MDP, initial: float | torch.Tensor = 0.0):
        S, A = mdp.reward.shape
        check_memory("the table Q (R, S, A)", num_runs, S, A)
        start = torch.as_tensor(initial, dtype=mdp.reward.dtype).expand(num_runs, S, A)
        start = start.to(mdp.reward.device).masked_fill(~mdp.allowed, -torch.inf)
        self.by_action = start.permute(2, 0, 1).reshape(A, num_runs * S).contiguous()
        self.flat = self.by_action.view(-1)
        self.first_row = torch.arange(num_runs, device=start.device) * S
        self.shape = (num_runs, S, A)
        self.terminal = mdp.terminal.unsqueeze(1) & mdp.allowed  # (S, A)

    def rows(self, states: torch.Tensor) -> torch.Tensor:
        """Q(s, .) of each run's own state, (R,) -> (A, R)."""
        return self.by_action.index_select(1, self.first_row + states)

    def index(self, states: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Where Q(s, a) of each run stands in `flat`, (R,)."""
        return torch.add(self.first_row + states, actions, alpha=self.by_action.shape[1])

    def of(self, states: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Q(s, a) of each run's own pair, (R,)."""
        return self.flat.index_select(0, self.index(states, actions))

    def move(self, pairs: torch.Tensor, alpha: float | torch.Tensor, target: torch.Tensor) -> None:
        """Q(s, a) <- Q(s, a) + alpha (target - Q(s, a)), all arguments (R,), pairs by `index`."""
        error = target - self.flat.index_select(0, pairs)
        self.flat.index_add_(0, pairs, alpha * error)

    def tensor(self) -> torch.Tensor:
        """(R, S, A), with 0 at terminal states: what stands there in the table means nothing."""
        R, S, A = self.shape
        return self.by_action.view(A, R, S).permute(1, 2, 0).masked_fill(self.terminal, 0.0)


def epsilon_greedy_actions(
    q: torch.Tensor,
    epsilon: float | torch.Tensor,
    explore: torch.Tensor,
    pick: torch.Tensor,
    *,
    all_allowed: bool = False,
) -> torch.Tensor:
    """Draw actions from exploration.epsilon_greedy_policy, in one go. Eq. (6.12).

    With probability epsilon every allowed action is eligible, otherwise only the best ones;
    among those that are eligible all are equally likely.

    Args:
        q: (A, R); -inf where an action is not allowed.
        epsilon: a number or (R,).
        explore, pick: (R,) each, uniform in [0, 1).
        all_allowed: every action exists, so that there is no -inf to look for.

    Returns:
        (R,) int64.
    """
    eligible = q == q.amax(0)
    eligible |= explore < epsilon if all_allowed else (explore < epsilon) & (q > -torch.inf)
    order = eligible.cumsum(0, dtype=pick.dtype)
    return (order <= pick * order[-1]).sum(0)


class EpisodeLog:
    """The plain sum of rewards and the length of each run's first N episodes.

    A run that has finished them acts on, and whatever comes then falls into an extra column.
    """

    def __init__(self, num_runs: int, num_episodes: int | None, like: torch.Tensor):
        self.num_episodes, columns = num_episodes, (num_episodes or 0) + 1
        check_memory("the returns (R, num_episodes)", num_runs, columns)
        self._returns = like.new_zeros(num_runs * columns)
        self._lengths = like.new_zeros(num_runs * columns)
        self.first = torch.arange(num_runs, device=like.device) * columns
        self.episodes = torch.zeros_like(self.first)
        self.active = torch.ones_like(self.first, dtype=torch.bool)
        self.counted = like.new_ones(num_runs)
        """(R,), 1 where the run still learns, else 0."""

    def add(self, rewards: torch.Tensor, ended: torch.Tensor) -> None:
        if self.num_episodes is None:
            return
        place = self.first + self.episodes
        self._returns.index_add_(0, place, rewards)
        self._lengths.index_add_(0, place, torch.ones_like(rewards))
        self.episodes = (self.episodes + ended).clamp_(max=self.num_episodes)
        self.active = self.episodes < self.num_episodes
        self.counted = self.active.to(rewards.dtype)

    def returns(self) -> torch.Tensor | None:
        """(R, N), NaN in episodes that did not end; None where episodes are not recorded."""
        return self._finished(self._returns)

    def lengths(self) -> torch.Tensor | None:
        return self._finished(self._lengths)

    def _finished(self, table: torch.Tensor) -> torch.Tensor | None:
        if self.num_episodes is None:
            return None
        table = table.view(len(self.first), -1)[:, :-1]
        index = torch.arange(self.num_episodes, device=table.device)
        return table.masked_fill(index >= self.episodes.unsqueeze(1), torch.nan)
