"""On a second device nothing mixes devices, and few places wait for it: each is here by name.

The device is a fake, see fake_device.py; what needs a true one is in test_cuda.py.
"""

import importlib
import warnings
from pathlib import Path

import pytest
import torch

from rlbook import formulas, tabular
from rlbook.language import grpo, reward_model, rlhf
from rlbook.language.models import LanguageModel, make_model, make_tokenizer
from rlbook.language.tasks.arithmetic import Arithmetic
from rlbook.language.tasks.reviews import Reviews
from rlbook.planning.grids import GridWorld

LOCKED = "torch==" + torch.__version__.split("+")[0]
try:
    from fake_device import DEVICE, MixedDevices, watched
except (ImportError, AttributeError) as absent:
    constraints = Path(__file__).parents[1] / "constraints.txt"
    if LOCKED in constraints.read_text().split():
        raise
    pytest.skip(f"this torch has not what a fake device needs: {absent}", allow_module_level=True)

BESIDE_UPDATES = {
    "deep/parts/envs/native.py:ControlEnvs.__init__": "the task's constants, once",
    "deep/parts/training.py:Training._make_networks": "first weights, drawn on the CPU, once",
    "deep/parts/training.py:Training._settle": "one look at all flags, at the end of an update",
    "deep/parts/training.py:Training._evaluate": "the progress bar shows returns and steps",
    "deep/parts/results.py:evaluate": "one look in 16 steps: have all episodes ended?",
    "deep/parts/record.py:Record._stack": "the curves, once, at the end",
}
IN_AN_UPDATE = {
    "reinforce": {"deep/parts/rollouts.py:collect": "one look in 16 steps: have all ended?"},
    "trpo": {
        "formulas/trust_region.py:conjugate_gradient": "no more products, each as dear as a pass",
        "formulas/trust_region.py:backtracking_line_search": "no more tries, each a pass",
    },
}
ON_FREEZING = {
    "deep/parts/training.py:Training._freeze_run": "says after how many steps",
    "deep/parts/snapshot.py:Snapshot.restore": "which rows go back",
    "deep/parts/record.py:Record.back_to": "which rows are NaN",
}
SMALL = {"num_envs": 2, "hidden_sizes": (8,), "num_evals": 2, "evaluation_episodes": 2}
SMALL |= {"evaluation_step_cap": 17}
AGENTS = {
    "reinforce": {"total_episodes": 4, "max_steps": 20, "baseline": "value", "value_steps": 2},
    "actor_critic": {"total_steps": 32, "rollout_steps": 8},
    "ppo": {"total_steps": 32, "rollout_steps": 8, "num_epochs": 2, "num_minibatches": 2},
    "trpo": {"total_steps": 32, "rollout_steps": 8},
    "dqn": {"total_steps": 48, "rollout_steps": 8, "learning_starts": 16, "gradient_steps": 2},
}
PENALTY = {"surrogate": "penalty", "stop_kl": 0.01, "normalize_values": False}
CASES = [(name, "CartPole-v1", {}) for name in AGENTS]
CASES += [(name, "Pendulum-v1", {}) for name in AGENTS if name != "dqn"]
CASES += [
    ("ppo", "CartPole-v1", PENALTY),
    ("dqn", "CartPole-v1", {"double": True, "dueling": True}),
]


def train(name, device, env="CartPole-v1", resume=None, **settings):
    agent = importlib.import_module(f"rlbook.deep.{name}")
    config = agent.Config(**SMALL | AGENTS[name] | settings)
    return agent.train(env, config, num_runs=2, device=device, progress=False, resume=resume)


def places(waits):
    return {place for place, _ in waits}


def same(on_device, on_cpu):
    """Tensors, and tuples and dicts of them, to the bit; all of the first are on the device."""
    if isinstance(on_cpu, torch.Tensor):
        assert on_device.device == DEVICE
        assert on_device.dtype == on_cpu.dtype
        assert on_device.shape == on_cpu.shape
        torch.testing.assert_close(on_device.cpu(), on_cpu, rtol=0, atol=0, equal_nan=True)
    elif isinstance(on_cpu, dict):
        for key in on_cpu:
            same(on_device[key], on_cpu[key])
    elif isinstance(on_cpu, tuple | list):
        for one, other in zip(on_device, on_cpu, strict=True):
            same(one, other)
    else:
        assert on_device == on_cpu


