"""Typical wrong answers of chapter 13, and what the checker must say to each."""

DOUBLE = """
def double_dqn_targets(rewards, online_q, target_q, terminated, discount):
    best = online_q.argmax(1, keepdim=True)
    value = target_q.gather(1, best).squeeze(1)
    return (rewards + discount * torch.where(terminated, 0.0, value)).detach()
"""

LOSS = """
def dqn_loss(online, target, batch, discount):
    s, a, r, s_next, terminated, truncated = batch
    q = online(s).gather(1, a.unsqueeze(1)).squeeze(1)
    with torch.no_grad():
        best = target(s_next).amax(1)
        y = r + discount * torch.where(terminated, 0.0, best)
    return ((y - q) ** 2).mean() / 2
"""


def changed(source: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in source
        source = source.replace(old, new)
    return source


WRONG = {
    "13.2": [
        (changed(DOUBLE, ("online_q.argmax", "target_q.argmax")), "the plain target of DQN"),
        (changed(DOUBLE, ("target_q.gather", "online_q.gather")), "the maximum of the online"),
        (
            changed(
                DOUBLE,
                ("online_q.argmax", "target_q.argmax"),
                ("target_q.gather", "online_q.gather"),
            ),
            "The roles are exchanged",
        ),
        (changed(DOUBLE, ("torch.where(terminated, 0.0, value)", "value")), "mask is missing"),
        (
            changed(DOUBLE, ("torch.where(terminated, 0.0, value)", "value * ~terminated")),
            "a product is no mask",
        ),
        (changed(DOUBLE, ("terminated, 0.0, value", "~terminated, 0.0, value")), "inverted"),
        (changed(DOUBLE, ("discount * ", "")), "discount is missing"),
        (changed(DOUBLE, (".detach()", "")), "carry a gradient"),
    ],
    "13.3": [
        (
            """
def dqn_loss(online, target, batch, discount):
    s, a, r, s_next, terminated, truncated = batch
    q = target(s).gather(1, a.unsqueeze(1))
    best = online(s_next).amax(1)
    y = r + discount * best * ~(terminated | truncated)
    return ((y - q) ** 2).mean() / 2
""",
            "should be",
        ),
        (changed(LOSS, (".squeeze(1)", "")), "every target meets every estimate"),
        (
            changed(LOSS, ("target(s_next)", "online(s_next)"), ("online(s)", "target(s)")),
            "The two networks are swapped",
        ),
        (changed(LOSS, ("target(s_next)", "online(s_next)")), "with the online network"),
        (changed(LOSS, ("where(terminated", "where(terminated | truncated")), "time limit"),
        (changed(LOSS, ("torch.where(terminated, 0.0, best)", "best")), "mask is missing"),
        (changed(LOSS, ("target(s_next)", "target(s)")), "it should be in s_next"),
        (changed(LOSS, ("with torch.no_grad():", "if True:")), "moves the target network"),
        (changed(LOSS, (".mean() / 2", ".mean()")), "half the squared error"),
        (changed(LOSS, (".mean() / 2", ".sum() / 2")), "return the mean"),
        (
            changed(LOSS, ("return ((y - q) ** 2)", "return ((y - q.detach()) ** 2)")),
            "there is none",
        ),
    ],
}
