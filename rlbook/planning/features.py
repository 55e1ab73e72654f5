"""Values that are linear in features of the state, and where semi-gradient TD(0) comes to rest.

Features are (S, F), one row x(s) for each state; the value is V_w(s) = x(s) . w. Everything here
is exact: the averages over states are weighted sums, the fixed points linear equations.
"""

import torch

from rlbook.ground import require
from rlbook.ground.require import Numbers
from rlbook.planning.mdp import MDP


def state_aggregation(num_states: int, num_groups: int) -> torch.Tensor:
    """Neighbouring states share one weight: (S, G), a single 1 in each row. Eq. (10b.1).

    Groups are consecutive; their sizes differ by at most one.

    Raises:
        ValueError: not 1 <= num_groups <= num_states.

    Source: Sutton & Barto (2018), section 9.3.
    """
    require.within("num_groups", num_groups, 1, num_states)
    group = torch.arange(num_states) * num_groups // num_states
    return torch.nn.functional.one_hot(group, num_groups).to(torch.float64)


def tile_indices(
    points: torch.Tensor, *, low: Numbers, high: Numbers, tiles: int, tilings: int
) -> torch.Tensor:
    """Which tile of each tiling a point lies in. Eq. (10b.2).

    A tiling is a grid of cells as wide as (high - low) / tiles, one cell more than `tiles` on
    each axis; tiling k = 0 .. K - 1 is shifted by the fraction frac((2 i + 1) k / K) of a cell
    along axis i = 0, 1, .... Along an axis, the number of the cell is
    floor((x - low) / width + shift).

    Args:
        points: (..., D); what lies outside the bounds counts as on them.
        low, high: a number, or D of them: the bounds.
        tiles: cells between the bounds, on each axis.
        tilings: K.

    Returns:
        (..., K) long in 0 .. K (tiles + 1)^D - 1, no number in two tilings.

    Raises:
        ValueError: no axis of points, low not below high, or no tile or tiling.

    Source: Sutton & Barto (2018), section 9.5.4, with its displacement vectors of odd numbers.
    """
    require.real("points", points, "(..., D)")
    require.at_least("tiles", tiles, 1)
    require.at_least("tilings", tilings, 1)
    D = points.shape[-1]
    low, high = (torch.as_tensor(bound).to(points).expand(D) for bound in (low, high))
    if not (low < high).all():
        raise ValueError(f"low must be below high, got {low.tolist()} and {high.tolist()}")
    last = torch.nextafter(points.new_tensor(float(tiles)), points.new_tensor(0.0))
    scaled = ((points - low) / (high - low) * tiles).clamp(torch.zeros_like(last), last)
    k = torch.arange(tilings, device=points.device)
    odd = 2 * torch.arange(D, device=points.device) + 1
    shift = (k[:, None] * odd % tilings).to(points) / tilings  # (K, D)
    cells = (scaled.unsqueeze(-2) + shift).floor().long()  # (..., K, D)
    strides = (tiles + 1) ** torch.arange(D, device=points.device)
    return k * (tiles + 1) ** D + (cells * strides).sum(-1)


def tile_features(
    points: torch.Tensor, *, low: Numbers, high: Numbers, tiles: int, tilings: int
) -> torch.Tensor:
    """Tile coding: a 1 for the tile of each tiling that a point lies in, else 0. Eq. (10b.2).

    Args:
        points: (..., D), and the rest as in `tile_indices`.

    Returns:
        (..., F), F = tilings (tiles + 1)^D; each row has `tilings` ones.
    """
    active = tile_indices(points, low=low, high=high, tiles=tiles, tilings=tilings)
    size = tilings * (tiles + 1) ** points.shape[-1]
    return points.new_zeros(*active.shape[:-1], size).scatter(-1, active, 1.0)


def _check_chain(chain: MDP) -> None:
    if chain.num_actions != 1:
        raise ValueError(f"chain must have one action, got {chain}: use mdp.induced_chain(policy)")


def on_policy_distribution(chain: MDP) -> torch.Tensor:
    """mu(s): the share of all time steps that are spent in s, (S,), summing to one. Eq. (10b.7).

    The stationary distribution of the chain in which an end is followed by a new start. There
    is no discount in it.

    Args:
        chain: one action, `mdp.induced_chain(policy)`.

    Raises:
        ValueError: more than one action; or no unique such distribution.

    Source: Sutton & Barto (2018), section 9.2.
    """
    _check_chain(chain)
    live = ~chain.terminal
    step, start = chain.transition[:, 0][live], chain.start[live]
    ends = step[:, chain.terminal].sum(1)
    step = step[:, live] + torch.outer(ends, start)  # an end is followed by a start
    ones = torch.ones_like(step)
    system = torch.eye(len(step), dtype=step.dtype, device=step.device) - step.T + ones
    if not torch.linalg.cond(system, p=1) < 1e13:
        raise ValueError("the chain falls apart into parts that never meet: no unique mu")
    mu = torch.zeros_like(chain.start)
    mu[live] = torch.linalg.solve(system, ones[0])  # mu = P^T mu, and the entries sum to one
    return mu.clamp_min(0.0)