# ---------------------------------------------------------------- the five agents


@pytest.mark.parametrize(("name", "env", "settings"), CASES)
def test_an_agent_learns_the_same_and_waits_only_where_it_says(name, env, settings):
    on_cpu = train(name, "cpu", env, **settings)
    with watched() as waits:
        on_device = train(name, DEVICE, env, **settings)
        found = dict(waits)
        same(on_device.networks.state_dict(), on_cpu.networks.state_dict())
    assert places(found) == BESIDE_UPDATES.keys() | IN_AN_UPDATE.get(name, {}).keys()
    settle = "deep/parts/training.py:Training._settle", "reads from the device"
    assert found[settle] == (3 if name == "dqn" else 2)  # once in each update
    assert not on_device.frozen


def test_freezing_and_going_on_mix_nothing(monkeypatch):
    """Run 1 meets a NaN in its second update; then the result is continued."""
    ppo, calls = importlib.import_module("rlbook.deep.ppo"), 0
    loss_of = ppo.ppo_loss

    def spoilt(*arguments):
        nonlocal calls
        calls += 1
        loss, kl = loss_of(*arguments)
        bad = torch.arange(2, device=loss.device) == 1
        return torch.where(bad & (calls % 8 == 5), torch.nan, loss), kl

    def whole(device):
        nonlocal calls
        calls = 0
        return train("ppo", device, resume=train("ppo", device))

    monkeypatch.setattr(ppo, "ppo_loss", spoilt)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        on_cpu = whole("cpu")
        with watched() as waits:
            on_device = whole(DEVICE)
            found = places(waits)
            same(on_device.networks.state_dict(), on_cpu.networks.state_dict())
    assert on_device.frozen == on_cpu.frozen
    assert list(on_device.frozen) == [1]
    assert found == BESIDE_UPDATES.keys() | ON_FREEZING.keys()


# ---------------------------------------------------------------- planted, and found


def mask_of_the_cpu(monkeypatch):
    masking = importlib.import_module("rlbook.ground.masking")
    whole = masking._mean_where
    monkeypatch.setattr(
        masking, "_mean_where", lambda x, mask, dim: whole(x, torch.ones(x.shape) > 0, dim)
    )


def index_of_the_cpu(monkeypatch):
    replay = importlib.import_module("rlbook.deep.parts.replay").Replay
    whole = replay._rows
    monkeypatch.setattr(
        replay, "_rows", lambda self, flat: whole(self, torch.zeros(flat.shape, dtype=torch.long))
    )


@pytest.mark.parametrize(
    ("name", "plant", "place"),
    [
        ("ppo", mask_of_the_cpu, "ground/masking.py:_mean_where"),
        ("dqn", index_of_the_cpu, "deep/parts/replay.py:Replay._rows"),
    ],
)
def test_a_tensor_of_the_cpu_is_found(name, plant, place, monkeypatch):
    plant(monkeypatch)
    train(name, "cpu")
    with watched(), pytest.raises(MixedDevices, match=place):
        train(name, DEVICE)


WAITING = {
    "a number": lambda x: x.sum().item(),
    "a decision": lambda x: bool((x > 0).any()),
    "numbers": lambda x: x.tolist(),
    "a copy": lambda x: x.cpu(),
    "where": lambda x: x.nonzero(),
    "a choice": lambda x: x[x > 0],
    "rows by a list": lambda x: x[[0, 1]],
    "no row": lambda x: x[[]],
    "a list": lambda x: x.new_tensor([1.0, 2.0]),
}


def test_places_that_wait_are_found(monkeypatch):
    module = importlib.import_module("rlbook.deep.actor_critic")
    unseen = []

    def log(self, **values):
        for what, ask in WAITING.items():
            before = waits.total()
            ask(values["squared_advantage"])
            unseen.extend([what] * (waits.total() == before))

    monkeypatch.setattr(module.Training, "log", log)
    with watched() as waits:
        train("actor_critic", DEVICE)
        assert places(waits) - BESIDE_UPDATES.keys() == {"deep/actor_critic.py:train"}
    assert not unseen


