"""Checkers of chapter 10b, from tables to functions."""

import math

import torch

from rlbook.book.exercises.expectations import WrongAnswer, expect_close
from rlbook.ground.seeding import generator
from rlbook.planning.features import lstd, tile_features

F64 = torch.float64


def _tiles(x: float, tiles: int, tilings: int, *, shift=True, offset=True, turn=False):
    features = torch.zeros(tilings * (tiles + 1), dtype=F64)
    for k in range(tilings):
        moved = (-k if turn else k) / tilings if shift else 0.0
        cell = math.floor(x * tiles + moved)
        features[(k * (tiles + 1) if offset else 0) + cell] = 1.0
    return features


def check_tile_code(attempt) -> str:
    """tile_code(x, tiles, tilings) -> (tilings * (tiles + 1),)."""
    for tiles, tilings in ((4, 1), (2, 4), (5, 8), (3, 3)):
        for x in (0.0, 0.13, 0.5, 0.71, 0.999):
            case = (x, tiles, tilings)
            expect_close(
                attempt(*case),
                _tiles(*case),
                on=f"x = {x:g}, {tiles} tiles, {tilings} tilings",
                hint="Tiling k has its 1 in cell floor(x tiles + k / tilings).",
                mistakes={
                    "All tilings lie exactly on top of each other: shift tiling k by k / tilings "
                    "of a tile.": _tiles(*case, shift=False),
                    "Two tilings share their features: each has tiles + 1 of its own.": _tiles(
                        *case, offset=False
                    ),
                    "The tilings are shifted the other way: the sign of k / tilings.": _tiles(
                        *case, turn=True
                    ),
                },
            )
    return "One 1 for each tiling: the knobs that this point turns."


def _rest(P, r, X, mu, gamma, *, use="td"):
    """Eq. (10b.9), or one of its wrong versions."""
    D, eye = torch.diag(mu), torch.eye(len(mu), dtype=F64)
    if use == "best":
        values = torch.linalg.solve(eye - gamma * P, r)
        return torch.linalg.solve(X.T @ D @ X, X.T @ D @ values)
    change = X - gamma * P @ X
    if use == "residual":
        return torch.linalg.solve(change.T @ D @ change, change.T @ D @ r)
    if use == "transposed":
        return torch.linalg.solve((X.T @ D @ change).T, X.T @ D @ r)
    return torch.linalg.solve(X.T @ D @ change, X.T @ D @ r)


def check_td_rest(attempt) -> str:
    """td_rest(P, r, X, mu, gamma) -> (F,)."""
    rng = generator(1023)
    for states, features, gamma in ((4, 2, 0.9), (6, 3, 0.7), (5, 5, 0.8)):
        P = torch.rand(states, states, generator=rng, dtype=F64)
        P = P / P.sum(1, keepdim=True)
        r = torch.randn(states, generator=rng, dtype=F64)
        X = torch.randn(states, features, generator=rng, dtype=F64)
        mu = torch.rand(states, generator=rng, dtype=F64)
        mu = mu / mu.sum()
        case = (P, r, X, mu)
        expect_close(
            attempt(*case, gamma),
            _rest(*case, gamma),
            on=f"a random chain of {states} states, {features} features, gamma {gamma:g}",
            hint="Build A and b of Eq. (10b.8), and solve A w = b.",
            mistakes={
                "Every state counts the same there: weigh state s by mu(s).": _rest(
                    P, r, X, torch.ones_like(mu), gamma
                ),
                "That is what comes out without the discount.": _rest(*case, 1.0)
                if features < states
                else torch.zeros(features, dtype=F64),
                "That is the best fit to the true values; TD rests elsewhere.": _rest(
                    *case, gamma, use="best"
                ),
                "The target was differentiated as well: that minimises the squared mean TD "
                "error.": _rest(*case, gamma, use="residual"),
                "A is transposed: X^T D stands on the left.": _rest(*case, gamma, use="transposed"),
            },
        )
    return "With as many independent features as states, this is the true value function."


