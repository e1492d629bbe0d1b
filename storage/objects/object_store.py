"""The interface of an object store: a protocol, its values, and the store's clock.

Nothing is overwritten unconditionally.  :meth:`ObjectStore.put_if_absent` writes a key that does not exist yet, and
:meth:`ObjectStore.replace` overwrites only the version that its caller has read.  So exactly one of two concurrent
writers succeeds, and the other sees that it did not; an object is never partially written.  Opening a store does no
I/O; :meth:`ObjectStore.check` tests whether it can be used.  Every failure is a
:class:`~muses_eval.pipeline.errors.StoreError` that says what to do.
"""

import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from muses_eval.pipeline.errors import StoreError

_DELETERS = 8
CHECK_PREFIX = ".check-"
"""Prefix of the test objects that a check writes; a killed check may leave one."""


class MissingObjectError(StoreError):
    """The store has no object under this key."""

    def __init__(self, store: str, key: str) -> None:
        super().__init__(store, key)
        self.store, self.key = store, key

    def __str__(self) -> str:
        return f"{self.store}: there is no object {self.key!r}"


class ObjectInfo(NamedTuple):
    """One object of a listing."""

    key: str
    """Key relative to the store, with slashes."""
    size: int
    """Size in bytes."""
    modified: float
    """Time of the last write in seconds since 1970, by the store's clock (see :func:`store_time`)."""


class VersionedObject(NamedTuple):
    """The content of an object, with the tag of the version that was read."""

    data: bytes
    tag: str
    """Entity tag, which changes with the data; an argument of :meth:`ObjectStore.replace`."""


class ObjectStore(Protocol):
    """The operations on a store.  An instance may be used from several threads."""

    @property
    def url(self) -> str:
        """URL with which :func:`open_store` opens the same store, from any working directory of this machine."""
        ...

    def get(self, key: str) -> bytes:
        """Returns the content of an object; raises MissingObjectError when it does not exist."""
        ...

    def read(self, key: str) -> VersionedObject:
        """Returns the content and the tag of an object; raises MissingObjectError when it does not exist."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Writes an object durably.  Returns False, and changes nothing, when the key exists."""
        ...

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        """Overwrites the version with this tag (compare and swap).  Returns False when that version is not current."""
        ...

    def delete(self, key: str) -> None:
        """Deletes an object; does nothing when it does not exist."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yields the objects whose key begins with *prefix*, sorted by key; none when the store does not exist yet."""
        ...

    def temporary_objects(self) -> Iterator[ObjectInfo]:
        """Yields the temporary files of writers, killed ones included; ``delete`` accepts their keys."""
        ...

    def uri(self, key: str) -> str:
        """Returns the URI of an object for Arrow, DuckDB and Polars; the key may contain wildcards."""
        ...

    def check(self) -> None:
        """Raises StoreError unless objects can be written and read; removes its test objects."""
        ...


def store_time(store: ObjectStore) -> float:
    """Returns the current time by the store's clock, which may differ from the clock of this machine."""
    key = f"{CHECK_PREFIX}{secrets.token_hex(8)}"
    store.put_if_absent(key, b"now")
    try:
        return next(info.modified for info in store.list(key))
    except StopIteration:
        raise StoreError(f"store {store.url}: what was just written is not listed; try again") from None
    finally:
        store.delete(key)


def delete_all(store: ObjectStore, keys: Iterable[str]) -> None:
    """Deletes objects, several at a time."""
    with ThreadPoolExecutor(_DELETERS) as threads:
        for _ in threads.map(store.delete, keys):
            pass
