"""Typical wrong answers of chapter 9, and what the checker must say to each."""

UPDATE = """
def q_update(Q, s, a, r, s_next, terminated, truncated, alpha, discount):
    {target}
    new = Q.clone()
    {move}
    return new
"""
RIGHT_TARGET = "target = r if terminated else r + discount * Q[s_next].max()"
RIGHT_MOVE = "new[s, a] += alpha * (target - Q[s, a])"


def update(target: str = RIGHT_TARGET, move: str = RIGHT_MOVE) -> str:
    return UPDATE.format(target=target, move=move)


TARGETS = """
def double_q_targets(Q1, Q2, rewards, next_states, terminated, discount):
    {body}
"""


def targets(body: str) -> str:
    return TARGETS.format(body=body)


RATE = """
def exploration_rate(step, start, end, over):
    {body}
"""


def rate(body: str) -> str:
    return RATE.format(body=body)


WRONG = {
    "9.2": [
        (update("target = r + discount * Q[s_next].max()"), "A termination stops the bootstrap"),
        (
            update("target = r if terminated or truncated else r + discount * Q[s_next].max()"),
            "A time limit is no end",
        ),
        (
            update("target = r + discount * (1 - terminated) * Q[s_next].max()"),
            "0 times infinity is not a number",
        ),
        (
            update("target = r if terminated else r + discount * Q[s].max()"),
            "it should be the row of s_next",
        ),
        (
            update("target = r if terminated else r + Q[s_next].max()"),
            "The discount is missing",
        ),
        (update(move="new[s, a] = target"), "alpha is not used"),
        (update(move="new[s, a] += alpha * (Q[s, a] - target)"), "The sign of the error"),
        (update(move="new[s, a] += alpha * target"), "the old value must shrink"),
        (
            update("target = r if terminated else r + discount * Q[s_next].mean()"),
            "Q-learning takes the maximum",
        ),
        (update(move="Q[s, a] += alpha * (target - Q[s, a]); new = Q"), "changed its input `Q`"),
        (
            update("target = r if terminated else r + discount * Q[s_next].argmax()"),
            "the number of the best action",
        ),
        (
            update("target = r if terminated else r + discount * Q[s_next, a]"),
            "the value of the same action",
        ),
        (
            update("target = 0.0 if terminated else r + discount * Q[s_next].max()"),
            "the target is r, not 0",
        ),
        (
            update("target = r if not terminated else r + discount * Q[s_next].max()"),
            "This step ends nothing",
        ),
        (
            update(move="new[s, a] += 0 if truncated else alpha * (target - Q[s, a])"),
            "Nothing was learned",
        ),
        (
            update(move="new[s, a] = alpha * Q[s, a] + (1 - alpha) * target"),
            "The weights are exchanged",
        ),
    ],
    "9.3": [
        (
            targets(
                "return rewards + discount * torch.where(terminated, 0.0, Q1[next_states].amax(1))"
            ),
            "The same table chooses and values",
        ),
        (
            targets(
                "return rewards + discount * "
                "torch.where(terminated, 0.0, Q1[next_states, Q2[next_states].argmax(1)])"
            ),
            "The roles are exchanged",
        ),
        (
            targets("return rewards + discount * Q2[next_states, Q1[next_states].argmax(1)]"),
            "The terminal mask is missing",
        ),
        (
            targets(
                "return rewards + torch.where(terminated, 0.0, "
                "Q2[next_states, Q1[next_states].argmax(1)])"
            ),
            "The discount is missing",
        ),
        (
            targets(
                "return rewards + discount * ~terminated * "
                "Q2[next_states, Q1[next_states].argmax(1)]"
            ),
            "use torch.where",
        ),
    ],
    "9.4": [
        (
            rate("return start + (end - start) * (step / over).clamp(max=1)"),
            "falls on a straight line",
        ),
        (rate("return start * (end / start) ** (step / over)"), "goes on falling below `end`"),
        (rate("return end * (start / end) ** (step / over).clamp(max=1)"), "they are exchanged"),
        (rate("return end + (start - end) * torch.exp(-step / over)"), "it forgets `end`"),
    ],
}
