"""Typical wrong answers of chapter 11, and what the checker must say to each."""


def _episode(
    target="r if ended else r + gamma * X[s_next] @ w",
    update="alpha * (target - X[s] @ w) * X[s]",
):
    return f"""
def semi_gradient_episode(w, X, states, rewards, next_states, terminated, alpha, gamma):
    old = w
    for s, r, s_next, ended in zip(states, rewards, next_states, terminated):
        target = {target}
        w = w + {update}
    return w
"""


def _score(body: str) -> str:
    return f"""
def softmax_score(theta, X, a):
    pi = (X @ theta).softmax(-1)
    return {body}
"""


def _gradient(eta="torch.linalg.solve(system.T, start)", result="pi * (Q - V[:, None])"):
    return f"""
def policy_gradient(P, r, start, gamma, logits):
    pi = logits.softmax(-1)
    P_pi = torch.einsum("sa,sat->st", pi, P)
    system = torch.eye(len(r), dtype=r.dtype) - gamma * P_pi
    V = torch.linalg.solve(system, (pi * r).sum(1))
    Q = r + gamma * P @ V
    eta = {eta}
    return eta[:, None] * {result}
"""


WRONG = {
    "11.2": [
        (_episode(target="r + gamma * X[s_next] @ w"), "the target is the reward alone"),
        (_episode(target="r if ended else r + X[s_next] @ w"), "without the discount"),
        (
            _episode(
                update="alpha * (target - X[s] @ w) * (X[s] - (1 - ended) * gamma * X[s_next])"
            ),
            "The target was differentiated as well",
        ),
        (
            _episode(
                target="r if ended else r + gamma * X[s_next] @ old",
                update="alpha * (target - X[s] @ old) * X[s]",
            ),
            "uses those of the moment",
        ),
        (_episode(update="alpha * (X[s] @ w - target) * X[s]"), "The sign is wrong"),
        (_episode(update="(target - X[s] @ w) * X[s]"), "The step size is not used"),
    ],
    "11.3": [
        (_score("pi[a] * (X[a] - pi @ X)"), "the gradient of pi(a), not of log pi(a)"),
        (_score("X[a]"), "The mean of the features under the policy is missing"),
        (_score("X[a] - X.mean(0)"), "not with equal weights"),
        (_score("pi @ X - X[a]"), "The sign is wrong"),
        (_score("torch.eye(len(X), dtype=X.dtype)[a] - pi"), "with respect to the logits"),
        (
            """
def softmax_score(theta, X, a):
    p = (X @ theta).exp()
    return X[a] - (p / p.sum()) @ X
""",
            "so large that exp overflows",
        ),
    ],
    "11.4": [
        (_gradient(result="(1 - gamma) * pi * (Q - V[:, None])"), "The factor 1 / (1 - gamma)"),
        (_gradient(eta="torch.linalg.solve(system, start)"), "the transpose of P_pi"),
        (
            _gradient(
                eta="torch.linalg.matrix_power(P_pi, 1000)[0] / (1 - gamma)",
            ),
            "by the stationary distribution",
        ),
        (_gradient(eta="start"), "by the start distribution only"),
        (_gradient(result="pi * Q"), "Q stands where the advantage"),
        (_gradient(result="(Q - V[:, None])"), "The probability pi(a|s) is missing"),
        (_gradient(result="pi * (V[:, None] - Q)"), "The sign is wrong"),
        (
            _gradient(result="pi * (r - (pi * r).sum(1, keepdim=True))"),
            "Only the reward of the moment counts",
        ),
    ],
    "11.5": [
        (
            """
def clip_per_run(gradients, max_norm):
    norm = sum(g.square().sum() for g in gradients).sqrt()
    return [g * (max_norm / norm).clamp(max=1.0) for g in gradients]
""",
            "One norm was taken over all runs",
        ),
        (
            """
def clip_per_run(gradients, max_norm):
    norms = [g.flatten(1).norm(dim=1).view(-1, 1, 1) for g in gradients]
    return [g * (max_norm / n.clamp(min=1e-12)).clamp(max=1.0) for g, n in zip(gradients, norms)]
""",
            "Each tensor was clipped by itself",
        ),
        (
            """
def clip_per_run(gradients, max_norm):
    norms = sum(g.flatten(1).square().sum(1) for g in gradients).sqrt()
    return [g * (max_norm / norms).view(-1, 1, 1) for g in gradients]
""",
            "Short gradients were made longer",
        ),
        (
            """
def clip_per_run(gradients, max_norm):
    norms = sum(g.flatten(1).square().sum(1) for g in gradients).sqrt()
    return [torch.where(norms < max_norm, 1.0, max_norm / norms).view(-1, 1, 1) * 0 + g
            for g in gradients]
""",
            "Nothing was clipped",
        ),
        (
            """
def clip_per_run(gradients, max_norm):
    norms = sum(g.flatten(1).square().sum(1) for g in gradients).sqrt()
    return [g * (max_norm / norms).clamp(max=1.0).view(-1, 1, 1) * (norms / norms).view(-1, 1, 1)
            for g in gradients]
""",
            "a gradient of zero",
        ),
    ],
}
