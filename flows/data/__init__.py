"""Scenario files: validates them and downloads the official ones."""
