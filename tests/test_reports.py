"""What others reported: the input of public bug reports, each with the right value.

A test has the numbers of its report, or the smallest that show what was seen, and says where it
was reported. The wrong variant that it must catch is in mutants_reports.py.
"""

import math
from dataclasses import replace
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from rlbook.deep import dqn, ppo
from rlbook.deep.parts.envs.make import make_envs
from rlbook.deep.parts.networks import DuelingMLP, clip_gradients_per_run, polyak_update
from rlbook.deep.parts.normalization import RunningNormalizer
from rlbook.deep.parts.policies import make_policy
from rlbook.deep.parts.replay import Replay, n_step_transitions
from rlbook.deep.parts.results import evaluate, load_result
from rlbook.deep.parts.rollouts import Rollout, collect
from rlbook.deep.parts.training import Training
from rlbook.formulas import (
    aggregate_token_losses,
    clipped_surrogate_loss,
    discounted_returns,
    dpo_loss,
    epsilon_greedy_policy,
    generalized_advantage_estimate,
    greedy_policy,
    kl_estimate,
    lambda_returns,
    n_step_returns,
    outcome_advantages,
    td_errors,
    token_advantages,
)
from rlbook.ground.draws import inverse_cdf
from rlbook.ground.masking import masked_mean, standardise_per_run
from rlbook.ground.saving import load_optimizer, optimizer_state
from rlbook.ground.seeding import Streams, generator
from rlbook.language import grpo_loss, rlhf
from rlbook.language.models import LanguageModel, Prompts, make_model, make_tokenizer
from rlbook.language.reward_model import RewardModel
from rlbook.language.sampling import sample, token_log_probs
from rlbook.language.tasks.reviews import Reviews
from rlbook.tabular.control_loop import epsilon_greedy_actions
from rlbook.tabular.episodes import Episodes
from rlbook.tabular.examples import random_walk
from rlbook.tabular.schedules import linear
from rlbook.tabular.td_prediction import td_lambda

F64 = torch.float64
NAN = math.nan


def row(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=F64)


def at(T: int, *steps: int) -> torch.Tensor:
    """(T,) bool, True at these steps."""
    flags = torch.zeros(T, dtype=torch.bool)
    flags[list(steps)] = True
    return flags


def same(found: torch.Tensor, *expected: float) -> None:
    wanted = torch.tensor(expected, dtype=found.dtype).view(found.shape)
    torch.testing.assert_close(found, wanted)


# ---------------------------------------------------------------- returns and advantages


def test_a_time_limit_was_taken_for_an_end_or_for_no_boundary():
    """Episodes of fixed length: of two settings, one leaks advantages into the episode before,
    the other sets the future behind the limit to 0. reported: Toni-SM/skrl#449"""
    rewards, values = row(1, 1, 5, 5), torch.full((4,), 2.0, dtype=F64)
    flags = at(4), at(4, 1, 3)
    how = {"discount": 0.5, "lambda_": 1.0}
    same(generalized_advantage_estimate(rewards, values, values, *flags, **how), 0, 0, 6, 4)
    same(lambda_returns(rewards, values, *flags, **how), 2, 2, 8, 6)


def test_an_end_was_read_one_step_late():
    """The action that ended the episode got +95 for the value 100 of the next episode's first
    state, and should get -4. reported: RoboVerseOrg/RoboVerse#814, anthonytorlucci/rlevo#342"""
    values, following = row(5, 5, 100), row(5, 100, 100)
    how = {"discount": 0.99, "lambda_": 0.95}
    found = generalized_advantage_estimate(row(1, 1, 1), values, following, at(3, 1), at(3), **how)
    before = 1 + 0.99 * 5 - 5
    same(found, before - 0.99 * 0.95 * 4, -4, 0)


def test_advantages_ran_on_into_the_episode_before():
    """Without a reset of the running sum, dying looks better and better.
    reported: vietnh1009/Super-mario-bros-PPO-pytorch#21"""
    zeros = torch.zeros(3, dtype=F64)
    how = {"discount": 0.5, "lambda_": 1.0}
    found = generalized_advantage_estimate(row(0, 1, 100), zeros, zeros, at(3, 1), at(3), **how)
    same(found, 0.5, 1, 100)


def test_the_state_behind_the_end_had_a_value():
    """r = [1, 1, 1], V = 2 everywhere, an end at last: the last error is r - V.
    reported: thu-ml/tianshou#869"""
    twos = torch.full((3,), 2.0, dtype=F64)
    same(td_errors(row(1, 1, 1), twos, twos, at(3, 2), discount=0.9), 0.8, 0.8, -1)


