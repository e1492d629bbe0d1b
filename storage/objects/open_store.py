"""Opens the store of a URL: a folder, or a bucket of any server with the S3 API."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from muses_eval.pipeline.config.store_url import check_store_url
from muses_eval.pipeline.errors import ConfigError
from muses_eval.storage.objects.folder_store import FolderStore
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.s3_prefix import checked_prefix
from muses_eval.storage.objects.s3_store import S3Store


def open_store(url: str) -> ObjectStore:
    """Returns the store at *url*: a folder (a path, or ``file://``) or ``s3://bucket/prefix``.  Does no I/O.

    Raises:
        ConfigError: the URL is not the URL of a store.
    """
    try:
        check_store_url(url)
    except ValueError as error:
        raise ConfigError(f"store {error}") from error
    scheme, _, rest = url.partition("://")
    match scheme:
        case "s3":
            bucket, _, prefix = rest.partition("/")
            return S3Store(bucket, checked_prefix(url, prefix))
        case "file":
            return _folder(url, unquote(urlsplit(url).path))
        case _:
            return _folder(url, url)


def _folder(url: str, path: str) -> "FolderStore":
    try:
        return FolderStore(Path(path).expanduser().absolute())
    except RuntimeError as error:
        raise ConfigError(f"store {url!r}: {error}; write the folder's whole path") from error
