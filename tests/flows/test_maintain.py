"""Maintenance compacts complete runs, deletes old ones by the rules and reports damage; a dry run changes nothing."""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.flows.nightly.maintain import MaintainReport, maintain
from muses_eval.flows.nightly.night_text import upkeep_lines
from muses_eval.pipeline.config.schedule import MaintainConfig, RetentionConfig
from muses_eval.storage.objects.object_keys import ShardKey, lock_key, manifest_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import CellRecord, create_or_check, list_run_ids, read_manifest, update_manifest
from muses_eval.storage.runs.run_lock import hold_run_lock
from muses_eval.storage.runs.shards import write_shard
from muses_eval.storage.upkeep.compaction import compact

from tests.storage.samples import MANIFEST, episode, failed

RULES = MaintainConfig(retention=(RetentionConfig(name="nightly-*", days=30), RetentionConfig(name="*-01", days=30)))
LONG_AGO_S = 40 * 24 * 3600.0


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path / "store"))


def put(store: ObjectStore, run_id: str, *, scored: int = 2, planned: int = 2) -> None:
    create_or_check(store, replace(MANIFEST, run_id=run_id, planned={("model-a", "queue"): planned}))
    rows = [episode((run_id, number), run_id=run_id) for number in range(scored)]
    rows += [failed((run_id, number), run_id=run_id) for number in range(scored, planned)]
    write_shard(store, ShardKey(run_id, "model-a", "queue", 0, 1), rows)


def age(store: ObjectStore, run_id: str) -> None:
    """Sets the modification times of a run's files to a time long ago."""
    then = time.time() - LONG_AGO_S
    for path in Path(store.url).rglob("*"):
        if path.is_file() and run_id in str(path):
            os.utime(path, (then, then))


def look_after(store: ObjectStore, rules: MaintainConfig = RULES, *, dry_run: bool = False) -> MaintainReport:
    return asyncio.run(maintain(store, rules, dry_run=dry_run))


def filled(store: ObjectStore) -> None:
    """Writes runs that are complete, incomplete, sealed, old (one of them matched by two rules) and damaged."""
    put(store, "whole")
    put(store, "owing", scored=1)
    put(store, "done")
    compact(store, "done")
    for run_id in ("nightly-2026-01-01", "nightly-2026-02-02", "keep-2026-02-02"):
        put(store, run_id)
        age(store, run_id)
    put(store, "broken")
    (Path(store.url) / str(ShardKey("broken", "model-a", "queue", 0, 1))).write_bytes(b"no parquet")


def test_one_upkeep(store: ObjectStore) -> None:
    """One maintenance handles every state in which a night may leave runs; a second one has nothing to do."""
    filled(store)
    report = look_after(store)
    assert {run.run_id for run in report.deleted} == {"nightly-2026-01-01", "nightly-2026-02-02"}
    assert set(report.sealing.sealed) == {"whole", "keep-2026-02-02"}
    assert set(report.sealing.left_open) == {"owing", "broken"}
    assert "1 of 2 episodes are scored; starting it again plays the rest" in report.sealing.left_open["owing"]
    assert "damaged: traces/run=broken" in report.sealing.left_open["broken"]
    assert {check.run_id for check in report.checks if check.findings} == {"broken"}
    assert not report.is_whole
    states = {run_id: read_manifest(store, run_id).state for run_id in list_run_ids(store)}
    assert states.pop("owing") == states.pop("broken") == "open"
    assert set(states.values()) == {"sealed"}
    again = look_after(store)
    assert (again.sealing.sealed, again.deleted) == ((), ())


def test_a_night_that_has_not_come_to_an_end_is_left_to_itself(store: ObjectStore) -> None:
    """An unfinished night is not sealed; the next night would reuse its cells and never report its flags."""
    for run_id in ("nightly-2026-11-20", "nightly-canary-2026-11-20"):
        put(store, run_id)
        cells = (CellRecord(model="model-a", family="queue", template="says", content_key="k", played_in=run_id),)
        update_manifest(store, run_id, lambda manifest, cells=cells: replace(manifest, cells=cells))
    report = look_after(store, MaintainConfig())
    assert report.sealing.sealed == ("nightly-canary-2026-11-20",)
    assert "muses flow nightly CONFIG --date 2026-11-20" in report.sealing.left_open["nightly-2026-11-20"]


