"""Formulas and networks on a GPU give what they give on the CPU; skipped where there is none."""

import pytest
import torch

from rlbook import dynamic_programming as dp
from rlbook.exploration import epsilon_greedy_policy
from rlbook.grids import GridWorld
from rlbook.mdp import MDP
from rlbook.networks import MLP, DuelingMLP, clip_gradients_per_run
from rlbook.normalization import RunningNormalizer
from rlbook.policies import CategoricalPolicy, GaussianPolicy, inverse_cdf
from rlbook.returns import discounted_returns
from rlbook.seeding import generator, run_generators

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")

GRID = GridWorld.from_text("S..#.\n.#.#.\n.....\n.#..G", slip=0.2)
MODELS = {
    "dense": lambda: MDP.random(20, 3, discount=0.9, generator=generator(0)),
    "successors": lambda: GRID.mdp(discount=0.95),
    "grid": lambda: GRID.mdp(discount=0.95, table=False),
}


def same(on_gpu: torch.Tensor, on_cpu: torch.Tensor) -> None:
    assert on_gpu.device.type == "cuda"
    torch.testing.assert_close(on_gpu.cpu(), on_cpu)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "method",
    ["value_iteration", "policy_iteration", "modified_policy_iteration", "q_value_iteration"],
)
def test_planning(name, method):
    cpu = MODELS[name]()
    on_cpu, on_gpu = getattr(dp, method)(cpu), getattr(dp, method)(cpu.to("cuda"))
    same(on_gpu.values, on_cpu.values)
    same(on_gpu.policy, on_cpu.policy)


@pytest.mark.parametrize("name", MODELS)
def test_backups(name):
    cpu = MODELS[name]()
    gpu = cpu.to("cuda")
    values = torch.randn(4, cpu.num_states, dtype=torch.float64, generator=generator(1))
    q = dp.action_values(cpu, values[0])
    policy = epsilon_greedy_policy(q, 0.1)
    same(dp.action_values(gpu, values.cuda()), dp.action_values(cpu, values))
    same(
        dp.bellman_expectation_backup(gpu, values.cuda(), policy.cuda()),
        dp.bellman_expectation_backup(cpu, values, policy),
    )
    same(epsilon_greedy_policy(q.cuda(), 0.1), policy)
    same(dp.policy_evaluation(gpu, policy.cuda()).values, dp.policy_evaluation(cpu, policy).values)
    same(dp.discounted_visitation(gpu, policy.cuda()), dp.discounted_visitation(cpu, policy))


def test_asynchronous():
    model = MODELS["successors"]()
    options = {"order": "random", "num_updates": 4_000}
    on_gpu = dp.asynchronous_value_iteration(
        model.to("cuda"), generator=generator(0, device="cuda"), **options
    )
    torch.testing.assert_close(on_gpu.values.cpu(), dp.value_iteration(model).values)


def test_returns():
    rewards = torch.randn(3, 7, dtype=torch.float64, generator=generator(2))
    ends = torch.zeros(3, 7, dtype=torch.bool)
    ends[:, [2, 6]] = True
    none = torch.zeros_like(ends)
    same(
        discounted_returns(rewards.cuda(), ends.cuda(), none.cuda(), discount=0.9),
        discounted_returns(rewards, ends, none, discount=0.9),
    )


@pytest.mark.parametrize("kind", [MLP, DuelingMLP])
def test_networks(kind):
    network, x = kind((4, 32, 3), run_generators(0, 5)), torch.randn(5, 7, 4)
    moved = kind((4, 32, 3), run_generators(0, 5)).cuda()
    same(moved(x.cuda()), network(x))
    for one, device in ((network, "cpu"), (moved, "cuda")):
        one(x.to(device)).square().mean((1, 2)).sum().backward()
    norms = clip_gradients_per_run(network.parameters(), 0.5)
    same(clip_gradients_per_run(moved.parameters(), 0.5), norms)
    for one, other in zip(moved.parameters(), network.parameters(), strict=True):
        same(one.grad, other.grad)
    torch.optim.Adam(moved.parameters(), fused=True).step()


@pytest.mark.parametrize("kind", [CategoricalPolicy, GaussianPolicy])
def test_policies(kind):
    policy, x = kind(MLP((4, 32, 3), run_generators(0, 5))), torch.randn(5, 7, 4)
    noise = torch.rand(5, 7) if kind is CategoricalPolicy else torch.randn(5, 7, 3)
    actions, entropy = policy.sample(x, noise), policy.entropy(x)
    log_probs = policy.log_prob(x, actions)
    policy.cuda()
    same(policy.sample(x.cuda(), noise.cuda()), actions)
    same(policy.log_prob(x.cuda(), actions.cuda()), log_probs)
    same(policy.entropy(x.cuda()), entropy)


def test_inverse_cdf_never_takes_the_impossible():
    logits = 10 * torch.randn(100_000, 40, generator=generator(3))
    logits[:, ::3] = -torch.inf
    probabilities = logits.softmax(-1).cuda()
    for u in (0.0, 0.5, 1 - 2**-24, 1.0):
        actions = inverse_cdf(probabilities, torch.full((100_000,), u, device="cuda"))
        assert (probabilities.gather(-1, actions.unsqueeze(-1)) > 0).all()


def test_normalizer():
    x, valid = torch.randn(3, 50, 2), torch.rand(3, 50) < 0.5
    on_cpu, on_gpu = RunningNormalizer(3, 2), RunningNormalizer(3, 2, device="cuda")
    on_cpu.update(x, valid)
    on_gpu.update(x.cuda(), valid.cuda())
    same(on_gpu(x.cuda()), on_cpu(x))
