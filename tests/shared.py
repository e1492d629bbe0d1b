"""Where the official scenarios and the recorded pairs lie, for those who have them beside the checkout."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
OFFICIAL = SHARED / "muses-bench" / "official" / "data" / "scenarios"
GOLDEN = SHARED / "golden"

needs_shared = pytest.mark.skipif(
    not (OFFICIAL.is_dir() or GOLDEN.is_dir()),  # where one of the two is missing, tests fail
    reason="the official scenarios and golden pairs are not beside this checkout (../shared)",
)


def golden(name: str) -> Iterator[dict[str, Any]]:
    """The pairs of one family; read as lines, since a pair may hold any character."""
    return map(json.loads, (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").strip().split("\n"))
