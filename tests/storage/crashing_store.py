"""A store that fails after a number of changes, and keeps failing: the effect of a crash at that moment."""

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


class _BreakingStore(WatchedStore):
    """Fails from a change on; crashes between reads leave the same objects as a crash at the next change."""

    def __init__(self, store: ObjectStore, changes: int) -> None:
        super().__init__(store, self._check)
        self._left = changes

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._change(key)
        return super().put_if_absent(key, data)

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        self._change(key)
        return super().replace(key, data, tag)

    def delete(self, key: str) -> None:
        self._change(key)
        super().delete(key)

    def _change(self, key: str) -> None:
        if not key.startswith("claims/"):
            self._left -= 1

    def _check(self, key: str) -> None:
        if self._left < 0:
            raise Crash(f"down at {key!r}")


def breaking(store: ObjectStore, changes: int) -> WatchedStore:
    """Returns a store that fails after this number of changes."""
    return _BreakingStore(store, changes)