def test_what_stays_on_the_device_is_not_listed():
    with watched() as waits:
        x = torch.arange(6.0, device=DEVICE).view(2, 3)
        rows = torch.arange(2, device=x.device)
        x[rows, rows] = x.new_zeros(())
        x[x > 3] = 0.0
        x = torch.where(x > 1, x, 0.0) * 2.0 + x[:, :1]
        assert len(x) == 2 and x.shape[1] == 3 and x.device == DEVICE and not waits
        assert x.tolist() == [[0.0, 0.0, 4.0], [9.0, 3.0, 3.0]] and waits


# ---------------------------------------------------------------- formulas

G = torch.Generator().manual_seed(0)
LOOKS = {
    "formulas/divergences.py:kl_categorical": "logits of no distribution; agents do not ask",
    "formulas/divergences.py:kl_regularized_optimum": "are these all the answers there are?",
    "formulas/exploration.py:greedy_policy": "a row where nothing is allowed",
    "formulas/exploration.py:epsilon_greedy_policy": "epsilon comes as a number",
    "formulas/group_advantages.py:_check_steps": "a step ends on a token of its answer",
    "formulas/preferences.py:_check_fit": "has Newton's method arrived?",
    "formulas/preferences.py:_check_wins": "is there a solution?",
    "formulas/preferences.py:_newton_iterates": "as many steps as it takes",
    "formulas/returns.py:discounted_returns": "a cut, where next_values is not given",
    "formulas/token_rewards.py:last_tokens": "an answer without a token",
    "formulas/trust_region.py:backtracking_line_search": "no more tries, each a pass",
    "formulas/trust_region.py:conjugate_gradient": "no more products, each as dear as a pass",
    "ground/require.py:_all": "probabilities, or a price, in their range",
    "ground/require.py:finite": "rewards, once for all the gradient steps on them",
}
"""Where formulas look at numbers, and what for. Agents that learn meet TRPO's two only."""
LOOKING = {
    "kl_categorical": "kl_categorical",
    "bayes_accuracy": "_all",
    "kl_regularized_optimum": "_all kl_regularized_optimum",
    "greedy_policy": "greedy_policy",
    "epsilon_greedy_policy": "_all greedy_policy epsilon_greedy_policy",
    "outcome_advantages": "finite",
    "leave_one_out_advantages": "finite",
    "process_advantages": "finite _check_steps",
    "fit_bradley_terry": "_check_wins _newton_iterates _check_fit",
    "discounted_returns": "discounted_returns",
    "token_rewards": "last_tokens",
    "token_advantages": "last_tokens",
    "conjugate_gradient": "conjugate_gradient",
    "natural_gradient_step": "conjugate_gradient",
    "backtracking_line_search": "backtracking_line_search",
}


def normal(*shape):
    return torch.randn(shape, generator=G, dtype=torch.float64)


def flags(*shape, share=0.3):
    return torch.rand(shape, generator=G) < share


def logs(*shape):
    return normal(*shape).log_softmax(-1)


def quadratic(parameters):
    return (parameters**4).sum(1) / 4


