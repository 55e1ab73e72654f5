"""Typical wrong answers of chapter 8, and what the checker must say to each."""


def _td_zero(target="r if ended else r + gamma * V[s_next]", update="alpha * (target - V[s])"):
    return f"""
def td_zero_episode(V, states, rewards, next_states, terminated, alpha, gamma):
    old, V = V, V.clone()
    for s, r, s_next, ended in zip(states, rewards, next_states, terminated):
        target = {target}
        V[s] = V[s] + {update}
    return V
"""


def _n_step(body: str) -> str:
    return f"""
def n_step_return(rewards, values, t, n, gamma):
    T = len(rewards)
{body}
    return G
"""


def _changes(loop: str, error: str = "(r if ended else r + gamma * V[s_next]) - V[s]") -> str:
    return f"""
def td_lambda_changes(V, states, rewards, next_states, terminated, gamma, lambda_):
    trace, changes = torch.zeros_like(V), torch.zeros_like(V)
    for s, r, s_next, ended in zip(states, rewards, next_states, terminated):
        delta = {error}
{loop}
        changes = changes + delta * trace
    return changes
"""


FADE, ADD = "        trace = gamma * lambda_ * trace", "        trace[s] += 1"

WRONG = {
    "8.2": [
        (_td_zero(target="r + gamma * V[s_next]"), "the target is the reward alone"),
        (_td_zero(target="r if ended else r + V[s_next]"), "without the discount"),
        (
            _td_zero(
                target="r if ended else r + gamma * old[s_next]",
                update="alpha * (target - old[s])",
            ),
            "uses the values of the moment",
        ),
        (_td_zero(update="alpha * (V[s] - target)"), "The sign is wrong"),
        (_td_zero(update="(target - V[s])"), "The step size is not used"),
        (_td_zero().replace("V, V.clone()", "V, V"), "changed its input"),
        (
            _td_zero(target="r + gamma * V[s_next]").replace(
                "        target", "        V[s_next] *= 1 - int(ended)\n        target"
            ),
            "leave it as it is",
        ),
        (_td_zero(update="(1 - int(ended)) * alpha * (target - V[s])"), "last step is left out"),
        (_td_zero(target="0 if ended else r + gamma * V[s_next]"), "took the last reward away"),
    ],
    "8.3": [
        (
            _n_step(
                "    G = sum(gamma**k * rewards[t + k] for k in range(min(n + 1, T - t)))\n"
                "    if t + n + 1 < T:\n"
                "        G = G + gamma ** (n + 1) * values[t + n + 1]"
            ),
            "It holds n + 1 rewards",
        ),
        (
            _n_step(
                "    m = min(n, T - t)\n"
                "    G = sum(gamma**k * rewards[t + k] for k in range(m))\n"
                "    G = G + gamma**m * values[t + m]"
            ),
            "It read the value of the terminal state",
        ),
        (
            _n_step(
                "    G = sum(gamma**k * rewards[t + k] for k in range(min(n, T - t)))\n"
                "    if t + n < T:\n"
                "        G = G + gamma ** (n - 1) * values[t + n]"
            ),
            "so gamma^n",
        ),
        (
            _n_step("    G = sum(gamma**k * rewards[t + k] for k in range(min(n, T - t)))"),
            "The guess V(s_{t+n}) is missing",
        ),
        (
            _n_step(
                "    G = sum(gamma**k * rewards[t + k] for k in range(n))\n"
                "    G = G + gamma**n * values[t + n]"
            ),
            "there is no guess",
        ),
    ],
    "8.4": [
        (_changes(f"{FADE}\n        trace[s] = 1"), "That is a replacing trace"),
        (_changes(f"{ADD}\n{FADE}"), "less than its full share"),
        (_changes(f"        trace = lambda_ * trace\n{ADD}"), "should be gamma times lambda"),
        (_changes(f"        trace = gamma * trace\n{ADD}"), "lambda is not used"),
        (_changes(f"        trace = 0 * trace\n{ADD}"), "the changes of TD(0)"),
        (
            _changes(f"{FADE}\n{ADD}").replace(
                "changes = changes + delta * trace", "changes[s] += delta * trace[s]"
            ),
            "must reach, through the trace, all states",
        ),
        (
            _changes(f"{FADE}\n{ADD}", error="r + gamma * V[s_next] - V[s]"),
            "It read what V holds for the terminal state",
        ),
    ],
}
