"""``muses score``: the scores of replies recorded elsewhere agree with the published scorer."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from muses_eval.flows.cli import main

from tests.shared import OFFICIAL, SHARED, golden, needs_shared

FOLDERS = {"queue": "shared_llm_queue", "access": "access_control"}


def scored(capsys: pytest.CaptureFixture[str], *arguments: str) -> Iterator[dict[str, Any]]:
    """Runs ``muses score`` and yields its output, one JSON object per line."""
    code = main(["score", *arguments])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return map(json.loads, out.splitlines())


def expected(family: str, pair: dict[str, Any]) -> dict[str, float]:
    """Returns the published figures of a pair under our names; replies without JSON have fewer figures."""
    theirs = pair["expected"]
    if family == "access":
        return {"privacy": theirs["privacy_score"], "utility": theirs["utility_score"]}
    ours = {metric: theirs[metric] for metric in ("f1", "accuracy", "mais", "precision") if metric in theirs}
    return {**ours, "parse_ok": float(theirs["parsed_ok"])}


@needs_shared
@pytest.mark.parametrize("root", [False, True], ids=["own-folder", "official-root"])
@pytest.mark.parametrize("family", sorted(FOLDERS))
def test_all_recorded_pairs_agree(capsys: pytest.CaptureFixture[str], family: str, root: bool) -> None:
    dataset = OFFICIAL if root else OFFICIAL / FOLDERS[family]
    cases = SHARED / "golden" / f"{family}.jsonl"
    lines = list(scored(capsys, family, "--dataset", str(dataset), "--cases", str(cases)))
    pairs = list(golden(family))
    assert [line["case_id"] for line in lines] == [pair["case_id"] for pair in pairs]
    assert len(pairs) > 100
    for line, pair in zip(lines, pairs, strict=True):
        figures = expected(family, pair)
        assert {metric: line.get(metric) for metric in figures} == pytest.approx(figures), pair["case_id"]


@needs_shared
def test_the_corrected_scoring_is_another_one(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (
        "queue",
        "--dataset",
        str(OFFICIAL / FOLDERS["queue"]),
        "--cases",
        str(SHARED / "golden" / "queue.jsonl"),
    )
    published = list(scored(capsys, *arguments))
    corrected = list(scored(capsys, *arguments, "--scoring=corrected"))
    assert [line["case_id"] for line in published] == [line["case_id"] for line in corrected]
    assert published != corrected
