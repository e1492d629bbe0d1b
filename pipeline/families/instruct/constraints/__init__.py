"""Verifiable constraints on a text: the 25 kinds of IFEval (Zhou et al. 2023) that a program can check.

:mod:`constraint` declares the kinds and their arguments.  :mod:`published_checkers` checks them like the released
scorer, :mod:`corrected_checkers` like a careful reader.  :mod:`sentences` and :mod:`languages` wrap the libraries that
split sentences and detect languages.
"""
