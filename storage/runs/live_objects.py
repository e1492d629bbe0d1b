"""The live objects of a run, which are the objects that readers count: its shards, its sealed objects, or both.

    open                   all its shards
    sealed                 the objects in its manifest; any remaining shards are obsolete
    reopened (resumed)     both: the shards are newer, and every reader counts an episode once

Compaction replaces the manifest first and deletes the shards afterwards.  A reader therefore has to list the shards
*before* it reads the manifest: then either the list is complete, or the manifest says that the shards are obsolete.
"""

from collections.abc import Collection, Iterable

from muses_eval.storage.objects.object_keys import ShardKey, trace_keys
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.runs.manifest import RunManifest, read_manifest, read_manifests


def read_live_objects(store: ObjectStore, run_id: str | None = None) -> list[str]:
    """Returns the keys of the live objects of one run, or of all runs."""
    shards = list(trace_keys(store, run_id))
    return live_objects(shards, manifests_of(store, run_id))


def live_objects(shards: Iterable[ShardKey], manifests: Iterable[RunManifest]) -> list[str]:
    """Returns the keys of the live objects, sorted.  *manifests* must be read after *shards* were listed."""
    listed = list(manifests)
    closed = {manifest.run_id for manifest in listed if manifest.state == "sealed"}
    obsolete = {key for manifest in listed for key in manifest.obsolete_shards}
    sealed = [entry.key for manifest in listed for entry in manifest.sealed]
    counting = (str(shard) for shard in shards if shard.run_id not in closed)
    return sorted([*sealed, *(key for key in counting if key not in obsolete)])


def manifests_of(store: ObjectStore, run_id: str | None, without: Collection[str] = ()) -> list[RunManifest]:
    """Returns the manifest of one run, if it exists, or the manifests of all runs except *without*."""
    if run_id is None:
        return read_manifests(store, without)
    try:
        return [read_manifest(store, run_id)]
    except MissingObjectError:
        return []
