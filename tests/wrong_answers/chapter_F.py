"""Typical wrong answers of appendix F, and what the checker must say to each."""


def _climb(start="x.detach().clone().requires_grad_()", step="x.detach() + alpha * x.grad",
           steps="range(steps)"):  # fmt: skip
    return f"""
def climb(f, x, alpha, steps):
    for _ in {steps}:
        x = {start}
        f(x).backward()
        x = {step}
    return x
"""


def _measured(top="f(forward) - f(back)", under="2 * h", forward="x.clone()"):
    return f"""
def measured_gradient(f, x):
    h, slopes = 1e-5, []
    for i in range(len(x)):
        forward, back = {forward}, x.clone()
        forward[i] += h
        back[i] -= h
        slopes.append(({top}) / ({under}))
    return torch.stack(slopes)
"""


def _walk(steps):
    return f"""
def walkers(p, P, steps):
    for _ in {steps}:
        p = p @ P
    return p
"""


def _line(head, result):
    return f"def {head}:\n    return {result}"


EXPECTATION = "expectation(values, probabilities)"
MEANS = "conditional_means(joint, values)"
WALKERS = "walkers(p, P, steps)"
CHOSEN = "chosen(q, actions)"

WRONG = {
    "F.1": [
        (_line(EXPECTATION, "values.mean()"), "the probabilities are not used"),
        (_line(EXPECTATION, "probabilities * values"), "one by one"),
        (_line(EXPECTATION, "(probabilities * values).mean()"), "have divided already"),
        (_line(EXPECTATION, "values[probabilities.argmax()]"), "the likeliest value"),
    ],
    "F.2": [
        (_line(MEANS, "joint @ values"), "Divide by the probability of b"),
        (_line(MEANS, "(joint / joint.sum(0)) @ values"), "divides by the columns' sums"),
        (_line(MEANS, "(joint @ values).sum()"), "without a condition"),
        (_line(MEANS, "joint / joint.sum(1, keepdim=True)"), "average the values with them"),
        (_line(MEANS, "(joint @ values) / 0.4"), "over the sum of row b"),
    ],
    "F.3": [
        (_measured(under="h"), "between the two places lie 2 h"),
        (_measured(top="f(forward) - f(x)"), "goes to one side only"),
        (_measured(top="f(forward) - f(x)", under="h"), "a little off"),
        (_measured(top="f(back) - f(forward)"), "The sign is turned round"),
        (_measured(under="1"), "divide by the way between"),
        (_measured(forward="x"), "changed its input"),
    ],
    "F.4": [
        (_line(WALKERS, "torch.linalg.matrix_power(P, steps) @ p"), "pulls values back"),
        (_line(WALKERS, "p @ P"), "one step, however many"),
        (_line(WALKERS, "p @ P**steps"), "entry by entry"),
        (_line(WALKERS, "p @ torch.linalg.matrix_power(P, steps + 1)"), "one step too many"),
        (_walk("range(steps - 1)"), "one step too few"),
        (_walk("range(max(steps, 1))"), "nobody has moved"),
    ],
    "F.5": [
        (_line(CHOSEN, "q[:, actions]"), "from every row"),
        (_line(CHOSEN, "q.amax(1)"), "largest value"),
        (_line(CHOSEN, "q.gather(1, actions[:, None])"), "squeeze it away"),
    ],
    "F.6": [
        (_climb(step="x.detach() - alpha * x.grad"), "goes downhill"),
        (_climb(steps="range(1)"), "one step, however many"),
        (_climb(steps="range(steps + 1)"), "one step too many"),
        (_climb(step="x.detach() + x.grad"), "The size of the steps is not used"),
        (
            """
def climb(f, x, alpha, steps):
    x = x.detach().clone().requires_grad_()
    for _ in range(steps):
        f(x).backward()
        x.data += alpha * x.grad
    return x
""",
            "have added up",
        ),
        (
            """
def climb(f, x, alpha, steps):
    start = x.requires_grad_()
    for _ in range(steps):
        (slope,) = torch.autograd.grad(f(x), x)
        x = (x + alpha * slope).detach().requires_grad_()
    return x
""",
            "work on a copy",
        ),
    ],
}
