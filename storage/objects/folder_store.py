"""An object store in a folder.

The guarantees of :class:`~muses_eval.storage.objects.object_store.ObjectStore` hold among the processes of one machine,
and over NFS when the server supports locks, as version 4 does.  The lock of a killed process is released by the system.
"""

import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_store import CHECK_PREFIX, MissingObjectError, ObjectInfo, VersionedObject

_TEMPORARY = ".put-"
"""Prefix of files that are being written, or that a killed writer left; they are never listed."""

_LOCK = ".lock"
"""Name of the file that is locked while an object is replaced.  Never deleted: two writers could lock two files."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FolderStore:
    """Objects as files below a folder, which is created with the first object."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def url(self) -> str:
        return str(self._root)

    def uri(self, key: str) -> str:
        return str(self._root / key)

    def get(self, key: str) -> bytes:
        try:
            return (self._root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise MissingObjectError(self.url, key) from None
        except OSError as error:
            raise self._store_error("read", error) from error

    def read(self, key: str) -> VersionedObject:
        data = self.get(key)
        return VersionedObject(data, _content_tag(data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        target = self._root / key
        try:
            with suppress(FileNotFoundError):  # another process deleted the folder together with its last object
                _make_folder(target.parent)
                return _write_new(target, data)
            _make_folder(target.parent)
            return _write_new(target, data)
        except OSError as error:
            raise self._store_error("write", error) from error

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        target = self._root / key
        try:
            with _locked(target.parent):
                if _content_tag(target.read_bytes()) != tag:
                    return False
                _write_over(target, data)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._store_error("write", error) from error
        return True

    def delete(self, key: str) -> None:
        target = self._root / key
        try:
            with suppress(FileNotFoundError, NotADirectoryError):
                target.unlink()
                _sync_folder(target.parent)
            _remove_empty(target.parent, self._root)
        except OSError as error:
            raise self._store_error("delete", error) from error

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        below = prefix.rpartition("/")[0]
        yield from (info for info in self._found(below) if info.key.startswith(prefix) and not _is_internal(info.key))

    def temporary_objects(self) -> Iterator[ObjectInfo]:
        named = (_TEMPORARY, CHECK_PREFIX)
        yield from (info for info in self._found("") if info.key.rpartition("/")[2].startswith(named))

    def _found(self, below: str) -> Sequence[ObjectInfo]:
        try:
            return sorted(_walk(str(self._root / below), f"{below}/" if below else ""))
        except OSError as error:
            raise self._store_error("list", error) from error

    def check(self) -> None:
        try:
            existing = next(folder for folder in (self._root, *self._root.parents) if folder.exists())
            if not existing.is_dir():
                raise StoreError(
                    f"store {self.url}: {existing} is a file; name a folder, or a path at which to make one"
                )
            probe = existing / f"{_TEMPORARY}{secrets.token_hex(8)}"
            any(existing.iterdir())
            _write_new(probe, b"muses")
            probe.unlink()
        except OSError as error:
            raise self._store_error("write", error) from error

    def _store_error(self, doing: str, error: OSError) -> StoreError:
        advice = "give this user the right to, or name another folder"
        if error.errno in _NO_ROOM:
            advice = "free disk space and start the same command again; objects stored before are intact"
        what = error.filename or "an object"
        return StoreError(f"store {self.url}: cannot {doing} {what} ({error.strerror or error}); {advice}")


def _make_folder(folder: Path) -> None:
    """Creates a folder and its parents durably, so that they survive a power failure."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_new(target: Path, data: bytes) -> bool:
    """Writes a temporary file and links it into place, because a link, unlike a rename, never overwrites."""
    with _written_beside(target, data) as temporary:
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
    _sync_folder(target.parent)
    return True


def _write_over(target: Path, data: bytes) -> None:
    """Overwrites atomically: a concurrent reader gets either the old bytes or the new ones."""
    with _written_beside(target, data) as temporary:
        temporary.rename(target)
    _sync_folder(target.parent)


@contextmanager
def _written_beside(target: Path, data: bytes) -> Iterator[Path]:
    temporary = target.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Excludes other writers that replace objects of this folder."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _content_tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_internal(key: str) -> bool:
    """Returns True for the lock and for temporary files, which are not objects."""
    name = key.rpartition("/")[2]
    return name == _LOCK or name.startswith(_TEMPORARY)


def _remove_empty(folder: Path, root: Path) -> None:
    """Removes empty folders up to the root, because a folder without objects does not exist in an object store."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:  # not empty, or deleted already
            return
        folder = folder.parent


def _walk(folder: str, prefix: str) -> Iterator[ObjectInfo]:
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            else:
                with suppress(FileNotFoundError):  # deleted since it was listed
                    status = entry.stat()
                    yield ObjectInfo(f"{prefix}{entry.name}", status.st_size, status.st_mtime)
