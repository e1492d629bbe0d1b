"""From a store's URL to its object store: a folder, or a bucket of anything that speaks S3."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from muses_eval.pipeline.errors import ConfigError

if TYPE_CHECKING:
    pass
from muses_eval.storage.objects.folder_store import FolderStore
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.s3_store import S3Store


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


def _folder(url: str, path: str) -> "FolderStore":
    if not path:
        raise ConfigError(f"store {url!r} names no folder; write a folder such as results, or s3://bucket/prefix")
    try:
        return FolderStore(Path(path).expanduser().absolute())
    except RuntimeError as error:
        raise ConfigError(f"store {url!r}: {error}; write the folder's whole path") from error
