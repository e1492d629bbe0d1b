"""A sweep: all runs of a parameter grid on one executor and one budget."""
