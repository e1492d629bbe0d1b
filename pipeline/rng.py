"""Random number generator of scripted users, which only choose between wordings.

``random.Random`` has a state of 2.5 kB, which adds up when thousands of episodes with several principals each are in
flight.  :class:`SplitMix64` has a state of one integer, costs nothing to create, and gives the same numbers on every
machine.  The seeds come from :mod:`muses_eval.pipeline.seeds`.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
_MASK = 2**64 - 1


class RandomGenerator(Protocol):
    """The part of ``random.Random`` that scripted users need."""

    def choice(self, seq: Sequence[T], /) -> T: ...


class SplitMix64:
    """The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014)."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def choice(self, seq: Sequence[T], /) -> T:
        """Returns a random element of a sequence, which must not be empty."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return seq[((mixed ^ (mixed >> 31)) * len(seq)) >> 64]
