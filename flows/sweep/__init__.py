"""Sweeps: all runs of a parameter grid on one executor, with one budget."""
