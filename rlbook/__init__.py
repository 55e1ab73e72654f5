"""Reinforcement learning, from the definition of a return to GRPO on a language model."""
