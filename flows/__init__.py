"""Runs, sweeps and nights, with and without Prefect, and the command line."""
