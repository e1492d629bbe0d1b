"""Checks of everything that a run needs: one module for each kind of thing."""
