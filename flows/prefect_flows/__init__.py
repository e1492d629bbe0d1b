"""Prefect flows, tasks, artifacts, deployments and notifications.  Import it after ``set_environment_defaults``."""
