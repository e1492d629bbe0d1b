"""The manifest of a run: updates by compare and swap, and a check that two runs are not mixed."""

import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.runs.manifest import (
    NoSuchRunError,
    RunManifest,
    SealedObject,
    create_or_check,
    read_manifest,
    read_manifests,
    reopen,
    update_manifest,
)

from tests.storage.samples import MANIFEST


def test_round_trip(store: ObjectStore) -> None:
    """A manifest is read back field by field."""
    create_or_check(store, MANIFEST)
    assert read_manifest(store, "run-a") == MANIFEST
    assert read_manifests(store) == [MANIFEST]


def test_a_run_may_be_started_again(store: ObjectStore) -> None:
    """A start with newer code on another machine resumes the same run; the first manifest is kept."""
    create_or_check(store, MANIFEST)
    later = MANIFEST.created_at + timedelta(days=1)
    create_or_check(store, replace(MANIFEST, created_at=later, commit="f" * 40, dirty=True, versions={}, config={}))
    assert read_manifest(store, "run-a") == MANIFEST


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (replace(MANIFEST, dataset_version="f" * 16), f'dataset_version: "0123456789abcdef" -> "{"f" * 16}"'),
        (replace(MANIFEST, users="prompted"), 'users: "scripted" -> "prompted"'),
        (replace(MANIFEST, templates=("xml",)), 'templates: ["published"] -> ["xml"]'),
        (replace(MANIFEST, epochs=3), "epochs: 2 -> 3"),
        (replace(MANIFEST, limit=None), "limit: 6 -> null"),
        (replace(MANIFEST, planned={("model-a", "queue"): 13}), "planned model-a on queue: 12 -> 13"),
        (
            replace(MANIFEST, planned={**MANIFEST.planned, ("model-a", "access"): 5}),
            "planned model-a on access: (none) -> 5",
        ),
        (
            replace(MANIFEST, models={"model-a": {"model": "another"}}),
            'model model-a: {"model":"provider/model-a","provider":"openai"} -> {"model":"another"}',
        ),
    ],
)
def test_another_run_of_the_same_name(store: ObjectStore, changed: RunManifest, difference: str) -> None:
    """The error lists the differences and the remedy; nothing is stored."""
    create_or_check(store, MANIFEST)
    with pytest.raises(StoreError) as caught:
        create_or_check(store, changed)
    lines = str(caught.value).splitlines()
    assert lines[1:-1] == [f"  {difference}"]
    assert "--run-id" in lines[-1]
    assert read_manifest(store, "run-a") == MANIFEST


def test_a_missing_manifest(store: ObjectStore) -> None:
    """The error says that the store has no such run."""
    with pytest.raises(MissingObjectError):
        read_manifest(store, "run-a")
    assert read_manifests(store) == []


