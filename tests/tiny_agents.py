"""The five deep learners with settings of six quick updates, of 16 steps or two episodes."""

from rlbook.deep import actor_critic, dqn, ppo, reinforce, trpo

COMMON = {"num_evals": 3, "evaluation_episodes": 2, "hidden_sizes": (8,), "num_envs": 2}
SMALL = ppo.Config(total_steps=96, rollout_steps=8, num_epochs=1, **COMMON)
AGENTS = {
    actor_critic: actor_critic.Config(total_steps=96, rollout_steps=8, **COMMON),
    dqn: dqn.Config(
        total_steps=96, rollout_steps=8, learning_starts=30, batch_size=4, replay_capacity=64,
        **COMMON,
    ),
    ppo: SMALL,
    reinforce: reinforce.Config(total_episodes=12, max_steps=20, **COMMON),
    trpo: trpo.Config(total_steps=96, rollout_steps=8, **COMMON),
}  # fmt: skip