STEPS = normal(2, 7), normal(2, 7), normal(2, 7), flags(2, 7), flags(2, 7)
ENDS = STEPS[3] | (torch.arange(7) == 6)
MASK = torch.arange(5) < torch.tensor([[5], [3], [1]])
DISCOUNTED, TRACED = {"discount": 0.9}, {"discount": 0.9, "lambda_": 0.7}
WINS = torch.tensor([[0.0, 2, 1], [1, 0, 3], [2, 1, 0]], dtype=torch.float64)
FORMULAS = {
    "adapt_kl_coef": ((normal(3).exp(), normal(3).exp()), {"target": 1.0}),
    "aggregate_token_losses": ((normal(3, 5), MASK), {}),
    "answer_kl_estimate": ((logs(3, 5), logs(3, 5), MASK), {"level": "answer"}),
    "bayes_accuracy": ((normal(4).sigmoid(),), {}),
    "bradley_terry_loss": ((normal(4), normal(4)), {"random_share": 0.1}),
    "clipped_surrogate_loss": ((logs(4), logs(4), normal(4)), {"clip_epsilon": 0.2}),
    "discounted_returns": ((STEPS[0], ENDS, ~ENDS & False), DISCOUNTED),
    "discounted_sums": ((STEPS[0], STEPS[3]), {"decay": 0.9}),
    "dpo_loss": ((logs(4), logs(4), logs(4), logs(4)), {"kl_coef": 0.1}),
    "entropy_bonus": ((normal(3, 4),), {}),
    "epsilon_greedy_policy": ((normal(3, 4), 0.1), {}),
    "fit_bradley_terry": ((WINS,), {}),
    "generalized_advantage_estimate": (STEPS, TRACED),
    "greedy_policy": ((normal(3, 4),), {}),
    "kl_categorical": ((normal(3, 4), normal(3, 4)), {}),
    "kl_estimate": ((logs(4), logs(4)), {}),
    "kl_gaussian": ((normal(3, 2), normal(2), normal(3, 2), normal(2)), {}),
    "kl_regularized_optimum": ((logs(3, 4), normal(3, 4)), {"kl_coef": 0.5}),
    "lambda_returns": ((STEPS[0], *STEPS[2:]), TRACED),
    "leave_one_out_advantages": ((normal(2, 3),), {}),
    "n_step_returns": ((STEPS[0], *STEPS[2:]), DISCOUNTED | {"n": 3}),
    "outcome_advantages": ((normal(2, 3),), {}),
    "outcome_probabilities": ((normal(4), normal(4)), {"threshold": 0.3}),
    "policy_gradient_loss": ((logs(4), normal(4)), {}),
    "preference_information": ((WINS, normal(3)), {}),
    "preference_probability": ((normal(4), normal(4)), {"random_share": 0.1}),
    "process_advantages": (
        (normal(3, 2), torch.tensor([[1, 4], [0, 2], [0, 0]]), flags(3, 2, share=0.8), MASK),
        {},
    ),
    "proportional_kl_coef": ((normal(3).exp(), normal(3).exp()), {"target": 1.0, "horizon": 10.0}),
    "ranking_log_prob": ((normal(3, 4),), {}),
    "surrogate": ((logs(4), logs(4), normal(4)), {}),
    "td_errors": (STEPS[:4], DISCOUNTED),
    "td_targets": ((STEPS[0], STEPS[2], STEPS[3]), DISCOUNTED),
    "token_advantages": ((normal(3, 5), normal(3, 5), MASK), {"lambda_": 0.9}),
    "token_rewards": ((normal(3), logs(3, 5), logs(3, 5), MASK), {"kl_coef": 0.1}),
}


def curvature(start):
    """Of KL = sum of p^4 / 4 at `start`, (R, P)."""
    parameters = [start.requires_grad_()]
    return formulas.fisher_operator(quadratic(parameters[0]), parameters, damping=0.1)


def searched(start):
    return formulas.backtracking_line_search(
        lambda x: (-quadratic(x), ((x - start) ** 2).sum(1)),
        start,
        -start,
        start_value=-quadratic(start),
        max_kl=0.5,
    )


FORMULAS |= {
    "fisher_operator": ((normal(2, 3),), {}),
    "fisher_vector_product": ((normal(2, 3),), {}),
    "conjugate_gradient": ((normal(2, 3),), {}),
    "natural_gradient_step": ((normal(2, 3),), {}),
    "backtracking_line_search": ((normal(2, 3),), {}),
}
CALLS = {
    "fisher_operator": lambda x: curvature(x)(x.detach()),
    "fisher_vector_product": lambda x: formulas.fisher_vector_product(
        quadratic(x.requires_grad_()), [x], x.detach()
    ),
    "conjugate_gradient": lambda x: formulas.conjugate_gradient(curvature(x), x.detach()),
    "natural_gradient_step": lambda x: formulas.natural_gradient_step(
        curvature(x), x.detach(), max_kl=0.1
    ),
    "backtracking_line_search": searched,
}


def moved(x):
    return x.detach().clone().to(DEVICE) if isinstance(x, torch.Tensor) else x


def test_every_formula_gives_the_same_and_looks_only_where_it_says():
    seen = {}
    for name, (arguments, options) in FORMULAS.items():
        call = CALLS.get(name) or getattr(formulas, name, None) or getattr(formulas.returns, name)
        with watched() as waits:
            there = [moved(x) for x in arguments]
            waits.clear()
            on_device = call(*there, **options)
            seen[name] = places(waits)
            same(on_device, call(*arguments, **options))
    assert FORMULAS.keys() >= set(formulas.__all__) - {"ranking_pairs"}  # which takes a number
    names = {name: {place.split(":")[1] for place in found} for name, found in seen.items()}
    assert {name: found for name, found in names.items() if found} == {
        name: set(found.split()) for name, found in LOOKING.items()
    }
    assert set().union(*seen.values()) == LOOKS.keys()


