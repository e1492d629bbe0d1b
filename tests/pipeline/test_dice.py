"""Dice that hold one number."""

from collections import Counter

import pytest
from muses_eval.pipeline.rng import SmallDice


def test_known_numbers() -> None:
    """SplitMix64's first numbers from seed 0, read off their upper eight bits."""
    dice, bytes_ = SmallDice(0), range(256)
    assert [dice.choice(bytes_) for _ in range(3)] == [0xE2, 0x6E, 0x06]


def test_every_element_is_chosen_about_as_often() -> None:
    dice = SmallDice(2**63 - 1)
    counts = Counter(dice.choice("abcdefg") for _ in range(70_000))
    assert sorted(counts) == list("abcdefg")
    assert all(count == pytest.approx(10_000, rel=0.05) for count in counts.values())


def test_the_same_seed_falls_the_same_and_another_one_otherwise() -> None:
    first, again, other = (SmallDice(seed) for seed in (5, 5, 6))
    thrown = [[dice.choice("ab") for _ in range(64)] for dice in (first, again, other)]
    assert thrown[0] == thrown[1] != thrown[2]
