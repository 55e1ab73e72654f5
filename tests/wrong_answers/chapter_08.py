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


def _log(
    stop: str = "terminated or truncated",
    guess: str = "not terminated",
    count: str = "k == n",
    power: str = "k",
    learn: str = "V[s] += alpha * (G - V[s])",
) -> str:
    return f"""
def learn_from_log(log, V, n, alpha, gamma):
    old, V = V.clone(), V.clone()
    for t, (s, *_) in enumerate(log):
        G = 0.0
        for k, (_, r, s_next, terminated, truncated) in enumerate(log[t:], start=1):
            G = G + gamma ** (k - 1) * r
            if {stop} or {count}:
                break
        if {guess}:
            G = G + gamma ** ({power}) * V[s_next]
        {learn}
    return V
"""


FADE, ADD = "        trace = gamma * lambda_ * trace", "        trace[s] += 1"

WRONG = {
    "8.1": [
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
        (_td_zero(target="r if ended else r + 0.8 * V[s_next]"), "those of the call"),
        (_td_zero(update="0.3 * (target - V[s])"), "those of the call"),
        (_td_zero(target="r if s_next == 5 else r + gamma * V[s_next]"), "target is the reward"),
    ],
    "8.2": [
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
        (
            _n_step(
                "    G = sum(0.8**k * rewards[t + k] for k in range(min(n, T - t)))\n"
                "    if t + n < T:\n"
                "        G = G + 0.8**n * values[t + n]"
            ),
            "Is gamma that of the call?",
        ),
    ],
    "8.5": [
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
        (_changes(f"        trace = 0.8 * lambda_ * trace\n{ADD}"), "those of the call"),
        (_changes(f"        trace = gamma * 0.7 * trace\n{ADD}"), "those of the call"),
    ],
    "8.3": [
        (_log(guess="True"), "whatever V holds for that state"),
        (_log(guess="not (terminated or truncated)"), "A cut is no end"),
        (_log(stop="terminated"), "belong to another episode"),
        (_log(stop="False"), "from one episode into the next"),
        (_log(learn="V[s] = V[s] + (G - V[s])"), "The step size is not used"),
        (_log(learn="V[s] += alpha * (V[s] - G)"), "The sign is wrong"),
        (_log(learn="V[s] += alpha * (G - V[s]) if k == n else 0"), "learned nothing"),
        (
            _log().replace("enumerate(log):", "reversed(list(enumerate(log))):"),
            "from the last to the first",
        ),
        (_log(guess="False"), "The guess is missing"),
        (_log(power="k - 1"), "one more gamma"),
        (_log(power="n"), "perhaps a guess"),
        (_log(count="k == n + 1"), "one reward too many"),
        (_log(count="True"), "n is not used"),
        (_log(count="k == 2"), "one reward too many"),
        (_log(count="k == min(n, 4)"), "those of the call"),
        (_log().replace("gamma **", "1.0 **"), "without the discount"),
        (_log(learn="V[s] += 0.3 * (G - V[s])"), "those of the call"),
        (
            _log(learn="V[s] += alpha * (G - old[s])").replace("* V[s_next]", "* old[s_next]"),
            "the values of its moment",
        ),
    ],
}