# ---------------------------------------------------------------- tables

GRID = GridWorld.from_text("S.\n.G", rewards={"G": 1.0}, slip=0.2).mdp(discount=0.9)
QUIET = {"num_runs": 3, "progress": False}
SCHEDULES = {"epsilon": tabular.one_over_k(), "step_size": tabular.one_over_n()}
CONTROL = {
    "q_learning": {},
    "double_q_learning": {},
    "sarsa": {},
    "expected_sarsa": {
        "formulas/exploration.py:greedy_policy": "checks of the table",
        "ground/require.py:_all": "epsilon is a share",
        "tabular/td_control.py:expected_value": "epsilon comes as a number",
    },
    "n_step_sarsa": {"tabular/td_control.py:Waiting.update": "nothing due: no update"},
    "sarsa_lambda": {},
}
"""What waits in each step of a learner that counts its steps."""
OPTIONS = {"n_step_sarsa": {"n": 3}, "sarsa_lambda": {"lambda_": 0.7}}
BY_EPISODES = "tabular/control_loop.py:ControlLoop._goes_on"  # has every run had its episodes?
PREDICTION = {
    "tabular/td_prediction.py:Rows.__init__": "the step size is checked, once",
    "tabular/td_prediction.py:Rows.__iter__": "how long the episodes are, once",
}


@pytest.mark.parametrize("name", CONTROL)
def test_a_table_learns_the_same_and_its_steps_wait_only_where_they_say(name):
    def learn(mdp, **config):
        learner = getattr(tabular, name)
        config = tabular.ControlConfig(**config)
        found = learner(mdp, config, **QUIET, **OPTIONS.get(name, {}))
        return found.q, found.visits

    counts = []
    with watched() as waits:
        mdp = GRID.to(DEVICE)
        for steps in (8, 16):
            waits.clear()
            on_device = learn(mdp, num_steps=steps)
            counts.append(waits.copy())
        waits.clear()
        by_episodes = learn(mdp, num_episodes=2, **SCHEDULES)
        found = places(waits)
        same(on_device, learn(GRID, num_steps=16))
        same(by_episodes, learn(GRID, num_episodes=2, **SCHEDULES))
    assert {place for place, _ in counts[1] - counts[0]} == CONTROL[name].keys()
    assert BY_EPISODES in found


def test_prediction_and_monte_carlo_mix_nothing():
    def predict(mdp):
        policy = torch.full_like(mdp.reward, 1 / mdp.num_actions)
        episodes = tabular.record_episodes(mdp, policy, num_episodes=3, num_runs=2)
        waits.clear()
        for learn in (tabular.td_zero, tabular.constant_alpha_monte_carlo):
            yield learn(mdp, episodes, progress=False).values
        for learn in (tabular.td_lambda, tabular.offline_lambda_return):
            yield learn(mdp, episodes, lambda_=0.7, progress=False).values
        found.update(places(waits))
        yield tabular.batch_td(mdp, episodes, tolerance=0.01)
        yield tabular.certainty_equivalence(mdp, episodes)
        yield tabular.batch_monte_carlo(mdp, episodes)
        config = tabular.MonteCarloConfig(num_episodes=3)
        yield tabular.monte_carlo_control(mdp, config, **QUIET).q

    found = set()
    with watched() as waits:
        same(list(predict(GRID.to(DEVICE))), list(predict(GRID)))
    assert found == PREDICTION.keys()


# ---------------------------------------------------------------- language models

