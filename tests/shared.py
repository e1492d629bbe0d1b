"""Paths of the official scenarios and the recorded pairs, which some developers have beside the checkout."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
OFFICIAL = SHARED / "muses-bench" / "official" / "data" / "scenarios"
GOLDEN = SHARED / "golden"

needs_shared = pytest.mark.skipif(
    not (OFFICIAL.is_dir() or GOLDEN.is_dir()),  # if only one of the two is missing, tests fail
    reason="the official scenarios and golden pairs are not beside this checkout (../shared)",
)


def golden(name: str) -> Iterator[dict[str, Any]]:
    """Returns the recorded pairs of one family; splits at newlines only, since a pair may contain any character."""
    return map(json.loads, (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").strip().split("\n"))


def fuzz(name: str) -> list[dict[str, Any]]:
    """Returns the lines of one file of ``golden/fuzz``."""
    with gzip.open(GOLDEN / "fuzz" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return list(map(json.loads, file))
