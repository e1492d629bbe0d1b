"""The corrected scoring agrees with a careful reader's verdicts, and docs/scoring.md names every exception."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from muses_eval.pipeline.agreement.verdict import Verdict, judge
from muses_eval.pipeline.datasets.dataset import dataset_from_rows
from muses_eval.storage.objects.dataset_files import read_rows

from tests.shared import GOLDEN, OFFICIAL, needs_shared

FILES = ("access", "queue", "instruct", "meeting", "consent")
DOCS = Path(__file__).parents[2] / "docs" / "scoring.md"
TARGET = 0.97


@pytest.fixture(scope="module")
def verdicts() -> Mapping[str, Sequence[Verdict]]:
    """Family -> all verdicts."""
    scenarios = dataset_from_rows("official", read_rows(str(OFFICIAL))).by_family
    by_family: defaultdict[str, list[Verdict]] = defaultdict(list)
    for name in FILES:
        for _, _, case in read_rows(str(GOLDEN / "fuzz" / f"corrected_{name}.jsonl.gz")):
            if (verdict := judge(case, scenarios)) is not None:
                by_family[verdict.family].append(verdict)
    return by_family


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("family", ["queue", "instruct", "access", "meeting"])
def test_the_target_is_reached(verdicts: Mapping[str, Sequence[Verdict]], family: str) -> None:
    agreeing = [verdict.agrees for verdict in verdicts[family]]
    assert sum(agreeing) / len(agreeing) >= TARGET


@pytest.mark.slow
@needs_shared
def test_every_exception_is_in_the_docs(verdicts: Mapping[str, Sequence[Verdict]]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    exceptions = [verdict.name for judged in verdicts.values() for verdict in judged if not verdict.agrees]
    assert [name for name in exceptions if name not in text] == []
