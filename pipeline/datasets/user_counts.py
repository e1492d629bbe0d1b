"""Numbers of users in the scenarios of a generated dataset."""

from math import gcd

MIN_USERS = 2
MAX_USERS = 30
"""Largest number of users in the paper's scaling experiments."""


def user_count_at(user_counts: range, position: int, shift: int = 0) -> int:
    """Returns the number of users of the scenario at a position of a dataset.

    Any ``len(user_counts)`` consecutive positions contain each number once, and the first few already span small and
    large ones.  *shift* rotates the order, so that repetitions of a setting get different numbers.
    """
    count = len(user_counts)
    stride = next(s for s in range(max(1, 2 * count // 5), count + 2) if gcd(s, count) == 1)
    return user_counts[(position * stride + shift) % count]