GRADIENT = {
    "language/loop.py:Optimizers.gradient_step": "a loss that is NaN moves no weight",
    "language/loop.py:Optimizers.gradient_step.<locals>.<genexpr>": "nor does such a gradient",
}
WRITING = GRADIENT | {
    "language/models.py:encode": "prompts, from words to the device",
    "language/reader.py:Reader.__init__": "which prompts are the same: they are read once",
    "language/sampling.py:_refuse": "a distribution that is none is named",
    "language/sampling.py:sample": "noise of the CPU; have all answers ended?",
    "language/sampling.py:decode": "from tokens to words, for the reward",
    "language/scoring.py:score": "the reward's numbers, and are they numbers?",
}
LANGUAGE = {
    "rlhf": WRITING
    | {
        "formulas/token_rewards.py:last_tokens": "an answer without a token",
        "ground/masking.py:masked_mean": "a mean over no token, once for a round's answers",
        "language/loop.py:Loop.log": "numbers of the log, and of the bar",
        "language/reader.py:Reader.keep": "answers that have ended are read no more",
        "language/rlhf.py:improve": "the order of the minibatches, drawn on the CPU",
    },
    "grpo": WRITING
    | {
        "ground/require.py:finite": "rewards, once for all the gradient steps on them",
        "language/grpo.py:train.<locals>.<dictcomp>": "numbers of the log",
    },
    "reward_model": GRADIENT
    | {
        "language/models.py:encode": "texts, from words to the device",
        "language/models.py:encode_answers": "texts, from words to the device",
        "language/reward_model.py:RewardModel._last": "how long the longest of some texts is",
        "language/reward_model.py:move_left": "how long the longest text is; one without a token",
        "language/reward_model.py:train": "the rows, drawn on the CPU; numbers of the log",
    },
}
BY_TRANSFORMERS = {"language/reader.py:last_outputs"}  # its masks, which differ between versions


def policy(task, device):
    """Attention in single operations: fused ones of the CPU, which the device lacks, round."""
    tokenizer = make_tokenizer(task)
    model = make_model(tokenizer, hidden_size=8, layers=1, heads=2, context=32)
    model.set_attn_implementation("eager")
    model.to(device).tie_weights()  # moving to the fake device makes new parameters
    return LanguageModel(model, tokenizer)


def rlhf_training(device):
    def reward(prompts, answers):
        return torch.tensor([float(answer.count("great")) for answer in answers])

    small = policy(Reviews(), device)
    config = rlhf.Config(num_steps=2, batch_size=4, max_new_tokens=4)
    return rlhf.train(small, reward, Reviews(), config, progress=False)


def grpo_training(device):
    small = policy(Arithmetic(), device)
    config = grpo.Config(num_steps=2, num_prompts=2, group_size=3, max_new_tokens=4)
    return grpo.train(small, Arithmetic(), config, progress=False)


def reward_model_training(device):
    small = policy(Reviews(), device)
    model = reward_model.RewardModel(small.model, small.tokenizer)
    texts = Reviews().prompts(3, torch.Generator().manual_seed(0))
    pairs = [(text, "great", "bad") for text in texts]
    config = reward_model.Config(num_steps=2, batch_size=2)
    return reward_model.train(model, pairs, config, progress=False)


@pytest.mark.parametrize("name", LANGUAGE)
def test_a_language_model_learns_the_same_and_waits_only_where_it_says(name):
    training = globals()[f"{name}_training"]
    with watched() as waits:
        on_device = training(DEVICE)
        found = places(waits)
        on_cpu = training("cpu")
        for one, other in zip(on_device.models.values(), on_cpu.models.values(), strict=True):
            same(one.state_dict(), other.state_dict())
    assert found - BY_TRANSFORMERS - {"the test"} == LANGUAGE[name].keys()


def test_the_losses_of_language_models_wait_nowhere():
    old, ref, new, advantages, values, returns = (normal(2, 3, 5) for _ in range(6))
    mask = MASK.expand(2, 3, 5)
    configs = [
        grpo.Config(kl_level=level, aggregate=how)
        for level in ("token", "answer")
        for how in ("answer_mean", "constant", "token_mean")
    ]

    def losses(x, old, ref, advantages, values, returns, mask):
        kept = {"old_log_probs": old, "advantages": advantages, "completion_mask": mask}
        for config in configs:
            yield grpo.grpo_loss(x, ref_log_probs=ref, config=config, **kept)
        pair = {"values": values, "returns": returns, "clip_epsilon": 0.2, "value_coef": 0.5}
        yield rlhf.rlhf_loss(x, **kept, **pair)
        yield formulas.bradley_terry_loss(x[0], x[1], random_share=0.1)
        yield formulas.dpo_loss(x[0], x[1], old[0], old[1], kl_coef=0.1)

    def gradient(arguments):
        x = arguments[0].requires_grad_()
        sum(loss.sum() for loss in losses(x, *arguments[1:])).backward()
        return x.grad

    batch = (new, old, ref, advantages, values, returns, mask)
    with watched() as waits:
        there = [moved(x) for x in batch]
        waits.clear()
        on_device = gradient(there)
        assert not waits
        same(on_device, gradient(batch))
