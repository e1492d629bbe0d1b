"""Nights: their run ids, their reports, and the sealed nights before them."""

from dataclasses import replace
from datetime import date

import pytest
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.manifest import CellRecord, create_or_check, read_manifest, reopen
from muses_eval.storage.runs.nights import (
    Flag,
    Night,
    NightReport,
    canaries_before,
    report_of,
    rows_version,
    sealed_nights_before,
    store_report,
    stored_nights,
)
from muses_eval.storage.upkeep.compaction import compact

from tests.storage.samples import MANIFEST, SAMPLE

TONIGHT = Night("nightly", date(2026, 11, 23))
FLAG = Flag(
    kind="drift",
    model="m",
    column="privacy",
    now=0.5,
    before=0.75,
    difference=-0.25,
    se=0.0625,
    p_adjusted=0.001,
    scenarios=20,
    against="nightly-canary-2026-11-20",
    runs=3,
)
REPORT = NightReport(
    run_id=TONIGHT.run_id,
    canary_id=TONIGHT.canary_id,
    store="here",
    started_at=SAMPLE.started_at,
    seconds=12.5,
    planned=4,
    scored=3,
    canary_planned=2,
    canary_scored=2,
    complete=False,
    budget_reached=False,
    cost_usd=None,
    cells_played=1,
    cells_reused=2,
    before=None,
    flags=(FLAG, replace(FLAG, kind="improvement")),
    problems=("1 x timeout: no answer",),
    notes=("a note",),
    site="here/site/runs/r/index.html",
)


def put(store: ObjectStore, *run_ids: str, sealed: bool = True) -> None:
    for run_id in run_ids:
        create_or_check(store, replace(MANIFEST, run_id=run_id))
        if sealed:
            compact(store, run_id)


def test_names() -> None:
    assert (TONIGHT.run_id, TONIGHT.canary_id) == ("nightly-2026-11-23", "nightly-canary-2026-11-23")
    assert Night.parse(TONIGHT.run_id) == TONIGHT
    assert Night.parse(TONIGHT.canary_id) == Night("nightly-canary", TONIGHT.day)
    for other in ("nightly", "nightly-2026-13-01", "2026-11-23", "nightly-2026-11-23-x", "nightly-2026-1-3"):
        assert Night.parse(other) is None


def test_a_report_comes_back_as_it_was(store: ObjectStore) -> None:
    """The report is read from the manifest and keeps its cells, also after reopening."""
    cell = CellRecord(model="m", family="queue", template="says", content_key="0" * 32, played_in="nightly-2026-11-20")
    create_or_check(store, replace(MANIFEST, run_id=TONIGHT.run_id, cells=(cell,)))
    assert report_of(read_manifest(store, TONIGHT.run_id)) is None
    store_report(store, REPORT)
    reopen(store, TONIGHT.run_id)
    stored = read_manifest(store, TONIGHT.run_id)
    assert report_of(stored) == REPORT
    assert stored.cells == (cell,)
    assert (REPORT.coverage, REPORT.alarms) == (0.75, (FLAG,))


def test_a_report_of_another_version_is_named(store: ObjectStore) -> None:
    create_or_check(store, replace(MANIFEST, run_id=TONIGHT.run_id, night={"moon": "full"}))
    with pytest.raises(StoreError, match=r"'nightly-2026-11-23' has a night's report that cannot be read"):
        report_of(read_manifest(store, TONIGHT.run_id))


def test_sealed_nights_before_the_newest_first(store: ObjectStore) -> None:
    """Sealed nights of the same name are listed by day, whichever was played or sealed last."""
    put(store, "nightly-2026-11-21", "nightly-2026-11-24", "other-2026-11-22", "nightly-canary-2026-11-22", "nightly")
    put(store, "nightly-2026-11-22", sealed=False)
    put(store, "nightly-2026-11-20")
    assert [found.run_id for found in sealed_nights_before(store, TONIGHT, 5)] == [
        "nightly-2026-11-21",
        "nightly-2026-11-20",
    ]
    assert [found.run_id for found in sealed_nights_before(store, TONIGHT, 1)] == ["nightly-2026-11-21"]
    assert [night.day.day for night in stored_nights(store, "nightly")] == [24, 22, 21, 20]
    assert sealed_nights_before(store, replace(TONIGHT, day=date(2026, 11, 20)), 5) == []


def test_a_night_that_cannot_be_read_is_passed_over(store: ObjectStore) -> None:
    put(store, "nightly-2026-11-20")
    for run_id in ("nightly-2026-11-21", "nightly-canary-2026-11-21"):
        store.put_if_absent(f"runs/{run_id}.json", b'{"manifest_version": 99}')
    assert [found.run_id for found in sealed_nights_before(store, TONIGHT, 5)] == ["nightly-2026-11-20"]
    assert canaries_before(store, TONIGHT, most=5) == []


def test_earlier_canaries_the_newest_first(store: ObjectStore) -> None:
    put(store, *(f"nightly-canary-2026-11-{day}" for day in (19, 20, 23, 24)), "nightly-2026-11-22", sealed=False)
    found = canaries_before(store, TONIGHT, most=2)
    assert [manifest.run_id for manifest in found] == ["nightly-canary-2026-11-20", "nightly-canary-2026-11-19"]
    assert len(canaries_before(store, TONIGHT, most=1)) == 1


def test_the_version_of_a_familys_rows() -> None:
    assert rows_version(replace(MANIFEST, made_with={"rows": {"queue": "abc"}}), "queue") == "abc"
    assert rows_version(replace(MANIFEST, made_with={"rows": {"queue": "abc"}}), "access") is None
    assert rows_version(MANIFEST, "queue") is None
