"""Scenario files: checking them and fetching the official ones."""
