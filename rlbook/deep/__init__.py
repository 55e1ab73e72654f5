"""Part III: deep learners, one file each; all have a Config, make_networks, a loss and train."""

from rlbook.deep import actor_critic, dqn, ppo, reinforce, trpo
from rlbook.deep.parts.joining import join
from rlbook.deep.parts.keeping import Keep
from rlbook.deep.parts.recording import record

__all__ = [
    "Keep",
    "actor_critic",
    "dqn",
    "join",
    "ppo",
    "record",
    "reinforce",
    "trpo",
]
