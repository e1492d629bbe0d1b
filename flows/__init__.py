"""Runs, sweeps and nightly evaluations, with and without Prefect, and the command line."""
