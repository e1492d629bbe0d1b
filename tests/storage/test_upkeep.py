"""Inventory, verification, garbage collection and retention."""

import itertools
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.folder_store import FolderStore
from muses_eval.storage.objects.inventory import by_run, last_modified, storage_usage, take_inventory
from muses_eval.storage.objects.object_keys import RescoredKey, SealedKey, ShardKey, lock_key, manifest_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import create_or_check, read_manifest, reopen
from muses_eval.storage.runs.rescored import RescoredEpisode, write_rescored
from muses_eval.storage.runs.run_lock import HEARTBEAT, hold_run_lock
from muses_eval.storage.runs.shards import read_index, write_shard
from muses_eval.storage.upkeep.compaction import compact
from muses_eval.storage.upkeep.garbage_collection import collect_garbage
from muses_eval.storage.upkeep.retention import ExpiredRun, RetentionRule, expired_runs, prune_runs
from muses_eval.storage.upkeep.verify import Defect, VerificationReport, verify

from tests.conftest import Muses
from tests.storage.crashing_store import WatchedStore
from tests.storage.samples import MANIFEST, SAMPLE, episode, failed

SHARD = ShardKey("run-a", "model-a", "queue", 0, 1)
FOREIGN = {
    "notes.txt": b"not ours",
    "traces/run=run-a/model=model-a/family=queue/notes.parquet": b"not ours",
    "sealed/run=run-a/notes.parquet": b"not ours",
    "runs/notes.txt": b"not ours",
    "cache/ab/cd.json": b"{}",
    "site/index.html": b"<html>",
}
ANY_AGE = -5
"""A negative grace period, because S3 rounds times to seconds and a new object may look newer than now."""
PART = RescoredKey("run-a", "queue", 2, 0)


def fill(store: ObjectStore, run_id: str = "run-a") -> None:
    """Stores a run of two shards, one with a key of version 0.1, with one failed episode; and foreign files."""
    create_or_check(store, replace(MANIFEST, run_id=run_id, planned={("model-a", "queue"): 4}))
    key = replace(SHARD, run_id=run_id)
    write_shard(store, key, [episode(1, run_id=run_id), failed(2, run_id=run_id)])
    write_shard(store, replace(key, number=1, is_old=True), [episode(3, run_id=run_id, shard=1)])
    for name, data in FOREIGN.items():
        store.put_if_absent(name, data)


def keys(store: ObjectStore) -> set[str]:
    return {info.key for info in store.list("") if not info.key.startswith("claims/")}


def count(store: ObjectStore) -> int:
    with connect(store.url) as connection:
        (number,) = connection.execute("SELECT count(*) FROM episodes").fetchall()[0]
    return int(number)


def overwrite(store: ObjectStore, key: str, data: bytes) -> None:
    """Overwrites an object, like a failing disk."""
    assert store.replace(key, data, store.read(key).tag)


# inventory


def test_every_object_has_a_kind(store: ObjectStore) -> None:
    """Foreign objects have a kind too; the inventory of a run has only its own objects."""
    fill(store)
    fill(store, "run-ab")
    compact(store, "run-ab")
    found = {(each.run_id, each.kind): each.objects for each in storage_usage(take_inventory(store))}
    assert found == {
        ("run-a", "manifest"): 1,
        ("run-a", "shard"): 2,
        ("run-ab", "claim"): 1,
        ("run-ab", "manifest"): 1,
        ("run-ab", "sealed"): 1,
        (None, "cache"): 1,
        (None, "foreign"): 4,
        (None, "site"): 1,
    }
    total = sum(each.bytes for each in storage_usage(take_inventory(store)))
    assert total == sum(info.size for info in store.list(""))
    assert {item.run_id for item in take_inventory(store, "run-a")} == {"run-a"}
    assert len(take_inventory(store, "run-ab")) == len(by_run(take_inventory(store))["run-ab"]) == 3


# verify


