"""Prefect's side: flows, tasks, artifacts, deployments and notifications.  Import it after ``quiet_engines``."""