def test_the_reward_of_the_last_step_was_dropped():
    """A mask (1 - d) on the rewards takes away the one that the end brings.
    reported: thu-ml/tianshou#135"""
    how = {"discount": 1.0, "n": 2}
    found = n_step_returns(row(1, 1, 10), row(3, 3, 3), at(3, 2), at(3), **how)
    same(found, 5, 11, 10)


def test_whole_rewards_made_whole_returns():
    """An array like the rewards, which were integers, cut off the fractions of the returns.
    reported: inoryy/tensorflow2-deep-reinforcement-learning#7, thu-ml/tianshou#85"""
    whole = torch.tensor([1, 0, 1])
    with pytest.raises(ValueError, match="rewards must be floating point"):
        discounted_returns(whole, at(3, 2), at(3), discount=0.9)
    same(discounted_returns(whole.double(), at(3, 2), at(3), discount=0.9), 1.81, 0.9, 1)


def test_traces_lived_on_in_the_next_episode():
    """A state of the first episode was updated by the reward of the second.
    reported: mpatacchiola/dissecting-reinforcement-learning#22"""
    one_step = torch.tensor([[[5], [1]]])  # (R, N, T) = (1, 2, 1)
    ends = torch.ones(1, 2, 1, dtype=torch.bool)
    episodes = Episodes(
        states=one_step,
        actions=torch.zeros_like(one_step),
        rewards=torch.tensor([[[0.0], [1.0]]], dtype=F64),
        next_states=torch.tensor([[[6], [0]]]),
        terminated=ends,
        truncated=~ends,
        mask=ends,
    )
    found = td_lambda(random_walk(5), episodes, lambda_=1.0, step_size=0.5, progress=False)
    same(found.values, 0, 0.5, 0, 0, 0, 0, 0)


# ---------------------------------------------------------------- choosing actions


def test_of_equal_values_the_first_always_won():
    """All Q are 0 at first, and the first action was chosen every time.
    reported: IntelLabs/coach#414"""
    same(greedy_policy(torch.zeros(4, dtype=F64)), 0.25, 0.25, 0.25, 0.25)


def test_a_tie_with_the_first_action_counted_twice():
    """Of [2, 1, 2] the first was drawn in 6,617 of 10,000 cases.
    reported: andnp/rl-control-template#1"""
    pick = (torch.arange(1000, dtype=F64) + 0.5) / 1000
    q = row(2, 1, 2).unsqueeze(1).expand(3, 1000)
    drawn = epsilon_greedy_actions(q, 0.0, torch.ones(1000, dtype=F64), pick)
    assert drawn.bincount(minlength=3).tolist() == [500, 0, 500]


def test_an_action_of_probability_zero_was_drawn():
    """Probabilities [0, 1], and index 0 came out in one of some ten million draws.
    reported: pytorch/pytorch#48841"""
    probabilities = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    assert inverse_cdf(probabilities, torch.tensor([0.0, 0.0])).tolist() == [1, 0]


