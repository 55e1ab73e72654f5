"""Returns of recorded rewards. Time is the last axis; r_t is the reward for a_t.

Termination is not truncation: after `terminated[t]` nothing follows and the return ends; at
`truncated[t]`, and at the end of the record, the episode would have gone on, and
`next_values[t]`, V of the true next observation, stands for what is missing. Nothing after a cut
enters. Masks are `torch.where`, not products: a NaN behind a termination stays out.
"""

import torch

from rlbook.ground import require


def _check_steps(
    rewards: torch.Tensor,
    terminated: torch.Tensor,
    truncated: torch.Tensor,
    next_values: torch.Tensor | None,
    discount: float,
) -> None:
    require.real("rewards", rewards, "(..., T)")
    require.mask("terminated", terminated, rewards.shape)
    require.mask("truncated", truncated, rewards.shape)
    if next_values is not None:
        require.require_shape("next_values", next_values, rewards.shape)
    require.check_discount(discount)


def discounted_returns(
    rewards: torch.Tensor,
    terminated: torch.Tensor,
    truncated: torch.Tensor,
    next_values: torch.Tensor | None = None,
    *,
    discount: float,
) -> torch.Tensor:
    """G_t = r_t + discount G_{t+1}, and G_t = r_t where the episode terminates. Eq. (1.2).

    Where it was cut (truncated[t], or t = T - 1), G_t = r_t + discount next_values[t].
    Eq. (1.16).

    Args:
        rewards: (..., T).
        terminated, truncated: (..., T) bool; where both are set, terminated wins.
        next_values: (..., T), V(s_{t+1}) of the true next observation; read only at cuts.
        discount: in [0, 1].

    Returns:
        (..., T).

    Raises:
        ValueError: wrong shapes; or a cut that would need the next_values not given.

    Source: Sutton & Barto (2018), Eqs. 3.8 and 3.9.
    """
    _check_steps(rewards, terminated, truncated, next_values, discount)
    cut = truncated.clone()
    cut[..., -1] = True
    cut &= ~terminated
    if next_values is None and cut.any():
        index = require.first_index(cut)
        raise ValueError(
            f"the episode is cut, not terminated, at index {index}: its return needs next_values"
        )
    ended = torch.zeros_like(rewards[..., 0])
    returns, following = torch.empty_like(rewards), ended
    for t in reversed(range(rewards.shape[-1])):
        if next_values is not None:
            following = torch.where(cut[..., t], next_values[..., t], following)
        following = torch.where(terminated[..., t], ended, following)
        following = rewards[..., t] + discount * following
        returns[..., t] = following
    return returns


def td_targets(
    rewards: torch.Tensor, next_values: torch.Tensor, terminated: torch.Tensor, *, discount: float
) -> torch.Tensor:
    """r_t + discount V(s_{t+1}), and r_t where the episode terminates. Eq. (8.1).

    The target of TD(0), of Q-learning, and of SARSA: they differ in what next_values holds.

    Args:
        rewards, next_values: the same shape (...).
        terminated: (...) bool.

    Source: Sutton & Barto (2018), Eq. 6.2.
    """
    require.same_shape(rewards=rewards, next_values=next_values, terminated=terminated)
    return rewards + discount * torch.where(terminated, 0.0, next_values)


def td_errors(
    rewards: torch.Tensor,
    values: torch.Tensor,
    next_values: torch.Tensor,
    terminated: torch.Tensor,
    *,
    discount: float,
) -> torch.Tensor:
    """delta_t = r_t + discount V(s_{t+1}) - V(s_t), and r_t - V(s_t) at a termination. Eq. (8.2).

    Args:
        rewards, values, next_values: (..., T).
        terminated: (..., T) bool.

    Returns:
        (..., T).

    Source: Sutton & Barto (2018), Eq. 6.5.
    """
    _check_steps(rewards, terminated, terminated, next_values, discount)
    require.require_shape("values", values, rewards.shape)
    return td_targets(rewards, next_values, terminated, discount=discount) - values


def n_step_returns(
    rewards: torch.Tensor,
    next_values: torch.Tensor,
    terminated: torch.Tensor,
    truncated: torch.Tensor,
    *,
    discount: float,
    n: int,
) -> torch.Tensor:
    """G^(n)_t = r_t + ... + discount^(n-1) r_{t+n-1} + discount^n V(s_{t+n}). Eq. (8.10).

    Computed by G^(1)_t = r_t + discount V(s_{t+1}) and G^(n)_t = r_t + discount G^(n-1)_{t+1},
    n - 1 times for all t at once. At a cut n is shortened to what is there, at a termination
    the sum ends.

    Args:
        rewards, next_values: (..., T).
        terminated, truncated: (..., T) bool; where both are set, terminated wins.
        n: at least 1; from T on, the return is that of Monte Carlo.

    Returns:
        (..., T).

    Source: Sutton & Barto (2018), Eq. 7.1.
    """
    _check_steps(rewards, terminated, truncated, next_values, discount)
    require.at_least("n", n, 1)
    returns = one_step = td_targets(rewards, next_values, terminated, discount=discount)
    goes_on = ~(terminated | truncated)[..., :-1]
    for _ in range(min(n, rewards.shape[-1]) - 1):
        longer = rewards[..., :-1] + discount * returns[..., 1:]
        longer = torch.where(goes_on, longer, one_step[..., :-1])
        returns = torch.cat([longer, one_step[..., -1:]], dim=-1)
    return returns


