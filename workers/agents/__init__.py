"""Plays episodes with agents, harnesses around a model, instead of the model alone."""
