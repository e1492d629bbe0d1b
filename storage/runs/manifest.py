"""A run's manifest: what was asked for and with what it was made, so that numbers can be traced and runs compared.

It is written before the first episode.  A run that is started again under the same name has to be the same run:
:func:`create_or_check` refuses anything else, field by field.  Afterwards only :func:`update_manifest` writes to it, by
compare and swap, when the run is sealed or opened again, and when a night knows its cells and its outcome.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Literal

from muses_eval.pipeline.episode.call_usage import CallUsage
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.hashing import canonical
from muses_eval.storage.objects.object_keys import RUNS, manifest_key, parse_manifest_key, run_folder, sealed_folder
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.schema.parquet_schema import SCHEMA_VERSION

MANIFEST_VERSION = 2
"""2: what a sealed run's objects are.  A reader reads all older ones and refuses newer ones."""
_READERS = 16
_CHANGE_TRIES = 8
_NAMED = 5

State = Literal["open", "sealed"]


class UnreadableManifestError(StoreError):
    """A manifest is damaged, or of a newer version."""

    def __init__(self, store: str, key: str, problem: str) -> None:
        super().__init__(store, key, problem)
        self.key, self.problem = key, problem

    def __str__(self) -> str:
        store, key, problem = self.args
        return f"store {store}: {key}: {problem}"


class NoSuchRunError(StoreError):
    """A run that a user names is not there, or no run at all (None).

    Args:
        store: its URL.
        run_id: the one that was asked for.
        there: the ids of those that the store has, sorted.
    """

    def __init__(self, store: str, run_id: str | None = None, there: Sequence[str] = ()) -> None:
        super().__init__(store, run_id, there)

    def __str__(self) -> str:
        store, run_id, there = self.args
        if run_id is None or not there:
            return f"there is no run in the store {store}; `muses run` makes one, --store names another store"
        if len(there) <= _NAMED:
            return f"there is no run {run_id!r} in the store {store}; it has {', '.join(there)}"
        near = ", ".join(get_close_matches(run_id, there, _NAMED) or there[-_NAMED:])
        return (
            f"there is no run {run_id!r} in the store {store}; it has {len(there)}, among them {near}"
            " (`muses store ls` lists all)"
        )


class RunMismatchError(StoreError):
    """A run of this name exists and was planned differently."""

    def __init__(self, differences: str) -> None:
        super().__init__(differences)
        self.differences = differences
        """The fields that differ, one per line."""

    def __str__(self) -> str:
        advice = (
            "Give it a name of its own (--run-id, or the sweep's `name`), or undo the changes to resume the stored one."
        )
        return f"{self.differences}\n{advice}"


