"""Opens the store of a URL: a folder, or a bucket of any server with the S3 API."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from muses_eval.pipeline.errors import ConfigError
from muses_eval.storage.objects.folder_store import FolderStore
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.s3_store import S3Store


def open_store(url: str) -> ObjectStore:
    """Returns the store at *url*: a folder (a path, or ``file://``) or ``s3://bucket/prefix``.  Does no I/O.

    Raises:
        ConfigError: the URL is not the URL of a store.
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