def test_a_whole_run(store: ObjectStore) -> None:
    """An open and a sealed run have no defects; foreign files are ignored."""
    fill(store)
    check = verify(store, "run-a")
    assert check == VerificationReport("run-a", "open", 4, 3, 2, 2, check.bytes, ())
    compact(store, "run-a")
    sealed = verify(store, "run-a")
    assert sealed == VerificationReport("run-a", "sealed", 4, 3, 2, 1, sealed.bytes, ())


@pytest.mark.parametrize("cut", [slice(0, 0), slice(0, -20), slice(20, None), slice(0, 100)])
def test_a_damaged_shard(store: ObjectStore, cut: slice) -> None:
    """The damaged shard is reported with the lost episodes; the others are counted."""
    fill(store)
    overwrite(store, str(SHARD), store.get(str(SHARD))[cut])
    check = verify(store, "run-a")
    (finding,) = check.findings
    assert (finding.key, finding.trouble) == (str(SHARD), "damaged")
    assert finding.lost == "shard 0 of model-a on queue, attempt 1"
    assert (check.stored, check.scored) == (1, 1)


def test_a_flipped_bit_in_a_sealed_object(store: ObjectStore) -> None:
    """A changed bit anywhere in the object is found, since the manifest has the digest of the whole object."""
    fill(store)
    compact(store, "run-a")
    (entry,) = read_manifest(store, "run-a").sealed
    whole = store.get(entry.key)
    for place in (len(whole) // 3, len(whole) // 2, len(whole) - 30):
        broken = bytearray(whole)
        broken[place] ^= 1
        overwrite(store, entry.key, bytes(broken))
        (finding,) = verify(store, "run-a").findings
        assert finding.key == entry.key
        assert finding.trouble in ("damaged", "changed")
        assert finding.lost == "3 episodes"
    store.delete(entry.key)
    assert verify(store, "run-a").findings == (
        Defect(entry.key, "missing", "the manifest names it, but it does not exist", "3 episodes"),
    )


def test_rows_of_another_run(store: ObjectStore) -> None:
    """An object that was copied to a wrong key is reported."""
    fill(store)
    write_shard(store, replace(SHARD, number=2), [episode(9, run_id="run-b")])
    (finding,) = verify(store, "run-a").findings
    assert (finding.trouble, finding.problem) == ("misplaced", "it contains rows of run-b")


@pytest.mark.parametrize("data", [b"", b"{}", b'{"manifest_version": 99, "schema_version": 2}'])
def test_a_manifest_that_cannot_be_read(store: ObjectStore, data: bytes) -> None:
    """A damaged or newer manifest is reported as a defect."""
    store.put_if_absent(manifest_key("run-a"), data)
    check = verify(store, "run-a")
    assert [finding.trouble for finding in check.findings] == ["unreadable"]


def test_damaged_new_scores(store: ObjectStore) -> None:
    """The report says how to compute the scores again."""
    fill(store)
    store.put_if_absent(str(PART), b"PAR1")
    (finding,) = verify(store, "run-a").findings
    assert (finding.trouble, finding.lost) == ("damaged", "new scores of queue: `muses rescore` makes them again")


@pytest.mark.parametrize("sealed_before", [False, True])
def test_a_run_that_is_sealed_while_it_is_verified(sealed_before: bool, store: ObjectStore) -> None:
    """A compaction at any step of the verification causes no defect, and every episode is counted."""
    for moment in itertools.count():
        name = f"run-{moment}"
        fill(store, name)
        if sealed_before:
            compact(store, name)
            reopen(store, name)
            again = replace(SHARD, run_id=name, attempt=2)
            write_shard(store, again, [episode(2, run_id=name, attempt=2)])
        moments, one_by_one = iter([*[False] * moment, True]), threading.Lock()

        def step(
            _: str, name: str = name, moments: Iterator[bool] = moments, lock: threading.Lock = one_by_one
        ) -> None:
            with lock:
                if next(moments, False):
                    compact(store, name)

        check = verify(WatchedStore(store, step), name)
        assert (check.stored, check.scored, check.findings) == (3, 3 if sealed_before else 2, ()), moment
        if next(moments, False):  # the verification ended before this step
            assert moment > 4
            return


def test_verifying_while_another_process_seals(store: ObjectStore) -> None:
    """Repeated compactions during a verification cause no defect."""
    fill(store)
    script = (
        "import sys; from tests.storage.test_upkeep import *; store = open_store(sys.argv[1])\n"
        "for attempt in range(2, 6):\n"
        "    reopen(store, 'run-a')\n"
        "    write_shard(store, replace(SHARD, attempt=attempt), [failed(2, attempt=attempt)])\n"
        "    print(compact(store, 'run-a').episodes, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, store.url], stdout=subprocess.PIPE, text=True) as other:
        checks = 0
        while other.poll() is None:
            check = verify(store, "run-a")
            assert (check.stored, check.scored, check.findings) == (3, 2, ())
            checks += 1
        assert other.stdout is not None
        assert other.stdout.read().split() == ["3"] * 4
    assert checks > 1


def test_verifying_ends(store: ObjectStore) -> None:
    """The verification ends with an error when the run is compacted at every attempt."""
    fill(store)
    attempts = itertools.count(2)

    def step(key: str) -> None:
        if key.startswith("sealed/"):
            attempt = next(attempts)
            reopen(store, "run-a")
            write_shard(store, replace(SHARD, attempt=attempt), [failed(2, attempt=attempt)])
            compact(store, "run-a")

    compact(store, "run-a")
    with pytest.raises(StoreError, match=r"the run 'run-a' kept being compacted while it was read; start the command"):
        verify(WatchedStore(store, step), "run-a")
    assert verify(store, "run-a").findings == ()


# The index of a damaged run


def test_what_a_damaged_shard_held_is_owed_again(store: ObjectStore) -> None:
    """The episodes of the other shards stay scored, and the next attempt has another key."""
    fill(store)
    overwrite(store, str(SHARD), b"PAR1")
    index = read_index(store, "run-a")
    assert index.scored == {episode(3).episode_id}
    assert list(index.damaged) == [str(SHARD)]
    assert index.next_attempt("model-a", "queue", 0) == 2


def test_a_sealed_object_is_given_up_by_hand_only(store: ObjectStore) -> None:
    """Episodes in a damaged sealed object are never replayed silently; deleting the object makes them pending."""
    fill(store)
    compact(store, "run-a")
    (entry,) = read_manifest(store, "run-a").sealed
    overwrite(store, entry.key, b"PAR1")
    with pytest.raises(Exception, match=r"Put back a copy of it, or delete it to have its episodes played again"):
        read_index(store, "run-a")
    store.delete(entry.key)
    index = read_index(store, "run-a")
    assert (index.scored, index.damaged) == (frozenset(), {entry.key: "there is no such object"})
    reopen(store, "run-a")
    write_shard(store, SHARD, [episode(1)])
    assert compact(store, "run-a").episodes == 1
    assert verify(store, "run-a").findings == ()


# gc


def create_garbage(store: ObjectStore) -> set[str]:
    """Creates garbage of every kind and returns its keys."""
    fill(store)
    compact(store, "run-a")
    (entry,) = read_manifest(store, "run-a").sealed
    orphan = str(SealedKey("run-a", 0, "0" * 16))
    gone = str(replace(SHARD, run_id="run-gone"))
    spent = [RescoredEpisode("run-a", episode(1).episode_id, 1, SAMPLE.scores)]
    store.put_if_absent(orphan, store.get(entry.key))
    write_shard(store, SHARD, [episode(1), failed(2)])  # left by a compaction that was interrupted while it deleted
    write_rescored(store, replace(PART, version=1), spent)
    write_shard(store, replace(SHARD, run_id="run-gone"), [episode(1, run_id="run-gone")])
    return {orphan, gone, str(SHARD), str(replace(PART, version=1))}


def test_garbage_goes_and_nothing_else(store: ObjectStore) -> None:
    """Sealed, foreign and not yet sealed objects stay; a dry run reports the same garbage and deletes nothing."""
    garbage = create_garbage(store)
    late = replace(SHARD, number=5)
    write_shard(store, late, [episode("late", shard=5)])
    newer = [RescoredEpisode("run-a", episode(1).episode_id, 2, SAMPLE.scores)]
    write_rescored(store, PART, newer)
    before, counted = keys(store), count(store)
    looked = collect_garbage(store, ANY_AGE, dry_run=True)
    assert {each.key for each in looked.garbage if not each.key.startswith("claims/")} == garbage
    assert keys(store) == before
    done = collect_garbage(store, ANY_AGE)
    assert {each.key for each in done.garbage if not each.key.startswith("claims/")} == garbage
    assert keys(store) == before - garbage
    assert {str(late), str(PART), *FOREIGN} <= keys(store)
    assert count(store) == counted - 1  # the shard of the deleted run
    assert list(store.list(lock_key("run-gone"))) == []


def test_what_is_young_stays(store: ObjectStore) -> None:
    """Young objects are kept, since a process may be writing them."""
    garbage = create_garbage(store)
    assert collect_garbage(store).garbage == ()
    assert garbage <= keys(store)


def test_a_held_run_is_passed_over(store: ObjectStore) -> None:
    """A run whose lock is held is skipped, and the report names the holder."""
    garbage = create_garbage(store)
    with hold_run_lock(store, "run-a", "muses store seal", replace(HEARTBEAT, interval_s=0.01)):
        done = collect_garbage(store, ANY_AGE)
    assert list(done.held) == ["run-a"]
    assert {key for key in garbage if "run-a/" in key} <= keys(store)


@pytest.mark.parametrize("data", [b"", b'{"manifest_version": 99, "schema_version": 2}'])
def test_a_run_that_cannot_be_understood_is_left_alone(store: ObjectStore, data: bytes) -> None:
    """A run with a newer manifest is skipped, since that version may reference the objects."""
    create_garbage(store)
    overwrite(store, manifest_key("run-a"), data)
    before = {key for key in keys(store) if "run-a/" in key}
    collect_garbage(store, ANY_AGE)
    assert {key for key in keys(store) if "run-a/" in key} == before


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    """Reading a store creates no folder."""
    store = open_store(str(tmp_path / "store"))
    assert collect_garbage(store).garbage == ()
    assert prune_runs(store, RetentionRule(older_than_s=0)).runs == ()
    assert not (tmp_path / "store").exists()


def test_temporary_files_of_killed_writers(tmp_path: Path) -> None:
    """Old temporary files are deleted, new ones are kept; the lock file is always kept."""
    store = FolderStore(tmp_path)
    fill(store)
    compact(store, "run-a")
    old, young, check = (tmp_path / "runs" / ".put-old", tmp_path / "runs" / ".put-young", tmp_path / ".check-old")
    for path in (old, young, check):
        path.write_bytes(b"ha")
    locks = list(tmp_path.rglob(".lock"))
    assert locks
    for path in (old, check, *locks):
        os.utime(path, (1, 1))
    done = collect_garbage(store)
    assert {each.key for each in done.garbage} == {"runs/.put-old", ".check-old"}
    assert [path.exists() for path in (old, young, check, *locks)] == [False, True, False, *([True] * len(locks))]


def test_a_clock_that_jumped(tmp_path: Path) -> None:
    """Objects with a time in the future are kept."""
    store = FolderStore(tmp_path)
    garbage = create_garbage(store)
    for key in garbage:
        os.utime(tmp_path / key, (time.time() + 10**9,) * 2)
    collect_garbage(store, 3600)
    assert garbage <= keys(store)


# prune


def test_whole_runs_go_by_name(store: ObjectStore) -> None:
    """All objects of the run are deleted, lock objects included; other runs and foreign files are kept."""
    for run_id in ("nightly-1", "nightly-2", "sweep-1"):
        fill(store, run_id)
    compact(store, "nightly-2")
    before = keys(store)
    looked = prune_runs(store, RetentionRule(name="nightly-*"), dry_run=True)
    assert [run.run_id for run in looked.runs] == ["nightly-1", "nightly-2"]
    assert keys(store) == before
    assert [run.run_id for run in prune_runs(store, RetentionRule(name="nightly-*")).runs] == ["nightly-1", "nightly-2"]
    assert keys(store) == {key for key in before if "nightly" not in key}
    assert not [info.key for info in store.list("claims/") if "nightly" in info.key]
    assert prune_runs(store, RetentionRule(older_than_s=3600)).runs == ()


def test_age_is_since_the_last_change(tmp_path: Path) -> None:
    """A resumed run is not old; a change of the lock object does not count."""
    store = FolderStore(tmp_path)
    for run_id in ("old", "resumed", "held"):
        fill(store, run_id)
        for item in take_inventory(store, run_id):
            os.utime(tmp_path / item.info.key, (1000, 1000))
    os.utime(tmp_path / str(replace(SHARD, run_id="resumed")), (5000, 5000))
    store.put_if_absent(lock_key("held"), b"")
    runs = by_run(take_inventory(store))
    assert last_modified(runs["held"]) == 1000
    found = [run.run_id for run in expired_runs(runs, RetentionRule(older_than_s=3000), now=6000)]
    assert found == ["held", "old"]
    assert [type(run) for run in expired_runs(runs, RetentionRule(name="old"), now=0)] == [ExpiredRun]


def test_a_held_run_is_not_pruned(store: ObjectStore) -> None:
    """A run whose lock is held is kept."""
    fill(store)
    before = keys(store)
    with hold_run_lock(store, "run-a", "muses run", replace(HEARTBEAT, interval_s=0.01)):
        done = prune_runs(store, RetentionRule(name="*"))
    assert (done.runs, list(done.held)) == ((), ["run-a"])
    assert keys(store) == before


def test_a_run_that_went_on_meanwhile_is_not_pruned(tmp_path: Path) -> None:
    """A run that is written to after its selection is kept and not reported as deleted."""
    store = FolderStore(tmp_path)
    fill(store)
    for item in take_inventory(store):
        os.utime(tmp_path / item.info.key, (1000, 1000))

    def step(key: str) -> None:
        if key == manifest_key("run-a"):  # it checks again once it holds the lock
            write_shard(store, replace(SHARD, number=7), [episode("late", shard=7)])

    before = keys(store)
    assert prune_runs(WatchedStore(store, step), RetentionRule(older_than_s=3600)).runs == ()
    assert keys(store) == {*before, str(replace(SHARD, number=7))}


def test_a_pruning_that_was_cut_off_is_garbage(store: ObjectStore) -> None:
    """The manifest is deleted first, and garbage collection deletes the rest."""
    fill(store)
    store.delete(manifest_key("run-a"))
    assert {each.why for each in collect_garbage(store, ANY_AGE).garbage} == {"of a deleted run"}
    assert keys(store) == set(FOREIGN)


# The command line


def test_an_empty_store_says_so(muses: Muses) -> None:
    """The message suggests another ``--store``, since a misspelt folder looks like an empty store."""
    for command in ("ls", "verify"):
        done = muses("store", command, "--store=nowhere")
        assert (done.returncode, done.stdout) == (0, "")
        assert "there is no run in" in done.stderr
        assert "nowhere; `muses run` makes one, --store names another store" in done.stderr


def test_counts_of_one_are_singular(muses: Muses, tmp_path: Path) -> None:
    """A count of one is printed as ``1 object``, not ``1 objects``."""
    fill(open_store(str(tmp_path / "out")))
    assert "; 2 objects, " in muses("store", "verify", "--store=out").stdout
    assert re.search(
        r"3 episodes in 1 object \(.*\); 2 objects removed", muses("store", "seal", "run-a", "--store=out").stdout
    )
    assert "; 1 object, " in muses("store", "verify", "--store=out").stdout
    assert "1 run: would be" in muses("store", "prune", "--name=*", "--dry-run", "--store=out").stdout
