"""A run's manifest: its configuration and provenance, so that numbers can be traced and runs compared.

:func:`create_or_check` writes it before the first episode.  When a run is started again under the same name, it checks
that the plan is the same, and otherwise lists the fields that differ.  Later changes use compare and swap
(:func:`update_manifest`): compaction, reopening, and the cells and the report of a night.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from muses_eval.pipeline.episode.call_usage import CallUsage
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.hashing import canonical
from muses_eval.pipeline.name_match import near_names
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.objects.object_keys import RUNS, manifest_key, parse_manifest_key, run_folder, sealed_folder
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.schema.parquet_schema import SCHEMA_VERSION

MANIFEST_VERSION = 2
"""Version 2 adds the objects of sealed runs.  Readers accept all older versions and refuse newer ones."""
_BEFORE_RECORDED = 4
"""Latest schema version of runs whose manifests do not record with which version they were begun."""
_READERS = 16
_CHANGE_TRIES = 8
_NAMED = 5

State = Literal["open", "sealed"]


class UnreadableManifestError(StoreError):
    """A manifest is damaged, or a newer version wrote it."""

    def __init__(self, store: str, key: str, problem: str) -> None:
        super().__init__(store, key, problem)
        self.key, self.problem = key, problem

    def __str__(self) -> str:
        store, key, problem = self.args
        return f"store {store}: {key}: {problem}"


class NoSuchRunError(StoreError):
    """The store has no run of this name, or no run at all.

    Args:
        store: URL of the store.
        run_id: the requested run; None for any run.
        there: ids of the runs in the store, sorted.
    """

    def __init__(self, store: str, run_id: str | None = None, there: Sequence[str] = ()) -> None:
        super().__init__(store, run_id, there)

    def __str__(self) -> str:
        store, run_id, there = self.args
        if run_id is None or not there:
            return f"there is no run in the store {store}; `muses run` makes one, --store names another store"
        if len(there) <= _NAMED:
            return f"there is no run {run_id!r} in the store {store}; it has {', '.join(there)}"
        near = ", ".join(near_names(run_id, there, _NAMED) or there[-_NAMED:])
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
    """One object of a sealed run, which contains the episodes of many shards."""

    key: str
    episodes: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRecord:
    """The content key of one cell, and the run that played it."""

    model: str
    family: str
    template: str
    content_key: str
    """Digest of everything that decides the results; see :mod:`muses_eval.pipeline.plan.content_key`."""
    played_in: str
    """Id of the run that called the model: this run, or the earlier run whose episodes it copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """Everything that is stored about a run except its episodes.  Mappings contain JSON values only."""

    run_id: str
    state: State = "open"
    created_at: datetime
    """Creation time in UTC."""
    config: Mapping[str, Any]
    """Configuration as the user wrote it; references to environment variables are not expanded."""
    dataset: str
    dataset_version: str
    planned: Mapping[tuple[str, str], int]
    """(entry, family) -> number of planned episodes."""
    models: Mapping[str, Mapping[str, Any]]
    """Entry -> the settings that decide its replies: provider, name and sampling, but not where it is served; with an
    agent, also the ``base_model`` and the ``agent``."""
    users: str
    """Name of the simulated users."""
    protocol: ProtocolName = "muses"
    templates: Sequence[str] = ("published",)
    epochs: int = 1
    limit: int | None = None
    """Number of scenarios per family; None for all."""
    versions: Mapping[str, str]
    """Package -> installed version."""
    commit: str | None
    """Git commit of the code; None when the code was not in a repository."""
    dirty: bool
    """True when the code had uncommitted changes."""
    made_with: Mapping[str, Any] = field(default_factory=dict)
    """Other facts that may explain a difference between two runs, from ``flows/job/provenance.py``: endpoints, limits,
    prices, engines, simulated users, scorers, platform.  Empty in manifests of version 1."""
    schema_version: int = SCHEMA_VERSION
    """Highest schema version of the run's objects."""
    oldest_schema_version: int = SCHEMA_VERSION
    """Lowest schema version of the run's episodes: that with which it was begun or, later, sealed; 4 for older
    versions, whose manifests do not record it."""
    sealed: tuple[SealedObject, ...] = ()
    """Objects of the last compaction.  They also count while the run is reopened."""
    obsolete_shards: tuple[str, ...] = ()
    """Keys of shards that the sealed objects replace and that are not deleted yet; stored as ``folded``."""
    superseded_usage: CallUsage = CallUsage()
    """Usage of the attempts that compaction dropped, because it was paid for; stored as ``superseded``."""
    cells: tuple[CellRecord, ...] = ()
    """Cells of a night or a canary; empty for other runs."""
    night: Mapping[str, Any] | None = None
    """Report of a night (:mod:`muses_eval.storage.runs.nights`); None for other runs and for unfinished nights."""

    @property
    def has_agents(self) -> bool:
        """True when the run evaluates agents other than the model alone."""
        return any("agent" in identity for identity in self.models.values())

    @property
    def agent_archives(self) -> frozenset[str]:
        """Keys of the archives with the code of its agents."""
        agents = (identity.get("agent", {}) for identity in self.models.values())
        return frozenset(agent["bundle"] for agent in agents if "bundle" in agent)

    @property
    def identity(self) -> Iterator[tuple[str, object]]:
        """The fields that decide which episodes a run plays, as (field, value)."""
        yield "dataset_version", self.dataset_version
        yield "users", self.users
        yield "protocol", self.protocol
        yield "templates", list(self.templates)
        yield "epochs", self.epochs
        yield "limit", self.limit
        yield "scenarios", sorted(self.config.get("scenarios", ()))  # manifests of earlier versions have none
        for (model, family), count in self.planned.items():
            yield f"planned {model} on {family}", count
        for name, model_identity in self.models.items():
            yield f"model {name}", model_identity


