"""Checks of the requirements of a run; each module checks one of them."""
