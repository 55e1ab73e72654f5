"""Typical wrong answers of appendix A, and what the checker must say to each."""


def _unrolled(term="gamma * P_pi @ term", remainder="gamma * P_pi @ remainder",
              count="m", result="total + remainder"):  # fmt: skip
    return f"""
def unrolled(phi, P_pi, grad_V, gamma, m):
    total, term, remainder = torch.zeros_like(phi), phi, grad_V
    for _ in range({count}):
        total = total + term
        term = {term}
        remainder = {remainder}
    return {result}
"""


def _constant(chain="eye - chain.T", mu="visits / length", length="visits.sum()", back="mu"):
    return f"""
def hidden_constant(P_pi, start, terminal):
    live = ~terminal
    chain = P_pi[live][:, live]
    eye = torch.eye(len(chain), dtype=chain.dtype)
    visits = torch.linalg.solve({chain}, start[live])
    length = {length}
    mu = torch.zeros_like(start)
    mu[live] = {mu}
    return length, {back}
"""


def _average(mu="eye - P_pi.T", q="r - mean + P @ h", result="mu[:, None] * pi * (q - h[:, None])"):
    return f"""
def average_reward_gradient(P, r, logits):
    pi = logits.softmax(-1)
    P_pi = torch.einsum("sa,sat->st", pi, P)
    r_pi = (pi * r).sum(-1)
    eye, ones = torch.eye(len(r_pi), dtype=r.dtype), torch.ones_like(r_pi)
    mu = torch.linalg.solve({mu} + torch.outer(ones, ones), ones)
    mean = mu @ r_pi
    h = torch.linalg.solve(eye - P_pi + torch.outer(ones, mu), r_pi - mean)
    q = {q}
    return {result}
"""


WRONG = {
    "A.2": [
        (
            _unrolled(term="gamma**2 * P_pi @ term", remainder="gamma**2 * P_pi @ remainder"),
            "The discount is squared in every step",
        ),
        (_unrolled(result="total"), "The remainder is missing"),
        (_unrolled(remainder="P_pi @ remainder"), "The remainder lost its gamma^m"),
        (_unrolled(remainder="gamma * remainder"), "The remainder lost its P_pi^m"),
        (_unrolled(count="m + 1"), "That is m + 1 steps"),
        (_unrolled(result="total + term + remainder"), "One term too many"),
        (_unrolled(result="total + gamma * P_pi @ remainder"), "m + 1 steps in the remainder"),
        (_unrolled(result="gamma * P_pi @ total + remainder"), "The sum begins at k = 0"),
        (
            _unrolled(term="gamma * P_pi.T @ term", remainder="gamma * P_pi.T @ remainder"),
            "P_pi is transposed",
        ),
        (
            _unrolled(term="P_pi @ term", remainder="P_pi @ remainder"),
            "The discount is missing",
        ),
        (_unrolled(term="P_pi @ term"), "The terms of the sum have no discount"),
    ],
    "A.3": [
        (_constant(chain="eye - chain"), "P_pi is transposed"),
        (_constant(mu="visits"), "Those are the visits"),
        (_constant(length="visits.sum() + 1"), "The terminal state was counted"),
        (_constant(length="visits.sum() - 1"), "one step too few"),
        (_constant(length="1 / visits.sum()"), "That is 1 / length"),
        (_constant(back="mu[live]"), "put them into (S,)"),
        (_constant(back="start"), "That is the start distribution"),
        (_constant(mu="1 / live.sum()"), "All states weigh the same"),
        ("def hidden_constant(P_pi, start, terminal):\n    return start.sum()", "return the pair"),
    ],
    "A.5": [
        (_average(result="mu[:, None] * pi * q"), "h(s) is not subtracted"),
        (
            _average(q="r", result="mu[:, None] * pi * (q - r_pi[:, None])"),
            "Only the reward of the moment",
        ),
        (
            _average(
                mu="eye * len(r_pi)",
                result="pi * (q - h[:, None]) / len(r_pi)",
            ).replace(
                "mu = torch.linalg.solve(eye * len(r_pi) + torch.outer(ones, ones), ones)",
                "mu = ones / len(r_pi)",
            ),
            "States are weighted equally",
        ),
        (_average(mu="eye - P_pi"), "With P_pi in the place of P_pi^T"),
        (
            """
def average_reward_gradient(P, r, logits):
    pi = logits.softmax(-1)
    P_pi = torch.einsum("sa,sat->st", pi, P)
    eye, ones = torch.eye(len(r), dtype=r.dtype), torch.ones(len(r), dtype=r.dtype)
    mu = torch.linalg.solve(eye - P_pi.T + torch.outer(ones, ones), ones)
    V = torch.linalg.solve(eye - 0.9 * P_pi, (pi * r).sum(-1))
    Q = r + 0.9 * P @ V
    return mu[:, None] * pi * (Q - V[:, None])
""",
            "Discounted values (0.9)",
        ),
        (_average(result="pi * (q - h[:, None])"), "The weight mu(s) is missing"),
        (_average(result="mu[:, None] * (q - h[:, None])"), "The probability pi(a|s) is missing"),
        (_average(result="mu[:, None] * pi * (h[:, None] - q)"), "The sign is wrong"),
    ],
}
