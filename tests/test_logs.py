"""Every number that a training logs is explained where the algorithm is: what it is, its unit, and
what it should look like."""

import inspect
import re

import pytest
import torch

from rlbook.deep import actor_critic, dqn, ppo, reinforce, trpo
from rlbook.language import grpo, reward_model, rlhf
from rlbook.language.models import LanguageModel, make_model, make_tokenizer
from rlbook.language.solvable.model import small_world
from rlbook.language.solvable.training import SolvableConfig, train_solvable
from rlbook.language.tasks.arithmetic import Arithmetic

STEPS = {"total_steps": 32, "num_envs": 2, "rollout_steps": 8, "hidden_sizes": (4,)}
QUICK = {"num_evals": 2, "evaluation_episodes": 1, "evaluation_step_cap": 5}
AGENTS = {
    reinforce: {"total_episodes": 2, "num_envs": 2, "max_steps": 8, "hidden_sizes": (4,)},
    dqn: STEPS | {"batch_size": 4, "replay_capacity": 32, "learning_starts": 0},
    actor_critic: STEPS,
    trpo: STEPS,
    ppo: STEPS | {"num_epochs": 1},
}
UNITS = re.compile(r"\b(nats|units?|tokens|share|count|gradient steps)\b")


def explained(docstring: str) -> dict[str, str]:
    """Name -> explanation, of the lists that begin with the word Logged or Recorded."""
    found = {}
    for block in re.split(r"^(?=(?:Logged|Recorded) )", inspect.cleandoc(docstring), flags=re.M)[
        1:
    ]:
        entries = block[block.index(":\n") + 2 :].split("\n\n")[0]
        parts = re.split(r"^    ([\w@]+): ", entries, flags=re.MULTILINE)[1:]
        found |= dict(zip(parts[::2], parts[1::2], strict=True))
    return found


def check_explained(logged, docstring: str) -> None:
    found = explained(docstring)
    assert found.keys() == set(logged), "in the log, and in the docstring"
    assert not [name for name, text in found.items() if not UNITS.search(text)], "no unit"


def name(module) -> str:
    return module.__name__.split(".")[-1]


@pytest.mark.parametrize("agent", AGENTS, ids=name)
def test_what_an_agent_logs_is_explained(agent):
    config = agent.Config(**QUICK, **AGENTS[agent])
    result = agent.train("CartPole-v1", config, num_runs=1, progress=False)
    # The text of dqn.train is printed by chapter 13: there the module explains.
    check_explained(result.log, (agent if agent is dqn else agent.train).__doc__)


def tiny() -> LanguageModel:
    tokenizer = make_tokenizer(Arithmetic())
    return LanguageModel(make_model(tokenizer, hidden_size=8, layers=1, heads=2), tokenizer)


def test_what_grpo_logs_is_explained():
    config = grpo.Config(num_steps=1, num_prompts=1, group_size=2, max_new_tokens=2)
    result = grpo.train(tiny(), Arithmetic(), config, progress=False)
    check_explained(result.log, grpo.train.__doc__)


def test_what_rlhf_logs_is_explained():
    def length(prompts, answers):
        return torch.tensor([float(len(answer)) for answer in answers])

    config = rlhf.Config(num_steps=1, batch_size=2, max_new_tokens=2)
    options = {"watch": {"watched": length}, "progress": False}
    result = rlhf.train(tiny(), length, Arithmetic(), config, **options)
    check_explained(result.log.keys() - {"watched"}, rlhf.train.__doc__)
    assert "watched" in result.log and "Each name in `watch` is logged" in rlhf.train.__doc__


def test_what_a_reward_model_logs_is_explained():
    policy = tiny()
    model = reward_model.RewardModel(policy.model, policy.tokenizer)
    pairs, config = [("1+1=", "2", "3")], reward_model.Config(num_steps=1, batch_size=2)
    result = reward_model.train(model, pairs, config, progress=False)
    check_explained(result.log, reward_model.train.__doc__)
    assert float(result.log["loss"][0]) == pytest.approx(0.6931, abs=1e-4)  # as it says: log 2
    assert float(result.log["accuracy"][0]) == 0


def test_what_is_recorded_on_the_solvable_model_is_explained():
    def loss(batch):
        return -(batch.rewards * batch.log_probs.sum(-1)).mean((1, 2))

    config = SolvableConfig(num_steps=1, group_size=2)
    result = train_solvable(small_world(), loss, config, num_runs=1, progress=False)
    recorded = [name for name in ("steps", "kl", "reward") if len(getattr(result, name))]
    check_explained(recorded, train_solvable.__doc__)


def test_a_name_that_is_not_explained_is_found():
    docstring = (
        "Train.\n\n    Logged for each step:\n        kl: in nats.\n        loss: what?\n    "
    )
    assert explained(docstring) == {"kl": "in nats.\n", "loss": "what?"}
    with pytest.raises(AssertionError, match="in the log"):
        check_explained(["kl"], docstring)
    with pytest.raises(AssertionError, match="no unit"):
        check_explained(["kl", "loss"], docstring)
