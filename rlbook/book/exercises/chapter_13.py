"""Checkers of chapter 13, deep Q-learning."""

import torch
from torch import nn

from rlbook.book.exercises.expectations import expect_close, expect_true
from rlbook.ground.seeding import generator


def check_double_dqn_targets(attempt) -> str:
    """double_dqn_targets(rewards, online_q, target_q, terminated, discount): (B,)."""
    rng = generator(1302)
    for words, junk in (("a batch of 8 transitions", None), ("ends with NaN behind", torch.nan)):
        online, target = torch.randn(2, 8, 4, generator=rng, dtype=torch.float64)
        rewards = torch.randn(8, generator=rng, dtype=torch.float64)
        ends, discount = torch.arange(8) % 3 == 1, 0.9
        if junk is not None:
            online[ends] = target[ends] = junk
        online.requires_grad_()
        target.requires_grad_()

        def targets(values, ends=ends, rewards=rewards, factor=discount):
            return (rewards + factor * torch.where(ends, 0.0, values)).detach()

        rows = torch.arange(8)
        value = target[rows, online.argmax(1)]
        never = torch.zeros_like(ends)
        got = attempt(rewards, online, target, ends, discount)
        expect_close(
            _number(got),
            targets(value),
            on=words,
            hint="Compare with r + discount * Q_target[s', argmax_a Q_online[s', a]].",
            mistakes={
                "That is the maximum of the target network, the plain target of DQN: the online "
                "network should choose the action.": targets(target.amax(1)),
                "That is the maximum of the online network: the target network should say what "
                "the action is worth.": targets(online.amax(1)),
                "The roles are exchanged: the online network chooses, the target network "
                "values.": targets(online[rows, target.argmax(1)]),
                "0 times NaN is NaN: a product is no mask, torch.where is.": (
                    rewards + discount * value * ~ends
                ).detach(),
                "The terminal mask is missing.": targets(value, never),
                "The discount is missing.": targets(value, factor=1.0),
                "The mask is inverted: it keeps only what follows an end.": targets(value, ~ends),
            },
        )
        expect_true(
            not getattr(got, "requires_grad", False),
            on=words,
            what="the targets carry a gradient.",
            hint="They are labels: end with `.detach()`, or work under torch.no_grad().",
        )
    return "Two networks, and only one of them chooses."


def check_dqn_loss(attempt) -> str:
    """dqn_loss(online, target, batch, discount): the loss of one agent, a number."""
    online, target, batch = _agent(1303)
    s, a, r, s_next, ends, cut = batch
    discount = 0.9

    @torch.no_grad()
    def loss(q_of=online, choose=target, mask=ends, there=s_next):
        q = q_of(s).gather(1, a.unsqueeze(1)).squeeze(1)
        y = r + discount * torch.where(mask, 0.0, choose(there).amax(1))
        return ((y - q) ** 2).mean() / 2

    with torch.no_grad():
        q = online(s).gather(1, a.unsqueeze(1))
        y = r + discount * torch.where(ends, 0.0, target(s_next).amax(1))
    words = "a batch of 12 transitions, 3 of them ends, 3 cut by the time limit"
    got = attempt(online, target, batch, discount)
    expect_close(
        _number(got),
        loss(),
        on=words,
        hint="Compare with the mean of (y - Q_online(s, a))^2 / 2, Eqs. (13.1) and (13.2).",
        mistakes={
            "(B,) minus (B, 1) is a (B, B) table: every target meets every estimate. Use "
            "`.squeeze(1)` after gather.": ((y - q) ** 2).mean() / 2,
            "The two networks are swapped: the online network is trained on (s, a), the target "
            "network looks at s_next.": loss(q_of=target, choose=online),
            "The target is computed with the online network.": loss(choose=online),
            "The target network is fitted here: (s, a) belongs to the online network.": loss(
                q_of=target
            ),
            "A time limit is no end: `truncated` must not stop the bootstrap.": loss(
                mask=ends | cut
            ),
            "The terminal mask is missing.": loss(mask=torch.zeros_like(ends)),
            "The maximum runs over the actions in s; it should be in s_next.": loss(there=s),
            "That is twice as much: half the squared error.": 2 * loss(),
            "That is the sum; return the mean over the batch.": 12 * loss(),
        },
    )
    _check_gradients(got, online, target, batch, discount)
    return "Nothing crashed in the broken version either: that is why losses are tested."


def _check_gradients(got, online, target, batch, discount) -> None:
    """The online network gets Eq. (13.3), the target network nothing."""
    words = "the gradient of this loss"
    expect_true(
        getattr(got, "requires_grad", False),
        on=words,
        what="there is none.",
        hint="Only the target is a constant: compute Q(s, a) outside of torch.no_grad().",
    )
    got.backward()
    expect_true(
        all(p.grad is None or not p.grad.any() for p in target.parameters()),
        on=words,
        what="it moves the target network.",
        hint="No gradient may flow through the target: torch.no_grad() or `.detach()`.",
    )
    mine = torch.cat([p.grad.flatten() for p in online.parameters()])
    s, a, r, s_next, ends, _ = batch
    q = online(s).gather(1, a.unsqueeze(1)).squeeze(1)
    labels = (r + discount * torch.where(ends, 0.0, target(s_next).amax(1))).detach()
    right = torch.autograd.grad(((labels - q) ** 2).mean() / 2, list(online.parameters()))
    expect_close(mine, torch.cat([g.flatten() for g in right]), on=words)


def _number(got):
    return got.detach() if isinstance(got, torch.Tensor) else got


def _agent(seed: int):
    """Two different networks, and transitions of which some end and some are cut."""
    rng = generator(seed)
    online, target = (nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)) for _ in "ab")
    for network in (online, target):
        network.double()
        for p in network.parameters():
            p.data = torch.randn(p.shape, generator=rng, dtype=torch.float64)
    s, s_next = torch.randn(2, 12, 3, generator=rng, dtype=torch.float64)
    a, t = torch.randint(2, (12,), generator=rng), torch.arange(12)
    r = torch.randn(12, generator=rng, dtype=torch.float64)
    return online, target, (s, a, r, s_next, t % 4 == 1, t % 4 == 2)


CHECKERS = {"13.2": check_double_dqn_targets, "13.3": check_dqn_loss}
