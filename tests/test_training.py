"""The part of training that no agent shows; more of it is tested with each agent (agent_checks)."""

import gymnasium
import numpy as np
import pytest
import torch

from rlbook.deep import actor_critic, dqn, ppo, reinforce, trpo
from rlbook.deep.parts.config import TrainingConfig
from rlbook.deep.parts.envs.make import make_envs
from rlbook.deep.parts.networks import Linear
from rlbook.deep.parts.results import load_result
from rlbook.deep.parts.training import Record, Training
from rlbook.ground.saving import load_tensors, save_tensors
from rlbook.ground.seeding import Streams

SMALL = {"num_envs": 2, "hidden_sizes": (4,), "num_evals": 3, "evaluation_episodes": 2}


def training(num_runs=3, config=None, **options) -> Training:
    config = config or reinforce.Config(**SMALL)
    options = {"num_runs": num_runs, "progress": False} | options
    return Training("CartPole-v1", config, reinforce.make_networks, **options)


def test_evaluations_are_evenly_spaced_from_before_to_after():
    run = training(config=reinforce.Config(**SMALL | {"num_evals": 4}))
    with run:
        for _ in run.updates(6):
            run.collect(5)
    result = run.result()
    assert result.env_steps.tolist() == [0, 20, 40, 60]
    assert result.evaluation_returns.shape == (3, 4)
    assert not result.interrupted and result.frozen == {}


def test_a_step_is_the_step_of_each_run_by_itself():
    run = training()
    torch.manual_seed(0)
    layer = Linear(2, 1, [torch.Generator() for _ in range(3)])
    start = layer.weight.detach().clone()
    optimizer = torch.optim.SGD(layer.parameters(), 0.5)
    x = torch.randn(3, 4, 2)
    loss = layer(x).square().mean(dim=(1, 2)) * torch.tensor([1.0, 100.0, 1.0])
    norms = run.gradient_step(optimizer, loss, max_gradient_norm=1.0)
    for k in range(3):
        alone = start[k].clone().requires_grad_()
        bias = torch.zeros(1, requires_grad=True)
        factor = 100.0 if k == 1 else 1.0
        (factor * (x[k] @ alone + bias).square().mean()).backward()
        norm = torch.cat([alone.grad.flatten(), bias.grad]).norm()
        expected = start[k] - 0.5 * alone.grad / max(1.0, float(norm))
        torch.testing.assert_close(layer.weight[k], expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(norms[k], norm)


def test_runs_that_rest_keep_their_parameters():
    run = training()
    layer = Linear(2, 1, [torch.Generator() for _ in range(3)])
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    before = layer.weight.detach().clone()
    loss = layer(torch.ones(3, 4, 2)).square().mean(dim=(1, 2))
    run.gradient_step(optimizer, loss, active=torch.tensor([True, False, True]))
    assert torch.equal(layer.weight[1], before[1]) and not torch.equal(layer.weight, before)
    with pytest.raises(ValueError, match=r"loss must have shape \(3,\), got \(\)"):
        run.gradient_step(optimizer, layer(torch.ones(3, 4, 2)).mean())


def test_the_step_size_falls_in_a_straight_line():
    run = training()
    optimizer = run.optimizer("policy", run.networks["policy"])
    rates = []
    for _ in run.updates(4):
        run.anneal(optimizer, 0.8)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.8, 0.6, 0.4, 0.2])


def test_whole_episodes_count_the_steps_that_were_taken():
    run = training()
    rollout = run.collect_episodes(500)
    assert run.env_steps.tolist() == rollout.valid.sum((1, 2)).tolist()
    assert (rollout.valid.sum(-1) >= 8).all()


def test_what_is_remembered_is_saved_and_comes_back(tmp_path):
    run = training()
    run.optimizer("policy", run.networks["policy"])
    price = run.remember("price", torch.ones(3))
    with run:
        for _ in run.updates(2):
            run.collect(4)
            run.log(x=torch.arange(3.0))
            price.mul_(2)
    run.result().save(tmp_path / "one.safetensors")
    loaded = load_result(tmp_path / "one.safetensors", reinforce)
    assert loaded.log["x"].tolist() == [[0, 0], [1, 1], [2, 2]]
    again = training(resume=loaded)
    assert again.remember("price", torch.ones(3)).tolist() == [4, 4, 4]
    assert again.env_steps.tolist() == [16, 16, 16]
    with pytest.raises(ValueError, match="does not fit"):
        load_result(tmp_path / "one.safetensors", torch.nn)
    tensors, metadata = load_tensors(tmp_path / "one.safetensors")
    tensors["env_steps"] = tensors.pop("run_steps")[0]  # as an earlier version wrote it
    save_tensors(tmp_path / "old.safetensors", tensors, metadata)
    with pytest.raises(ValueError, match="does not fit this version of rlbook.deep.*run_steps"):
        load_result(tmp_path / "old.safetensors", reinforce)


def test_a_result_hands_out_runs_and_evaluates_them():
    run = training(run_ids=[4, 2])
    with run:
        for _ in run.updates(2):
            run.collect(4)
    result = run.result()
    observations = torch.randn(2, 5, 4)
    logits = result.networks["policy"](observations)
    torch.testing.assert_close(result.run(2)(observations[1]), logits[1])
    with pytest.raises(ValueError, match=r"run_id must be one of \[4, 2\], got 0"):
        result.run(0)
    evaluation = result.evaluate(episodes=7)
    assert evaluation.returns.shape == (2, 7) and not evaluation.cut.any()
    same = result.evaluate(episodes=7)
    assert torch.equal(evaluation.returns, same.returns)