def td_system(
    chain: MDP, features: torch.Tensor, weighting: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A and b of the expected semi-gradient update, E[delta x(s)] = b - A w. Eq. (10b.8).

    A = X^T D (X - discount P X), b = X^T D r, where D = diag(weighting), X holds the features,
    and those of terminal states count as 0 because their value is.

    Args:
        chain: one action, `mdp.induced_chain(policy)`.
        features: (S, F).
        weighting: (S,), how often each state is updated.

    Returns:
        (F, F) and (F,).

    Raises:
        ValueError: more than one action, or wrong shapes.

    Source: Sutton & Barto (2018), Eq. 9.11.
    """
    _check_chain(chain)
    S = chain.num_states
    if features.ndim != 2 or len(features) != S:
        raise ValueError(f"features must be ({S}, F), got {tuple(features.shape)}")
    if weighting.shape != (S,) or (weighting < 0).any():
        raise ValueError(f"weighting must be ({S},) and not negative, got {weighting}")
    X = features.to(chain.reward).masked_fill(chain.terminal.unsqueeze(1), 0.0)
    ahead = chain.discount * (chain.transition[:, 0] @ X)
    weighted = weighting.unsqueeze(1) * X
    return weighted.T @ (X - ahead), weighted.T @ chain.reward[:, 0]


def td_fixed_point(chain: MDP, features: torch.Tensor, weighting: torch.Tensor) -> torch.Tensor:
    """w with A w = b, (F,): where semi-gradient TD(0) stands still on average. Eq. (10b.9).

    X w is then its own backup, projected. Where features depend on each other, the w in the
    span of the rows x(s) that occur; the values X w are the same for all of them. That a fixed
    point exists does not mean that learning finds it: off-policy it may diverge.

    Args:
        chain, features, weighting: as in `td_system`.

    Source: Sutton & Barto (2018), Eq. 9.12; Tsitsiklis and Van Roy 1997.
    """
    A, b = td_system(chain, features, weighting)
    X = features.to(chain.reward).masked_fill(chain.terminal.unsqueeze(1), 0.0)
    basis = _orthonormal_basis(X, weighting)
    return basis @ torch.linalg.solve(basis.T @ A @ basis, basis.T @ b)


def lstd(
    features: torch.Tensor,
    next_features: torch.Tensor,
    rewards: torch.Tensor,
    terminated: torch.Tensor,
    *,
    discount: float,
) -> torch.Tensor:
    """Least-squares TD: where semi-gradient TD(0) rests on recorded steps, (F,). Eq. (10b.11).

    w with sum_t x_t (r_t + discount (1 - d_t) x'_t . w - x_t . w) = 0: the fixed point of the
    model that the record makes most likely. Where features depend on each other, the w in the
    span of the rows x_t.

    Args:
        features, next_features: (N, F), of the states before and after each step; what stands
            in next_features behind a termination is not read.
        rewards: (N,).
        terminated: (N,) bool, d_t.

    Raises:
        ValueError: wrong shapes; or steps that do not determine w.

    Source: Bradtke and Barto 1996; Boyan 1999.
    """
    N = len(rewards)
    shapes = [tuple(x.shape) for x in (features, next_features, rewards, terminated)]
    if features.ndim != 2 or shapes != [(N, features.shape[1])] * 2 + [(N,)] * 2 or not N:
        raise ValueError(
            "features, next_features, rewards, terminated must be (N, F), (N, F), (N,), (N,),"
            f" got {', '.join(map(str, shapes))}"
        )
    ahead = discount * torch.where(terminated.unsqueeze(1), 0.0, next_features)
    basis = _orthonormal_basis(features, torch.full_like(rewards, 1 / N))
    A = (features @ basis).T @ ((features - ahead) @ basis)
    if not torch.linalg.cond(A, p=1) < 1e13:
        raise ValueError("these steps do not determine w: at discount 1 some lead to no end")
    return basis @ torch.linalg.solve(A, (features @ basis).T @ rewards)


def best_linear_fit(
    features: torch.Tensor, values: torch.Tensor, weighting: torch.Tensor
) -> torch.Tensor:
    """The w for which sum_s weighting(s) (V(s) - x(s) . w)^2 is least, (F,). Eq. (10b.4).

    X w is the projection of V on what the features can express; of several w, as in
    `td_fixed_point`.

    Args:
        features: (S, F).
        values: (S,), V.
        weighting: (S,).

    Raises:
        ValueError: wrong shapes.
    """
    if features.ndim != 2 or not len(features) == len(values) == len(weighting):
        shapes = f"{tuple(features.shape)}, {tuple(values.shape)}, {tuple(weighting.shape)}"
        raise ValueError(f"features, values, weighting must be (S, F), (S,), (S,), got {shapes}")
    basis = _orthonormal_basis(features.to(values), weighting)
    return basis @ (basis.T @ (features.to(values).T @ (weighting * values)))


def _orthonormal_basis(features: torch.Tensor, weighting: torch.Tensor) -> torch.Tensor:
    """(F, rank), with (X basis)^T D (X basis) = I: dependent features leave the equations."""
    scaled = weighting.sqrt().unsqueeze(1) * features
    _, sizes, directions = torch.linalg.svd(scaled, full_matrices=False)
    kept = sizes > 1e-10 * sizes[0]
    return directions[kept].T / sizes[kept]