def lambda_returns(
    rewards: torch.Tensor,
    next_values: torch.Tensor,
    terminated: torch.Tensor,
    truncated: torch.Tensor,
    *,
    discount: float,
    lambda_: float,
) -> torch.Tensor:
    """G_t = r_t + discount [(1 - lambda) V(s_{t+1}) + lambda G_{t+1}]. Eq. (8.16).

    G_t = r_t + discount V(s_{t+1}) at a cut, and r_t at a termination. It is the average of all
    n-step returns with weights (1 - lambda) lambda^(n-1), the rest of the weight on the last.

    Args:
        rewards, next_values: (..., T).
        terminated, truncated: (..., T) bool; where both are set, terminated wins.
        lambda_: in [0, 1]; 0 is the one-step target, 1 the whole return.

    Returns:
        (..., T).

    Source: Sutton & Barto (2018), Eqs. 12.2 and 12.18.
    """
    _check_steps(rewards, terminated, truncated, next_values, discount)
    require.within("lambda_", lambda_, 0, 1)
    returns, following = torch.empty_like(rewards), next_values[..., -1]
    for t in reversed(range(rewards.shape[-1])):
        mixed = (1 - lambda_) * next_values[..., t] + lambda_ * following
        mixed = torch.where(truncated[..., t], next_values[..., t], mixed)
        following = td_targets(rewards[..., t], mixed, terminated[..., t], discount=discount)
        returns[..., t] = following
    return returns


def generalized_advantage_estimate(
    rewards: torch.Tensor,
    values: torch.Tensor,
    next_values: torch.Tensor,
    terminated: torch.Tensor,
    truncated: torch.Tensor,
    *,
    discount: float,
    lambda_: float,
) -> torch.Tensor:
    """A_t = delta_t + discount lambda A_{t+1}, and A_t = delta_t at every end. Eq. (17.13).

    The sum of (discount lambda)^l delta_{t+l} up to the first end, computed for all t by
    doubling. It is the average of the advantages of all n-step returns, Eq. (17.12).

    Args:
        rewards, values, next_values: (..., T), values[t] = V(s_t).
        terminated, truncated: (..., T) bool; both stop the trace, only `terminated` the
            bootstrap inside delta_t.
        lambda_: in [0, 1].

    Returns:
        (..., T), equal to lambda_returns - values, Eq. (17.14), where
        next_values[t] = values[t + 1] inside an episode.

    Source: Schulman et al. 2016, "High-dimensional continuous control using generalized
    advantage estimation", Eq. 16.
    """
    _check_steps(rewards, terminated, truncated, next_values, discount)
    require.within("lambda_", lambda_, 0, 1)
    deltas = td_errors(rewards, values, next_values, terminated, discount=discount)
    return discounted_sums(deltas, terminated | truncated, decay=discount * lambda_)


# ---------------------------------------------------------------- sums in log2 T steps


def discounted_sums(terms: torch.Tensor, ended: torch.Tensor, *, decay: float) -> torch.Tensor:
    """S_t = x_t + decay S_{t+1}, and S_t = x_t where ended[t], and at the last t.

    Computed by doubling. If S^(m)_t is the sum of the first m terms, as far as there are so many
    before something ends, then S^(2m)_t = S^(m)_t + decay^m S^(m)_{t+m}. Eq. (17.15). So
    ceil(log2 T) passes over the whole tensor suffice. Nothing behind an end enters, not even NaN.

    Args:
        terms: (..., T), x.
        ended: (..., T) bool: nothing that comes after t belongs to the sum at t.
        decay: a number.

    Returns:
        (..., T), differentiable with respect to `terms`.

    Source: Hillis & Steele 1986, "Data parallel algorithms", doi:10.1145/7902.7903;
    Blelloch 1990, "Prefix sums and their applications".
    """
    require.real("terms", terms, "(..., T)")
    require.mask("ended", ended, terms.shape)
    sums, span = terms.clone(), 1  # (..., T): sums of the first `span` terms
    goes_on = ~ended[..., :-1]  # (..., T - span): whether nothing ends at t .. t + span - 1
    while span < terms.shape[-1]:
        following = torch.where(goes_on, sums[..., span:], 0.0)
        sums[..., :-span].add_(following, alpha=decay**span)
        goes_on = goes_on[..., :-span] & goes_on[..., span:]
        span *= 2
    return sums
