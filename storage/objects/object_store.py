"""The object store that the rest of the project sees: a protocol, its values, and the store's clock.

Nothing is overwritten blindly.  :meth:`ObjectStore.put_if_absent` writes a key that does not exist yet, and
:meth:`ObjectStore.replace` overwrites only the version that its caller has read.  So exactly one of two concurrent
writers succeeds and the other learns that it did not; an object is never half written.  Opening a store touches
nothing; :meth:`ObjectStore.check` finds out whether it can be used.  Every failure is a
:class:`~muses_eval.pipeline.errors.StoreError` that says what to do.
"""

import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from muses_eval.pipeline.errors import StoreError

_DELETERS = 8
CHECK_PREFIX = ".check-"
"""What a check writes; one that was killed may leave it."""


class MissingObjectError(StoreError):
    """There is no object under this key."""

    def __init__(self, store: str, key: str) -> None:
        super().__init__(store, key)
        self.store, self.key = store, key

    def __str__(self) -> str:
        return f"{self.store}: there is no object {self.key!r}"


class ObjectInfo(NamedTuple):
    """One object of a listing."""

    key: str
    """Relative to the store, with slashes."""
    size: int
    """Bytes."""
    modified: float
    """When it was written, in seconds since 1970 by the store's own clock (see :func:`store_time`)."""


class VersionedObject(NamedTuple):
    """An object as it was when it was read."""

    data: bytes
    tag: str
    """Changes with the data; :meth:`ObjectStore.replace` takes it."""


class ObjectStore(Protocol):
    """What the rest of the project needs of a store; one object may be used from several threads."""

    @property
    def url(self) -> str:
        """What :func:`open_store` takes to open the same store from anywhere on this machine."""
        ...

    def get(self, key: str) -> bytes:
        """Raises MissingObjectError when there is none."""
        ...

    def read(self, key: str) -> VersionedObject:
        """Like ``get``, with what ``replace`` needs."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """True: written, whole and durable.  False: the key was taken and nothing has changed."""
        ...

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        """Compare and swap.  False: the object is no longer the one with this tag, or gone; nothing has changed."""
        ...

    def delete(self, key: str) -> None:
        """Afterwards there is no such object, whether or not there was one before."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """The objects whose key begins with *prefix*, sorted by key; none when there is no such store yet."""
        ...

    def temporary_objects(self) -> Iterator[ObjectInfo]:
        """What killed writers left behind, and what is being written now; ``delete`` takes these keys."""
        ...

    def uri(self, key: str) -> str:
        """How Arrow, DuckDB and Polars name an object (or, with wildcards in the key, several)."""
        ...

    def check(self) -> None:
        """Raises StoreError unless objects can be written and read here; leaves nothing behind."""
        ...


def store_time(store: ObjectStore) -> float:
    """Now, by the clock that gives objects their times: that of this machine need not agree with the store's."""
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
