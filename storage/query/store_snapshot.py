"""The objects and manifests of a store at one moment: all that a reader opens.

The rows of a sealed run are settled: each episode is stored once.  All other rows are attempts, of which one counts.
"""

from collections.abc import Collection
from dataclasses import dataclass

from muses_eval.storage.objects.object_keys import parse_manifest_key, rescored_keys, trace_keys
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.live_objects import live_objects, manifests_of
from muses_eval.storage.runs.manifest import RunManifest


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """Sorted keys of the objects, and the manifests, oldest run first."""

    settled: tuple[str, ...]
    """Keys of the objects of sealed runs."""
    unsettled: tuple[str, ...]
    """Keys of the shards of all other runs."""
    rescored: tuple[str, ...]
    """Keys of the objects that contain later scores."""
    manifests: tuple[RunManifest, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of all objects that contain rows."""
        return (*self.settled, *self.unsettled, *self.rescored)


def read_snapshot(store: ObjectStore, run_id: str | None = None, without: Collection[str] = ()) -> StoreSnapshot:
    """Returns the current objects and manifests of one run, or of all runs.

    Args:
        store: the store to list.
        run_id: None for all runs.
        without: keys of objects to leave out; the key of a manifest leaves out its whole run.

    Raises:
        StoreError: the store cannot be listed.
        UnreadableManifestError: a manifest cannot be read, so it is unknown which objects of its run count.
    """
    excluded_runs = {parse_manifest_key(key) for key in without} - {None}
    # Listed before the manifests are read, see muses_eval.storage.runs.live_objects.
    shards = [key for key in trace_keys(store, run_id) if key.run_id not in excluded_runs]
    rescored = [str(key) for key in rescored_keys(store, run_id) if key.run_id not in excluded_runs]
    manifests = manifests_of(store, run_id, {name for name in excluded_runs if name is not None})
    sealed = (entry.key for manifest in manifests if manifest.state == "sealed" for entry in manifest.sealed)
    settled, excluded = frozenset(sealed), frozenset(without)
    objects = [key for key in live_objects(shards, manifests) if key not in excluded]
    return StoreSnapshot(
        settled=tuple(key for key in objects if key in settled),
        unsettled=tuple(key for key in objects if key not in settled),
        rescored=tuple(key for key in rescored if key not in excluded),
        manifests=tuple(manifests),
    )
