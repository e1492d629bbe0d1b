"""Dice for principals that only choose between wordings.

Python's own generator holds 2.5 kB, which adds up where thousands of episodes with several principals each are in
flight.  This one holds a number, is made at no cost, and falls the same on any machine.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
_MASK = 2**64 - 1


class Dice(Protocol):
    """What a principal may ask of chance; ``random.Random`` will do as well."""

    def choice(self, seq: Sequence[T], /) -> T: ...


class SmallDice:
    """SplitMix64 (Steele, Lea and Flood 2014)."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def choice(self, seq: Sequence[T], /) -> T:
        """Any one of a sequence that is not empty."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return seq[((mixed ^ (mixed >> 31)) * len(seq)) >> 64]