def test_a_linear_schedule_was_none():
    """The share of random actions was near its end after a third of the way.
    reported: tensorforce/tensorforce#53"""
    schedule = linear(1.0, 0.1, over=100)
    same(schedule(row(0, 50, 99, 100, 1000)), 1, 0.55, 0.109, 0.1, 0.1)
    config = dqn.Config(epsilon_start=1.0, epsilon_end=0.1, exploration_fraction=0.5)
    assert [config.epsilon(x) for x in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([1, 0.55, 0.1, 0.1])


def test_a_fraction_took_the_type_of_whole_numbers():
    """gamma, made like integer rewards, was 0; so would be an epsilon, made like integer Q.
    reported: SlopDotCash/asi#386"""
    q = torch.tensor([2, 1, 2])
    with pytest.raises(ValueError, match="q must be floating point"):
        epsilon_greedy_policy(q, 0.3)
    same(epsilon_greedy_policy(q.double(), 0.3), 0.45, 0.1, 0.45)


# ---------------------------------------------------------------- environments


class Clock(gym.Env):
    """Observes how many steps its episode has had, pays 1 a step, and ends after `length`."""

    observation_space = spaces.Box(0, np.inf, (1,), np.float32)

    def __init__(self, length: int = 3, action_space: gym.Space | None = None):
        self.action_space = action_space or spaces.Discrete(2)
        self.length, self.received = length, []
        self.time = np.zeros(1, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = np.zeros(1, np.float32)
        return self.time, {}

    def step(self, action):
        self.received.append(action)
        self.time = self.time + 1
        return self.time, 1.0, False, bool(self.time == self.length), {}


class OneArray(Clock):
    """The same, in one array that it writes again and again."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.array = getattr(self, "array", np.zeros(1, np.float32))
        self.array[:] = 0
        return self.array, {}

    def step(self, action):
        self.array += 1
        return self.array, 1.0, False, bool(self.array == self.length), {}


def build(env, num_envs: int = 1, runs: int = 1, **options):
    return make_envs(env, num_envs=num_envs, streams=Streams(0, list(range(runs))), **options)


def walk(envs, steps: int, action: int | torch.Tensor = 0) -> Rollout:
    """The same action for so many steps."""
    actions = torch.as_tensor(action).expand(envs.action_shape)
    return collect(envs, envs.reset(), lambda seen, t: actions, steps)


def test_the_last_observation_was_that_of_the_reset():
    """An environment that resets itself gave the first observation of the next episode.
    reported: isaac-sim/IsaacLab#4369, openai/gym#3177"""
    rollout = walk(build(Clock), steps=4)
    same(rollout.next_observations.flatten(), 1, 2, 3, 1)
    same(rollout.observations.flatten(), 0, 1, 2, 0)
    assert rollout.truncated.flatten().tolist() == [False, False, True, False]


def test_the_last_observation_was_overwritten_by_the_reset():
    """An environment that reuses its array: `final_obs` showed the values of the reset.
    reported: Farama-Foundation/Gymnasium#1132"""
    rollout = walk(build(OneArray), steps=4)
    same(rollout.next_observations.flatten(), 1, 2, 3, 1)
    same(rollout.observations.flatten(), 0, 1, 2, 0)


def test_a_step_that_only_resets_was_learned_from():
    """From Gymnasium 1.0 on the step after an end is none: its transition leads from one episode
    into another. reported: automl/Mighty#108, vwxyzjn/cleanrl#499"""
    rollout = walk(build("CartPole-v1", native=False), steps=40, action=1)
    ends = rollout.terminated[..., :-1]
    assert ends.sum() > 2 and not rollout.truncated.any()
    assert torch.equal(~rollout.valid[..., 1:], ends)
    assert rollout.rewards.sum() == rollout.valid.sum()  # 1 for each step that was one


def test_actions_began_at_0_where_the_space_begins_at_2():
    """Discrete(1, start=2) has one action, 2, and the environment was given 0.
    reported: DLR-RM/stable-baselines3#2241"""
    envs = build(lambda: Clock(action_space=spaces.Discrete(1, start=2)))
    walk(envs, steps=2)
    assert envs.runs[0].envs[0].unwrapped.received == [2, 2]


def test_actions_left_a_box_that_is_not_around_0():
    """Box(-2, 0): the environment was given actions below and above.
    reported: ray-project/ray#2965"""
    envs = build(lambda: Clock(action_space=spaces.Box(-2.0, 0.0, (1,), np.float32)))
    for action in (-7.0, -1.0, 0.0, 0.5, 7.0):
        walk(envs, steps=1, action=torch.tensor([action]))
    received = np.concatenate(envs.runs[0].envs[0].unwrapped.received)
    np.testing.assert_allclose(received, [-2, -2, -1, -0.5, 0])


def test_a_clipped_action_had_the_probability_of_another():
    """The action that was remembered was clipped, its log-probability was not: no ratio was 1.
    reported: thu-ml/tianshou#312, vwxyzjn/cleanrl#240"""
    envs = build(lambda: Clock(action_space=spaces.Box(-1.0, 1.0, (1,), np.float32)))
    policy = make_policy(envs, (4,), [generator(0)])
    noise = torch.full((1, 1, 1), 3.0)  # three standard deviations, far out of the box
    seen = envs.reset()
    rollout = collect(envs, seen, lambda seen, t: policy.sample(seen, noise), 2)
    assert (rollout.actions > 2).all()
    found = policy.log_prob(rollout.observations.flatten(1, 2), rollout.actions.flatten(1, 2))
    expected = -0.5 * 3.0**2 - 0.5 * math.log(2 * math.pi)
    same(found.detach(), expected, expected)


def test_all_environments_had_one_seed():
    """Each seed of a vector went to all of its environments.
    reported: hill-a/stable-baselines#675"""
    envs = build(lambda: gym.make("CartPole-v1"), num_envs=3, runs=2)
    starts = torch.cat([envs.reset().flatten(0, 1) for _ in range(2)])
    assert len(starts.unique(dim=0)) == 12


def test_an_evaluation_preferred_short_episodes():
    """Of parallel environments those episodes were counted that ended first.
    reported: chainer/chainerrl#368, astooke/rlpyt#93"""
    lengths = iter([1, 1, 40])  # the first is built to be looked at
    envs = build(lambda: Clock(length=next(lengths)), num_envs=2)
    found = evaluate(lambda seen: torch.zeros(1, 2, dtype=torch.long), envs)
    same(found.returns, 1, 40)
    assert not found.cut.any()


# ---------------------------------------------------------------- memories of transitions


def record(*rewards: float, terminated: torch.Tensor, truncated: torch.Tensor) -> Rollout:
    """One environment that observes 0, 1, 2, ..."""
    T = len(rewards)
    time = torch.arange(T + 1.0).view(1, 1, T + 1, 1)
    return Rollout(
        observations=time[:, :, :-1],
        actions=torch.zeros(1, 1, T, dtype=torch.long),
        rewards=torch.tensor(rewards, dtype=torch.float32).view(1, 1, T),
        next_observations=time[:, :, 1:],
        terminated=terminated.view(1, 1, T),
        truncated=truncated.view(1, 1, T),
        valid=torch.ones(1, 1, T, dtype=torch.bool),
        last_observations=time[:, :, -1],
    )


def test_a_memory_kept_a_time_limit_as_an_end():
    """Six off-policy agents stored done, whichever it was, and the targets lost the future.
    reported: anthonytorlucci/rlevo#170"""
    steps = record(1, 1, 1, terminated=at(3, 2), truncated=at(3, 1))
    kept = n_step_transitions(steps, 1, discount=0.5)
    q = torch.tensor([4.0, 6.0]).expand(1, 1, 3, 2)
    same(dqn.q_targets(kept.rewards, q, kept.terminated, discount=kept.discounts), 4, 4, 1)


def test_n_steps_crossed_an_end_and_had_the_discount_of_one():
    """reported: younggyoseo/FastTD3#6, BY571/DQN-Atari-Agents#8"""
    steps = record(1, 2, 4, 8, terminated=at(4, 1), truncated=at(4))
    kept = n_step_transitions(steps, 3, discount=0.5)
    same(kept.rewards, 2, 2, 8, 8)
    same(kept.discounts, 0.25, 0.5, 0.25, 0.5)
    same(kept.next_observations, 2, 2, 4, 4)
    assert kept.terminated.flatten().tolist() == [True, True, False, False]


def test_a_discount_took_the_type_of_whole_rewards():
    """Discounts made like integer rewards were 0. reported: SlopDotCash/asi#386"""
    steps = record(1, 2, terminated=at(2, 1), truncated=at(2))
    whole = replace(steps, rewards=steps.rewards.long())
    with pytest.raises(ValueError, match="rewards must be floating point"):
        n_step_transitions(whole, 1, discount=0.5)
    same(n_step_transitions(steps, 1, discount=0.5).discounts, 0.5, 0.5)


def filled_ring(steps: int, capacity: int = 5, at_once: int = 3) -> Replay:
    """A memory of steps s -> s + 1, with reward s; three are added at once."""
    replay = Replay(1, capacity, 1)
    all_of_them = record(*range(steps), terminated=at(steps), truncated=at(steps))
    transitions = n_step_transitions(all_of_them, 1, discount=1.0)
    for begin in range(0, steps, at_once):
        part = slice(begin, begin + at_once)
        replay.add(type(transitions)(*(x[:, :, part] for x in transitions)))
    return replay


@pytest.mark.parametrize("steps, oldest", [(3, 0), (9, 4)])
def test_a_ring_was_full_too_early_and_lost_what_went_around(steps, oldest):
    """Places that nothing was written to were drawn; a batch that did not fit before the end was
    not continued at the beginning. reported: assume-framework/assume#855"""
    drawn = filled_ring(steps).sample(200, Streams(0, [0]))
    assert drawn.valid.all()
    assert drawn.rewards.unique().tolist() == list(range(oldest, steps))


def test_the_newest_transition_led_to_the_oldest_observation():
    """In a full ring the place behind the newest transition holds the oldest.
    reported: DLR-RM/stable-baselines3#1853"""
    newest = filled_ring(9).latest(2)
    same(newest.observations, 7, 8)
    same(newest.next_observations, 8, 9)


def test_a_training_went_on_without_its_memory():
    """What was saved had no replay buffer. reported: DLR-RM/stable-baselines3#29"""
    replay, other = filled_ring(9), Replay(1, 5, 1)
    other.load_state(replay.state(), replay.added)
    for ring in (replay, other):
        same(ring.latest(5).rewards, 4, 5, 6, 7, 8)


# ---------------------------------------------------------------- statistics of what was seen


def statistics(*batches: list[float]) -> RunningNormalizer:
    normalizer = RunningNormalizer(1, 1)
    for batch in batches:
        normalizer.update(torch.tensor(batch, dtype=F64).view(1, -1, 1))
    return normalizer


def test_batches_counted_as_one_observation():
    """reported: vwxyzjn/cleanrl#18"""
    found = statistics([0, 0, 0, 0, 0, 0, 0, 0, 0], [10])
    same(found.mean, 1)
    same(found.var, 9)
    assert found.count == 10


def test_the_variance_of_two_batches_used_the_new_mean():
    """The distance of the means is that of the old mean.
    reported: younggyoseo/FastTD3#32"""
    found = statistics([0, 0, 0], [10])
    same(found.mean, 2.5)
    same(found.var, 18.75)


def test_the_deviation_fell_with_every_batch():
    """The sum of squares was overwritten, not added to: sigma / sqrt(k) after k batches.
    reported: akanazawa/fpo#13"""
    same(statistics(*[[-3, 3]] * 16).var, 9)


def test_one_bad_observation_spoiled_all_actions():
    """A NaN in the statistics: all actions were NaN from then on.
    reported: hill-a/stable-baselines#257"""
    found = statistics([1, NAN, 3])
    same(found(torch.tensor([[[2.0]]])), 0)


def test_one_advantage_alone_was_nan():
    """A minibatch of one has no sample deviation.
    reported: DLR-RM/stable-baselines3#325, alibaba/ROLL#475"""
    for numbers, expected in (([7.0], [0.0]), ([1.0, 3.0], [-1.0, 1.0])):
        x = torch.tensor([numbers])
        same(standardise_per_run(x, torch.ones_like(x, dtype=torch.bool)), *expected)


@pytest.mark.parametrize("number", [0.1, 0.35, 1000.1, -3.3])
def test_equal_advantages_became_rounding_errors_of_size_one(number):
    """A deviation that should be 0 was a rounding error, and a rounding error was divided by it.
    reported: NVIDIA-NeMo/RL#4161"""
    equal = torch.full((1, 1024), number)
    assert not standardise_per_run(equal, torch.ones_like(equal, dtype=torch.bool)).any()


def test_equal_rewards_of_a_group_became_rounding_errors_of_size_one():
    """Seven answers with 0.35 and one with 0.95: 4,000 for the one.
    reported: NVIDIA-NeMo/RL#4161"""
    assert not outcome_advantages(torch.full((8,), 0.35)).any()
    found = outcome_advantages(torch.tensor([0.35] * 7 + [0.95]))
    same(found, *[-(7**-0.5)] * 7, 7**0.5)


def test_groups_were_compared_with_each_other():
    """Mean and deviation were those of all prompts. reported: XU-YIJIE/grpo-flat#2"""
    same(outcome_advantages(torch.tensor([[0.0, 1.0], [10.0, 12.0]])), -1, 1, -1, 1)


# ---------------------------------------------------------------- networks and gradients


def test_the_target_network_was_the_online_network():
    """Two names for one network; or one that is handed on after the first update.
    reported: datawhalechina/easy-rl#140, andri27-ts/Reinforcement-Learning#14"""
    envs = SimpleNamespace(num_runs=1, observation_size=2, num_actions=3, action_size=None)
    networks = dqn.make_networks(envs, dqn.Config(hidden_sizes=(4,)), [generator(0)])
    online, target = networks["policy"].network, networks["target"]
    seen = torch.ones(1, 1, 2)
    before = target(seen).clone()
    for _ in range(2):
        with torch.no_grad():
            for parameter in online.parameters():
                parameter.add_(1.0)
        assert torch.equal(target(seen), before)
        polyak_update(target, online, 1.0)
        assert torch.equal(target(seen), online(seen))
        before = target(seen).clone()


def test_the_advantages_of_a_batch_had_one_mean():
    """The mean of the advantages is one over actions, not over the states of the batch, too.
    reported: datawhalechina/easy-rl#140"""
    network = DuelingMLP((2, 4, 3), [generator(0)])
    seen = torch.tensor([[[1.0, 2.0], [3.0, -5.0]]])
    torch.testing.assert_close(network(seen)[:, :1], network(seen[:, :1]))


def test_gradients_were_clipped_tensor_by_tensor():
    """The gradient (3, 4) in two tensors has the norm 5; each tensor was clipped alone. And a
    bound of 0 froze a network, one of -1 turned its gradient around.
    reported: anthonytorlucci/rlevo#328, strands-labs/robots#2028"""
    parameters = [nn.Parameter(torch.zeros(2, 1)) for _ in range(2)]
    for parameter, number in zip(parameters, (3.0, 4.0), strict=True):
        parameter.grad = torch.tensor([[number], [NAN]])  # the second run's are NaN
    same(clip_gradients_per_run(parameters, 1.0)[:1], 5)
    same(torch.cat([p.grad[0] for p in parameters]), 0.6, 0.8)
    for bound in (0.0, -1.0):
        with pytest.raises(ValueError, match="max_norm must be positive"):
            clip_gradients_per_run(parameters, bound)


def test_errors_of_a_critic_were_those_of_all_pairs():
    """Values (B,) against returns (B, 1) make (B, B), and every value learns the mean.
    reported: RLinf/RLinf#1568"""
    flat, column, flags = torch.ones(4), torch.ones(4, 1), at(4)
    with pytest.raises(ValueError, match="shape"):
        td_errors(flat, column, flat, flags, discount=0.9)
    with pytest.raises(ValueError, match="shape"):
        clipped_surrogate_loss(flat, flat, column, clip_epsilon=0.2)


def test_targets_of_q_learning_were_those_of_all_pairs():
    """The same for the rewards of a batch, and for its targets.
    reported: pytorch/pytorch#19699"""
    q, flat, column = torch.ones(4, 2), torch.ones(4), torch.ones(4, 1)
    with pytest.raises(ValueError, match="shape"):
        dqn.q_targets(column, q, at(4), discount=0.9)
    with pytest.raises(ValueError, match="shape"):
        dqn.q_targets(flat, q, at(4).unsqueeze(1), discount=0.9)
    for delta in (None, 1.0):
        with pytest.raises(ValueError, match="shape"):
            dqn.q_loss(q, flat.long(), column, huber_delta=delta)


def test_the_entropy_was_punished():
    """Added to a loss, the entropy falls and nothing is explored.
    reported: NJUxlj/Travel-Agent-based-on-Qwen2-RLHF#2"""
    envs = SimpleNamespace(num_runs=1, observation_size=1, num_actions=2, action_size=None)
    config = ppo.Config(hidden_sizes=(2,), entropy_coef=1.0, value_coef=0.0)
    policy, critic = ppo.make_networks(envs, config, [generator(0)]).values()
    seen, zeros = torch.ones(1, 3, 1), torch.zeros(1, 3)
    old = policy.parameters_of(seen).detach()
    batch = ppo.RolloutBatch(
        observations=seen,
        actions=zeros.long(),
        valid=torch.ones(1, 3, dtype=torch.bool),
        advantages=zeros,
        returns=zeros,
        log_probs=policy.log_prob(seen, zeros.long()).detach(),
        parameters=old,
    )
    loss, _ = ppo.ppo_loss(policy, critic, batch, torch.ones(1), config)
    same(loss.detach(), -float(policy.entropy(seen)[0, 0].detach()))


# ---------------------------------------------------------------- saving and going on


def test_adam_began_anew():
    """What was saved had no state of the optimiser. reported: NM512/dreamerv3-torch#38"""

    def step(parameter: nn.Parameter, adam: torch.optim.Optimizer, number: float) -> None:
        parameter.grad = torch.tensor([number])
        adam.step()

    whole = nn.Parameter(torch.zeros(1))
    adam = torch.optim.Adam([whole], lr=0.1)
    step(whole, adam, 1.0)
    step(whole, adam, 10.0)
    half = nn.Parameter(whole.detach().clone())
    again = torch.optim.Adam([half], lr=0.1)
    load_optimizer("q", again, optimizer_state({"q": adam}))
    step(whole, adam, 1.0)
    step(half, again, 1.0)
    assert torch.equal(whole, half)


SMALL = ppo.Config(
    total_steps=32,
    num_envs=1,
    rollout_steps=8,
    hidden_sizes=(4,),
    num_epochs=1,
    num_minibatches=1,
    num_evals=2,
    evaluation_episodes=1,
    evaluation_step_cap=4,
)


def some_rates(stop_at: int | None, resume=None):
    """The step sizes of four updates, or of those before a Ctrl-C."""
    rates = []
    with Training(
        "CartPole-v1", SMALL, ppo.make_networks, num_runs=1, progress=False, resume=resume
    ) as run:
        adam = run.optimizer("adam", run.networks["policy"])
        for update in run.updates(4):
            run.anneal(adam, 1.0)
            if update == stop_at:
                raise KeyboardInterrupt
            rates.append(adam.param_groups[0]["lr"])
    return rates, run.result()


def test_the_step_size_jumped_up_when_a_training_went_on():
    """reported: Unity-Technologies/ml-agents#116, Unity-Technologies/ml-agents#205"""
    first, half = some_rates(stop_at=2)
    second, _ = some_rates(stop_at=None, resume=half)
    assert first + second == [1.0, 0.75, 0.5, 0.25]


def test_exploration_began_anew():
    """A trained DQN that was trained on acted at random again.
    reported: DLR-RM/stable-baselines3#1629"""
    config = dqn.Config(
        total_steps=16,
        num_envs=1,
        rollout_steps=8,
        gradient_steps=1,
        batch_size=4,
        learning_starts=0,
        replay_capacity=16,
        exploration_fraction=1.0,
        hidden_sizes=(4,),
        num_evals=2,
        evaluation_episodes=1,
        evaluation_step_cap=4,
    )
    found = dqn.train("CartPole-v1", config, num_runs=1, progress=False)
    assert found.networks["policy"].epsilon == pytest.approx(0.525)  # half the way to 0.05
    found = dqn.train("CartPole-v1", config, num_runs=1, progress=False, resume=found)
    assert found.networks["policy"].epsilon == pytest.approx(0.05)


def test_statistics_were_not_saved_and_an_evaluation_changed_them(tmp_path):
    """A policy was loaded without mean and deviation of its observations, and collected new ones
    while it was watched. reported: isaac-sim/IsaacLab#2635, thu-ml/tianshou#443"""
    result = ppo.train("CartPole-v1", SMALL, num_runs=1, progress=False)
    result.save(tmp_path / "one")
    loaded = load_result(tmp_path / "one", ppo)
    loaded.evaluate(episodes=2, step_cap=4)
    for mine in (result, loaded):
        normalizer = mine.networks["policy"].normalizer
        assert normalizer.count == SMALL.total_steps
        assert torch.equal(normalizer.mean, result.networks["policy"].normalizer.mean)
        assert normalizer.mean.any()


# ---------------------------------------------------------------- KL divergences


P, Q = row(0.5, 0.3, 0.2).log(), row(0.2, 0.2, 0.6).log()
KL = float((P.exp() * (P - Q)).sum())


def test_an_estimate_of_the_kl_had_the_ratio_upside_down():
    """exp(d) - 1 - d with d = log pi - log pi_ref: its mean under pi is no KL(pi || pi_ref).
    reported: walkinglabs/hands-on-modern-rl#27"""
    same((P.exp() * kl_estimate(P, Q, "k3")).sum(), KL)
    same((P.exp() * kl_estimate(P, Q, "k1")).sum(), KL)


def test_a_kl_was_negative():
    """The difference of log-probabilities may have either sign, and a bound on it does not hold.
    reported: openai/spinningup#137, DLR-RM/stable-baselines3#417"""
    assert (kl_estimate(P, Q, "k1") < 0).any()
    for kind in ("k2", "k3"):
        assert (kl_estimate(P, Q, kind) > 0).all()


# ---------------------------------------------------------------- tokens and padding


def test_padding_leaked_into_the_advantages():
    """Rewards [1.5, 1, 2, 2], the last two on padding: 6.5 in place of 2.5.
    reported: huggingface/trl#7024"""
    rewards, mask = row(1.5, 1, 2, 2), torch.tensor([True, True, False, False])
    advantages, returns = token_advantages(rewards, torch.zeros(4, dtype=F64), mask, lambda_=1.0)
    same(advantages, 2.5, 1, 0, 0)
    same(returns, 2.5, 1, 0, 0)


def test_a_mean_divided_by_the_padding_too():
    """reported: NovaSky-AI/SkyRL#462"""
    same(masked_mean(row(2, 4, 9, NAN), torch.tensor([True, True, False, False])), 3)


def test_the_length_of_an_answer_weighed_its_tokens():
    """A mean over each answer's tokens makes those of long answers count less.
    reported: huggingface/trl#3138, sail-sg/understand-r1-zero#11"""
    losses = torch.ones(2, 8, dtype=F64, requires_grad=True)
    mask = torch.arange(8) < torch.tensor([[2], [8]])

    def weights(how: str) -> torch.Tensor:
        aggregate_token_losses(losses, mask, how, max_length=8).mean().backward()
        (found, losses.grad) = losses.grad, None
        assert not found[~mask].any()
        return found[:, 0]

    same(weights("answer_mean"), 1 / 4, 1 / 16)
    same(weights("constant"), 1 / 16, 1 / 16)
    same(weights("token_mean"), 1 / 10, 1 / 10)


def test_the_length_of_an_answer_was_divided_out_of_its_probability():
    """DPO compares probabilities of answers, sums of log-probabilities: of means the other answer
    wins. reported: jingyaogong/minimind#298, huggingface/trl#789"""
    chosen, rejected = row(-1, -1), row(-0.75, -0.75, -0.75, -0.75)
    zero = torch.zeros((), dtype=F64)
    loss = dpo_loss(chosen.sum(), rejected.sum(), zero, zero, kl_coef=1.0)
    same(loss, math.log1p(math.exp(-1)))  # -2 against -3


@pytest.mark.parametrize("beyond", [200.0, math.inf, NAN])
def test_masked_tokens_made_the_gradient_nan(beyond):
    """A difference of 200 on padding: its exponential, times a mask of 0, is NaN.
    reported: NVIDIA-NeMo/RL#4120, MakazhanAlpamys/Soup#342"""
    mask = torch.tensor([[True, False]] * 2)
    log_probs = torch.tensor([[-1.0, beyond]] * 2, requires_grad=True)
    old = torch.tensor([[-1.0, 0.0]] * 2)
    tokens = {"old_log_probs": old, "advantages": torch.tensor([[1.0, 0.0]] * 2)}
    tokens |= {"completion_mask": mask}
    critic = {"values": old, "returns": old, "clip_epsilon": 0.2, "value_coef": 0.5}
    for loss in (
        grpo_loss.grpo_loss(log_probs, ref_log_probs=old, config=grpo_loss.Config(), **tokens),
        rlhf.rlhf_loss(log_probs, **tokens, **critic).mean(),
    ):
        (gradient,) = torch.autograd.grad(loss, log_probs)
        same(loss.detach(), -1)
        same(gradient, -0.5, 0, -0.5, 0)


# ---------------------------------------------------------------- language models


TASK = Reviews()
TOKENIZER = make_tokenizer(TASK)


def tiny(architecture: str = "gpt2") -> LanguageModel:
    sizes = {"hidden_size": 16, "layers": 1, "heads": 2, "context": 32}
    model = make_model(TOKENIZER, architecture=architecture, seed=0, **sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4, generator=generator(1))
    return LanguageModel(model, TOKENIZER)


def padded(*rows: list[int]) -> Prompts:
    width = max(map(len, rows))
    tokens = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    return Prompts(
        tokens, torch.tensor([[i >= width - len(r) for i in range(width)] for r in rows])
    )


def test_padding_on_the_left_moved_the_positions():
    """Log-probabilities of padded rows were those of a text that begins later: 34 of difference
    for GPT-2. reported: OpenRLHF/OpenRLHF#217, huggingface/trl#6800"""
    model, answer = tiny().model, torch.tensor([[5, 7, 6]])
    alone = token_log_probs(model, padded([8, 9]), answer, answer > 0)
    prompts = padded([8, 9], [4, 5, 6, 7, 8, 9])
    beside = token_log_probs(model, prompts, answer.expand(2, 3), answer.expand(2, 3) > 0)
    torch.testing.assert_close(alone[0], beside[0])


def test_tokens_of_the_prompt_were_scored_with_those_of_the_answer():
    """The log-probability of an answer is that of its tokens, each read one place before.
    reported: OpenRLHF/OpenRLHF#235"""
    model, prompt, answer = tiny().model, [8, 9, 4], [5, 7]
    with torch.no_grad():
        logits = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
    mask = torch.tensor([[True, True]])
    found = token_log_probs(model, padded(prompt), torch.tensor([answer]), mask)
    same(found.detach(), float(logits[2, 5]), float(logits[3, 7]))


def test_the_end_token_was_taken_for_padding():
    """With one id for both, no answer ever learned to end.
    reported: huggingface/trl#6357, huggingface/trl#1623"""
    end = 5
    found = sample(
        tiny().model,
        padded(*[[8, 9, 4]] * 64),
        max_new_tokens=8,
        eos_token_id=end,
        pad_token_id=end,
        generator=generator(0),
    )
    lengths = found.completion_mask.sum(-1)
    last = found.tokens.gather(1, lengths[:, None] - 1)[:, 0]
    assert 0 < found.finished.sum() < 64
    assert torch.equal(last == end, found.finished)
    assert (lengths[~found.finished] == 8).all()


def test_a_reward_was_read_on_padding():
    """The reward of a text padded on the left was read as if the padding stood on the right.
    reported: huggingface/trl#2778, EleutherAI/gpt-neox#1285"""
    judge = RewardModel(tiny().model, TOKENIZER)
    judge.head.weight.data.normal_(generator=generator(2))
    alone = judge(torch.tensor([[4, 5, 6]]), torch.ones(1, 3, dtype=torch.bool))
    for tokens in ([0, 0, 4, 5, 6], [4, 5, 6, 0, 0]):
        found = judge(torch.tensor([tokens]), torch.tensor([tokens]) > 0)
        torch.testing.assert_close(found, alone)


def test_the_reference_moved_with_the_policy():
    """One model under two names: the KL was 0 all the time.
    reported: huggingface/trl#702"""
    policy = tiny("llama")
    before = {name: x.clone() for name, x in policy.model.state_dict().items()}
    config = rlhf.Config(num_steps=2, batch_size=8, max_new_tokens=4, learning_rate=0.1)
    reward = lambda prompts, answers: torch.arange(8.0)  # noqa: E731
    result = rlhf.train(policy, reward, TASK, config, progress=False)
    assert result.log["kl"][0] == pytest.approx(0, abs=1e-5)
    assert abs(result.log["kl"][1]) > 1e-3
    assert all(torch.equal(x, before[name]) for name, x in policy.model.state_dict().items())
