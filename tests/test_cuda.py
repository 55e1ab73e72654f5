"""Formulas and networks on a GPU give what they give on the CPU; skipped where there is none.

    pytest tests/test_cuda.py
    pytest tests/benchmarks/bench_many_runs.py -s

is what a machine with a GPU should run. Devices that mix, and places that wait, are found without
one, in test_second_device.py; the sizes of rounding errors, the generators of the device, and
whether a GPU waits where nothing should, are found here only.
"""

import importlib

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from rlbook.deep.parts.envs.make import make_envs
from rlbook.deep.parts.networks import MLP, DuelingMLP, clip_gradients_per_run
from rlbook.deep.parts.normalization import RunningNormalizer
from rlbook.deep.parts.policies import CategoricalPolicy, GaussianPolicy
from rlbook.deep.parts.results import load_result
from rlbook.deep.parts.training import Training
from rlbook.formulas import policy_gradients
from rlbook.formulas.exploration import epsilon_greedy_policy
from rlbook.formulas.returns import discounted_returns
from rlbook.ground.draws import inverse_cdf
from rlbook.ground.seeding import Streams, generator, run_generators
from rlbook.language.loop import Loop
from rlbook.language.models import Prompts
from rlbook.language.sampling import sample, token_log_probs
from rlbook.planning import bellman, features
from rlbook.planning import dynamic_programming as dp
from rlbook.planning.grids import GridWorld
from rlbook.planning.mdp import MDP

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
    q = bellman.action_values(cpu, values[0])
    policy = epsilon_greedy_policy(q, 0.1)
    same(bellman.action_values(gpu, values.cuda()), bellman.action_values(cpu, values))
    same(
        bellman.bellman_expectation_backup(gpu, values.cuda(), policy.cuda()),
        bellman.bellman_expectation_backup(cpu, values, policy),
    )
    same(epsilon_greedy_policy(q.cuda(), 0.1), policy)
    same(dp.policy_evaluation(gpu, policy.cuda()).values, dp.policy_evaluation(cpu, policy).values)
    same(
        bellman.discounted_visitation(gpu, policy.cuda()),
        bellman.discounted_visitation(cpu, policy),
    )


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
    torch.optim.Adam(moved.parameters()).step()


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


@pytest.mark.parametrize("name", ["dense", "successors"])
def test_exact_policy_gradients(name):
    cpu = MODELS[name]()
    shape = (2, cpu.num_states, cpu.num_actions)
    logits = torch.randn(shape, dtype=torch.float64, generator=generator(4))
    for function, x in (
        (policy_gradients.policy_objective, logits.softmax(-1)),
        (policy_gradients.discounted_visits, logits.softmax(-1)),
        (policy_gradients.softmax_policy_gradient, logits),
    ):
        same(function(cpu.to("cuda"), x.cuda()), function(cpu, x))
    same(policy_gradients.entropy_bonus(logits.cuda()), policy_gradients.entropy_bonus(logits))


def test_linear_features():
    cpu = MDP.random(20, 1, discount=0.9, generator=generator(5))
    points = torch.rand(20, 2, dtype=torch.float64, generator=generator(6))
    grid = {"low": 0.0, "high": 1.0, "tiles": 3, "tilings": 4}
    X, mu = features.tile_features(points, **grid), features.on_policy_distribution(cpu)
    gpu, X_gpu = cpu.to("cuda"), features.tile_features(points.cuda(), **grid)
    mu_gpu = features.on_policy_distribution(gpu)
    same(X_gpu, X)
    same(mu_gpu, mu)
    values = X @ features.td_fixed_point(cpu, X, mu)
    same(X_gpu @ features.td_fixed_point(gpu, X_gpu, mu_gpu), values)
    same(
        X_gpu @ features.best_linear_fit(X_gpu, values.cuda(), mu_gpu),
        X @ features.best_linear_fit(X, values, mu),
    )


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1", "Pendulum-v1"])
def test_control_envs(name):
    """The same physics, and not one transfer to the host in three hundred steps."""
    on_cpu = make_envs(name, num_envs=8, streams=Streams(0, range(4)))
    on_gpu = make_envs(name, num_envs=8, streams=Streams(0, range(4), "cuda"), device="cuda")
    observations = on_gpu.reset()
    assert observations.device.type == "cuda"
    on_cpu.reset()
    state = on_gpu.get_state()
    on_cpu.set_state(state.cpu())
    actions = torch.ones_like(observations[..., 0], dtype=torch.long)
    actions = actions if on_gpu.num_actions else actions.float().unsqueeze(-1)
    for a, b in zip(on_gpu.step(actions), on_cpu.step(actions.cpu()), strict=True):
        if a.dtype != torch.bool and len(a.shape) == 3:  # no episode ends in the first step
            same(a, b)
    torch.cuda.set_sync_debug_mode("error")
    try:
        ended = torch.zeros((), dtype=torch.long, device="cuda")
        for _ in range(300):
            step = on_gpu.step(actions)
            ended += (step.terminated | step.truncated).sum()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert ended > 0 or name == "Acrobot-v1"
    assert all(field.device.type == "cuda" for field in step)


