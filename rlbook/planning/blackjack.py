"""The exact model of Blackjack as Gymnasium's Blackjack-v1 plays it, which has no model itself.

Cards come from an endless deck. A state is what the player sees, (sum, dealer's card, usable
ace), and one thing that Gymnasium does not show: whether 21 is a natural, an ace and a ten on
two cards. It decides the reward, so that without it the observed 21 is not Markov.
"""

from functools import cache
from itertools import product
from typing import NamedTuple

import torch

from rlbook.planning.mdp import MDP

STICK, HIT = 0, 1
CARDS = {card: (4 if card == 10 else 1) / 13 for card in range(1, 11)}
ACE, TEN, BUST, DEALER_STANDS = 1, 10, 0, 17


class Hand(NamedTuple):
    """A state of the game before its end."""

    player_sum: int
    """4 .. 21, or 12 .. 21 with a usable ace."""
    dealer_card: int
    """1 .. 10; 1 is an ace."""
    usable_ace: int
    """1 where an ace counts 11."""
    natural: int = 0
    """1 for an ace and a ten on two cards; the sum is then 21, with a usable ace."""


HANDS: tuple[Hand, ...] = tuple(
    [Hand(total, card, 0) for total in range(4, 22) for card in range(1, 11)]
    + [Hand(total, card, 1) for total in range(12, 22) for card in range(1, 11)]
    + [Hand(21, card, 1, 1) for card in range(1, 11)]
)
"""State k of the model is HANDS[k]; the last state of the model is the end of the game."""
INDEX: dict[Hand, int] = {hand: state for state, hand in enumerate(HANDS)}


def state_index(player_sum: int, dealer_card: int, usable_ace: int, natural: int = 0) -> int:
    """The number of a state, from Gymnasium's observation and the flag."""
    hand = Hand(player_sum, dealer_card, int(usable_ace), int(natural))
    if hand not in INDEX:
        raise ValueError(f"no such state: {hand}")
    return INDEX[hand]


def blackjack_mdp(*, sab: bool = True, natural: bool = False) -> MDP:
    """The MDP of Blackjack-v1, with discount 1; action 0 sticks, 1 hits.

    Args:
        sab: the rules of Sutton & Barto, Gymnasium's default: a natural wins against
            everything but a natural.
        natural: without sab, a win with a natural pays 1.5.

    Source: Sutton & Barto (2018), example 5.1.
    """
    S, end = len(HANDS) + 1, len(HANDS)
    next_states = torch.full((S, 2, 10), end)
    probabilities, rewards = torch.zeros(2, S, 2, 10, dtype=torch.float64)
    for state, hand in enumerate(HANDS):
        for k, (reward, chance) in enumerate(stick(hand, sab, natural).items()):
            probabilities[state, STICK, k], rewards[state, STICK, k] = chance, reward
        for k, (card, chance) in enumerate(CARDS.items()):
            total, usable = add_card(hand.player_sum, hand.usable_ace, card)
            probabilities[state, HIT, k] = chance
            if total > 21:
                rewards[state, HIT, k] = -1
            else:
                next_states[state, HIT, k] = INDEX[Hand(total, hand.dealer_card, usable)]
    start = torch.zeros(S, dtype=torch.float64)
    for (a, b, dealer), chance in _deals().items():
        total, usable = add_card(*add_card(0, 0, a), b)
        start[INDEX[Hand(total, dealer, usable, int({a, b} == {ACE, TEN}))]] += chance
    terminal = torch.arange(S) == end
    return MDP.from_successors(
        next_states, probabilities, rewards, discount=1.0, start=start, terminal=terminal
    )


def add_card(total: int, usable_ace: int, card: int) -> tuple[int, int]:
    """The new sum and whether an ace is usable; a sum above 21 is a bust."""
    total, usable_ace = (
        (total + 11, 1) if card == ACE and total <= 10 else (total + card, usable_ace)
    )
    return (total - 10, 0) if total > 21 and usable_ace else (total, usable_ace)


@cache
def dealer_outcomes(card: int) -> dict[tuple[int, bool], float]:
    """The chances of the dealer's final (sum, natural) from the card that shows; 0 is a bust."""
    outcomes: dict[tuple[int, bool], float] = {}

    def play(total: int, usable: int, chance: float, natural: bool) -> None:
        if total >= DEALER_STANDS:
            final = (BUST if total > 21 else total, natural)
            outcomes[final] = outcomes.get(final, 0.0) + chance
            return
        for drawn, share in CARDS.items():
            play(*add_card(total, usable, drawn), chance * share, False)

    for hole, share in CARDS.items():
        hand = add_card(*add_card(0, 0, card), hole)
        play(*hand, share, {card, hole} == {ACE, TEN})
    return outcomes


def stick(hand: Hand, sab: bool, natural: bool) -> dict[float, float]:
    """The chances of each reward on sticking."""
    chances: dict[float, float] = {}
    for (dealer, dealer_natural), chance in dealer_outcomes(hand.dealer_card).items():
        reward = float(hand.player_sum > dealer) - float(hand.player_sum < dealer)
        if sab and hand.natural and not dealer_natural:
            reward = 1.0
        elif natural and not sab and hand.natural and reward == 1.0:
            reward = 1.5
        chances[reward] = chances.get(reward, 0.0) + chance
    return chances


def _deals() -> dict[tuple[int, int, int], float]:
    """The player's two cards and the dealer's one, with their chances."""
    return {
        (a, b, dealer): CARDS[a] * CARDS[b] * CARDS[dealer]
        for a, b, dealer in product(CARDS, repeat=3)
    }


def stick_from(player_sum: int = 20) -> torch.Tensor:
    """The policy (S,) that sticks on this sum or more, and else hits: figure 5.1 has 20."""
    actions = [STICK if hand.player_sum >= player_sum else HIT for hand in HANDS]
    return torch.tensor([*actions, STICK])


def exploring_starts() -> torch.Tensor:
    """(S, A), uniform over the 200 states with a sum of 12 or more (no natural) and 2 actions."""
    chosen = [hand.player_sum >= 12 and not hand.natural for hand in HANDS]
    pairs = torch.tensor([*chosen, False], dtype=torch.float64).unsqueeze(1).expand(-1, 2)
    return pairs / pairs.sum()


def on_table(values: torch.Tensor) -> torch.Tensor:
    """Values or actions (..., S) as the book's figures show them: (..., 2, 10, 10).

    The axes are the usable ace (no, yes), the player's sum 12 .. 21, the dealer's card 1 .. 10;
    21 is the one that is not a natural.
    """
    states = [
        state_index(total, card, usable)
        for usable, total, card in product((0, 1), range(12, 22), range(1, 11))
    ]
    return values[..., states].unflatten(-1, (2, 10, 10))
