"""Blackjack's model against the rules, worked hands, and Gymnasium's own game."""

import collections
import itertools
import math
import random
import warnings

import gymnasium as gym
import pytest
import torch
from gymnasium.envs.toy_text import blackjack as gymnasium_rules

from rlbook.planning.bellman import action_values
from rlbook.planning.blackjack import (
    CARDS,
    HANDS,
    HIT,
    INDEX,
    STICK,
    Hand,
    add_card,
    blackjack_mdp,
    dealer_outcomes,
    exploring_starts,
    on_table,
    state_index,
    stick,
    stick_from,
)
from rlbook.planning.dynamic_programming import policy_evaluation, policy_iteration


@pytest.mark.parametrize("hand", list(itertools.product((1, 2, 5, 6, 9, 10), repeat=3)))
def test_sums_are_gymnasiums(hand):
    total, usable = 0, 0
    for k, card in enumerate(hand, start=1):
        total, usable = add_card(total, usable, card)
        cards = list(hand[:k])
        assert (total, usable) == gymnasium_rules._hand_sum_and_usable_ace(cards)


def test_the_dealers_chances():
    for card in range(1, 11):
        outcomes = dealer_outcomes(card)
        assert math.isclose(sum(outcomes.values()), 1)
        assert {total for total, _ in outcomes} <= {0, 17, 18, 19, 20, 21}
    assert math.isclose(dealer_outcomes(10)[21, True], 1 / 13)
    assert math.isclose(dealer_outcomes(1)[21, True], 4 / 13)
    assert (21, True) not in dealer_outcomes(5)
    bust = [dealer_outcomes(card)[0, False] for card in (1, 6, 10)]
    assert [round(p, 4) for p in bust] == [0.1153, 0.4232, 0.2121]  # soft 17 stands


def test_the_published_optimal_policy():
    """Figure 5.2: stick from 12 against 4 to 6, from 13 against 2 and 3, else from 17;
    with a usable ace from 18, from 19 against 9 and 10, and against an ace."""
    optimal = policy_iteration(blackjack_mdp())
    table = on_table(optimal.policy)
    first_stick = 12 + (table == STICK).long().argmax(1)
    assert first_stick[0].tolist() == [17, 13, 13, 12, 12, 12, 17, 17, 17, 17]
    assert first_stick[1].tolist() == [19, 18, 18, 18, 18, 18, 18, 18, 19, 19]
    q = action_values(blackjack_mdp(), optimal.values)
    margin = q[state_index(16, 10, 0), HIT] - q[state_index(16, 10, 0), STICK]
    assert round(float(margin), 4) == 0.0065


def test_a_natural_is_not_the_same_21():
    sab = policy_evaluation(blackjack_mdp(), stick_from(20)).values
    natural, other = state_index(21, 10, 1, 1), state_index(21, 10, 1)
    assert math.isclose(float(sab[natural]), 12 / 13)
    assert sab[other] < sab[natural]
    plain = policy_evaluation(blackjack_mdp(sab=False), stick_from(20)).values
    assert plain[natural] == plain[other]
    pays = policy_evaluation(blackjack_mdp(sab=False, natural=True), stick_from(20)).values
    wins = stick(Hand(21, 10, 1, 1), False, False)[1.0]
    assert math.isclose(float(pays[natural] - plain[natural]), wins / 2)
    ignored = policy_evaluation(blackjack_mdp(sab=True, natural=True), stick_from(20)).values
    assert torch.equal(ignored, sab)


def test_the_policy_that_sticks_on_20():
    policy = stick_from(20)
    for total, action in ((19, HIT), (20, STICK), (21, STICK), (4, HIT)):
        assert int(policy[state_index(total, 5, 0)]) == action


def test_start_and_states():
    mdp = blackjack_mdp()
    assert mdp.num_states == 291 and mdp.terminal.tolist() == [False] * 290 + [True]
    assert len(INDEX) == len(HANDS) == 290
    naturals = mdp.start[[state_index(21, card, 1, 1) for card in CARDS]]
    assert math.isclose(float(naturals.sum()), 2 * 4 / 169)
    assert mdp.start[[state_index(21, card, 1) for card in CARDS]].sum() == 0
    assert mdp.start[[state_index(21, card, 0) for card in CARDS]].sum() == 0
    starts = exploring_starts()
    assert math.isclose(float(starts.sum()), 1) and int((starts > 0).sum()) == 400
    with pytest.raises(ValueError, match="no such state"):
        state_index(22, 1, 0)
    with pytest.raises(ValueError, match="no such state"):
        state_index(8, 1, 1)


def gymnasium_hands(num_hands: int, seed: int, **rules):
    """Every step of so many hands under a coin-flip policy: (state, action, reward, next)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = gym.make("Blackjack-v1", **rules).unwrapped
    coin = random.Random(seed)

    def state(observation):
        two = len(env.player) == 2 and gymnasium_rules.is_natural(env.player)
        return state_index(*observation, two)

    for k in range(num_hands):
        observation, _ = env.reset(seed=seed if k == 0 else None)
        here, end = state(observation), False
        yield None, None, 0.0, here
        while not end:
            action = coin.getrandbits(1)
            observation, reward, end, _, _ = env.step(action)
            after = len(HANDS) if end else state(observation)
            yield here, action, reward, after
            here = after


def agree_with_gymnasium(num_hands: int, **rules):
    """Starts, successors and mean rewards within 5 standard errors, nothing impossible seen."""
    mdp = blackjack_mdp(**rules)
    S, P = mdp.num_states, mdp.transition
    starts, moves = torch.zeros(S), torch.zeros(S, 2, S)
    rewards, squares = torch.zeros(2, S, 2, dtype=torch.float64)
    steps = collections.Counter(gymnasium_hands(num_hands, 0, **rules))
    for (here, action, reward, after), count in steps.items():
        if here is None:
            starts[after] += count
        else:
            moves[here, action, after] += count
            rewards[here, action] += count * reward
            squares[here, action] += count * reward**2
    for counts, p in ((starts, mdp.start), (moves, P)):
        total = counts.sum(-1, keepdim=True)
        error = (counts / total.clamp(min=1) - p).abs()
        variance = (p * (1 - p)).clamp(min=0)
        bound = 5 * (variance / total.clamp(min=1)).sqrt() + 3 / total.clamp(min=1)
        assert (error <= bound)[(total > 0).expand_as(error)].all()
        assert not counts[p == 0].any()
    visits = moves.sum(-1)
    seen = visits > 100
    mean = rewards / visits
    spread = (squares / visits - mean**2).clamp(min=1e-3).sqrt()
    assert ((mean - mdp.reward).abs() <= 5 * spread / visits.sqrt())[seen].all()
    return int(seen.sum())


def test_gymnasium_deals_the_same_hands():
    assert agree_with_gymnasium(8_000, sab=True, natural=False) > 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rules", "hands"),
    [
        ({"sab": True, "natural": False}, 1_000_000),
        ({"sab": False, "natural": True}, 60_000),
        ({"sab": False, "natural": False}, 60_000),
    ],
    ids=str,
)
def test_gymnasium_deals_the_same_hands_for_long(rules, hands):
    assert agree_with_gymnasium(hands, **rules) > 200
