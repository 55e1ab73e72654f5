"""Typical wrong answers of chapter 10b, and what the checker must say to each."""


def _tiles(moved="k / tilings", first="k * (tiles + 1)"):
    return f"""
def tile_code(x, tiles, tilings):
    features = torch.zeros(tilings * (tiles + 1), dtype=torch.float64)
    for k in range(tilings):
        cell = math.floor(x * tiles + {moved})
        features[{first} + cell] = 1.0
    return features
"""


def _rest(A="X.T @ D @ (X - gamma * P @ X)", b="X.T @ D @ r", D="torch.diag(mu)"):
    return f"""
def td_rest(P, r, X, mu, gamma):
    D = {D}
    return torch.linalg.solve({A}, {b})
"""


def _both(
    target="r if end else r + gamma * y @ w",
    update="alpha * (target - x @ w) * x",
    A="X.T @ (X - gamma * ahead)",
    moved="k / tilings",
    result="X @ w, X @ (torch.linalg.pinv(A) @ (X.T @ rewards))",
    ends="terminated.tolist()",
):
    return f"""
def linear_values(points, rewards, next_points, terminated, tiles, tilings, alpha, gamma):
    def code(x):
        row = torch.zeros(tilings * (tiles + 1), dtype=torch.float64)
        for k in range(tilings):
            row[k * (tiles + 1) + math.floor(x * tiles + {moved})] = 1.0
        return row

    X = torch.stack([code(x) for x in points.tolist()])
    ahead = torch.zeros_like(X)
    for n in (~terminated).nonzero().flatten().tolist():
        ahead[n] = code(next_points[n].item())
    w = torch.zeros(X.shape[1], dtype=torch.float64)
    for x, r, y, end in zip(X, rewards, ahead, {ends}):
        target = {target}
        w = w + {update}
    A = {A}
    return {result}
"""


WRONG = {
    "10b.1": [
        (_tiles(moved="0"), "on top of each other"),
        (_tiles(first="0"), "Two tilings share their features"),
        (_tiles(moved="(-k) / tilings"), "shifted the other way"),
    ],
    "10b.2": [
        (_rest(D="torch.eye(len(mu), dtype=torch.float64)"), "weigh state s by mu(s)"),
        (_rest(A="X.T @ D @ (X - P @ X)"), "without the discount"),
        (
            _rest(
                A="X.T @ D @ X",
                b="X.T @ D @ torch.linalg.solve(torch.eye(len(r), dtype=r.dtype) - gamma * P, r)",
            ),
            "the best fit to the true values",
        ),
        (
            _rest(
                A="(X - gamma * P @ X).T @ D @ (X - gamma * P @ X)",
                b="(X - gamma * P @ X).T @ D @ r",
            ),
            "The target was differentiated as well",
        ),
        (_rest(A="(X.T @ D @ (X - gamma * P @ X)).T"), "A is transposed"),
    ],
    "10b.3": [
        (_both(moved="0"), "The tilings lie on top of each other"),
        (_both(update="alpha * (target - x @ w) * (x - gamma * y)"), "differentiated as well"),
        (_both(target="r if end else r + y @ w"), "without the discount"),
        (_both(update="alpha / tilings * (target - x @ w) * x"), "divided by the number"),
        (
            _both(
                A="(X - gamma * ahead).T @ (X - gamma * ahead)",
                result="X @ w, X @ (torch.linalg.pinv(A) @ ((X - gamma * ahead).T @ rewards))",
            ),
            "not LSTD",
        ),
        (_both(A="X.T @ (X - ahead)"), "values by LSTD"),
        (_both(A="X.T @ X"), "a fit to the rewards of one step"),
        (_both(result="X @ w"), "return two things"),
    ],
}
