"""How many users the scenarios of a generated dataset have."""

from math import gcd

SMALLEST = 2
LARGEST = 30
"""The paper's scale experiments go so far."""


def crowd(sizes: range, position: int, shift: int = 0) -> int:
    """The number of users at a position of a dataset; *shift* turns the order, so that repetitions meet other sizes.

    Any ``len(sizes)`` positions in a row hold each size once, and a few of them already span small and large.
    """
    count = len(sizes)
    stride = next(s for s in range(max(1, 2 * count // 5), count + 2) if gcd(s, count) == 1)
    return sizes[(position * stride + shift) % count]
