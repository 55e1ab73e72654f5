"""All trajectories of a small model, against the linear system and against recursion."""

import pytest
import torch

from rlbook.ground.seeding import generator
from rlbook.planning.exact_gradients import discounted_visits, policy_objective
from rlbook.planning.mdp import MDP
from rlbook.planning.trajectories import all_trajectories

F64 = {"dtype": torch.float64}


def layered(seed: int, *, discount=0.8, layers=3) -> MDP:
    """Two states a layer, and an end that every step may reach."""
    rng, S = generator(seed), 2 * layers + 1
    P = torch.zeros(S, 2, S, **F64)
    for layer in range(layers):
        rows = slice(2 * layer, 2 * layer + 2)
        following = slice(2 * layer + 2, min(2 * layer + 4, S - 1))
        P[rows, :, following] = torch.rand(P[rows, :, following].shape, generator=rng, **F64)
        P[rows, :, -1] = torch.rand(2, 2, generator=rng, **F64)
    P = P / P.sum(-1, keepdim=True).clamp(min=1e-300)
    R = torch.randn(S, 2, S, generator=rng, **F64) * (P > 0)
    start = torch.zeros(S, **F64)
    start[:2] = torch.tensor([0.3, 0.7])
    return MDP.from_arrays(P, R, discount=discount, start=start, terminal=torch.arange(S) == S - 1)


def recursive(mdp, s, probability, path):
    P, R = mdp.transition, mdp.successor_reward
    for a in range(mdp.num_actions):
        for after in P[s, a].nonzero().flatten().tolist():
            step = (s, a, float(R[s, a, after]))
            p = probability * float(P[s, a, after])
            if mdp.terminal[after]:
                yield p, [*path, step]
            else:
                yield from recursive(mdp, after, p, [*path, step])


def test_it_finds_what_recursion_finds():
    mdp = layered(0)
    found = all_trajectories(mdp, 3)
    expected = [t for s in (0, 1) for t in recursive(mdp, s, float(mdp.start[s]), [])]
    assert len(found) == len(expected) == 2 * (2 * (1 + 2 * 2 * (1 + 2 * 2)))
    as_dictionary = {tuple(path): p for p, path in expected}
    for n in range(len(found)):
        T = int(found.valid[n].sum())
        assert found.valid[n, :T].all()
        columns = (found.states[n], found.actions[n], found.rewards[n])
        path = tuple(zip(*(x[:T].tolist() for x in columns), strict=True))
        assert as_dictionary.pop(path) == pytest.approx(float(found.world[n]))
        assert all((x[T:] == 0).all() for x in columns)
    assert not as_dictionary


@pytest.mark.parametrize("discount", [0.0, 0.8, 1.0])
def test_expectations_are_those_of_the_linear_system(discount):
    mdp = layered(1, discount=discount)
    trajectories = all_trajectories(mdp, 10)
    logits = torch.randn(2, 7, 2, generator=generator(2), **F64).requires_grad_()
    p = trajectories.probability(logits.softmax(-1))  # (2, N), for two policies at once
    torch.testing.assert_close(p.sum(-1), torch.ones(2, **F64))
    J = p @ trajectories.rewards_to_go(discount)[:, 0]
    expected = policy_objective(mdp, logits.softmax(-1))
    torch.testing.assert_close(J, expected)
    slopes = [torch.autograd.grad(x.sum(), logits, retain_graph=True)[0] for x in (J, expected)]
    torch.testing.assert_close(*slopes)

    weights = (p[0, :, None] * discount ** torch.arange(3, **F64)).masked_fill(
        ~trajectories.valid, 0.0
    )
    visits = torch.zeros(7, **F64).index_add(
        0, trajectories.states.flatten(), weights.detach().flatten()
    )
    torch.testing.assert_close(visits, discounted_visits(mdp, logits[0].softmax(-1)).detach())


def test_log_probs_are_zero_behind_the_end():
    trajectories = all_trajectories(layered(3), 3)
    policy = torch.rand(7, 2, generator=generator(3), **F64)
    policy = policy / policy.sum(-1, keepdim=True)
    log_probs = trajectories.log_probs(policy)
    assert (log_probs[~trajectories.valid] == 0).all()
    p = trajectories.world * log_probs.sum(-1).exp()
    torch.testing.assert_close(p, trajectories.probability(policy))


def test_rewards_without_a_next_state_and_actions_that_do_not_exist():
    P = torch.zeros(2, 2, 2, **F64)
    P[0, :, 1] = 1.0
    mdp = MDP.from_arrays(
        P,
        torch.tensor([[1.0, 2.0], [0.0, 0.0]], **F64),
        discount=1.0,
        start=torch.tensor([1.0, 0.0], **F64),
        terminal=torch.tensor([False, True]),
        allowed=torch.tensor([[False, True], [True, True]]),
    )
    trajectories = all_trajectories(mdp, 1)
    assert trajectories.rewards.tolist() == [[2.0]] and trajectories.actions.tolist() == [[1]]


def test_bad_input(monkeypatch):
    mdp = layered(4)
    with pytest.raises(ValueError, match="have not ended after 2 steps"):
        all_trajectories(mdp, 2)
    monkeypatch.setattr("rlbook.planning.trajectories.MOST", 20)
    with pytest.raises(ValueError, match="more than 20"):
        all_trajectories(mdp, 3)
    loop = MDP.random(3, 2, discount=0.9, generator=generator(0))
    with pytest.raises(ValueError, match="have not ended after 4"):
        monkeypatch.setattr("rlbook.planning.trajectories.MOST", 10_000)
        all_trajectories(loop, 4)
    start = torch.zeros(7, **F64)
    start[-1] = 1.0
    ended = MDP.from_arrays(
        mdp.transition, mdp.reward, discount=0.8, start=start, terminal=mdp.terminal
    )
    with pytest.raises(ValueError, match="terminal state"):
        all_trajectories(ended, 3)
