"""Reinforcement learning of language models: a solvable one, and small transformers."""