def test_old_runs_go_by_the_rules(store: ObjectStore) -> None:
    """Each old run is deleted once, sealed or not; without rules none is deleted."""
    put(store, "nightly-2026-01-01")
    put(store, "keep-2026-02-02")
    put(store, "nightly-2026-11-22")
    for run_id in ("nightly-2026-01-01", "keep-2026-02-02"):
        compact(store, run_id)
        age(store, run_id)
    assert look_after(store, MaintainConfig()).deleted == ()
    for dry_run in (True, False):
        report = look_after(store, dry_run=dry_run)
        assert [run.run_id for run in report.deleted] == ["nightly-2026-01-01"]
    assert list_run_ids(store) == ["keep-2026-02-02", "nightly-2026-11-22"]


def test_a_look_touches_nothing(store: ObjectStore) -> None:
    """A dry run reports what would be done and changes nothing."""
    filled(store)
    before = sorted(store.list(""))
    report = look_after(store, dry_run=True)
    assert [info[:2] for info in sorted(store.list("")) if not info.key.startswith("claims/")] == [
        info[:2] for info in before if not info.key.startswith("claims/")
    ]
    assert report.sealing.sealed == ("keep-2026-02-02", "whole")
    assert {run.run_id for run in report.deleted} == {"nightly-2026-01-01", "nightly-2026-02-02"}
    text = "\n".join(upkeep_lines(report))
    assert "would be sealed: keep-2026-02-02, whole" in text
    assert "would be deleted: nightly-2026-01-01, nightly-2026-02-02" in text
    assert "left open: owing: 1 of 2 episodes are scored" in text
    assert "broken: damaged: traces/run=broken" in text


def test_what_somebody_works_on_is_passed_over(store: ObjectStore) -> None:
    put(store, "nightly-2026-01-01")
    age(store, "nightly-2026-01-01")
    with hold_run_lock(store, "nightly-2026-01-01", "muses run"):
        report = look_after(store)
    assert "held by `muses run`" in report.sealing.left_open["nightly-2026-01-01"]
    assert "held by `muses run`" in report.held["nightly-2026-01-01"]
    assert list_run_ids(store) == ["nightly-2026-01-01"]


def test_a_run_that_somebody_deletes_meanwhile_is_left_out(store: ObjectStore) -> None:
    put(store, "stays")
    put(store, "goes")

    async def behind_a_deletion(name: str, work):  # type: ignore[no-untyped-def]
        if name == "verify":
            store.delete(manifest_key("goes"))
        return work()

    report = asyncio.run(maintain(store, RULES, stage=behind_a_deletion))
    assert [check.run_id for check in report.checks] == ["stays"]
    assert (report.sealing.sealed, report.is_whole) == (("stays",), True)


def test_garbage_goes_after_its_time(store: ObjectStore) -> None:
    put(store, "done")
    compact(store, "done")
    lost = str(ShardKey("gone", "model-a", "queue", 0, 1))
    store.put_if_absent(lost, b"of a run without a manifest")
    assert lost not in {each.key for each in look_after(store).garbage.garbage}
    age(store, "run=gone")
    assert lost in {each.key for each in look_after(store, dry_run=True).garbage.garbage}
    assert lost in {each.key for each in look_after(store).garbage.garbage}
    assert lost not in {info.key for info in store.list("")}


def test_an_empty_store(store: ObjectStore) -> None:
    report = look_after(store)
    assert (report.checks, report.sealing.sealed, report.deleted, report.is_whole) == ((), (), (), True)
    assert not list(store.list(lock_key("x")))


def test_stages_can_be_run_by_somebody_else(store: ObjectStore) -> None:
    seen: list[str] = []

    async def note(name: str, work):  # type: ignore[no-untyped-def]
        seen.append(name)
        return work()

    asyncio.run(maintain(store, RULES, stage=note))
    assert seen == ["retention", "verify", "seal", "gc"]
