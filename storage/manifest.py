"""A run's manifest: what was asked for and with what it was made, so that numbers can be traced and runs compared.

It is written once, before the first episode.  A run that is started again under the same name has to be the same run:
:func:`create_or_check` refuses anything else, field by field.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pipeline.errors import StoreError
from pipeline.hashing import canonical
from storage.layout import RUNS, manifest_key, parse_manifest_key
from storage.objects import MissingObjectError, ObjectStore
from storage.schema import SCHEMA_VERSION

MANIFEST_VERSION = 1
_READERS = 16

State = Literal["open", "sealed"]


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
    """Who plays the principals."""
    templates: Sequence[str] = ("published",)
    epochs: int = 1
    limit: int | None = None
    """Scenarios a family; None: all."""
    versions: Mapping[str, str]
    """Package -> version."""
    commit: str | None
    """Of the code; None when it did not run from a repository."""
    dirty: bool
    """Whether the code differed from the commit."""
    schema_version: int = SCHEMA_VERSION

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
        StoreError: the run exists and is another one; the message lists what differs.
    """
    if store.put_if_absent(manifest_key(manifest.run_id), _to_json(manifest)):
        return
    stored = read_manifest(store, manifest.run_id)
    differences = list(_differences(dict(stored.identity), dict(manifest.identity)))
    if differences:
        raise StoreError(
            f"store {store.url}: the run {manifest.run_id!r} exists and was planned otherwise:\n"
            + "\n".join(f"  {line}" for line in differences)
            + "\nGive this run a name of its own with --run-id, or undo the changes to resume the stored one."
        )


def read_manifest(store: ObjectStore, run_id: str) -> RunManifest:
    """The manifest of one run.

    Raises:
        MissingObjectError: the store has no such run.
        StoreError: it is damaged, or of a newer version.
    """
    key = manifest_key(run_id)
    data = store.get(key)
    try:
        return _from_json(data)
    except StoreError as error:
        raise StoreError(f"store {store.url}: {key}: {error}") from error


def read_manifests(store: ObjectStore) -> list[RunManifest]:
    """The manifests of all runs, oldest first."""
    keys = (parse_manifest_key(info.key) for info in store.list(RUNS))
    run_ids = [run_id for run_id in keys if run_id is not None]
    with ThreadPoolExecutor(_READERS) as threads:
        manifests = threads.map(lambda run_id: _read_if_there(store, run_id), run_ids)
        found = [manifest for manifest in manifests if manifest is not None]
    return sorted(found, key=lambda manifest: (manifest.created_at, manifest.run_id))


def _read_if_there(store: ObjectStore, run_id: str) -> RunManifest | None:
    try:
        return read_manifest(store, run_id)
    except MissingObjectError:  # deleted since it was listed
        return None


def _differences(stored: Mapping[str, object], wanted: Mapping[str, object]) -> Iterable[str]:
    for field in {**stored, **wanted}:
        old, new = (_shown(values, field) for values in (stored, wanted))
        if old != new:
            yield f"{field}: {old} -> {new}"


def _shown(values: Mapping[str, object], field: str) -> str:
    return canonical(values[field]).decode() if field in values else "(none)"


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
        "config": dict(manifest.config),
    }
    return json.dumps(value, indent=2).encode() + b"\n"


def _from_json(data: bytes) -> RunManifest:
    try:
        value = json.loads(data)
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
            schema_version=value["schema_version"],
        )
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"not a run's manifest ({type(error).__name__}: {error})") from error


def _refuse_newer(value: Mapping[str, Any]) -> None:
    for name, known in (("manifest", MANIFEST_VERSION), ("schema", SCHEMA_VERSION)):
        found = value[f"{name}_version"]
        if found > known:
            raise StoreError(
                f"written with {name} version {found}; this muses-eval reads versions up to {known}: upgrade it"
            )