def test_a_record_refuses_what_is_not_one_number_a_run():
    with pytest.raises(ValueError, match=r"kl must have shape \(3,\), got \(\)"):
        Record(3).log(kl=torch.tensor(0.5))
    assert Record(3).arrays()["evaluation_returns"].shape == (3, 0)


@pytest.mark.parametrize(
    "field, value",
    [
        *[("discount", 1.1), ("learning_rate", 0.0), ("num_envs", 0), ("num_envs", 1.5)],
        *[("num_evals", 1), ("hidden_sizes", (0,)), ("evaluation_episodes", 0)],
    ],
)
def test_settings_out_of_range_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        TrainingConfig(**{field: value})


def test_too_few_steps_for_one_update():
    message = "total_steps is 100: an update takes num_envs 8 x rollout_steps 128 = 1024"
    with pytest.raises(ValueError, match=message):
        ppo.Config(total_steps=100)
    for agent in (actor_critic, dqn, trpo):
        with pytest.raises(ValueError, match="total_steps is 10: an update takes num_envs"):
            agent.Config(total_steps=10, num_envs=8, rollout_steps=8)
    with pytest.raises(ValueError, match="total_episodes is 3: an update takes num_envs 4 = 4"):
        reinforce.Config(total_episodes=3, num_envs=4)
    with pytest.raises(ValueError, match="total_steps must be enough"):
        next(training().updates(0))


def test_evaluations_do_not_touch_the_learners_environments():
    one, other = training(), training()
    one.collect(3)
    other.collect(3)
    list(one.updates(1))
    assert torch.equal(one.collect(3).observations, other.collect(3).observations)
    assert np.isfinite(one.result().evaluation_returns).all()


def test_evaluation_episodes_are_others_than_the_learners():
    run = training(config=reinforce.Config(**SMALL | {"evaluation_episodes": 2}))
    assert not torch.equal(run.evaluation_envs.reset(), run.envs.reset())


# --- environments are closed


class Counted(gymnasium.Env):
    """Episodes of five steps that pay 1; how many were opened, and how often each was closed."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    closed: dict[int, int] = {}

    def __init__(self):
        self.number = len(self.closed)
        self.closed[self.number] = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        assert not self.closed[self.number], "a closed environment takes a step"
        self.t += 1
        return np.zeros(2, np.float32), 1.0, self.t == 5, False, {}

    def close(self):
        self.closed[self.number] += 1


@pytest.fixture
def closed():
    Counted.closed.clear()
    return Counted.closed


def counted(config=None, **options) -> Training:
    config = config or reinforce.Config(**SMALL)
    options = {"num_runs": 2, "progress": False} | options
    return Training(Counted, config, reinforce.make_networks, **options)


def test_environments_are_closed_when_a_training_ends(closed, tmp_path):
    with counted() as run:
        for _ in run.updates(2):
            run.collect(3)
        assert list(closed.values()) == [1] + 2 * (2 + 2) * [0]  # one look, learning, evaluation
    result = run.result()
    assert set(closed.values()) == {1}
    result.evaluate(episodes=3)
    assert len(closed) > 9 and set(closed.values()) == {1}
    result.save(tmp_path / "one.safetensors")
    with counted(resume=tmp_path / "one.safetensors") as again:
        for _ in again.updates(2):
            again.collect(3)
    assert again.result().continuations == 1 and set(closed.values()) == {1}


def test_environments_are_closed_when_a_training_is_stopped(closed):
    with counted() as run:
        run.collect(1)
        raise KeyboardInterrupt
    assert run.result().interrupted and set(closed.values()) == {1}
    with pytest.raises(ZeroDivisionError), counted():
        _ = 1 / 0
    assert set(closed.values()) == {1}


def test_environments_are_closed_when_a_training_cannot_begin(closed):
    with counted() as run:
        pass
    with pytest.raises(ValueError, match="resume holds networks of other shapes"):
        counted(reinforce.Config(**SMALL | {"hidden_sizes": (5,)}), resume=run.result())
    with pytest.raises(ValueError, match="takes a maximum"):
        dqn.train(lambda: Steered(), num_runs=2, progress=False)
    with pytest.raises(ValueError, match="images"):
        dqn.train(lambda: Seen(), num_runs=2, progress=False)
    assert set(closed.values()) == {1}


class Steered(Counted):
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)


class Seen(Counted):
    observation_space = gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)


def test_environments_that_came_in_stay_open(closed):
    envs = make_envs(Counted, num_envs=2, streams=Streams(0, [0, 1]))
    config = reinforce.Config(**SMALL)
    with Training(envs, config, reinforce.make_networks, num_runs=2, progress=False) as run:
        run.collect(1)
        for_evaluation = len(closed) - 4
    assert sorted(closed.values()) == 4 * [0] + for_evaluation * [1]
    evaluation = run.result().evaluate(episodes=2, env=envs)
    assert evaluation.returns.tolist() == [[5, 5], [5, 5]] and list(closed.values())[1:5] == 4 * [0]


def test_environments_without_close():
    class Plain:
        """What a reader may write: the interface, and no close()."""

        def __init__(self, envs):
            self.envs = envs

        def __getattr__(self, name):
            if name == "close":
                raise AttributeError(name)
            return getattr(self.envs, name)

    envs = Plain(make_envs("CartPole-v1", num_envs=2, streams=Streams(0, [0, 1])))
    config = reinforce.Config(**SMALL)
    with Training(envs, config, reinforce.make_networks, num_runs=2, progress=False) as run:
        run.collect(1)
    assert run.result().env_steps.shape == (0,)