def create_or_check(store: ObjectStore, manifest: RunManifest) -> None:
    """Stores the manifest of a new run; checks that an existing run has the same plan.

    Raises:
        RunMismatchError: the run exists with another plan; the message lists the differences.
    """
    if store.put_if_absent(manifest_key(manifest.run_id), _to_json(manifest)):
        return
    stored = read_manifest(store, manifest.run_id)
    differences = list(_differences(dict(stored.identity), dict(manifest.identity)))
    if differences:
        raise RunMismatchError(
            f"store {store.url}: the run {manifest.run_id!r} exists and was planned differently:\n"
            + "\n".join(f"  {line}" for line in differences)
        )


def update_manifest(store: ObjectStore, run_id: str, change: Callable[[RunManifest], RunManifest]) -> RunManifest:
    """Replaces a run's manifest by *change* of the stored one (compare and swap); returns the new manifest.

    *change* is called again when another process has changed the manifest meanwhile.

    Raises:
        MissingObjectError: the store has no such run.
        StoreError: the manifest is damaged, a newer version wrote it, or other processes kept changing it.
    """
    key = manifest_key(run_id)
    for _ in range(_CHANGE_TRIES):
        data, tag = store.read(key)
        before = _parsed(store, key, data)
        after = change(before)
        if after == before or store.replace(key, _to_json(after), tag):
            return after
    raise StoreError(f"store {store.url}: {key}: other processes kept changing it; start the command again")


def read_manifest(store: ObjectStore, run_id: str) -> RunManifest:
    """Returns the manifest of one run.

    Raises:
        MissingObjectError: the store has no such run.
        StoreError: the manifest is damaged, or a newer version wrote it.
    """
    key = manifest_key(run_id)
    return _parsed(store, key, store.get(key))


def reopen(store: ObjectStore, run_id: str) -> RunManifest:
    """Reopens a sealed run, so that new shards count beside its sealed objects.  The caller holds the run lock.

    Sealed objects that were deleted are removed from the manifest, so that their episodes are pending again.
    """
    there = {info.key for folder in (sealed_folder(run_id), run_folder(run_id)) for info in store.list(folder)}

    def opened(manifest: RunManifest) -> RunManifest:
        return replace(
            with_current_schema(manifest),
            state="open",
            sealed=tuple(entry for entry in manifest.sealed if entry.key in there),
            # The key of a deleted shard is free for new shards.
            obsolete_shards=tuple(key for key in manifest.obsolete_shards if key in there),
        )

    return update_manifest(store, run_id, opened)


def with_current_schema(manifest: RunManifest) -> RunManifest:
    """Returns the manifest with the current schema version, so that an older reader refuses the whole run."""
    return replace(manifest, schema_version=SCHEMA_VERSION)


def find_manifest(store: ObjectStore, run_id: str) -> RunManifest:
    """Returns the manifest of a run that a user requested.

    Raises:
        NoSuchRunError: the store has no such run; the message lists similar names.
        StoreError: as :func:`read_manifest`.
    """
    try:
        return read_manifest(store, run_id)
    except MissingObjectError:
        raise NoSuchRunError(store.url, run_id, list_run_ids(store)) from None


def list_run_ids(store: ObjectStore) -> list[str]:
    """Returns the ids of all runs with a manifest, readable or not, sorted."""
    keys = (parse_manifest_key(info.key) for info in store.list(RUNS))
    return [run_id for run_id in keys if run_id is not None]


def read_manifests(store: ObjectStore, without: Collection[str] = ()) -> list[RunManifest]:
    """Returns the manifests of all runs except *without*, oldest first.

    Raises:
        UnreadableManifestError: a manifest is damaged, or a newer version wrote it.
    """
    found, unreadable = readable_manifests(store, without)
    if unreadable:
        raise unreadable[0]
    return found


def readable_manifests(
    store: ObjectStore, without: Collection[str] = ()
) -> tuple[list[RunManifest], list[UnreadableManifestError]]:
    """Returns the readable manifests as :func:`read_manifests` does, and the errors of the others."""
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
        "oldest_schema_version": manifest.oldest_schema_version,
        "run_id": manifest.run_id,
        "state": manifest.state,
        "created_at": manifest.created_at.isoformat(),
        "dataset": {"name": manifest.dataset, "version": manifest.dataset_version},
        "planned": planned,
        "models": dict(manifest.models),
        "users": manifest.users,
        "protocol": manifest.protocol,
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
            protocol=value.get("protocol", "muses"),  # since schema version 3
            templates=tuple(value["templates"]),
            epochs=value["epochs"],
            limit=value["limit"],
            versions=value["versions"],
            commit=value["code"]["commit"],
            dirty=value["code"]["dirty"],
            made_with=value.get("made_with", {}),  # since version 2
            schema_version=value["schema_version"],
            oldest_schema_version=value.get("oldest_schema_version", _BEFORE_RECORDED),
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