@pytest.mark.parametrize(("env", "native"), [("CartPole-v1", False), ("Acrobot-v1", False)])
def test_gymnasium_envs(env, native):
    envs = make_envs(env, num_envs=2, streams=Streams(0, [0]), device="cuda", native=native)
    envs.reset()
    step = envs.step(torch.zeros(1, 2, dtype=torch.long, device="cuda"))
    assert all(field.device.type == "cuda" for field in step)


SMALL = {"num_envs": 2, "hidden_sizes": (8,), "num_evals": 2, "evaluation_episodes": 2}


def train(name, env="CartPole-v1", **options):
    agent = importlib.import_module(f"rlbook.deep.{name}")
    length = {"total_episodes": 4} if name == "reinforce" else {"total_steps": 4096}
    config = agent.Config(**SMALL, **length)
    return agent.train(env, config, num_runs=2, device="cuda", progress=False, **options)


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize("name", ["reinforce", "dqn", "actor_critic", "trpo", "ppo"])
def test_agents_learn_on_the_device(name, env):
    if (name, env) == ("dqn", "Pendulum-v1"):
        return  # a maximum over actions
    result = train(name, env)
    assert result.evaluation_returns.shape == (2, 2) and not result.frozen
    assert {x.device.type for x in result.networks.state_dict().values()} == {"cuda"}
    assert result.evaluate(episodes=3).returns.device.type == "cuda"


@pytest.mark.parametrize("name", ["dqn", "actor_critic", "ppo"])
def test_an_update_does_not_wait(name, monkeypatch):
    updates = Training.updates

    def watched(self, count):
        for update in updates(self, count):
            torch.cuda.set_sync_debug_mode("error")
            yield update
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Training, "updates", watched)
    try:
        train(name)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_training_on_the_device_is_saved_and_continued(tmp_path):
    result = train("ppo")
    result.save(tmp_path / "ppo")
    loaded = load_result(tmp_path / "ppo", importlib.import_module("rlbook.deep.ppo"), "cuda")
    further = [train("ppo", resume=start).networks.state_dict() for start in (result, loaded)]
    torch.testing.assert_close(*further)


SIZES = {"vocab_size": 9, "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
LLAMA = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
LANGUAGE_MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(num_attention_heads=2, **LLAMA, **SIZES)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, **SIZES)),
}
TOKENS = torch.tensor([[0, 0, 3], [4, 5, 6], [0, 7, 3]]).repeat(20, 1)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_answers_of_a_language_model(name):
    """One generator, of the CPU or of the GPU; in bfloat16 too."""
    torch.manual_seed(0)
    model, prompts = LANGUAGE_MODELS[name]().double(), Prompts(TOKENS, TOKENS != 0)
    options = {"max_new_tokens": 6, "eos_token_id": 1, "pad_token_id": 0}
    want = sample(model, prompts, generator=generator(0), **options)
    scores = token_log_probs(model, prompts, want.tokens, want.completion_mask)
    model, prompts = model.cuda(), Prompts(TOKENS.cuda(), TOKENS.cuda() != 0)
    got = sample(model, prompts, generator=generator(0), **options)
    same(got.tokens, want.tokens)
    same(got.completion_mask, want.completion_mask)
    same(got.log_probs, want.log_probs)
    same(token_log_probs(model, prompts, got.tokens, got.completion_mask), scores)
    model = model.bfloat16()
    got = sample(model, prompts, generator=generator(0, device="cuda"), **options)
    scores = token_log_probs(model, prompts, got.tokens, got.completion_mask)
    assert got.log_probs.dtype == scores.dtype == torch.float32
    torch.testing.assert_close(got.log_probs, scores, atol=0.1, rtol=0)


def test_a_loop_on_the_device_is_continued(tmp_path):
    def train(num_steps, **options):
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2).cuda()
        settings = {"num_steps": num_steps, "learning_rate": 0.1, "progress": False}
        loop = Loop({"layer": layer}, **settings, **options)
        with loop:
            for _ in loop.steps():
                x = torch.randn(8, 3, generator=loop.generator).cuda()
                loop.gradient_step((layer(x) - x[:, :2]).square().mean())
        return layer.weight

    whole = train(6)
    train(3, checkpoint=tmp_path)
    assert torch.equal(train(6, resume=tmp_path), whole)
