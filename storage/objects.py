"""Where bytes live: a folder, or a bucket of anything that speaks S3.

Nothing is overwritten blindly.  :meth:`ObjectStore.put_if_absent` writes a key that nobody has written, and
:meth:`ObjectStore.replace` writes over what its caller has read, so of two writers one wins and the other is told; and
nothing is ever half there.  Opening a store touches nothing; :meth:`ObjectStore.check` finds out whether it can be
used.  Every trouble is a :class:`~pipeline.errors.StoreError` that says what to do.

A folder keeps these promises among processes of one machine, and over NFS as far as its server hands out locks
(version 4 does); a killed process holds none.

This is the only module that knows boto3.  Endpoint, region and credentials are what boto3 finds in its environment.
"""

import errno
import fcntl
import hashlib
import mimetypes
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypedDict
from urllib.parse import unquote, urlsplit

from pipeline.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TEMPORARY = ".put-"
"""Files that begin so are being written, or are what a killed writer left; nobody lists them."""
_LOCK = ".lock"
"""Held by who replaces an object of the folder.  It stays: who removed it would let two in."""
_CHECK = ".check-"
"""What a check writes; one that was killed may leave it."""
_CONFLICT_TRIES = 6
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


class Versioned(NamedTuple):
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

    def read(self, key: str) -> Versioned:
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

    def leftovers(self) -> Iterator[ObjectInfo]:
        """What killed writers left behind, and what is being written now; ``delete`` takes these keys."""
        ...

    def uri(self, key: str) -> str:
        """How Arrow, DuckDB and Polars name an object (or, with wildcards in the key, several)."""
        ...

    def check(self) -> None:
        """Raises StoreError unless objects can be written and read here; leaves nothing behind."""
        ...


def open_store(url: str) -> ObjectStore:
    """The store at *url*: a folder (a path, or ``file://``) or ``s3://bucket/prefix``.  Touches nothing.

    Raises:
        ConfigError: the URL is of no kind that a store can be.
    """
    scheme, separator, rest = url.partition("://")
    match scheme.lower() if separator else "":
        case "":
            return _folder(url, url)
        case "file":
            return _folder(url, unquote(urlsplit(url).path))
        case "s3":
            bucket, _, prefix = rest.partition("/")
            if not bucket:
                raise ConfigError(f"store {url!r} names no bucket; write s3://bucket or s3://bucket/prefix")
            return S3Store(bucket, prefix.strip("/"))
        case unknown:
            raise ConfigError(
                f"store {url!r}: {unknown}:// is not supported; write a folder (results, ~/results, file:///data/results)"
                " or s3://bucket/prefix (other clouds: their S3 endpoint in AWS_ENDPOINT_URL)"
            )


def store_time(store: ObjectStore) -> float:
    """Now, by the clock that gives objects their times: that of this machine need not agree with the store's."""
    key = f"{_CHECK}{secrets.token_hex(8)}"
    store.put_if_absent(key, b"now")
    try:
        return next(info.modified for info in store.list(key))
    except StopIteration:
        raise StoreError(f"store {store.url}: what was just written is not listed; try again") from None
    finally:
        store.delete(key)


def _folder(url: str, path: str) -> "FolderStore":
    if not path:
        raise ConfigError(f"store {url!r} names no folder; write a folder such as results, or s3://bucket/prefix")
    try:
        return FolderStore(Path(path).expanduser().absolute())
    except RuntimeError as error:
        raise ConfigError(f"store {url!r}: {error}; write the folder's whole path") from error


