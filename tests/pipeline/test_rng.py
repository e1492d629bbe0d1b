"""The random number generator of scripted users."""

from collections import Counter

import pytest
from muses_eval.pipeline.rng import SplitMix64


def test_known_numbers() -> None:
    """The first numbers of SplitMix64 from seed 0, by their upper eight bits."""
    rng, bytes_ = SplitMix64(0), range(256)
    assert [rng.choice(bytes_) for _ in range(3)] == [0xE2, 0x6E, 0x06]


def test_every_element_is_chosen_about_as_often() -> None:
    rng = SplitMix64(2**63 - 1)
    counts = Counter(rng.choice("abcdefg") for _ in range(70_000))
    assert sorted(counts) == list("abcdefg")
    assert all(count == pytest.approx(10_000, rel=0.05) for count in counts.values())


def test_equal_seeds_give_equal_numbers() -> None:
    first, again, other = (SplitMix64(seed) for seed in (5, 5, 6))
    drawn = [[rng.choice("ab") for _ in range(64)] for rng in (first, again, other)]
    assert drawn[0] == drawn[1] != drawn[2]
