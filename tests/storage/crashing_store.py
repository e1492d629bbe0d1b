"""A store that fails after a number of operations, and keeps failing: the effect of a crash at that moment."""

from collections.abc import Callable, Iterator

from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_store import ObjectInfo, ObjectStore, VersionedObject


class Crash(StoreError):
    """The error that represents the end of the process."""


class WatchedStore:
    """Calls *step* with the key of every operation before it, except those of the heartbeat thread."""

    def __init__(self, store: ObjectStore, step: Callable[[str], None]) -> None:
        self._store, self._told = store, step

    @property
    def url(self) -> str:
        return self._store.url

    def uri(self, key: str) -> str:
        return self._store.uri(key)

    def get(self, key: str) -> bytes:
        self._step(key)
        return self._store.get(key)

    def read(self, key: str) -> VersionedObject:
        self._step(key)
        return self._store.read(key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._step(key)
        return self._store.put_if_absent(key, data)

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        self._step(key)
        return self._store.replace(key, data, tag)

    def delete(self, key: str) -> None:
        self._step(key)
        self._store.delete(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._step(prefix)
        return self._store.list(prefix)

    def temporary_objects(self) -> Iterator[ObjectInfo]:
        self._step("")
        return self._store.temporary_objects()

    def check(self) -> None:
        self._store.check()

    def _step(self, key: str) -> None:
        if not key.startswith("claims/"):
            self._told(key)


def breaking(store: ObjectStore, operations: int) -> WatchedStore:
    """Returns a store that fails after this number of operations."""
    left = operations

    def step(key: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash(f"down at {key!r}")

    return WatchedStore(store, step)
