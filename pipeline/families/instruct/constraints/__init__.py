"""Verifiable constraints on a text: 25 kinds whose fulfilment a program can decide (Zhou et al. 2023, IFEval).

``constraint`` declares the kinds and their arguments, ``published`` decides as the released scorer does, and
``corrected`` as a careful reader would.  ``sentences`` and ``languages`` wrap the two libraries that the rules need.
"""