def _episodes(rng, num_episodes: int):
    """A walk on the line: points in [0, 1), rewards, next points, ends; and a NaN behind each."""
    points, rewards, nexts, ends = [], [], [], []
    for _ in range(num_episodes):
        x = 0.5
        while True:
            y = x + 0.3 * (float(torch.rand(1, generator=rng)) - 0.45)
            points.append(x)
            ends.append(not 0 <= y < 1)
            nexts.append(math.nan if ends[-1] else y)
            rewards.append(float(y >= 1) - float(y < 0) - 0.1)
            if ends[-1]:
                break
            x = y
    columns = [torch.tensor(column, dtype=F64) for column in (points, rewards, nexts)]
    return *columns, torch.tensor(ends)


def _td(X, ahead, rewards, ends, alpha, gamma, *, full=False, fixed=False, mask=True):
    w = torch.zeros(X.shape[1], dtype=F64)
    old = w
    for x, y, r, end in zip(X, ahead, rewards, ends, strict=True):
        read = old if fixed else w
        stop = bool(end) and mask
        delta = r + (0.0 if stop else gamma * (y @ read)) - x @ read
        w = w + alpha * delta * (x - gamma * y * (not end) if full else x)
    return X @ w


def _least_squares(X, ahead, rewards, ends, gamma, *, residual=False):
    change = X - gamma * torch.where(ends.unsqueeze(1), 0.0, ahead)
    left = change if residual else X
    return X @ (torch.linalg.pinv(left.T @ change, rtol=1e-10) @ (left.T @ rewards))


def check_linear_values(attempt) -> str:
    """linear_values(points, rewards, next_points, terminated, tiles, tilings, alpha, gamma):
    the values of the points by TD and by LSTD, (N,) each."""
    rng = generator(1024)
    for tiles, tilings, alpha, gamma in ((5, 1, 0.2, 0.9), (3, 4, 0.05, 0.95), (4, 2, 0.1, 0.8)):
        points, rewards, nexts, ends = _episodes(rng, 30)
        on = f"30 episodes, {tiles} tiles, tilings {tilings}, alpha {alpha:g}, gamma {gamma:g}"
        result = attempt(points, rewards, nexts, ends, tiles, tilings, alpha, gamma)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise WrongAnswer(f"On {on}: return two things, the values by TD and those by LSTD.")
        X, ahead = (
            tile_features(x.unsqueeze(1), low=0.0, high=1.0, tiles=tiles, tilings=tilings)
            for x in (points, nexts.nan_to_num(0.5))
        )
        data = (X, ahead, rewards, ends)
        flat = torch.stack([_tiles(x, tiles, tilings, shift=False) for x in points.tolist()])
        onward = nexts.nan_to_num(0.5).tolist()
        flat_next = torch.stack([_tiles(x, tiles, tilings, shift=False) for x in onward])
        expect_close(
            result[0],
            _td(*data, alpha, gamma),
            on=f"the values by TD, {on}",
            hint="Weights 0 at first; step by step w + alpha delta x; at last X w for all points.",
            mistakes={
                "The target was differentiated as well: move along the features of the point "
                "that was left, and no others.": _td(*data, alpha, gamma, full=True),
                "That is what comes out without the discount.": _td(*data, alpha, 1.0),
                "All errors were computed from the first weights; TD(0) uses those of the "
                "moment.": _td(*data, alpha, gamma, fixed=True),
                "The step size was divided by the number of tilings; here alpha is meant as it "
                "is.": _td(*data, alpha / tilings, gamma),
                "The tilings lie on top of each other: shift tiling k by k / tilings of a "
                "tile.": _td(flat, flat_next, rewards, ends, alpha, gamma),
            },
        )
        w = lstd(X, ahead, rewards, ends, discount=gamma)
        expect_close(
            result[1],
            X @ w,
            on=f"the values by LSTD, {on}",
            hint="A sums x (x - gamma x')^T over the steps, b sums r x. Where tilings make A "
            "singular, use torch.linalg.pinv.",
            atol=1e-4,
            mistakes={
                "That is what comes out without the discount.": _least_squares(*data, 1.0),
                "The target was differentiated as well: that is the least squared TD "
                "error, not LSTD.": _least_squares(*data, gamma, residual=True),
                "That is a fit to the rewards of one step: nothing of what follows is in "
                "it.": _least_squares(*data, 0.0),
                "The tilings lie on top of each other: shift tiling k by k / tilings of a "
                "tile.": _least_squares(flat, flat_next, rewards, ends, gamma),
            },
        )
    return "Two learners, one fixed point."


CHECKERS = {
    "10b.1": check_tile_code,
    "10b.2": check_td_rest,
    "10b.3": check_linear_values,
}