@dataclass(frozen=True, slots=True)
class SealedObject:
    """One of the few large objects that a sealed run's shards became."""

    key: str
    episodes: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRecord:
    """What decided one cell's results, and where it was played."""

    model: str
    family: str
    template: str
    content_key: str
    """See :mod:`muses_eval.pipeline.plan.content_key`."""
    played_in: str
    """The run that asked the model: this one, or the earlier one whose episodes it took over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """Everything that is kept of a run beside its episodes.  What is a mapping holds JSON values only."""

    run_id: str
    state: State = "open"
    created_at: datetime
    """UTC."""
    config: Mapping[str, Any]
    """As the user wrote it, references to the environment unexpanded."""
    dataset: str
    dataset_version: str
    planned: Mapping[tuple[str, str], int]
    """Episodes by (model, family)."""
    models: Mapping[str, Mapping[str, Any]]
    """Model -> what decides its answers (provider, name, sampling); where it is served does not belong here."""
    users: str
    """Name of the simulated users."""
    templates: Sequence[str] = ("published",)
    epochs: int = 1
    limit: int | None = None
    """Scenarios a family; None: all."""
    versions: Mapping[str, str]
    """Package -> version."""
    commit: str | None
    """Commit of the code; None when it did not run from a repository."""
    dirty: bool
    """Whether the code differed from the commit."""
    made_with: Mapping[str, Any] = field(default_factory=dict)
    """What else may explain a difference between two runs, as ``flows/job/provenance.py`` finds it: where models are
    served, limits, prices, engines, the simulated users, scorers, the platform.  Empty in runs of version 1."""
    schema_version: int = SCHEMA_VERSION
    """The highest of its objects."""
    sealed: tuple[SealedObject, ...] = ()
    """Objects of the last compaction.  They also count while the run is open again."""
    obsolete_shards: tuple[str, ...] = ()
    """Shards that the sealed objects stand for and that are not deleted yet: they count no more."""
    superseded_usage: CallUsage = CallUsage()
    """What attempts used that seals have dropped, since another attempt of the episode counts: it was paid for."""
    cells: tuple[CellRecord, ...] = ()
    """Cells of a night or a canary; empty for other runs."""
    night: Mapping[str, Any] | None = None
    """A night's report, as :mod:`storage.runs.nights` writes it; None: it is no night's run, or its night goes on."""

    @property
    def identity(self) -> Iterator[tuple[str, object]]:
        """What makes two runs the same, as (field, value): with another value they owe other episodes."""
        yield "dataset_version", self.dataset_version
        yield "users", self.users
        yield "templates", list(self.templates)
        yield "epochs", self.epochs
        yield "limit", self.limit
        for (model, family), count in self.planned.items():
            yield f"planned {model} on {family}", count
        for name, model_identity in self.models.items():
            yield f"model {name}", model_identity


def create_or_check(store: ObjectStore, manifest: RunManifest) -> None:
    """Stores the manifest of a new run; for a run that exists, makes sure that it is this one.

    Raises:
        RunMismatchError: the run exists and is another one; the message lists what differs.
    """
    if store.put_if_absent(manifest_key(manifest.run_id), _to_json(manifest)):
        return
    stored = read_manifest(store, manifest.run_id)
    differences = list(_differences(dict(stored.identity), dict(manifest.identity)))
    if differences:
        raise RunMismatchError(
            f"store {store.url}: the run {manifest.run_id!r} exists and was planned otherwise:\n"
            + "\n".join(f"  {line}" for line in differences)
        )


def update_manifest(store: ObjectStore, run_id: str, change: Callable[[RunManifest], RunManifest]) -> RunManifest:
    """Replaces a run's manifest by what *change* makes of the one that is there; returns the one that holds then.

    *change* is called again when somebody else was faster.

    Raises:
        MissingObjectError: the store has no such run.
        StoreError: it is damaged, of a newer version, or others kept changing it.
    """
    key = manifest_key(run_id)
    for _ in range(_CHANGE_TRIES):
        data, tag = store.read(key)
        before = _parsed(store, key, data)
        after = change(before)
        if after == before or store.replace(key, _to_json(after), tag):
            return after
    raise StoreError(f"store {store.url}: {key}: others kept changing it at the same moment; start the command again")


def read_manifest(store: ObjectStore, run_id: str) -> RunManifest:
    """The manifest of one run.

    Raises:
        MissingObjectError: the store has no such run.
        StoreError: it is damaged, or of a newer version.
    """
    key = manifest_key(run_id)
    return _parsed(store, key, store.get(key))


def reopen(store: ObjectStore, run_id: str) -> RunManifest:
    """Lets a sealed run go on: shards count beside its sealed objects.  Call it with the run lock held.

    A sealed object that somebody has deleted is given up: the manifest names it no longer.
    """
    there = {info.key for folder in (sealed_folder(run_id), run_folder(run_id)) for info in store.list(folder)}

    def opened(manifest: RunManifest) -> RunManifest:
        return replace(
            with_current_schema(manifest),
            state="open",
            sealed=tuple(entry for entry in manifest.sealed if entry.key in there),
            # One that is deleted gives its name back to the shards to come.
            obsolete_shards=tuple(key for key in manifest.obsolete_shards if key in there),
        )

    return update_manifest(store, run_id, opened)


def with_current_schema(manifest: RunManifest) -> RunManifest:
    """Before rows of the present schema join a run: an older reader is to refuse it as a whole."""
    return replace(manifest, schema_version=SCHEMA_VERSION)


def find_manifest(store: ObjectStore, run_id: str) -> RunManifest:
    """The manifest of a run that a user names.

    Raises:
        NoSuchRunError: the message names those with a similar name.
        StoreError: as :func:`read_manifest`.
    """
    try:
        return read_manifest(store, run_id)
    except MissingObjectError:
        raise NoSuchRunError(store.url, run_id, list_run_ids(store)) from None


def list_run_ids(store: ObjectStore) -> list[str]:
    """The ids of all runs that have a manifest, readable or not, sorted."""
    keys = (parse_manifest_key(info.key) for info in store.list(RUNS))
    return [run_id for run_id in keys if run_id is not None]


def read_manifests(store: ObjectStore, without: Collection[str] = ()) -> list[RunManifest]:
    """The manifests of all runs, oldest first, except those of the runs *without*.

    Raises:
        UnreadableManifestError: one is damaged, or of a newer version.
    """
    found, unreadable = readable_manifests(store, without)
    if unreadable:
        raise unreadable[0]
    return found


def readable_manifests(
    store: ObjectStore, without: Collection[str] = ()
) -> tuple[list[RunManifest], list[UnreadableManifestError]]:
    """Likewise those that can be read, and what is wrong with the others."""
    wanted = [run_id for run_id in list_run_ids(store) if run_id not in without]
    with ThreadPoolExecutor(_READERS) as threads:
        read = list(threads.map(lambda run_id: _read_if_there(store, run_id), wanted))
    found = [manifest for manifest in read if isinstance(manifest, RunManifest)]
    unreadable = [error for error in read if isinstance(error, UnreadableManifestError)]
    return sorted(found, key=lambda manifest: (manifest.created_at, manifest.run_id)), unreadable


def _parsed(store: ObjectStore, key: str, data: bytes) -> RunManifest:
    try:
        return _from_json(data)
    except StoreError as error:
        raise UnreadableManifestError(store.url, key, str(error)) from error


def _read_if_there(store: ObjectStore, run_id: str) -> RunManifest | UnreadableManifestError | None:
    try:
        return read_manifest(store, run_id)
    except MissingObjectError:  # deleted since it was listed
        return None
    except UnreadableManifestError as error:
        return error


def _differences(stored: Mapping[str, object], wanted: Mapping[str, object]) -> Iterable[str]:
    for name in {**stored, **wanted}:
        old, new = (_shown(values, name) for values in (stored, wanted))
        if old != new:
            yield f"{name}: {old} -> {new}"


def _shown(values: Mapping[str, object], name: str) -> str:
    return canonical(values[name]).decode() if name in values else "(none)"


def _to_json(manifest: RunManifest) -> bytes:
    planned = [{"model": m, "family": f, "episodes": count} for (m, f), count in manifest.planned.items()]
    value = {
        "manifest_version": MANIFEST_VERSION,
        "schema_version": manifest.schema_version,
        "run_id": manifest.run_id,
        "state": manifest.state,
        "created_at": manifest.created_at.isoformat(),
        "dataset": {"name": manifest.dataset, "version": manifest.dataset_version},
        "planned": planned,
        "models": dict(manifest.models),
        "users": manifest.users,
        "templates": list(manifest.templates),
        "epochs": manifest.epochs,
        "limit": manifest.limit,
        "versions": dict(manifest.versions),
        "code": {"commit": manifest.commit, "dirty": manifest.dirty},
        "made_with": dict(manifest.made_with),
        "config": dict(manifest.config),
        "sealed": [asdict(sealed) for sealed in manifest.sealed],
        "folded": list(manifest.obsolete_shards),
        "superseded": asdict(manifest.superseded_usage),
        "cells": [asdict(cell) for cell in manifest.cells],
        "night": None if manifest.night is None else dict(manifest.night),
    }
    return json.dumps(value, indent=2).encode() + b"\n"


def _from_json(data: bytes) -> RunManifest:
    try:
        value = _object(data)
        _refuse_newer(value)
        return RunManifest(
            run_id=value["run_id"],
            state=value["state"],
            created_at=datetime.fromisoformat(value["created_at"]),
            config=value["config"],
            dataset=value["dataset"]["name"],
            dataset_version=value["dataset"]["version"],
            planned={(entry["model"], entry["family"]): entry["episodes"] for entry in value["planned"]},
            models=value["models"],
            users=value["users"],
            templates=tuple(value["templates"]),
            epochs=value["epochs"],
            limit=value["limit"],
            versions=value["versions"],
            commit=value["code"]["commit"],
            dirty=value["code"]["dirty"],
            made_with=value.get("made_with", {}),  # since version 2
            schema_version=value["schema_version"],
            sealed=tuple(SealedObject(**sealed) for sealed in value.get("sealed", ())),  # since version 2
            obsolete_shards=tuple(value.get("folded", ())),  # likewise
            superseded_usage=CallUsage(**value.get("superseded", {})),  # likewise
            cells=tuple(CellRecord(**cell) for cell in value.get("cells", ())),  # likewise
            night=value.get("night"),  # likewise
        )
    except KeyError as error:
        raise StoreError(f"not a run's manifest: the field {error} is missing") from error
    except (ValueError, TypeError) as error:
        raise StoreError(f"not a run's manifest: {error}") from error


def _object(data: bytes) -> Mapping[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise TypeError(f"expected a JSON object, got {canonical(value).decode():.40}")
    return value


def _refuse_newer(value: Mapping[str, Any]) -> None:
    for name, known in (("manifest", MANIFEST_VERSION), ("schema", SCHEMA_VERSION)):
        found = value[f"{name}_version"]
        if found > known:
            raise StoreError(
                f"written with {name} version {found}; this muses-eval reads versions up to {known}: upgrade it"
            )