def test_manifests_are_sorted_by_age(store: ObjectStore) -> None:
    """Manifests are listed oldest first, and foreign files are skipped."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for run_id, day in (("b", 2), ("a", 3), ("c", 1)):
        create_or_check(store, replace(MANIFEST, run_id=run_id, created_at=start + timedelta(days=day)))
    store.put_if_absent("runs/notes.txt", b"not ours")
    assert [manifest.run_id for manifest in read_manifests(store)] == ["c", "b", "a"]


@pytest.mark.parametrize("field", ["manifest_version", "schema_version"])
def test_a_newer_version_is_refused(store: ObjectStore, field: str) -> None:
    """The error names the object."""
    create_or_check(store, MANIFEST)
    value = json.loads(store.get("runs/run-a.json")) | {"run_id": "new", field: 99}
    store.put_if_absent("runs/new.json", json.dumps(value).encode())
    expected = rf"runs/new\.json: written with {field.replace('_', ' ')} 99; .* upgrade it"
    for read in (lambda: read_manifest(store, "new"), lambda: read_manifests(store)):
        with pytest.raises(StoreError, match=expected):
            read()


def test_version_1_is_read(store: ObjectStore) -> None:
    """Manifests of version 1 have no sealed objects."""
    create_or_check(store, MANIFEST)
    old = json.loads(store.get("runs/run-a.json")) | {"manifest_version": 1, "run_id": "old"}
    del old["sealed"]
    store.put_if_absent("runs/old.json", json.dumps(old).encode())
    assert read_manifest(store, "old") == replace(MANIFEST, run_id="old")
    create_or_check(store, replace(MANIFEST, run_id="old"))


SEALED = SealedObject("sealed/run=run-a/00000-0123456789abcdef.parquet", 12, 345, "0123456789abcdef" * 4)


def test_a_change_is_kept(store: ObjectStore) -> None:
    """A changed manifest still belongs to the same run."""
    create_or_check(store, MANIFEST)
    sealed = replace(MANIFEST, state="sealed", sealed=(SEALED,))
    assert update_manifest(store, "run-a", lambda _: sealed) == sealed
    assert read_manifest(store, "run-a") == sealed
    create_or_check(store, MANIFEST)
    assert read_manifest(store, "run-a") == sealed


def test_nobodys_change_is_lost(store: ObjectStore) -> None:
    """When two updates are concurrent, the second is applied to the result of the first."""
    create_or_check(store, MANIFEST)
    seen = []

    def slow(manifest: RunManifest) -> RunManifest:
        seen.append(manifest.commit)
        if len(seen) == 1:
            update_manifest(store, "run-a", lambda before: replace(before, commit="f" * 40))
        return replace(manifest, state="sealed")

    changed = update_manifest(store, "run-a", slow)
    assert (changed.state, changed.commit, seen) == ("sealed", "f" * 40, ["0" * 40, "f" * 40])


def test_trying_ends(store: ObjectStore) -> None:
    """The update ends with an error when other processes keep changing the manifest."""
    create_or_check(store, MANIFEST)

    def meddle(manifest: RunManifest) -> RunManifest:
        longer = {**manifest.versions, "meddled": manifest.versions.get("meddled", "") + "x"}
        update_manifest(store, "run-a", lambda before: replace(before, versions=longer))
        return replace(manifest, state="sealed")

    with pytest.raises(StoreError, match=r"runs/run-a\.json: other processes kept changing it"):
        update_manifest(store, "run-a", meddle)
    assert read_manifest(store, "run-a").state == "open"


def test_a_deleted_object_is_given_up_when_the_run_goes_on(store: ObjectStore) -> None:
    """When a run is resumed, its manifest keeps only the sealed objects that exist."""
    there = replace(SEALED, key="sealed/run=run-a/00001-0123456789abcdef.parquet")
    create_or_check(store, replace(MANIFEST, state="sealed", sealed=(SEALED, there)))
    store.put_if_absent(there.key, b"")
    assert reopen(store, "run-a") == replace(MANIFEST, sealed=(there,))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "Expecting value"),
        (b"\xff", "can't decode"),
        (b"[]", r"expected a JSON object, got \[\]"),
        (b"null", "expected a JSON object, got null"),
        (b"{}", "the field 'manifest_version' is missing"),
        (b'{"manifest_version": 1}', "the field 'schema_version' is missing"),
    ],
)
def test_damaged_manifests_are_named(store: ObjectStore, data: bytes, problem: str) -> None:
    """Any damage raises one error that names the object and the problem."""
    store.put_if_absent("runs/bad.json", data)
    with pytest.raises(StoreError, match=rf"runs/bad\.json: not a run's manifest: .*{problem}"):
        read_manifest(store, "bad")


_SIX = ("1", "2", "3", "4", "5", "first")


@pytest.mark.parametrize(
    ("wanted", "there", "told"),
    [
        ("frist", (), "there is no run in the store S; `muses run` makes one, --store names another store"),
        ("frist", ("a", "b"), "there is no run 'frist' in the store S; it has a, b"),
        (
            "frist",
            _SIX,
            "there is no run 'frist' in the store S; it has 6, among them first (`muses store ls` lists all)",
        ),
        (
            "zzz",
            _SIX,
            "there is no run 'zzz' in the store S; it has 6, among them 2, 3, 4, 5, first (`muses store ls` lists all)",
        ),
    ],
)
def test_a_run_that_is_not_there(wanted: str, there: tuple[str, ...], told: str) -> None:
    """The message lists similar names, and the command that lists all runs."""
    error = NoSuchRunError("S", wanted, there)
    assert str(error) == told
    assert str(pickle.loads(pickle.dumps(error))) == told