class FolderStore:
    """Objects as files below a folder, which is made when the first object is written."""

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
            raise self._trouble("read", error) from error

    def read(self, key: str) -> Versioned:
        data = self.get(key)
        return Versioned(data, _content_tag(data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        target = self._root / key
        try:
            with suppress(FileNotFoundError):  # the folder went with the last object that was deleted from it
                _make_folder(target.parent)
                return _write_new(target, data)
            _make_folder(target.parent)
            return _write_new(target, data)
        except OSError as error:
            raise self._trouble("write", error) from error

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
            raise self._trouble("write", error) from error
        return True

    def delete(self, key: str) -> None:
        target = self._root / key
        try:
            with suppress(FileNotFoundError, NotADirectoryError):
                target.unlink()
                _sync_folder(target.parent)
            _remove_empty(target.parent, self._root)
        except OSError as error:
            raise self._trouble("delete", error) from error

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        below = prefix.rpartition("/")[0]
        yield from (info for info in self._found(below) if info.key.startswith(prefix) and not _is_ours(info.key))

    def leftovers(self) -> Iterator[ObjectInfo]:
        named = (_TEMPORARY, _CHECK)
        yield from (info for info in self._found("") if info.key.rpartition("/")[2].startswith(named))

    def _found(self, below: str) -> Sequence[ObjectInfo]:
        try:
            return sorted(_walk(str(self._root / below), f"{below}/" if below else ""))
        except OSError as error:
            raise self._trouble("list", error) from error

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
            raise self._trouble("write", error) from error

    def _trouble(self, doing: str, error: OSError) -> StoreError:
        advice = "give this user the right to, or name another folder"
        if error.errno in _NO_ROOM:
            advice = "make room there and start the same command again; what was stored before is whole"
        what = error.filename or "an object"
        return StoreError(f"store {self.url}: cannot {doing} {what} ({error.strerror or error}); {advice}")


def _make_folder(folder: Path) -> None:
    """Makes a folder that survives a power cut, its parents included."""
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
    """Writes beside the target and links it into place: a link, unlike a rename, never replaces."""
    with _written_beside(target, data) as temporary:
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
    _sync_folder(target.parent)
    return True


def _write_over(target: Path, data: bytes) -> None:
    """Whoever reads meanwhile reads the old bytes or the new ones."""
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
    """Keeps out whoever else replaces objects of this folder; the system frees the locks of a killed process."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _content_tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_ours(key: str) -> bool:
    """Whether a file is of the store's own housekeeping, and no object."""
    name = key.rpartition("/")[2]
    return name == _LOCK or name.startswith(_TEMPORARY)


def _remove_empty(folder: Path, root: Path) -> None:
    """Folders are no objects: one goes with the last file in it."""
    while folder != root:
        try:
            folder.rmdir()
        except OSError:  # not empty, or gone already
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
                with suppress(FileNotFoundError):  # gone since it was listed
                    status = entry.stat()
                    yield ObjectInfo(f"{prefix}{entry.name}", status.st_size, status.st_mtime)


@dataclass(frozen=True, slots=True)
class S3Access:
    """What another S3 client needs to read the same bucket as boto3; secrets stay out of its repr."""

    endpoint: str
    """With its scheme, as ``https://s3.eu-west-1.amazonaws.com``."""
    region: str
    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(repr=False)
    """Of temporary credentials; None for lasting ones."""


class S3Store:
    """Objects below a prefix of one bucket."""

    def __init__(self, bucket: str, prefix: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bucket, self._prefix, self._sleep = bucket, f"{prefix}/" if prefix else "", sleep
        self._opened: S3Client | None = None
        self._opening = threading.Lock()

    @property
    def bucket(self) -> str:
        return self._bucket

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def uri(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def get(self, key: str) -> bytes:
        return self.read(key).data

    def read(self, key: str) -> Versioned:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client().get_object(Bucket=self._bucket, Key=self._prefix + key)
            return Versioned(answer["Body"].read(), answer["ETag"])
        except (BotoCoreError, ClientError) as error:
            if _code(error) == "NoSuchKey":
                raise MissingObjectError(self.url, key) from None
            raise self._trouble("read", error) from error

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._put(key, data, {"IfNoneMatch": "*"})

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        return self._put(key, data, {"IfMatch": tag})

    def _put(self, key: str, data: bytes, condition: "_Condition") -> bool:
        """False: the condition does not hold."""
        from botocore.exceptions import BotoCoreError, ClientError

        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"  # browsers open pages that are called pages
        for attempt in range(_CONFLICT_TRIES):
            try:
                self._client().put_object(
                    Bucket=self._bucket, Key=self._prefix + key, Body=data, ContentType=kind, **condition
                )
            except (BotoCoreError, ClientError) as error:
                if _code(error) in ("PreconditionFailed", "412", "NoSuchKey"):
                    return _was_retried(error) and self._holds(key, data)
                if _code(error) not in ("ConditionalRequestConflict", "OperationAborted", "409"):
                    raise self._trouble("write", error) from error
                # Two writers met: S3 asks both to try again, and then tells them apart.
                self._sleep(0.05 * 2**attempt)
            else:
                return True
        raise StoreError(f"store {self.url}: other writers of {key!r} kept getting in the way; start the run again")

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self.get(key) == data
        except MissingObjectError:
            return False

    def delete(self, key: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client().delete_object(Bucket=self._bucket, Key=self._prefix + key)
        except (BotoCoreError, ClientError) as error:
            raise self._trouble("delete", error) from error

    def leftovers(self) -> Iterator[ObjectInfo]:
        """A write is one request here, so only checks leave anything."""
        yield from self.list(_CHECK)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            pages = (
                self._client()
                .get_paginator("list_objects_v2")
                .paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            )
            found = [
                ObjectInfo(entry["Key"].removeprefix(self._prefix), entry["Size"], entry["LastModified"].timestamp())
                for page in pages
                for entry in page.get("Contents", ())
            ]
        except (BotoCoreError, ClientError) as error:
            raise self._trouble("list", error) from error
        yield from sorted(found)  # not every server sorts as AWS does

    def check(self) -> None:
        key = f"{_CHECK}{secrets.token_hex(8)}"
        any(self.list(key))
        self.put_if_absent(key, b"first")
        try:
            ignored = []
            if self.put_if_absent(key, b"second"):
                ignored.append("If-None-Match")
            tag = self.read(key).tag
            if not self.replace(key, b"third", tag) or self.replace(key, b"fourth", tag):
                ignored.append("If-Match")
        finally:
            self.delete(key)
        if ignored:
            raise StoreError(
                f"store {self.url}: the server does not keep to {' and '.join(ignored)}, so that one worker could"
                " overwrite what another has stored; use a server with conditional writes (AWS, MinIO, SeaweedFS: a"
                " recent version)"
            )

    def access(self) -> S3Access:
        """Endpoint and credentials as boto3 resolved them.

        Raises:
            StoreError: boto3 finds no credentials.
        """
        from botocore.exceptions import BotoCoreError

        client = self._client()
        try:
            # The public way to a client's own credentials does not exist; a fresh session resolves the same ones.
            import boto3

            credentials = boto3.Session().get_credentials()
        except BotoCoreError as error:
            raise self._trouble("use", error) from error
        if credentials is None:
            raise StoreError(f"store {self.url}: {_NO_CREDENTIALS}")
        frozen = credentials.get_frozen_credentials()
        if not frozen.access_key or not frozen.secret_key:
            raise StoreError(f"store {self.url}: {_NO_CREDENTIALS}")
        region = client.meta.region_name or "us-east-1"
        return S3Access(client.meta.endpoint_url, region, frozen.access_key, frozen.secret_key, frozen.token)

    def _client(self) -> "S3Client":
        with self._opening:
            if self._opened is None:
                self._opened = self._open_client()
            return self._opened

    def _open_client(self) -> "S3Client":
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"mode": "standard", "max_attempts": 4},
            s3={"addressing_style": "path"},  # the one style that every S3 server answers to
            # Checksums in trailers, boto3's default, are beyond several S3 servers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=32,
        )
        try:
            return boto3.Session().client("s3", config=config)
        except (BotoCoreError, ValueError) as error:
            raise self._trouble("use", error) from error

    def _trouble(self, doing: str, error: Exception) -> StoreError:
        from botocore.exceptions import (
            ConnectionError as UnreachableError,
            CredentialRetrievalError,
            HTTPClientError,
            NoCredentialsError,
            ParamValidationError,
            PartialCredentialsError,
        )

        match _code(error), error:
            case "NoSuchBucket", _:
                advice = f"there is no bucket {self._bucket!r}; create it, or correct the store's URL"
            case "AccessDenied" | "AllAccessDisabled", _:
                advice = (
                    f"these credentials may not {doing} here; check AWS_ACCESS_KEY_ID and the rights on the bucket"
                    " (list, read, write, delete)"
                )
            case "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken", _:
                advice = (
                    f"the server refuses the credentials ({_code(error)}); check AWS_ACCESS_KEY_ID,"
                    " AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
                )
            case _, NoCredentialsError() | PartialCredentialsError() | CredentialRetrievalError():
                advice = _NO_CREDENTIALS
            case _, UnreachableError() | HTTPClientError():
                advice = f"cannot reach the server ({error}); check AWS_ENDPOINT_URL and that the server runs"
            case _, ParamValidationError():
                advice = f"{self._bucket!r} cannot be a bucket's name; correct the store's URL"
            case _:
                advice = f"cannot {doing} it: {error}"
        return StoreError(f"store {self.url}: {' '.join(advice.split())}")


class _Condition(TypedDict, total=False):
    """When a write is to be done."""

    IfNoneMatch: str
    IfMatch: str


_NO_CREDENTIALS = (
    "no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, as for any AWS tool"
)


def _code(error: Exception) -> str:
    """The server's name for an error; empty when it is not the server's."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _was_retried(error: Exception) -> bool:
    """Whether an earlier try of the same request, whose answer was lost, may have done its work."""
    response = getattr(error, "response", None) or {}
    return bool(response.get("ResponseMetadata", {}).get("RetryAttempts", 0))
