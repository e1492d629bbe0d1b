"""What a reader of a store has to open: the objects that hold rows, and the manifests.

The rows of a sealed run are settled: each episode is there once.  All others are attempts, of which one counts.
"""

from collections.abc import Collection
from dataclasses import dataclass

from muses_eval.storage.objects.object_keys import parse_manifest_key, rescored_keys, trace_keys
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.live_objects import manifests_of, trace_objects
from muses_eval.storage.runs.manifest import RunManifest


@dataclass(frozen=True, slots=True)
class Sources:
    """Keys of objects, sorted, and the manifests, oldest run first."""

    settled: tuple[str, ...]
    unsettled: tuple[str, ...]
    rescored: tuple[str, ...]
    manifests: tuple[RunManifest, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of all objects that contain rows."""
        return (*self.settled, *self.unsettled, *self.rescored)


def read_sources(store: ObjectStore, run_id: str | None = None, without: Collection[str] = ()) -> Sources:
    """What there is now of one run, or of all, except the objects *without*, and all of a run whose manifest is one.

    Raises:
        StoreError: the store cannot be listed.
        UnreadableManifestError: a manifest cannot be read, so it is unknown which objects of its run count.
    """
    away = {parse_manifest_key(key) for key in without} - {None}
    # Before the manifests, see muses_eval.storage.runs.live_objects.
    shards = [key for key in trace_keys(store, run_id) if key.run_id not in away]
    rescored = [str(key) for key in rescored_keys(store, run_id) if key.run_id not in away]
    manifests = manifests_of(store, run_id, {name for name in away if name is not None})
    sealed = (entry.key for manifest in manifests if manifest.state == "sealed" for entry in manifest.sealed)
    settled, left_out = frozenset(sealed), frozenset(without)
    objects = [key for key in trace_objects(shards, manifests) if key not in left_out]
    return Sources(
        settled=tuple(key for key in objects if key in settled),
        unsettled=tuple(key for key in objects if key not in settled),
        rescored=tuple(key for key in rescored if key not in left_out),
        manifests=tuple(manifests),
    )
